//! One registry as a service: what all requests share, and how a message that was taken is answered.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki::signer::SigningKey;
use register_store::{Changes, StoreConfig, StoreError, Stored};
use schemas::clock::Clock;
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::sync::Notify;

use crate::codes::{ErrorCode, Reason, Refusal};
use crate::envelope::{Expected, Outgoing, Received, Status};
use crate::limits::WAITING_MAX_COUNT;
use crate::partner::Partner;
use crate::post::Poster;
use crate::registry::{Registry, RegistryFault};
use crate::search::SearchMessage;
use crate::state::{Begun, Content, Delivery, State, Transaction, correlation_id};
use crate::status::{StatusMessage, without_records};
use crate::subject::subject_of_search;
use crate::subscribe::{self, SubscribeMessage, Subscriber, UnsubscribeMessage};

/// The configuration of the interface: a TOML file of its own, or a section of one that has a store
/// already, as the register's has; there `[store]` is left out.
///
/// ```toml
/// listen = "127.0.0.1:8480"             # behind the hub, or a proxy that ends TLS
/// id = "sr.uz"                          # sender_id of answers, receiver_id of requests
/// key_file = "spdci.key"                # Ed25519, mode 0600; made when it is missing
/// [store]
/// directory = "/var/lib/koprik/register/spdci"
/// [[partners]]
/// id = "spmis.uz"
/// secret_sha256 = "…"
/// callbacks = ["https://spmis.uz/registry/"]
/// keys = [{ kty = "OKP", crv = "Ed25519", x = "…" }]
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpdciConfig {
    /// Where it listens, loopback only: TLS is the hub's or a proxy's in front.
    pub listen: SocketAddr,
    /// Where it keeps what it remembers, where it has a file of its own.
    pub store: Option<StoreConfig>,
    /// The registry's id.
    pub id: String,
    /// The registry's key; made when the file is missing.
    pub key_file: PathBuf,
    /// Authorities of the partners' callback servers, PEM.
    pub callback_authorities_file: Option<PathBuf>,
    /// Whether partners without keys may send unsigned messages: never in production.
    #[serde(default)]
    pub allow_unsigned: bool,
    /// The partners.
    #[serde(default)]
    pub partners: Vec<Partner>,
}

