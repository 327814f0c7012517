//! The follower that indexes: the one thread that owns the index (stack limits of sled: one
//! process, one database, one owner thread, blocking flush). It reads durable records, adds them,
//! and answers queries between batches. Whatever is wrong with the index, it is made again; while it
//! cannot be made, or the disk is full, answers come from the records themselves, which takes longer.

use std::collections::VecDeque;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use schemas::clock::{Clock, Stopwatch};
use schemas::tlog::merkle::leaf_hash;
use tokio::sync::watch;

use super::store::{ANSWERS_MAX_COUNT, BATCH_COUNT, IndexFault, Indexed, Store, Watermark};
use super::{IndexKeys, Order, Query};
use crate::LogError;
use crate::disk::is_full;
use crate::segments::{RecordReader, Segments};

/// How long records wait for company before they are indexed.
const COLLECT: Duration = Duration::from_millis(100);
/// How often what was added is made durable; what a crash takes is indexed again.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long an index that cannot be opened is left alone.
const REST: Duration = Duration::from_secs(1);

/// What the indexer is asked.
pub(crate) enum Ask {
    /// Index what is durable now.
    Index,
    /// Answer a query.
    Find(Query, SyncSender<Result<Vec<u64>, LogError>>),
    /// Make the index durable and end.
    Close,
}

/// What the indexer is started with.
pub(crate) struct IndexOptions {
    pub(crate) dir: PathBuf,
    pub(crate) cache_bytes: u64,
    pub(crate) keys_of: fn(&[u8]) -> IndexKeys,
    pub(crate) clock: Clock,
}

/// The indexer; it lives on a thread of its own.
pub(crate) struct Indexer {
    options: IndexOptions,
    segments: Arc<Segments>,
    records: RecordReader,
    /// `None` while the index could not be made; tried again.
    store: Option<Store>,
    indexed: watch::Sender<u64>,
    unflushed: Option<Stopwatch>,
    /// Since the index could last not be opened.
    rests: Option<Stopwatch>,
    /// A record that could not be read: what follows it is not indexed, and no answer is whole.
    stuck: Option<LogError>,
}

impl Indexer {
    /// Opens the index, or makes it again when it is not one of these records.
    pub(crate) fn open(options: IndexOptions, segments: Arc<Segments>) -> Self {
        let indexed = watch::Sender::new(0);
        let records = segments.reader(0);
        let (store, unflushed, rests, stuck) = (None, None, None, None);
        let mut indexer =
            Self { options, segments, records, store, indexed, unflushed, rests, stuck };
        indexer.open_store();
        indexer
    }

