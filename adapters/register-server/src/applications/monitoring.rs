//! Monthly monitoring: every registered family is rated again, a page at a time, and the position
//! is kept after each page.
//!
//! | cut short | in the store | when it goes on |
//! |---|---|---|
//! | a family's rating before its commit | as before | it is rated |
//! | a page after some families' commits | their ratings | they are counted by what they found, and not rated again |
//! | a page before its position | the position before it | the same |
//!
//! Every family is rated for the one day on which the month's monitoring began. A process that
//! starts goes on with what is running; of several nodes on one store, the one whose position is
//! committed first leads, and the others follow from there.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use register::application::{Outcome, Stage, State as Stands};
use register::month::Month;
use register_store::{Changes, StoreError, StoreQuery, Stored};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Applications;
use super::documents::{Counts, Filed, Monitoring, Progress};
use super::refusal::Refusal;
use crate::api::Register;
use crate::hub_client::Ticket;

/// Families between two kept positions.
const PAGE_COUNT: usize = 64;
/// Stopped families that are listed.
const LIST_MAX_COUNT: usize = 1_000;
/// Attempts to write what another has changed meanwhile.
const ATTEMPTS_COUNT: usize = 4;
/// How long monitoring rests after the store has failed.
const REST: Duration = Duration::from_secs(5);

/// A request, as sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginRequest {
    month: Month,
}

/// What one family's monitoring found.
#[derive(Clone, Copy)]
enum Found {
    Unchanged,
    Stopped,
    Pending,
    NotDue,
    Failed,
}

/// `POST /monitoring`: begins this month or the next one, or resumes it.
pub(super) async fn begin(
    State(register): State<Arc<Register>>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let applications = register.kept()?;
    let shape = |_| Refusal::Shape("send {\"month\": \"YYYY-MM\"}");
    let BeginRequest { month } = serde_json::from_slice(&body).map_err(shape)?;
    let day = register.today();
    let this_month = Month::of(day);
    if month != this_month && month != this_month.next() {
        return Err(Refusal::Shape("monitoring is of this month or the next one"));
    }
    let monitoring = match applications.store.get::<Monitoring>(&month.to_string()).await? {
        None => {
            let (progress, position) = (Progress::Running, String::new());
            let new = Monitoring { month, progress, day, position, counts: Counts::default() };
            applications.store.commit(Changes::new().insert(&new)?).await?;
            new
        }
        Some(mut seen) if seen.value.progress == Progress::Stopped => {
            seen.value.progress = Progress::Running;
            applications.store.commit(Changes::new().update(&seen)?).await?;
            seen.value
        }
        Some(seen) => seen.value,
    };
    applications.wake.notify_one();
    Ok(axum::Json(monitoring).into_response())
}

/// `POST /monitoring/{month}/stop`.
pub(super) async fn stop(
    State(register): State<Arc<Register>>,
    Path(month): Path<String>,
) -> Result<Response, Refusal> {
    let applications = register.kept()?;
    for _ in 0..ATTEMPTS_COUNT {
        let seen = applications.store.get::<Monitoring>(&month).await?;
        let mut seen = seen.ok_or(Refusal::Unknown("monitoring"))?;
        if seen.value.progress != Progress::Running {
            return Ok(axum::Json(seen.value).into_response());
        }
        seen.value.progress = Progress::Stopped;
        match applications.store.commit(Changes::new().update(&seen)?).await {
            Err(StoreError::Conflict { .. }) => {}
            Err(refused) => return Err(refused.into()),
            Ok(()) => return Ok(axum::Json(seen.value).into_response()),
        }
    }
    Err(StoreError::Conflict { kind: "monitoring".to_owned() }.into())
}

/// `GET /monitoring/{month}`.
pub(super) async fn progress(
    State(register): State<Arc<Register>>,
    Path(month): Path<String>,
) -> Result<Response, Refusal> {
    let store = &register.kept()?.store;
    let seen = store.get::<Monitoring>(&month).await?.ok_or(Refusal::Unknown("monitoring"))?;
    let query = StoreQuery::equal("stopped", &month).limit(LIST_MAX_COUNT);
    let stopped = store.find::<Filed>(query).await?;
    let stopped: Vec<&str> = stopped.iter().map(|seen| seen.value.0.id()).collect();
    Ok(axum::Json(json!({"monitoring": seen.value, "stopped": stopped})).into_response())
}

/// Runs what is to be monitored, for as long as the register runs.
pub(crate) async fn run(register: &Register) {
    let Some(applications) = &register.applications else { return };
    loop {
        if let Err(cause) = run_all(register, applications).await {
            tracing::error!(%cause, "monitoring failed and tries again");
            tokio::time::sleep(REST).await;
            continue;
        }
        applications.wake.notified().await;
    }
}

