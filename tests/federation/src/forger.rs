//! A central server that keeps to no rule, with the real configuration keys or others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hub_core::configuration::{document_text, sign};
use pki::signer::NoteKey;
use schemas::clock::UnixMillis;
use schemas::configuration::{Anchor, ConfigurationKeys, Content, GlobalConfiguration};
use schemas::digest::Sha256;
use schemas::tlog::NoteSigner;
use tokio::task::JoinSet;

use crate::Layout;
use crate::rogue::open;

/// Who writes configurations: the federation's configuration keys in one hand.
pub struct Forger {
    signers: Vec<Arc<dyn NoteSigner>>,
    instance: String,
    keys: ConfigurationKeys,
    content: Content,
}

impl Forger {
    /// Takes the keys and the content of a federation on disk.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(layout: &Layout) -> anyhow::Result<Self> {
        let anchor: Anchor = serde_json::from_str(&std::fs::read_to_string(&layout.anchor)?)?;
        let mut signers: Vec<Arc<dyn NoteSigner>> = Vec::new();
        for nth in 1..=anchor.keys.verifiers.len() {
            let name = format!("{}/configuration/{nth}", anchor.instance);
            let file = layout.dir.join("central").join(format!("configuration-{nth}.key"));
            signers.push(Arc::new(NoteKey::load(&name, &file)?));
        }
        let content = layout.read_content()?;
        Ok(Self { signers, instance: anchor.instance, keys: anchor.keys, content })
    }

    /// The first configuration, valid for a day from `now`.
    #[must_use]
    pub fn first(&self, now: UnixMillis) -> GlobalConfiguration {
        GlobalConfiguration {
            format: 1,
            instance: self.instance.clone(),
            version: 1,
            issued: now,
            expires: now.plus(Duration::from_secs(24 * 3600)),
            previous: None,
            keys: self.keys.clone(),
            content: self.content.clone(),
        }
    }

    /// The configuration that follows another, unchanged but for version and chain.
    ///
    /// # Errors
    /// When the other has no canonical form.
    pub fn after(&self, before: &GlobalConfiguration) -> anyhow::Result<GlobalConfiguration> {
        let previous = Some(Sha256::of(document_text(before)?.as_bytes()));
        Ok(GlobalConfiguration { version: before.version + 1, previous, ..before.clone() })
    }

    /// Signs with the first `keys_count` of the configuration keys.
    ///
    /// # Errors
    /// When the document has no canonical form.
    pub fn sign(
        &self,
        document: &GlobalConfiguration,
        keys_count: usize,
    ) -> anyhow::Result<String> {
        let signers: Vec<_> = self.signers.iter().take(keys_count).cloned().collect();
        Ok(sign(document, &signers)?)
    }

    /// Signs with keys that have the right names and are not the right ones.
    ///
    /// # Errors
    /// When the document has no canonical form.
    pub fn sign_with_other_keys(&self, document: &GlobalConfiguration) -> anyhow::Result<String> {
        let mut signers: Vec<Arc<dyn NoteSigner>> = Vec::new();
        for signer in &self.signers {
            signers.push(Arc::new(NoteKey::ephemeral(signer.name())?));
        }
        Ok(sign(document, &signers)?)
    }
}

impl std::fmt::Debug for Forger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forger").field("instance", &self.instance).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Served {
    latest: String,
    versions: BTreeMap<u64, String>,
}

/// Something that runs in the place of the central server until it is dropped.
#[derive(Debug)]
pub struct RogueCentral {
    served: Arc<Mutex<Served>>,
    /// The accept loop; its owner is this value.
    _tasks: JoinSet<()>,
}

impl RogueCentral {
    /// Listens where the hubs look for the central server.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let served = Arc::new(Mutex::new(Served::default()));
        let shown = served.clone();
        let script = move |request: &Request<Bytes>| {
            let served = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let last = request.uri().path().rsplit('/').next().unwrap_or_default();
            let note = match last.parse::<u64>() {
                Ok(version) => served.versions.get(&version),
                Err(_) => Some(&served.latest).filter(|note| !note.is_empty()),
            };
            let mut answer = Response::new(Bytes::new());
            match note {
                Some(note) => *answer.body_mut() = note.clone().into(),
                None => *answer.status_mut() = StatusCode::NOT_FOUND,
            }
            Some(answer)
        };
        let (_, tasks) = open(address, None, Arc::new(script)).await?;
        Ok(Self { served, _tasks: tasks })
    }

    /// Serves a note as the latest version.
    pub fn serve(&self, note: &str) {
        note.clone_into(&mut self.served.lock().unwrap_or_else(PoisonError::into_inner).latest);
    }

    /// Serves a note as the version with this number.
    pub fn serve_version(&self, version: u64, note: &str) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.versions.insert(version, note.to_owned());
    }
}
