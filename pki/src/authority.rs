//! A small certification authority: issues the certificates of an instance that has no other.
//!
//! Who gets a certificate is decided before; this only issues it. A certificate counts once it
//! stands in the global configuration, so there are no revocation lists and no responder. Profile:
//! RFC 5280; the subject's common name is the identifier.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::identifier::{ClientId, MemberId, ServerId};
use time::OffsetDateTime;

use crate::signer::{self, KeyError, SigningKey};
use crate::trust::{Algorithm, Certificate, CertificateError, PublicKey};

/// Clocks of two sides may differ by this much when a certificate is minutes old.
const BACKDATED: Duration = Duration::from_secs(300);
/// RFC 5280 appendix A.1, `ub-common-name`.
const COMMON_NAME_MAX_CHARS: usize = 64;
/// RFC 5280 §4.1.2.2: a positive serial number of at most 20 bytes.
const SERIAL_BYTES: usize = 16;
/// RFC 5280 §4.2.1.12, id-ce-extKeyUsage.
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
/// A sequence of the one identifier id-kp-timeStamping, 1.3.6.1.5.5.7.3.8, in DER.
const TIMESTAMPING_ONLY: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08";

/// The period a certificate is issued for. It begins five minutes before `from`, for clocks that
/// lag.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// When it begins.
    pub from: UnixMillis,
    /// How long it lasts, days.
    pub days: u32,
}

/// Why the authority did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate file could not be read or written.
    #[error("own side: {action} {path} failed ({cause}); check that it exists and who owns it")]
    Io {
        /// `reading` or `writing`.
        action: &'static str,
        /// The file.
        path: String,
        /// The system's words.
        cause: io::Error,
    },
    /// The certificate file has no authority's certificate.
    #[error("own side: the authority's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Key file and certificate file do not belong together.
    #[error(
        "own side: the authority's key and certificate files do not belong together; configure a \
         pair that was made together"
    )]
    Mismatch,
    /// A name or a date cannot stand in a certificate.
    #[error(
        "own side: the certificate cannot be made ({0}); correct the name or the number of days"
    )]
    Refused(String),
}

/// A certification authority with its key.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, SigningKey>,
}

impl Authority {
    /// Makes an authority: an Ed25519 or P-256 key file (0600) and a self-signed certificate file
    /// (PEM).
    ///
    /// # Errors
    /// [`KeyError::Exists`] when the key is there already, [`AuthorityError::Io`],
    /// [`AuthorityError::Refused`].
    pub fn create(
        name: &str,
        files: AuthorityFiles<'_>,
        algorithm: Algorithm,
        validity: Validity,
    ) -> Result<Self, AuthorityError> {
        let key = signer::generate(algorithm, files.key)?;
        let authority = Self::self_signed(name, key, validity)?;
        let written = fs::write(files.certificate, authority.certificate.to_pem());
        written.map_err(|cause| failed("writing", files.certificate, cause))?;
        Ok(authority)
    }

    /// Reads an authority's key and certificate files.
    ///
    /// # Errors
    /// Those of [`SigningKey::load`]; a certificate that is not the key's.
    pub fn load(files: AuthorityFiles<'_>) -> Result<Self, AuthorityError> {
        let key = SigningKey::load(files.key)?;
        let text = fs::read_to_string(files.certificate);
        let text = text.map_err(|cause| failed("reading", files.certificate, cause))?;
        Self::new(Certificate::from_pem(&text)?, key)
    }

    /// Makes an authority that is never written down, for tests.
    ///
    /// # Errors
    /// [`AuthorityError::Key`], [`AuthorityError::Refused`].
    pub fn ephemeral(name: &str, validity: Validity) -> Result<Self, AuthorityError> {
        Self::self_signed(name, SigningKey::ephemeral(Algorithm::EcdsaP256)?, validity)
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Issues an authentication certificate: TLS of a security server, on both sides of a
    /// connection (serverAuth and clientAuth). `names` are host names or IP addresses for clients
    /// at the edge that check them; other security servers look at the fingerprint only.
    ///
    /// # Errors
    /// [`AuthorityError::Refused`] for a host name that is none, [`AuthorityError::Key`].
    pub fn issue_authentication(
        &self,
        server: &ServerId,
        key: &PublicKey,
        names: &[&str],
        validity: Validity,
    ) -> Result<Certificate, AuthorityError> {
        let mut params = end_entity(server.as_str(), validity)?;
        params.subject_alt_names =
            names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, key)
    }

