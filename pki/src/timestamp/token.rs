//! The verifier of tokens: CMS SignedData over a TSTInfo (RFC 3161 §2.4.2, RFC 5652 §5.4).
//!
//! Strict, so that no byte of a token can change unseen: DER in its one spelling, one signer, no
//! unsigned attributes, no revocation lists, and every certificate issued by another that is there.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode};
use ring::digest;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::limits::TIMESTAMP_REPLY_MAX_BYTES;
use std::time::Duration;

use super::structures::{
    AlgorithmIdentifier, Attribute, ContentInfo, RawCertificate, RawSet, SignedData, SignerInfo,
    SigningCertificateV2, TstInfo, oid,
};
use super::time;
use crate::trust::{Certificate, CertificateError};

/// A timestamp authority that one trusts: the global configuration lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Name for people.
    pub name: String,
    /// The certificate that signs its tokens, or that of the authority which issued that one.
    pub certificate: Certificate,
}

/// What a token has to say.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// SHA-256 of the stamped bytes.
    pub imprint: &'a Sha256,
    /// The nonce of the query; `None` where the query is long gone and only the token is left.
    pub nonce: Option<&'a [u8]>,
}

/// A token that holds. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedTimestamp {
    /// The stamped bytes existed before this moment: the token's time and its stated inaccuracy.
    pub time: UnixMillis,
    /// Name of the authority, as the caller's list has it.
    pub authority: String,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// The bytes are not a token in the one spelling that is taken.
    #[error("timestamp: not a token as RFC 3161 has it ({0}); ask another authority")]
    Malformed(String),
    /// The token stamps something else.
    #[error("timestamp: the token is over other bytes; take the one that belongs to these")]
    OtherImprint,
    /// The token answers another query.
    #[error("timestamp: the token answers another query (nonce); it was replayed, ask again")]
    OtherNonce,
    /// The signer's certificate is not there.
    #[error("timestamp: the token lacks its signer's certificate; ask with certReq")]
    NoCertificate,
    /// A certificate is not one.
    #[error("timestamp: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate is of no listed authority.
    #[error(
        "timestamp: `{0}` is no timestamp authority of the global configuration, nor issued by one; \
         list it"
    )]
    UnknownAuthority(String),
    /// The signed attributes say something else than the token.
    #[error("timestamp: the signed attributes do not fit: {0}; ask another authority")]
    Attributes(&'static str),
    /// An algorithm is not taken.
    #[error(
        "timestamp: the signature's algorithm is not taken (SHA-2 with ECDSA P-256, P-384 or RSA); \
         ask another authority"
    )]
    Algorithm,
    /// The signature does not verify.
    #[error("timestamp: the signature does not match: the token is not what the authority signed")]
    BadSignature,
}

/// Verifies a token: digest, nonce, signature, signing certificate under one of `authorities`,
/// certificate for timestamps and within its validity at the token's time.
///
/// # Errors
/// [`TokenRefusal`] with the first thing that does not hold.
pub fn verify(
    token: &[u8],
    asked: Asked<'_>,
    authorities: &[TrustedAuthority],
) -> Result<VerifiedTimestamp, TokenRefusal> {
    if token.len() > TIMESTAMP_REPLY_MAX_BYTES {
        return Err(malformed("longer than any token"));
    }
    let outer: ContentInfo<'_> = exact(token)?;
    let signed = &outer.content;
    if outer.kind != oid::SIGNED_DATA || signed.version != 3 {
        return Err(malformed("not SignedData of version 3"));
    }
    if signed.content.kind != oid::TST_INFO || signed.revocations.is_some() {
        return Err(malformed("not a TSTInfo alone"));
    }
    let signer: SignerInfo<'_> = exact(signed.signers.0)?;
    if signer.version != 1 || signer.unsigned.is_some() {
        return Err(malformed("the signer is not of version 1, or has unsigned attributes"));
    }
    if signed.digest_algorithms.single::<AlgorithmIdentifier<'_>>().map_err(form)? != signer.digest
    {
        return Err(malformed("another digest algorithm is announced than is used"));
    }
    let certificates = Certificates::read(signed, &signer)?;
    check_attributes(&signer, signed.content.content.as_bytes(), &certificates.signer)?;
    check_signature(&signer, &certificates.signer)?;
    let authority = certificates.authority(authorities)?;
    certificates.signer.allows_timestamps()?;
    let info: TstInfo<'_> = exact(signed.content.content.as_bytes())?;
    check_info(&info, asked)?;
    let made = time::read(info.time.0).ok_or_else(|| malformed("its time is no UTC time"))?;
    certificates.signer.valid_at(made)?;
    let time = made.plus(inaccuracy(&info));
    Ok(VerifiedTimestamp { time, authority: authority.name.clone() })
}

