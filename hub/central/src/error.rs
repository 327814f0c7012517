//! Why the central server does not start or does not publish.

use std::io;
use std::path::Path;

use hub_core::configuration::{ConfigurationRefusal, ContentFaults, SignFailure};
use hub_messagelog::LogError;
use hub_witness::WitnessError;
use pki::signer::NoteKeyError;
use pki::timestamp::TimestampAuthorityError;

/// A failure of the central server. While it runs, the last good version stays in force.
#[derive(Debug, thiserror::Error)]
pub enum CentralError {
    /// The configuration file.
    #[error("central server: its configuration is refused: {0}")]
    Config(String),
    /// A key file.
    #[error("central server: {0}")]
    Key(#[from] NoteKeyError),
    /// A file or socket operation.
    #[error(
        "central server: {action} {place} failed ({cause}); check that it exists, its rights and \
         the disk"
    )]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or address.
        place: String,
        /// The system's words.
        cause: io::Error,
    },
    /// The content file cannot be read as a content.
    #[error(
        "central server: the content is not readable: {0}; correct it, the last good version stays"
    )]
    ContentText(String),
    /// The content contradicts itself.
    #[error("central server: the content is refused: {0}; the last good version stays")]
    Content(#[from] ContentFaults),
    /// The content is kept in a TOML file, which is not rewritten.
    #[error(
        "central server: the content is kept in {0}; edit that file, or configure a .json content \
         file to publish over the admin listener"
    )]
    ContentIsToml(String),
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignFailure),
    /// The hubs would refuse what was just signed, or what is on the disk.
    #[error(
        "central server: its own chain of versions refuses version {version}: {cause}; check \
         keys, threshold and clock in its configuration, and restore versions/ from the backup if \
         files were changed"
    )]
    Chain {
        /// The version.
        version: u64,
        /// The refusal that the hubs would give.
        cause: ConfigurationRefusal,
    },
    /// Versions and log do not belong together.
    #[error(
        "central server: {versions} versions are stored and its log has {logged} entries; restore \
         versions/ and log/ from one backup"
    )]
    LogMismatch {
        /// Stored versions.
        versions: u64,
        /// Entries in the log.
        logged: u64,
    },
    /// The log.
    #[error("central server: {0}")]
    Log(#[from] LogError),
    /// The witness.
    #[error("central server: {0}")]
    Witness(#[from] WitnessError),
    /// The timestamp authority's key or certificate.
    #[error("timestamp authority: {0}")]
    TimestampAuthority(#[from] TimestampAuthorityError),
    /// The server is stopping.
    #[error("central server: it is stopping; try again after its start")]
    Stopping,
}

impl CentralError {
    pub(crate) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, place: path.display().to_string(), cause }
    }
}
