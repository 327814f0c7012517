//! What is kept: families, what has happened to them, and enrolments that programmes report.

use register::profile::Profile;
use register_store::{Entity, StoreKey};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A family as its latest profile gives it, under the applicant's key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Family {
    /// A random id, the same for all profiles of one applicant.
    pub(crate) id: String,
    /// When it was registered first.
    pub(crate) registered_at: UnixMillis,
    /// The latest profile.
    pub(crate) profile: Profile,
}

impl Family {
    pub(crate) fn applicant(&self) -> Option<Pinfl> {
        self.profile.family.members.first().map(|member| member.pinfl)
    }
}

impl Entity for Family {
    const KIND: &'static str = "social-family";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        self.applicant()
    }

    fn keys(&self) -> Vec<StoreKey> {
        let members = self.profile.family.members.iter();
        let mut keys: Vec<_> =
            members.map(|member| StoreKey::person("member", member.pinfl)).collect();
        keys.extend(self.applicant().map(|pinfl| StoreKey::person("applicant", pinfl)));
        keys
    }
}

/// Something that has happened to a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happened {
    /// Its place, from 1.
    pub(crate) sequence: u64,
    /// `REGISTER` or `NewHouseHoldMember`.
    pub(crate) event: String,
    /// The family.
    pub(crate) family: String,
}

/// A sequence as text that sorts.
pub(crate) fn sorted(sequence: u64) -> String {
    format!("{sequence:020}")
}

impl Entity for Happened {
    const KIND: &'static str = "social-event";

    fn id(&self) -> String {
        sorted(self.sequence)
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::plain("sequence", sorted(self.sequence))]
    }
}

/// The sequence of the latest event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latest {
    pub(crate) sequence: u64,
}

impl Entity for Latest {
    const KIND: &'static str = "social-latest";

    fn id(&self) -> String {
        "latest".to_owned()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// An enrolment that another programme reports; kept as reported.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    /// A random id.
    pub(crate) id: String,
    /// Who reports.
    pub(crate) partner: String,
    /// The beneficiary.
    pub(crate) person: Pinfl,
    /// When it was reported.
    pub(crate) reported_at: UnixMillis,
    /// As reported.
    pub(crate) beneficiary: Json,
}

impl Entity for Enrolment {
    const KIND: &'static str = "social-enrolment";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.person)
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::person("person", self.person)]
    }
}
