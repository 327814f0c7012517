//! Opening a log: what is checked in which order, and the threads that then run.
//!
//! Lock, checkpoint, segments, tree, index. Nothing is changed on disk before the checkpoint has
//! been read and the segments have been found to hold what it covers.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::mpsc::{self as std_mpsc, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use schemas::tlog::NoteVerifier;
use tokio::sync::watch;

use crate::committer::{Committer, Writer};
use crate::compactor::{Compact, Compactor};
use crate::disk::{Disk, make_dirs};
use crate::index::follower::{Ask, IndexOptions, Indexer};
use crate::publisher::{Identity, Published, Publisher, Wake};
use crate::queue::{Queue, QueueLimits};
use crate::recovery::{Recovered, recover};
use crate::segments::Segments;
use crate::tiles::Tiles;
use crate::{LogError, LogLimits, LogOptions};

/// Segments are at least and at most this long, bytes: an offset has 32 bits.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64..=(1 << 30);
/// Queries that may wait for the indexer.
const ASKS_COUNT: usize = 64;
/// Who may wait for the compactor.
const COMPACT_COUNT: usize = 16;

/// What the handles of an open log share.
pub(crate) struct Inner {
    pub(crate) origin: Arc<str>,
    pub(crate) verifier: NoteVerifier,
    pub(crate) limits: LogLimits,
    pub(crate) segments: Arc<Segments>,
    pub(crate) tiles: Tiles,
    pub(crate) published: watch::Receiver<Published>,
    pub(crate) indexed: watch::Receiver<u64>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) followers: Mutex<Option<Followers>>,
}

/// The log's threads and how they are told.
pub(crate) struct Followers {
    pub(crate) wake: SyncSender<Wake>,
    pub(crate) ask: SyncSender<Ask>,
    pub(crate) compact: SyncSender<Compact>,
    pub(crate) committer: JoinHandle<()>,
    pub(crate) publisher: JoinHandle<()>,
    pub(crate) indexer: JoinHandle<()>,
    pub(crate) compactor: JoinHandle<()>,
    /// Held until the threads have ended: one process at a time.
    pub(crate) lock: File,
}

/// Opens the log on a disk.
pub(crate) fn open_on(options: LogOptions, disk: Arc<dyn Disk>) -> Result<Inner, LogError> {
    let dir = &options.dir;
    let published = dir.join("tlog");
    for dir in [dir, &published] {
        make_dirs(&*disk, dir).map_err(|cause| LogError::io("making", dir, &cause))?;
    }
    let lock = lock(dir)?;
    let identity = identity(&options)?;
    let verifier = identity.verifier.clone();
    let tiles = Tiles::new(published, disk.clone());
    let last = identity.read_checkpoint(&tiles)?;
    let covered = last.as_ref().map_or(0, |last| last.checkpoint.size);
    let recovered = recover(&dir.join("segments"), covered, &disk)?;
    let Recovered { segments, file, bytes } = recovered;
    let segments = Arc::new(segments);
    let publisher = Publisher::open(identity, segments.clone(), tiles.clone(), last)?;
    let indexer = Indexer::open(
        IndexOptions {
            dir: dir.join("index"),
            disk: disk.clone(),
            block_count: options.limits.index_block_count,
            keys_of: options.index_keys,
            clock: options.clock.clone(),
        },
        segments.clone(),
    );
    let (published, indexed) = (publisher.watch(), indexer.watch());
    let limits =
        QueueLimits { count: options.limits.queue_count.max(1), bytes: options.limits.queue_bytes };
    let origin: Arc<str> = options.origin.as_str().into();
    let writer = Writer {
        segments: segments.clone(),
        origin: origin.clone(),
        disk: disk.clone(),
        file,
        tail_bytes: bytes,
        segment_bytes: within(options.limits.segment_bytes, SEGMENT_BYTES),
        buffer: Vec::new(),
    };
    let committer = Arc::new(Committer::new(Queue::new(limits), writer));
    let compactor = Compactor {
        segments: segments.clone(),
        disk,
        published: published.clone(),
        clock: options.clock.clone(),
        next: 0,
        waiting: Vec::new(),
    };
    let work = Work { committer: committer.clone(), publisher, indexer, compactor };
    let followers = start(work, options.limits, lock)?;
    Ok(Inner {
        origin,
        verifier,
        limits: options.limits,
        segments,
        tiles,
        published,
        indexed,
        committer,
        followers: Mutex::new(Some(followers)),
    })
}

impl Followers {
    /// Ends the threads; a panic of one of them goes on here.
    pub(crate) fn close(self) {
        let join = |thread: JoinHandle<()>| {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        };
        join(self.committer);
        let _ = self.compact.send(Compact::Close);
        join(self.compactor);
        // A follower that is gone needs no telling; its panic shows in the join.
        let _ = self.wake.send(Wake::Close);
        join(self.publisher);
        let _ = self.ask.send(Ask::Close);
        join(self.indexer);
        drop(self.lock);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.committer.queue.end(LogError::Closed);
        let followers = self.followers.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(followers) = followers else { return };
        let Followers { wake, ask, compact, committer, publisher, indexer, compactor, lock } =
            followers;
        drop((wake, ask, compact));
        for thread in [committer, publisher, indexer, compactor] {
            if thread.join().is_err() {
                tracing::error!("a thread of the message log panicked");
            }
        }
        drop(lock);
    }
}

/// What the threads do.
struct Work {
    committer: Arc<Committer>,
    publisher: Publisher,
    indexer: Indexer,
    compactor: Compactor,
}

fn start(work: Work, limits: LogLimits, lock: File) -> Result<Followers, LogError> {
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        spawned.map_err(|cause| LogError::io("starting the thread", Path::new(name), &cause))
    };
    let Work { committer, publisher, indexer, compactor } = work;
    let (wake, wakes) = std_mpsc::sync_channel(1);
    let (ask, asks) = std_mpsc::sync_channel(ASKS_COUNT);
    let (compact, compacts) = std_mpsc::sync_channel(COMPACT_COUNT);
    let LogLimits { checkpoint_interval, compact_interval, .. } = limits;
    let publish = move || publisher.run(&wakes, checkpoint_interval);
    let make_compact = move || compactor.run(&compacts, compact_interval);
    Ok(Followers {
        wake,
        ask,
        compact,
        committer: spawn("log-committer", Box::new(move || committer.serve()))?,
        publisher: spawn("log-publisher", Box::new(publish))?,
        indexer: spawn("log-indexer", Box::new(move || indexer.run(&asks)))?,
        compactor: spawn("log-compactor", Box::new(make_compact))?,
        lock,
    })
}

fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join("lock");
    let failed = |cause: std::io::Error| LogError::io("locking", &path, &cause);
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { dir: dir.display().to_string() }),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

fn identity(options: &LogOptions) -> Result<Identity, LogError> {
    let refused = |cause: String| LogError::Signer { cause };
    if options.origin.is_empty() || options.origin.contains(char::is_control) {
        return Err(refused("the log's origin is not one line of text".to_owned()));
    }
    let signer = options.key.clone();
    let verifier = NoteVerifier::ed25519(signer.name(), signer.public_key());
    let verifier = verifier.map_err(|cause| refused(cause.to_string()))?;
    Ok(Identity { origin: options.origin.as_str().into(), signer, verifier })
}

fn within(value: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
    value.clamp(*range.start(), *range.end())
}