    /// Told how many records are in the index.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.indexed.subscribe()
    }

    /// Follows the records and answers, until it is told to close or nobody can ask.
    pub(crate) fn run(mut self, asks: &Receiver<Ask>) {
        loop {
            let able = self.store.is_some() && self.stuck.is_none();
            let wait = if able && self.batch_waits() { Duration::ZERO } else { COLLECT };
            match asks.recv_timeout(wait) {
                Ok(Ask::Find(query, reply)) => {
                    self.index_batch();
                    // A caller that has gone needs no answer.
                    let _ = reply.send(self.find(&query));
                }
                Ok(Ask::Index) | Err(RecvTimeoutError::Timeout) => self.index_batch(),
                Ok(Ask::Close) => {
                    self.index_batch();
                    return self.flush();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.unflushed.is_some_and(|since| since.elapsed() >= FLUSH_EVERY) {
                self.flush();
            }
        }
    }

    /// Whether a whole batch waits. Fewer records wait for company, under load too: keys that they
    /// share are then added once for all of them.
    fn batch_waits(&self) -> bool {
        let waiting = self.segments.size().saturating_sub(self.records.position());
        usize::try_from(waiting).is_ok_and(|waiting| waiting >= BATCH_COUNT)
    }

    /// Indexes the next batch of durable records.
    fn index_batch(&mut self) {
        if self.store.is_none() && self.rests.is_none_or(|since| since.elapsed() >= REST) {
            self.open_store();
        }
        if self.store.is_none() {
            // Answers come from the records, so all of them are found.
            self.indexed.send_replace(self.segments.size());
            return;
        }
        let mut batch = Vec::new();
        while self.stuck.is_none() && batch.len() < BATCH_COUNT {
            match self.records.next_leaf() {
                Ok(Some((index, leaf))) => {
                    let keys = (self.options.keys_of)(&leaf.bytes);
                    batch.push(Indexed { index, leaf_hash: leaf.hash, keys });
                }
                Ok(None) => break,
                Err(failure) => {
                    tracing::error!(%failure, "the index stops at a record that is not readable");
                    self.stuck = Some(failure);
                }
            }
        }
        let Some(store) = self.store.as_ref().filter(|_| !batch.is_empty()) else { return };
        match guarded(|| store.add(&batch)) {
            Ok(()) => {
                self.indexed.send_replace(self.records.position());
                self.unflushed.get_or_insert_with(|| self.options.clock.stopwatch());
            }
            Err(fault) => self.make_again(&fault),
        }
    }

    fn find(&mut self, query: &Query) -> Result<Vec<u64>, LogError> {
        if let Some(failure) = &self.stuck {
            return Err(failure.clone());
        }
        match self.store.as_ref().map(|store| guarded(|| store.find(query))) {
            Some(Ok(found)) => return Ok(found),
            Some(Err(fault)) => self.make_again(&fault),
            None => (),
        }
        self.find_in_records(query)
    }

    /// Answers without the index. Cost: reads the log.
    fn find_in_records(&self, query: &Query) -> Result<Vec<u64>, LogError> {
        let limit = query.limit.min(ANSWERS_MAX_COUNT);
        let mut records = self.segments.reader(0);
        let mut found = VecDeque::new();
        while let Some((index, leaf)) = records.next_leaf()? {
            let keys = (self.options.keys_of)(&leaf.bytes);
            let meant = query.key.as_ref().is_none_or(|key| keys.keys.contains(key));
            if !meant || !(query.from..=query.to).contains(&keys.time) {
                continue;
            }
            match query.order {
                Order::OldestFirst if found.len() == limit => break,
                Order::OldestFirst => found.push_back(index),
                Order::NewestFirst => {
                    found.push_front(index);
                    found.truncate(limit);
                }
            }
        }
        Ok(found.into())
    }

    fn flush(&mut self) {
        self.unflushed = None;
        let Some(store) = &self.store else { return };
        if let Err(fault) = guarded(|| store.flush()) {
            self.make_again(&fault);
        }
    }

    /// Opens the index and takes it up where its watermark says, if that is a record of this log.
    fn open_store(&mut self) {
        let usable = self.try_open().and_then(|store| {
            let position = guarded(|| self.position_in(&store))?;
            Ok((store, position))
        });
        match usable {
            Ok((store, Some(position))) => self.follow(store, position),
            Ok((store, None)) => {
                close(store);
                self.make_again(&IndexFault::Unreadable);
            }
            Err(fault) => self.make_again(&fault),
        }
    }

    fn try_open(&self) -> Result<Store, IndexFault> {
        guarded(|| Store::open(&self.options.dir, self.options.cache_bytes))
    }

    /// Where to go on in an index; `None` when it is ahead of the log or of another one.
    fn position_in(&self, store: &Store) -> Result<Option<u64>, IndexFault> {
        let Some(Watermark { count, last }) = store.watermark()? else {
            // A power cut may leave an index empty; one with postings and no watermark is none.
            return Ok(store.is_empty().then_some(0));
        };
        let record = count.checked_sub(1).and_then(|last| self.segments.read(last).ok());
        let same = record.is_some_and(|record| leaf_hash(&record.leaf) == last);
        Ok(same.then_some(count))
    }

    fn follow(&mut self, store: Store, position: u64) {
        self.store = Some(store);
        self.rests = None;
        self.records = self.segments.reader(position);
        self.indexed.send_replace(position);
    }

    /// Moves the index aside, where it can be looked at, and begins a new one. One that met a full
    /// disk is left where it is: nothing is wrong with it.
    fn make_again(&mut self, fault: &IndexFault) {
        if let Some(store) = self.store.take() {
            close(store);
        }
        if fault.is_full() {
            return self.rest(fault);
        }
        tracing::warn!(%fault, "making the message log's index again from the records");
        let made = move_aside(&self.options.dir).map_err(IndexFault::from);
        match made.and_then(|()| self.try_open()) {
            Ok(store) => self.follow(store, 0),
            Err(fault) => self.rest(&fault),
        }
    }

    /// Leaves the index alone for a moment.
    fn rest(&mut self, fault: &IndexFault) {
        if self.rests.is_none() {
            tracing::error!(
                %fault,
                "own hub: the message log's index cannot be used; queries read the records and take \
                 longer; make room on its disk, or look at its directory: it is tried each second"
            );
        }
        self.rests = Some(self.options.clock.stopwatch());
    }
}

impl IndexFault {
    fn is_full(&self) -> bool {
        match self {
            Self::Io(cause) | Self::Sled(sled::Error::Io(cause)) => is_full(cause),
            _ => false,
        }
    }
}

/// sled panics on some damage; a panic is a fault like any other.
fn guarded<T>(step: impl FnOnce() -> Result<T, IndexFault>) -> Result<T, IndexFault> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Err(IndexFault::Panicked))
}

/// Closing flushes, which may panic after damage.
fn close(store: Store) {
    let _ = guarded(|| {
        drop(store);
        Ok(())
    });
}

fn move_aside(dir: &Path) -> std::io::Result<()> {
    let aside = dir.with_added_extension("damaged");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    if dir.exists() { fs::rename(dir, aside) } else { Ok(()) }
}
