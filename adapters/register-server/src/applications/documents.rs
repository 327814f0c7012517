//! What is kept: applications, the profiles that their ratings rest on, claims, monitoring.

use jiff::civil::Date;
use register::application::{Application, Rating, Stage, State};
use register::month::Month;
use register::profile::{Profile, SealedProfile};
use register_store::{Entity, Store, StoreKey};
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// An application as it is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Filed(pub(crate) Application);

impl Entity for Filed {
    const KIND: &'static str = "application";

    fn id(&self) -> String {
        self.0.id().to_owned()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.0.applicant())
    }

    fn keys(&self) -> Vec<StoreKey> {
        let application = &self.0;
        let mut keys = vec![StoreKey::plain("state", application.state().word())];
        keys.extend(application.members().iter().map(|member| StoreKey::person("member", *member)));
        keys.extend(application.duty().map(|(_, due)| StoreKey::plain("due", due.to_string())));
        if let State::Stopped { month } = application.state() {
            keys.push(StoreKey::plain("stopped", month.to_string()));
        }
        keys
    }
}

/// The profile that a rating rests on, in its very bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) applicant: Pinfl,
    pub(crate) hash: Sha256,
    /// Canonical JSON.
    pub(crate) profile: String,
}

impl Entity for Snapshot {
    const KIND: &'static str = "profile";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.applicant)
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// A sealed profile taken apart into what an application and the store keep of it.
pub(crate) struct Rated {
    pub(crate) profile: Profile,
    pub(crate) snapshot: Snapshot,
}

impl Rated {
    /// `None` when the bytes are not a profile, which the register has just written.
    pub(crate) fn new(sealed: &SealedProfile) -> Option<Self> {
        let profile: Profile = serde_json::from_slice(sealed.bytes()).ok()?;
        let text = std::str::from_utf8(sealed.bytes()).ok()?.to_owned();
        let (id, applicant) = (profile.id.clone(), profile.case.applicant);
        let snapshot = Snapshot { id, applicant, hash: sealed.hash(), profile: text };
        Some(Self { profile, snapshot })
    }

    pub(crate) fn rating(&self, stage: Stage, on: Date) -> Rating {
        Rating {
            stage,
            on,
            profile: self.snapshot.id.clone(),
            profile_hash: self.snapshot.hash,
            outcome: (&self.profile.assessment.decision).into(),
        }
    }

    /// Everyone who belongs or may belong to the family, and the applicant, whom an absent civil
    /// registry may leave out.
    pub(crate) fn members(&self) -> std::collections::BTreeSet<Pinfl> {
        let members = self.profile.family.members.iter().map(|member| member.pinfl);
        members.chain([self.profile.case.applicant]).collect()
    }
}

/// A person's one application of a month.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) member: Pinfl,
    pub(crate) application: String,
}

impl Claim {
    pub(crate) fn new(store: &Store, month: Month, member: Pinfl, application: &str) -> Self {
        let id = Self::id_of(store, month, member);
        Self { id, member, application: application.to_owned() }
    }

    pub(crate) fn id_of(store: &Store, month: Month, member: Pinfl) -> String {
        format!("{month}-{}", store.pseudonym(&member))
    }
}

impl Entity for Claim {
    const KIND: &'static str = "claim";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.member)
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// How far a month's monitoring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Progress {
    Running,
    Stopped,
    Finished,
}

/// A month's monitoring of all registered families.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitoring {
    pub(crate) month: Month,
    pub(crate) progress: Progress,
    /// The day that every family is rated for.
    pub(crate) day: Date,
    /// The last application that was looked at, in the order of ids.
    pub(crate) position: String,
    pub(crate) counts: Counts,
}

/// What monitoring has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    /// Families looked at.
    pub(crate) looked_at: u64,
    /// Outcome as before.
    pub(crate) unchanged: u64,
    /// Outcome changed: payment stopped.
    pub(crate) stopped: u64,
    /// A source that matters was absent; support goes on.
    pub(crate) pending: u64,
    /// Not supported in the month.
    pub(crate) not_due: u64,
    /// Could not be rated; the program log says why.
    pub(crate) failed: u64,
}

impl Entity for Monitoring {
    const KIND: &'static str = "monitoring";

    fn id(&self) -> String {
        self.month.to_string()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        let word = match self.progress {
            Progress::Running => "running",
            Progress::Stopped => "stopped",
            Progress::Finished => "finished",
        };
        vec![StoreKey::plain("progress", word)]
    }
}
