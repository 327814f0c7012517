//! What the interface remembers: messages taken, answers, callbacks to deliver, subscriptions.
//!
//! [`State`] is the port; [`Memory`] forgets at the end of the process and is for tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::envelope::Status;

/// A message that was taken, and its answer once there is one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// The registry's own id of it.
    pub correlation_id: String,
    /// The partner.
    pub partner: String,
    /// The partner's id of the message.
    pub message_id: String,
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
    /// The message, until it has been answered.
    pub request: Option<Json>,
    /// The answer's status and message.
    pub answer: Option<(Status, Json)>,
}

/// A callback to deliver.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id: that of the transaction it answers, or one of its own.
    pub id: String,
    /// The partner.
    pub partner: String,
    /// Where to.
    pub uri: String,
    /// `on-search` and its kin, `notify`.
    pub action: String,
    /// Status, number of requests and message; `None` until the transaction has been answered.
    pub message: Option<(Status, usize, Json)>,
    /// Attempts made.
    pub attempts_count: u32,
    /// When the next attempt is due.
    pub due_at: UnixMillis,
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
    /// The kind of records that notices carry.
    pub kind: String,
    /// The form of the filter.
    pub form: String,
    /// The filter, as it came.
    pub filter: Json,
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

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is new and has been taken.
    New,
    /// It was taken before, under this correlation id.
    Before(String),
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

/// The state cannot be read or written; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of the SPDCI interface cannot be used: {0}")]
pub struct StateFault(pub String);

/// Durable memory of the interface. Every change is all or nothing and durable on return; calls may
/// run at once.
pub trait State: Send + Sync + 'static {
    /// Takes a message under its partner's id for it, with the callback that will answer it.
    fn begin(
        &self,
        transaction: &Transaction,
        delivery: Option<&Delivery>,
    ) -> impl Future<Output = Result<Begun, StateFault>> + Send;

    /// Writes the answer of a transaction, the subscriptions that it makes or ends, and the callback.
    fn answer(
        &self,
        transaction: &Transaction,
        subscriptions: &[Subscription],
        delivery: Option<&Delivery>,
    ) -> impl Future<Output = Result<(), StateFault>> + Send;

    /// A partner's transactions, latest first, at most 100.
    fn find(
        &self,
        partner: &str,
        lookup: &Lookup,
    ) -> impl Future<Output = Result<Vec<Transaction>, StateFault>> + Send;

    /// Callbacks that are due, earliest first.
    fn due(
        &self,
        now: UnixMillis,
        limit_count: usize,
    ) -> impl Future<Output = Result<Vec<Delivery>, StateFault>> + Send;

    /// Callbacks of a partner that wait, counted up to `limit_count`.
    fn waiting(
        &self,
        partner: &str,
        limit_count: usize,
    ) -> impl Future<Output = Result<usize, StateFault>> + Send;

    /// Writes a callback anew, for its next attempt.
    fn postpone(&self, delivery: &Delivery) -> impl Future<Output = Result<(), StateFault>> + Send;

    /// Forgets a callback: it was delivered, or given up.
    fn settle(&self, delivery: &Delivery) -> impl Future<Output = Result<(), StateFault>> + Send;

    /// All subscriptions of a partner, or of all; also those that have ended.
    fn subscriptions(
        &self,
        partner: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Subscription>, StateFault>> + Send;

    /// A subscription by its code.
    fn subscription(
        &self,
        code: &str,
    ) -> impl Future<Output = Result<Option<Subscription>, StateFault>> + Send;

    /// The event up to which all subscribers have their notices.
    fn position(&self) -> impl Future<Output = Result<u64, StateFault>> + Send;

    /// Moves the position and adds the notices in one step.
    fn advance(
        &self,
        position: u64,
        notices: &[Delivery],
    ) -> impl Future<Output = Result<(), StateFault>> + Send;
}

