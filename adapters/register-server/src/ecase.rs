//! E-Cases over HTTP: open, take steps, read, list, and the snapshots that decisions were made on.
//!
//! `POST /cases` · `GET /cases?district=D[&overdue=true][&after=ID]` · `GET /cases/{id}` ·
//! `POST /cases/{id}/steps` · `GET /cases/{id}/snapshots/{snapshot}`

mod documents;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use register::access::{District, Operation};
use register::ecase::{ECase, Ground, Moment, SnapshotRef, Step};
use register_store::{Changes, StoreQuery, Stored};
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::api::Refusal;
use crate::collect::Application;
use crate::desk::{Desk, Matter, Problem, Turn, pinfl, read, user};
use crate::life_event::proposals::of_person;

pub(crate) use documents::{CaseDocument, SnapshotDocument};

/// Cases in one answer.
const PAGE_COUNT: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenRequest {
    pinfl: String,
    district: District,
    ground: Ground,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepRequest {
    version: u64,
    ground: Ground,
    step: Step,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRequest {
    district: District,
    #[serde(default)]
    overdue: bool,
    after: Option<String>,
}

pub(crate) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/cases", post(open).get(list))
        .route("/cases/{id}", get(show))
        .route("/cases/{id}/steps", post(step))
        .route("/cases/{id}/snapshots/{snapshot}", get(snapshot))
}

fn shown(stored: &Stored<CaseDocument>) -> axum::Json<serde_json::Value> {
    axum::Json(json!({"version": stored.version, "case": stored.value.0}))
}

async fn load(desk: &Desk, id: &str) -> Result<Stored<CaseDocument>, Problem> {
    desk.store.get(id).await?.ok_or_else(|| Problem::no_record("case"))
}

async fn open(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = "send {\"pinfl\", \"district\", \"ground\"}";
    let request: OpenRequest = read(&body, form)?;
    let permitted = desk.permit(&headers, Operation::WorkOnCase, Some(&request.district))?;
    let subject = pinfl(&request.pinfl)?;
    let turn = desk.turn_to_open(subject).await?;
    let whose = (Uuid::new_v4().to_string(), subject, request.district);
    let case = ECase::open(whose, permitted, request.ground, desk.now())?;
    let stored = Stored { value: CaseDocument(case), version: 1 };
    desk.store.commit(turn.end(Changes::new())?.insert(&stored.value)?).await?;
    Ok((StatusCode::CREATED, shown(&stored)).into_response())
}

async fn show(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = load(&desk, &id).await?;
    desk.permit(&headers, Operation::ReadCase, Some(&stored.value.0.district))?;
    let proposals = of_person(&desk.store, stored.value.0.subject).await?;
    let case = json!({"version": stored.version, "case": stored.value.0, "proposals": proposals});
    Ok(axum::Json(case).into_response())
}

async fn list(
    State(desk): State<Arc<Desk>>,
    Query(request): Query<ListRequest>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    desk.permit(&headers, Operation::ReadCase, Some(&request.district))?;
    let district = request.district.to_string();
    let query = if request.overdue {
        let below = format!("{district}|{}", desk.today());
        StoreQuery::range("due", format!("{district}|"), below)
    } else {
        StoreQuery::equal("district", district)
    };
    let query = match (request.after, request.overdue) {
        (Some(id), false) => query.after_id(id),
        _ => query,
    };
    let found = desk.store.find::<CaseDocument>(query.limit(PAGE_COUNT)).await?;
    let line = |stored: &Stored<CaseDocument>| {
        let case = &stored.value.0;
        let (awaits, due) = (case.stage().awaits(), case.stage().due());
        json!({"id": case.id, "version": stored.version, "awaits": awaits, "due": due})
    };
    let cases: Vec<_> = found.iter().map(line).collect();
    Ok(axum::Json(json!({"cases": cases})).into_response())
}

async fn step(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = "send {\"version\", \"ground\", \"step\": {\"step\": name, …}}";
    let request: StepRequest = read(&body, form)?;
    let mut stored = load(&desk, &id).await?;
    let district = stored.value.0.district.clone();
    let operation = request.step.operation();
    let permitted = desk.permit(&headers, operation, Some(&district))?;
    if stored.version != request.version {
        return Err(Problem::changed());
    }
    let mut changes = Changes::new();
    let mut taken = None;
    if request.step.decides() {
        // A decision that is refused anyway asks no source.
        let try_first = desk.permit(&headers, operation, Some(&district))?;
        let any = SnapshotRef { id: "none".to_owned(), hash: desk.scales.digest };
        let moment = desk.moment(Some(any));
        stored.value.0.take(try_first, request.step.clone(), request.ground.clone(), &moment)?;
        let document = desk.assemble(&stored.value.0, &headers).await?;
        changes = changes.insert(&document)?;
        taken = Some(document.reference());
    }
    let moment = desk.moment(taken);
    let case = stored.value.0.take(permitted, request.step, request.ground, &moment)?;
    if case.stage().is_open() && !stored.value.0.stage().is_open() {
        // An appeal opens the case again; another may have been opened since it was closed.
        changes = desk.turn_to_open(case.subject).await?.end(changes)?;
    }
    stored.value = CaseDocument(case);
    desk.store.commit(changes.update(&stored)?).await?;
    stored.version = stored.version.saturating_add(1);
    Ok(shown(&stored).into_response())
}

async fn snapshot(
    State(desk): State<Arc<Desk>>,
    Path((id, snapshot)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let case = load(&desk, &id).await?.value.0;
    desk.permit(&headers, Operation::ReadCase, Some(&case.district))?;
    let known = case.decisions().iter().any(|decision| decision.snapshot.id == snapshot);
    let kept = if known { desk.store.get::<SnapshotDocument>(&snapshot).await? } else { None };
    let kept = kept.ok_or_else(|| Problem::no_record("snapshot of this case"))?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, kept.value.profile).into_response())
}

impl Desk {
    /// A turn to open a case of a person who has no open one.
    async fn turn_to_open(&self, subject: Pinfl) -> Result<Turn, Problem> {
        let turn = Turn::take(&self.store, Matter::Case, subject).await?;
        let others = self.store.find::<CaseDocument>(StoreQuery::person("subject", subject));
        if others.await?.iter().any(|other| other.value.0.stage().is_open()) {
            return Err(Problem::exists("the person has an open case; work on that one"));
        }
        Ok(turn)
    }

    fn moment(&self, snapshot: Option<SnapshotRef>) -> Moment<'_> {
        let calendar = self.calendar.as_ref();
        Moment { at: self.now(), scales: &self.scales, calendar, snapshot }
    }

    /// Assembles the profile of a case's person, to be kept with the decision.
    async fn assemble(
        &self,
        case: &ECase,
        headers: &HeaderMap,
    ) -> Result<SnapshotDocument, Problem> {
        let id = Uuid::new_v4().to_string();
        let failed = |refused: Refusal| {
            let (status, problem) = refused.status_and_type();
            Problem::new(status, problem, refused.to_string())
        };
        let asked = Application::new(case.subject, self.today(), Vec::new()).map_err(failed)?;
        let profile = self.register.answer(asked, user(headers)).await;
        SnapshotDocument::of(id, case.subject, &profile.map_err(failed)?)
    }
}
