//! The log's handle: opens it, takes entries, reads records, answers queries, gives proofs.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{self as std_mpsc, TrySendError};
use std::sync::{Arc, MutexGuard, PoisonError};

use schemas::digest::Sha256;
use schemas::limits::RECORD_MAX_BYTES;
use schemas::tlog::merkle::leaf_hash;
use schemas::tlog::{NoteVerifier, tree};
use tokio::sync::oneshot;

use crate::compactor::Compact;
use crate::disk::OsDisk;
use crate::index::follower::Ask;
use crate::open::{Followers, Inner, open_on};
use crate::options::ATTACHMENT_BYTES_MAX;
use crate::publisher::Wake;
use crate::queue::Waiting;
use crate::{Entry, LogError, LogOptions, LogReceipt, PendingReceipt, Query, StoredRecord};

/// A handle on an open message log; clones share it. Dropping the last one without
/// [`MessageLog::close`] ends the log as a crash would: nothing acknowledged is lost, the last
/// checkpoint and the index are caught up when it is opened again.
#[derive(Clone)]
pub struct MessageLog {
    inner: Arc<Inner>,
}

impl fmt::Debug for MessageLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageLog({}, {} records)", self.inner.origin, self.size())
    }
}

impl MessageLog {
    /// Opens the log in `options.dir`, or begins one. Blocking: reads the last segment and
    /// publishes a checkpoint over what is durable, if the last one does not cover it; the index is caught up in
    /// the background. On a full disk it opens with the last checkpoint, and publishes when there is room.
    ///
    /// # Errors
    /// Another process has it open; damage before the tail; a checkpoint that is not of this log
    /// or contradicts its records; a key that does not sign where there is something to sign; a file operation.
    pub fn open(options: LogOptions) -> Result<Self, LogError> {
        open_on(options, Arc::new(OsDisk)).map(Self::of)
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Takes an entry. It is appended whether or not the receipt is awaited; the receipt comes when
    /// the record is durable. Awaiting it may block the thread for one write and sync.
    ///
    /// The receipt's errors: [`LogError::TooLarge`], [`LogError::Busy`], [`LogError::Full`],
    /// [`LogError::Closed`]: not stored; [`LogError::Poisoned`]: unknown until the restart. Cost: one hash of the leaf.
    #[must_use = "an answer may leave only with the receipt"]
    pub fn submit(&self, entry: Entry) -> PendingReceipt {
        self.enqueue(entry).unwrap_or_else(PendingReceipt::refused)
    }

    /// Like [`MessageLog::submit`], for a record whose receipt nobody needs yet: it becomes durable
    /// with the next record that is submitted, or by itself within 40 ms.
    #[must_use = "what depends on the record must wait for its receipt"]
    pub fn submit_soon(&self, entry: Entry) -> PendingReceipt {
        let pending = self.enqueue(entry).unwrap_or_else(PendingReceipt::refused);
        self.inner.committer.queue.call_soon();
        pending
    }

    /// Appends an entry and waits until it is durable.
    ///
    /// # Errors
    /// Those of [`MessageLog::submit`].
    pub async fn append(&self, entry: Entry) -> Result<LogReceipt, LogError> {
        self.submit(entry).await
    }

    fn enqueue(&self, entry: Entry) -> Result<PendingReceipt, LogError> {
        let limits = &self.inner.limits;
        check_size("leaf", entry.leaf.len(), RECORD_MAX_BYTES)?;
        let kept_max = limits.attachment_bytes.min(ATTACHMENT_BYTES_MAX);
        check_size("attachment", entry.attachment.len(), kept_max)?;
        let leaf_hash = leaf_hash(&entry.leaf);
        let (reply, receipt) = oneshot::channel();
        let committer = &self.inner.committer;
        committer.queue.push(Waiting { entry, leaf_hash, reply })?;
        Ok(PendingReceipt::waiting(receipt, committer.clone()))
    }

    /// Why the log does not store records at the moment: its disk was full at the last record, or has
    /// failed until the restart. `None` when it stores them.
    #[must_use]
    pub fn failure(&self) -> Option<LogError> {
        self.inner.committer.failure()
    }

    /// Durable records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner.segments.size()
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// The key that checkpoints verify under; its text is the verifier key of C2SP signed-note.
    #[must_use]
    pub fn verifier(&self) -> &NoteVerifier {
        &self.inner.verifier
    }

    /// The directory that a static file server may serve read-only (C2SP tlog-tiles).
    #[must_use]
    pub fn published_dir(&self) -> &Path {
        self.inner.tiles.dir()
    }

    /// Reads a record back. Blocking: two or three reads of a file.
    ///
    /// # Errors
    /// No such durable record; its bytes are damaged.
    pub fn read(&self, index: u64) -> Result<StoredRecord, LogError> {
        self.inner.segments.read(index)
    }

    /// Gives every durable record from `from` on, in order, until `take` breaks or they end.
    /// Blocking; holds one record at a time.
    ///
    /// # Errors
    /// A record whose bytes are damaged.
    pub fn scan(
        &self,
        from: u64,
        mut take: impl FnMut(u64, StoredRecord) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        let mut records = self.inner.segments.reader(from);
        while let Some((index, record)) = records.next()? {
            if take(index, record).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Recomputes the tree from the records and compares it with the latest checkpoint; gives the
    /// number of records that it covers. Blocking: reads and hashes the whole log.
    ///
    /// # Errors
    /// A damaged record; a tree that is not the signed one.
    pub fn audit(&self) -> Result<u64, LogError> {
        crate::audit::audit(&self.inner.segments, &self.latest_checkpoint(), &self.inner.verifier)
    }

    /// The indexes of the records that a query asks for. Blocking. Records are found within a
    /// moment after they are durable; while an index is made again, see [`MessageLog::indexed`].
    /// Where there is none, as on a full disk, the records themselves are read, which takes longer.
    ///
    /// # Errors
    /// A record that is damaged; the log is closed.
    pub fn find(&self, query: &Query) -> Result<Vec<u64>, LogError> {
        let (reply, answer) = std_mpsc::sync_channel(1);
        self.ask(Ask::Find(query.clone(), reply))?;
        answer.recv().unwrap_or(Err(LogError::Closed))
    }

    /// Records that a query finds; less than [`MessageLog::size`] while it is catching up.
    #[must_use]
    pub fn indexed(&self) -> u64 {
        *self.inner.indexed.borrow()
    }

    /// Waits until the record is in the index.
    ///
    /// # Errors
    /// The log is closed.
    pub async fn wait_indexed(&self, index: u64) -> Result<(), LogError> {
        let mut indexed = self.inner.indexed.clone();
        if *indexed.borrow() > index {
            return Ok(());
        }
        self.wake_indexer();
        let reached = indexed.wait_for(|count| *count > index).await;
        reached.map(|_| ()).map_err(|_| LogError::Closed)
    }

    /// The latest checkpoint, a signed note (C2SP tlog-checkpoint).
    #[must_use]
    pub fn latest_checkpoint(&self) -> String {
        self.inner.published.borrow().note.to_string()
    }

    /// The size that the latest checkpoint covers.
    #[must_use]
    pub fn published_size(&self) -> u64 {
        self.inner.published.borrow().size
    }

    /// A checkpoint that covers the record; signs one if the latest does not.
    ///
    /// # Errors
    /// No such durable record; publishing failed; the log is closed.
    pub async fn checkpoint_covering(&self, index: u64) -> Result<String, LogError> {
        let size = self.size();
        if index >= size {
            return Err(LogError::NoSuchRecord { index, size });
        }
        let mut published = self.inner.published.clone();
        let before = published.borrow_and_update().attempts;
        loop {
            {
                let state = published.borrow_and_update();
                if state.size > index {
                    return Ok(state.note.to_string());
                }
                if let Some(failure) = state.failure.as_ref().filter(|_| state.attempts > before) {
                    return Err(failure.clone());
                }
            }
            self.wake_publisher()?;
            published.changed().await.map_err(|_| LogError::Closed)?;
        }
    }

    /// Waits until every sealed segment that the latest checkpoint covers is compact, as it becomes by
    /// itself within a while, or cannot be.
    ///
    /// # Errors
    /// The log is closed.
    pub async fn wait_compact(&self) -> Result<(), LogError> {
        let (reply, done) = oneshot::channel();
        let sender = self.followers().as_ref().map(|followers| followers.compact.clone());
        let sender = sender.ok_or(LogError::Closed)?;
        sender.try_send(Compact::Now(reply)).map_err(|refused| match refused {
            TrySendError::Full(_) => LogError::Busy,
            TrySendError::Disconnected(_) => LogError::Closed,
        })?;
        done.await.map_err(|_| LogError::Closed)
    }

    /// The inclusion proof of a record in the tree of `size`, from the leaf's sibling up (RFC 6962
    /// §2.1.1). Blocking: reads a few tiles.
    ///
    /// # Errors
    /// The record is not in a tree of that size; no checkpoint covers that size yet.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Sha256>, LogError> {
        let published = self.published_over(size)?;
        if index >= size {
            return Err(LogError::NoSuchRecord { index, size });
        }
        let nodes = self.inner.tiles.nodes(published);
        tree::inclusion_proof(index, size, |level, index| nodes.node(level, index))
    }

    /// The proof that the tree of `new` extends the tree of `old` (RFC 6962 §2.1.2). Blocking:
    /// reads a few tiles.
    ///
    /// # Errors
    /// `old` is larger than `new`; no checkpoint covers `new` yet.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Sha256>, LogError> {
        let published = self.published_over(new)?;
        if old > new {
            return Err(LogError::NotPublished { size: old, published: new });
        }
        let nodes = self.inner.tiles.nodes(published);
        tree::consistency_proof(old, new, |level, index| nodes.node(level, index))
    }

    /// Stops taking entries, makes what waits durable, publishes a last checkpoint and ends the
    /// threads, in this order. A second call does nothing. What is durable can still be read and
    /// proved through the handle.
    pub async fn close(&self) {
        self.inner.committer.queue.end(LogError::Closed);
        let Some(followers) = self.followers().take() else { return };
        let ended = tokio::task::spawn_blocking(move || followers.close());
        if let Err(panic) = ended.await {
            std::panic::resume_unwind(Box::new(panic.to_string()));
        }
    }

    fn published_over(&self, size: u64) -> Result<u64, LogError> {
        let published = self.published_size();
        if size > published {
            return Err(LogError::NotPublished { size, published });
        }
        Ok(published)
    }

    fn wake_publisher(&self) -> Result<(), LogError> {
        match self.followers().as_ref().map(|followers| followers.wake.try_send(Wake::Publish)) {
            // Full: it has been told and not yet begun.
            Some(Ok(()) | Err(TrySendError::Full(_))) => Ok(()),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(LogError::Closed),
        }
    }

    fn wake_indexer(&self) {
        if let Some(followers) = self.followers().as_ref() {
            // A full queue wakes the indexer as well.
            let _ = followers.ask.try_send(Ask::Index);
        }
    }

    fn ask(&self, ask: Ask) -> Result<(), LogError> {
        let sender = self.followers().as_ref().map(|followers| followers.ask.clone());
        sender.ok_or(LogError::Closed)?.send(ask).map_err(|_| LogError::Closed)
    }

    fn followers(&self) -> MutexGuard<'_, Option<Followers>> {
        self.inner.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_size(part: &'static str, bytes: usize, limit_bytes: usize) -> Result<(), LogError> {
    if bytes > limit_bytes {
        return Err(LogError::TooLarge { part, bytes, limit_bytes });
    }
    Ok(())
}
