//! The queue before the disk, bounded in entries and bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::digest::Sha256;
use tokio::sync::oneshot;

use crate::frame::frame_bytes;
use crate::{Entry, LogError, LogReceipt};

/// A batch is written when it has this many bytes, however much waits. 4 MiB: about 4 ms of a
/// disk that writes 1 GB/s.
const BATCH_BYTES: usize = 4 << 20;
/// How long an entry that nobody waits for stays in the queue, twice as long at most. 20 ms: most exchanges are
/// over by then, also those of a busy hub, so that the request shares the answer's sync; and what a crash
/// may take of a request on its way stays small.
const SOON: Duration = Duration::from_millis(20);

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

/// The queue; the log's handles push, whoever commits takes.
pub(crate) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    /// Told when the thread that commits what nobody waits for has something to do.
    called: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Entries taken so far.
    taken: u64,
    call: Call,
    /// Why nothing more is taken.
    ended: Option<LogError>,
}

/// What the thread is called for; the later ones are more urgent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Call {
    /// Nothing.
    #[default]
    None,
    /// To commit what still waits after [`SOON`], if the entry of this number is among it.
    Soon(u64),
    /// To commit what waits.
    Now,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// Something may wait.
    Commit,
    /// The queue has ended.
    Ended,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), called: Condvar::new() }
    }

    /// Puts an entry last. Somebody has to commit it: see [`Queue::call_soon`], [`Queue::call`].
    ///
    /// # Errors
    /// [`LogError::Busy`] when it is full; why it has ended.
    pub(crate) fn push(&self, waiting: Waiting) -> Result<(), LogError> {
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
        Ok(())
    }

    /// Takes what waits, up to a batch, in the order in which it came.
    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        let (count, bytes) = state.batch();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.taken = state.taken.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        state.waiting.drain(..count).collect()
    }

    /// Whether entries wait.
    pub(crate) fn waits(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Lets the thread commit the last entry if it still waits after a moment. Nearly always it finds nothing: the
    /// entry has gone with another.
    pub(crate) fn call_soon(&self) {
        let mut state = self.lock();
        if state.call == Call::None {
            state.call = Call::Soon(state.last());
            drop(state);
            self.called.notify_one();
        }
    }

    /// Lets the thread commit what waits.
    pub(crate) fn call(&self) {
        let mut state = self.lock();
        if state.call != Call::Now {
            state.call = Call::Now;
            drop(state);
            self.called.notify_one();
        }
    }

    /// Sleeps until the thread is called.
    pub(crate) fn until_called(&self) -> Called {
        let mut state = self.lock();
        while state.ended.is_none() {
            match state.call {
                Call::None => {
                    state = self.called.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Call::Soon(entry) => {
                    let slept = self.called.wait_timeout(state, SOON);
                    let (woken, slept) = slept.unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                    if !slept.timed_out() || state.call == Call::Now {
                        continue;
                    }
                    if state.taken <= entry {
                        state.call = Call::None;
                        return Called::Commit;
                    }
                    // What came meanwhile did not call again: it gets a moment of its own.
                    let rest = !state.waiting.is_empty();
                    state.call = if rest { Call::Soon(state.last()) } else { Call::None };
                }
                Call::Now => {
                    state.call = Call::None;
                    return Called::Commit;
                }
            }
        }
        Called::Ended
    }

    /// Takes no more entries; those that wait are still taken from it.
    pub(crate) fn end(&self, why: LogError) {
        self.lock().ended.get_or_insert(why);
        self.called.notify_one();
    }

    /// Gives everyone who waits the same refusal and takes no more entries.
    pub(crate) fn refuse(&self, why: &LogError) {
        let waiting = {
            let mut state = self.lock();
            state.ended = Some(why.clone());
            state.bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            let _ = waiting.reply.send(Err(why.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the last entry, waiting or taken.
    fn last(&self) -> u64 {
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.taken.saturating_add(waiting).saturating_sub(1)
    }

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
