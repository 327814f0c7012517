//! Where a case stands. A stage holds what only it has, so that no other can use it.

use jiff::civil::Date;
use schemas::clock::UnixMillis;
use serde::{Deserialize, Serialize};

use super::scale::Needs;
use super::step::{CloseReason, PlannedService};
use crate::day::tashkent_day;
use crate::redact::redact;

/// The services that were offered together.
pub type Plan = Vec<PlannedService>;

/// What an appeal is against.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "against", rename_all = "snake_case")]
pub enum Against {
    /// A refusal.
    Refusal,
    /// A removal from services.
    Removal {
        /// The plan until then.
        plan: Plan,
        /// Why the person was removed.
        reason: CloseReason,
    },
}
redact!(Against);

/// Where a case stands, named by what it awaits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// The questionnaire at home.
    AwaitsQuestionnaire,
    /// The assessment of needs.
    AwaitsNeeds,
    /// The decision of the multidisciplinary group.
    AwaitsDecision {
        /// The last day for it.
        due: Date,
        /// What was assessed.
        needs: Needs,
    },
    /// An individual plan.
    AwaitsPlan,
    /// The person's acceptance.
    AwaitsAcceptance {
        /// Until when the offer stands.
        until: UnixMillis,
        /// What is offered.
        plan: Plan,
    },
    /// Services are given.
    InService {
        /// The plan.
        plan: Plan,
        /// The last day for the next visit.
        next_visit: Date,
        /// First day abroad.
        abroad_since: Option<Date>,
    },
    /// Refused; the person may appeal.
    Refused,
    /// An appeal awaits its decision.
    AwaitsAppeal(Against),
    /// Closed; who was removed from `plan` may appeal once.
    Closed {
        /// Why.
        reason: CloseReason,
        /// The plan that the person was removed from and may claim back.
        plan: Option<Plan>,
    },
    /// Refused on appeal.
    RefusedFinally,
}
redact!(Stage);

impl Stage {
    /// Its code, as JSON names it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AwaitsQuestionnaire => "awaits_questionnaire",
            Self::AwaitsNeeds => "awaits_needs",
            Self::AwaitsDecision { .. } => "awaits_decision",
            Self::AwaitsPlan => "awaits_plan",
            Self::AwaitsAcceptance { .. } => "awaits_acceptance",
            Self::InService { .. } => "in_service",
            Self::Refused => "refused",
            Self::AwaitsAppeal(_) => "awaits_appeal",
            Self::Closed { .. } => "closed",
            Self::RefusedFinally => "refused_finally",
        }
    }

    /// What the case awaits, in words for officers.
    #[must_use]
    pub fn awaits(&self) -> &'static str {
        match self {
            Self::AwaitsQuestionnaire => "the questionnaire",
            Self::AwaitsNeeds => "the assessment of needs",
            Self::AwaitsDecision { .. } => "the decision of the multidisciplinary group",
            Self::AwaitsPlan => "an individual plan",
            Self::AwaitsAcceptance { .. } => "the person's acceptance of the plan",
            Self::InService { .. } => "services and visits",
            Self::Refused => "nothing but an appeal, for it is refused",
            Self::AwaitsAppeal(_) => "the decision of the appeal",
            Self::Closed { plan: Some(_), .. } => "nothing but an appeal, for it is closed",
            Self::Closed { plan: None, .. } => "nothing, for it is closed",
            Self::RefusedFinally => "nothing, for it is refused on appeal",
        }
    }

    /// The last day for what the case awaits; `None` where no day is set.
    #[must_use]
    pub fn due(&self) -> Option<Date> {
        match self {
            Self::AwaitsDecision { due, .. } => Some(*due),
            Self::AwaitsAcceptance { until, .. } => Some(tashkent_day(*until)),
            Self::InService { next_visit, .. } => Some(*next_visit),
            _ => None,
        }
    }

    /// Whether work on the case goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Refused | Self::Closed { .. } | Self::RefusedFinally)
    }
}
