//! The follower that indexes: the one thread that owns the index. It reads durable records, adds them, merges
//! files, and answers queries in between. Whatever is wrong with the index, it is made again; while it cannot be
//! made, or its next file cannot be written, answers come from the records themselves, which takes longer.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use schemas::clock::{Clock, Stopwatch};
use schemas::tlog::merkle::leaf_hash;
use tokio::sync::watch;

use super::store::{ANSWERS_MAX_COUNT, IndexFault, Store, Watermark};
use super::{IndexKeys, KeyDigest, Order, Query};
use crate::LogError;
use crate::disk::{Disk, sync_parent};
use crate::segments::{RecordReader, Segments};

/// How long records wait to be indexed: a thread that slept for each would cost more than the index.
const COLLECT: Duration = Duration::from_millis(100);
/// Records that are indexed between two looks for a query.
const BATCH_COUNT: u64 = 1024;
/// How long an index that cannot be read or written is left alone.
const REST: Duration = Duration::from_secs(1);

/// What the indexer is asked.
pub(crate) enum Ask {
    /// Index what is durable now.
    Index,
    /// Answer a query.
    Find(Query, SyncSender<Result<Vec<u64>, LogError>>),
    /// End.
    Close,
}

/// What the indexer is started with.
pub(crate) struct IndexOptions {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) block_count: u32,
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
    /// The most that `indexed` ever said: who has read it there finds all records before.
    promised: u64,
    /// Since the index, or a record for it, could last not be read or written.
    rests: Option<Stopwatch>,
    /// A record that is damaged: what follows it is not indexed, and no answer is whole.
    stuck: Option<LogError>,
}

