//! Public keys of the two signature algorithms that Koʻprik takes.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use schemas::encoding::hex;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519, RFC 8032: the default for signing keys.
    Ed25519,
    /// ECDSA on P-256 with SHA-256: where a token or a certification authority demands it, and for
    /// TLS.
    EcdsaP256,
}

impl Algorithm {
    /// The name in HTTP Message Signatures, RFC 9421 §3.3: `ed25519` or `ecdsa-p256-sha256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256-sha256",
        }
    }

    /// DER of a SubjectPublicKeyInfo before the key's own bytes, and their number: RFC 8410 §4 and
    /// RFC 5480 §2 (named curve, uncompressed point). DER has one encoding, so this is all of it.
    fn spki(self) -> (&'static [u8], usize) {
        match self {
            Self::Ed25519 => (b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 32),
            Self::EcdsaP256 => (
                b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                  \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
                65,
            ),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnsupportedKey;

    fn from_str(name: &str) -> Result<Self, UnsupportedKey> {
        let known = [Self::Ed25519, Self::EcdsaP256];
        known.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnsupportedKey)
    }
}

/// The key is of a kind that Koʻprik does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is neither Ed25519 nor ECDSA P-256; its owner makes a new one of these kinds")]
pub struct UnsupportedKey;

/// The signature was not made over these bytes by this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match the signed bytes and the key; the signer has to sign again")]
pub struct BadSignature;

/// A public key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: Algorithm,
    raw: Vec<u8>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// [`UnsupportedKey`] for anything but an Ed25519 key or an uncompressed P-256 point.
    pub fn from_spki(der: &[u8]) -> Result<Self, UnsupportedKey> {
        let read = |algorithm: Algorithm| {
            let (prefix, length) = algorithm.spki();
            let raw = der.strip_prefix(prefix).filter(|raw| raw.len() == length)?;
            Some(Self { algorithm, raw: raw.to_vec() })
        };
        read(Algorithm::Ed25519).or_else(|| read(Algorithm::EcdsaP256)).ok_or(UnsupportedKey)
    }

    /// Takes the key's own bytes: 32 for Ed25519 (RFC 8032 §5.1.5), 65 for an uncompressed P-256
    /// point (SEC 1 §2.3.3).
    ///
    /// # Errors
    /// [`UnsupportedKey`] when the length is another.
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self, UnsupportedKey> {
        let (_, length) = algorithm.spki();
        if raw.len() != length {
            return Err(UnsupportedKey);
        }
        Ok(Self { algorithm, raw: raw.to_vec() })
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        [self.algorithm.spki().0, &self.raw].concat()
    }

    /// The algorithm of its signatures.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's own bytes, see [`PublicKey::from_raw`].
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Checks a signature in the form of RFC 9421 §3.3: 64 bytes for both algorithms, for ECDSA
    /// `r ‖ s` and not the DER of X.509.
    ///
    /// # Errors
    /// [`BadSignature`] when it was not made over `message` by this key.
    ///
    /// ```
    /// use pki::signer::SigningKey;
    /// use pki::trust::Algorithm;
    /// let key = SigningKey::ephemeral(Algorithm::Ed25519)?;
    /// let signature = key.sign(b"read me")?;
    /// assert!(key.public_key().verify(b"read me", &signature).is_ok());
    /// assert!(key.public_key().verify(b"read you", &signature).is_err());
    /// # Ok::<(), pki::signer::KeyError>(())
    /// ```
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let verified = match self.algorithm {
            Algorithm::Ed25519 => {
                UnparsedPublicKey::new(&ED25519, &self.raw).verify(message, signature)
            }
            Algorithm::EcdsaP256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.raw)
                .verify(message, signature),
        };
        verified.map_err(|_| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, hex(&self.raw))
    }
}

#[cfg(not(target_family = "wasm"))]
impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.raw
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.algorithm {
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::encoding::from_hex;

    #[test]
    fn ed25519_signature_of_rfc_8032_verifies_and_a_changed_one_does_not() {
        // RFC 8032 §7.1, test 2.
        let raw = from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = from_hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        let key = PublicKey::from_raw(Algorithm::Ed25519, &raw.unwrap()).unwrap();
        let mut signature = signature.unwrap();
        assert_eq!(key.verify(&[0x72], &signature), Ok(()));
        assert_eq!(key.verify(&[0x73], &signature), Err(BadSignature));
        signature[63] ^= 1;
        assert_eq!(key.verify(&[0x72], &signature), Err(BadSignature));
        assert_eq!(key.verify(&[0x72], &signature[..63]), Err(BadSignature));
    }

    #[test]
    fn spki_round_trips_and_other_keys_are_refused() {
        for (algorithm, length) in [(Algorithm::Ed25519, 32), (Algorithm::EcdsaP256, 65)] {
            let key = PublicKey::from_raw(algorithm, &vec![4; length]).unwrap();
            let spki = key.to_spki();
            assert_eq!(PublicKey::from_spki(&spki), Ok(key));
            assert_eq!(PublicKey::from_spki(&spki[..spki.len() - 1]), Err(UnsupportedKey));
            assert_eq!(PublicKey::from_raw(algorithm, &[4; 33]), Err(UnsupportedKey));
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        assert_eq!("rsa-v1_5-sha256".parse::<Algorithm>(), Err(UnsupportedKey));
    }
}
