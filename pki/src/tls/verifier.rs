//! Who is let through a handshake. Both verifiers check that the other side holds the key of its
//! certificate (CertificateVerify, with ring's algorithms) and that the certificate is within its
//! validity; they differ in which certificates they take.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use schemas::clock::Clock;
use schemas::digest::Sha256;

use super::PinnedCertificates;
use crate::trust::{self, Certificate};

/// Takes the certificates of the global configuration, on both sides of a connection.
pub(super) struct Pinned {
    pinned: Arc<dyn PinnedCertificates>,
    clock: Clock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    pub(super) fn new(
        pinned: Arc<dyn PinnedCertificates>,
        clock: Clock,
        provider: &CryptoProvider,
    ) -> Self {
        Self { pinned, clock, algorithms: provider.signature_verification_algorithms }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if !self.pinned.accepts(&Sha256::of(certificate)) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        check_validity(certificate, &self.clock)
    }
}

/// Takes any certificate; what it may do is decided later from its fingerprint.
pub(super) struct EdgeClients {
    clock: Clock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl EdgeClients {
    pub(super) fn new(clock: Clock, provider: &CryptoProvider) -> Self {
        Self { clock, algorithms: provider.signature_verification_algorithms }
    }
}

/// Checks the validity period against the process's clock.
fn check_validity(certificate: &CertificateDer<'_>, clock: &Clock) -> Result<(), Error> {
    let parsed = Certificate::parse(certificate).map_err(|_| CertificateError::BadEncoding)?;
    parsed.valid_at(clock.now()).map_err(|refused| {
        Error::InvalidCertificate(match refused {
            trust::CertificateError::NotYetValid { .. } => CertificateError::NotValidYet,
            _ => CertificateError::Expired,
        })
    })
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

macro_rules! client_verifier {
    ($verifier:ident, $mandatory:literal, $check:expr) => {
        impl ClientCertVerifier for $verifier {
            fn client_auth_mandatory(&self) -> bool {
                $mandatory
            }

            fn root_hint_subjects(&self) -> &[DistinguishedName] {
                &[]
            }

            fn verify_client_cert(
                &self,
                end_entity: &CertificateDer<'_>,
                _intermediates: &[CertificateDer<'_>],
                _now: UnixTime,
            ) -> Result<ClientCertVerified, Error> {
                let check: fn(&Self, &CertificateDer<'_>) -> Result<(), Error> = $check;
                check(self, end_entity).map(|()| ClientCertVerified::assertion())
            }

            fn verify_tls12_signature(
                &self,
                message: &[u8],
                certificate: &CertificateDer<'_>,
                signed: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                verify_tls12_signature(message, certificate, signed, &self.algorithms)
            }

            fn verify_tls13_signature(
                &self,
                message: &[u8],
                certificate: &CertificateDer<'_>,
                signed: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                verify_tls13_signature(message, certificate, signed, &self.algorithms)
            }

            fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
                self.algorithms.supported_schemes()
            }
        }

        impl fmt::Debug for $verifier {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($verifier))
            }
        }
    };
}

client_verifier!(Pinned, true, Pinned::check);
client_verifier!(EdgeClients, false, |edge, certificate| check_validity(certificate, &edge.clock));
