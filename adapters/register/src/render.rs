//! A profile as text for people: the family, its income by month, the decision with its
//! arithmetic, absent sources, and a receipt for every answer.
//!
//! The text holds personal data; it is for the screen of the caseworker who asked.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemas::pinfl::Pinfl;

use crate::case::Waiting;
use crate::composition::{DiscrepancyKind, Family, Reason, Role};
use crate::decision::{Clause, Decision, Step, Truth};
use crate::money::grouped;
use crate::profile::{AbsentAs, Profile};

/// The profile as text, one subject per paragraph, without colour.
#[must_use]
pub fn text(profile: &Profile) -> String {
    let mut out = String::new();
    // Safe because: writing to a String cannot fail.
    let _ = write_profile(&mut out, profile);
    out
}

fn write_profile(out: &mut String, profile: &Profile) -> std::fmt::Result {
    writeln!(out, "Household profile {}", profile.id)?;
    let (day, at) = (profile.case.application_date, profile.assembled_at);
    writeln!(out, "  applied {day}, assembled {at}")?;
    if let Ok(sealed) = profile.seal() {
        writeln!(out, "  hash {}", sealed.hash())?;
    }
    write_family(out, profile)?;
    write_income(out, profile)?;
    write_decision(out, profile)?;
    write_steps(out, &profile.assessment.steps)?;
    write_absent(out, profile)?;
    write_receipts(out, profile)
}

fn write_family(out: &mut String, profile: &Profile) -> std::fmt::Result {
    let family = &profile.family;
    writeln!(out, "\nFamily, {} members", family.members.len())?;
    for member in &family.members {
        let name = name(profile, member.pinfl);
        write!(out, "  {:<9}  {}  born {}  {name}", role(member.role), member.pinfl, member.born)?;
        write_waiting(out, ", uncertain until", &member.uncertain)?;
        writeln!(out)?;
    }
    for departure in &family.left {
        let (role, reason) = (role(departure.role), reason(departure.reason));
        writeln!(out, "  {role:<9}  {}  not counted: {reason}", departure.pinfl)?;
    }
    for resident in &family.other_residents {
        writeln!(out, "  resident   {resident}  not of the family")?;
    }
    if !family.may_grow.is_empty() {
        write!(out, "  others may belong")?;
        write_waiting(out, "; known after", &family.may_grow)?;
        writeln!(out)?;
    }
    write_discrepancies(out, family)
}

fn write_discrepancies(out: &mut String, family: &Family) -> std::fmt::Result {
    for discrepancy in &family.discrepancies {
        let persons: Vec<&str> = discrepancy.persons.iter().map(Pinfl::as_str).collect();
        writeln!(out, "  ! {}: {}", discrepancy_text(discrepancy.kind), persons.join(", "))?;
    }
    Ok(())
}

fn write_income(out: &mut String, profile: &Profile) -> std::fmt::Result {
    let assessment = &profile.assessment;
    write!(out, "\n{:<48}", "Counted income, soum")?;
    for month in &assessment.window {
        write!(out, "{:>14}", month.to_string())?;
    }
    writeln!(out)?;
    let mut rows: BTreeMap<(Pinfl, String), BTreeMap<_, u128>> = BTreeMap::new();
    let mut sums = BTreeMap::new();
    for line in &assessment.income {
        let amount = u128::from(line.amount_soum.amount());
        let row = rows.entry((line.member, line.label())).or_default();
        *row.entry(line.month).or_default() += amount;
        *sums.entry(line.month).or_default() += amount;
    }
    for ((member, label), amounts) in &rows {
        write!(out, "  {:<46}", format!("{member} {label}"))?;
        for month in &assessment.window {
            write!(out, "{:>14}", amounts.get(month).map_or(String::new(), |a| grouped(*a)))?;
        }
        writeln!(out)?;
    }
    write!(out, "  {:<46}", "together")?;
    for month in &assessment.window {
        write!(out, "{:>14}", grouped(sums.get(month).copied().unwrap_or(0)))?;
    }
    writeln!(out, "\n  {:<46}{:>14}", "sum", grouped(sums.values().sum()))?;
    write_per_member(out, &assessment.steps)
}

/// Income per member and month, and its ratio to the minimum consumer expenditure, cut to whole
/// soum and thousandths: for reading only, the decision compares by cross-multiplication.
fn write_per_member(out: &mut String, steps: &[Step]) -> std::fmt::Result {
    let Some(step) = steps.iter().find(|step| step.clause == Clause::IncomeBand) else {
        return Ok(());
    };
    let number = |name: &str| step.numbers.get(name).map_or(0, |number| number.0);
    let (sum, expenditure) = (number("sum_soum"), number("minimum_consumer_expenditure_soum"));
    let shares = number("members").saturating_mul(number("months"));
    let per_member = sum.checked_div(shares).unwrap_or(0);
    let thousandths = sum.saturating_mul(1000).checked_div(shares.saturating_mul(expenditure));
    let thousandths = thousandths.unwrap_or(0);
    let ratio = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    writeln!(out, "  {:<46}{:>14}", "per member and month", grouped(per_member))?;
    writeln!(out, "  {:<46}{ratio:>14}", "ratio to the minimum consumer expenditure")
}

