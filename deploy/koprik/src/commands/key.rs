//! `koprik key FILE`: a private key in PKCS#8 PEM, mode 0600, never overwriting one.

use std::path::PathBuf;

use pki::signer::{self, NoteKey};
use pki::trust::Algorithm;
use schemas::tlog::{NoteSigner as _, WitnessVerifier};
use serde_json::json;

use crate::output;

/// A new key.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    /// The file, which must not exist.
    file: PathBuf,
    /// `ed25519` (signing, log and configuration keys) or `ecdsa-p256-sha256` (TLS).
    #[arg(long, default_value = "ed25519", value_parser = parse_algorithm)]
    algorithm: Algorithm,
    /// The name of a log or configuration key; its verifier key is printed.
    #[arg(long, value_name = "NAME")]
    verifier: Option<String>,
    /// The name of a witness's key, the log's origin and `/witness`; its verifier key is printed.
    #[arg(long, value_name = "NAME", conflicts_with = "verifier")]
    witness: Option<String>,
}

fn parse_algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|_| "write ed25519 or ecdsa-p256-sha256".to_owned())
}

impl Key {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let key = signer::generate(self.algorithm, &self.file)?;
        let verifier = match (self.verifier, self.witness) {
            (Some(name), _) => Some(NoteKey::new(&name, key)?.verifier().to_string()),
            (None, Some(name)) => {
                let public = NoteKey::new(&name, key)?.public_key();
                Some(WitnessVerifier::new(&name, public)?.to_string())
            }
            (None, None) => None,
        };
        let file = self.file.display().to_string();
        output::print(json, &json!({ "file": file, "verifier": verifier }), || {
            let shown =
                verifier.as_ref().map_or_else(String::new, |v| format!("\nverifier key {v}"));
            format!("key written to {file}{shown}")
        })?;
        Ok(())
    }
}