fn malformed(what: &str) -> TokenRefusal {
    TokenRefusal::Malformed(what.to_owned())
}

fn form(cause: der::Error) -> TokenRefusal {
    TokenRefusal::Malformed(cause.to_string())
}

/// Reads DER that has one spelling: what is read encodes to the same bytes.
fn exact<'a, T: Decode<'a, Error = der::Error> + Encode>(
    bytes: &'a [u8],
) -> Result<T, TokenRefusal> {
    let read = T::from_der(bytes).map_err(form)?;
    if read.to_der().map_err(form)? != bytes {
        return Err(malformed("a second spelling of the same content"));
    }
    Ok(read)
}

/// The certificates of a token.
struct Certificates {
    signer: Certificate,
    all: Vec<Certificate>,
}

impl Certificates {
    fn read(signed: &SignedData<'_>, signer: &SignerInfo<'_>) -> Result<Self, TokenRefusal> {
        let raw: Vec<RawCertificate<'_>> =
            signed.certificates.ok_or(TokenRefusal::NoCertificate)?.elements().map_err(form)?;
        let parse = |raw: &RawCertificate<'_>| {
            Certificate::parse(&raw.to_der().map_err(form)?).map_err(TokenRefusal::Certificate)
        };
        let all = raw.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let issuer = signer.signer.issuer.to_der().map_err(form)?;
        let named = |certificate: &&Certificate| {
            certificate.parsed().is_ok_and(|parsed| {
                parsed.issuer().as_raw() == issuer
                    && parsed.raw_serial() == signer.signer.serial.as_bytes()
            })
        };
        let signer = all.iter().find(named).ok_or(TokenRefusal::NoCertificate)?.clone();
        Ok(Self { signer, all })
    }

    /// The listed authority that the signer is, or that issued it. Further certificates have to be
    /// issued by one that is there: a stray one could be anything.
    fn authority<'t>(
        &self,
        authorities: &'t [TrustedAuthority],
    ) -> Result<&'t TrustedAuthority, TokenRefusal> {
        let trusts = |listed: &&TrustedAuthority| {
            let own = listed.certificate == self.signer;
            own || self.signer.issued_by(&listed.certificate).is_ok()
        };
        let unknown = || TokenRefusal::UnknownAuthority(self.signer.subject().to_owned());
        let authority = authorities.iter().find(trusts).ok_or_else(unknown)?;
        for certificate in self.all.iter().filter(|certificate| **certificate != self.signer) {
            let listed = [&authority.certificate];
            let mut issuers = self.all.iter().chain(listed);
            if !issuers.any(|issuer| certificate.issued_by(issuer).is_ok()) {
                return Err(malformed("a certificate has no issuer in the token"));
            }
        }
        Ok(authority)
    }
}

/// RFC 5652 §5.3 and §11, RFC 5816 §2.2.1.
fn check_attributes(
    signer: &SignerInfo<'_>,
    content: &[u8],
    certificate: &Certificate,
) -> Result<(), TokenRefusal> {
    let attributes: Vec<Attribute<'_>> = signer.attributes.elements().map_err(form)?;
    let only = |kind: ObjectIdentifier, missing| {
        let mut found = attributes.iter().filter(|attribute| attribute.kind == kind);
        match (found.next(), found.next()) {
            (Some(attribute), None) => Ok(attribute.values),
            _ => Err(TokenRefusal::Attributes(missing)),
        }
    };
    let kind = only(oid::CONTENT_TYPE, "there is not one content type")?;
    if kind.single::<ObjectIdentifier>().map_err(form)? != oid::TST_INFO {
        return Err(TokenRefusal::Attributes("the content type is another"));
    }
    let made = hash(&signer.digest, content)?;
    if octets(&only(oid::MESSAGE_DIGEST, "there is not one digest")?)? != made.as_ref() {
        return Err(TokenRefusal::Attributes("the content has another digest"));
    }
    let named = only(oid::SIGNING_CERTIFICATE_V2, "there is not one SHA-2 certificate identifier")?;
    let named: SigningCertificateV2<'_> = named.single().map_err(form)?;
    // RFC 5035 §5: the first identifier is that of the signer.
    let named = named.certificates.first();
    let named = named.ok_or(TokenRefusal::Attributes("the certificate identifier is empty"))?;
    let algorithm = named.algorithm.unwrap_or(AlgorithmIdentifier::plain(oid::SHA256));
    if hash(&algorithm, certificate.der())?.as_ref() != named.digest.as_bytes() {
        return Err(TokenRefusal::Attributes("another certificate is named as the signer's"));
    }
    Ok(())
}

