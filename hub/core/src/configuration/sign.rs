//! How the central server signs a configuration; the other half of `Trusted::accept`.

use std::sync::Arc;

use schemas::configuration::GlobalConfiguration;
use schemas::limits::CONFIGURATION_MAX_BYTES;
use schemas::tlog::{Note, NoteError, NoteSignature, NoteSigner, NoteVerifier, SignerError};

/// Why a configuration could not be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFailure {
    /// A key did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The document has no canonical form, or it is too large for a note.
    #[error(
        "central server: the configuration cannot be written as a signed note ({0}); make the \
         content smaller or correct it"
    )]
    Document(String),
}

/// The document as it is signed and hashed: canonical JSON (RFC 8785) on one line, without a
/// newline.
///
/// # Errors
/// [`SignFailure::Document`] when it has no canonical form.
pub fn document_text(document: &GlobalConfiguration) -> Result<String, SignFailure> {
    let text = serde_json_canonicalizer::to_string(document);
    text.map_err(|cause| SignFailure::Document(cause.to_string()))
}

/// Signs a document with each of the keys. Calls the signers, which may block.
///
/// # Errors
/// [`SignFailure`] when one of them fails; a note with too few signatures would be refused anyway.
pub fn sign(
    document: &GlobalConfiguration,
    signers: &[Arc<dyn NoteSigner>],
) -> Result<String, SignFailure> {
    let text = document_text(document)? + "\n";
    let refused = |cause: NoteError| SignFailure::Document(cause.to_string());
    let mut signatures = Vec::with_capacity(signers.len());
    for signer in signers {
        let verifier =
            NoteVerifier::ed25519(signer.name(), signer.public_key()).map_err(refused)?;
        let bytes = signer.sign(text.as_bytes())?.to_vec();
        let line = NoteSignature::new(signer.name(), verifier.key_id(), bytes).map_err(refused)?;
        signatures.push(line);
    }
    let note = Note::new_up_to(CONFIGURATION_MAX_BYTES, &text, signatures).map_err(refused)?;
    let note = note.to_string();
    if note.len() > CONFIGURATION_MAX_BYTES {
        return Err(SignFailure::Document(format!(
            "it has more than {CONFIGURATION_MAX_BYTES} bytes"
        )));
    }
    Ok(note)
}
