//! The words of the index: keys that a record is found by, and queries.

pub(crate) mod follower;
mod merge;
mod pages;
mod run;
mod search;
pub(crate) mod store;

use std::ops::Range;

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

/// What a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IndexKind {
    /// The exchange id.
    Exchange,
    /// The caller's request id.
    Request,
    /// A subject's pseudonym.
    Subject,
    /// The client subsystem.
    Client,
    /// The service.
    Service,
    /// The purpose.
    Purpose,
    /// The outcome.
    Outcome,
}

impl IndexKind {
    /// The kind's byte under the digest. Who changes one also changes the magic of the runs, so that
    /// old indexes are made again.
    fn byte(self) -> u8 {
        match self {
            Self::Exchange => 1,
            Self::Request => 2,
            Self::Subject => 3,
            Self::Client => 4,
            Self::Service => 5,
            Self::Purpose => 6,
            Self::Outcome => 7,
        }
    }
}

/// A key that records are found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// What the value is about.
    pub kind: IndexKind,
    /// The value, compared byte for byte.
    pub value: String,
}

impl IndexKey {
    /// A key.
    #[must_use]
    pub fn new(kind: IndexKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }
}

/// What the index holds of a key: the first 16 bytes of the SHA-256 of its kind and value. Callers choose some of the
/// values; two with one digest take 2^64 tries to find, and would only find each other's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyDigest(pub(crate) [u8; 16]);

impl KeyDigest {
    pub(crate) fn of(kind: IndexKind, value: &str) -> Self {
        let digest = Sha256::of_parts(&[&[kind.byte()], value.as_bytes()]);
        Self(digest.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// What a record is found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexKeys {
    /// The record's time.
    pub(crate) time: UnixMillis,
    /// Its keys; a record without keys is still found by its time.
    pub(crate) digests: Vec<KeyDigest>,
}

impl IndexKeys {
    /// Those of a record that was made at `time`, and so far is found by that only.
    #[must_use]
    pub fn at(time: UnixMillis) -> Self {
        Self { time, digests: Vec::with_capacity(8) }
    }

    /// Lets the record be found by a key, too. Cost: one hash of the value.
    pub fn add(&mut self, kind: IndexKind, value: &str) {
        self.digests.push(KeyDigest::of(kind, value));
    }
}

/// In which order of record index answers come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest record first.
    #[default]
    NewestFirst,
    /// Oldest record first.
    OldestFirst,
}

/// A question to the index.
#[derive(Clone, Debug)]
pub struct Query {
    /// The key, or all records.
    pub key: Option<IndexKey>,
    /// First moment, inclusive.
    pub from: UnixMillis,
    /// Last moment, inclusive.
    pub to: UnixMillis,
    /// Only records with these indexes; who has too many answers for one goes on behind the last.
    pub within: Range<u64>,
    /// Most answers.
    pub limit: usize,
    /// The order of answers.
    pub order: Order,
}

impl Query {
    /// All records with this key, newest first, at most 1000.
    #[must_use]
    pub fn by_key(key: IndexKey) -> Self {
        Self { key: Some(key), ..Self::all() }
    }

    /// All records, newest first, at most 1000.
    #[must_use]
    pub fn all() -> Self {
        Self {
            key: None,
            from: UnixMillis(0),
            to: UnixMillis(u64::MAX),
            within: 0..u64::MAX,
            limit: 1000,
            order: Order::NewestFirst,
        }
    }
}
