//! The queue before the committer: bounded in entries and bytes, and it wakes the committer only
//! when there is a batch to write.
//!
//! Each wake-up of a thread costs about as much as hashing a record, so one per record would be
//! one too many. The committer sleeps until as many entries are due as the last batch had, and
//! no longer than the last sync took: alone an entry is written at once, under load those that
//! are on their way share one sync.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::clock::Clock;
use schemas::digest::Sha256;
use tokio::sync::oneshot;

use crate::frame::frame_bytes;
use crate::{Entry, LogError, LogReceipt};

/// A batch is written when it has this many bytes, however much waits. 4 MiB: about 4 ms of a
/// disk that writes 1 GB/s.
const BATCH_BYTES: usize = 4 << 20;
/// How long an entry that is due soon waits for one that is due now. 5 ms: most exchanges are over
/// by then, and what a crash may take of a request on its way stays small.
const SOON: Duration = Duration::from_millis(5);
/// How long an entry waits for company at most, however slow the disk is.
const PATIENCE_MAX: Duration = Duration::from_millis(2);

/// When an entry has to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Somebody waits for the receipt.
    Now,
    /// With the next entry that is due now, at most [`SOON`] later.
    Soon,
}

/// An entry with the place its receipt goes.
pub(crate) struct Waiting {
    pub(crate) entry: Entry,
    pub(crate) leaf_hash: Sha256,
    pub(crate) reply: oneshot::Sender<Result<LogReceipt, LogError>>,
}

/// How many entries and bytes may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// The queue; the log's handles push, the committer takes.
pub(crate) struct Queue {
    limits: QueueLimits,
    clock: Clock,
    state: Mutex<State>,
    /// Told when the committer has something to do.
    ready: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Entries in `waiting` that are due now.
    due: usize,
    sleep: Sleep,
    /// Why nothing more is taken.
    ended: Option<LogError>,
}

/// What the committer sleeps for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sleep {
    /// It does not sleep.
    #[default]
    Awake,
    /// Any entry.
    Any,
    /// So many entries that are due.
    Due(usize),
}

/// What the committer takes.
pub(crate) struct Taken {
    /// In the order in which they came.
    pub(crate) batch: Vec<Waiting>,
    /// How many of them were due; the next batch waits for as many.
    pub(crate) due: usize,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, clock: Clock) -> Self {
        Self { limits, clock, state: Mutex::default(), ready: Condvar::new() }
    }

    /// Puts an entry last.
    ///
    /// # Errors
    /// [`LogError::Busy`] when it is full; why it has ended.
    pub(crate) fn push(&self, waiting: Waiting, due: Due) -> Result<(), LogError> {
        let bytes = frame_bytes(&waiting.entry);
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        // One entry always passes, so that a small limit cannot stop a large record for ever.
        let full = state.waiting.len() >= self.limits.count
            || (state.bytes > 0 && state.bytes.saturating_add(bytes) > self.limits.bytes);
        if full {
            return Err(LogError::Busy);
        }
        state.waiting.push_back(waiting);
        state.bytes += bytes;
        state.due += usize::from(due == Due::Now);
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Any => true,
            Sleep::Due(count) => state.due >= count,
        };
        if wake {
            state.sleep = Sleep::Awake;
            drop(state);
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Takes what waits, up to a batch: at once when `company` entries are due, else when
    /// `patience` is over. `None` when the queue has ended and is empty.
    pub(crate) fn take(&self, company: usize, patience: Duration) -> Option<Taken> {
        let mut state = self.sleep_while(self.lock(), Sleep::Any, None, |s| s.waiting.is_empty());
        if state.due == 0 {
            state = self.sleep_while(state, Sleep::Due(1), Some(SOON), |s| s.due == 0);
        }
        let short = |state: &State| state.due < company;
        if state.due > 0 && short(&state) {
            let patience = Some(patience.min(PATIENCE_MAX));
            state = self.sleep_while(state, Sleep::Due(company), patience, short);
        }
        if state.waiting.is_empty() {
            return None;
        }
        let (count, bytes) = state.batch();
        let batch = state.waiting.drain(..count).collect();
        state.bytes = state.bytes.saturating_sub(bytes);
        let due = if state.waiting.is_empty() { state.due } else { state.due.min(count) };
        state.due -= due;
        Some(Taken { batch, due })
    }

    /// Takes no more entries; those that wait are still taken from it.
    pub(crate) fn end(&self, why: LogError) {
        let mut state = self.lock();
        state.ended.get_or_insert(why);
        state.sleep = Sleep::Awake;
        drop(state);
        self.ready.notify_one();
    }

    /// Gives everyone who waits the same refusal and takes no more entries.
    pub(crate) fn refuse(&self, why: &LogError) {
        let waiting = {
            let mut state = self.lock();
            state.ended = Some(why.clone());
            (state.bytes, state.due) = (0, 0);
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            let _ = waiting.reply.send(Err(why.clone()));
        }
    }

    /// Sleeps as long as `unready`, the queue has not ended, and time is left.
    fn sleep_while<'q>(
        &'q self,
        mut state: MutexGuard<'q, State>,
        sleep: Sleep,
        at_most: Option<Duration>,
        unready: impl Fn(&State) -> bool,
    ) -> MutexGuard<'q, State> {
        let watch = self.clock.stopwatch();
        while unready(&state) && state.ended.is_none() {
            state.sleep = sleep;
            state = match at_most.map(|most| most.saturating_sub(watch.elapsed())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let woken = self.ready.wait_timeout(state, left);
                    woken.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state)
                }
                None => self.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.sleep = Sleep::Awake;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many entries one batch takes, at least one, and their bytes.
    fn batch(&self) -> (usize, usize) {
        let mut total = 0;
        for (count, waiting) in self.waiting.iter().enumerate() {
            if total >= BATCH_BYTES {
                return (count, total);
            }
            total += frame_bytes(&waiting.entry);
        }
        (self.waiting.len(), total)
    }
}

#[cfg(test)]
mod tests;
