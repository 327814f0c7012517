//! The one writer of the segments: takes all that waits, writes it with one write, makes it
//! durable with one fdatasync, and only then hands out the receipts.
//!
//! While a sync is under way the next batch collects; at low load nobody waits for company.
//!
//! What a crash or a failure leaves behind, for an entry that was submitted:
//!
//! | cut short | on disk | caller has | after the restart |
//! |---|---|---|---|
//! | in the queue | nothing | no receipt | not in the log; retry is right |
//! | in the write | any bytes after the last sync | no receipt | torn tail cut; whole frames of the batch may stay: *failed and stored* |
//! | in the sync | all, some or none of the batch | no receipt | as above; a retry may store twice, the exchange id tells |
//! | write or sync gives an error | unknown | `Poisoned` | as above; until then nothing more is taken |
//! | after the sync, before the receipt | the batch | no receipt | in the log: *stored, answer lost* |
//! | after the receipt | the batch | receipt | in the log |
//! | zeros lie ahead of the last record | a tail of zeros | | cut in silence: no record was there |
//! | full segment cut to its end, no new one made | the full segment | no receipt | it is the tail again |
//! | new segment made, nothing in it | an empty file under its name | no receipt | it is the tail |
//! | new segment made, its name not durable | no file | no receipt | the full segment is the tail again |

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemas::clock::Clock;

use crate::disk::{AppendFile, Disk};
use crate::frame::push_frame;
use crate::queue::{Queue, Taken, Waiting};
use crate::segments::{Leaf, Segments};
use crate::{LogError, LogReceipt};

/// What the batch buffer keeps between batches, bytes.
const KEEP_BYTES: usize = 256 * 1024;

/// The writer; it lives on a thread of its own.
pub(crate) struct Committer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) origin: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) file: Box<dyn AppendFile>,
    pub(crate) tail_bytes: u64,
    pub(crate) segment_bytes: u64,
}

impl Committer {
    /// Serves the queue until it has ended.
    pub(crate) fn run(mut self) {
        let mut buffer = Vec::new();
        let (mut company, mut patience) = (1, Duration::ZERO);
        while let Some(Taken { batch, due }) = self.queue.take(company, patience) {
            let watch = self.clock.stopwatch();
            if let Err(poison) = self.commit(batch, &mut buffer) {
                tracing::error!(%poison, "the message log takes no more records");
                return self.queue.refuse(&poison);
            }
            (company, patience) = (due, watch.elapsed());
        }
        self.end();
    }

    /// Writes and syncs a batch and answers everyone in it.
    fn commit(&mut self, batch: Vec<Waiting>, buffer: &mut Vec<u8>) -> Result<(), LogError> {
        let first = self.segments.size();
        let mut lengths = Vec::with_capacity(batch.len());
        for (seq, waiting) in (first..).zip(&batch) {
            let start = buffer.len();
            // Safe because: the log refused entries that a frame does not take.
            let _ = push_frame(buffer, seq, first, &waiting.entry);
            lengths.push(buffer.len() - start);
        }
        let leaves = batch
            .iter()
            .map(|waiting| Leaf { bytes: waiting.entry.leaf.clone(), hash: waiting.leaf_hash });
        let stored = self.store(buffer, &lengths, leaves);
        buffer.clear();
        buffer.shrink_to(KEEP_BYTES);
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
        let poisoned = |cause: std::io::Error| LogError::Poisoned { cause: cause.to_string() };
        let mut offsets = Vec::with_capacity(lengths.len());
        let mut offset = self.tail_bytes;
        for length in lengths {
            offsets.push(crate::segments::offset_u32(Path::new(&path), offset)?);
            offset = offset.saturating_add(u64::try_from(*length).unwrap_or(u64::MAX));
        }
        self.file.append(bytes).map_err(poisoned)?;
        self.file.sync().map_err(poisoned)?;
        self.tail_bytes = offset;
        self.segments.extend(&offsets, leaves);
        Ok(())
    }

    /// Cuts the zeros behind the last record; where that fails, the next start does it.
    fn end(mut self) {
        if let Err(cause) = self.file.end() {
            tracing::warn!(%cause, "the last segment was not cut to its end");
        }
    }

    /// Begins a new segment. The full one is durable: every batch was synced.
    fn rotate(&mut self) -> Result<(), LogError> {
        let path = self.segments.path(self.segments.size());
        let made = self.file.end().and_then(|()| self.disk.create(&path));
        self.file = made.map_err(|cause| LogError::Poisoned { cause: cause.to_string() })?;
        self.tail_bytes = 0;
        self.segments.seal();
        Ok(())
    }
}
