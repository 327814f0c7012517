//! A small timestamp authority: answers queries with tokens that it signs.
//!
//! ECDSA P-256 only: OpenSSL 3.0 does not verify Ed25519 in CMS. A token is CMS SignedData
//! (RFC 5652) over a TSTInfo, with the signed attributes that RFC 3161 §2.4.2 and RFC 5816 ask for.

use std::fs;
use std::path::Path;

use der::Encode;
use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetStringRef};
use ring::rand::{SecureRandom, SystemRandom};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

use super::structures::{
    AlgorithmIdentifier, Attribute, ContentInfo, EncapsulatedContent, EssCertIdV2, IssuerAndSerial,
    MessageImprint, RawSet, RawTime, SignedData, SignerInfo, SigningCertificateV2, TstInfo, oid,
};
use super::{QueryRefusal, TimestampQuery, reply, time};
use crate::authority::AuthorityFiles;
use crate::signer::{KeyError, SigningKey};
use crate::trust::{Algorithm, Certificate, CertificateError};

/// Bytes of a token's serial number.
const SERIAL_BYTES: usize = 16;

/// Why a timestamp authority does not start.
#[derive(Debug, thiserror::Error)]
pub enum TimestampAuthorityError {
    /// The key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate file cannot be read.
    #[error("own side: reading {path} failed ({cause}); check that it exists and who owns it")]
    Io {
        /// The file.
        path: String,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The certificate is not one for timestamps.
    #[error("own side: the timestamp authority's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Key and certificate do not fit.
    #[error(
        "own side: the timestamp authority's key is not the ECDSA P-256 key of its certificate; \
         configure a pair that was made together"
    )]
    Mismatch,
    /// The policy is no object identifier.
    #[error("own side: `{0}` is no object identifier; write the policy as `1.3.6.1.4.1.…`")]
    Policy(String),
}

/// A timestamp authority with its key.
#[derive(Debug)]
pub struct TimestampAuthority {
    certificate: Certificate,
    key: SigningKey,
    policy: ObjectIdentifier,
}

impl TimestampAuthority {
    /// Reads key and certificate. `policy` is the object identifier under which it stamps.
    ///
    /// # Errors
    /// [`TimestampAuthorityError`].
    pub fn load(files: AuthorityFiles<'_>, policy: &str) -> Result<Self, TimestampAuthorityError> {
        let key = SigningKey::load(files.key)?;
        let text = read(files.certificate)?;
        Self::new(Certificate::from_pem(&text)?, key, policy)
    }

