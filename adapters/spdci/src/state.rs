//! What the interface remembers: messages taken, callbacks to deliver, subscriptions.
//!
//! Each change is one commit of the store: all or nothing, durable on return. A transaction keeps
//! what came of a message and never its records; queries and records stand in the delivery, under
//! the key of the person where there is exactly one.
//!
//! | crash | after it |
//! |---|---|
//! | before a message is taken | the sender has no ACK and sends again |
//! | after it is taken, before the ACK arrives | sent again, it has the same correlation id and one callback |
//! | after the answer is found, before it is written | it is found again |
//! | after a callback is delivered, before that is written | it is delivered again, with the same correlation id |
//! | after events are read, before notices are written | they are read again: position and notices are one commit |

use register_store::{Changes, Entity, Store, StoreError, StoreKey, StoreQuery, Stored};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::envelope::Status;
use crate::limits::{LEASE, STATUSES_MAX_COUNT};

/// A message that was taken, and what came of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// The registry's own id of it: a hash of partner and message id, so that a repeated message
    /// has it again.
    pub correlation_id: String,
    /// The partner.
    pub partner: String,
    /// SHA-256 of header and message, so that a repetition is told from another message.
    pub digest: Sha256,
    /// The partner's id of the transaction.
    pub transaction_id: String,
    /// The ids of its requests.
    pub reference_ids: Vec<String>,
    /// What was asked: `search`, `subscribe`, `unsubscribe`, `txn-status`.
    pub action: String,
    /// When it was taken.
    pub received_at: UnixMillis,
    /// The answer without records; `None` while it is awaited.
    pub answer: Option<Json>,
}

/// A callback to deliver.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id: the correlation id of the transaction that it answers, or one of its own.
    pub id: String,
    /// The partner.
    pub partner: String,
    /// Where to.
    pub uri: String,
    /// `on-search` and its kin, `notify`.
    pub action: String,
    /// The one person that it is about.
    pub subject: Option<Pinfl>,
    /// What it carries.
    pub content: Content,
    /// Attempts made.
    pub attempts_count: u32,
    /// When the next attempt is due.
    pub due_at: UnixMillis,
}

/// What a delivery carries.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// The message to be answered first.
    Request(Json),
    /// Status, number of requests and message to send.
    Answer(Status, usize, Json),
}

/// A subscription.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its code.
    pub code: String,
    /// The partner.
    pub partner: String,
    /// The event.
    pub event: String,
    /// The kind of records that notices carry, with its registry type.
    pub kind: (String, String),
    /// The form of the filter.
    pub form: String,
    /// The filter, as it came.
    pub filter: Json,
    /// The one person that the filter is about.
    pub subject: Option<Pinfl>,
    /// Where notices go.
    pub uri: String,
    /// From when on, if said.
    pub starts: Option<UnixMillis>,
    /// Until when, if said.
    pub ends: Option<UnixMillis>,
    /// Whether it is in force.
    pub active: bool,
    /// The latest event when it was made; only later ones are told.
    pub after: u64,
}

/// The event up to which all subscribers have their notices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Its sequence.
    pub sequence: u64,
}

impl Entity for Transaction {
    const KIND: &'static str = "spdci-transaction";

    fn id(&self) -> String {
        self.correlation_id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        let mut references = self.reference_ids.clone();
        references.sort();
        references.dedup();
        let reference = |id: &String| StoreKey::plain("reference", own(&self.partner, id));
        let mut keys =
            vec![StoreKey::plain("transaction", own(&self.partner, &self.transaction_id))];
        keys.extend(references.iter().map(reference));
        keys
    }
}

impl Entity for Delivery {
    const KIND: &'static str = "spdci-delivery";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        self.subject
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::plain("due", due(self.due_at)), StoreKey::plain("partner", &self.partner)]
    }
}

impl Entity for Subscription {
    const KIND: &'static str = "spdci-subscription";

    fn id(&self) -> String {
        self.code.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        self.subject
    }

    fn keys(&self) -> Vec<StoreKey> {
        let active = if self.active { "yes" } else { "no" };
        let of_partner = format!("{active}/{}", self.partner);
        vec![StoreKey::plain("active", active), StoreKey::plain("of-partner", of_partner)]
    }
}

impl Entity for Position {
    const KIND: &'static str = "spdci-position";

    fn id(&self) -> String {
        "position".to_owned()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// A partner's id as key: hashed, because partners choose it and may write anything there.
fn own(partner: &str, id: &str) -> String {
    Sha256::of_parts(&[partner.as_bytes(), b"\0", id.as_bytes()]).to_string()
}

/// A moment as text that sorts.
fn due(at: UnixMillis) -> String {
    format!("{:020}", at.0)
}

/// The correlation id of a partner's message.
#[must_use]
pub fn correlation_id(partner: &str, message_id: &str) -> String {
    own(partner, message_id).chars().take(32).collect()
}

/// What came of taking a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is new.
    New,
    /// It was taken before.
    Before,
    /// Its id was used for another message.
    Another,
}

/// How a transaction is looked for; always among one partner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// By `transaction_id`.
    Transaction(String),
    /// By the correlation id.
    Correlation(String),
    /// By the ids of requests.
    References(Vec<String>),
}

