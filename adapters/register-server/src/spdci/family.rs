//! A family as the Social Registry has it: read from its application and the profile of the last
//! rating that found something.

use jiff::civil::Date;
use register::application::{Application, Outcome, Rating, Stage, State};
use register::decision::Entitlement;
use register::month::Month;
use register::profile::Profile;
use register_store::{Store, StoreError};
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;

use crate::applications::documents::Snapshot;

/// Where a family stands, with its code (`spdci/schemas`, EnrollmentStatusEnum).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Supported.
    Active,
    /// The time of its support is over, and nobody has renewed it.
    Ended,
    /// Monitoring has stopped it: it may apply again, or appeal.
    Stopped,
}

impl Standing {
    /// The code in records of beneficiaries.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Active => "1",
            Self::Ended => "3",
            Self::Stopped => "4",
        }
    }

    /// The word in records of families.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        }
    }
}

/// A family that is or was supported.
#[derive(Clone)]
pub(crate) struct Family {
    /// The same for all applications of one applicant; it says nothing about her.
    pub(crate) id: String,
    pub(crate) application: Application,
    /// The profile of the last rating that found something.
    pub(crate) profile: Profile,
}

impl Family {
    /// The family of an application; `None` when no final rating has granted it support.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Erased`] where the applicant was erased.
    pub(crate) async fn read(
        store: &Store,
        application: Application,
    ) -> Result<Option<Self>, StoreError> {
        let (State::Registered { .. } | State::Stopped { .. }) = application.state() else {
            return Ok(None);
        };
        let Some(rating) = found_something(&application).next_back() else { return Ok(None) };
        let Some(kept) = store.get::<Snapshot>(&rating.profile).await? else { return Ok(None) };
        let Ok(profile) = serde_json::from_str(&kept.value.profile) else {
            tracing::error!(profile = rating.profile, "a kept profile cannot be read; restore it");
            return Ok(None);
        };
        let pseudonym = store.pseudonym(&application.applicant());
        let id = Sha256::of_parts(&[b"family\0", pseudonym.as_bytes()]).to_string();
        let id = id.chars().take(32).collect();
        Ok(Some(Self { id, application, profile }))
    }

    /// Who has applied.
    pub(crate) fn applicant(&self) -> Pinfl {
        self.application.applicant()
    }

    /// Where it stands on a day.
    pub(crate) fn standing(&self, today: Date) -> Standing {
        match self.application.state() {
            State::Registered { until, .. } if Month::of(today) < *until => Standing::Active,
            State::Registered { .. } => Standing::Ended,
            _ => Standing::Stopped,
        }
    }

    /// The day of the final rating.
    pub(crate) fn registered_on(&self) -> Date {
        let ratings = self.application.ratings().iter();
        let mut finally = ratings.rev().filter(|rating| rating.stage == Stage::Final);
        finally.next().map_or_else(|| self.application.filed_on(), |rating| rating.on)
    }

    /// Since when the status is what it is.
    pub(crate) fn changed_on(&self, today: Date) -> Date {
        match (self.standing(today), self.application.state()) {
            (Standing::Ended, State::Registered { until, .. }) => until.first_day(),
            (Standing::Stopped, _) => {
                found_something(&self.application).next_back().map_or(today, |rating| rating.on)
            }
            _ => self.registered_on(),
        }
    }

    /// The support that it has, or had until it was stopped.
    pub(crate) fn entitlement(&self) -> Option<&Entitlement> {
        if let State::Registered { entitlement, .. } = self.application.state() {
            return Some(entitlement);
        }
        // The last rating is the one that has stopped it.
        let before = found_something(&self.application).rev().skip(1);
        before.into_iter().find_map(|rating| match &rating.outcome {
            Outcome::Eligible(entitlement) => Some(entitlement),
            Outcome::NotEligible | Outcome::Pending => None,
        })
    }
}

/// The final rating and those of monitoring that were not pending, oldest first.
fn found_something(application: &Application) -> impl DoubleEndedIterator<Item = &Rating> {
    application
        .ratings()
        .iter()
        .filter(|rating| rating.stage != Stage::Preliminary && rating.outcome != Outcome::Pending)
}