    /// Issues a member's signing certificate (digitalSignature and nonRepudiation).
    ///
    /// # Errors
    /// [`AuthorityError::Refused`], [`AuthorityError::Key`].
    pub fn issue_signing(
        &self,
        member: &MemberId,
        key: &PublicKey,
        validity: Validity,
    ) -> Result<Certificate, AuthorityError> {
        let mut params = end_entity(member.as_str(), validity)?;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        self.issue(&params, key)
    }

    /// Issues the certificate that an agency's system shows to its own security server
    /// (clientAuth).
    ///
    /// # Errors
    /// [`AuthorityError::Refused`], [`AuthorityError::Key`].
    pub fn issue_client(
        &self,
        client: &ClientId,
        key: &PublicKey,
        validity: Validity,
    ) -> Result<Certificate, AuthorityError> {
        let mut params = end_entity(client.as_str(), validity)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, key)
    }

    /// Issues a timestamp authority's certificate (RFC 3161 §2.3: timeStamping alone, critical).
    ///
    /// # Errors
    /// [`AuthorityError::Refused`], [`AuthorityError::Key`].
    pub fn issue_timestamping(
        &self,
        name: &str,
        key: &PublicKey,
        validity: Validity,
    ) -> Result<Certificate, AuthorityError> {
        let mut params = end_entity(name, validity)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // rcgen's own field for it is never critical.
        let mut usage =
            CustomExtension::from_oid_content(EXTENDED_KEY_USAGE, TIMESTAMPING_ONLY.to_vec());
        usage.set_criticality(true);
        params.custom_extensions = vec![usage];
        self.issue(&params, key)
    }

    fn self_signed(
        name: &str,
        key: SigningKey,
        validity: Validity,
    ) -> Result<Self, AuthorityError> {
        let mut params = base(name, validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.self_signed(&key).map_err(|cause| refused(&cause))?;
        Self::new(Certificate::parse(made.der())?, key)
    }

    fn new(certificate: Certificate, key: SigningKey) -> Result<Self, AuthorityError> {
        certificate.issued_by(&certificate)?;
        if certificate.public_key() != Ok(key.public_key()) {
            return Err(AuthorityError::Mismatch);
        }
        let der = certificate.der().to_vec().into();
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|cause| refused(&cause))?;
        Ok(Self { certificate, issuer })
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &PublicKey,
    ) -> Result<Certificate, AuthorityError> {
        let made = params.signed_by(key, &self.issuer).map_err(|cause| refused(&cause))?;
        Ok(Certificate::parse(made.der())?)
    }
}

/// Where an authority lives.
#[derive(Clone, Copy, Debug)]
pub struct AuthorityFiles<'a> {
    /// The private key, PKCS#8 PEM, 0600.
    pub key: &'a Path,
    /// The certificate, PEM.
    pub certificate: &'a Path,
}

fn end_entity(name: &str, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = base(name, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn base(name: &str, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name(name));
    params.not_before = date(validity.from.minus(BACKDATED))?;
    let lasts = Duration::from_secs(u64::from(validity.days) * 24 * 60 * 60);
    params.not_after = date(validity.from.plus(lasts))?;
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// The identifier; its SHA-256 where it is longer than a common name may be.
fn common_name(name: &str) -> String {
    match name.chars().count() {
        0..=COMMON_NAME_MAX_CHARS => name.to_owned(),
        _ => Sha256::of(name.as_bytes()).to_string(),
    }
}

fn alternative(name: &str) -> Result<SanType, AuthorityError> {
    match name.parse() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into().map_err(|cause| refused(&cause))?)),
    }
}

fn date(at: UnixMillis) -> Result<OffsetDateTime, AuthorityError> {
    let seconds = i64::try_from(at.seconds()).ok();
    let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.ok_or_else(|| AuthorityError::Refused("its period ends after the year 9999".to_owned()))
}

fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; SERIAL_BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| KeyError::Failed("making a serial number"))?;
    // The first bit is off and the number is not zero: DER needs no extra byte, RFC 5280 a positive
    // one.
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

fn refused(cause: &rcgen::Error) -> AuthorityError {
    AuthorityError::Refused(cause.to_string())
}

fn failed(action: &'static str, path: &Path, cause: io::Error) -> AuthorityError {
    AuthorityError::Io { action, path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests;
