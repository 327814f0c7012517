//! Life events over HTTP: sources tell them through the exchange, officers see what follows.
//!
//! For sources: `POST /events`. For officers: `GET /events/waiting` (gaps, pending stops), and what
//! events propose (`proposals`). Everything that follows from an event is one commit with the inbox, so that a
//! crash leaves all of it or nothing, and the source's repetition does the rest. Only the stop of
//! payments goes out afterwards; it is kept as pending until the payments have taken it.
//!
//! | crash | what is left | what repairs it |
//! |---|---|---|
//! | before the commit | nothing | the source sends again |
//! | after the commit, before the answer | everything | the source sends again: repeated |
//! | before the payments took a stop | the pending stop | it is tried again at start and every 30 s |
//! | after that, before it is deleted | the pending stop | it is tried again; the payments know it |

mod documents;
pub(crate) mod proposals;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use register::access::Operation;
use register::card::{BlockReason, CardRefused, CardStep, Taking};
use register::ecase::Ground;
use register::life_event::{
    Effect, EventKind, EventRefused, Inbox, LifeEvent, Proposed, Received, effects,
};
use register::source::SourceName;
use register_store::{Changes, StoreError, StoreQuery, Stored};
use schemas::limits::{EVENT_RETRIES_MAX_COUNT, STOP_RETRY_INTERVAL};
use schemas::pinfl::Pinfl;
use serde_json::json;

use crate::card::CardDocument;
use crate::desk::{Desk, Problem, client, read};
use crate::ecase::CaseDocument;
pub(crate) use documents::Proposal;
use documents::{InboxDocument, Outdated, PendingStop, Standing, WAITING};
use proposals::outdated_by_death;

/// Waiting documents in one answer.
const PAGE_COUNT: usize = 200;

pub(crate) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/events", post(notify))
        .route("/events/waiting", get(waiting))
        .merge(proposals::routes())
}

/// Takes a source's event.
async fn notify(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = "send {\"id\", \"person\", \"sequence\", \"on\", \"what\": {\"kind\", …}}";
    let told_by = client(&headers)?;
    let known = desk.event_sources.iter().find(|source| source.client == told_by);
    let unknown = "the system is no source of life events; an administrator adds [[event_sources]]";
    let source = known.ok_or_else(|| Problem::forbidden(unknown))?;
    let event: LifeEvent = read(&body, form)?;
    if !source.kinds.contains(&event.kind()) {
        let other = "the source may not tell this kind of event; an administrator adds it to kinds";
        return Err(Problem::forbidden(other));
    }
    for _ in 0..EVENT_RETRIES_MAX_COUNT {
        match take(&desk, &source.name, event.clone()).await {
            Err(Failed::Store(StoreError::Conflict { .. })) => {}
            Err(failed) => return Err(failed.into()),
            Ok(outcome) => {
                return Ok(axum::Json(json!({"outcome": outcome})).into_response());
            }
        }
    }
    let message = "others keep changing the same case or card; send the event again".to_owned();
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "register.busy", message))
}

/// Why an event was not taken.
enum Failed {
    Problem(Problem),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(failed: StoreError) -> Self {
        Self::Store(failed)
    }
}

impl From<EventRefused> for Failed {
    fn from(refused: EventRefused) -> Self {
        Self::Problem(refused.into())
    }
}

impl From<CardRefused> for Failed {
    fn from(refused: CardRefused) -> Self {
        Self::Problem(refused.into())
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Problem(problem) => problem,
            Failed::Store(failed) => failed.into(),
        }
    }
}

/// Takes an event with everything that follows from it in one commit.
async fn take(desk: &Desk, source: &SourceName, event: LifeEvent) -> Result<&'static str, Failed> {
    let person = event.person;
    let id = desk.person_ids.id(&format!("inbox {source}"), person);
    let kept = desk.store.get::<InboxDocument>(&id).await?;
    let (mut stored, is_new) = match kept {
        Some(stored) => (stored, false),
        None => {
            let inbox = Inbox::new(source.clone(), person);
            (Stored { value: InboxDocument { id, inbox }, version: 0 }, true)
        }
    };
    let received = stored.value.inbox.receive(event)?;
    let (due, outcome) = match received {
        Received::Repeated => return Ok("repeated"),
        Received::Held => (Vec::new(), "held"),
        Received::Due(due) => (due, "taken"),
    };
    let mut changes = Changes::new();
    changes = if is_new { changes.insert(&stored.value)? } else { changes.update(&stored)? };
    let stops = due.iter().any(|event| effects(event.kind()).contains(&Effect::StopAll));
    changes = follow(desk, source, changes, &due).await?;
    changes = show_in_cases(desk, source, changes, (person, &due)).await?;
    if stops {
        changes = block_cards(desk, source, changes, person).await?;
        changes = outdated_by_death(&desk.store, changes, person, desk.now()).await?;
    }
    desk.store.commit(changes).await?;
    if stops {
        stop_now(desk).await?;
    }
    Ok(outcome)
}