    /// An authority with this certificate, which allows timestamps and nothing else, and its key.
    ///
    /// # Errors
    /// [`TimestampAuthorityError`].
    pub fn new(
        certificate: Certificate,
        key: SigningKey,
        policy: &str,
    ) -> Result<Self, TimestampAuthorityError> {
        let refused = |_| TimestampAuthorityError::Policy(policy.to_owned());
        let policy = ObjectIdentifier::new(policy).map_err(refused)?;
        certificate.allows_timestamps()?;
        let own_key = certificate.public_key() == Ok(key.public_key());
        if !own_key || key.algorithm() != Algorithm::EcdsaP256 {
            return Err(TimestampAuthorityError::Mismatch);
        }
        Ok(Self { certificate, key, policy })
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The reply to a query, the body of `application/timestamp-reply`: a token, or a refusal with
    /// its failure bit. `Err` tells the operator which refusal it is; its bytes are sent as well.
    ///
    /// # Errors
    /// The refusal beside its reply.
    pub fn answer(
        &self,
        query: &[u8],
        now: UnixMillis,
    ) -> Result<Vec<u8>, (QueryRefusal, Vec<u8>)> {
        let answered = TimestampQuery::parse(query).and_then(|query| {
            if query.policy().is_some_and(|policy| policy != self.policy) {
                return Err(QueryRefusal::Policy);
            }
            let token = self.token(&query, now).ok_or(QueryRefusal::System)?;
            reply::reply_with(&token).map_err(|_| QueryRefusal::System)
        });
        answered.map_err(|refusal| (refusal, reply::refusing(refusal)))
    }

    fn token(&self, query: &TimestampQuery, now: UnixMillis) -> Option<Vec<u8>> {
        let content = self.content(query, now)?;
        let digest = Sha256::of(&content);
        self.signed(&content, &digest, query.certificate_wanted()).ok()
    }

    /// What is signed: the TSTInfo.
    fn content(&self, query: &TimestampQuery, now: UnixMillis) -> Option<Vec<u8>> {
        let mut serial = [0; SERIAL_BYTES];
        SystemRandom::new().fill(&mut serial).ok()?;
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        let asked = query.asked();
        let time = time::write(now);
        let info = TstInfo {
            version: 1,
            policy: self.policy,
            imprint: MessageImprint {
                algorithm: AlgorithmIdentifier::plain(oid::SHA256),
                digest: OctetStringRef::new(asked.imprint.as_bytes()).ok()?,
            },
            serial: IntRef::new(&serial).ok()?,
            time: RawTime(time.as_bytes()),
            accuracy: None,
            ordering: false,
            nonce: asked.nonce.map(IntRef::new).transpose().ok()?,
            authority: None,
            extensions: None,
        };
        info.to_der().ok()
    }

    /// CMS SignedData over the content.
    fn signed(
        &self,
        content: &[u8],
        digest: &Sha256,
        certificate_wanted: bool,
    ) -> der::Result<Vec<u8>> {
        let attributes = self.attributes(digest)?;
        let set = RawSet(&attributes).to_set()?;
        let signature = self.key.sign_der(&set).map_err(|_| der::ErrorKind::Failed)?;
        let parsed = self.certificate.parsed().map_err(|_| der::ErrorKind::Failed)?;
        let signer = SignerInfo {
            version: 1,
            signer: IssuerAndSerial {
                issuer: AnyRef::try_from(parsed.issuer().as_raw())?,
                serial: IntRef::new(parsed.raw_serial())?,
            },
            digest: AlgorithmIdentifier::plain(oid::SHA256),
            attributes: RawSet(&attributes),
            algorithm: AlgorithmIdentifier::plain(oid::ECDSA_SHA256),
            signature: OctetStringRef::new(&signature)?,
            unsigned: None,
        };
        let signer = signer.to_der()?;
        let algorithm = AlgorithmIdentifier::plain(oid::SHA256).to_der()?;
        let token = ContentInfo {
            kind: oid::SIGNED_DATA,
            content: SignedData {
                // RFC 5652 §5.1: 3 for a content that is not plain data.
                version: 3,
                digest_algorithms: RawSet(&algorithm),
                content: EncapsulatedContent {
                    kind: oid::TST_INFO,
                    content: OctetStringRef::new(content)?,
                },
                certificates: certificate_wanted.then_some(RawSet(self.certificate.der())),
                revocations: None,
                signers: RawSet(&signer),
            },
        };
        token.to_der()
    }

    /// The signed attributes in DER's order, without the tag of the set.
    fn attributes(&self, digest: &Sha256) -> der::Result<Vec<u8>> {
        let own = self.certificate.fingerprint();
        let certificate = EssCertIdV2 {
            algorithm: None,
            digest: OctetStringRef::new(own.as_bytes())?,
            issuer_serial: None,
        };
        let certificate =
            SigningCertificateV2 { certificates: vec![certificate], policies: None }.to_der()?;
        let digest = OctetStringRef::new(digest.as_bytes())?.to_der()?;
        let mut attributes = Vec::new();
        for (kind, value) in [
            (oid::CONTENT_TYPE, oid::TST_INFO.to_der()?),
            (oid::MESSAGE_DIGEST, digest),
            (oid::SIGNING_CERTIFICATE_V2, certificate),
        ] {
            attributes.push(Attribute { kind, values: RawSet(&value) }.to_der()?);
        }
        // X.690 §11.6: the elements of a SET OF in the order of their bytes.
        attributes.sort_unstable();
        Ok(attributes.concat())
    }
}

fn read(path: &Path) -> Result<String, TimestampAuthorityError> {
    let failed = |cause| TimestampAuthorityError::Io { path: path.display().to_string(), cause };
    fs::read_to_string(path).map_err(failed)
}