impl Indexer {
    /// Opens the index, or makes it again when it is not one of these records.
    pub(crate) fn open(options: IndexOptions, segments: Arc<Segments>) -> Self {
        let indexed = watch::Sender::new(0);
        let records = segments.reader(0);
        let (promised, store, rests, stuck) = (0, None, None, None);
        let mut indexer =
            Self { options, segments, records, store, indexed, promised, rests, stuck };
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
            let wait = if self.is_busy() { Duration::ZERO } else { COLLECT };
            match asks.recv_timeout(wait) {
                Ok(Ask::Find(query, reply)) => {
                    self.catch_up();
                    // A caller that has gone needs no answer.
                    let _ = reply.send(self.find(&query));
                }
                Ok(Ask::Index) => self.index_batch(),
                Err(RecvTimeoutError::Timeout) => {
                    self.index_batch();
                    self.work();
                }
                Ok(Ask::Close) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether there is more to do than wait for records.
    fn is_busy(&self) -> bool {
        let able = self.rests.is_none() && self.stuck.is_none();
        let works = |store: &Store| self.waiting() >= BATCH_COUNT || store.works();
        able && self.store.as_ref().is_some_and(works)
    }

    /// Durable records that are not indexed.
    fn waiting(&self) -> u64 {
        self.segments.size().saturating_sub(self.records.position())
    }

    /// Indexes what waits before a query is answered; while the whole index is being made again, the next
    /// batch of it.
    fn catch_up(&mut self) {
        let batches = self.waiting().div_ceil(BATCH_COUNT).max(1);
        let block = u64::from(self.options.block_count).div_ceil(BATCH_COUNT);
        for _ in 0..if batches <= block { batches } else { 1 } {
            self.index_batch();
        }
    }

    /// Indexes the next batch of durable records.
    fn index_batch(&mut self) {
        if self.rests.is_none_or(|since| since.elapsed() >= REST) {
            if self.store.is_none() {
                self.open_store();
            }
            match self.take_batch() {
                Ok(()) if self.store.is_some() => self.rests = None,
                Ok(()) => (),
                Err(fault) => self.bear(&fault),
            }
        }
        // While it rests, answers come from the records, so all of them are found; where it is stuck, the answer
        // is why. Nobody waits for what does not come.
        let waits = self.rests.is_none() && self.stuck.is_none();
        let reached = if waits { self.records.position() } else { self.segments.size() };
        self.tell(reached);
    }

    fn tell(&mut self, reached: u64) {
        self.promised = self.promised.max(reached);
        self.indexed.send_replace(reached);
    }

    fn take_batch(&mut self) -> Result<(), IndexFault> {
        let Some(store) = self.store.as_mut().filter(|_| self.stuck.is_none()) else {
            return Ok(());
        };
        for _ in 0..BATCH_COUNT {
            store.make_room()?;
            match self.records.next_leaf() {
                Ok(Some((_, leaf))) => store.add(leaf.hash, &(self.options.keys_of)(&leaf.bytes)),
                Ok(None) => break,
                Err(failure @ LogError::Corrupt { .. }) => {
                    tracing::error!(%failure, "the index stops at a record that is not readable");
                    self.stuck = Some(failure);
                    break;
                }
                Err(failure) => return Err(IndexFault::NotRead(failure)),
            }
        }
        Ok(())
    }

    fn work(&mut self) {
        let store = self.store.as_mut().filter(|_| self.rests.is_none());
        if let Some(Err(fault)) = store.map(Store::work) {
            self.bear(&fault);
        }
    }

    /// Waits while a file cannot be read or written; makes the index again where it is not what it was.
    fn bear(&mut self, fault: &IndexFault) {
        if fault.waits() { self.rest(fault) } else { self.make_again(fault) }
    }

    fn find(&mut self, query: &Query) -> Result<Vec<u64>, LogError> {
        if let Some(failure) = &self.stuck {
            return Err(failure.clone());
        }
        match self.store.as_ref().map(|store| store.find(query)) {
            Some(Ok(found)) if self.records.position() >= self.promised => Ok(found),
            Some(Ok(found)) => self.find_in_records(query, found, self.records.position()),
            Some(Err(fault)) => {
                self.bear(&fault);
                self.find_in_records(query, Vec::new(), 0)
            }
            None => self.find_in_records(query, Vec::new(), 0),
        }
    }

    /// Answers without the index for the records from `first` on; `found` is the answer for those before. Cost:
    /// reads those that the query is about, until it has enough of the oldest.
    fn find_in_records(
        &self,
        query: &Query,
        found: Vec<u64>,
        first: u64,
    ) -> Result<Vec<u64>, LogError> {
        let limit = query.limit.min(ANSWERS_MAX_COUNT);
        let wanted = query.key.as_ref().map(|key| KeyDigest::of(key.kind, &key.value));
        let mut records = self.segments.reader(first.max(query.within.start));
        let mut found = VecDeque::from(found);
        let oldest = query.order == Order::OldestFirst;
        while !(oldest && found.len() >= limit) {
            let Some((index, leaf)) = records.next_leaf()? else { break };
            if index >= query.within.end {
                break;
            }
            let keys = (self.options.keys_of)(&leaf.bytes);
            let meant = wanted.is_none_or(|key| keys.digests.contains(&key));
            if !meant || !(query.from..=query.to).contains(&keys.time) {
                continue;
            }
            if oldest {
                found.push_back(index);
            } else {
                found.push_front(index);
                found.truncate(limit);
            }
        }
        Ok(found.into())
    }

    /// Opens the index and takes it up where its files end, if that is a record of this log.
    fn open_store(&mut self) {
        match self.try_open() {
            Ok(store) => match self.position_in(&store) {
                Ok(Some(position)) => self.follow(store, position),
                Ok(None) => self.make_again(&IndexFault::Unreadable),
                Err(fault) => self.bear(&fault),
            },
            Err(fault) => self.bear(&fault),
        }
    }

    fn try_open(&self) -> Result<Store, IndexFault> {
        Store::open(&self.options.disk, &self.options.dir, self.options.block_count)
    }

    /// Where to go on in an index; `None` when it is ahead of the log or of another one.
    fn position_in(&self, store: &Store) -> Result<Option<u64>, IndexFault> {
        let Some(Watermark { count, last }) = store.watermark() else { return Ok(Some(0)) };
        let Some(newest) = count.checked_sub(1) else { return Ok(None) };
        match self.segments.read(newest) {
            Ok(record) => Ok(Some(count).filter(|_| leaf_hash(&record.leaf) == last)),
            Err(LogError::NoSuchRecord { .. } | LogError::Corrupt { .. }) => Ok(None),
            Err(failure) => Err(IndexFault::NotRead(failure)),
        }
    }

    fn follow(&mut self, store: Store, position: u64) {
        self.store = Some(store);
        self.rests = None;
        self.records = self.segments.reader(position);
        self.tell(position);
    }

    /// Moves the index aside, where it can be looked at, and begins a new one.
    fn make_again(&mut self, fault: &IndexFault) {
        tracing::warn!(%fault, "making the message log's index again from the records");
        self.store = None;
        let made = move_aside(&*self.options.disk, &self.options.dir).map_err(IndexFault::from);
        match made.and_then(|()| self.try_open()) {
            Ok(store) => self.follow(store, 0),
            Err(fault) => self.rest(&fault),
        }
    }

    /// Leaves the index alone for a moment. It stays where it is: nothing is wrong with it.
    fn rest(&mut self, fault: &IndexFault) {
        if self.rests.is_none() {
            tracing::error!(
                %fault,
                "own hub: the message log's index cannot be read or written; queries read the records and \
                 take longer; make room on its disk, or look at its directory: it is tried each second"
            );
        }
        self.rests = Some(self.options.clock.stopwatch());
    }
}

fn move_aside(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    let aside = dir.with_added_extension("damaged");
    if aside.exists() {
        disk.remove_dir_all(&aside)?;
    }
    if dir.exists() {
        disk.rename(dir, &aside)?;
        sync_parent(disk, &aside)?;
    }
    Ok(())
}
