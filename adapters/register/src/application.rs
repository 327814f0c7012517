//! An application: filed and rated at once, questionnaire at home, final rating, notice, monthly
//! monitoring, recertification. Every step consumes the application and refuses what the rules forbid.
//!
//! ```text
//!          ┌─ not eligible ─────────────────────────────────► Refused ─┐
//! file ────┤                                                    ▲      ├─ notice
//!          └─ else ► AwaitsQuestionnaire ► AwaitsFinalRating ───┤      │
//!                        due: 3 working days   due: 3 more      └► Registered ─ monitoring ► Stopped
//!                                              pending: stays        until recertified
//! ```
//!
//! A preliminary refusal ends the application (I): it holds whatever an absent source may say, so
//! a visit cannot change it. Source of the timetable: CM resolution 35, in `rules/timetable.toml`.

pub mod calendar;
mod steps;
pub mod timetable;

use std::collections::BTreeSet;

use jiff::civil::Date;
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Entitlement};
use crate::month::Month;
use crate::redact::redact;

pub use self::steps::Filing;

/// Ratings of one application: two of its own, and one for each month of support, pending ones
/// repeated.
pub const RATINGS_MAX_COUNT: usize = 256;
/// Characters of a questionnaire's note.
pub const NOTE_MAX_CHARS: usize = 2_000;

/// Why a step is refused. No text holds personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Entry is closed at the end of the month.
    #[error("register: entry of applications is closed; file it on {opens} or later")]
    EntryClosed {
        /// First day of entry.
        opens: Date,
    },
    /// The calendar of working days does not reach.
    #[error("register: the calendar of working days has no year {year}; add it to calendar.toml")]
    NoCalendar {
        /// The year.
        year: i16,
    },
    /// The step does not follow the state.
    #[error("register: {step} does not follow: the application is {state}")]
    OutOfTurn {
        /// The step.
        step: &'static str,
        /// The state, in words.
        state: &'static str,
    },
    /// A day lies before the step that it follows, or in the future.
    #[error("register: the day of {step} is refused: give one from {earliest} to {latest}")]
    Day {
        /// The step.
        step: &'static str,
        /// First day.
        earliest: Date,
        /// Last day.
        latest: Date,
    },
    /// Too many ratings, or too long a note.
    #[error("register: {what} is beyond the limit of {limit}; {repair}")]
    Limit {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What to do.
        repair: &'static str,
    },
}

/// What a rating is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// On filing.
    Preliminary,
    /// After the questionnaire.
    Final,
    /// Monthly, of a registered family.
    Monitoring(Month),
}

/// What a rating found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Support.
    Eligible(Entitlement),
    /// None; whatever absent sources may say.
    NotEligible,
    /// Something that matters is not known.
    Pending,
}

impl From<&Decision> for Outcome {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Eligible(entitlement) => Self::Eligible(entitlement.clone()),
            Decision::NotEligible { .. } => Self::NotEligible,
            Decision::Pending { .. } => Self::Pending,
        }
    }
}

/// One rating, with the sealed profile that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    /// What it was for.
    pub stage: Stage,
    /// The day.
    pub on: Date,
    /// Identifier of the profile.
    pub profile: String,
    /// SHA-256 of the profile.
    pub profile_hash: Sha256,
    /// What it found.
    pub outcome: Outcome,
}

/// What a social worker found at the family's home.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questionnaire {
    /// Day of the visit.
    pub visited_on: Date,
    /// Whether the family that the registers give lives there.
    pub family_confirmed: bool,
    /// In the social worker's words.
    pub note: String,
}

/// Where an application stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    /// Rated preliminarily; the home questionnaire is next.
    AwaitsQuestionnaire {
        /// Last day.
        due: Date,
    },
    /// The final rating is next.
    AwaitsFinalRating {
        /// Last day.
        due: Date,
    },
    /// The family is supported.
    Registered {
        /// The support.
        entitlement: Entitlement,
        /// First month.
        from: Month,
        /// First month without support, unless the family is rated again.
        until: Month,
        /// The application that rates the family again.
        renewed_by: Option<String>,
    },
    /// The family is not supported.
    Refused,
    /// Monitoring found a changed outcome: nothing is paid any more.
    Stopped {
        /// First month without payment.
        month: Month,
    },
}

