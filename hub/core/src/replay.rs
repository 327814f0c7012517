//! The replay window: a request id is good once for as long as its signature lives.
//!
//! The window is memory only; a hub that starts fills it from its message log, which is where
//! every request that was let through stands.

use std::collections::{HashSet, VecDeque};

use schemas::clock::UnixMillis;
use schemas::limits::{CLOCK_SKEW, MESSAGE_LIFETIME, REPLAY_WINDOW_MAX_COUNT};

/// Request ids seen while their signatures may live.
#[derive(Debug, Default)]
pub struct ReplayWindow {
    seen: HashSet<u128>,
    oldest_first: VecDeque<(UnixMillis, u128)>,
}

/// Why a request id is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayRefusal {
    /// It was seen before.
    #[error("a request with this id was seen before")]
    Seen,
    /// The window is full; letting the request through would mean forgetting another.
    #[error("the replay window is full")]
    Full,
}

impl ReplayWindow {
    /// How long ids are kept: a signature's life and the skew of both clocks. Signatures are good in whole
    /// seconds, so the last one counts to its end.
    #[must_use]
    pub fn length() -> std::time::Duration {
        MESSAGE_LIFETIME + CLOCK_SKEW + CLOCK_SKEW + std::time::Duration::from_secs(1)
    }

    /// Admits an id once.
    ///
    /// # Errors
    /// [`ReplayRefusal`] when it was seen within the window, or the window is full.
    pub fn admit(&mut self, exchange: uuid::Uuid, now: UnixMillis) -> Result<(), ReplayRefusal> {
        let begin = now.minus(Self::length());
        while let Some((_, old)) = self.oldest_first.pop_front_if(|(at, _)| *at < begin) {
            self.seen.remove(&old);
        }
        let id = exchange.as_u128();
        if self.seen.contains(&id) {
            return Err(ReplayRefusal::Seen);
        }
        if self.seen.len() >= REPLAY_WINDOW_MAX_COUNT {
            return Err(ReplayRefusal::Full);
        }
        self.seen.insert(id);
        self.oldest_first.push_back((now, id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_id_is_good_once_within_the_window() {
        let mut window = ReplayWindow::default();
        let id = uuid::Uuid::from_u128(1);
        let now = UnixMillis(1_000_000);
        assert_eq!(window.admit(id, now), Ok(()));
        assert_eq!(window.admit(id, now.plus(MESSAGE_LIFETIME)), Err(ReplayRefusal::Seen));
        let after = now.plus(ReplayWindow::length() + Duration::from_millis(1));
        assert_eq!(window.admit(id, after), Ok(()), "its signature has expired by then");
        assert_eq!(window.seen.len(), 1);
        assert_eq!(window.oldest_first.len(), 1);
    }
}