/// State that ends with the process, for tests.
#[derive(Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    transactions: BTreeMap<String, Transaction>,
    deliveries: BTreeMap<String, Delivery>,
    subscriptions: BTreeMap<String, Subscription>,
    position: u64,
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A test that panicked while holding it has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State for Memory {
    async fn begin(
        &self,
        transaction: &Transaction,
        delivery: Option<&Delivery>,
    ) -> Result<Begun, StateFault> {
        let mut kept = self.kept();
        let of_sender = |other: &&Transaction| {
            other.partner == transaction.partner && other.message_id == transaction.message_id
        };
        if let Some(before) = kept.transactions.values().find(of_sender) {
            return Ok(match before.digest == transaction.digest {
                true => Begun::Before(before.correlation_id.clone()),
                false => Begun::Another,
            });
        }
        kept.transactions.insert(transaction.correlation_id.clone(), transaction.clone());
        if let Some(delivery) = delivery {
            kept.deliveries.insert(delivery.id.clone(), delivery.clone());
        }
        Ok(Begun::New)
    }

    async fn answer(
        &self,
        transaction: &Transaction,
        subscriptions: &[Subscription],
        delivery: Option<&Delivery>,
    ) -> Result<(), StateFault> {
        let mut kept = self.kept();
        kept.transactions.insert(transaction.correlation_id.clone(), transaction.clone());
        for subscription in subscriptions {
            kept.subscriptions.insert(subscription.code.clone(), subscription.clone());
        }
        if let Some(delivery) = delivery {
            kept.deliveries.insert(delivery.id.clone(), delivery.clone());
        }
        Ok(())
    }

    async fn find(&self, partner: &str, lookup: &Lookup) -> Result<Vec<Transaction>, StateFault> {
        let kept = self.kept();
        let fits = |transaction: &&Transaction| {
            transaction.partner == partner && lookup.fits(transaction)
        };
        let mut found: Vec<_> = kept.transactions.values().filter(fits).cloned().collect();
        found.sort_by_key(|transaction| std::cmp::Reverse(transaction.received_at));
        found.truncate(100);
        Ok(found)
    }

    async fn due(&self, now: UnixMillis, limit_count: usize) -> Result<Vec<Delivery>, StateFault> {
        let kept = self.kept();
        let mut due: Vec<_> =
            kept.deliveries.values().filter(|delivery| delivery.due_at <= now).cloned().collect();
        due.sort_by_key(|delivery| delivery.due_at);
        due.truncate(limit_count);
        Ok(due)
    }

    async fn waiting(&self, partner: &str, limit_count: usize) -> Result<usize, StateFault> {
        let kept = self.kept();
        let own = kept.deliveries.values().filter(|delivery| delivery.partner == partner);
        Ok(own.take(limit_count).count())
    }

    async fn postpone(&self, delivery: &Delivery) -> Result<(), StateFault> {
        self.kept().deliveries.insert(delivery.id.clone(), delivery.clone());
        Ok(())
    }

    async fn settle(&self, delivery: &Delivery) -> Result<(), StateFault> {
        self.kept().deliveries.remove(&delivery.id);
        Ok(())
    }

    async fn subscriptions(&self, partner: Option<&str>) -> Result<Vec<Subscription>, StateFault> {
        let kept = self.kept();
        let own = |subscription: &&Subscription| {
            partner.is_none_or(|partner| subscription.partner == partner)
        };
        Ok(kept.subscriptions.values().filter(own).cloned().collect())
    }

    async fn subscription(&self, code: &str) -> Result<Option<Subscription>, StateFault> {
        Ok(self.kept().subscriptions.get(code).cloned())
    }

    async fn position(&self) -> Result<u64, StateFault> {
        Ok(self.kept().position)
    }

    async fn advance(&self, position: u64, notices: &[Delivery]) -> Result<(), StateFault> {
        let mut kept = self.kept();
        kept.position = position;
        for notice in notices {
            kept.deliveries.insert(notice.id.clone(), notice.clone());
        }
        Ok(())
    }
}

impl Lookup {
    /// Whether a transaction is meant.
    #[must_use]
    pub fn fits(&self, transaction: &Transaction) -> bool {
        match self {
            Self::Transaction(id) => transaction.transaction_id == *id,
            Self::Correlation(id) => transaction.correlation_id == *id,
            Self::References(ids) => {
                ids.iter().any(|id| transaction.reference_ids.iter().any(|own| own == id))
            }
        }
    }
}
