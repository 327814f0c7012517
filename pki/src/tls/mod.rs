//! rustls configurations of the two doors of a security server.
//!
//! - Between security servers: TLS 1.3 only, mutual, and the other side is who the global
//!   configuration says: its certificate is pinned by SHA-256, so host names and issuers decide
//!   nothing ([`PeerTls`]).
//! - At the edge: TLS 1.2 and 1.3, client certificate optional; its fingerprint is reported and
//!   matched later against what is registered for the client ([`edge_server`]).
//!
//! Session resumption and early data are off everywhere: a resumed session would not look at the
//! certificate again, and a revocation has to bite within one refresh (promise P10); early data
//! could be replayed.

mod identity;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, CommonState, ServerConfig, version};
use schemas::clock::Clock;
use schemas::digest::Sha256;

pub use identity::{Identity, IdentityError};
use verifier::{EdgeClients, Pinned};

/// The certificates that are accepted from other security servers: those of the global
/// configuration in force. Asked in every handshake, from any thread, so it answers from memory.
pub trait PinnedCertificates: Send + Sync {
    /// Whether the certificate with this SHA-256 belongs to a security server that may speak now.
    fn accepts(&self, fingerprint: &Sha256) -> bool;
}

/// The evidence that a connection is mutually authenticated with a pinned certificate. Only
/// [`PeerTls::verified`] makes it. It speaks for the moment of the handshake: whoever acts on a
/// later request on the same connection looks the fingerprint up again in the configuration in
/// force.
#[derive(Debug)]
pub struct VerifiedPeer {
    fingerprint: Sha256,
}

impl VerifiedPeer {
    /// SHA-256 of the other side's authentication certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }
}

/// The connection has no pinned certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "other side: its authentication certificate is not in the global configuration in force; its \
     administrator registers the certificate at the central server"
)]
pub struct NotPinned;

/// TLS between security servers, for both directions.
#[derive(Clone)]
pub struct PeerTls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    pinned: Arc<dyn PinnedCertificates>,
}

impl PeerTls {
    /// Builds both configurations.
    ///
    /// # Errors
    /// [`TlsError`] when rustls refuses the combination, which no valid identity causes.
    pub fn new(
        identity: &Identity,
        pinned: Arc<dyn PinnedCertificates>,
        clock: &Clock,
        alpn: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let verifier = Arc::new(Pinned::new(pinned.clone(), clock.clone(), &provider()));
        let mut server = ServerConfig::builder_with_details(provider(), time(clock))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(TlsError)?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(identity.resolver());
        without_resumption(&mut server);
        server.alpn_protocols = protocols(alpn);
        let mut client = ClientConfig::builder_with_details(provider(), time(clock))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(TlsError)?
            .dangerous() // The name marks any own verifier; this one is stricter than WebPKI's.
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(identity.resolver());
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        client.alpn_protocols = protocols(alpn);
        Ok(Self { server: Arc::new(server), client: Arc::new(client), pinned })
    }

    /// The accepting side.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// The connecting side; any server name may be given, none is sent or checked.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// The evidence for a connection made with one of these configurations, after its handshake.
    ///
    /// # Errors
    /// [`NotPinned`] when the certificate is not accepted (any more), or the handshake is not done.
    pub fn verified(&self, connection: &CommonState) -> Result<VerifiedPeer, NotPinned> {
        let fingerprint = peer_fingerprint(connection).filter(|seen| self.pinned.accepts(seen));
        let done = fingerprint.filter(|_| !connection.is_handshaking()).ok_or(NotPinned)?;
        Ok(VerifiedPeer { fingerprint: done })
    }
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerTls")
    }
}

/// The configuration of the edge listener. A client certificate is asked for and may be absent. One
/// that is there is proved (the client holds its key) and within its validity, whoever issued it:
/// [`peer_fingerprint`] is to be matched with what the client has registered.
///
/// # Errors
/// [`TlsError`] when rustls refuses the combination, which no valid identity causes.
pub fn edge_server(
    identity: &Identity,
    clock: &Clock,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_details(provider(), time(clock))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(TlsError)?
        .with_client_cert_verifier(Arc::new(EdgeClients::new(clock.clone(), &provider())))
        .with_cert_resolver(identity.resolver());
    without_resumption(&mut config);
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}

/// SHA-256 of the other side's end-entity certificate, if it sent one. On a connection of
/// [`edge_server`] this is a claim to be matched, not a permission.
#[must_use]
pub fn peer_fingerprint(connection: &CommonState) -> Option<Sha256> {
    connection.peer_certificates()?.first().map(|certificate| Sha256::of(certificate))
}

/// rustls refused a configuration.
#[derive(Debug, thiserror::Error)]
#[error("own side: the TLS configuration is refused ({0}); report it, no setting causes this")]
pub struct TlsError(rustls::Error);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn protocols(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}

fn without_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
}

/// The time by which rustls judges certificates: the process's clock.
#[must_use]
pub fn time(clock: &Clock) -> Arc<dyn TimeProvider> {
    Arc::new(ClockTime(clock.clone()))
}

/// rustls reads the process's clock, so that tests move it.
#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let since_epoch = std::time::Duration::from_millis(self.0.now().0);
        Some(rustls::pki_types::UnixTime::since_unix_epoch(since_epoch))
    }
}

#[cfg(test)]
mod tests;
