//! A leaf looked through without being read: for checks that pass over millions of records.
//!
//! A canonical leaf is an object whose fields stand in one order, each in one spelling, so that a glance at
//! the bytes tells most leaves. Texts with escapes or beyond ASCII, and whatever else is unusual, are left to
//! [`Record::from_leaf`](super::Record::from_leaf), which alone says what a record is; this never takes what that refuses.

use crate::digest::Sha256;

/// How a field's value is spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Digest,
    /// At most this number.
    Number(u64),
    Text,
    Texts,
    /// One of these words.
    Word(&'static [&'static str]),
}

use Form::{Digest, Number, Text, Texts, Word};

/// The fields in the order of a leaf, and whether a record may be without.
const FIELDS: [(&str, Form, bool); 24] = [
    ("body", Digest, true),
    ("body_bytes", Number(u64::MAX), true),
    ("class", Text, true),
    ("client", Text, true),
    ("configuration", Number(u64::MAX), true),
    ("duration_us", Number(u64::MAX), true),
    ("endpoint", Text, true),
    ("evidence", Digest, true),
    ("exchange", Text, true),
    ("grant", Text, true),
    ("kind", Word(&["request", "answer", "refusal", "act"]), false),
    ("legal_basis", Text, true),
    ("message", Text, true),
    ("outcome", Text, false),
    ("peer", Text, true),
    ("purpose", Text, true),
    ("service", Text, true),
    ("side", Word(&["consumer", "provider", "hub"]), false),
    ("signed", Digest, true),
    ("status", Number(65_535), true),
    ("subjects", Texts, true),
    ("time", Number(u64::MAX), false),
    ("user", Text, true),
    ("version", Number(1), false),
];

/// The evidence that a plain leaf commits to; `None` when the leaf has to be read.
pub(super) fn evidence(leaf: &[u8]) -> Option<Option<Sha256>> {
    let mut rest = leaf.strip_prefix(b"{")?;
    let mut evidence = None;
    let mut first = true;
    for (name, form, optional) in FIELDS {
        let Some(value) = named(rest, name, first) else {
            if optional {
                continue;
            }
            return None;
        };
        first = false;
        let (found, behind) = form.value(value)?;
        if name == "evidence" {
            evidence = found;
        }
        rest = behind;
    }
    // The last field is the version.
    (rest == b"}" && leaf.ends_with(b":1}")).then_some(evidence)
}

/// What stands behind the name of a field and its colon; `None` when another field stands there.
fn named<'a>(rest: &'a [u8], name: &str, first: bool) -> Option<&'a [u8]> {
    let rest = if first { rest } else { rest.strip_prefix(b",")? };
    rest.strip_prefix(b"\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\":")
}

impl Form {
    /// Passes over a value; gives a digest and what stands behind.
    fn value(self, rest: &[u8]) -> Option<(Option<Sha256>, &[u8])> {
        match self {
            Digest => {
                let (digits, behind) = rest.strip_prefix(b"\"")?.split_first_chunk::<64>()?;
                let digest = str::from_utf8(digits).ok()?.parse().ok()?;
                Some((Some(digest), behind.strip_prefix(b"\"")?))
            }
            Number(most) => number(rest, most).map(|behind| (None, behind)),
            Text => text(rest).map(|(_, behind)| (None, behind)),
            Texts => {
                let (_, mut behind) = text(rest.strip_prefix(b"[")?)?;
                while let Some(next) = behind.strip_prefix(b",") {
                    (_, behind) = text(next)?;
                }
                Some((None, behind.strip_prefix(b"]")?))
            }
            Word(words) => {
                let (word, behind) = text(rest)?;
                words.iter().any(|known| known.as_bytes() == word).then_some((None, behind))
            }
        }
    }
}

/// A text of visible ASCII without escapes.
fn text(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = rest.strip_prefix(b"\"")?;
    let (text, behind) = rest.split_at(rest.iter().position(|byte| *byte == b'"')?);
    // All of them are looked at, which takes less time than to stop at the first.
    let unusual = |byte: &u8| !matches!(byte, b' '..=b'~') | (*byte == b'\\');
    let plain = !text.iter().fold(false, |found, byte| found | unusual(byte));
    Some((text, behind.strip_prefix(b"\"")?)).filter(|_| plain)
}

/// A number of at most 19 digits without leading zeros.
fn number(rest: &[u8], most: u64) -> Option<&[u8]> {
    let digits = rest.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = rest.split_at(digits);
    let canonical = digits.len() < 20 && (digits == b"0" || !digits.starts_with(b"0"));
    let value: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
    (canonical && value <= most).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::super::tests::full;
    use super::super::{Kind, Record, Side};
    use super::*;
    use crate::clock::UnixMillis;

    fn plain() -> Record {
        Record { legal_basis: Some("CM res. 35".into()), ..full() }
    }

    #[test]
    fn a_plain_leaf_is_taken_without_being_read() {
        let act = Record::new(Kind::Act, Side::Hub, UnixMillis(0), "started");
        for record in [plain(), act] {
            assert_eq!(evidence(&record.to_leaf()), Some(record.evidence));
        }
        let without: [fn(&mut Record); 4] = [
            |record| record.signed = None,
            |record| record.subjects.clear(),
            |record| record.user = None,
            |record| record.evidence = None,
        ];
        for without in without {
            let mut record = plain();
            without(&mut record);
            assert_eq!(evidence(&record.to_leaf()), Some(record.evidence));
        }
    }

    #[test]
    fn every_field_of_a_record_is_known() {
        let leaf = plain().to_leaf();
        let fields: serde_json::Map<_, _> = serde_json::from_slice(&leaf).unwrap();
        assert!(fields.keys().eq(FIELDS.map(|(name, ..)| name)));
    }

    /// Bytes that could change what a leaf means, and some that cannot.
    const BYTES: &[u8] = b"\0 \"\\019afgAz,:[]{}-.\x7f\x80\xff";

    /// Every byte left out, changed, and put in.
    #[test]
    fn what_is_taken_is_a_record() {
        let leaf = plain().to_leaf();
        let (mut taken, mut changes) = (0, 0);
        let mut compare = |changed: &[u8]| {
            changes += 1;
            if let Some(evidence) = evidence(changed) {
                taken += 1;
                let read = Record::from_leaf(changed).map(|record| record.evidence);
                assert_eq!(read, Ok(evidence), "{}", String::from_utf8_lossy(changed));
            }
        };
        for at in 0..leaf.len() {
            let mut cut = leaf.clone();
            cut.remove(at);
            compare(&cut);
            for byte in BYTES.iter().copied() {
                let mut changed = leaf.clone();
                changed[at] = byte;
                compare(&changed);
                changed[at] = leaf[at];
                changed.insert(at, byte);
                compare(&changed);
            }
        }
        assert!(taken > 0 && taken < changes, "{taken} of {changes}");
    }

    #[test]
    fn unusual_leaves_are_left_to_be_read() {
        let leaf = String::from_utf8(plain().to_leaf()).unwrap();
        let swapped = leaf.replace("\"version\":1", "\"version\":0");
        assert_eq!(evidence(swapped.as_bytes()), None);
        for number in ["00", "18446744073709551616", "-1", "1.0"] {
            let changed = leaf.replace("\"body_bytes\":4", &format!("\"body_bytes\":{number}"));
            assert_eq!(evidence(changed.as_bytes()), None, "{number}");
        }
        assert_eq!(evidence(&full().to_leaf()), None, "a text with escapes");
        assert_eq!(evidence(b""), None);
    }
}
