//! The query: which digest shall be stamped (RFC 3161 §2.4.1).

use der::asn1::{IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};
use ring::rand::{SecureRandom, SystemRandom};
use schemas::digest::Sha256;
use schemas::limits::TIMESTAMP_QUERY_MAX_BYTES;

use super::structures::{AlgorithmIdentifier, MessageImprint, TimeStampReq, oid};
use super::token::Asked;
use crate::signer::KeyError;

/// RFC 3161 §2.4.1 recommends a large random number; 64 bits, as `openssl ts` takes.
const NONCE_BYTES: usize = 8;

/// A query for a timestamp over a SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampQuery {
    imprint: Sha256,
    /// The bytes of the INTEGER.
    nonce: Option<Vec<u8>>,
    policy: Option<ObjectIdentifier>,
    certificate_wanted: bool,
}

/// Why an authority does not answer a query, in the words of RFC 3161 §2.4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryRefusal {
    /// The digest is not SHA-256.
    #[error("badAlg: this authority stamps SHA-256 digests only")]
    Algorithm,
    /// The bytes are no query.
    #[error("badDataFormat: the query is not a TimeStampReq of version 1 in DER")]
    Form,
    /// Another policy is asked for.
    #[error("unacceptedPolicy: this authority has one policy; ask for that or for none")]
    Policy,
    /// There are extensions.
    #[error("unacceptedExtension: this authority knows no extension of a query")]
    Extension,
    /// The authority's own key or randomness failed.
    #[error("systemFailure: the authority cannot sign now; ask again later")]
    System,
}

impl QueryRefusal {
    /// The bit of PKIFailureInfo.
    pub(super) fn failure_bit(self) -> u8 {
        match self {
            Self::Algorithm => 0,
            Self::Form => 5,
            Self::Policy => 15,
            Self::Extension => 16,
            Self::System => 25,
        }
    }
}

impl TimestampQuery {
    /// A query with a fresh nonce, which asks for the authority's certificate in the token.
    ///
    /// # Errors
    /// [`KeyError::Failed`] when the machine gives no randomness.
    pub fn new(imprint: Sha256) -> Result<Self, KeyError> {
        let mut nonce = [0; NONCE_BYTES];
        let filled = SystemRandom::new().fill(&mut nonce);
        filled.map_err(|_| KeyError::Failed("making a nonce"))?;
        // A positive number whose DER is its own bytes: first bit off, first byte not zero.
        if let Some(first) = nonce.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        Ok(Self { imprint, nonce: Some(nonce.to_vec()), policy: None, certificate_wanted: true })
    }

    /// Reads a query.
    ///
    /// # Errors
    /// [`QueryRefusal`] for what this authority does not answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, QueryRefusal> {
        if bytes.len() > TIMESTAMP_QUERY_MAX_BYTES {
            return Err(QueryRefusal::Form);
        }
        let query = TimeStampReq::from_der(bytes).map_err(|_| QueryRefusal::Form)?;
        if query.version != 1 {
            return Err(QueryRefusal::Form);
        }
        if query.extensions.is_some() {
            return Err(QueryRefusal::Extension);
        }
        if query.imprint.algorithm.without_parameters() != Some(oid::SHA256) {
            return Err(QueryRefusal::Algorithm);
        }
        let digest = query.imprint.digest.as_bytes().try_into();
        Ok(Self {
            imprint: Sha256(digest.map_err(|_| QueryRefusal::Form)?),
            nonce: query.nonce.map(|nonce| nonce.as_bytes().to_vec()),
            policy: query.policy,
            certificate_wanted: query.certificate_wanted,
        })
    }

    /// The query in DER, the body of `application/timestamp-query`.
    ///
    /// # Errors
    /// Never for a query made or parsed here; the encoder's words otherwise.
    pub fn to_der(&self) -> Result<Vec<u8>, der::Error> {
        let query = TimeStampReq {
            version: 1,
            imprint: MessageImprint {
                algorithm: AlgorithmIdentifier::plain(oid::SHA256),
                digest: OctetStringRef::new(self.imprint.as_bytes())?,
            },
            policy: self.policy,
            nonce: self.nonce.as_deref().map(IntRef::new).transpose()?,
            certificate_wanted: self.certificate_wanted,
            extensions: None,
        };
        query.to_der()
    }

    /// What a token has to say in answer to this query.
    #[must_use]
    pub fn asked(&self) -> Asked<'_> {
        Asked { imprint: &self.imprint, nonce: self.nonce.as_deref() }
    }

    pub(super) fn policy(&self) -> Option<ObjectIdentifier> {
        self.policy
    }

    pub(super) fn certificate_wanted(&self) -> bool {
        self.certificate_wanted
    }
}
