//! Handshakes in memory: bytes are carried between two rustls connections until both are done.
//!
//! ```text
//!   client ──bytes──► server       each with an identity and the pins that it accepts
//!          ◄──bytes──
//! ```

use std::sync::Mutex;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Error, ServerConnection};
use schemas::clock::UnixMillis;
use schemas::identifier::ServerId;

use super::*;
use crate::authority::{Authority, Validity};
use crate::signer::SigningKey;
use crate::trust::Algorithm;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const ALPN: &[&[u8]] = &[b"h2"];

#[derive(Default)]
struct Pins(Mutex<Vec<Sha256>>);

impl PinnedCertificates for Pins {
    fn accepts(&self, fingerprint: &Sha256) -> bool {
        self.0.lock().unwrap().contains(fingerprint)
    }
}

fn pins(identities: &[&Identity]) -> Arc<Pins> {
    let pinned = identities.iter().map(|identity| identity.certificate().fingerprint());
    Arc::new(Pins(Mutex::new(pinned.collect())))
}

fn identity_with(algorithm: Algorithm) -> Identity {
    let validity = Validity { from: NOW, days: 7 };
    let authority = Authority::ephemeral("UZ test authority", validity).unwrap();
    let key = Arc::new(SigningKey::ephemeral(algorithm).unwrap());
    let server: ServerId = "UZ/GOV/TAX/hub1".parse().unwrap();
    let certificate = authority.issue_authentication(&server, key.public_key(), &[], validity);
    Identity::new(certificate.unwrap(), key).unwrap()
}

fn identity() -> Identity {
    identity_with(Algorithm::EcdsaP256)
}

fn clock() -> Clock {
    Clock::manual(NOW)
}

fn peer(own: &Identity, accepted: &Arc<Pins>, clock: &Clock) -> PeerTls {
    PeerTls::new(own, accepted.clone(), clock, ALPN).unwrap()
}

/// The connections after the handshake, or the first error with the side that saw it.
fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), (&'static str, Error)> {
    let name = ServerName::try_from("any.example").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().map_err(|error| ("server", error))?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|error| ("client", error))?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

#[test]
fn pinned_servers_verify_each_other_over_tls13() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let (a, b) = (identity_with(algorithm), identity());
        let (a_tls, b_tls) = (peer(&a, &pins(&[&b]), &clock()), peer(&b, &pins(&[&a]), &clock()));
        let (client, server) = handshake(a_tls.client(), b_tls.server()).unwrap();
        assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
        let seen_by_b = b_tls.verified(&server).unwrap().fingerprint();
        assert_eq!(seen_by_b, a.certificate().fingerprint());
        let seen_by_a = a_tls.verified(&client).unwrap().fingerprint();
        assert_eq!(seen_by_a, b.certificate().fingerprint());
        assert_eq!(server.server_name(), None, "no name is sent");
    }
}

#[test]
fn certificate_that_is_not_pinned_is_refused_on_either_side() {
    let (a, b) = (identity(), identity());
    let (trusting, distrusting) = (pins(&[&a, &b]), pins(&[]));
    let refused = handshake(
        peer(&a, &trusting, &clock()).client(),
        peer(&b, &distrusting, &clock()).server(),
    );
    assert!(matches!(refused, Err(("server", Error::InvalidCertificate(_)))));
    let refused = handshake(
        peer(&a, &distrusting, &clock()).client(),
        peer(&b, &trusting, &clock()).server(),
    );
    assert!(matches!(refused, Err(("client", Error::InvalidCertificate(_)))));
}

#[test]
fn pinned_certificate_outside_its_validity_is_refused() {
    let (a, b) = (identity(), identity());
    let (accepted, clock) = (pins(&[&a, &b]), clock());
    let (client, server) = (peer(&a, &accepted, &clock), peer(&b, &accepted, &clock));
    assert!(handshake(client.client(), server.server()).is_ok());
    clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    let expired = rustls::CertificateError::Expired.into();
    let refused = handshake(client.client(), server.server()).err();
    assert_eq!(refused, Some(("client", expired)));
}

