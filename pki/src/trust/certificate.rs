//! X.509 certificates (RFC 5280) as far as Koʻprik looks into them.

use std::fmt;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::encoding::base64;
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, Oid,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::{PublicKey, UnsupportedKey};

/// Signature algorithms that a certification authority may use; SHA-1 is not among them.
const AUTHORITY_ALGORITHMS: [Oid<'static>; 6] = [
    OID_SIG_ED25519,
    OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384,
    OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA,
];

/// Why a certificate is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are not one X.509 certificate.
    #[error("not an X.509 certificate in DER ({0}); its owner sends it again")]
    Malformed(String),
    /// The text has no certificate in PEM.
    #[error("no `BEGIN CERTIFICATE` block in the text; give the certificate in PEM")]
    NotPem,
    /// The certificate names another issuer.
    #[error(
        "certificate `{subject}` was not issued by `{authority}`; its owner asks that authority \
         for one"
    )]
    OtherIssuer {
        /// Subject of the certificate.
        subject: String,
        /// Subject of the authority.
        authority: String,
    },
    /// The issuer's certificate is not that of an authority.
    #[error(
        "`{0}` may not issue certificates: it lacks CA:TRUE or keyCertSign; list the right \
         authority"
    )]
    NotAnAuthority(String),
    /// The issuer's signature does not match.
    #[error(
        "the issuer's signature on certificate `{0}` does not match; its owner asks for a new one"
    )]
    BadSignature(String),
    /// The validity period has not begun.
    #[error("certificate `{subject}` is valid from {not_before}; check the clock or wait")]
    NotYetValid {
        /// Subject of the certificate.
        subject: String,
        /// Begin of the period.
        not_before: UnixMillis,
    },
    /// The validity period is over.
    #[error("certificate `{subject}` expired at {not_after}; its owner renews it")]
    Expired {
        /// Subject of the certificate.
        subject: String,
        /// End of the period.
        not_after: UnixMillis,
    },
    /// The certificate does not allow signatures.
    #[error(
        "certificate `{0}` lacks the key usage digitalSignature or nonRepudiation; its owner asks \
         for a signing certificate"
    )]
    NotForSigning(String),
    /// The certificate does not allow timestamps.
    #[error(
        "certificate `{0}` is not one for timestamps: its extended key usage is not timeStamping \
         alone, marked critical (RFC 3161 §2.3); its owner asks for another"
    )]
    NotForTimestamps(String),
}

/// A certificate, parsed once; its DER is kept byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    fingerprint: Sha256,
    subject: String,
    common_name: Option<String>,
    not_before: UnixMillis,
    not_after: UnixMillis,
    public_key: Result<PublicKey, UnsupportedKey>,
    usage: Usage,
}

/// What basicConstraints, keyUsage and extendedKeyUsage say (RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.12).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Usage {
    issues: bool,
    signs: bool,
    stamps: bool,
}

