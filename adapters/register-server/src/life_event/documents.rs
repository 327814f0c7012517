//! How inboxes, proposals and stops are kept.

use jiff::civil::Date;
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
        vec![StoreKey::person("person", self.person), StoreKey::plain("at", self.at.to_rfc3339())]
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
