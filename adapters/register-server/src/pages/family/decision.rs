//! The decision, and every step to it with its clause, numbers, result and records.

use maud::{Markup, html};
use register::case::Waiting;
use register::decision::{Clause, Decision, Entitlement, Evidence, Ground, Step, Truth};
use register::money::Number;
use register::profile::Profile;

use super::super::frame::{table, unbroken};
use super::super::visit::Visit;
use super::super::words::{fill, word};
use super::{awaited, person, source};

/// The decision's part of the page.
pub(super) fn markup(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let (words, assessment) = (visit.words, &profile.assessment);
    let rules = word(&words.rules, &assessment.rules.id);
    html! {
        @match &assessment.decision {
            Decision::Eligible(entitlement) => (eligible(visit, entitlement)),
            Decision::NotEligible { grounds, .. } => (not_eligible(visit, profile, grounds)),
            Decision::Pending { sources, officer } => {
                @let sources = sources.iter().cloned().collect();
                @let waiting = Waiting { sources, officer: officer.iter().copied().collect() };
                div.outcome.pending {
                    p.verdict { (words.pending) }
                    p { (words.awaits) ": " (awaited(visit, profile, &waiting)) }
                }
            }
        }
        p { (fill(&words.under_rules, &[("rules", &rules)])) }
        (table("steps", &words.steps, &steps(visit, profile)))
        p.small {
            @let rules = &assessment.rules;
            (fill(&words.rule_in_force, &[("id", &rules.id), ("digest", &rules.digest)]))
        }
    }
}

fn eligible(visit: &Visit<'_>, entitlement: &Entitlement) -> Markup {
    let words = visit.words;
    let soum = fill(&words.soum, &[("amount", &unbroken(entitlement.monthly_soum))]);
    html! {
        div.outcome.eligible {
            p.verdict { (words.eligible) }
            dl {
                div { dt { (words.category_label) } dd { (word(&words.category, &entitlement.category)) } }
                div { dt { (words.amount_label) } dd { strong { (soum) } } }
                div {
                    dt { (words.share_label) }
                    dd { (fill(&words.percent, &[("percent", &entitlement.share_percent)])) }
                }
                div { dt { (words.months_label) } dd { (entitlement.months) } }
                @if let Some(condition) = &entitlement.condition {
                    div { dt { (words.condition_label) } dd { (word(&words.condition, condition)) } }
                }
            }
        }
    }
}

fn not_eligible(visit: &Visit<'_>, profile: &Profile, grounds: &[Ground]) -> Markup {
    let words = visit.words;
    let steps = &profile.assessment.steps;
    html! {
        div.outcome.refused {
            p.verdict { (words.not_eligible) }
            h3 { (words.grounds) }
            ul {
                @for ground in grounds {
                    @let step = steps.iter().find(|step| step.clause == ground.clause);
                    li {
                        (step.map_or_else(|| ground.text.clone(), |step| clause(visit, step)))
                        @if ground.clause != Clause::Income {
                            (records(visit, profile, &ground.records))
                        }
                    }
                }
            }
            p { (words.appeal_text) }
        }
    }
}

fn steps(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let words = visit.words;
    html! {
        thead {
            tr {
                th scope="col" { (words.step) }
                th scope="col" { (words.holds) }
                th scope="col" { (words.rule) }
            }
        }
        tbody {
            @for (number, step) in (1_u32..).zip(&profile.assessment.steps) {
                tr {
                    th scope="row" { (number) }
                    td { (result(visit, &step.result)) }
                    td {
                        (clause(visit, step))
                        @if let Some(arithmetic) = arithmetic(step) { br; span.sum { (arithmetic) } }
                        @if let Truth::Unknown { waiting } = &step.result {
                            br;
                            span.small { (words.awaits) ": " (awaited(visit, profile, waiting)) }
                        }
                        @if !step.evidence.is_empty() {
                            @let count = step.evidence.len();
                            details {
                                summary { (fill(&words.records_count, &[("count", &count)])) }
                                (records(visit, profile, &step.evidence))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn result(visit: &Visit<'_>, truth: &Truth) -> Markup {
    let words = visit.words;
    html! {
        @match truth {
            Truth::Yes => strong { (words.yes) },
            Truth::No => (words.no),
            Truth::Unknown { .. } => em { (words.unknown) },
        }
    }
}

/// Records come from the register's core in English, with the agencies' own values.
fn records(visit: &Visit<'_>, profile: &Profile, evidence: &[Evidence]) -> Markup {
    html! {
        ul.records {
            @for record in evidence {
                li {
                    span lang="en" { (record.record) } br;
                    span.small {
                        (person(profile, record.subject)) " · "
                        (source(visit, profile, &record.source)) " · "
                        span.code { (record.exchange) }
                    }
                }
            }
        }
    }
}

/// The clause in the visitor's language, with the step's own figures.
fn clause(visit: &Visit<'_>, step: &Step) -> String {
    let mut text = word(&visit.words.clause, &step.clause).into_owned();
    for (name, number) in &step.numbers {
        text = fill(&text, &[(name.as_str(), &unbroken(*number))]);
    }
    text
}

/// The arithmetic written out in figures, which every language reads.
fn arithmetic(step: &Step) -> Option<String> {
    let number = |name: &str| step.numbers.get(name).map(|number| number.0);
    match step.clause {
        Clause::Income | Clause::IncomeBand => {
            let (sum, percent) = (number("sum_soum")?, number("percent")?);
            let (members, months) = (number("members")?, number("months")?);
            let expenditure = number("minimum_consumer_expenditure_soum")?;
            let left = sum.saturating_mul(100);
            let shares = months.saturating_mul(members).saturating_mul(expenditure);
            let right = shares.saturating_mul(percent);
            let sign = match left.cmp(&right) {
                std::cmp::Ordering::Less => "<",
                std::cmp::Ordering::Equal => "=",
                std::cmp::Ordering::Greater => ">",
            };
            let [sum, left, right, expenditure] =
                [sum, left, right, expenditure].map(|number| unbroken(Number(number)));
            Some(format!(
                "{sum} × 100 = {left} {sign} {right} = {months} × {members} × {expenditure} × {percent}"
            ))
        }
        Clause::Benefit => {
            let (full, share) = (unbroken(Number(number("full_soum")?)), number("share_percent")?);
            let parts = step.statement.split_once(": ").and_then(|(_, sum)| sum.split_once(" = "));
            let parts = parts.map_or_else(String::new, |(parts, _)| format!("{parts} = "));
            let monthly = unbroken(Number(number("monthly_soum")?));
            Some(format!("{parts}{full}, × {share} / 100 = {monthly}"))
        }
        _ => None,
    }
}
