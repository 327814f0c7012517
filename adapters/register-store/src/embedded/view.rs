//! The view: where each document lies and by what it is found, in sled. Everything in it is made
//! again from journal and keys when it is missing, behind, or damaged (sled 0.34 may lose what it
//! holds when the power goes, and may panic on what it then finds). Keys, numbers big-endian:
//!
//! ```text
//! 0x01 kind 0 id                   → JSON of `Entry`
//! 0x02 kind 0 name 0 value 0 id    → empty
//! 0x03 subject                     → slot u64
//! 0xFE                             → slots of the people's keys that were added, u64
//! 0xFF                             → JSON of `Watermark`
//! ```

use std::fs::{self, File};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sled::Batch;

use super::journal::Place;
use super::payload::DocumentHead;
use crate::backend::{IndexKey, IndexSelect, Lookup};
use crate::query::Cursor;
use crate::seal::Subject;

const CACHE_BYTES: u64 = 32 * 1024 * 1024;
const DOCUMENT: u8 = 1;
const INDEX: u8 = 2;
const PERSON: u8 = 3;
const SLOTS: [u8; 1] = [0xfe];
const WATERMARK: [u8; 1] = [0xff];

/// The view is not usable and has to be made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewFault {
    #[error("{0}")]
    Sled(#[from] sled::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it holds what this program does not write")]
    Unreadable,
    #[error("its engine panicked")]
    Panicked,
}

/// What the view knows of a document.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) head: DocumentHead,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// How far the view has come in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watermark {
    /// Sequence, checksum and place of the last frame in it.
    pub(crate) sequence: u64,
    pub(crate) checksum: u32,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// One document of a commit, placed.
pub(crate) struct Placed {
    pub(crate) kind: String,
    pub(crate) id: String,
    /// `None` when it is deleted.
    pub(crate) document: Option<(DocumentHead, Place)>,
}

/// An open view.
pub(crate) struct View {
    db: sled::Db,
    dir: PathBuf,
}

impl View {
    /// Opens or makes the view.
    pub(crate) fn open(dir: &Path) -> Result<Self, ViewFault> {
        guarded(|| {
            // A half-written snapshot keeps sled from opening (spacejam/sled#1533); it is made again.
            for file in fs::read_dir(dir).into_iter().flatten() {
                let path = file?.path();
                if path.to_string_lossy().ends_with(".generating") {
                    fs::remove_file(path)?;
                }
            }
            let config = sled::Config::default().path(dir).cache_capacity(CACHE_BYTES);
            let db = config.flush_every_ms(None).open()?;
            Ok(Self { db, dir: dir.to_owned() })
        })
    }

    pub(crate) fn watermark(&self) -> Result<Option<Watermark>, ViewFault> {
        let value = guarded(|| Ok(self.db.get(WATERMARK)?))?;
        value.map(|value| read_json(&value)).transpose()
    }

    /// Slots of the people's keys that were added.
    pub(crate) fn slots(&self) -> Result<u64, ViewFault> {
        let value = guarded(|| Ok(self.db.get(SLOTS)?))?;
        value.map_or(Ok(0), |value| read_u64(&value))
    }

    /// What is known of a document.
    pub(crate) fn entry(&self, kind: &str, id: &str) -> Result<Option<Entry>, ViewFault> {
        let value = guarded(|| Ok(self.db.get(document_key(kind, id))?))?;
        value.map(|value| read_json(&value)).transpose()
    }

    /// Makes a commit visible, all of it at once.
    pub(crate) fn apply(&self, placed: &[Placed], watermark: Watermark) -> Result<(), ViewFault> {
        let mut batch = Batch::default();
        for Placed { kind, id, document } in placed {
            let place = document_key(kind, id);
            if let Some(before) = self.entry(kind, id)? {
                for key in before.head.index_keys() {
                    batch.remove(index_key(kind, &key, id));
                }
            }
            match document {
                None => batch.remove(place),
                Some((head, Place { segment, offset })) => {
                    for key in head.index_keys() {
                        batch.insert(index_key(kind, &key, id), &[]);
                    }
                    let entry = EntryRef { head, segment: *segment, offset: *offset };
                    batch.insert(place, json(&entry)?);
                }
            }
        }
        batch.insert(&WATERMARK, json(&watermark)?);
        guarded(|| Ok(self.db.apply_batch(batch)?))
    }

    /// The slot of a person's key.
    pub(crate) fn slot(&self, subject: &Subject) -> Result<Option<u64>, ViewFault> {
        let value = guarded(|| Ok(self.db.get(person_key(subject))?))?;
        value.map(|value| read_u64(&value)).transpose()
    }

