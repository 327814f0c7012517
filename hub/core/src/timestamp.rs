//! Timestamps on checkpoints: what is stamped, and what a token over it proves.
//!
//! Stamped is the checkpoint as its log signed it: the note with the log's own signature and no
//! other (`hub/docs/timestamps.md`). So the token proves that the signature existed, not only the
//! tree, and witnesses may cosign before or after.

use pki::timestamp::{Asked, TokenRefusal, TrustedAuthority, VerifiedTimestamp, verify};
use schemas::clock::UnixMillis;
use schemas::configuration::GlobalConfiguration;
use schemas::digest::Sha256;
use schemas::encoding::from_base64;
use schemas::evidence::EvidenceFile;
use schemas::limits::CONFIGURATION_MAX_BYTES;
use schemas::tlog::{Note, NoteVerifier};

use crate::configuration::timestamp_authorities;

/// Verifies the timestamp of an evidence file, if it has one: a token in base64 over the checkpoint as
/// its log signed it. Cosignatures do not count here.
///
/// # Errors
/// [`TokenRefusal`].
pub fn check(
    file: &EvidenceFile,
    log: &NoteVerifier,
    authorities: &[TrustedAuthority],
) -> Result<Option<VerifiedTimestamp>, TokenRefusal> {
    let Some(token) = &file.timestamp else { return Ok(None) };
    let token = from_base64(token)
        .ok_or_else(|| TokenRefusal::Malformed("it is not standard base64".to_owned()))?;
    check_token(&token, &file.checkpoint, log, authorities).map(Some)
}

/// Verifies a token over a checkpoint as its log signed it; `checkpoint` may hold cosignatures too.
///
/// # Errors
/// [`TokenRefusal`].
pub fn check_token(
    token: &[u8],
    checkpoint: &str,
    log: &NoteVerifier,
    authorities: &[TrustedAuthority],
) -> Result<VerifiedTimestamp, TokenRefusal> {
    let note =
        Note::parse(checkpoint).map_err(|error| TokenRefusal::Malformed(error.to_string()))?;
    let imprint = Sha256::of(note.signed_by(log).to_string().as_bytes());
    // The query is long gone, and its nonce with it.
    verify(token, Asked { imprint: &imprint, nonce: None }, authorities)
}

/// The timestamp authorities that a configuration lists, for those who hold its note and have
/// verified it before; none when it cannot be read.
#[must_use]
pub fn listed_in(configuration: &str) -> Vec<TrustedAuthority> {
    let note = Note::parse_up_to(CONFIGURATION_MAX_BYTES, configuration).ok();
    let document = note.and_then(|note| serde_json::from_str(note.text()).ok());
    let document: Option<GlobalConfiguration> = document;
    let content = document.map(|document| document.content).unwrap_or_default();
    timestamp_authorities(&content).filter_map(Result::ok).collect()
}

/// What stays unproved about the time of records, the latest of which claims `latest`.
pub(crate) fn not_proved(stamped: Option<&VerifiedTimestamp>, latest: UnixMillis) -> &'static str {
    match stamped {
        None => "the time, beyond what the hubs' own clocks say: there is no timestamp",
        Some(stamped) if latest > stamped.time => {
            "that the hub's clock was right: a record claims a later time than its timestamp"
        }
        Some(_) => "how long before the timestamp, beyond what the hubs' own clocks say",
    }
}
