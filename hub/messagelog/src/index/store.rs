//! The index as it lies in sled: postings, the times of records, and a watermark.
//!
//! sled 0.34 loses or corrupts what it holds when the power goes, and may panic on what it then
//! finds, so it holds nothing but this index. The watermark is written after what it stands for,
//! and sled's own log keeps that order; records that are added a second time overwrite their own
//! postings. (One `sled::Batch` for all would be plainer, but sled frees memory only as often as
//! its epoch is pinned, once for each batch: measured, 150 000 keys in batches of 3 000 leave
//! 390 MiB behind, the same keys inserted one by one 30 MiB.) Keys, all numbers big-endian:
//!
//! ```text
//! kind u8 · value length u8 · value · first record u64  → (record - first u32 · time u64)…
//! 0xFE · hour u64                                        → first record u64 · last record u64
//! 0xFF                                                   → layout u8 · records u64 · leaf hash of the last
//! ```
//!
//! Kind 0 with an empty value is every record. One posting holds the records of one batch, so a
//! popular value costs one entry for each batch and not for each record.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

use super::{IndexKey, IndexKeys, Order, Query};

/// Records in one batch, and so in one posting.
pub(crate) const BATCH_COUNT: usize = 1024;
/// The same, as records are counted.
const BATCH_RECORDS: u64 = 1024;
/// Most answers to one query, whatever it asks for.
pub(crate) const ANSWERS_MAX_COUNT: usize = 100_000;

const LAYOUT: u8 = 1;
const HOUR: u8 = 0xfe;
const WATERMARK: [u8; 1] = [0xff];
const HOUR_MS: u64 = 3_600_000;
const POSTING_BYTES: usize = 12;

/// The index is not usable and has to be made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexFault {
    #[error("{0}")]
    Sled(#[from] sled::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it holds what this program does not write")]
    Unreadable,
    #[error("its engine panicked")]
    Panicked,
}

/// How far the index has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// Records indexed.
    pub(crate) count: u64,
    /// Leaf hash of the last of them.
    pub(crate) last: Sha256,
}

/// One record for the index.
pub(crate) struct Indexed {
    pub(crate) index: u64,
    pub(crate) leaf_hash: Sha256,
    pub(crate) keys: IndexKeys,
}

/// An open index. One thread owns it.
pub(crate) struct Store {
    db: sled::Db,
    dir: PathBuf,
}

impl Store {
    /// Opens or makes the index. May panic on what a crash has left: the caller catches it.
    pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, IndexFault> {
        let config = sled::Config::default().path(dir).cache_capacity(cache_bytes);
        let db = config.flush_every_ms(None).open()?;
        if !db.was_recovered() {
            File::open(dir.join("conf"))?.sync_all()?;
            File::open(dir)?.sync_all()?;
        }
        Ok(Self { db, dir: dir.to_owned() })
    }

    /// How far the index has come; `None` when it is empty or of another layout.
    pub(crate) fn watermark(&self) -> Result<Option<Watermark>, IndexFault> {
        let Some(value) = self.db.get(WATERMARK)? else { return Ok(None) };
        let parse = || {
            let (layout, rest) = value.split_first()?;
            let (count, last) = rest.split_first_chunk()?;
            let last = Sha256(last.try_into().ok()?);
            (*layout == LAYOUT).then_some(Watermark { count: u64::from_be_bytes(*count), last })
        };
        Ok(parse())
    }

