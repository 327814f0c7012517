//! What a process shows in a handshake: its certificate, signed for by the signer. The private key
//! stays in [`SigningKey`]; rustls only asks it to sign.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey as TlsKey, SingleCertAndKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::signer::SigningKey;
use crate::trust::{Algorithm, Certificate};

/// A certificate and the key to it.
#[derive(Clone, Debug)]
pub struct Identity {
    certificate: Certificate,
    certified: Arc<CertifiedKey>,
}

/// The key is not the certificate's.
#[derive(Debug, thiserror::Error)]
#[error(
    "own side: the key file does not belong to certificate `{0}`; configure the key that the \
     certificate was issued for"
)]
pub struct IdentityError(String);

impl Identity {
    /// Joins certificate and key.
    ///
    /// # Errors
    /// [`IdentityError`] when the key is not the certificate's.
    pub fn new(certificate: Certificate, key: Arc<SigningKey>) -> Result<Self, IdentityError> {
        if certificate.public_key() != Ok(key.public_key()) {
            return Err(IdentityError(certificate.subject().to_owned()));
        }
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let certified = Arc::new(CertifiedKey::new(chain, Arc::new(HandshakeKey(key))));
        Ok(Self { certificate, certified })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// A certificate shown with the key of another identity, as a thief of the certificate would.
    #[cfg(test)]
    pub(super) fn forged(certificate: Certificate, signer: &Self) -> Self {
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let certified = Arc::new(CertifiedKey::new(chain, signer.certified.key.clone()));
        Self { certificate, certified }
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.certified.clone()))
    }
}

#[derive(Clone, Debug)]
struct HandshakeKey(Arc<SigningKey>);

impl HandshakeKey {
    /// RFC 8446 §4.2.3.
    fn scheme(&self) -> SignatureScheme {
        match self.0.algorithm() {
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            Algorithm::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl TlsKey for HandshakeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer: Box<dyn Signer> = Box::new(self.clone());
        offered.contains(&self.scheme()).then_some(signer)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.public_key().to_spki()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.algorithm() {
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
            Algorithm::EcdsaP256 => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for HandshakeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign_der(message).map_err(|failed| Error::General(failed.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        HandshakeKey::scheme(self)
    }
}
