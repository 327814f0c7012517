//! The courier: answers what was taken, delivers callbacks with back-off, tells subscribers.
//!
//! A callback is tried [`ATTEMPTS_MAX_COUNT`] times over about a day, then given up with an error in
//! the log; the partner still finds what came of it by `txn/status`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use register_store::{Changes, StoreError, Stored};
use schemas::clock::UnixMillis;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::envelope::Status;
use crate::limits::{
    ATTEMPTS_MAX_COUNT, CALLBACKS_AT_ONCE_COUNT, EVENTS_AT_ONCE_COUNT, FIRST_WAIT, LONGEST_WAIT,
};
use crate::post::PostFault;
use crate::registry::Registry;
use crate::service::{Service, Unanswered, unavailable};
use crate::state::{Content, Delivery, Position};
use crate::subscribe::notice;

/// How often the courier looks when nothing wakes it: events of a source do not wake it.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Notices in one commit; the store takes 1 000 documents.
const NOTICES_AT_ONCE_COUNT: usize = 500;

/// Runs until `stop` ends; then lets callbacks under way end.
pub async fn run<R: Registry>(service: Arc<Service<R>>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut under_way = JoinSet::new();
    loop {
        if let Err(fault) = tell(&service).await {
            tracing::warn!(%fault, "events are not told for now");
        }
        let free = CALLBACKS_AT_ONCE_COUNT.saturating_sub(under_way.len());
        match service.state.lease(service.clock.now(), free).await {
            Ok(due) => {
                for delivery in due {
                    under_way.spawn(deliver(Arc::clone(&service), delivery));
                }
            }
            Err(fault) => drop(unavailable(&fault)),
        }
        tokio::select! {
            () = &mut stop => break,
            () = service.wake.notified() => {}
            Some(ended) = under_way.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a callback ended by a fault");
                }
            }
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

async fn deliver<R: Registry>(service: Arc<Service<R>>, mut delivery: Stored<Delivery>) {
    if let Content::Request(request) = delivery.value.content.clone() {
        match service.answer(delivery.clone(), &request).await {
            Ok(answered) => delivery = answered,
            // Another node was faster.
            Err(Unanswered::State(StoreError::Conflict { .. })) => return,
            Err(fault) => {
                let id = delivery.value.id.as_str();
                tracing::warn!(correlation = id, %fault, "a message is not answered for now");
                return postpone(&service, delivery).await;
            }
        }
    }
    let id = delivery.value.id.clone();
    match attempt(&service, &delivery.value).await {
        Ok(()) => settle(&service, delivery).await,
        Err(fault) if delivery.value.attempts_count + 1 >= ATTEMPTS_MAX_COUNT => {
            let partner = delivery.value.partner.as_str();
            tracing::error!(correlation = id, partner, %fault, "a callback is given up; ask the partner");
            settle(&service, delivery).await;
        }
        Err(fault) => {
            tracing::warn!(correlation = id, %fault, "a callback is tried again later");
            postpone(&service, delivery).await;
        }
    }
}

async fn attempt<R: Registry>(service: &Service<R>, delivery: &Delivery) -> Result<(), PostFault> {
    let Content::Answer(status, count, message) = &delivery.content else { return Ok(()) };
    let partner = service.partner(&delivery.partner).ok_or(PostFault::Address)?;
    // The partner's list may have changed since the message was taken.
    let uri = partner.callback(Some(&delivery.uri)).map_err(|_| PostFault::Address)?;
    let sealed = service.seal(partner, &delivery.action, (*status, *count, message));
    let body = sealed.map_err(|_| PostFault::Address)?.to_string();
    service.poster.post(&uri, partner.callback_client.as_deref(), Bytes::from(body)).await
}

async fn settle<R: Registry>(service: &Service<R>, delivery: Stored<Delivery>) {
    if let Err(fault) = service.state.commit(Changes::new().delete(&delivery)).await {
        drop(unavailable(&fault));
    }
}

async fn postpone<R: Registry>(service: &Service<R>, mut delivery: Stored<Delivery>) {
    let doublings = delivery.value.attempts_count.min(16);
    let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    delivery.value.attempts_count += 1;
    delivery.value.due_at = service.clock.now().plus(wait);
    let written = async { service.state.commit(Changes::new().update(&delivery)?).await };
    if let Err(fault) = written.await {
        drop(unavailable(&fault));
    }
}

/// Writes a notice for every subscriber of every new event, and moves on with the event's last ones.
async fn tell<R: Registry>(service: &Service<R>) -> Result<(), Unanswered> {
    let mut position = service.state.position().await?;
    let after = position.as_ref().map_or(0, |position| position.value.sequence);
    let latest = service.registry.latest().await?;
    if latest <= after {
        return Ok(());
    }
    let subscriptions = service.state.subscriptions(None).await?;
    // Without subscribers events are passed over, not read.
    let (events, until) = match subscriptions.is_empty() {
        true => (Vec::new(), latest),
        false => service.registry.events(after, EVENTS_AT_ONCE_COUNT).await?,
    };
    let now = service.clock.now();
    let description = service.registry.description();
    for together in events.chunk_by(|a, b| a.sequence == b.sequence) {
        let told = together.iter().flat_map(|event| {
            subscriptions.iter().filter_map(move |subscription| {
                let message = notice(subscription, event, description, now)?;
                Some(delivery(subscription, message, now))
            })
        });
        let notices: Vec<Delivery> = told.collect();
        let sequence = together.first().map_or(after, |event| event.sequence);
        position = Some(write(service, position, sequence, &notices).await?);
    }
    write(service, position, until, &[]).await.map(drop)
}

/// Writes notices and the position; many notices in several commits, the position with the last.
async fn write<R: Registry>(
    service: &Service<R>,
    position: Option<Stored<Position>>,
    sequence: u64,
    notices: &[Delivery],
) -> Result<Stored<Position>, Unanswered> {
    let mut changes = Changes::new();
    for (at, notice) in notices.iter().enumerate() {
        if at > 0 && at.is_multiple_of(NOTICES_AT_ONCE_COUNT) {
            service.state.commit(changes).await?;
            changes = Changes::new();
        }
        changes = changes.insert(notice)?;
    }
    let value = Position { sequence };
    let (changes, version) = match position {
        Some(before) => {
            let version = before.version + 1;
            (changes.update(&Stored { value: value.clone(), ..before })?, version)
        }
        None => (changes.insert(&value)?, 1),
    };
    service.state.commit(changes).await?;
    Ok(Stored { value, version })
}

fn delivery(
    subscription: &crate::state::Subscription,
    message: serde_json::Value,
    now: UnixMillis,
) -> Delivery {
    Delivery {
        id: Uuid::new_v4().to_string(),
        partner: subscription.partner.clone(),
        uri: subscription.uri.clone(),
        action: "notify".to_owned(),
        subject: subscription.subject,
        content: Content::Answer(Status::Succeeded, 1, message),
        attempts_count: 0,
        due_at: now,
    }
}