    /// Whether nothing was ever added.
    pub(crate) fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// Adds the next records, then the watermark. They begin where the last watermark stands, so
    /// that adding them again after a crash gives the same keys.
    pub(crate) fn add(&self, records: &[Indexed]) -> Result<(), IndexFault> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        // `None` stands for all records.
        let mut postings: BTreeMap<Option<&IndexKey>, Vec<u8>> = BTreeMap::new();
        let mut hours: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for record in records {
            let delta = u32::try_from(record.index - first.index);
            let delta = delta.map_err(|_| IndexFault::Unreadable)?.to_be_bytes();
            let time = record.keys.time.0;
            for key in record.keys.keys.iter().map(Some).chain([None]) {
                let posting = postings.entry(key).or_default();
                // A record that has a key twice stands in its posting once.
                let last = posting.len().checked_sub(POSTING_BYTES);
                if last.and_then(|last| posting.get(last..last + delta.len())) != Some(&delta) {
                    posting.extend_from_slice(&delta);
                    posting.extend_from_slice(&time.to_be_bytes());
                }
            }
            let span = hours.entry(time / HOUR_MS).or_insert((record.index, record.index));
            *span = (span.0.min(record.index), span.1.max(record.index));
        }
        for (key, posting) in postings {
            let mut place = key.map_or_else(|| ALL.to_vec(), prefix);
            place.extend_from_slice(&first.index.to_be_bytes());
            self.db.insert(place, posting)?;
        }
        for (hour, (low, high)) in hours {
            let before = self.db.get(hour_key(hour))?.and_then(|span| read_span(&span));
            let (low, high) = before.map_or((low, high), |(l, h)| (l.min(low), h.max(high)));
            let span = [low.to_be_bytes(), high.to_be_bytes()].concat();
            self.db.insert(hour_key(hour), span)?;
        }
        self.set_watermark(Watermark { count: last.index + 1, last: last.leaf_hash })
    }

    /// Says how far the index has come.
    pub(crate) fn set_watermark(&self, watermark: Watermark) -> Result<(), IndexFault> {
        let Watermark { count, last } = watermark;
        let value = [&[LAYOUT][..], &count.to_be_bytes(), last.as_bytes()].concat();
        self.db.insert(WATERMARK, value)?;
        Ok(())
    }

    /// The records that a query asks for, in its order. Cost: the postings between the records of
    /// the first and the last hour asked for.
    pub(crate) fn find(&self, query: &Query) -> Result<Vec<u64>, IndexFault> {
        let limit = query.limit.min(ANSWERS_MAX_COUNT);
        let Some((low, high)) = self.records_between(query.from, query.to)? else {
            return Ok(Vec::new());
        };
        let prefix = query.key.as_ref().map_or_else(|| ALL.to_vec(), prefix);
        let bound = |index: u64| [&prefix[..], &index.to_be_bytes()].concat();
        let mut postings = self.db.range(bound(low.saturating_sub(BATCH_RECORDS))..=bound(high));
        let mut found = Vec::new();
        while found.len() < limit {
            let next = match query.order {
                Order::NewestFirst => postings.next_back(),
                Order::OldestFirst => postings.next(),
            };
            let Some((key, posting)) = next.transpose()? else { break };
            let mut records = read_posting(&key, &posting).ok_or(IndexFault::Unreadable)?;
            records.retain(|(index, time)| {
                (low..=high).contains(index) && (query.from..=query.to).contains(time)
            });
            if query.order == Order::NewestFirst {
                records.reverse();
            }
            found.extend(records.into_iter().map(|(index, _)| index));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Makes what was added durable: sled's own flush does not sync (sled 0.34 on Linux calls
    /// `sync_file_range`).
    pub(crate) fn flush(&self) -> Result<(), IndexFault> {
        self.db.flush()?;
        Ok(File::open(self.dir.join("db"))?.sync_data()?)
    }

    /// The first and the last record with a time in these hours. Times are nearly ascending, not
    /// quite: records are made before they are appended.
    fn records_between(
        &self,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<Option<(u64, u64)>, IndexFault> {
        if from.0 == 0 && to.0 == u64::MAX {
            return Ok(Some((0, u64::MAX)));
        }
        let mut between = None;
        for hour in self.db.range(hour_key(from.0 / HOUR_MS)..=hour_key(to.0 / HOUR_MS)) {
            let (low, high) = read_span(&hour?.1).ok_or(IndexFault::Unreadable)?;
            let (lowest, highest) = between.unwrap_or((low, high));
            between = Some((low.min(lowest), high.max(highest)));
        }
        Ok(between)
    }
}

/// The prefix of the postings of every record.
const ALL: [u8; 2] = [0, 0];

fn prefix(key: &IndexKey) -> Vec<u8> {
    let digest;
    let (length, value) = match u8::try_from(key.value.len()) {
        Ok(length) => (length, key.value.as_bytes()),
        Err(_) => {
            digest = Sha256::of(key.value.as_bytes());
            (32, digest.as_bytes().as_slice())
        }
    };
    [&[key.kind.byte(), length][..], value].concat()
}

fn hour_key(hour: u64) -> [u8; 9] {
    let mut key = [HOUR; 9];
    if let Some((_, number)) = key.split_first_mut() {
        number.copy_from_slice(&hour.to_be_bytes());
    }
    key
}

fn read_span(value: &[u8]) -> Option<(u64, u64)> {
    let (low, high) = value.split_first_chunk()?;
    Some((u64::from_be_bytes(*low), u64::from_be_bytes(high.try_into().ok()?)))
}

fn read_posting(key: &[u8], value: &[u8]) -> Option<Vec<(u64, UnixMillis)>> {
    let (_, first) = key.split_last_chunk()?;
    let first = u64::from_be_bytes(*first);
    let (records, rest) = value.as_chunks::<POSTING_BYTES>();
    let read = |record: &[u8; POSTING_BYTES]| {
        let (delta, time) = record.split_first_chunk()?;
        let time = u64::from_be_bytes(time.try_into().ok()?);
        Some((first.checked_add(u32::from_be_bytes(*delta).into())?, UnixMillis(time)))
    };
    if rest.is_empty() { records.iter().map(read).collect() } else { None }
}
