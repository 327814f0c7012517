//! Note keys: Ed25519 keys that sign checkpoints and global configurations (C2SP signed-note).

use std::path::Path;

use schemas::tlog::{NoteError, NoteSigner, NoteVerifier, SignerError};

use super::{KeyError, SigningKey};
use crate::trust::Algorithm;

/// An Ed25519 key with the name that its signature lines carry; for a log key the log's origin.
#[derive(Debug)]
pub struct NoteKey {
    key: SigningKey,
    verifier: NoteVerifier,
    public_key: [u8; 32],
}

/// Why a note key is not usable.
#[derive(Debug, thiserror::Error)]
pub enum NoteKeyError {
    /// The key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The name.
    #[error("own side: the name of a note key is refused ({0}); correct it in the configuration")]
    Name(#[from] NoteError),
}

impl NoteKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// Those of [`SigningKey::load`]; a key that is not Ed25519; a name with a space or a plus
    /// sign.
    pub fn load(name: &str, path: &Path) -> Result<Self, NoteKeyError> {
        Self::new(name, SigningKey::load(path)?)
    }

    /// Gives a name to a key.
    ///
    /// # Errors
    /// A key that is not Ed25519; a name with a space or a plus sign.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, NoteKeyError> {
        let raw = (key.algorithm() == Algorithm::Ed25519).then(|| key.public_key().raw());
        let public_key = raw.and_then(|raw| raw.try_into().ok()).ok_or_else(|| {
            KeyError::NotAKey { path: format!("the key of {name}"), wanted: "Ed25519" }
        })?;
        let verifier = NoteVerifier::ed25519(name, public_key)?;
        Ok(Self { key, verifier, public_key })
    }

    /// Makes a key that is never written down, for tests.
    ///
    /// # Errors
    /// Those of [`NoteKey::new`].
    pub fn ephemeral(name: &str) -> Result<Self, NoteKeyError> {
        Self::new(name, SigningKey::ephemeral(Algorithm::Ed25519)?)
    }

    /// The verifier; its text is the verifier key `name+id+base64`.
    #[must_use]
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }
}

impl NoteSigner for NoteKey {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignerError> {
        let signature = self.key.sign(text).map_err(|failed| SignerError(failed.to_string()))?;
        let bytes = signature.as_slice().try_into();
        bytes.map_err(|_| SignerError("its signature does not have 64 bytes".to_owned()))
    }
}
