//! What the register has lately seen of each source, over all profiles: its breaker, its answer
//! times, and how many second requests it may still be sent.

mod breaker;
mod latency;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::clock::{Clock, Stopwatch};

use breaker::Breaker;
pub(crate) use breaker::{Admission, BreakerLimits, Outcome};
use latency::Latency;

/// First requests that earn one second request, so that a slow source is asked a fifth more often
/// and not twice as often: fifteen of a hundred are late by definition, and late ones come in bursts.
const REQUESTS_PER_SECOND_REQUEST: u32 = 5;
/// A source that answers faster than this is not asked twice for a late answer sooner: the noise of
/// this process alone would cause second requests.
const SECOND_REQUEST_DELAY_MIN: Duration = Duration::from_millis(20);
/// Requests that count towards second ones at most: a family's worth in a burst. More would double
/// the load just when everything is slow, as at a cold start.
const SAVED_REQUESTS_MAX: u32 = 8 * REQUESTS_PER_SECOND_REQUEST;

/// The watch over one source.
#[derive(Debug)]
pub(crate) struct Watch {
    running: Stopwatch,
    /// Second request while too few answers were observed; `None` means never.
    first_delay: Option<Duration>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    breaker: Breaker,
    latency: Latency,
    saved_requests: u32,
}

impl Watch {
    /// A watch that has seen nothing yet. `first_delay` is the time to a second request until
    /// enough answers were observed; `None` means that there never is one.
    pub(crate) fn new(clock: &Clock, limits: BreakerLimits, first_delay: Option<Duration>) -> Self {
        let seen = Seen {
            breaker: Breaker::new(limits),
            latency: Latency::default(),
            saved_requests: SAVED_REQUESTS_MAX,
        };
        Self { running: clock.stopwatch(), first_delay, seen: Mutex::new(seen) }
    }

    /// Whether the source may be asked now. A request counts towards a second one.
    pub(crate) fn admit(&self) -> Admission {
        let mut seen = self.seen();
        seen.saved_requests = seen.saved_requests.saturating_add(1).min(SAVED_REQUESTS_MAX);
        seen.breaker.admit(self.running.elapsed())
    }

    /// After what time a second request is made: the 85th percentile of the answer times
    /// observed. A profile waits for the latest of some thirty answers, so that a single late one is common.
    pub(crate) fn second_request_after(&self) -> Option<Duration> {
        let first_delay = self.first_delay?;
        let delay = self.seen().latency.p85().unwrap_or(first_delay);
        Some(delay.max(SECOND_REQUEST_DELAY_MIN))
    }

    /// Takes one second request from what was saved; `false` when nothing is left.
    pub(crate) fn take_second_request(&self) -> bool {
        let mut seen = self.seen();
        let left = seen.saved_requests.checked_sub(REQUESTS_PER_SECOND_REQUEST);
        seen.saved_requests = left.unwrap_or(seen.saved_requests);
        left.is_some()
    }

    /// Takes note of a question's outcome, and of the time that an answer took.
    pub(crate) fn heard(&self, outcome: Outcome, took: Duration) {
        let mut seen = self.seen();
        seen.breaker.heard(outcome, self.running.elapsed());
        if outcome == Outcome::Answered {
            seen.latency.observe(took);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Safe because: every update leaves the state whole, so a panic elsewhere harms nothing.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::clock::UnixMillis;

    #[test]
    fn second_requests_run_out_and_are_earned_by_requests() {
        let limits = BreakerLimits { failures_count: 1, rest: Duration::from_secs(1) };
        let watch = Watch::new(&Clock::manual(UnixMillis(0)), limits, Some(Duration::ZERO));
        assert_eq!((0..100).filter(|_| watch.take_second_request()).count(), 8);
        for _ in 0..10 {
            assert_eq!(watch.admit(), Admission::Ask);
        }
        assert_eq!((0..100).filter(|_| watch.take_second_request()).count(), 2);
    }
}
