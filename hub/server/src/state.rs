//! What the parts of a running hub share. Each part changes only what is its own; readers never wait.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use hub_core::batch::VerifiedRoots;
use hub_core::configuration::{ConfigurationInForce, Trusted};
use hub_core::replay::{ReplayRefusal, ReplayWindow};
use pki::tls::PeerTls;
use schemas::clock::{Clock, UnixMillis};
use schemas::configuration::Anchor;
use schemas::digest::Sha256;
use schemas::identifier::{MemberId, ServerId};

use schemas::problem::{Problem, ProblemCode};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clients::{self, CentralClient, InForce, PeerClient, SourceClient};
use crate::journal::Journal;
use crate::local::Local;
use crate::metrics::Metrics;
use crate::signing::MemberSigner;
use crate::timestamps::Timestamps;
use crate::witness::Witnessing;

/// What the parts of a hub share.
pub(crate) struct Hub {
    pub(crate) server: ServerId,
    pub(crate) clock: Clock,
    pub(crate) data_dir: PathBuf,
    pub(crate) spool_dir: PathBuf,
    pub(crate) anchor: Anchor,
    pub(crate) in_force: InForce,
    pub(crate) trusted: Mutex<Trusted>,
    pub(crate) local: ArcSwap<Local>,
    pub(crate) journal: Journal,
    pub(crate) replay: Mutex<ReplayWindow>,
    pub(crate) roots: VerifiedRoots,
    pub(crate) peers: ArcSwap<PeerClient>,
    pub(crate) peer_tls: PeerTls,
    /// SHA-256 of this server's authentication certificate.
    pub(crate) authentication_certificate: Sha256,
    pub(crate) sources: SourceClient,
    pub(crate) central: CentralClient,
    pub(crate) witnessing: Witnessing,
    pub(crate) timestamps: Timestamps,
    pub(crate) consumer_places: Semaphore,
    pub(crate) provider_places: Semaphore,
    /// Exports of the log that run: each reads as fast as the disk gives.
    pub(crate) export_places: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) admin_token: String,
    pub(crate) refresh_seconds: u64,
    pub(crate) file_seen: Mutex<Option<Sha256>>,
    /// The file that `clients`, `services` and `grants` are read from again; absent in tests.
    pub(crate) file: Option<PathBuf>,
}

impl Hub {
    /// The signing key of a member of this hub.
    pub(crate) fn signer(&self, member: &MemberId) -> Option<Arc<MemberSigner>> {
        self.local.load().members.get(member).cloned()
    }

    /// Admits a request id once.
    pub(crate) fn admit_once(&self, exchange: Uuid, now: UnixMillis) -> Result<(), Problem> {
        let mut window = self.replay.lock().unwrap_or_else(|lock| lock.into_inner());
        window.admit(exchange, now).map_err(|refusal| {
            let code = match refusal {
                ReplayRefusal::Seen => ProblemCode::Replayed,
                ReplayRefusal::Full => ProblemCode::ProviderOverloaded,
            };
            Problem::new(code, refusal.to_string())
        })
    }

    /// A configuration that has come into force.
    pub(crate) fn put_in_force(&self, configuration: ConfigurationInForce) {
        let changed = self.in_force.load().as_ref().is_none_or(|old| {
            let servers = |c: &ConfigurationInForce| c.document().content.servers.clone();
            servers(old) != servers(&configuration)
        });
        self.in_force.store(Some(Arc::new(configuration)));
        if changed {
            // Old connections end with their exchanges; new exchanges make new connections.
            let pool = clients::peer_client(self.peer_tls.clone(), self.in_force.clone());
            self.peers.store(Arc::new(pool));
        }
    }
}
