//! Counted income: wages by payer and month, business, plots, remittances, pensions, allowances.
//!
//! Turnover does not count, nor does the programme's own benefit. What a family declares itself
//! counts too and is marked: it rests on their word alone.

use std::collections::BTreeSet;

use jiff::civil::Date;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::answers::{Income, PensionKind};
use crate::case::{Case, Declared, Heard};
use crate::money::Soum;
use crate::month::Month;
use crate::redact::redact;
use crate::rules::Rules;
use crate::source::{Answer, Provenance, SourceKind, SourceName};

/// What an income is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncomeKind {
    /// Wage.
    Wage,
    /// Self-employment or business.
    Business,
    /// Farm or plot.
    Plot,
    /// Money from abroad.
    Remittance,
    /// Pension.
    Pension,
    /// Allowance of the social agency.
    Allowance,
    /// Declared in the application.
    Declared,
}

/// The name that stands for a source where a family's own word is the only one.
pub const SELF_DECLARED: &str = "self-declared";

/// One counted amount of one month.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncomeLine {
    /// Whose income.
    pub member: Pinfl,
    /// What it is.
    pub kind: IncomeKind,
    /// Who pays, or what it is for; empty for business, plots and remittances.
    pub payer: String,
    /// The month.
    pub month: Month,
    /// The amount.
    pub amount_soum: Soum,
    /// The source that said so; [`SELF_DECLARED`] for declared income.
    pub source: SourceName,
    /// The exchange that proves it; empty for declared income.
    pub exchange: String,
    /// Who declared it, where no source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<Pinfl>,
}
redact!(IncomeLine);

impl IncomeLine {
    /// Kind and payer in words, such as `wage, Paxta LLC (301234567)`.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.kind, &self.payer, self.declared_by)
    }
}

/// Kind and payer of an income in words.
pub(crate) fn label(kind: IncomeKind, payer: &str, declared_by: Option<Pinfl>) -> String {
    let kind = match kind {
        IncomeKind::Wage => "wage",
        IncomeKind::Business => "business",
        IncomeKind::Plot => "plot",
        IncomeKind::Remittance => "remittance",
        IncomeKind::Pension => "pension",
        IncomeKind::Allowance => "allowance",
        IncomeKind::Declared => "self-declared",
    };
    let payer = if payer.is_empty() { String::new() } else { format!(", {payer}") };
    let by = declared_by.map(|by| format!(", declared by {by}")).unwrap_or_default();
    format!("{kind}{payer}{by}")
}

/// A member's counted income as far as it is known: a lower bound while sources are absent.
pub(crate) struct MemberIncome {
    pub(crate) lines: Vec<IncomeLine>,
    pub(crate) absent: BTreeSet<SourceName>,
}

impl MemberIncome {
    /// The known sum in soum.
    pub(crate) fn known_soum(&self) -> u128 {
        self.lines.iter().map(|line| u128::from(line.amount_soum.amount())).sum()
    }
}

/// The months whose income counts for an application on `day`.
#[must_use]
pub fn window(rules: &Rules, day: Date) -> Vec<Month> {
    Month::window_before(day, rules.income.months.value)
}

