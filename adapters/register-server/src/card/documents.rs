//! How cards, what answering needs, and what was received are kept.

use register::card::{Card, CardStatus, Received};
use register_store::{Entity, StoreKey};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// A card, found by its holder and by its pseudonym's hash.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CardDocument(pub(crate) Card);

impl Entity for CardDocument {
    const KIND: &'static str = "card";

    fn id(&self) -> String {
        self.0.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.0.holder)
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![
            StoreKey::person("holder", self.0.holder),
            StoreKey::plain("status", self.0.pseudonym.status_id()),
        ]
    }
}

/// What answering needs. It names no person and so has none's key.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StatusDocument(pub(crate) CardStatus);

impl Entity for StatusDocument {
    const KIND: &'static str = "card-status";

    fn id(&self) -> String {
        self.0.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// A benefit or service received.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ReceivedDocument(pub(crate) Received);

impl Entity for ReceivedDocument {
    const KIND: &'static str = "received";

    fn id(&self) -> String {
        self.0.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.0.holder)
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::person("holder", self.0.holder)]
    }
}
