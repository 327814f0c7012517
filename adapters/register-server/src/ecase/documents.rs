//! How cases and the snapshots of profiles are kept.

use register::ecase::{ECase, SnapshotRef};
use register::profile::SealedProfile;
use register_store::{Entity, StoreKey};
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::desk::Problem;

/// A case, found by person, by district, and by district and due day.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CaseDocument(pub(crate) ECase);

impl Entity for CaseDocument {
    const KIND: &'static str = "case";

    fn id(&self) -> String {
        self.0.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.0.subject)
    }

    fn keys(&self) -> Vec<StoreKey> {
        let district = self.0.district.to_string();
        let due = self.0.stage().due().map(|due| format!("{district}|{due}"));
        let mut keys = vec![StoreKey::person("subject", self.0.subject)];
        keys.extend(due.map(|due| StoreKey::plain("due", due)));
        keys.push(StoreKey::plain("district", district));
        keys
    }
}

/// The profile that a decision was made on, byte by byte.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotDocument {
    id: String,
    subject: Pinfl,
    hash: Sha256,
    pub(crate) profile: String,
}

impl SnapshotDocument {
    pub(crate) fn of(id: String, subject: Pinfl, profile: &SealedProfile) -> Result<Self, Problem> {
        let text = String::from_utf8(profile.bytes().to_vec());
        let defect = |_| Problem::internal("the register: a profile is not UTF-8".to_owned());
        Ok(Self { id, subject, hash: profile.hash(), profile: text.map_err(defect)? })
    }

    pub(crate) fn reference(&self) -> SnapshotRef {
        SnapshotRef { id: self.id.clone(), hash: self.hash }
    }
}

impl Entity for SnapshotDocument {
    const KIND: &'static str = "snapshot";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.subject)
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::person("subject", self.subject)]
    }
}
