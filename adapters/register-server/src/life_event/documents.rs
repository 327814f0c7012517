//! How inboxes, proposals and stops are kept.

use jiff::civil::Date;
use register::ecase::Ground;
use register::life_event::{EventKind, Inbox, Proposed};
use register::source::SourceName;
use register_store::{Entity, StoreKey};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// The value of the one plain key of what waits.
pub(crate) const WAITING: &str = "1";

/// The events of one source about one person.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxDocument {
    /// HMAC of source and person.
    pub(crate) id: String,
    pub(crate) inbox: Inbox,
}

impl Entity for InboxDocument {
    const KIND: &'static str = "event-inbox";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.inbox.person)
    }

    fn keys(&self) -> Vec<StoreKey> {
        let gap = self.inbox.gap().map(|_| StoreKey::plain("gap", WAITING));
        gap.into_iter().collect()
    }
}

/// What an event proposes to the officers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    /// Source, event and what is proposed: the same event proposes it once.
    pub(crate) id: String,
    pub(crate) person: Pinfl,
    pub(crate) proposed: Proposed,
    pub(crate) because: EventKind,
    pub(crate) source: SourceName,
    pub(crate) on: Date,
    pub(crate) at: UnixMillis,
    #[serde(default)]
    pub(crate) standing: Standing,
}

/// Where a proposal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Standing {
    /// Nobody has answered it.
    #[default]
    Open,
    /// The application is filed, on the proposal or otherwise.
    Filed {
        /// Its identifier.
        application: String,
        /// Who filed it, as the exchange named the officer.
        by: Option<String>,
        /// When.
        at: UnixMillis,
    },
    /// An officer has closed it.
    Refused {
        /// Who.
        by: String,
        /// Why.
        ground: Ground,
        /// When.
        at: UnixMillis,
    },
    /// Something else has made it needless.
    Outdated {
        /// What.
        because: Outdated,
        /// When that was noticed.
        at: UnixMillis,
    },
}

/// What makes the proposal of an application needless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outdated {
    /// The person has died.
    Died,
    /// A member of the family is in another application of the month.
    Applied,
    /// The family is supported; monitoring changes the amount.
    Supported,
}

impl Proposal {
    /// What is proposed, while it is open, or what became of it.
    pub(crate) fn code(&self) -> &'static str {
        match (&self.standing, self.proposed) {
            (Standing::Open, Proposed::Application) => "application",
            (Standing::Open, Proposed::Recheck) => "recheck",
            (Standing::Filed { .. }, _) => "filed",
            (Standing::Refused { .. }, _) => "refused",
            (Standing::Outdated { because: Outdated::Died, .. }, _) => "died",
            (Standing::Outdated { because: Outdated::Applied, .. }, _) => "applied",
            (Standing::Outdated { because: Outdated::Supported, .. }, _) => "supported",
        }
    }

    /// Whether an application is proposed and nobody has answered.
    pub(crate) fn awaits_application(&self) -> bool {
        self.proposed == Proposed::Application && self.standing == Standing::Open
    }
}

impl Entity for Proposal {
    const KIND: &'static str = "proposal";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.person)
    }

    fn keys(&self) -> Vec<StoreKey> {
        let open = self.standing == Standing::Open;
        let at = open.then(|| StoreKey::plain("at", self.at.to_rfc3339()));
        [StoreKey::person("person", self.person)].into_iter().chain(at).collect()
    }
}

/// A stop of payments that has to reach the payments; gone when it has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingStop {
    /// Source and event.
    pub(crate) id: String,
    pub(crate) person: Pinfl,
    pub(crate) day: Date,
}

impl Entity for PendingStop {
    const KIND: &'static str = "pending-stop";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.person)
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}