fn octets<'a>(values: &RawSet<'a>) -> Result<&'a [u8], TokenRefusal> {
    let value: AnyRef<'a> = values.single().map_err(form)?;
    let value: &der::asn1::OctetStringRef = value.decode_as().map_err(form)?;
    Ok(value.as_bytes())
}

fn hash(algorithm: &AlgorithmIdentifier<'_>, bytes: &[u8]) -> Result<digest::Digest, TokenRefusal> {
    let ring = match algorithm.without_parameters() {
        Some(oid::SHA256) => &digest::SHA256,
        Some(oid::SHA384) => &digest::SHA384,
        Some(oid::SHA512) => &digest::SHA512,
        _ => return Err(TokenRefusal::Algorithm),
    };
    Ok(digest::digest(ring, bytes))
}

/// The signature over the attributes, as a set of their own (RFC 5652 §5.4).
fn check_signature(signer: &SignerInfo<'_>, certificate: &Certificate) -> Result<(), TokenRefusal> {
    let parsed = certificate.parsed()?;
    let key = parsed.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let curve = curve.and_then(|curve| ObjectIdentifier::new(&curve.to_id_string()).ok());
    let ring = signature_algorithm(signer, curve).ok_or(TokenRefusal::Algorithm)?;
    let message = signer.attributes.to_set().map_err(form)?;
    UnparsedPublicKey::new(ring, &key.subject_public_key.data)
        .verify(&message, signer.signature.as_bytes())
        .map_err(|_| TokenRefusal::BadSignature)
}

/// RFC 5754 §3: the signature's algorithm names the digest too, or is RSA alone.
fn signature_algorithm(
    signer: &SignerInfo<'_>,
    curve: Option<ObjectIdentifier>,
) -> Option<&'static dyn VerificationAlgorithm> {
    let digest = signer.digest.without_parameters()?;
    let kind = signer.algorithm.without_parameters()?;
    Some(match (kind, digest, curve) {
        (oid::ECDSA_SHA256, oid::SHA256, Some(oid::P256)) => &signature::ECDSA_P256_SHA256_ASN1,
        (oid::ECDSA_SHA256, oid::SHA256, Some(oid::P384)) => &signature::ECDSA_P384_SHA256_ASN1,
        (oid::ECDSA_SHA384, oid::SHA384, Some(oid::P256)) => &signature::ECDSA_P256_SHA384_ASN1,
        (oid::ECDSA_SHA384, oid::SHA384, Some(oid::P384)) => &signature::ECDSA_P384_SHA384_ASN1,
        (oid::RSA | oid::RSA_SHA256, oid::SHA256, None) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (oid::RSA | oid::RSA_SHA384, oid::SHA384, None) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (oid::RSA | oid::RSA_SHA512, oid::SHA512, None) => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

fn check_info(info: &TstInfo<'_>, asked: Asked<'_>) -> Result<(), TokenRefusal> {
    if info.version != 1 {
        return Err(malformed("the TSTInfo is not of version 1"));
    }
    if info.extensions.iter().flatten().any(|extension| extension.critical) {
        return Err(malformed("a critical extension that nobody here knows"));
    }
    let imprint = &info.imprint;
    let sha256 = imprint.algorithm.without_parameters() == Some(oid::SHA256);
    if !sha256 || imprint.digest.as_bytes() != asked.imprint.as_bytes() {
        return Err(TokenRefusal::OtherImprint);
    }
    let given = info.nonce.map(|nonce| nonce.as_bytes());
    if asked.nonce.is_some() && given != asked.nonce {
        return Err(TokenRefusal::OtherNonce);
    }
    Ok(())
}

/// By how much the time may be off, rounded up to milliseconds.
fn inaccuracy(info: &TstInfo<'_>) -> Duration {
    let Some(accuracy) = info.accuracy else { return Duration::ZERO };
    let seconds = u64::from(accuracy.seconds.unwrap_or(0));
    let millis = u64::from(accuracy.millis.unwrap_or(0));
    let micros = u64::from(accuracy.micros.unwrap_or(0)).div_ceil(1_000);
    Duration::from_millis(seconds * 1_000 + millis + micros)
}
