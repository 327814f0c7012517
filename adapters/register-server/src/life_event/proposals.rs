//! What life events propose, and how officers answer: they file the application, or close the proposal.
//!
//! `GET /proposals` (open ones) · `GET /proposals/{id}` · `POST /proposals/{id}/application` ·
//! `POST /proposals/{id}/refusal`. Filing an application answers every proposal of one for a member of
//! the family, in its own commit; so a repeated request finds the application of the first.
//!
//! | the request meets | the proposal becomes |
//! |---|---|
//! | a family that has not applied | filed |
//! | another application of the family for the month, or a family that is supported | outdated |
//! | the end of the month's entry, a source's or the store's failure | nothing: it stays open |

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode};
use register::access::{Operation, Permitted};
use register::application::Application;
use register::ecase::Ground;
use register_store::{Changes, Store, StoreError, StoreQuery, Stored};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use serde_json::json;

use super::documents::{Outdated, Proposal, Standing};
use crate::applications::{Refusal, file_application};
use crate::desk::{Desk, Problem, read, user};

/// Proposals in one answer.
const PAGE_COUNT: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalRequest {
    ground: Ground,
}

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/proposals", get(list))
        .route("/proposals/{id}", get(show))
        .route("/proposals/{id}/application", post(application))
        .route("/proposals/{id}/refusal", post(refusal))
}

/// What life events propose and nobody has answered, oldest first.
async fn list(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Result<Response, Problem> {
    desk.permit(&headers, Operation::ReadLifeEvents, None)?;
    let query = StoreQuery::range("at", "", "~").limit(PAGE_COUNT);
    let found = desk.store.find::<Proposal>(query).await?;
    let proposals: Vec<&Proposal> = found.iter().map(|stored| &stored.value).collect();
    Ok(Json(json!({"proposals": proposals})).into_response())
}

async fn show(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    desk.permit(&headers, Operation::ReadLifeEvents, None)?;
    Ok(shown(&load(&desk.store, &id).await?.value))
}

async fn application(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let permitted = desk.permit(&headers, Operation::AnswerProposal, None)?;
    Ok(shown(&file(&desk, &permitted, &id, user(&headers)).await?))
}

async fn refusal(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: RefusalRequest = read(&body, "send {\"ground\": why}")?;
    let permitted = desk.permit(&headers, Operation::AnswerProposal, None)?;
    Ok(shown(&refuse(&desk, &permitted, &id, request.ground).await?))
}

fn shown(proposal: &Proposal) -> Response {
    Json(json!({"proposal": proposal})).into_response()
}

async fn load(store: &Store, id: &str) -> Result<Stored<Proposal>, Problem> {
    store.get(id).await?.ok_or_else(|| Problem::no_record("proposal"))
}

/// All proposals about a person.
pub(crate) async fn of_person(store: &Store, person: Pinfl) -> Result<Vec<Proposal>, StoreError> {
    let found = store.find::<Proposal>(StoreQuery::person("person", person)).await?;
    Ok(found.into_iter().map(|stored| stored.value).collect())
}

/// Files the application that is proposed, within the permission; gives the proposal as it stands
/// then, the same to each who asks again.
pub(crate) async fn file(
    desk: &Desk,
    _: &Permitted,
    id: &str,
    user: Option<HeaderValue>,
) -> Result<Proposal, Problem> {
    let proposal = load(&desk.store, id).await?.value;
    match &proposal.standing {
        Standing::Open if !proposal.awaits_application() => return Err(Problem::not_proposed()),
        Standing::Open => {}
        Standing::Filed { .. } | Standing::Outdated { .. } => return Ok(proposal),
        Standing::Refused { .. } => return Err(Problem::answered()),
    }
    let filed = file_application(&desk.register, (proposal.person, Vec::new()), None, user).await;
    let refused = filed.err();
    // Who was faster has answered the proposal; that answer stands.
    let mut stored = load(&desk.store, id).await?;
    if stored.value.standing != Standing::Open {
        return Ok(stored.value);
    }
    let because = match refused {
        Some(Refusal::Duplicate { .. }) => Outdated::Applied,
        Some(Refusal::Supported { .. }) => Outdated::Supported,
        Some(other) => return Err(other.into()),
        None => return Err(Problem::changed()),
    };
    stored.value.standing = Standing::Outdated { because, at: desk.now() };
    desk.store.commit(Changes::new().update(&stored)?).await?;
    Ok(stored.value)
}

/// Closes a proposal.
pub(crate) async fn refuse(
    desk: &Desk,
    permitted: &Permitted,
    id: &str,
    ground: Ground,
) -> Result<Proposal, Problem> {
    let mut stored = load(&desk.store, id).await?;
    match &stored.value.standing {
        Standing::Open => {}
        // Said again, after an answer that was lost.
        Standing::Refused { ground: before, .. } if *before == ground => return Ok(stored.value),
        _ => return Err(Problem::answered()),
    }
    let (by, at) = (permitted.by().to_owned(), desk.now());
    stored.value.standing = Standing::Refused { by, ground, at };
    desk.store.commit(Changes::new().update(&stored)?).await?;
    Ok(stored.value)
}

/// Adds that this application answers what was proposed for the members of its family.
pub(crate) async fn answered_by(
    store: &Store,
    mut changes: Changes,
    application: &Application,
    (by, at): (Option<String>, UnixMillis),
) -> Result<Changes, StoreError> {
    for member in application.members() {
        let query = StoreQuery::person("person", *member);
        for mut stored in store.find::<Proposal>(query).await? {
            if stored.value.awaits_application() {
                let (application, by) = (application.id().to_owned(), by.clone());
                stored.value.standing = Standing::Filed { application, by, at };
                changes = changes.update(&stored)?;
            }
        }
    }
    Ok(changes)
}

/// Adds that what was proposed for a person who has died is outdated.
pub(super) async fn outdated_by_death(
    store: &Store,
    mut changes: Changes,
    person: Pinfl,
    at: UnixMillis,
) -> Result<Changes, StoreError> {
    for mut stored in store.find::<Proposal>(StoreQuery::person("person", person)).await? {
        if stored.value.awaits_application() {
            stored.value.standing = Standing::Outdated { because: Outdated::Died, at };
            changes = changes.update(&stored)?;
        }
    }
    Ok(changes)
}

impl Problem {
    fn answered() -> Self {
        let message = "the proposal has been answered otherwise; look at it and at the family";
        Self::new(StatusCode::CONFLICT, "register.proposal_closed", message.to_owned())
    }

    fn not_proposed() -> Self {
        let message = "the event proposes to rate the family again, and no application; monitoring \
                       rates it, or close the proposal";
        Self::new(StatusCode::CONFLICT, "register.no_application_proposed", message.to_owned())
    }
}
