//! Turns: what there may be one of for each person is changed by one request at a time.
//!
//! A turn is a document for each person and matter. Who changes the matter reads the turn first,
//! then looks whether the change is allowed, and ends the turn in the commit of the change. Of two
//! requests at once, on whichever nodes, the second is refused as a conflict and looks again.

use register_store::{Changes, Entity, Store, StoreError, StoreKey, Stored};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// What is changed in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matter {
    /// A person's open case.
    Case,
    /// A person's card, and what it answers.
    Card,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnDocument {
    id: String,
    person: Pinfl,
}

impl Entity for TurnDocument {
    const KIND: &'static str = "turn";

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

/// A turn that was taken; dropped, it changes nothing.
pub(crate) struct Turn {
    document: Stored<TurnDocument>,
    is_first: bool,
}

impl Turn {
    /// Takes a turn; whatever the change depends on is read after this.
    pub(crate) async fn take(
        store: &Store,
        matter: Matter,
        person: Pinfl,
    ) -> Result<Self, StoreError> {
        let matter = match matter {
            Matter::Case => "case",
            Matter::Card => "card",
        };
        let id = format!("{matter}-{}", store.pseudonym(&person));
        let kept = store.get::<TurnDocument>(&id).await?;
        let is_first = kept.is_none();
        let document = kept.unwrap_or(Stored { value: TurnDocument { id, person }, version: 0 });
        Ok(Self { document, is_first })
    }

    /// Ends the turn with these changes: their commit is refused when another's turn ended before.
    pub(crate) fn end(self, changes: Changes) -> Result<Changes, StoreError> {
        if self.is_first {
            return changes.insert(&self.document.value);
        }
        changes.update(&self.document)
    }
}
