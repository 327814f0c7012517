//! One record as it lies in a segment. All numbers are little-endian:
//!
//! ```text
//! payload length u32 · crc32c u32 · sequence u64 · payload
//! payload = durable-below u64 · leaf length u32 · leaf · attachment
//! ```
//!
//! In a compact segment (`compactor.rs`) the leaf stands in its entry bundle only. Its length is then
//! 2^32 − 1, and the leaf's crc32c stands in its place:
//!
//! ```text
//! payload = durable-below u64 · 0xffffffff u32 · crc32c of the leaf u32 · attachment
//! ```
//!
//! The checksum covers everything but itself. *Durable-below* says which records were durable when
//! this one was written: it was written after the fdatasync that covers all records below that
//! number. So a damaged record that a later frame calls durable is damage, not a torn tail.

use bytes::Bytes;
use schemas::limits::RECORD_MAX_BYTES;

use crate::Entry;
use crate::options::ATTACHMENT_BYTES_MAX;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 16;
const PAYLOAD_HEAD_BYTES: usize = 12;
/// Stands for the length of a leaf that is in its bundle; no leaf is as long.
const IN_BUNDLE: u32 = u32::MAX;
/// No frame has a larger payload: a longer length is damage, and nothing is allocated for it.
const PAYLOAD_BYTES_MAX: usize = PAYLOAD_HEAD_BYTES + RECORD_MAX_BYTES + ATTACHMENT_BYTES_MAX;

/// The sixteen bytes before a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    length: [u8; 4],
    checksum: u32,
    /// The record's index in the log.
    pub(crate) seq: u64,
    /// Bytes of the payload, within the limit.
    pub(crate) payload_bytes: usize,
}

/// A frame that is whole.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Records below this were durable when the frame was written.
    pub(crate) durable_below: u64,
    /// The leaf, or where it stands.
    pub(crate) leaf: FrameLeaf,
    /// The sealed evidence.
    pub(crate) attachment: Bytes,
}

/// The leaf of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FrameLeaf {
    /// As it was appended.
    Here(Bytes),
    /// It stands in its entry bundle and has this crc32c.
    InBundle {
        /// Tells a leaf that was changed by accident; by intent, the tree does.
        checksum: u32,
    },
}

impl Header {
    /// Reads a header; `None` when the length is none that a frame has.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (checksum, seq) = rest.split_first_chunk::<4>()?;
        let payload_bytes = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        if !(PAYLOAD_HEAD_BYTES..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
            return None;
        }
        Some(Self {
            length: *length,
            checksum: u32::from_le_bytes(*checksum),
            seq: u64::from_le_bytes(seq.try_into().ok()?),
            payload_bytes,
        })
    }

    /// Takes the payload apart; `None` when the checksum or a length does not fit.
    pub(crate) fn open(&self, payload: &Bytes) -> Option<Frame> {
        if checksum(self.length, self.seq, payload) != self.checksum {
            return None;
        }
        let (durable_below, rest) = payload.split_first_chunk::<8>()?;
        let (leaf_bytes, _) = rest.split_first_chunk::<4>()?;
        let leaf_bytes = u32::from_le_bytes(*leaf_bytes);
        let in_bundle = leaf_bytes == IN_BUNDLE;
        let leaf_bytes = if in_bundle { 4 } else { usize::try_from(leaf_bytes).ok()? };
        let leaf_end = PAYLOAD_HEAD_BYTES.checked_add(leaf_bytes)?;
        if leaf_end > payload.len() {
            return None;
        }
        let stands = payload.slice(PAYLOAD_HEAD_BYTES..leaf_end);
        let leaf = if in_bundle {
            FrameLeaf::InBundle { checksum: u32::from_le_bytes(*stands.first_chunk()?) }
        } else {
            FrameLeaf::Here(stands)
        };
        let attachment = payload.slice(leaf_end..);
        Some(Frame { durable_below: u64::from_le_bytes(*durable_below), leaf, attachment })
    }
}

fn checksum(length: [u8; 4], seq: u64, payload: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&length), &seq.to_le_bytes());
    crc32c::crc32c_append(head, payload)
}

/// Bytes that an entry takes in a segment.
pub(crate) fn frame_bytes(entry: &Entry) -> usize {
    HEADER_BYTES + PAYLOAD_HEAD_BYTES + entry.leaf.len() + entry.attachment.len()
}

/// Adds the frame of an entry to a batch. `None`, with the batch as before, when the entry is
/// larger than a frame takes.
pub(crate) fn push_frame(
    batch: &mut Vec<u8>,
    seq: u64,
    durable_below: u64,
    entry: &Entry,
) -> Option<()> {
    let length = u32::try_from(entry.leaf.len()).ok()?;
    push(batch, (seq, durable_below), (length, &entry.leaf), &entry.attachment)
}