async fn run_all(register: &Register, applications: &Applications) -> Result<(), StoreError> {
    let running = StoreQuery::equal("progress", "running");
    while let Some(seen) =
        applications.store.find::<Monitoring>(running.clone().limit(1)).await?.pop()
    {
        run_page(register, applications, seen).await?;
    }
    Ok(())
}

/// Rates the families of one page, then keeps the position.
async fn run_page(
    register: &Register,
    applications: &Applications,
    mut seen: Stored<Monitoring>,
) -> Result<(), StoreError> {
    let query = StoreQuery::equal("state", "registered").after_id(&seen.value.position);
    let page = applications.store.find::<Filed>(query.limit(PAGE_COUNT)).await?;
    // Families that were stopped a moment ago, before a restart, are behind no position yet.
    let earlier = StoreQuery::equal("stopped", seen.value.month.to_string());
    let earlier = earlier.after_id(&seen.value.position).limit(PAGE_COUNT);
    let last_id = page.last().map(|filed| filed.value.0.id().to_owned());
    let earlier =
        applications.store.find::<Filed>(earlier).await?.into_iter().filter(|filed| {
            last_id.as_ref().is_none_or(|last| filed.value.0.id() <= last.as_str())
        });
    let monitoring = seen.value.clone();
    let mut counts = seen.value.counts;
    let mut position = last_id.clone();
    for filed in earlier {
        counts.add(Found::Stopped);
        position = position.max(Some(filed.value.0.id().to_owned()));
    }
    let mut under_way = stream::iter(page)
        .map(|filed| rate(register, applications, &monitoring, filed))
        .buffer_unordered(register.config.concurrent_monitored_count);
    while let Some(found) = under_way.next().await {
        counts.add(found?);
    }
    drop(under_way);
    match position {
        Some(position) => seen.value.position = position,
        None => seen.value.progress = Progress::Finished,
    }
    seen.value.counts = counts;
    let (month, looked_at, stopped) = (monitoring.month, counts.looked_at, counts.stopped);
    tracing::info!(%month, looked_at, stopped, "monitoring");
    match applications.store.commit(Changes::new().update(&seen)?).await {
        // Stopped meanwhile, or another node was faster: the page is counted when it goes on.
        Err(StoreError::Conflict { .. }) => Ok(()),
        committed => committed,
    }
}

/// Rates one family, unless this month's monitoring has done so.
async fn rate(
    register: &Register,
    applications: &Applications,
    monitoring: &Monitoring,
    mut filed: Stored<Filed>,
) -> Result<Found, StoreError> {
    let Monitoring { month, day, .. } = monitoring;
    let application = &filed.value.0;
    if application.monitored_in(*month).is_some() {
        return Ok(Found::Unchanged);
    }
    if application.support_in(*month).is_none() {
        return Ok(Found::NotDue);
    }
    let ticket = Ticket { parent: Uuid::new_v4().to_string(), user: None };
    let id = application.id().to_owned();
    let declared = super::filing::declared(&applications.store, application).await;
    let rated = async { register.rate(application.applicant(), *day, declared?, &ticket).await };
    let rated = match rated.await {
        Ok(rated) => rated,
        Err(cause) => {
            tracing::error!(application = id, %cause, "a family could not be monitored");
            return Ok(Found::Failed);
        }
    };
    let rating = rated.rating(Stage::Monitoring(*month), register.today());
    let pending = rating.outcome == Outcome::Pending;
    let after = application.clone().monitor(*month, rating, &applications.timetable);
    match after {
        Ok(after) => filed.value.0 = after,
        Err(cause) => {
            tracing::error!(application = id, %cause, "a family could not be monitored");
            return Ok(Found::Failed);
        }
    }
    let stopped = matches!(filed.value.0.state(), Stands::Stopped { .. });
    let mut changes = Changes::new().insert(&rated.snapshot)?.update(&filed)?;
    if stopped {
        changes =
            crate::card::follow_decision(&applications.store, changes, &filed.value.0).await?;
    }
    match applications.store.commit(changes).await {
        // An officer was faster, which is rare; the month's next run finds it unrated.
        Err(StoreError::Conflict { .. }) => Ok(Found::Failed),
        Err(cause) => Err(cause),
        Ok(()) if stopped => Ok(Found::Stopped),
        Ok(()) if pending => Ok(Found::Pending),
        Ok(()) => Ok(Found::Unchanged),
    }
}

impl Counts {
    fn add(&mut self, found: Found) {
        let count = match found {
            Found::Unchanged => &mut self.unchanged,
            Found::Stopped => &mut self.stopped,
            Found::Pending => &mut self.pending,
            Found::NotDue => &mut self.not_due,
            Found::Failed => &mut self.failed,
        };
        *count = count.saturating_add(1);
        self.looked_at = self.looked_at.saturating_add(1);
    }
}
