//! Rest of an authority that fails: twice as long each time, so that one that hangs does not cost
//! its timeout in every round, and one that is overloaded is left alone.

use std::collections::HashMap;
use std::time::Duration;

use schemas::clock::{Clock, Stopwatch};
use schemas::limits::{TIMESTAMP_AUTHORITIES_MAX_COUNT, TIMESTAMP_REST_MAX};

/// The authorities that rest, by name.
pub(super) struct Rests {
    first: Duration,
    resting: HashMap<String, Rest>,
}

struct Rest {
    since: Stopwatch,
    lasts: Duration,
}

impl Rests {
    /// The first rest lasts one interval.
    pub(super) fn new(interval_seconds: u64) -> Self {
        let first = Duration::from_secs(interval_seconds).min(TIMESTAMP_REST_MAX);
        Self { first, resting: HashMap::new() }
    }

    pub(super) fn resting(&self, name: &str) -> bool {
        self.resting.get(name).is_some_and(|rest| rest.since.elapsed() < rest.lasts)
    }

    pub(super) fn answered(&mut self, name: &str) {
        self.resting.remove(name);
    }

    /// Lets it rest; gives how long.
    pub(super) fn failed(&mut self, name: &str, clock: &Clock) -> Duration {
        if self.resting.len() > 2 * TIMESTAMP_AUTHORITIES_MAX_COUNT {
            // Names of earlier configurations: the rest of those in force starts anew.
            self.resting.clear();
        }
        let before = self.resting.get(name).map(|rest| rest.lasts);
        let lasts = before.map_or(self.first, |lasts| (lasts * 2).min(TIMESTAMP_REST_MAX));
        self.resting.insert(name.to_owned(), Rest { since: clock.stopwatch(), lasts });
        lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_doubles_up_to_its_limit_and_ends_with_an_answer() {
        let clock = Clock::machine();
        let mut rests = Rests::new(60);
        assert!(!rests.resting("a"));
        let lasted: Vec<_> = (0..5).map(|_| rests.failed("a", &clock).as_secs()).collect();
        assert_eq!(lasted, [60, 120, 240, 480, 900]);
        assert!(rests.resting("a") && !rests.resting("b"));
        rests.answered("a");
        assert!(!rests.resting("a"));
        assert_eq!(rests.failed("a", &clock).as_secs(), 60);
    }
}
