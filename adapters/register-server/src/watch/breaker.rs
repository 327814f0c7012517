//! A circuit breaker: a source that fails again and again is left alone for a while.
//!
//! ```text
//! closed ──failures in a row──► resting ──time over──► trying ──an answer──► closed
//!                                  ▲                      │
//!                                  └──────a failure───────┘
//! ```
//!
//! While it rests nobody waits for it: its answers are absent at once, by name. One call at a time
//! tries again. Pure: the caller brings the time, as the duration since any fixed moment.

use std::time::Duration;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerLimits {
    /// Failures in a row that open it.
    pub(crate) failures_count: u32,
    /// How long the source is left alone.
    pub(crate) rest: Duration,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Ask.
    Ask,
    /// Leave the source alone.
    Rest,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The source answered, be it that it knows nobody.
    Answered,
    /// It gave no answer.
    Failed,
}

#[derive(Debug)]
enum State {
    Closed {
        failures_count: u32,
    },
    Resting {
        until: Duration,
    },
    /// One call tries; when it is never heard of again, another may try at `next_try`.
    Trying {
        next_try: Duration,
    },
}

/// The breaker of one source.
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: BreakerLimits,
    state: State,
}

impl Breaker {
    pub(crate) fn new(limits: BreakerLimits) -> Self {
        Self { limits, state: State::Closed { failures_count: 0 } }
    }

    /// Whether a call may be made at `now`; the first after a rest is the one that tries.
    pub(crate) fn admit(&mut self, now: Duration) -> Admission {
        let waits_until = match self.state {
            State::Closed { .. } => return Admission::Ask,
            State::Resting { until } => until,
            State::Trying { next_try } => next_try,
        };
        if now < waits_until {
            return Admission::Rest;
        }
        self.state = State::Trying { next_try: now.saturating_add(self.limits.rest) };
        Admission::Ask
    }

    /// Takes note of a call that ended at `now`. A late failure does not prolong a rest.
    pub(crate) fn heard(&mut self, outcome: Outcome, now: Duration) {
        let resting = State::Resting { until: now.saturating_add(self.limits.rest) };
        match (outcome, &mut self.state) {
            (Outcome::Answered, _) => self.state = State::Closed { failures_count: 0 },
            (Outcome::Failed, State::Closed { failures_count }) => {
                *failures_count = failures_count.saturating_add(1);
                if *failures_count >= self.limits.failures_count {
                    self.state = resting;
                }
            }
            (Outcome::Failed, State::Trying { .. }) => self.state = resting,
            (Outcome::Failed, State::Resting { .. }) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits =
        BreakerLimits { failures_count: 3, rest: Duration::from_secs(10) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(LIMITS);
        (0..3).for_each(|_| breaker.heard(Outcome::Failed, at(0)));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let mut breaker = Breaker::new(LIMITS);
        for _ in 0..5 {
            breaker.heard(Outcome::Failed, at(0));
            breaker.heard(Outcome::Failed, at(0));
            breaker.heard(Outcome::Answered, at(0));
            assert_eq!(breaker.admit(at(0)), Admission::Ask);
        }
        assert_eq!(opened().admit(at(9)), Admission::Rest);
    }

    #[test]
    fn one_call_tries_after_the_rest_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(10)), Admission::Ask);
        assert_eq!(breaker.admit(at(10)), Admission::Rest, "the others wait for it");
        breaker.heard(Outcome::Failed, at(11));
        assert_eq!(breaker.admit(at(20)), Admission::Rest);
        assert_eq!(breaker.admit(at(21)), Admission::Ask);
        breaker.heard(Outcome::Answered, at(21));
        assert_eq!([breaker.admit(at(21)), breaker.admit(at(21))], [Admission::Ask; 2]);
    }

    #[test]
    fn a_trying_call_that_is_never_heard_of_again_does_not_keep_it_open() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(10)), Admission::Ask);
        assert_eq!(breaker.admit(at(19)), Admission::Rest);
        assert_eq!(breaker.admit(at(20)), Admission::Ask);
    }

    #[test]
    fn late_failures_of_earlier_calls_do_not_prolong_the_rest() {
        let mut breaker = opened();
        breaker.heard(Outcome::Failed, at(9));
        assert_eq!(breaker.admit(at(10)), Admission::Ask);
    }
}
