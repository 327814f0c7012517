//! Who is paid for a month: stored decisions and declared accounts become entitlements, and every
//! family that gets nothing has its reason.
//!
//! The amount is that of the month: the final rating's, or that of the last monitoring up to the
//! month; monitoring of a later month changes nothing about it, and neither does a later stop.
//! Source: CM resolution 35 (S); the reasons and their order are our own (I). Left out: arrears; a family
//! that was left out is paid for that month by a correction of a later one.

use std::collections::BTreeMap;

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::application::{Application, Outcome, Rating, Stage, State};
use crate::decision;
use crate::money::Soum;
use crate::month::Month;
use crate::payment::closing::Entitlement;
use crate::payment::line::{AccountNumber, BenefitCode, Branch, FamilyId, Ground, Malformed};
use crate::redact::redact;

/// Why a family gets nothing for a month.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// The questionnaire or the final rating is still to come.
    #[error("awaits its questionnaire or final rating")]
    AwaitsDecision,
    /// It is not supported.
    #[error("was refused")]
    Refused,
    /// Its support begins in a later month.
    #[error("is supported from a later month on")]
    BeginsLater,
    /// Its support has ended and it has not applied again.
    #[error("has not applied again after its support ended")]
    Ended,
    /// Its support has ended; the application that renews it counts for itself.
    #[error("is renewed by a later application")]
    Renewed,
    /// Monitoring has stopped its support.
    #[error("was stopped by monitoring")]
    Stopped,
    /// The recipient has died.
    #[error("lost its recipient")]
    RecipientDied,
    /// The recipient has declared no account.
    #[error("has declared no account")]
    NoAccount,
    /// Category or profile of the decision cannot stand in a line; a defect.
    #[error("has a decision that no line can name")]
    Unwritable,
}

/// The families of a closed month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Families {
    /// Families that are to be paid by a stored decision.
    pub entitled_count: usize,
    /// Lines that were asked for beside the decisions.
    pub corrections_count: usize,
    /// Families that get nothing, by reason.
    pub left_out: BTreeMap<LeftOut, usize>,
}

/// Where a person is paid, as she has declared it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredAccount {
    /// The account.
    pub account: AccountNumber,
    /// The bank's branch.
    pub branch: Branch,
}

/// A decision that is in force in a month.
#[derive(Clone, PartialEq, Eq)]
pub struct FamilyDue {
    recipient: Pinfl,
    family: FamilyId,
    benefit: BenefitCode,
    amount_soum: Soum,
    ground: Ground,
}
redact!(DeclaredAccount, FamilyDue);

/// What a month is closed with.
#[derive(Clone, Debug, Default)]
pub struct MonthDue {
    pub(crate) entitlements: Vec<Entitlement>,
    pub(crate) families: Families,
}

impl MonthDue {
    /// Adds a family that is paid.
    pub fn pay(&mut self, family_due: FamilyDue, to: DeclaredAccount) {
        let FamilyDue { recipient, family, benefit, amount_soum, ground } = family_due;
        let DeclaredAccount { account, branch } = to;
        let entitlement =
            Entitlement { family, benefit, recipient, account, amount_soum, ground, branch };
        self.entitlements.push(entitlement);
        self.families.entitled_count = self.families.entitled_count.saturating_add(1);
    }

    /// Adds a family that is not.
    pub fn leave_out(&mut self, reason: LeftOut) {
        let count = self.families.left_out.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds what no stored decision says.
    pub fn correct(&mut self, corrections: Vec<Entitlement>) {
        let count = corrections.len();
        self.families.corrections_count = self.families.corrections_count.saturating_add(count);
        self.entitlements.extend(corrections);
    }
}

impl From<Vec<Entitlement>> for MonthDue {
    fn from(corrections: Vec<Entitlement>) -> Self {
        let mut month_due = Self::default();
        month_due.correct(corrections);
        month_due
    }
}

impl FamilyDue {
    /// Who is paid.
    #[must_use]
    pub fn recipient(&self) -> Pinfl {
        self.recipient
    }

    /// How much for the month.
    #[must_use]
    pub fn amount_soum(&self) -> Soum {
        self.amount_soum
    }

    /// The decision of an application that is in force in `month`.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn in_force(application: &Application, month: Month) -> Result<Self, LeftOut> {
        let (rating, support) = in_force(application, month)?;
        let unwritable = |_: Malformed| LeftOut::Unwritable;
        Ok(Self {
            recipient: application.applicant(),
            family: application.id().parse().map_err(unwritable)?,
            benefit: support.category.parse().map_err(unwritable)?,
            amount_soum: support.monthly_soum,
            ground: rating.profile.parse().map_err(unwritable)?,
        })
    }
}

fn in_force(
    application: &Application,
    month: Month,
) -> Result<(&Rating, &decision::Entitlement), LeftOut> {
    let (stopped, renewed) = match application.state() {
        State::AwaitsQuestionnaire { .. } | State::AwaitsFinalRating { .. } => {
            return Err(LeftOut::AwaitsDecision);
        }
        State::Refused => return Err(LeftOut::Refused),
        State::Registered { renewed_by, .. } => (None, renewed_by.is_some()),
        State::Stopped { month } => (Some(*month), false),
    };
    let decisions = || application.ratings().iter().filter_map(eligible);
    let decided = decisions().rfind(|(rating, _)| rating.stage == Stage::Final);
    let (_, support) = decided.ok_or(LeftOut::Refused)?;
    let from = application.counts_for();
    if month < from {
        return Err(LeftOut::BeginsLater);
    }
    if stopped.is_some_and(|stopped| month >= stopped) {
        return Err(LeftOut::Stopped);
    }
    if month >= from.plus(support.months) {
        return Err(if renewed { LeftOut::Renewed } else { LeftOut::Ended });
    }
    let by_then = |(rating, _): &(&Rating, _)| match rating.stage {
        Stage::Final => true,
        Stage::Monitoring(of) => of <= month,
        Stage::Preliminary => false,
    };
    decisions().rfind(by_then).ok_or(LeftOut::Refused)
}

fn eligible(rating: &Rating) -> Option<(&Rating, &decision::Entitlement)> {
    match &rating.outcome {
        Outcome::Eligible(support) => Some((rating, support)),
        Outcome::NotEligible | Outcome::Pending => None,
    }
}