/// The counted income of `member` in the window.
pub(crate) fn of_member(case: &Case, rules: &Rules, member: Pinfl) -> MemberIncome {
    let months = window(rules, case.application_date);
    let mut ledger = Ledger { member, months: &months, lines: Vec::new(), absent: BTreeSet::new() };
    for heard in case.hear(member, SourceKind::Tax, Answer::tax) {
        if let Some((income, provenance)) = ledger.heard(heard) {
            ledger.add_tax(income, provenance);
        }
    }
    for heard in case.hear(member, SourceKind::Pensions, Answer::pensions) {
        if let Some((answer, provenance)) = ledger.heard(heard) {
            for pension in &answer.pensions {
                let entry = (IncomeKind::Pension, ground(pension.kind), pension.amount_soum);
                ledger.add_monthly(entry, (pension.from, pension.to), provenance);
            }
        }
    }
    for heard in case.hear(member, SourceKind::SocialAgency, Answer::social_agency) {
        if let Some((answer, provenance)) = ledger.heard(heard) {
            let uncounted = &rules.income.uncounted_benefits.value;
            for benefit in answer.benefits.iter().filter(|b| !uncounted.contains(&b.kind)) {
                let entry = (IncomeKind::Allowance, benefit.kind.as_str(), benefit.amount_soum);
                ledger.add_monthly(entry, (benefit.from, benefit.to), provenance);
            }
        }
    }
    for declared in case.declared.iter().filter(|declared| declared.member == member) {
        ledger.declare(declared);
    }
    ledger.lines.sort();
    MemberIncome { lines: ledger.lines, absent: ledger.absent }
}

fn ground(kind: PensionKind) -> &'static str {
    match kind {
        PensionKind::OldAge => "old age",
        PensionKind::Disability => "disability",
        PensionKind::Survivor => "survivor",
        PensionKind::Social => "social",
    }
}

struct Ledger<'a> {
    member: Pinfl,
    months: &'a [Month],
    lines: Vec<IncomeLine>,
    absent: BTreeSet<SourceName>,
}

impl Ledger<'_> {
    fn heard<'a, T>(&mut self, heard: Heard<'a, T>) -> Option<(&'a T, &'a Provenance)> {
        match heard {
            Heard::Value(value, provenance) => Some((value, provenance)),
            Heard::NoRecord(_) => None,
            Heard::Absent(source) => {
                self.absent.insert(source);
                None
            }
        }
    }

    fn add_tax(&mut self, income: &Income, provenance: &Provenance) {
        let covered = |month: &Month| (income.from..=income.to).contains(month);
        // An answer for other months leaves the uncovered ones unknown, not without income.
        if !self.months.iter().all(covered) {
            self.absent.insert(provenance.source.clone());
        }
        for wage in &income.wages {
            let payer = format!("{} ({})", wage.payer_name, wage.payer_stir);
            self.add((IncomeKind::Wage, &payer, wage.amount_soum), wage.month, provenance);
        }
        for entry in &income.business {
            self.add((IncomeKind::Business, "", entry.income_soum), entry.month, provenance);
        }
        for entry in &income.plots {
            self.add((IncomeKind::Plot, "", entry.income_soum), entry.month, provenance);
        }
        for entry in &income.remittances {
            self.add((IncomeKind::Remittance, "", entry.amount_soum), entry.month, provenance);
        }
    }

    fn add_monthly(
        &mut self,
        entry: (IncomeKind, &str, Soum),
        (from, to): (Date, Option<Date>),
        provenance: &Provenance,
    ) {
        for month in self.months.iter().filter(|month| month.touches(from, to)) {
            self.add(entry, *month, provenance);
        }
    }

    fn add(
        &mut self,
        (kind, payer, amount_soum): (IncomeKind, &str, Soum),
        month: Month,
        provenance: &Provenance,
    ) {
        if self.months.contains(&month) {
            self.lines.push(IncomeLine {
                member: self.member,
                kind,
                payer: payer.to_owned(),
                month,
                amount_soum,
                source: provenance.source.clone(),
                exchange: provenance.exchange.clone(),
                declared_by: None,
            });
        }
    }

    fn declare(&mut self, declared: &Declared) {
        // Safe because: the name is a source's name, which a test holds.
        let Ok(source) = SELF_DECLARED.parse() else { return };
        if self.months.contains(&declared.month) {
            self.lines.push(IncomeLine {
                member: self.member,
                kind: IncomeKind::Declared,
                payer: declared.what.as_str().to_owned(),
                month: declared.month,
                amount_soum: declared.amount_soum,
                source,
                exchange: String::new(),
                declared_by: Some(declared.declared_by),
            });
        }
    }
}
