//! A private key that signs messages, certificates and TLS handshakes.

use std::fmt;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};

use super::{KeyError, file};
use crate::trust::{Algorithm, PublicKey};

/// A private key, Ed25519 or ECDSA P-256. `Debug` shows the public key only.
pub struct SigningKey {
    key: Key,
    public: PublicKey,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(Box<EcdsaPair>),
}

/// ring fixes the form of the signature with the key: `r ‖ s` for messages (RFC 9421 §3.3.4),
/// DER for certificates and TLS (RFC 5480, RFC 8446 §4.2.3).
struct EcdsaPair {
    fixed: EcdsaKeyPair,
    der: EcdsaKeyPair,
}

impl SigningKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError::OpenToOthers`] unless the mode is 0600 or stricter, [`KeyError::NotAKey`],
    /// [`KeyError::Io`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let pkcs8 = file::read(path)?;
        Self::from_pkcs8(&pkcs8).map_err(|refused| match refused {
            KeyError::NotAKey { wanted, .. } => {
                KeyError::NotAKey { path: path.display().to_string(), wanted }
            }
            other => other,
        })
    }

    /// Makes a key that is never written down, for tests and for keys that live with a process.
    ///
    /// # Errors
    /// [`KeyError::Failed`].
    pub fn ephemeral(algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::from_pkcs8(&file::new_pkcs8(algorithm)?)
    }

    /// Takes PKCS#8 DER (RFC 5958, version 1 or 2).
    ///
    /// # Errors
    /// [`KeyError::NotAKey`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let refused = || KeyError::NotAKey {
            path: "the key in memory".to_owned(),
            wanted: "Ed25519 or ECDSA P-256",
        };
        let (key, algorithm, raw) = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            Ok(pair) => {
                let raw = pair.public_key().as_ref().to_vec();
                (Key::Ed25519(pair), Algorithm::Ed25519, raw)
            }
            Err(_) => {
                let random = SystemRandom::new();
                let pair = |form| EcdsaKeyPair::from_pkcs8(form, pkcs8, &random);
                let fixed = pair(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| refused())?;
                let der = pair(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| refused())?;
                let raw = fixed.public_key().as_ref().to_vec();
                (Key::EcdsaP256(Box::new(EcdsaPair { fixed, der })), Algorithm::EcdsaP256, raw)
            }
        };
        let public = PublicKey::from_raw(algorithm, &raw).map_err(|_| refused())?;
        Ok(Self { key, public })
    }

    /// The algorithm; its name is the `alg` of RFC 9421.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: 64 bytes, in the form that [`PublicKey::verify`] takes.
    ///
    /// # Errors
    /// [`KeyError::Failed`] when ECDSA gets no randomness from the machine.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.key {
            Key::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Key::EcdsaP256(pair) => ecdsa(&pair.fixed, message),
        }
    }

    /// Signs in the form of certificates and TLS: as [`SigningKey::sign`], but DER for ECDSA.
    pub(crate) fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.key {
            Key::Ed25519(_) => self.sign(message),
            Key::EcdsaP256(pair) => ecdsa(&pair.der, message),
        }
    }
}

fn ecdsa(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let signature = pair.sign(&SystemRandom::new(), message);
    signature.map(|made| made.as_ref().to_vec()).map_err(|_| KeyError::Failed("signing"))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

impl rcgen::PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        rcgen::PublicKeyData::algorithm(&self.public)
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.sign_der(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
