//! The letter to the applicant: an award or a refusal, in the applicant's language.
//!
//! A refusal names every ground with its clause and the records that decided (a car's plate, make
//! and year; a cadastre number; income by payer and month), each with its source and the exchange
//! that proves it, and the right to appeal. Texts are data, one file per language. A letter is made
//! from the profile alone: same profile, same letter.

mod language;

use std::fmt::Write;

use schemas::pinfl::Pinfl;

use crate::case::Waiting;
use crate::decision::{Clause, Decision, Entitlement, Evidence, Fact, Ground, Step};
use crate::profile::{NotCanonical, Profile};
use crate::render;
use language::{Texts, fill, text_or};

pub use language::{Language, NotALanguage};

/// Why there is no letter.
#[derive(Debug, thiserror::Error)]
pub enum NoLetter {
    /// Nothing is decided yet.
    #[error(
        "register: no letter while the decision is pending; wait for {awaited} and assemble the \
         profile again"
    )]
    Pending {
        /// Sources and questions to the officer that are awaited.
        awaited: String,
    },
    /// The texts of this build are faulty.
    #[error("register: the texts of letters in {language} are faulty; report this as a defect")]
    Texts {
        /// The language.
        language: Language,
        /// The cause.
        #[source]
        cause: toml::de::Error,
    },
    /// The profile has no hash.
    #[error(transparent)]
    Profile(#[from] NotCanonical),
}

/// The letter about a decided profile, as text.
///
/// # Errors
/// [`NoLetter::Pending`] names what is awaited.
pub fn letter(profile: &Profile, language: Language) -> Result<String, NoLetter> {
    let texts = Texts::of(language).map_err(|cause| NoLetter::Texts { language, cause })?;
    let hash = profile.seal()?.hash().to_string();
    let writer = Writer { profile, texts: &texts };
    let mut out = String::new();
    let written = match &profile.assessment.decision {
        Decision::Eligible(entitlement) => writer.award(&mut out, entitlement, &hash),
        Decision::NotEligible { grounds, .. } => writer.refusal(&mut out, grounds, &hash),
        Decision::Pending { sources, officer } => {
            let sources = sources.iter().cloned().collect();
            let officer = officer.iter().copied().collect();
            let awaited = render::awaited(&Waiting { sources, officer });
            return Err(NoLetter::Pending { awaited });
        }
    };
    // Safe because: writing to a String cannot fail.
    let _ = written;
    Ok(out)
}

struct Writer<'a> {
    profile: &'a Profile,
    texts: &'a Texts,
}