/// The memory of the interface.
#[derive(Clone, Debug)]
pub struct State(Store);

type Result<T> = std::result::Result<T, StoreError>;

impl State {
    /// Keeps everything in a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Takes a message, with the callback that will answer it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin(&self, new: &Transaction, delivery: Option<&Delivery>) -> Result<Begun> {
        let mut changes = Changes::new().insert(new)?;
        if let Some(delivery) = delivery {
            changes = changes.insert(delivery)?;
        }
        match self.0.commit(changes).await {
            Ok(()) => Ok(Begun::New),
            Err(StoreError::Conflict { .. }) => {
                let before = self.0.get::<Transaction>(&new.correlation_id).await?;
                let same = before.is_some_and(|before| before.value.digest == new.digest);
                Ok(if same { Begun::Before } else { Begun::Another })
            }
            Err(fault) => Err(fault),
        }
    }

    /// A transaction by its correlation id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn transaction(&self, correlation_id: &str) -> Result<Option<Stored<Transaction>>> {
        self.0.get(correlation_id).await
    }

    /// Makes changes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn commit(&self, changes: Changes) -> Result<()> {
        self.0.commit(changes).await
    }

    /// A partner's transactions, at most [`STATUSES_MAX_COUNT`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(&self, partner: &str, lookup: &Lookup) -> Result<Vec<Transaction>> {
        let by = |key, id: &str| StoreQuery::equal(key, own(partner, id)).limit(STATUSES_MAX_COUNT);
        let mut found: Vec<Stored<Transaction>> = match lookup {
            Lookup::Transaction(id) => self.0.find(by("transaction", id)).await?,
            Lookup::Correlation(id) => self.0.get(id).await?.into_iter().collect(),
            Lookup::References(ids) => {
                let mut all = Vec::new();
                for id in ids.iter().take(STATUSES_MAX_COUNT) {
                    all.extend(self.0.find(by("reference", id)).await?);
                }
                all
            }
        };
        found.retain(|transaction| transaction.value.partner == partner);
        found.sort_by(|a, b| {
            let key =
                |t: &Stored<Transaction>| (t.value.received_at, t.value.correlation_id.clone());
            key(a).cmp(&key(b))
        });
        found.dedup_by(|a, b| a.value.correlation_id == b.value.correlation_id);
        found.truncate(STATUSES_MAX_COUNT);
        Ok(found.into_iter().map(|stored| stored.value).collect())
    }

    /// Takes callbacks that are due for this node: others leave them alone for [`LEASE`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lease(
        &self,
        now: UnixMillis,
        limit_count: usize,
    ) -> Result<Vec<Stored<Delivery>>> {
        let below = due(UnixMillis(now.0.saturating_add(1)));
        let found =
            self.0.find::<Delivery>(StoreQuery::range("due", "", below).limit(limit_count)).await?;
        let mut leased = Vec::new();
        for mut delivery in found {
            delivery.value.due_at = now.plus(LEASE);
            match self.0.commit(Changes::new().update(&delivery)?).await {
                Ok(()) => {
                    delivery.version += 1;
                    leased.push(delivery);
                }
                // Another node was faster.
                Err(StoreError::Conflict { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(leased)
    }

    /// Callbacks of a partner that wait, counted up to `limit_count`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn waiting_count(&self, partner: &str, limit_count: usize) -> Result<usize> {
        let query = StoreQuery::equal("partner", partner).limit(limit_count);
        Ok(self.0.find::<Delivery>(query).await?.len())
    }

    /// Subscriptions in force of a partner, or of all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn subscriptions(&self, partner: Option<&str>) -> Result<Vec<Subscription>> {
        let mut all: Vec<Subscription> = Vec::new();
        loop {
            let query = match partner {
                Some(partner) => StoreQuery::equal("of-partner", format!("yes/{partner}")),
                None => StoreQuery::equal("active", "yes"),
            };
            let query = match all.last() {
                Some(last) => query.after_id(&last.code),
                None => query,
            };
            let page = self.0.find::<Subscription>(query).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page.into_iter().map(|stored| stored.value));
        }
    }

    /// A subscription by its code.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn subscription(&self, code: &str) -> Result<Option<Stored<Subscription>>> {
        let well_formed = code.len() <= 99 && code.bytes().all(|byte| byte.is_ascii_graphic());
        if well_formed && !code.is_empty() { self.0.get(code).await } else { Ok(None) }
    }

    /// The event up to which all subscribers have their notices.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn position(&self) -> Result<Option<Stored<Position>>> {
        self.0.get("position").await
    }
}
