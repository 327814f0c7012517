//! One question to one source: left out while the source rests, made a second time when the first
//! request is slow or fails, and never longer than the time there is.
//!
//! Every question is a read, so that asking twice changes nothing at the source. The first answer
//! stands; the other request is named beside it, because it may be a recorded exchange too.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use register::source::{Absence, AbsenceCause};
use schemas::clock::Stopwatch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::hub_client::{HubAnswer, HubClient, Question};
use crate::watch::{Admission, Outcome, Watch};

/// An answer, and the other request of the same question where there was one.
pub(crate) struct Asked {
    pub(crate) answer: HubAnswer,
    /// Its exchange where it came to an answer, else its `X-Road-Id`.
    pub(crate) other_request: Option<String>,
}

/// Asks through `hub`, for at most `time_limit`, and tells `watch` what became of it.
///
/// # Errors
/// An [`Absence`] when there is no answer: the source rests, is too slow, or cannot be reached.
pub(crate) async fn ask(
    hub: &HubClient,
    watch: &Watch,
    question: &Question<'_>,
    time_limit: TimeLimit,
) -> Result<Asked, Absence> {
    if watch.admit() == Admission::Rest {
        return Err(Absence::of(AbsenceCause::Resting));
    }
    let running = time_limit.running;
    let started = running.elapsed();
    let asked = timeout(time_limit.time, ask_up_to_twice(hub, watch, question)).await;
    let took = running.elapsed().saturating_sub(started);
    let asked = asked.unwrap_or_else(|_| Err(Absence::of(time_limit.cause)));
    let outcome = match &asked {
        Ok(asked) if asked.answer.is_failure() => Some(Outcome::Failed),
        Ok(_) => Some(Outcome::Answered),
        // The profile's deadline left it too little time: that says nothing about the source.
        Err(absence) if absence.cause == AbsenceCause::DeadlineReached => None,
        Err(_) => Some(Outcome::Failed),
    };
    if let Some(outcome) = outcome {
        watch.heard(outcome, took);
    }
    asked
}

/// The time for one question, and what its end means.
pub(crate) struct TimeLimit {
    pub(crate) time: Duration,
    pub(crate) cause: AbsenceCause,
    pub(crate) running: Stopwatch,
}

async fn ask_up_to_twice(
    hub: &HubClient,
    watch: &Watch,
    question: &Question<'_>,
) -> Result<Asked, Absence> {
    let [first_id, second_id] = [(); 2].map(|()| Uuid::new_v4().to_string());
    let mut first = pin!(hub.ask(question, &first_id));
    let Some(delay) = watch.second_request_after() else { return first.await.map(alone) };
    let early = timeout(delay, &mut first).await;
    if early.as_ref().is_ok_and(is_good) || !watch.take_second_request() {
        return match early {
            Ok(answer) => answer.map(alone),
            Err(_) => first.await.map(alone),
        };
    }
    let second = hub.ask(question, &second_id);
    if let Ok(failed) = early {
        return better(second.await, failed, &first_id);
    }
    match select(first, pin!(second)).await {
        Either::Left((answer, _)) if is_good(&answer) => {
            answer.map(|answer| Asked { answer, other_request: Some(second_id.clone()) })
        }
        Either::Left((failed, second)) => better(second.await, failed, &first_id),
        Either::Right((answer, _)) if is_good(&answer) => {
            answer.map(|answer| Asked { answer, other_request: Some(first_id.clone()) })
        }
        Either::Right((failed, first)) => better(first.await, failed, &second_id),
    }
}

fn alone(answer: HubAnswer) -> Asked {
    Asked { answer, other_request: None }
}

fn is_good(answer: &Result<HubAnswer, Absence>) -> bool {
    answer.as_ref().is_ok_and(|answer| !answer.is_failure())
}

/// The later answer where it is good or nothing better came before, with the failed one named.
fn better(
    later: Result<HubAnswer, Absence>,
    failed: Result<HubAnswer, Absence>,
    failed_id: &str,
) -> Result<Asked, Absence> {
    let failed_id = failed.as_ref().map_or(failed_id, |answer| &answer.exchange).to_owned();
    let other_request = Some(failed_id);
    match (later, failed) {
        (Ok(answer), _) => Ok(Asked { answer, other_request }),
        (Err(_), Ok(answer)) => Ok(alone(answer)),
        (Err(absence), Err(_)) => Err(absence),
    }
}
