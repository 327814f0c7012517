//! A stored record next to what its form promises: for the check of a whole log.

use hub_messagelog::StoredRecord;
use schemas::digest::Sha256;
use schemas::record::Record;

/// Whether the leaf is a record in its one spelling and the sealed evidence beside it is the one
/// that it commits to. Needs no key: the seal itself is not opened.
///
/// # Errors
/// What is wrong, in words.
pub fn check_stored(stored: &StoredRecord) -> Result<(), String> {
    let evidence = Record::evidence_of(&stored.leaf).map_err(|cause| cause.to_string())?;
    match (evidence, stored.attachment.is_empty()) {
        (None, true) => Ok(()),
        (None, false) => Err("evidence lies beside a record that commits to none".to_owned()),
        (Some(_), true) => Err("the evidence that the record commits to is missing".to_owned()),
        (Some(hash), false) if Sha256::of(&stored.attachment) == hash => Ok(()),
        (Some(_), false) => {
            Err("the evidence is not the one that the record commits to".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::clock::UnixMillis;
    use schemas::record::{Kind, Side};

    use super::*;

    fn stored(evidence: Option<&[u8]>, attachment: &'static [u8]) -> StoredRecord {
        let mut record = Record::new(Kind::Answer, Side::Consumer, UnixMillis(1), "ok");
        record.evidence = evidence.map(Sha256::of);
        StoredRecord { leaf: record.to_leaf().into(), attachment: Bytes::from_static(attachment) }
    }

    #[test]
    fn evidence_is_the_one_that_the_record_commits_to_or_absent_from_both() {
        assert_eq!(check_stored(&stored(Some(b"sealed"), b"sealed")), Ok(()));
        assert_eq!(check_stored(&stored(None, b"")), Ok(()));
        for (evidence, attachment) in
            [(Some(&b"sealed"[..]), &b"sealeD"[..]), (Some(b"sealed"), b""), (None, b"sealed")]
        {
            assert!(check_stored(&stored(evidence, attachment)).is_err());
        }
        let mut spaced = stored(None, b"");
        spaced.leaf = [&spaced.leaf[..], b" "].concat().into();
        assert!(check_stored(&spaced).unwrap_err().contains("canonical"));
    }
}
