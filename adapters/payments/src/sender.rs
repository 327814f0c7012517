//! Sends what a desk has committed until it is answered, with growing pauses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use register::payment::message::{Message, MessageId};
use register::payment::party::Party;
use schemas::clock::{Clock, Stopwatch};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::courier::Courier;
use crate::desk::Desk;

/// Messages under way at once: a statement of 7 000 parts must not fill the hub.
const UNDER_WAY_MAX_COUNT: usize = 8;
/// Time for one delivery: longer than both hubs take before they give up themselves.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(100);

/// A sender looks for work at least so often, whatever it was told.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// And at most so often.
const LOOK_MIN: Duration = Duration::from_millis(10);
/// After so many failures of one message somebody should look.
const WARNED_FAILURES_COUNT: u32 = 5;

/// How long a sender waits before it sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pauses {
    /// After the first failure, in milliseconds; doubled after each further one.
    #[serde(default = "first_ms")]
    pub first_ms: u64,
    /// At most, in milliseconds.
    #[serde(default = "longest_ms")]
    pub longest_ms: u64,
}

fn first_ms() -> u64 {
    500
}

fn longest_ms() -> u64 {
    60_000
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first_ms: first_ms(), longest_ms: longest_ms() }
    }
}

impl Pauses {
    /// The pause after this many failures, from 1.
    fn after(self, failures: u32) -> Duration {
        let factor = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.first_ms.saturating_mul(factor).min(self.longest_ms))
    }
}

/// A message that failed, and when it is due again.
struct Resting {
    failures: u32,
    since: Stopwatch,
    pause: Duration,
}

/// Sends for ever; its owner aborts it. What is under way then is sent again after the next start.
pub async fn run<P, C>(desk: Arc<Desk<P>>, courier: Arc<C>, pauses: Pauses, clock: Clock)
where
    P: Party,
    C: Courier,
{
    let mut changes = desk.changes();
    let mut round = Round { sent: BTreeSet::new(), resting: BTreeMap::new(), pauses, clock };
    // Tasks, so that a delivery that holds the desk goes on while this loop waits for the desk.
    let mut under_way = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let places = UNDER_WAY_MAX_COUNT.saturating_sub(under_way.len());
        for message in desk.outgoing(places, |id| round.is_due(id)).await {
            round.sent.insert(message.id());
            under_way.spawn(deliver(desk.clone(), courier.clone(), message));
        }
        tokio::select! {
            Some(ended) = under_way.join_next() => match ended {
                Ok((id, outcome)) => round.note(id, outcome),
                // The fault ends this task too, and its owner with it.
                Err(fault) => return tracing::error!(%fault, "sending ended by a fault"),
            },
            _ = changes.changed() => {}
            () = tokio::time::sleep(round.until_next()) => {}
        }
    }
}

/// What is under way and what rests.
struct Round {
    sent: BTreeSet<MessageId>,
    resting: BTreeMap<MessageId, Resting>,
    pauses: Pauses,
    clock: Clock,
}

impl Round {
    fn is_due(&self, id: &MessageId) -> bool {
        let rested = |rest: &Resting| rest.since.elapsed() >= rest.pause;
        !self.sent.contains(id) && self.resting.get(id).is_none_or(rested)
    }

    fn until_next(&self) -> Duration {
        let resting = self.resting.iter().filter(|(id, _)| !self.sent.contains(*id));
        let left = resting.map(|(_, rest)| rest.pause.saturating_sub(rest.since.elapsed()));
        left.min().unwrap_or(LOOK_MAX).max(LOOK_MIN)
    }

    fn note(&mut self, id: MessageId, outcome: Result<(), String>) {
        self.sent.remove(&id);
        let Err(reason) = outcome else {
            self.resting.remove(&id);
            return;
        };
        let failures = self.resting.get(&id).map_or(0, |rest| rest.failures).saturating_add(1);
        let pause = self.pauses.after(failures);
        if failures == WARNED_FAILURES_COUNT {
            tracing::warn!(message = %id, reason, "a payment message is not answered");
        } else {
            tracing::debug!(message = %id, reason, failures, "a payment message is sent again");
        }
        self.resting.insert(id, Resting { failures, since: self.clock.stopwatch(), pause });
    }
}

/// Delivers once and takes the answer.
async fn deliver<P: Party, C: Courier>(
    desk: Arc<Desk<P>>,
    courier: Arc<C>,
    message: Message,
) -> (MessageId, Result<(), String>) {
    let id = message.id();
    let delivering = tokio::time::timeout(DELIVERY_TIMEOUT, courier.deliver(&message)).await;
    let outcome = match delivering {
        Ok(Ok(answer)) => desk.answered(&id, &answer).await.map_err(|error| error.to_string()),
        Ok(Err(undelivered)) => Err(undelivered.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    (id, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = Pauses { first_ms: 500, longest_ms: 60_000 };
        let ms = [1, 2, 3, 8, 200].map(|failures| pauses.after(failures).as_millis());
        assert_eq!(ms, [500, 1_000, 2_000, 60_000, 60_000]);
    }
}
