//! Enrolments that other programmes report.

use register_store::{Entity, StoreKey};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

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
