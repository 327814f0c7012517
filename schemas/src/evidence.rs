//! The evidence file: everything an auditor needs for one exchange, in one canonical JSON file.
//!
//! Nothing in it is free text: every byte is either covered by a signature or a hash that the
//! verifier checks, or must have the one value that follows from the rest. `hub_core::evidence`
//! verifies it offline with the configuration anchor alone.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;

/// The form of evidence files that this release writes and reads.
pub const FORMAT: &str = "koprik-evidence/1";

/// The evidence of one exchange as one hub recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// The checkpoint of the message log, a C2SP signed note.
    pub checkpoint: String,
    /// The global configuration in force when the exchange was made, a C2SP signed note.
    pub configuration: String,
    /// [`FORMAT`].
    pub format: String,
    /// The messages as signed: the request, then the answer if there was one.
    pub messages: Vec<SignedMessage>,
    /// The records of the exchange in this log, in the log's order.
    pub records: Vec<RecordedLeaf>,
    /// An RFC 3161 token over the SHA-256 of `checkpoint`, by a timestamp authority that
    /// `configuration` lists: base64. Left out when no stamped checkpoint covers the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

/// A signed message: the exact bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedMessage {
    /// The signature base of RFC 9421 §2.5, byte for byte: it holds every header that travelled.
    pub base: String,
    /// The body, if the hub kept it: base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The signature: base64.
    pub signature: String,
}

/// A leaf of the message log with the proof that it is in the checkpoint's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedLeaf {
    /// Its place in the log, from 0.
    pub index: u64,
    /// The leaf: a record in canonical JSON.
    pub leaf: String,
    /// The inclusion proof of RFC 6962 §2.1.1, nearest sibling first.
    pub proof: Vec<Sha256>,
}
