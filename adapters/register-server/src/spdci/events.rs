//! What partners are told: noted in the commit of the step that makes it, numbered afterwards.
//!
//! Events have one order, and a step must not wait for its turn in it: a thousand families are
//! rated while monitoring runs. So a step only notes what has happened, and whoever reads events
//! gives notes their numbers first.
//!
//! | crash | what is left | what repairs it |
//! |---|---|---|
//! | before the step's commit | nothing | the step is taken again |
//! | after it, before the numbers | the note | it is numbered when events are read next |
//! | after the numbers | the event | subscribers are told from their kept position |

use register::application::{Application, State};
use register_store::{Changes, Entity, Store, StoreError, StoreKey, StoreQuery, Stored};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Notes numbered in one commit.
const NUMBERED_AT_ONCE_COUNT: usize = 200;
/// Commits of one reader: others that number at the same time make it read again.
const ATTEMPTS_COUNT: usize = 64;
/// SPDCI's social registry: a family was registered.
pub(crate) const REGISTERED: &str = "REGISTER";
/// SPDCI's social registry: somebody has joined the family.
pub(crate) const NEW_MEMBER: &str = "NewHouseHoldMember";
/// Ours, beside SPDCI's two: monitoring has found the family changed.
pub(crate) const UPDATED: &str = "UPDATE";
/// SPDCI's IBR, spelled as there: support began.
pub(crate) const ENROLLED: &str = "enrollement";
/// SPDCI's IBR, spelled as there: support was stopped.
pub(crate) const STATUS_CHANGED: &str = "enrollement_status_change";
/// All of them.
pub(crate) const EVENTS: [&str; 5] = [REGISTERED, NEW_MEMBER, UPDATED, ENROLLED, STATUS_CHANGED];

/// Something that has happened and has no number yet.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    id: String,
    at: UnixMillis,
    event: String,
    application: String,
}

/// Something that has happened, in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happened {
    /// Its place, from 1.
    pub(crate) sequence: u64,
    /// One of [`EVENTS`].
    pub(crate) event: String,
    /// The application of the family.
    pub(crate) application: String,
}

/// The sequence of the latest event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Latest {
    sequence: u64,
}

/// A number as text that sorts.
fn sorted(number: u64) -> String {
    format!("{number:020}")
}

impl Entity for Note {
    const KIND: &'static str = "social-note";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::plain("at", sorted(self.at.0))]
    }
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

/// What a step of an application tells.
fn events(before: &Application, after: &Application) -> Vec<&'static str> {
    match (before.state(), after.state()) {
        (State::Registered { entitlement: had, .. }, State::Registered { entitlement, .. }) => {
            let joined = after.members().difference(before.members()).next().is_some();
            let changed = before.members() != after.members() || had != entitlement;
            let told = [(joined, NEW_MEMBER), (changed, UPDATED)];
            told.into_iter().filter_map(|(so, event)| so.then_some(event)).collect()
        }
        (State::Registered { .. }, State::Stopped { .. }) => vec![STATUS_CHANGED],
        (_, State::Registered { .. }) => vec![REGISTERED, ENROLLED],
        _ => Vec::new(),
    }
}

/// Notes in a commit what a step of an application tells.
pub(crate) fn note(
    mut changes: Changes,
    (before, after): (&Application, &Application),
    at: UnixMillis,
) -> Result<Changes, StoreError> {
    for event in events(before, after) {
        let (id, application) = (Uuid::new_v4().to_string(), after.id().to_owned());
        changes = changes.insert(&Note { id, at, event: event.to_owned(), application })?;
    }
    Ok(changes)
}

/// Numbers what was noted, and gives the number of the latest event; 0 when there is none.
pub(crate) async fn latest(store: &Store) -> Result<u64, StoreError> {
    for _ in 0..ATTEMPTS_COUNT {
        let query = StoreQuery::range("at", "", "~").limit(NUMBERED_AT_ONCE_COUNT);
        let notes = store.find::<Note>(query).await?;
        let latest = store.get::<Latest>("latest").await?;
        let before = latest.as_ref().map_or(0, |latest| latest.value.sequence);
        if notes.is_empty() {
            return Ok(before);
        }
        let (mut changes, mut sequence) = (Changes::new(), before);
        for note in &notes {
            sequence = sequence.saturating_add(1);
            let Note { event, application, .. } = note.value.clone();
            let happened = Happened { sequence, event, application };
            changes = changes.delete(note).insert(&happened)?;
        }
        let value = Latest { sequence };
        changes = match latest {
            Some(latest) => changes.update(&Stored { value, ..latest })?,
            None => changes.insert(&value)?,
        };
        match store.commit(changes).await {
            // Another reader has numbered them.
            Err(StoreError::Conflict { .. }) => {}
            committed => committed?,
        }
    }
    // What is left is numbered when events are read next.
    Ok(store.get::<Latest>("latest").await?.map_or(0, |latest| latest.value.sequence))
}

/// Events behind a number, in their order.
pub(crate) async fn after(
    store: &Store,
    sequence: u64,
    limit_count: usize,
) -> Result<Vec<Happened>, StoreError> {
    let from = sorted(sequence.saturating_add(1));
    let query = StoreQuery::range("sequence", from, sorted(u64::MAX)).limit(limit_count);
    let found = store.find::<Happened>(query).await?;
    Ok(found.into_iter().map(|stored| stored.value).collect())
}
