//! A timestamp authority of the federation: its files, and its place in the global configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hub_central::TimestampAuthorityConfig;
use pki::authority::{Authority, Validity};
use pki::signer;
use pki::trust::{Algorithm, Certificate};
use schemas::configuration::TimestampAuthority;

use crate::layout::Layout;

/// A policy that stands for examples (RFC 5612).
const POLICY: &str = "1.3.6.1.4.1.32473.1";

/// Who stamps the checkpoints of a federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    /// Nobody.
    None,
    /// A timestamp authority of its own.
    Own,
}

/// Writes key, certificate and configuration file of a timestamp authority into a new folder.
///
/// # Errors
/// When a file, key or certificate cannot be made.
pub fn write(
    dir: &Path,
    listen: SocketAddr,
    issuer: &Authority,
    validity: Validity,
) -> anyhow::Result<(PathBuf, Certificate)> {
    std::fs::create_dir_all(dir)?;
    let key = signer::generate(Algorithm::EcdsaP256, &dir.join("timestamps.key"))?;
    let certificate = issuer.issue_timestamping("UZ timestamps", key.public_key(), validity)?;
    std::fs::write(dir.join("timestamps.pem"), certificate.to_pem())?;
    let config = TimestampAuthorityConfig {
        listen,
        certificate: "timestamps.pem".into(),
        key: "timestamps.key".into(),
        policy: POLICY.to_owned(),
    };
    let file = dir.join("timestamp-authority.toml");
    std::fs::write(&file, toml::to_string_pretty(&config)?)?;
    Ok((file, certificate))
}

/// How the global configuration lists it.
#[must_use]
pub fn listed(name: &str, at: SocketAddr, certificate: &Certificate) -> TimestampAuthority {
    TimestampAuthority {
        name: name.to_owned(),
        url: format!("http://{at}/"),
        certificate: certificate.der().to_vec(),
    }
}

/// Adds a timestamp authority to a federation that is laid out.
pub(crate) fn add(
    layout: &mut Layout,
    listen: SocketAddr,
    issuer: &Authority,
    validity: Validity,
) -> anyhow::Result<()> {
    let (file, certificate) = write(&layout.dir.join("timestamps"), listen, issuer, validity)?;
    let mut content = layout.read_content()?;
    content.timestamp_authorities.push(listed("UZ timestamps", listen, &certificate));
    layout.write_content(&content)?;
    layout.timestamp_authority = Some((file, listen));
    Ok(())
}
