//! The family: spouses and their children to 18, from civil-registry links and not from addresses.
//!
//! A grandparent at the same dwelling does not count. Members leave with a reason; co-residence is
//! a second opinion, and a contradiction between registers is flagged, never merged silently.
//! Where an absent source or an officer could still change who belongs, the member is uncertain
//! and says what is awaited. Source: CM resolution 654 and 35 (the family as the unit).

mod claim;
mod compose;

use std::collections::BTreeSet;

use jiff::civil::Date;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Waiting};
use crate::redact::redact;

pub use claim::{FamilyKey, Overlap};
pub(crate) use compose::age_on;
pub use compose::compose;

/// Children bear benefits until this age in years.
pub const CHILD_UNTIL_AGE: i16 = 18;

/// Who a member is in the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The person who applies.
    Applicant,
    /// The applicant's spouse.
    Spouse,
    /// A child under 18 of the applicant or the spouse.
    Child,
}

/// A member of the family.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The person.
    pub pinfl: Pinfl,
    /// Who the person is in the family.
    pub role: Role,
    /// Date of birth.
    pub born: Date,
    /// What is awaited before the person certainly belongs; empty when certain.
    pub uncertain: Waiting,
}

/// Why somebody whom the civil registry links to the family does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Died.
    Death,
    /// In prison.
    Prison,
    /// In a residential institution.
    Institution,
    /// Living abroad.
    Abroad,
    /// In conscript service.
    Conscription,
    /// A child that has married.
    Marriage,
    /// A child that is 18 or older.
    Age,
    /// A child of a spouse who has died; it belongs to the family of its guardian.
    ParentDied,
}

/// Somebody who has left the family.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    /// The person.
    pub pinfl: Pinfl,
    /// Who the person was in the family.
    pub role: Role,
    /// Why the person left.
    pub reason: Reason,
}

/// What does not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscrepancyKind {
    /// A member, or a spouse who is abroad, is not registered at the applicant's dwelling.
    CoResidenceDiffers,
    /// A marriage stands in one record and has ended, or never was, in the other.
    StaleMarriage,
    /// Dead in one register and alive in another.
    DeadInOneRegister,
    /// A child may belong to another family.
    ChildOfTwoFamilies,
    /// Sex or date of birth of a record is not that of the PINFL.
    IdentityDiffers,
    /// The civil registry links a person whom it has no record of.
    NoCivilRecord,
    /// The population register does not know a member.
    NoPopulationRecord,
}

/// A contradiction between registers, with the people it concerns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discrepancy {
    /// What does not fit together.
    pub kind: DiscrepancyKind,
    /// The people it concerns.
    pub persons: BTreeSet<Pinfl>,
}

/// A family as the registers give it on the day of the application.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Applicant, spouse, children by date of birth; uncertain members too.
    pub members: Vec<Member>,
    /// Who has left, with the reason.
    pub left: Vec<Departure>,
    /// What is awaited before it is certain that nobody else belongs; empty when it is.
    pub may_grow: Waiting,
    /// Contradictions between registers.
    pub discrepancies: BTreeSet<Discrepancy>,
    /// Registered at the applicant's dwelling and not of the family, such as a grandparent.
    pub other_residents: BTreeSet<Pinfl>,
}
redact!(Member, Departure, Discrepancy, Family);

impl Family {
    /// The members who certainly belong.
    pub fn certain(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.uncertain.is_empty())
    }

    /// Everything awaited before it is certain who belongs; empty when it is.
    #[must_use]
    pub fn awaited(&self) -> Waiting {
        let mut waiting = self.may_grow.clone();
        self.members.iter().for_each(|member| waiting.add(member.uncertain.clone()));
        waiting
    }
}

/// The people whose civil-registry record the composition needs next and has not asked for; empty
/// when the first wave is complete. At most three rounds: applicant; spouse and children; the
/// spouse's children.
#[must_use]
pub fn records_to_ask(case: &Case) -> BTreeSet<Pinfl> {
    let asked = |pinfl: &Pinfl| {
        case.answers
            .iter()
            .any(|(subject, _, answer)| subject == *pinfl && answer.civil_registry().is_some())
    };
    compose(case).members.into_iter().map(|member| member.pinfl).filter(|p| !asked(p)).collect()
}

/// Who is dead in the civil registry and may be alive in the population register: only that is asked about
/// them, so that a contradiction shows.
#[must_use]
pub fn deaths_to_compare(family: &Family) -> BTreeSet<Pinfl> {
    let dead = family.left.iter().filter(|who| who.reason == Reason::Death);
    dead.map(|who| who.pinfl).collect()
}
