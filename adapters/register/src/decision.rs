//! What is decided, and every step on the way with its clause, numbers and records.

use std::collections::BTreeMap;
use std::fmt;

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::case::{Question, Waiting};
use crate::income::{self, IncomeKind};
use crate::money::{Number, Soum};
use crate::month::Month;
use crate::redact::redact;
use crate::source::SourceName;

/// The part of the rules that a step applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clause {
    /// The applicant is known and belongs to the family.
    Applicant,
    /// Not more dwellings than allowed.
    Dwellings,
    /// No non-residential property.
    NonResidential,
    /// No young working vehicle.
    VehicleAge,
    /// Not too many working vehicles.
    VehicleCount,
    /// No large deposits.
    Deposits,
    /// Income per member above every band.
    Income,
    /// The band that the income per member lies in.
    IncomeBand,
    /// Whether a member is able to work.
    AbilityToWork,
    /// The amount of the benefit.
    Benefit,
}

/// The outcome of a step in Kleene's three-valued logic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "truth", rename_all = "snake_case", deny_unknown_fields)]
pub enum Truth {
    /// It holds, whatever absent sources may say.
    Yes,
    /// It does not hold, whatever absent sources may say.
    No,
    /// It depends on what is awaited.
    Unknown {
        /// What is awaited.
        waiting: Waiting,
    },
}

impl Truth {
    /// Yes or no when nothing is awaited.
    pub(crate) fn known(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Unknown while something is awaited, else no.
    pub(crate) fn no_unless(waiting: Waiting) -> Self {
        if waiting.is_empty() { Self::No } else { Self::Unknown { waiting } }
    }
}

/// A record of a source that a step rests on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Whom the record is about.
    pub subject: Pinfl,
    /// The source that said so.
    pub source: SourceName,
    /// The exchange that proves it.
    pub exchange: String,
    /// What the record says.
    pub fact: Fact,
}

/// What a record says that a step rests on: a letter names it in the reader's language.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fact {
    /// A vehicle.
    Vehicle {
        /// Number plate.
        plate: String,
        /// Make and model.
        make: String,
        /// Year made.
        year: i16,
    },
    /// A property and the share owned.
    Property {
        /// Cadastre number.
        cadastre_number: String,
        /// Numerator of the share.
        numerator: u32,
        /// Denominator of the share.
        denominator: u32,
        /// Address.
        address: String,
    },
    /// Deposits of at least this much; the bank names no balance.
    Deposits {
        /// The threshold that was asked for.
        at_least_soum: Soum,
    },
    /// A counted income.
    Income {
        /// The month.
        month: Month,
        /// What it is.
        kind: IncomeKind,
        /// Who pays, or what it is for; may be empty.
        payer: String,
        /// The amount.
        amount_soum: Soum,
        /// Who declared it, where no source knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        declared_by: Option<Pinfl>,
    },
    /// Able to work.
    AbleToWork,
    /// Not able to work.
    NotAbleToWork,
    /// The labour agency does not know the person.
    NoRecordOfInability,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vehicle { plate, make, year } => write!(f, "vehicle {plate}, {make}, {year}"),
            Self::Property { cadastre_number, numerator, denominator, address } => {
                write!(f, "property {cadastre_number}, share {numerator}/{denominator}, {address}")
            }
            Self::Deposits { at_least_soum } => {
                write!(f, "deposits of at least {at_least_soum} soum")
            }
            Self::Income { month, kind, payer, amount_soum, declared_by } => {
                write!(f, "{month} {}: {amount_soum}", income::label(*kind, payer, *declared_by))
            }
            Self::AbleToWork => f.write_str("able to work"),
            Self::NotAbleToWork => f.write_str("not able to work"),
            Self::NoRecordOfInability => f.write_str("no record of inability"),
        }
    }
}

/// One step of the arithmetic.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The clause applied.
    pub clause: Clause,
    /// What was asked, in words, with the arithmetic written out.
    pub statement: String,
    /// The numbers, by name.
    pub numbers: BTreeMap<String, Number>,
    /// Whether it holds.
    pub result: Truth,
    /// The records that it rests on.
    pub evidence: Vec<Evidence>,
}

/// A ground of refusal, as the letter names it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// The clause.
    pub clause: Clause,
    /// The clause in words.
    pub text: String,
    /// The records that decided.
    pub records: Vec<Evidence>,
}

/// The support that a family is entitled to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// Category of family, such as `poor-family`.
    pub category: String,
    /// Share of the full benefit in percent.
    pub share_percent: u32,
    /// Benefit a month.
    pub monthly_soum: Soum,
    /// Months of support.
    pub months: u32,
    /// On what condition.
    pub condition: Option<String>,
}

/// The decision. Once it is not pending, no answer of an absent source could turn it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Decision {
    /// The family is entitled to support.
    Eligible(Entitlement),
    /// The family is not entitled; an absent source could only add grounds.
    NotEligible {
        /// Every ground found.
        grounds: Vec<Ground>,
        /// The right to appeal, in words.
        appeal: String,
    },
    /// Neither yet.
    Pending {
        /// Sources whose answer could matter.
        sources: Vec<SourceName>,
        /// Questions to the officer.
        officer: Vec<Question>,
    },
}
redact!(Evidence, Fact, Step, Ground, Decision);
