//! Group commit: all that waits is written with one write, made durable with one fdatasync, and only
//! then are the receipts handed out.
//!
//! Whoever waits for a receipt commits for all who wait, on its own thread: it first lets the other tasks that
//! are ready run, so that their records come along, and then blocks for the one sync. Handing the batch to
//! a thread and back would cost two wake-ups of a thread for each, which is more than the sync itself costs
//! the processor (see *What it costs* in ARCHITECTURE.md), and tasks that could run meanwhile mostly wait
//! for the same sync. One commits at a time; what comes meanwhile, and what nobody waits for, is left to
//! the log's own thread.
//!
//! What a crash or a failure leaves behind, for an entry that was submitted:
//!
//! | cut short | on disk | caller has | after the restart |
//! |---|---|---|---|
//! | in the queue | nothing | no receipt | not in the log; retry is right |
//! | in the write | any bytes after the last sync | no receipt | torn tail cut; whole frames of the batch may stay: *failed and stored* |
//! | in the sync | all, some or none of the batch | no receipt | as above; a retry may store twice, the exchange id tells |
//! | no room for the write | as before the batch: cut back and synced | `Full` | not in the log; the next batch tries again, without a restart |
//! | write, cut or sync gives an error | unknown | `Poisoned` | as above; until then nothing more is taken |
//! | restart after a failed sync, the machine still up | less than is read back: the kernel may hold it as if written | `Poisoned` | what no later record calls durable is written again and synced before it is shown |
//! | after the sync, before the receipt | the batch | no receipt | in the log: *stored, answer lost* |
//! | after the receipt | the batch | receipt | in the log |
//! | zeros lie ahead of the last record | a tail of zeros | | cut in silence: no record was there |
//! | full segment cut to its end, no new one made | the full segment | no receipt | it is the tail again |
//! | new segment made, nothing in it | an empty file under its name | no receipt | it is the tail |
//! | new segment made, its name not durable | no file | no receipt | the full segment is the tail again |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::append::{AppendError, AppendFile};
use crate::disk::Disk;
use crate::frame::push_frame;
use crate::queue::{Called, Queue, Waiting};
use crate::segments::{Leaf, Segments};
use crate::{LogError, LogReceipt};

/// What the batch buffer keeps between batches, bytes.
const KEEP_BYTES: usize = 256 * 1024;

/// The queue and the one place at its end.
pub(crate) struct Committer {
    pub(crate) queue: Queue,
    /// Whoever holds it commits.
    pub(crate) writer: Mutex<Writer>,
    /// What the last batch met with.
    failure: Mutex<Option<LogError>>,
}

impl Committer {
    pub(crate) fn new(queue: Queue, writer: Writer) -> Self {
        Self { queue, writer: Mutex::new(writer), failure: Mutex::default() }
    }

    /// Commits what waits, unless somebody else is at it: then that one, or the thread after it, does.
    pub(crate) fn commit_if_free(&self) {
        match self.writer.try_lock() {
            Ok(mut writer) => self.commit_batch(&mut writer),
            Err(TryLockError::Poisoned(writer)) => self.commit_batch(&mut writer.into_inner()),
            Err(TryLockError::WouldBlock) => return,
        }
        // Came while this batch was written, and found the place taken.
        if self.queue.waits() {
            self.queue.call();
        }
    }

    /// What the log's own thread does: commits what nobody who waits commits, until the queue has ended.
    pub(crate) fn serve(&self) {
        loop {
            let called = self.queue.until_called();
            // Looked at again after the place is free: who found it taken relies on that.
            while self.queue.waits() {
                self.commit_batch(&mut self.writer());
            }
            if called == Called::Ended {
                return self.writer().end();
            }
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_batch(&self, writer: &mut Writer) {
        let batch = self.queue.take();
        if batch.is_empty() {
            return;
        }
        let failure = writer.commit(batch).err();
        if let Some(poison @ LogError::Poisoned { .. }) = &failure {
            self.queue.refuse(poison);
        }
        let mut known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == failure {
            return;
        }
        match &failure {
            Some(failure) => tracing::error!(%failure, "the message log stores no records"),
            None => tracing::info!("the message log stores records again"),
        }
        *known = failure;
    }

    /// Why the last records were not stored; `None` when they were.
    pub(crate) fn failure(&self) -> Option<LogError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The one writer of the segments.
pub(crate) struct Writer {
    pub(crate) segments: Arc<Segments>,
    pub(crate) origin: Arc<str>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) file: AppendFile,
    pub(crate) tail_bytes: u64,
    pub(crate) segment_bytes: u64,
    /// The batch as it is written; kept for the next.
    pub(crate) buffer: Vec<u8>,
}

impl Writer {
    /// Writes and syncs a batch and answers everyone in it.
    fn commit(&mut self, batch: Vec<Waiting>) -> Result<(), LogError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let first = self.segments.size();
        let mut lengths = Vec::with_capacity(batch.len());
        for (seq, waiting) in (first..).zip(&batch) {
            let start = buffer.len();
            // Safe because: the log refused entries that a frame does not take.
            let _ = push_frame(&mut buffer, seq, first, &waiting.entry);
            lengths.push(buffer.len() - start);
        }
        let leaves = batch
            .iter()
            .map(|waiting| Leaf { bytes: waiting.entry.leaf.clone(), hash: waiting.leaf_hash });
        let stored = self.store(&buffer, &lengths, leaves);
        buffer.clear();
        buffer.shrink_to(KEEP_BYTES);
        self.buffer = buffer;
        for (seq, Waiting { leaf_hash, reply, .. }) in (first..).zip(batch) {
            let receipt = || LogReceipt::new(seq, leaf_hash, self.origin.clone());
            // A caller that has gone needs no receipt; its record stays.
            let _ = reply.send(stored.clone().map(|()| receipt()));
        }
        stored
    }

    fn store(
        &mut self,
        bytes: &[u8],
        lengths: &[usize],
        leaves: impl Iterator<Item = Leaf>,
    ) -> Result<(), LogError> {
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.tail_bytes > 0 && self.tail_bytes.saturating_add(added) > self.segment_bytes {
            self.rotate()?;
        }
        let path = self.segments.path(self.segments.size());
        let mut offsets = Vec::with_capacity(lengths.len());
        let mut offset = self.tail_bytes;
        for length in lengths {
            offsets.push(crate::segments::offset_u32(&path, offset)?);
            offset = offset.saturating_add(u64::try_from(*length).unwrap_or(u64::MAX));
        }
        self.file.append(bytes)?;
        self.file.sync().map_err(AppendError::Unknown)?;
        self.tail_bytes = offset;
        self.segments.extend(&offsets, leaves);
        Ok(())
    }

    /// Cuts the zeros behind the last record; where that fails, the next start does it.
    fn end(&mut self) {
        if let Err(cause) = self.file.end() {
            tracing::warn!(%cause, "the last segment was not cut to its end");
        }
    }

    /// Begins a new segment. The full one is durable: every batch was synced.
    fn rotate(&mut self) -> Result<(), LogError> {
        let path = self.segments.path(self.segments.size());
        self.file.end().map_err(AppendError::Unknown)?;
        self.file = AppendFile::create(&*self.disk, &path)?;
        self.tail_bytes = 0;
        self.segments.seal();
        Ok(())
    }
}

impl From<AppendError> for LogError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full(cause) => Self::Full { cause: cause.to_string() },
            AppendError::Unknown(cause) => Self::Poisoned { cause: cause.to_string() },
        }
    }
}
