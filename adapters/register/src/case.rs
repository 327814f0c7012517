//! A case: one application with all answers about it, which is everything a decision depends on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::answers::{FamilyRecord, Person};
use crate::money::Soum;
use crate::month::Month;
use crate::redact::redact;
use crate::source::{Answer, Answers, Provenance, SourceKind, SourceName, Sourced};

/// Declared incomes in one application: every member, kind and month of the window fits.
pub const DECLARED_MAX_COUNT: usize = 64;
/// Characters of what a declared income is for; it stands in letters.
const DECLARED_FOR_MAX_CHARS: usize = 80;

/// One application with all answers about it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Who applies.
    pub applicant: Pinfl,
    /// Day of the application; ages, windows and rule figures are taken on this day.
    pub application_date: Date,
    /// The sources that the register asks, with their kinds.
    pub sources: BTreeMap<SourceName, SourceKind>,
    /// Their answers.
    pub answers: Answers,
    /// Income that the applicant declares and no source knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<Declared>,
}

/// Informal income of one month, as declared in the application. It counts like any other and is
/// marked wherever it is shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Whose income.
    pub member: Pinfl,
    /// The month.
    pub month: Month,
    /// The amount.
    pub amount_soum: Soum,
    /// What it is for, in the applicant's words.
    pub what: DeclaredFor,
    /// Who declares it.
    pub declared_by: Pinfl,
}
redact!(Case, Declared);

/// What a declared income is for: 1 to 80 characters, none of them a control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DeclaredFor(String);

impl DeclaredFor {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for DeclaredFor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let length = (1..=DECLARED_FOR_MAX_CHARS).contains(&text.chars().count());
        if length && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(de::Error::custom("say what an income is for in 1 to 80 printable characters"))
        }
    }
}

/// A source's answer as a rule hears it: unavailable, forbidden and never asked are one here,
/// because the source may know anything in all three.
pub(crate) enum Heard<'a, T> {
    Value(&'a T, &'a Provenance),
    NoRecord(&'a Provenance),
    Absent(SourceName),
}

impl Case {
    /// What every source of `kind` says about `subject`; where none is configured, one absent
    /// source under the kind's own name.
    pub(crate) fn hear<'a, T>(
        &'a self,
        subject: Pinfl,
        kind: SourceKind,
        read: impl Fn(&'a Answer) -> Option<&'a Sourced<T>>,
    ) -> Vec<Heard<'a, T>> {
        let mut heard = Vec::new();
        for (name, _) in self.sources.iter().filter(|(_, of_kind)| **of_kind == kind) {
            heard.push(match self.answers.get(subject, name).and_then(&read) {
                Some(Sourced::Value { value, provenance }) => Heard::Value(value, provenance),
                Some(Sourced::NoRecord { provenance }) => Heard::NoRecord(provenance),
                Some(Sourced::Unavailable { .. } | Sourced::Forbidden { .. }) | None => {
                    Heard::Absent(name.clone())
                }
            });
        }
        if heard.is_empty() {
            heard.push(Heard::Absent(kind.default_name()));
        }
        heard
    }

    /// The first civil registry's word on `subject`.
    pub(crate) fn family_record(&self, subject: Pinfl) -> Heard<'_, FamilyRecord> {
        let kind = SourceKind::CivilRegistry;
        self.hear(subject, kind, Answer::civil_registry).swap_remove(0)
    }

    /// The first population register's word on `subject`.
    pub(crate) fn person(&self, subject: Pinfl) -> Heard<'_, Person> {
        self.hear(subject, SourceKind::Population, Answer::population).swap_remove(0)
    }
}

/// What has to come before something is certain: answers of sources, or an officer's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Sources whose answer is absent and could matter.
    pub sources: BTreeSet<SourceName>,
    /// Questions that only an officer can answer.
    pub officer: BTreeSet<Question>,
}

/// A question to the officer: the registers contradict each other, or the rule is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// One register has a death, another has the person alive.
    DeadInOneRegister,
    /// A child may belong to another family.
    ChildOfTwoFamilies,
    /// The two spouses' records disagree about their marriage.
    MarriageDiffers,
    /// The family owns a share of a second dwelling.
    ShareOfSecondDwelling,
}

impl Question {
    /// The question in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::DeadInOneRegister => "which register is right about a death",
            Self::ChildOfTwoFamilies => "which family a child belongs to",
            Self::MarriageDiffers => "whether the marriage still stands",
            Self::ShareOfSecondDwelling => "whether a share of a second dwelling counts",
        }
    }
}

impl Waiting {
    /// Nothing is awaited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.officer.is_empty()
    }

    pub(crate) fn for_source(source: SourceName) -> Self {
        Self { sources: BTreeSet::from([source]), officer: BTreeSet::new() }
    }

    pub(crate) fn for_officer(question: Question) -> Self {
        Self { sources: BTreeSet::new(), officer: BTreeSet::from([question]) }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.officer.extend(other.officer);
    }
}
