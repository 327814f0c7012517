//! What signs notes: the port that a log, the central server and key stores share.

/// Signs note texts with Ed25519 (C2SP signed-note, signature type 0x01). An implementation may
/// block, as a token does, so it is called where blocking is allowed.
pub trait NoteSigner: Send + Sync {
    /// The key name of the signature line; for a log key the log's origin.
    fn name(&self) -> &str;

    /// The Ed25519 public key, RFC 8032.
    fn public_key(&self) -> [u8; 32];

    /// The Ed25519 signature of `text`.
    ///
    /// # Errors
    /// When the key cannot sign now; the caller keeps what it has and tries again.
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignerError>;
}

/// The key is not usable now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("own side: the note key is not usable: {0}; check the key file or the token")]
pub struct SignerError(pub String);
