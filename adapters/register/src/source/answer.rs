//! Answers by the kind of source, and all answers of a case.

use std::collections::{BTreeMap, BTreeSet};

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use super::{Absence, AbsenceCause, Provenance, SourceKind, SourceName, Sourced};
use crate::answers::{
    DepositTest, Employment, Enrolment, FamilyRecord, Income, Pensions, Person, Properties, Status,
    Vehicles,
};
use crate::redact::redact;

macro_rules! answer_kinds {
    ($($kind:ident($contract:ident) $read:ident,)*) => {
        /// What one source said about one person, by the kind of source.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each variant is the kind of source that SourceKind describes")]
        pub enum Answer {
            $($kind(Sourced<$contract>),)*
        }

        impl Answer {
            /// The kind of source.
            #[must_use]
            pub fn kind(&self) -> SourceKind {
                match self { $(Self::$kind(_) => SourceKind::$kind,)* }
            }

            /// Where the answer comes from; `None` when the source is absent.
            #[must_use]
            pub fn provenance(&self) -> Option<&Provenance> {
                match self { $(Self::$kind(sourced) => sourced.provenance(),)* }
            }

            /// Why the answer is absent; `None` when the source answered.
            #[must_use]
            pub fn absence(&self) -> Option<&Absence> {
                match self { $(Self::$kind(sourced) => sourced.absence(),)* }
            }

            /// Whether the question was refused.
            #[must_use]
            pub fn is_forbidden(&self) -> bool {
                match self { $(Self::$kind(sourced) => sourced.is_forbidden(),)* }
            }

            /// Whether the source does not know the person.
            #[must_use]
            pub fn is_no_record(&self) -> bool {
                match self {
                    $(Self::$kind(sourced) => matches!(sourced, Sourced::NoRecord { .. }),)*
                }
            }

            /// Reads a source's answer about `subject` from the JSON of its contract.
            ///
            /// # Errors
            /// [`AbsenceCause::NotAccordingToContract`] when the JSON has another shape,
            /// [`AbsenceCause::AnotherPerson`] when it is about somebody else.
            pub fn read(
                kind: SourceKind,
                subject: Pinfl,
                json: &[u8],
                provenance: Provenance,
            ) -> Result<Self, AbsenceCause> {
                match kind {
                    $(SourceKind::$kind => {
                        let value: $contract = serde_json::from_slice(json)
                            .map_err(|_| AbsenceCause::NotAccordingToContract)?;
                        if value.pinfl != subject {
                            return Err(AbsenceCause::AnotherPerson);
                        }
                        Ok(Self::$kind(Sourced::Value { value, provenance }))
                    })*
                }
            }

            /// The answer of a source that does not know the person.
            #[must_use]
            pub fn no_record(kind: SourceKind, provenance: Provenance) -> Self {
                match kind {
                    $(SourceKind::$kind => Self::$kind(Sourced::NoRecord { provenance }),)*
                }
            }

            /// The absent answer: forbidden when access was denied, unavailable otherwise.
            #[must_use]
            pub fn absent(kind: SourceKind, reason: Absence) -> Self {
                match (kind, reason.cause) {
                    $((SourceKind::$kind, AbsenceCause::AccessDenied) => {
                        Self::$kind(Sourced::Forbidden { reason })
                    }
                    (SourceKind::$kind, _) => Self::$kind(Sourced::Unavailable { reason }),)*
                }
            }

            $(
                /// The answer when it is of this kind.
                #[must_use]
                pub fn $read(&self) -> Option<&Sourced<$contract>> {
                    if let Self::$kind(sourced) = self { Some(sourced) } else { None }
                }
            )*
        }
    };
}

answer_kinds! {
    CivilRegistry(FamilyRecord) civil_registry,
    Population(Person) population,
    Tax(Income) tax,
    Pensions(Pensions) pensions,
    Accounts(DepositTest) accounts,
    Cadastre(Properties) cadastre,
    Vehicles(Vehicles) vehicles,
    Employment(Employment) employment,
    Education(Enrolment) education,
    SocialAgency(Status) social_agency,
}

/// All answers of a case, by person and source.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers(BTreeMap<Pinfl, BTreeMap<SourceName, Answer>>);
redact!(Answers);

/// A source has answered twice about one person; the first answer stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source {0} has answered twice about one person; the register asks once")]
pub struct AnsweredTwice(pub SourceName);

impl Answers {
    /// Adds an answer of `source` about `subject`.
    ///
    /// # Errors
    /// [`AnsweredTwice`] when the source has already answered about the person.
    pub fn insert(
        &mut self,
        subject: Pinfl,
        source: SourceName,
        answer: Answer,
    ) -> Result<(), AnsweredTwice> {
        let of_subject = self.0.entry(subject).or_default();
        if of_subject.contains_key(&source) {
            return Err(AnsweredTwice(source));
        }
        of_subject.insert(source, answer);
        Ok(())
    }

    /// The answer of `source` about `subject`, when the source was asked.
    #[must_use]
    pub fn get(&self, subject: Pinfl, source: &SourceName) -> Option<&Answer> {
        self.0.get(&subject)?.get(source)
    }

    /// All answers with their subject and source, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Pinfl, &SourceName, &Answer)> {
        self.0.iter().flat_map(|(subject, by_source)| {
            by_source.iter().map(|(source, answer)| (*subject, source, answer))
        })
    }

    /// Everyone an answer is about.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<Pinfl> {
        self.0.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_answer_is_forbidden_only_when_access_was_denied() {
        let absent = |cause| Answer::absent(SourceKind::Tax, Absence::of(cause));
        let denied = absent(AbsenceCause::AccessDenied);
        assert!(matches!(denied, Answer::Tax(Sourced::Forbidden { .. })));
        let timed_out = absent(AbsenceCause::TimedOut);
        assert!(matches!(timed_out, Answer::Tax(Sourced::Unavailable { .. })));
    }
}