fn write_decision(out: &mut String, profile: &Profile) -> std::fmt::Result {
    let assessment = &profile.assessment;
    writeln!(out, "\nDecision under {} ({})", assessment.rules.id, assessment.rules.title)?;
    match &assessment.decision {
        Decision::Eligible(entitlement) => {
            let (category, share) = (&entitlement.category, entitlement.share_percent);
            let (soum, months) = (entitlement.monthly_soum, entitlement.months);
            writeln!(
                out,
                "  ELIGIBLE: {category}, {share} %: {soum} soum a month, {months} months"
            )?;
            if let Some(condition) = &entitlement.condition {
                writeln!(out, "  condition: {condition}")?;
            }
        }
        Decision::NotEligible { grounds, appeal } => {
            writeln!(out, "  NOT ELIGIBLE")?;
            for ground in grounds {
                writeln!(out, "  - {}", ground.text)?;
                for record in &ground.records {
                    writeln!(out, "      {} {}: {}", record.source, record.subject, record.fact)?;
                }
            }
            writeln!(out, "  {appeal}")?;
        }
        Decision::Pending { sources, officer } => {
            let sources = sources.iter().cloned().collect();
            let officer = officer.iter().copied().collect();
            write!(out, "  PENDING")?;
            write_waiting(out, ":", &Waiting { sources, officer })?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn write_steps(out: &mut String, steps: &[Step]) -> std::fmt::Result {
    writeln!(out, "\nArithmetic")?;
    for step in steps {
        let result = match &step.result {
            Truth::Yes => "yes",
            Truth::No => "no",
            Truth::Unknown { .. } => "unknown",
        };
        write!(out, "  {result:<7}  {}", step.statement)?;
        if let Truth::Unknown { waiting } = &step.result {
            write_waiting(out, "; awaits", waiting)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_absent(out: &mut String, profile: &Profile) -> std::fmt::Result {
    if profile.absent.is_empty() {
        return writeln!(out, "\nAbsent sources: none");
    }
    writeln!(out, "\nAbsent sources")?;
    for absent in &profile.absent {
        let outcome = match absent.outcome {
            AbsentAs::Unavailable => "unavailable",
            AbsentAs::Forbidden => "forbidden",
        };
        let (source, subject, reason) = (&absent.source, absent.subject, &absent.reason);
        writeln!(
            out,
            "  {source:<15}  {subject}  {outcome}: {reason}",
            source = source.to_string()
        )?;
    }
    Ok(())
}

fn write_receipts(out: &mut String, profile: &Profile) -> std::fmt::Result {
    writeln!(out, "\nAnswers and their receipts")?;
    for (subject, source, answer) in profile.case.answers.iter() {
        let Some(provenance) = answer.provenance() else { continue };
        let known = if answer.is_no_record() { "no record" } else { "answer" };
        let proof = provenance.receipt.as_ref().map_or_else(
            || format!("exchange {}, no receipt", provenance.exchange),
            ToString::to_string,
        );
        let (source, at) = (source.to_string(), provenance.fetched_at);
        writeln!(out, "  {source:<15}  {subject}  {known:<9}  {at}  {proof}")?;
    }
    Ok(())
}

fn write_waiting(out: &mut String, lead: &str, waiting: &Waiting) -> std::fmt::Result {
    if waiting.is_empty() {
        return Ok(());
    }
    write!(out, "{lead} {}", awaited(waiting))
}

/// What is awaited, in words.
pub(crate) fn awaited(waiting: &Waiting) -> String {
    let sources = waiting.sources.iter().map(ToString::to_string);
    let officer = waiting.officer.iter().map(|question| format!("officer ({})", question.text()));
    let awaited: Vec<String> = sources.chain(officer).collect();
    awaited.join(", ")
}

/// Surname and given name where a population register gave them, else nothing.
pub(crate) fn name(profile: &Profile, pinfl: Pinfl) -> String {
    let mut of_person = profile.case.answers.iter().filter(|(subject, _, _)| *subject == pinfl);
    let person = of_person.find_map(|(_, _, answer)| answer.population()?.value());
    person.map_or(String::new(), |p| format!("{} {}", p.surname, p.given_name))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Applicant => "applicant",
        Role::Spouse => "spouse",
        Role::Child => "child",
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Death => "died",
        Reason::Prison => "in prison",
        Reason::Institution => "in an institution",
        Reason::Abroad => "living abroad",
        Reason::Conscription => "in conscript service",
        Reason::Marriage => "married",
        Reason::Age => "18 or older",
        Reason::ParentDied => "child of a spouse who died",
    }
}

fn discrepancy_text(kind: DiscrepancyKind) -> &'static str {
    match kind {
        DiscrepancyKind::CoResidenceDiffers => "not registered at the applicant's dwelling",
        DiscrepancyKind::StaleMarriage => "the two records disagree about a marriage",
        DiscrepancyKind::DeadInOneRegister => "dead in one register and alive in another",
        DiscrepancyKind::ChildOfTwoFamilies => "the child may belong to another family",
        DiscrepancyKind::IdentityDiffers => "sex or date of birth differs from the PINFL",
        DiscrepancyKind::NoCivilRecord => "no record in the civil registry",
        DiscrepancyKind::NoPopulationRecord => "no record in the population register",
    }
}