/// Adds proposals and stops.
async fn follow(
    desk: &Desk,
    source: &SourceName,
    mut changes: Changes,
    due: &[LifeEvent],
) -> Result<Changes, StoreError> {
    let dies = due.iter().any(|event| event.kind() == EventKind::Death);
    for event in due {
        let (person, because, on, at) = (event.person, event.kind(), event.on, desk.now());
        let id = desk.person_ids.id(&format!("event {source} {}", event.id), person);
        for effect in effects(because) {
            changes = match effect {
                Effect::Propose(proposed) => changes.insert(&Proposal {
                    id: id.clone(),
                    person,
                    proposed: *proposed,
                    because,
                    source: source.clone(),
                    on,
                    at,
                    standing: match proposed {
                        // Both events came at once, as after a gap.
                        Proposed::Application if dies => {
                            Standing::Outdated { because: Outdated::Died, at }
                        }
                        _ => Standing::Open,
                    },
                })?,
                Effect::StopAll => {
                    changes.insert(&PendingStop { id: id.clone(), person, day: on })?
                }
            };
        }
    }
    Ok(changes)
}

async fn show_in_cases(
    desk: &Desk,
    source: &SourceName,
    mut changes: Changes,
    (person, due): (Pinfl, &[LifeEvent]),
) -> Result<Changes, StoreError> {
    if due.is_empty() {
        return Ok(changes);
    }
    let query = StoreQuery::person("subject", person);
    for mut stored in desk.store.find::<CaseDocument>(query).await? {
        let before = stored.value.0.events().len();
        for event in due {
            let seen = stored.value.0.see(event.seen(source.clone(), desk.now()));
            stored.value.0 = seen.unwrap_or(stored.value.0);
        }
        if stored.value.0.events().len() > before {
            changes = changes.update(&stored)?;
        }
    }
    Ok(changes)
}

async fn block_cards(
    desk: &Desk,
    source: &SourceName,
    mut changes: Changes,
    person: Pinfl,
) -> Result<Changes, Failed> {
    let query = StoreQuery::person("holder", person);
    for mut stored in desk.store.find::<CardDocument>(query).await? {
        let ground = Ground::try_from("death told by a life event".to_owned());
        let ground = ground.map_err(|refused| Failed::Problem(refused.into()))?;
        let taking = Taking::life_event(source.to_string(), ground, desk.now());
        let step = CardStep::Block { reason: BlockReason::Death };
        match stored.value.0.take(taking, step) {
            Ok(card) => stored.value = CardDocument(card),
            // Another card stands for it, or it is blocked for death already.
            Err(CardRefused::Replaced | CardRefused::Blocked) => continue,
            Err(refused) => return Err(refused.into()),
        }
        changes = crate::card::update(desk, changes, &stored).await?;
    }
    Ok(changes)
}

/// Tells the payments of every pending stop; what they do not take stays pending.
async fn stop_now(desk: &Desk) -> Result<(), StoreError> {
    let Some(payments) = &desk.payments else { return Ok(()) };
    for stored in desk.store.find::<PendingStop>(StoreQuery::all()).await? {
        match payments.on_death(stored.value.person, stored.value.day).await {
            Ok(()) => match desk.store.commit(Changes::new().delete(&stored)).await {
                // Another has deleted it meanwhile.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(failed) => return Err(failed),
            },
            Err(failed) => tracing::error!(error = %failed, "a stop of payments is pending"),
        }
    }
    Ok(())
}

/// Tries pending stops at start and at an interval, until the register stops.
pub(crate) async fn stop_pending(desk: &Desk) -> std::io::Result<()> {
    loop {
        if let Err(failed) = stop_now(desk).await {
            tracing::error!(error = %failed, "pending stops of payments cannot be read");
        }
        tokio::time::sleep(STOP_RETRY_INTERVAL).await;
    }
}

/// What waits: inboxes with a gap, and stops that the payments have not taken.
async fn waiting(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Result<Response, Problem> {
    desk.permit(&headers, Operation::ReadLifeEvents, None)?;
    let query = StoreQuery::equal("gap", WAITING).limit(PAGE_COUNT);
    let gaps = desk.store.find::<InboxDocument>(query).await?;
    let gap = |stored: &Stored<InboxDocument>| {
        let inbox = &stored.value.inbox;
        let (awaited, held) = (inbox.gap(), inbox.held_count());
        json!({"source": inbox.source, "person": inbox.person, "awaited": awaited, "held": held})
    };
    let stops = desk.store.find::<PendingStop>(StoreQuery::all().limit(PAGE_COUNT)).await?;
    let stop = |stored: &Stored<PendingStop>| json!({"person": stored.value.person, "day": stored.value.day});
    let gaps: Vec<_> = gaps.iter().map(gap).collect();
    let stops: Vec<_> = stops.iter().map(stop).collect();
    Ok(axum::Json(json!({"gaps": gaps, "pending_stops": stops})).into_response())
}
