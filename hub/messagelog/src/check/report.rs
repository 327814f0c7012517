//! What a check found.

use std::fmt;
use std::ops::Range;

use schemas::tlog::Checkpoint;

/// Findings that a report names; further ones are counted. A log that is damaged all over is
/// restored, not repaired by a list.
const FINDINGS_COUNT: usize = 1000;

/// Which files a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The segments: the records themselves.
    Segments,
    /// The signed checkpoint.
    Checkpoint,
    /// The published hashes, derived.
    Tiles,
    /// The published records, derived where the segments hold them too. Beside them the same file may hold the
    /// only copy of others, so no repair removes it.
    EntryBundles,
    /// The published records of compact segments: the only copy.
    OnlyBundles,
    /// Where the records of a segment begin, derived.
    Offsets,
}

impl Store {
    /// What the operator does.
    #[must_use]
    pub fn repair(self) -> &'static str {
        match self {
            Self::Segments | Self::Checkpoint | Self::OnlyBundles => {
                "keep this directory for the investigation and restore the log from a backup or \
                 another node"
            }
            Self::Tiles | Self::EntryBundles => {
                "stop the hub, remove the folders 0, 1, … of log/tlog/tile (nothing of tile/entries, \
                 nor log/tlog/checkpoint) and start it: it writes them again from the records, and \
                 every bundle that differs"
            }
            Self::Offsets => "remove the file: the hub writes it again from the segment",
        }
    }
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which files it is about.
    pub store: Store,
    /// The file, below the log's directory.
    pub file: String,
    /// The first and the last record that it is about.
    pub records: Option<(u64, u64)>,
    /// The bytes of the file that it is about.
    pub bytes: Option<Range<u64>>,
    /// What is wrong.
    pub cause: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.records {
            Some((first, last)) if first == last => write!(f, ", record {first}")?,
            Some((first, last)) => write!(f, ", records {first} to {last}")?,
            None => (),
        }
        if let Some(Range { start, end }) = &self.bytes {
            write!(f, ", bytes {start} to {end}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

/// Findings up to the limit, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    named: Vec<Finding>,
    count: u64,
}

impl Findings {
    /// The first thousand.
    #[must_use]
    pub fn named(&self) -> &[Finding] {
        &self.named
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.count = self.count.saturating_add(1);
        if self.named.len() < FINDINGS_COUNT {
            self.named.push(finding);
        }
    }

    /// A record; it joins the finding of the record before it when that says the same of the same file.
    pub(super) fn push_record(&mut self, store: Store, file: String, index: u64, cause: String) {
        if let Some(last) = self.named.last_mut()
            && (last.store, &last.file, &last.cause) == (store, &file, &cause)
            && let Some((_, end)) = &mut last.records
            && *end + 1 == index
        {
            *end = index;
            return;
        }
        self.push(Finding { store, file, records: Some((index, index)), bytes: None, cause });
    }

    pub(super) fn append(&mut self, other: Self) {
        let unnamed = other.count.saturating_sub(u64::try_from(other.named.len()).unwrap_or(0));
        other.named.into_iter().for_each(|finding| self.push(finding));
        self.count = self.count.saturating_add(unnamed);
    }
}

/// Whether the log's key signed the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The key that was given did.
    Verified,
    /// The key that was given did not.
    Refused,
    /// No key was given.
    NotChecked,
}

/// Whether the tree made from the records has the root of the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// It has, and every record takes part.
    Same,
    /// It has, with the published hashes of damaged or missing records in their places: all other
    /// records are those that were signed.
    SameBut {
        /// Records whose published hash took their place.
        records: u64,
    },
    /// It has not: a record that passes its checksum is not the one that was signed.
    Other,
    /// It cannot be made: records are missing, and so are their published hashes; or there is no
    /// checkpoint to compare it with.
    NotMade,
}

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Report {
    /// Records that were read whole.
    pub records: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Published files that were compared with the records.
    pub tiles: u64,
    /// The checkpoint, if there is a readable one.
    pub checkpoint: Option<Checkpoint>,
    /// Whether its signature was verified.
    pub signature: Signature,
    /// Whether the records have its root.
    pub root: Root,
    /// What is wrong.
    pub findings: Findings,
    /// What is no damage and yet worth knowing.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.count() == 0 && self.root == Root::Same
    }

    /// Whole records behind the checkpoint: nothing signed covers them yet.
    #[must_use]
    pub fn uncovered(&self) -> u64 {
        let covered = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        self.records.saturating_sub(covered)
    }
}
