//! How long a source takes to answer, as far as it was observed lately.

use std::time::Duration;

/// Answers remembered: enough for a 85th percentile, few enough to follow a change soon.
const REMEMBERED_COUNT: usize = 128;
/// Answers needed before the percentile means anything.
const NEEDED_COUNT: usize = 20;

/// The answer times of one source, the latest [`REMEMBERED_COUNT`].
#[derive(Debug, Default)]
pub(crate) struct Latency {
    times: Vec<Duration>,
    next: usize,
}

impl Latency {
    /// Remembers one answer's time.
    pub(crate) fn observe(&mut self, time: Duration) {
        match self.times.get_mut(self.next) {
            Some(oldest) => *oldest = time,
            None => self.times.push(time),
        }
        self.next = (self.next + 1) % REMEMBERED_COUNT;
    }

    /// The 85th percentile; `None` before enough answers were observed. Costs a sort of 128.
    pub(crate) fn p85(&self) -> Option<Duration> {
        if self.times.len() < NEEDED_COUNT {
            return None;
        }
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * 85 / 100).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_follows_the_latest_answers() {
        let mut latency = Latency::default();
        (1..20).for_each(|ms| latency.observe(Duration::from_millis(ms)));
        assert_eq!(latency.p85(), None, "too few");
        (20..=100).for_each(|ms| latency.observe(Duration::from_millis(ms)));
        assert_eq!(latency.p85(), Some(Duration::from_millis(86)));
        (0..128).for_each(|_| latency.observe(Duration::from_millis(7)));
        assert_eq!(latency.p85(), Some(Duration::from_millis(7)));
    }
}