impl State {
    /// The state's word, which it is found by.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::AwaitsQuestionnaire { .. } => "awaits-questionnaire",
            Self::AwaitsFinalRating { .. } => "awaits-final-rating",
            Self::Registered { .. } => "registered",
            Self::Refused => "refused",
            Self::Stopped { .. } => "stopped",
        }
    }
}

/// The months for which a family is supported, and so registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Award {
    /// First month.
    pub from: Month,
    /// First month without support.
    pub until: Month,
}

/// The notice of the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Day of the decision.
    pub decided_on: Date,
    /// Last day.
    pub due: Date,
    /// When it was sent.
    pub sent_on: Option<Date>,
}

/// What somebody has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Visit the family.
    Questionnaire,
    /// Rate it finally.
    FinalRating,
    /// Tell it the decision.
    Notice,
    /// Have it apply again.
    Recertification,
}

/// An application. Only the steps of this module change it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    id: String,
    applicant: Pinfl,
    filed_on: Date,
    counts_for: Month,
    members: BTreeSet<Pinfl>,
    state: State,
    ratings: Vec<Rating>,
    questionnaire: Option<Questionnaire>,
    notice: Option<Notice>,
    recertification_due: Option<Date>,
}
redact!(Application, Questionnaire);

impl Application {
    /// Its identifier, a UUID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who applies.
    #[must_use]
    pub fn applicant(&self) -> Pinfl {
        self.applicant
    }

    /// Day of filing; ratings before the decision are made for this day.
    #[must_use]
    pub fn filed_on(&self) -> Date {
        self.filed_on
    }

    /// The month that it counts for.
    #[must_use]
    pub fn counts_for(&self) -> Month {
        self.counts_for
    }

    /// The family's members, as the last rating before the decision found them.
    #[must_use]
    pub fn members(&self) -> &BTreeSet<Pinfl> {
        &self.members
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Every rating, oldest first.
    #[must_use]
    pub fn ratings(&self) -> &[Rating] {
        &self.ratings
    }

    /// The notice, once there is a decision.
    #[must_use]
    pub fn notice(&self) -> Option<&Notice> {
        self.notice.as_ref()
    }

    /// The home questionnaire.
    #[must_use]
    pub fn questionnaire(&self) -> Option<&Questionnaire> {
        self.questionnaire.as_ref()
    }

    /// What is to be done next, and by when.
    #[must_use]
    pub fn duty(&self) -> Option<(Duty, Date)> {
        let notice = self.notice.as_ref().filter(|notice| notice.sent_on.is_none());
        match (&self.state, notice) {
            (State::AwaitsQuestionnaire { due }, _) => Some((Duty::Questionnaire, *due)),
            (State::AwaitsFinalRating { due }, _) => Some((Duty::FinalRating, *due)),
            (_, Some(notice)) => Some((Duty::Notice, notice.due)),
            (State::Registered { renewed_by: None, .. }, None) => {
                self.recertification_due.map(|due| (Duty::Recertification, due))
            }
            _ => None,
        }
    }

    /// The support that is paid for `month`.
    #[must_use]
    pub fn support_in(&self, month: Month) -> Option<&Entitlement> {
        match &self.state {
            State::Registered { entitlement, from, until, .. } => {
                (*from <= month && month < *until).then_some(entitlement)
            }
            _ => None,
        }
    }

    /// The award that its final rating made, as far as monitoring has left it in force.
    #[must_use]
    pub fn award(&self) -> Option<Award> {
        match &self.state {
            State::Registered { from, until, .. } => Some(Award { from: *from, until: *until }),
            // Only a registered family is stopped; its support began with the month it applied for.
            State::Stopped { month } => Some(Award { from: self.counts_for, until: *month }),
            _ => None,
        }
    }

    /// The rating of `month`'s monitoring that found something.
    #[must_use]
    pub fn monitored_in(&self, month: Month) -> Option<&Rating> {
        self.ratings.iter().find(|rating| {
            rating.stage == Stage::Monitoring(month) && rating.outcome != Outcome::Pending
        })
    }
}
