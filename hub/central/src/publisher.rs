//! Publishing: one version at a time, durable and logged before it is served.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use hub_core::configuration::{Accepted, ConfigurationInForce, Trusted, sign};
use hub_messagelog::{Entry, MessageLog};
use schemas::clock::{Clock, UnixMillis};
use schemas::configuration::{ConfigurationKeys, Content, GlobalConfiguration};
use schemas::digest::Sha256;
use schemas::tlog::NoteSigner;
use serde::{Deserialize, Serialize};

use crate::CentralError;
use crate::chain::Versions;
use crate::content_file::ContentFile;

/// An entry of the transparency log, canonical JSON: the fields stand in the order of their names.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leaf {
    pub(crate) configuration: Sha256,
    pub(crate) issued: UnixMillis,
    pub(crate) version: u64,
}

impl Leaf {
    fn of(in_force: &ConfigurationInForce) -> Self {
        let document = in_force.document();
        let (issued, version) = (document.issued, document.version);
        Self { configuration: in_force.hash(), issued, version }
    }

    fn entry(&self) -> Result<Entry, CentralError> {
        let leaf = serde_json::to_vec(self);
        let leaf = leaf.map_err(|cause| CentralError::ContentText(cause.to_string()))?;
        Ok(Entry { leaf: leaf.into(), attachment: Bytes::new() })
    }
}

/// The newest version that everyone may see; what the listeners read.
pub(crate) type Served = Arc<ArcSwapOption<ConfigurationInForce>>;

/// What a publisher is made of.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) versions: Versions,
    pub(crate) log: MessageLog,
    pub(crate) content_file: ContentFile,
    pub(crate) signers: Vec<Arc<dyn NoteSigner>>,
    pub(crate) keys: ConfigurationKeys,
    pub(crate) instance: String,
    pub(crate) validity: Duration,
}

/// The only writer of versions and log.
pub(crate) struct Publisher {
    parts: Parts,
    trusted: Trusted,
    /// The newest stored version; served once it is in the log.
    newest: Option<ConfigurationInForce>,
    /// A content that is to be published, until it is.
    wanted: Option<Content>,
    served: Served,
}

impl Publisher {
    /// Continues from what is on the disk.
    pub(crate) fn new(parts: Parts, first: Trusted, loaded: Option<Accepted>) -> Self {
        let (trusted, newest) = match loaded {
            Some(accepted) => (accepted.trusted, Some(accepted.in_force)),
            None => (first, None),
        };
        Self { parts, trusted, newest, wanted: None, served: Served::default() }
    }

    pub(crate) fn served(&self) -> Served {
        self.served.clone()
    }

    /// Writes a content into the content file and publishes it.
    pub(crate) async fn replace_content(&mut self, content: &Content) -> Result<(), CentralError> {
        self.parts.content_file.replace(content)?;
        self.run().await
    }

    /// Does what is due: logs a stored version, takes up a changed content, signs again when half
    /// the validity has passed.
    ///
    /// # Errors
    /// What failed; the last good version stays served, and the next run tries again.
    pub(crate) async fn run(&mut self) -> Result<(), CentralError> {
        self.log_and_serve().await?;
        let read = match self.parts.content_file.changed() {
            Ok(None) => Ok(()),
            Ok(changed) => {
                self.wanted = changed;
                Ok(())
            }
            // There is nothing good yet that could be published instead.
            Err(refused) if self.newest.is_none() => return Err(refused),
            Err(refused) => Err(refused),
        };
        // A refused content does not keep the last good one from being signed again.
        let published = self.publish_if_due().await;
        read.and(published)
    }

    async fn publish_if_due(&mut self) -> Result<(), CentralError> {
        let now = self.parts.clock.now();
        let current = self.newest.as_ref().map(ConfigurationInForce::document);
        let due =
            current.is_none_or(|document| now.since(document.issued) >= self.parts.validity / 2);
        let mut content = match (&self.wanted, current) {
            (Some(wanted), _) => wanted.clone(),
            (None, Some(document)) => document.content.clone(),
            (None, None) => Content::default(),
        };
        content.central_log = Some(self.parts.log.verifier().to_string());
        let changed = current.is_none_or(|document| document.content != content);
        let rekeyed = current.is_some_and(|document| document.keys != self.parts.keys);
        if due || changed || rekeyed {
            self.publish(content, now).await?;
        }
        self.wanted = None;
        Ok(())
    }

    async fn publish(&mut self, content: Content, now: UnixMillis) -> Result<(), CentralError> {
        let version = self.trusted.version().unwrap_or(0) + 1;
        let document = GlobalConfiguration {
            format: 1,
            instance: self.parts.instance.clone(),
            version,
            issued: now,
            expires: now.plus(self.parts.validity),
            previous: self.trusted.hash(),
            keys: self.parts.keys.clone(),
            content,
        };
        let note = sign(&document, &self.parts.signers)?;
        // What the hubs would refuse is not stored.
        let refused = |cause| CentralError::Chain { version, cause };
        let accepted = self.trusted.accept(&note, now).map_err(refused)?;
        self.parts.versions.clone().write(version, note).await?;
        self.trusted = accepted.trusted;
        self.newest = Some(accepted.in_force);
        self.log_and_serve().await
    }

    /// Puts the newest stored version into the log unless it is there, and serves it.
    async fn log_and_serve(&mut self) -> Result<(), CentralError> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let served = self.served.load().as_ref().map(|served| served.version());
        if served == Some(newest.version()) {
            return Ok(());
        }
        if self.parts.log.size() < newest.version() {
            self.parts.log.append(Leaf::of(newest).entry()?).await?;
        }
        self.served.store(Some(Arc::new(newest.clone())));
        let version = newest.version();
        tracing::info!(version, hash = %newest.hash(), "configuration published");
        Ok(())
    }
}

/// Checks that stored versions and log belong together: as many entries as versions, or one fewer
/// after a crash, and the last entry is that of its version. Blocking.
pub(crate) fn check_log(
    log: &MessageLog,
    versions: &Versions,
    newest: Option<&ConfigurationInForce>,
) -> Result<(), CentralError> {
    let stored = newest.map_or(0, ConfigurationInForce::version);
    let logged = log.size();
    let mismatch = || CentralError::LogMismatch { versions: stored, logged };
    if logged > stored || stored - logged > 1 {
        return Err(mismatch());
    }
    let Some(last) = logged.checked_sub(1) else { return Ok(()) };
    let leaf: Leaf = serde_json::from_slice(&log.read(last)?.leaf).map_err(|_| mismatch())?;
    let note = versions.read(logged)?.ok_or_else(mismatch)?;
    let document = note.split('\n').next().unwrap_or_default();
    let same = leaf.version == logged && leaf.configuration == Sha256::of(document.as_bytes());
    same.then_some(()).ok_or_else(mismatch)
}
