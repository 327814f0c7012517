//! The reply around a token (RFC 3161 §2.4.2).
//!
//! The reply itself is not signed: status, texts and failure bits may be anything. What counts is
//! the token, and only the token is kept.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode};
use schemas::limits::TIMESTAMP_REPLY_MAX_BYTES;

use super::QueryRefusal;
use super::structures::{PkiStatusInfo, TimeStampResp};

/// PKIStatus `granted`.
const GRANTED: u8 = 0;
/// PKIStatus `grantedWithMods`.
const GRANTED_WITH_MODS: u8 = 1;
/// PKIStatus `rejection`.
const REJECTION: u8 = 2;

/// Why a reply gives no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The bytes are no reply.
    #[error(
        "the timestamp authority's reply is not a TimeStampResp in DER ({0}); check its address"
    )]
    Malformed(String),
    /// The reply is longer than any token.
    #[error("the timestamp authority's reply is over {TIMESTAMP_REPLY_MAX_BYTES} bytes")]
    TooLong,
    /// The authority refuses.
    #[error(
        "the timestamp authority refuses: status {status}, failure bits {failure:?} (RFC 3161 \
         §2.4.2); its operator knows more"
    )]
    Refused {
        /// PKIStatus.
        status: u8,
        /// Numbers of the bits that are set in PKIFailureInfo.
        failure: Vec<usize>,
    },
}

/// Takes the token out of a reply, byte for byte. The token is not yet verified.
///
/// # Errors
/// [`ReplyError`].
pub fn read_reply(bytes: &[u8]) -> Result<Vec<u8>, ReplyError> {
    if bytes.len() > TIMESTAMP_REPLY_MAX_BYTES {
        return Err(ReplyError::TooLong);
    }
    let malformed = |cause: der::Error| ReplyError::Malformed(cause.to_string());
    let reply = TimeStampResp::from_der(bytes).map_err(malformed)?;
    let granted = matches!(reply.status.status, GRANTED | GRANTED_WITH_MODS);
    match reply.token.filter(|_| granted) {
        Some(token) => token.to_der().map_err(malformed),
        None => {
            let bits = reply.status.failure.into_iter().flat_map(BitStringRef::bits);
            let set = bits.enumerate().filter(|(_, set)| *set).map(|(nth, _)| nth);
            Err(ReplyError::Refused { status: reply.status.status, failure: set.collect() })
        }
    }
}

/// The plain reply around a token: status `granted` and no text, so that every reader of replies
/// (`openssl ts -verify -in`) takes it.
///
/// # Errors
/// When `token` is not one DER value.
pub fn reply_with(token: &[u8]) -> Result<Vec<u8>, der::Error> {
    let status = PkiStatusInfo { status: GRANTED, texts: None, failure: None };
    TimeStampResp { status, token: Some(AnyRef::try_from(token)?) }.to_der()
}

/// The reply that refuses.
pub(super) fn refusing(refusal: QueryRefusal) -> Vec<u8> {
    let bit = refusal.failure_bit();
    let mut bits = vec![0; usize::from(bit / 8) + 1];
    if let Some(last) = bits.last_mut() {
        *last = 0x80 >> (bit % 8);
    }
    let failure = BitStringRef::new(7 - bit % 8, &bits).ok();
    let status = PkiStatusInfo { status: REJECTION, texts: None, failure };
    // Safe because: a status of one byte and at most four bytes of bits always encode.
    TimeStampResp { status, token: None }.to_der().unwrap_or_default()
}