impl Writer<'_> {
    fn award(&self, out: &mut String, award: &Entitlement, hash: &str) -> std::fmt::Result {
        let texts = self.texts;
        self.head(out, &texts.award_title)?;
        let category = text_or(&texts.categories, &award.category, &award.category);
        let (amount, months) = (texts.amount(award.monthly_soum), award.months.to_string());
        let values = [("category", category), ("amount", &amount), ("months", &months)];
        writeln!(out, "{}", fill(&texts.award, &values))?;
        if award.share_percent != 100 {
            let percent = award.share_percent.to_string();
            writeln!(out, "{}", fill(&texts.share, &[("percent", &percent)]))?;
        }
        if let Some(condition) = &award.condition {
            let condition = text_or(&texts.conditions, &award.category, condition);
            writeln!(out, "{}", fill(&texts.condition, &[("condition", condition)]))?;
        }
        self.benefit(out)?;
        self.income(out)?;
        self.foot(out, hash)
    }

    fn refusal(&self, out: &mut String, grounds: &[Ground], hash: &str) -> std::fmt::Result {
        let texts = self.texts;
        self.head(out, &texts.refusal_title)?;
        writeln!(out, "{}", texts.refusal)?;
        for (at, ground) in grounds.iter().enumerate() {
            let clause = clause_name(ground.clause);
            let words = self.clause(ground.clause);
            let clause = fill(&texts.ground_clause, &[("clause", &clause)]);
            writeln!(out, "{}. {words} ({clause})", at + 1)?;
            for record in &ground.records {
                writeln!(out, "   - {}", self.record(record))?;
            }
        }
        self.foot(out, hash)
    }

    fn head(&self, out: &mut String, title: &str) -> std::fmt::Result {
        let (texts, case, rules) = (self.texts, &self.profile.case, &self.profile.assessment.rules);
        writeln!(out, "{title}\n")?;
        let (name, pinfl) = (self.name(case.applicant), case.applicant);
        let values = [("name", name.as_str()), ("pinfl", pinfl.as_str())];
        writeln!(out, "{}", fill(&texts.applicant, &values))?;
        let (date, act) =
            (texts.date(case.application_date), text_or(&texts.acts, &rules.id, &rules.title));
        writeln!(out, "{}\n", fill(&texts.applied, &[("date", &date), ("act", act)]))?;
        let members = &self.profile.family.members;
        let count = members.len().to_string();
        writeln!(out, "{}", fill(&texts.family, &[("count", &count)]))?;
        for member in members {
            let (name, born) = (self.name(member.pinfl), texts.date(member.born));
            writeln!(out, "   - {name}, {born}, {}", member.pinfl)?;
        }
        writeln!(out)
    }

    /// How the amount was calculated, from the numbers of the benefit's step.
    fn benefit(&self, out: &mut String) -> std::fmt::Result {
        let Some(step) = self.step(Clause::Benefit) else { return Ok(()) };
        let parts = step.statement.split_once(": ").map_or("", |(_, sum)| sum);
        let parts = parts.split_once(" = ").map_or(parts, |(parts, _)| parts);
        let texts = self.texts;
        let percent = number(step, "share_percent").to_string();
        let full = texts.soum(number(step, "full_soum"));
        let monthly = texts.soum(number(step, "monthly_soum"));
        let values =
            [("parts", parts), ("full", &full), ("percent", &percent), ("monthly", &monthly)];
        writeln!(out, "{}\n", fill(&texts.benefit, &values))
    }

    fn income(&self, out: &mut String) -> std::fmt::Result {
        let (texts, assessment) = (self.texts, &self.profile.assessment);
        let window = [assessment.window.first(), assessment.window.last()];
        let [from, to] = window.map(|month| month.map_or(String::new(), |m| texts.month(*m)));
        let Some(step) = self.step(Clause::Income) else { return Ok(()) };
        let title = if step.evidence.is_empty() { &texts.no_income } else { &texts.income };
        writeln!(out, "{}", fill(title, &[("from", &from), ("to", &to)]))?;
        for record in &step.evidence {
            writeln!(out, "   - {}", self.record(record))?;
        }
        let sum = texts.soum(number(step, "sum_soum"));
        let per_member = texts.soum(per_member(step));
        let expenditure = texts.soum(number(step, "minimum_consumer_expenditure_soum"));
        let values =
            [("sum", sum.as_str()), ("per_member", &per_member), ("expenditure", &expenditure)];
        writeln!(out, "{}", fill(&texts.income_sum, &values))
    }

    fn foot(&self, out: &mut String, hash: &str) -> std::fmt::Result {
        let values = [("id", self.profile.id.as_str()), ("hash", hash)];
        writeln!(out, "\n{}\n\n{}", self.texts.appeal, fill(&self.texts.proof, &values))
    }

    /// A clause in words, with its figures.
    fn clause(&self, clause: Clause) -> String {
        let texts = self.texts;
        let words = text_or(&texts.clauses, &clause, "");
        let Some(step) = self.step(clause) else { return words.to_owned() };
        let limit = number(step, "minimum_consumer_expenditure_soum")
            .saturating_mul(number(step, "percent"))
            / 100;
        let (figure, least) =
            (number(step, "figure").to_string(), number(step, "least").to_string());
        let threshold = texts.soum(number(step, "threshold_soum"));
        let (per_member, limit) = (texts.soum(per_member(step)), texts.soum(limit));
        let values = [
            ("figure", figure.as_str()),
            ("least", &least),
            ("threshold", &threshold),
            ("per_member", &per_member),
            ("limit", &limit),
        ];
        fill(words, &values)
    }

    fn record(&self, record: &Evidence) -> String {
        let fact = fact_by(self.texts, &record.fact);
        let name = self.name(record.subject);
        let who = format!("{name}: {fact}");
        if let Fact::Income { declared_by: Some(by), .. } = &record.fact {
            let by = self.name(*by);
            let values = [("record", who.as_str()), ("declared_by", by.as_str())];
            return fill(&self.texts.record_declared, &values);
        }
        let source = record.source.to_string();
        let values =
            [("record", who.as_str()), ("source", &source), ("exchange", &record.exchange)];
        fill(&self.texts.record, &values)
    }

    fn step(&self, clause: Clause) -> Option<&Step> {
        self.profile.assessment.steps.iter().find(|step| step.clause == clause)
    }

    /// Surname and given name, or the PINFL where no population register gave them.
    fn name(&self, pinfl: Pinfl) -> String {
        let name = render::name(self.profile, pinfl);
        if name.is_empty() { pinfl.to_string() } else { name }
    }
}

fn number(step: &Step, name: &str) -> u128 {
    step.numbers.get(name).map_or(0, |number| number.0)
}

/// Income per member and month, cut to whole soum; for reading only.
fn per_member(step: &Step) -> u128 {
    let shares = number(step, "members").saturating_mul(number(step, "months"));
    number(step, "sum_soum").checked_div(shares).unwrap_or(0)
}

/// The clause's identifier, as in rule files.
fn clause_name(clause: Clause) -> String {
    let name = serde_json::to_value(clause).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What a record says, in a language, with the agency's own values.
#[must_use]
pub fn fact(fact: &Fact, language: Language) -> String {
    // Safe because: a test reads the texts of every language.
    Texts::of(language).map(|texts| fact_by(&texts, fact)).unwrap_or_default()
}

fn fact_by(texts: &Texts, fact: &Fact) -> String {
    let facts = &texts.facts;
    match fact {
        Fact::Vehicle { plate, make, year } => {
            let year = year.to_string();
            fill(&facts.vehicle, &[("plate", plate), ("make", make), ("year", &year)])
        }
        Fact::Property { cadastre_number, numerator, denominator, address } => {
            let share = format!("{numerator}/{denominator}");
            let values =
                [("number", cadastre_number.as_str()), ("share", &share), ("address", address)];
            fill(&facts.property, &values)
        }
        Fact::Deposits { at_least_soum } => {
            fill(&facts.deposits, &[("amount", &texts.amount(*at_least_soum))])
        }
        Fact::Income { month, kind, payer, amount_soum, .. } => {
            let template = if payer.is_empty() { &facts.income } else { &facts.income_from };
            let month = texts.month(*month);
            let kind = text_or(&texts.kinds, kind, "");
            let payer = text_or(&texts.payers, payer, payer);
            let amount = texts.amount(*amount_soum);
            let values =
                [("month", month.as_str()), ("kind", kind), ("payer", payer), ("amount", &amount)];
            fill(template, &values)
        }
        Fact::AbleToWork => facts.able.clone(),
        Fact::NotAbleToWork => facts.not_able.clone(),
        Fact::NoRecordOfInability => facts.no_record_of_inability.clone(),
    }
}