/// Adds the frame of a record whose leaf stands in its bundle; `None` as above.
pub(crate) fn push_compact_frame(
    batch: &mut Vec<u8>,
    seq: u64,
    durable_below: u64,
    (leaf, attachment): (&[u8], &[u8]),
) -> Option<()> {
    let checksum = crc32c::crc32c(leaf).to_le_bytes();
    push(batch, (seq, durable_below), (IN_BUNDLE, &checksum), attachment)
}

fn push(
    batch: &mut Vec<u8>,
    (seq, durable_below): (u64, u64),
    (leaf_length, leaf): (u32, &[u8]),
    attachment: &[u8],
) -> Option<()> {
    let payload_bytes = PAYLOAD_HEAD_BYTES + leaf.len() + attachment.len();
    let length = u32::try_from(payload_bytes).ok()?.to_le_bytes();
    let start = batch.len();
    batch.extend_from_slice(&length);
    batch.extend_from_slice(&[0; 4]);
    batch.extend_from_slice(&seq.to_le_bytes());
    batch.extend_from_slice(&durable_below.to_le_bytes());
    batch.extend_from_slice(&leaf_length.to_le_bytes());
    batch.extend_from_slice(leaf);
    batch.extend_from_slice(attachment);
    let sum = checksum(length, seq, batch.get(start + HEADER_BYTES..)?).to_le_bytes();
    batch.get_mut(start + 4..start + 8)?.copy_from_slice(&sum);
    Some(())
}

/// Looks behind a damaged frame for one that was written when the damaged one was durable.
/// `bytes` begins with the damaged frame of the record `seq`. Linear in the bytes.
pub(crate) fn was_durable(seq: u64, bytes: &Bytes) -> bool {
    frames_behind(seq, bytes).any(|found| found.frame.durable_below > seq)
}

/// A whole frame found behind damage.
pub(crate) struct Found {
    /// Where it begins in the bytes that were searched.
    pub(crate) at: usize,
    /// Its record's index.
    pub(crate) seq: u64,
    /// The frame.
    pub(crate) frame: Frame,
}

/// The whole frames of later records in bytes that should begin with the frame of the record `seq`.
pub(crate) fn frames_behind(seq: u64, bytes: &Bytes) -> impl Iterator<Item = Found> {
    // More records than that do not fit into the bytes, so a sequence further on is no frame's.
    let fit = bytes.len() / (HEADER_BYTES + PAYLOAD_HEAD_BYTES);
    let last = seq.saturating_add(u64::try_from(fit).unwrap_or(u64::MAX));
    (0..bytes.len()).filter_map(move |at| {
        let (head, rest) = bytes.get(at..)?.split_first_chunk()?;
        let header = Header::parse(head)?;
        if !(seq.saturating_add(1)..=last).contains(&header.seq) {
            return None;
        }
        let payload = bytes.slice_ref(rest.get(..header.payload_bytes)?);
        Some(Found { at, seq: header.seq, frame: header.open(&payload)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { leaf: Bytes::from_static(b"leaf"), attachment: Bytes::from_static(b"kept") }
    }

    fn read(bytes: &[u8]) -> Option<(u64, Frame)> {
        let (head, rest) = bytes.split_first_chunk()?;
        let header = Header::parse(head)?;
        let payload = Bytes::copy_from_slice(rest.get(..header.payload_bytes)?);
        header.open(&payload).map(|frame| (header.seq, frame))
    }

    #[test]
    fn a_frame_round_trips_and_every_flipped_bit_is_seen() {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, 7, 5, &entry()).unwrap();
        assert_eq!(bytes.len(), frame_bytes(&entry()));
        let (seq, frame) = read(&bytes).unwrap();
        assert_eq!((seq, frame.durable_below), (7, 5));
        assert_eq!(frame.leaf, FrameLeaf::Here(entry().leaf));
        assert_eq!(frame.attachment, "kept");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_compact_frame_names_the_leaf_by_its_checksum_and_every_flipped_bit_is_seen() {
        let mut bytes = Vec::new();
        push_compact_frame(&mut bytes, 7, 5, (b"leaf", b"kept")).unwrap();
        let (seq, frame) = read(&bytes).unwrap();
        assert_eq!((seq, frame.durable_below), (7, 5));
        assert_eq!(frame.leaf, FrameLeaf::InBundle { checksum: crc32c::crc32c(b"leaf") });
        assert_eq!(frame.attachment, "kept");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn only_a_later_frame_that_says_so_proves_a_damaged_one_durable() {
        let damaged = b"any bytes at all".to_vec();
        let mut same_batch = damaged.clone();
        push_frame(&mut same_batch, 8, 7, &entry()).unwrap();
        assert!(!was_durable(7, &Bytes::from(same_batch)));
        let mut later_batch = damaged;
        push_frame(&mut later_batch, 8, 8, &entry()).unwrap();
        assert!(was_durable(7, &Bytes::from(later_batch.clone())));
        later_batch.pop();
        assert!(!was_durable(7, &Bytes::from(later_batch)));
    }
}
