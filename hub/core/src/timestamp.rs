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
use schemas::tlog::NoteVerifier;
use schemas::tlog::note::{Note, NoteError};

use crate::configuration::timestamp_authorities;

/// The checkpoint as its log signed it: `note` without the signatures of others.
///
/// # Errors
/// When the note is malformed.
pub fn as_signed(note: &str, log: &NoteVerifier) -> Result<String, NoteError> {
    let note = Note::parse(note)?;
    let own = note.signatures().iter();
    let own = own.filter(|line| line.name() == log.name() && line.key_id() == log.key_id());
    Ok(Note::new(note.text(), own.cloned().collect())?.to_string())
}

/// Verifies the timestamp of an evidence file, if it has one: a token in base64 over the checkpoint,
/// which has its log's signature alone.
///
/// # Errors
/// [`TokenRefusal`].
pub fn check(
    file: &EvidenceFile,
    authorities: &[TrustedAuthority],
) -> Result<Option<VerifiedTimestamp>, TokenRefusal> {
    let Some(token) = &file.timestamp else { return Ok(None) };
    let token = from_base64(token)
        .ok_or_else(|| TokenRefusal::Malformed("it is not standard base64".to_owned()))?;
    check_token(&token, &file.checkpoint, authorities).map(Some)
}

/// Verifies a token over a checkpoint as its log signed it.
///
/// # Errors
/// [`TokenRefusal`].
pub fn check_token(
    token: &[u8],
    checkpoint: &str,
    authorities: &[TrustedAuthority],
) -> Result<VerifiedTimestamp, TokenRefusal> {
    let imprint = Sha256::of(checkpoint.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use pki::signer::NoteKey;
    use schemas::tlog::{NoteSignature, NoteSigner};

    #[test]
    fn cosignatures_do_not_change_what_is_stamped() {
        let log = NoteKey::ephemeral("log").unwrap();
        let verifier = NoteVerifier::ed25519("log", log.public_key()).unwrap();
        let text = "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let signature = log.sign(text.as_bytes()).unwrap().to_vec();
        let own = NoteSignature::new("log", verifier.key_id(), signature).unwrap();
        let witness = NoteSignature::new("witness", 7, vec![1; 72]).unwrap();
        let alone = Note::new(text, vec![own.clone()]).unwrap().to_string();
        let cosigned = Note::new(text, vec![witness, own]).unwrap().to_string();
        assert_eq!(as_signed(&alone, &verifier), Ok(alone.clone()));
        assert_eq!(as_signed(&cosigned, &verifier), Ok(alone));
        assert!(as_signed("log\n", &verifier).is_err());
    }
}