impl SpdciConfig {
    /// Reads a file; paths in it count from the file.
    ///
    /// # Errors
    /// [`SpdciFault::File`].
    pub fn load(path: &Path) -> Result<Self, SpdciFault> {
        let refused = |reason: String| SpdciFault::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let mut config: Self =
            toml::from_str(&text).map_err(|error| refused(error.message().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.key_file = folder.join(&config.key_file);
        config.callback_authorities_file =
            config.callback_authorities_file.map(|file| folder.join(file));
        if let Some(store) = &mut config.store {
            store.directory = store.directory.take().map(|directory| folder.join(directory));
            store.key_file = store.key_file.take().map(|file| folder.join(file));
        }
        Ok(config)
    }
}

/// Why the interface does not start.
#[derive(Debug, thiserror::Error)]
pub enum SpdciFault {
    /// A partner is not configured right.
    #[error("spdci: partner `{partner}` in the configuration is refused: {repair}")]
    Partner {
        /// The partner's id.
        partner: String,
        /// What to write.
        repair: &'static str,
    },
    /// The file cannot be read.
    #[error("spdci: the configuration {path} cannot be read: {reason}; correct the file")]
    File {
        /// The file.
        path: PathBuf,
        /// Why, without its lines: a URL may hold a password.
        reason: String,
    },
    /// The address cannot be used.
    #[error("spdci: cannot listen on {address}; choose a free loopback address in `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("spdci: {0}")]
    Store(#[from] StoreError),
    /// The file names no store.
    #[error(
        "spdci: the configuration has no [store]; say where to keep subscriptions and callbacks"
    )]
    NoStore,
    /// The key cannot be read or made.
    #[error("spdci: the key of the interface cannot be used: {0}")]
    Key(#[from] pki::signer::KeyError),
    /// The authorities cannot be read.
    #[error("spdci: {0}")]
    Authorities(#[from] crate::post::Authorities),
}

/// A registry with its partners, key and memory.
pub struct Service<R> {
    /// The registry.
    pub registry: R,
    /// Its memory.
    pub state: State,
    /// The clock.
    pub clock: Clock,
    pub(crate) id: String,
    pub(crate) key: SigningKey,
    pub(crate) partners: Vec<Partner>,
    pub(crate) poster: Poster,
    /// Wakes the courier when there is something to answer or to tell.
    pub(crate) wake: Notify,
}

impl<R: Registry> Service<R> {
    /// Puts a service together from its configuration.
    ///
    /// # Errors
    /// [`SpdciFault`] says what to change.
    pub fn new(
        config: SpdciConfig,
        registry: R,
        state: State,
        clock: Clock,
    ) -> Result<Arc<Self>, SpdciFault> {
        if !config.listen.ip().is_loopback() {
            let cause = std::io::Error::other("not a loopback address");
            return Err(SpdciFault::Listen { address: config.listen, cause });
        }
        for (at, partner) in config.partners.iter().enumerate() {
            let refused = |repair| SpdciFault::Partner { partner: partner.id.clone(), repair };
            partner.check().map_err(refused)?;
            if partner.unsigned && !config.allow_unsigned {
                return Err(refused("give keys, or set allow_unsigned = true on a test system"));
            }
            if config.partners.iter().take(at).any(|other| other.id == partner.id) {
                return Err(refused("give every partner its own id"));
            }
        }
        let key = match config.key_file.exists() {
            true => SigningKey::load(&config.key_file)?,
            false => pki::signer::generate(pki::trust::Algorithm::Ed25519, &config.key_file)?,
        };
        let poster = Poster::new(config.callback_authorities_file.as_deref())?;
        let SpdciConfig { id, partners, .. } = config;
        let wake = Notify::new();
        Ok(Arc::new(Self { registry, state, clock, id, key, partners, poster, wake }))
    }

    /// Says that the registry has new events.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn partner(&self, id: &str) -> Option<&Partner> {
        self.partners.iter().find(|partner| partner.id == id)
    }

    /// Reads and checks an envelope.
    pub(crate) fn read(
        &self,
        partner: &Partner,
        (action, callback): (&str, bool),
        body: &[u8],
    ) -> Result<Received, Refusal> {
        let expected = Expected { partner, receiver: &self.id, action, callback };
        expected.read(body, self.clock.now())
    }

    /// Takes a message for a later answer, or for an answer at once when `delivery` is `None`.
    pub(crate) async fn begin(
        &self,
        transaction: &Transaction,
        delivery: Option<&Delivery>,
    ) -> Result<(), Refusal> {
        let partner = &transaction.partner;
        let waiting = match delivery {
            Some(_) => self.state.waiting_count(partner, WAITING_MAX_COUNT).await,
            None => Ok(0),
        };
        if waiting.map_err(|fault| unavailable(&fault))? >= WAITING_MAX_COUNT {
            let text = "sender: 200 answers wait for you; take your callbacks, then send anew";
            return Err(Refusal::new(ErrorCode::TooManyRequests, text));
        }
        match self.state.begin(transaction, delivery).await {
            Ok(Begun::New) => {
                self.wake.notify_one();
                Ok(())
            }
            Ok(Begun::Before) => Ok(()),
            Ok(Begun::Another) => {
                let text = "sender: message_id was used for another message; give each its own";
                Err(Refusal::reason(Reason::MessageIdDuplicate, text))
            }
            Err(fault) => Err(unavailable(&fault)),
        }
    }

    /// The transaction of a message that came.
    pub(crate) fn transaction(
        &self,
        partner: &Partner,
        received: &Received,
        (transaction_id, reference_ids): (&str, Vec<String>),
    ) -> Result<Transaction, Refusal> {
        let bytes = serde_json_canonicalizer::to_vec(&received.signed)
            .map_err(|_| Refusal::bad("sender: the message has no canonical form; correct it"))?;
        Ok(Transaction {
            correlation_id: correlation_id(&partner.id, &received.header.message_id),
            partner: partner.id.clone(),
            digest: schemas::digest::Sha256::of(&bytes),
            transaction_id: transaction_id.to_owned(),
            reference_ids,
            action: received.header.action.clone(),
            received_at: self.clock.now(),
            answer: None,
        })
    }

    /// Writes what came of a transaction that was answered at once.
    pub(crate) async fn settle(&self, id: &str, answer: &Json) -> Result<(), Refusal> {
        let settled = async {
            let Some(mut stored) = self.state.transaction(id).await? else { return Ok(()) };
            stored.value.answer = Some(without_records(answer));
            self.state.commit(Changes::new().update(&stored)?).await
        };
        match settled.await {
            // Two repetitions at once: either has written the same.
            Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(fault) => Err(unavailable(&fault)),
        }
    }

    /// Answers a message that was taken, and writes answer and callback in one step.
    pub(crate) async fn answer(
        &self,
        mut delivery: Stored<Delivery>,
        request: &Json,
    ) -> Result<Stored<Delivery>, Unanswered> {
        let now = self.clock.now();
        let id = delivery.value.id.clone();
        let transaction = self.state.transaction(&id).await?;
        let mut transaction = transaction.ok_or(Unanswered::Gone)?;
        let mut changes = Changes::new();
        let (status, count, message) = match transaction.value.action.as_str() {
            "search" => {
                let read = SearchMessage::read(request, None)?;
                let (status, message) = read.answer(&self.registry, &id, now).await?;
                (status, read.search_request.len(), message)
            }
            "subscribe" => {
                let read = SubscribeMessage::read(request, None)?;
                let after = self.registry.latest().await?;
                let Delivery { partner, uri, .. } = &delivery.value;
                let uri = uri
                    .strip_suffix("on-subscribe")
                    .map_or(uri.clone(), |base| format!("{base}notify"));
                let subscriber = Subscriber { partner, uri: &uri, after };
                let knows = (self.registry.description(), &self.state);
                let (status, message, made) = read.answer(knows, subscriber, &id, now).await?;
                changes = subscribe::write(changes, &made, &[])?;
                (status, read.subscribe_request.len(), message)
            }
            "unsubscribe" => {
                let read = UnsubscribeMessage::read(request)?;
                let partner = &delivery.value.partner;
                let (status, message, ended) = read.answer(&self.state, partner, &id, now).await?;
                changes = subscribe::write(changes, &[], &ended)?;
                (status, read.subscription_codes.len(), message)
            }
            _ => {
                let read = StatusMessage::read(request)?;
                let found = self.state.find(&delivery.value.partner, &read.lookup()?).await?;
                (Status::Succeeded, 1, read.answer(&found, &id, now))
            }
        };
        transaction.value.answer = Some(without_records(&message));
        delivery.value.content = Content::Answer(status, count, message);
        delivery.value.due_at = now;
        let changes = changes.update(&transaction)?.update(&delivery)?;
        self.state.commit(changes).await?;
        delivery.version += 1;
        Ok(delivery)
    }

    /// A signed envelope for a partner.
    pub(crate) fn seal(
        &self,
        partner: &Partner,
        action: &str,
        (status, count, message): (Status, usize, &Json),
    ) -> Result<Json, Refusal> {
        let outgoing = Outgoing { action, sender: &self.id, status, count, message };
        outgoing.seal(&self.key, partner, self.clock.now()).ok_or_else(|| {
            tracing::error!("the key of the SPDCI interface cannot sign; look at its file");
            Refusal::new(ErrorCode::Unavailable, "registry: the answer cannot be signed; ask later")
        })
    }

    /// The person whom a search message is about, where there is exactly one.
    pub(crate) fn subject(&self, message: &SearchMessage) -> Option<schemas::pinfl::Pinfl> {
        subject_of_search(message, self.registry.description())
    }
}

/// Why a message that was taken has no answer yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("its transaction is gone")]
    Gone,
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Registry(#[from] RegistryFault),
    #[error("{0}")]
    State(#[from] StoreError),
}

/// The store does not answer: said to the log here, and to the sender without detail.
pub(crate) fn unavailable(fault: &dyn std::error::Error) -> Refusal {
    tracing::error!(error = %fault, "the SPDCI interface cannot use its records or its store");
    let text = "registry: its records cannot be used now; ask again later";
    Refusal::new(ErrorCode::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_is_read_and_unknown_keys_are_refused_without_showing_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spdci.toml");
        let sample = include_str!("../../../deploy/config/spdci.toml");
        std::fs::write(&path, sample).unwrap();
        let config = SpdciConfig::load(&path).unwrap();
        assert_eq!(config.key_file, dir.path().join("spdci.key"));
        assert!(config.partners.iter().all(|partner| partner.check().is_ok()));
        std::fs::write(&path, format!("secret = \"s3cret\"\n{sample}")).unwrap();
        let refused = SpdciConfig::load(&path).unwrap_err().to_string();
        assert!(refused.contains("secret") && !refused.contains("s3cret"), "{refused}");
    }
}