impl Certificate {
    /// Parses DER; trailing bytes are refused. Neither signature nor validity is checked here.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = parse(der)?;
        let common_name = parsed.subject().iter_common_name().next();
        Ok(Self {
            fingerprint: Sha256::of(der),
            subject: parsed.subject().to_string(),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            not_before: moment(parsed.validity().not_before.timestamp()),
            not_after: moment(parsed.validity().not_after.timestamp()),
            public_key: PublicKey::from_spki(parsed.public_key().raw),
            usage: usage(&parsed)?,
            der: der.to_vec(),
        })
    }

    /// Parses the first certificate of a PEM text (RFC 7468 §5).
    ///
    /// # Errors
    /// [`CertificateError::NotPem`] and those of [`Certificate::parse`].
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(text.as_bytes());
        Self::parse(&der.map_err(|_| CertificateError::NotPem)?)
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem_text("CERTIFICATE", &self.der)
    }

    /// The DER as it was parsed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER: the `keyid` of signatures and the pin of servers.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    /// The subject in the form `C=UZ, CN=…`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The subject's common name.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// First moment of validity.
    #[must_use]
    pub fn not_before(&self) -> UnixMillis {
        self.not_before
    }

    /// Last second of validity.
    #[must_use]
    pub fn not_after(&self) -> UnixMillis {
        self.not_after
    }

    /// The subject's public key.
    ///
    /// # Errors
    /// [`UnsupportedKey`] when it is neither Ed25519 nor P-256.
    pub fn public_key(&self) -> Result<&PublicKey, UnsupportedKey> {
        self.public_key.as_ref().map_err(|unsupported| *unsupported)
    }

    /// Checks the validity period, both ends included (RFC 5280 §4.1.2.5).
    ///
    /// # Errors
    /// [`CertificateError::NotYetValid`] and [`CertificateError::Expired`].
    pub fn valid_at(&self, now: UnixMillis) -> Result<(), CertificateError> {
        let subject = || self.subject.clone();
        if now.seconds() < self.not_before.seconds() {
            let not_before = self.not_before;
            return Err(CertificateError::NotYetValid { subject: subject(), not_before });
        }
        if now.seconds() > self.not_after.seconds() {
            let not_after = self.not_after;
            return Err(CertificateError::Expired { subject: subject(), not_after });
        }
        Ok(())
    }

    /// Checks that the key may sign messages: keyUsage has digitalSignature or nonRepudiation.
    ///
    /// # Errors
    /// [`CertificateError::NotForSigning`].
    pub fn allows_signing(&self) -> Result<(), CertificateError> {
        let refused = || CertificateError::NotForSigning(self.subject.clone());
        self.usage.signs.then_some(()).ok_or_else(refused)
    }

    /// Checks that the key may sign timestamps: extendedKeyUsage is critical and has timeStamping
    /// alone; keyUsage, where there is one, allows signatures (RFC 3161 §2.3).
    ///
    /// # Errors
    /// [`CertificateError::NotForTimestamps`].
    pub fn allows_timestamps(&self) -> Result<(), CertificateError> {
        let refused = || CertificateError::NotForTimestamps(self.subject.clone());
        self.usage.stamps.then_some(()).ok_or_else(refused)
    }

    /// The certificate's parts, for those who look at more than this type shows.
    pub(crate) fn parsed(&self) -> Result<X509Certificate<'_>, CertificateError> {
        parse(&self.der)
    }

    /// Checks that `authority` issued this certificate: names, right to issue, signature (RFC 5280
    /// §6.1 for a path of one step). The validity of both is the caller's to check.
    ///
    /// # Errors
    /// [`CertificateError::OtherIssuer`], [`CertificateError::NotAnAuthority`] and
    /// [`CertificateError::BadSignature`].
    pub fn issued_by(&self, authority: &Self) -> Result<(), CertificateError> {
        let own = parse(&self.der)?;
        let issuer = parse(&authority.der)?;
        if own.issuer().as_raw() != issuer.subject().as_raw() {
            return Err(CertificateError::OtherIssuer {
                subject: self.subject.clone(),
                authority: authority.subject.clone(),
            });
        }
        if !authority.usage.issues {
            return Err(CertificateError::NotAnAuthority(authority.subject.clone()));
        }
        // RFC 5280 §4.1.1.2: the algorithm inside the signed part is the one outside.
        let algorithm = &own.signature_algorithm;
        let sound = AUTHORITY_ALGORITHMS.contains(&algorithm.algorithm)
            && *algorithm == own.tbs_certificate.signature
            && own.signature_value.unused_bits == 0
            && own.verify_signature(Some(issuer.public_key())).is_ok();
        sound.then_some(()).ok_or_else(|| CertificateError::BadSignature(self.subject.clone()))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject, self.fingerprint)
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err(CertificateError::Malformed("bytes after its end".to_owned())),
        Err(refused) => Err(CertificateError::Malformed(refused.to_string())),
    }
}

fn usage(parsed: &X509Certificate<'_>) -> Result<Usage, CertificateError> {
    let malformed = |cause: x509_parser::error::X509Error| {
        CertificateError::Malformed(format!("extensions: {cause}"))
    };
    let constraints = parsed.basic_constraints().map_err(malformed)?;
    let key_usage = parsed.key_usage().map_err(malformed)?;
    let extended = parsed.extended_key_usage().map_err(malformed)?;
    let signs = key_usage
        .as_ref()
        .map(|usage| usage.value.digital_signature() || usage.value.non_repudiation());
    let is_authority = constraints.is_some_and(|found| found.value.ca);
    Ok(Usage {
        issues: is_authority && key_usage.as_ref().is_none_or(|usage| usage.value.key_cert_sign()),
        signs: signs.unwrap_or(false),
        stamps: signs.unwrap_or(true)
            && extended.is_some_and(|found| found.critical && stamps_only(found.value)),
    })
}

fn stamps_only(usage: &ExtendedKeyUsage<'_>) -> bool {
    let others = usage.any
        || usage.server_auth
        || usage.client_auth
        || usage.code_signing
        || usage.email_protection
        || usage.ocsp_signing
        || !usage.other.is_empty();
    usage.time_stamping && !others
}

/// Seconds since the epoch as a moment; a year before 1970 becomes the epoch.
fn moment(seconds: i64) -> UnixMillis {
    UnixMillis::from_seconds(u64::try_from(seconds).unwrap_or(0))
}

/// PEM with lines of 64 characters (RFC 7468 §2).
pub(crate) fn pem_text(label: &str, der: &[u8]) -> String {
    let encoded = Zeroizing::new(base64(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
