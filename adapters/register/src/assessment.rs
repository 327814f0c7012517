//! The three-valued assessment of a case: exclusions, income, category, benefit.
//!
//! Known income bounds the sum from below, and an absent source can only add to it. A refusal by
//! income is final when even the family most favourable to the applicant lies above every band;
//! an entitlement needs everything that matters to be known. Money is compared by
//! cross-multiplication of integers, never by division.

mod weighing;

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemas::digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Heard, Waiting};
use crate::composition::{Family, Role, compose};
use crate::decision::{Clause, Decision, Entitlement, Ground, Step, Truth};
use crate::exclusion;
use crate::income::{self, IncomeLine, MemberIncome};
use crate::month::Month;
use crate::redact::redact;
use crate::rules::{RuleError, Rules};
use weighing::{Placed, Weighing};

/// Which rules a decision follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleVersion {
    /// Identifier, such as `cm-35`.
    pub id: String,
    /// Title of the act.
    pub title: String,
    /// SHA-256 of the rule file.
    pub digest: Sha256,
}

/// A decision with everything that led to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assessment {
    /// The rules followed.
    pub rules: RuleVersion,
    /// The day whose rules and figures apply.
    pub decision_date: Date,
    /// The months whose income counts, oldest first.
    pub window: Vec<Month>,
    /// Counted income of every member, line by line.
    pub income: Vec<IncomeLine>,
    /// Every step of the arithmetic, in order.
    pub steps: Vec<Step>,
    /// The decision.
    pub decision: Decision,
}
redact!(Assessment);

/// Assesses a case under a rule version.
///
/// # Errors
/// [`RuleError::NoFigure`] when the rules have no figure for the day of the application.
pub fn assess(case: &Case, rules: &Rules) -> Result<Assessment, RuleError> {
    let family = compose(case);
    assess_family(case, &family, rules)
}

/// As [`assess`], for a family already composed from the same case.
pub(crate) fn assess_family(
    case: &Case,
    family: &Family,
    rules: &Rules,
) -> Result<Assessment, RuleError> {
    let weighing = Weighing::new(case, family, rules)?;
    let mut steps = vec![applicant_step(case, family)];
    steps.extend(exclusion::steps(case, family, rules)?);
    let (income_steps, placed) = weighing.place_income();
    steps.extend(income_steps);
    let entitlement = match placed {
        Placed::InBand(bands) => weighing.entitlement(bands, &mut steps)?,
        Placed::AboveAll | Placed::Unknown => None,
    };
    let decision = conclude(rules, &steps, entitlement);
    let mut income: Vec<IncomeLine> =
        weighing.members.into_iter().flat_map(|(_, income)| income.lines).collect();
    income.sort();
    let Rules { id, title, digest, .. } = rules.clone();
    Ok(Assessment {
        rules: RuleVersion { id, title, digest },
        decision_date: case.application_date,
        window: income::window(rules, case.application_date),
        income,
        steps,
        decision,
    })
}

/// A refusal where a ground holds, else pending while anything is unknown, else the entitlement.
fn conclude(rules: &Rules, steps: &[Step], entitlement: Option<Entitlement>) -> Decision {
    let mut grounds = Vec::new();
    let mut waiting = Waiting::default();
    for step in steps {
        match &step.result {
            Truth::Yes if refuses(step.clause) => grounds.push(Ground {
                clause: step.clause,
                text: step.statement.clone(),
                records: step.evidence.clone(),
            }),
            Truth::Unknown { waiting: more } => waiting.add(more.clone()),
            Truth::Yes | Truth::No => {}
        }
    }
    match entitlement {
        _ if !grounds.is_empty() => {
            Decision::NotEligible { grounds, appeal: rules.appeal.value.clone() }
        }
        Some(entitlement) if waiting.is_empty() => Decision::Eligible(entitlement),
        Some(_) | None => Decision::Pending {
            sources: waiting.sources.into_iter().collect(),
            officer: waiting.officer.into_iter().collect(),
        },
    }
}

/// Whether a step that holds is a ground of refusal.
fn refuses(clause: Clause) -> bool {
    !matches!(clause, Clause::IncomeBand | Clause::AbilityToWork | Clause::Benefit)
}

fn applicant_step(case: &Case, family: &Family) -> Step {
    let known = !matches!(case.family_record(case.applicant), Heard::NoRecord(_));
    let member = family.members.iter().find(|member| member.role == Role::Applicant);
    let (statement, result) = match member {
        _ if !known => ("the civil registry has no record of the applicant", Truth::Yes),
        None => ("the applicant has left the family", Truth::Yes),
        Some(member) => {
            ("the applicant has left the family", Truth::no_unless(member.uncertain.clone()))
        }
    };
    Step {
        clause: Clause::Applicant,
        statement: statement.to_owned(),
        numbers: BTreeMap::new(),
        result,
        evidence: Vec::new(),
    }
}
