//! Key files: made with mode 0600, refused when anyone but the owner may read or write them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::SigningKey;
use crate::trust::{Algorithm, pem_text};

/// A key file is a few hundred bytes; a P-256 key with parameters stays far under this.
const KEY_FILE_MAX_BYTES: u64 = 16 * 1024;

/// PKCS#8 version 1 of an Ed25519 key before its 32-byte seed (RFC 8410 §7). Version 2, which ring
/// itself would make, is not read by every OpenSSL.
const ED25519_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// Why a private key is not usable. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error(
        "own side: {action} key file {path} failed ({cause}); check that it exists and who owns it"
    )]
    Io {
        /// `reading` or `writing`.
        action: &'static str,
        /// The file.
        path: String,
        /// The system's words.
        cause: io::Error,
    },
    /// A key is there already.
    #[error(
        "own side: key file {path} exists and is never overwritten; move it away to make a new key"
    )]
    Exists {
        /// The file.
        path: String,
    },
    /// Others can read or write the file.
    #[error(
        "own side: key file {path} is open to other users (mode {mode:04o}); run: chmod 600 {path}"
    )]
    OpenToOthers {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no usable key.
    #[error(
        "own side: {path} holds no {wanted} private key in PKCS#8 PEM; make one with `koprik key`"
    )]
    NotAKey {
        /// The file, or `memory`.
        path: String,
        /// The kinds of key that are taken.
        wanted: &'static str,
    },
    /// The machine gave no randomness, or the key did not sign.
    #[error(
        "own side: the cryptography of this machine failed while {0}; restart, then check the \
         machine"
    )]
    Failed(&'static str),
}

/// Makes a key and writes it to `path` (mode 0600, synced to disk together with its folder).
///
/// # Errors
/// [`KeyError::Exists`] when the file is there, [`KeyError::Io`], [`KeyError::Failed`].
pub fn generate(algorithm: Algorithm, path: &Path) -> Result<SigningKey, KeyError> {
    let pkcs8 = new_pkcs8(algorithm)?;
    write(path, &pkcs8)?;
    SigningKey::from_pkcs8(&pkcs8)
}

/// A new key in PKCS#8 DER.
pub(super) fn new_pkcs8(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |_| KeyError::Failed("making a key");
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill(&mut *seed).map_err(failed)?;
            Ok(Zeroizing::new([ED25519_PKCS8, &*seed].concat()))
        }
        Algorithm::EcdsaP256 => {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
            Ok(Zeroizing::new(made.map_err(failed)?.as_ref().to_vec()))
        }
    }
}

/// Reads the PKCS#8 DER in a key file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let shown = || path.display().to_string();
    let failed = |cause| KeyError::Io { action: "reading", path: shown(), cause };
    let file = File::open(path).map_err(failed)?;
    // The mode of the open file, not of the path, which could change in between.
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::OpenToOthers { path: shown(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(KEY_FILE_MAX_BYTES).read_to_end(&mut text).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text);
    let key = key.map_err(|_| KeyError::NotAKey { path: shown(), wanted: "private key" })?;
    Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
}

fn write(path: &Path, pkcs8: &[u8]) -> Result<(), KeyError> {
    let shown = || path.display().to_string();
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path: shown() },
        _ => KeyError::Io { action: "writing", path: shown(), cause },
    };
    let text = Zeroizing::new(pem_text("PRIVATE KEY", pkcs8));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all()).map_err(failed)
}
