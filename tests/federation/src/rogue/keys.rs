//! Keys for a rogue: those of a laid-out hub, or others that the same authority issued.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pki::authority::{Authority, AuthorityFiles, Validity};
use pki::signer::SigningKey;
use pki::tls::Identity;
use pki::trust::{Algorithm, Certificate};
use schemas::clock::UnixMillis;
use schemas::identifier::{MemberId, ServerId};

use crate::Layout;

/// A signing certificate with its key.
#[derive(Debug)]
pub struct SigningKeys {
    /// The key.
    pub key: SigningKey,
    /// The certificate.
    pub certificate: Certificate,
}

impl SigningKeys {
    /// The member's signing keys in a hub's folder.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let key = SigningKey::load(&dir.join("signing.key"))?;
        Ok(Self { key, certificate: certificate(&dir.join("signing.pem"))? })
    }

    /// New signing keys for a member, issued by the federation's authority and registered nowhere.
    ///
    /// # Errors
    /// When the authority cannot be read.
    pub fn unregistered(layout: &Layout, member: &str, now: UnixMillis) -> anyhow::Result<Self> {
        let key = SigningKey::ephemeral(Algorithm::Ed25519)?;
        let member: MemberId = member.parse()?;
        let certificate =
            authority(layout)?.issue_signing(&member, key.public_key(), validity(now))?;
        Ok(Self { key, certificate })
    }
}

/// What a hub's folder shows in handshakes under `name`: `peer`, `edge` or `client`.
///
/// # Errors
/// When it cannot be read.
pub fn identity(dir: &Path, name: &str) -> anyhow::Result<Identity> {
    let key = SigningKey::load(&dir.join(format!("{name}.key")))?;
    let certificate = certificate(&dir.join(format!("{name}.pem")))?;
    Ok(Identity::new(certificate, Arc::new(key))?)
}

/// A new authentication certificate for a security server, issued by the federation's authority and
/// registered nowhere.
///
/// # Errors
/// When the authority cannot be read.
pub fn unregistered_identity(
    layout: &Layout,
    server: &str,
    now: UnixMillis,
) -> anyhow::Result<Identity> {
    let key = SigningKey::ephemeral(Algorithm::EcdsaP256)?;
    let server: ServerId = server.parse()?;
    let authority = authority(layout)?;
    let certificate =
        authority.issue_authentication(&server, key.public_key(), &["localhost"], validity(now))?;
    Ok(Identity::new(certificate, Arc::new(key))?)
}

fn certificate(path: &Path) -> anyhow::Result<Certificate> {
    Ok(Certificate::from_pem(&std::fs::read_to_string(path)?)?)
}

fn authority(layout: &Layout) -> anyhow::Result<Authority> {
    let dir = layout.dir.join("central");
    let (key, certificate) = (dir.join("authority.key"), dir.join("authority.pem"));
    Ok(Authority::load(AuthorityFiles { key: &key, certificate: &certificate })?)
}

fn validity(now: UnixMillis) -> Validity {
    Validity { from: now.minus(Duration::from_secs(3600)), days: 30 }
}