    /// Adds the key in the next slot; `None` when that one was erased.
    pub(crate) fn add_slot(&self, slot: u64, subject: Option<&Subject>) -> Result<(), ViewFault> {
        let mut batch = Batch::default();
        if let Some(subject) = subject {
            batch.insert(person_key(subject), &slot.to_be_bytes());
        }
        batch.insert(&SLOTS, &slot.saturating_add(1).to_be_bytes());
        guarded(|| Ok(self.db.apply_batch(batch)?))
    }

    pub(crate) fn remove_slot(&self, subject: &Subject) -> Result<(), ViewFault> {
        guarded(|| Ok(self.db.remove(person_key(subject)).map(drop)?))
    }

    /// Where the selected documents stand in the answer, at most `limit`, ascending.
    pub(crate) fn find(&self, lookup: &Lookup) -> Result<Vec<Cursor>, ViewFault> {
        let Lookup { kind, select, after, limit } = lookup;
        let all = [&[DOCUMENT], kind.as_bytes(), b"\0"].concat();
        let behind = |key: Vec<u8>| (Bound::Excluded(key), ());
        let (from, below, prefix) = match select {
            IndexSelect::All => {
                let from = after.as_ref().map(|last| behind(document_key(kind, &last.id)).0);
                (from.unwrap_or(Bound::Included(all.clone())), after_prefix(&all), all.len())
            }
            IndexSelect::Equal(key) => {
                let equal = index_key(kind, key, "");
                let from = after.as_ref().map(|last| behind(index_key(kind, key, &last.id)).0);
                let below = after_prefix(&equal);
                (from.unwrap_or(Bound::Included(equal)), below, index_prefix(kind, &key.name).len())
            }
            IndexSelect::Range { name, from, below } => {
                let place = |value: &str| [&index_prefix(kind, name), value.as_bytes()].concat();
                let key =
                    |last: &Cursor| IndexKey { name: name.clone(), value: last.value.clone() };
                let last = after.as_ref().map(|last| index_key(kind, &key(last), &last.id));
                let start = place(from);
                let from = match last.filter(|last| *last >= start) {
                    Some(last) => Bound::Excluded(last),
                    None => Bound::Included(start),
                };
                (from, place(below), index_prefix(kind, name).len())
            }
        };
        let empty = matches!(&from, Bound::Included(key) | Bound::Excluded(key) if *key >= below);
        if empty {
            return Ok(Vec::new());
        }
        guarded(|| {
            let keys = self.db.range((from, Bound::Excluded(below))).keys().take(*limit);
            keys.map(|key| read_cursor(&key?, prefix).ok_or(ViewFault::Unreadable)).collect()
        })
    }

    /// Makes the view durable, so that less is replayed; sled's own flush does not sync (sled 0.34
    /// on Linux calls `sync_file_range`).
    pub(crate) fn flush(&self) -> Result<(), ViewFault> {
        guarded(|| {
            self.db.flush()?;
            Ok(File::open(self.dir.join("db"))?.sync_data()?)
        })
    }
}

/// [`Entry`] as it is written.
#[derive(Serialize)]
struct EntryRef<'a> {
    head: &'a DocumentHead,
    segment: u64,
    offset: u64,
}

/// sled panics on some damage; a panic is a fault like any other.
pub(crate) fn guarded<T>(step: impl FnOnce() -> Result<T, ViewFault>) -> Result<T, ViewFault> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Err(ViewFault::Panicked))
}

fn document_key(kind: &str, id: &str) -> Vec<u8> {
    [&[DOCUMENT], kind.as_bytes(), b"\0", id.as_bytes()].concat()
}

fn index_prefix(kind: &str, name: &str) -> Vec<u8> {
    [&[INDEX], kind.as_bytes(), b"\0", name.as_bytes(), b"\0"].concat()
}

/// Values and ids hold no NUL, so that the order is that of (value, id).
fn index_key(kind: &str, key: &IndexKey, id: &str) -> Vec<u8> {
    [&index_prefix(kind, &key.name), key.value.as_bytes(), b"\0", id.as_bytes()].concat()
}

fn person_key(subject: &Subject) -> Vec<u8> {
    [&[PERSON], &subject.0[..]].concat()
}

/// The first key behind all that begin with a prefix, which ends with NUL.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = 1;
    }
    end
}

fn read_cursor(key: &[u8], prefix: usize) -> Option<Cursor> {
    let rest = std::str::from_utf8(key.get(prefix..)?).ok()?;
    let (value, id) = rest.split_once('\0').unwrap_or(("", rest));
    Some(Cursor { value: value.to_owned(), id: id.to_owned() })
}

fn read_u64(value: &[u8]) -> Result<u64, ViewFault> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| ViewFault::Unreadable)
}

fn read_json<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, ViewFault> {
    serde_json::from_slice(value).map_err(|_| ViewFault::Unreadable)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ViewFault> {
    serde_json::to_vec(value).map_err(|_| ViewFault::Unreadable)
}