#[test]
fn certificate_without_its_key_is_refused() {
    let (a, b) = (identity(), identity());
    let other = Arc::new(SigningKey::ephemeral(Algorithm::EcdsaP256).unwrap());
    assert!(Identity::new(a.certificate().clone(), other).is_err());
    // A thief has the certificate, which is public, and signs with a key of his own.
    let thief = Identity::forged(a.certificate().clone(), &b);
    let accepted = pins(&[&a, &b]);
    let refused = handshake(
        peer(&thief, &accepted, &clock()).client(),
        peer(&b, &accepted, &clock()).server(),
    );
    assert!(matches!(refused, Err(("server", Error::InvalidCertificate(_)))), "{refused:?}");
}

#[test]
fn client_without_certificate_is_refused_between_servers_and_taken_at_the_edge() {
    let server = identity();
    let accepted = pins(&[&server]);
    let anonymous = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let verifier = Arc::new(Pinned::new(accepted.clone(), clock(), &provider()));
        let config = ClientConfig::builder_with_details(provider(), time(&clock()))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Arc::new(config)
    };
    let mut between = ServerConfig::clone(&peer(&server, &accepted, &clock()).server());
    between.alpn_protocols.clear();
    let refused = handshake(anonymous(&[&version::TLS13]), Arc::new(between));
    assert!(matches!(refused, Err(("server", Error::NoCertificatesPresented))));
    let edge = edge_server(&server, &clock(), &[]).unwrap();
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let (_, taken) = handshake(anonymous(&versions), edge.clone()).unwrap();
        assert_eq!(peer_fingerprint(&taken), None);
    }
}

#[test]
fn edge_reports_the_fingerprint_of_any_certificate_that_is_valid_now() {
    let (server, client) = (identity(), identity());
    let (accepted, clock) = (pins(&[&server, &client]), clock());
    let edge = edge_server(&server, &clock, ALPN).unwrap();
    let system = peer(&client, &accepted, &clock).client();
    let (_, taken) = handshake(system.clone(), edge.clone()).unwrap();
    assert_eq!(peer_fingerprint(&taken), Some(client.certificate().fingerprint()));
    // The edge's claim is not the evidence that other security servers give.
    let strangers = peer(&server, &pins(&[]), &clock);
    assert!(strangers.verified(&taken).is_err());
    let late = Clock::manual(NOW.plus(Duration::from_secs(8 * 24 * 60 * 60)));
    let refused = handshake(system, edge_server(&server, &late, ALPN).unwrap());
    assert_eq!(refused.err(), Some(("server", rustls::CertificateError::Expired.into())));
}

#[test]
fn tls12_is_refused_between_servers() {
    let (a, b) = (identity(), identity());
    let accepted = pins(&[&a, &b]);
    let old = ClientConfig::builder_with_details(provider(), time(&clock()))
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned::new(
            accepted.clone(),
            clock(),
            &provider(),
        )))
        .with_client_cert_resolver(a.resolver());
    let refused = handshake(Arc::new(old), peer(&b, &accepted, &clock()).server());
    assert!(matches!(refused, Err(("server", Error::PeerIncompatible(_)))), "{refused:?}");
}

#[test]
fn unpinned_certificate_is_refused_on_the_next_connection_and_as_evidence() {
    let (a, b) = (identity(), identity());
    let accepted = pins(&[&a, &b]);
    let (client, server) = (peer(&a, &accepted, &clock()), peer(&b, &accepted, &clock()));
    let (_, open) = handshake(client.client(), server.server()).unwrap();
    assert!(server.verified(&open).is_ok());
    accepted.0.lock().unwrap().retain(|pin| *pin != a.certificate().fingerprint());
    assert_eq!(server.verified(&open).err(), Some(NotPinned));
    // Nothing of the first connection is resumed.
    let again = handshake(client.client(), server.server());
    assert!(matches!(again, Err(("server", Error::InvalidCertificate(_)))));
}
