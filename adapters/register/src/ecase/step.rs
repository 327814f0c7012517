//! What officers do with a case, and what they say about it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::limits::GROUND_MAX_CHARS;
use serde::{Deserialize, Serialize};

use super::scale::{Needs, Points};
use crate::access::{Operation, Role};
use crate::redact::redact;

/// Why something is done: the law, or what was seen. Never empty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ground(String);
redact!(Ground);

/// The text is not a ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every act needs a ground of 1 to 1000 characters; say why")]
pub struct NotAGround;

impl TryFrom<String> for Ground {
    type Error = NotAGround;

    fn try_from(text: String) -> Result<Self, NotAGround> {
        let fits = !text.trim().is_empty() && text.chars().count() <= GROUND_MAX_CHARS;
        if fits { Ok(Self(text)) } else { Err(NotAGround) }
    }
}

impl From<Ground> for String {
    fn from(ground: Ground) -> Self {
        ground.0
    }
}

/// Whether services are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Services are granted.
    Granted,
    /// They are refused.
    Refused,
}

/// Why a case is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The person wishes so.
    OwnWish,
    /// The person needs the services no more.
    NeedMet,
    /// The person has been abroad for more than a month.
    Abroad,
    /// The person lives in an institution.
    Institution,
    /// The person has died.
    Death,
}

impl CloseReason {
    /// Whether the person was removed against the own wish and may appeal.
    #[must_use]
    pub fn is_removal(self) -> bool {
        matches!(self, Self::NeedMet | Self::Abroad | Self::Institution)
    }
}

/// A service of an individual plan.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedService {
    /// Its code, such as `home-care`.
    pub code: String,
    /// Who gives it.
    pub provider: String,
    /// Hours a week.
    pub weekly_hours: u16,
}
redact!(PlannedService);

/// Points of both scales.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BothScales {
    /// Barthel items.
    pub barthel: Points,
    /// Lawton items.
    pub lawton: Points,
}
redact!(BothScales);

/// One step of a case.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The social worker opens the case.
    Open,
    /// The questionnaire at home is filled.
    FillQuestionnaire {
        /// Answers by question.
        answers: BTreeMap<String, String>,
    },
    /// The needs are assessed.
    AssessNeeds {
        /// The points given.
        points: BothScales,
    },
    /// The multidisciplinary group decides.
    Decide {
        /// Whether services are granted.
        outcome: Outcome,
        /// Members of the group, by officer or profession.
        group: Vec<String>,
    },
    /// An individual plan is offered.
    OfferPlan {
        /// Its services.
        services: Vec<PlannedService>,
    },
    /// The person accepts the plan.
    AcceptPlan,
    /// The person declines the plan.
    DeclinePlan,
    /// A service of the plan was given.
    RecordService {
        /// Its code.
        code: String,
        /// On which day.
        day: Date,
    },
    /// A monitoring visit was made.
    RecordVisit {
        /// On which day.
        day: Date,
        /// What was found.
        findings: String,
    },
    /// The person went abroad.
    RecordAbroad {
        /// First day abroad.
        since: Date,
    },
    /// The person came back.
    RecordReturn,
    /// The case is closed.
    Close {
        /// Why.
        reason: CloseReason,
    },
    /// The person appeals against a refusal or a removal.
    Appeal,
    /// The appeal is decided on corrected data.
    DecideAppeal {
        /// Whether services are granted.
        outcome: Outcome,
        /// A new assessment, where there was one.
        points: Option<BothScales>,
    },
}
redact!(Step);

impl Step {
    /// What an officer must be permitted to do for this step.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Decide { .. } => Operation::DecideCase,
            Self::DecideAppeal { .. } => Operation::DecideAppeal,
            _ => Operation::WorkOnCase,
        }
    }

    /// Whether the step decides, and so needs a snapshot of the profile.
    #[must_use]
    pub fn decides(&self) -> bool {
        matches!(self, Self::Decide { .. } | Self::DecideAppeal { .. })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> StepName {
        StepName(match self {
            Self::Open => "open",
            Self::FillQuestionnaire { .. } => "fill_questionnaire",
            Self::AssessNeeds { .. } => "assess_needs",
            Self::Decide { .. } => "decide",
            Self::OfferPlan { .. } => "offer_plan",
            Self::AcceptPlan => "accept_plan",
            Self::DeclinePlan => "decline_plan",
            Self::RecordService { .. } => "record_service",
            Self::RecordVisit { .. } => "record_visit",
            Self::RecordAbroad { .. } => "record_abroad",
            Self::RecordReturn => "record_return",
            Self::Close { .. } => "close",
            Self::Appeal => "appeal",
            Self::DecideAppeal { .. } => "decide_appeal",
        })
    }
}

/// The name of a step, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepName(&'static str);

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The profile that a decision was made on: kept by its hash, never replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRef {
    /// Where the profile is kept.
    pub id: String,
    /// SHA-256 of its canonical JSON.
    pub hash: Sha256,
}

/// A step that was taken: what, when, by whom, why, and on which profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// When.
    pub at: UnixMillis,
    /// By whom.
    pub by: String,
    /// In which role.
    pub role: Role,
    /// Why.
    pub ground: Ground,
    /// What.
    pub step: Step,
    /// The profile of a decision.
    pub snapshot: Option<SnapshotRef>,
}
redact!(Act);

/// A decision on a case. A later one stands beside it and replaces nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseDecision {
    /// Whether services are granted.
    pub outcome: Outcome,
    /// When.
    pub at: UnixMillis,
    /// By whom.
    pub by: String,
    /// The needs that it was decided on.
    pub needs: Needs,
    /// The profile that it was decided on.
    pub snapshot: SnapshotRef,
    /// Whether it came after its day.
    pub late: bool,
}
redact!(CaseDecision);
