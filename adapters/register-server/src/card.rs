//! Social Cards over HTTP.
//!
//! For officers: `POST /cards` · `GET /cards/{id}` · `POST /cards/{id}/steps` ·
//! `POST /cards/{id}/renewal` · `POST /received/search`. For shops, pharmacies and buses:
//! `POST /card-status` · `GET /card-key`. For agencies: `POST /received`.

mod documents;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use jiff::civil::Date;
use register::access::Operation;
use register::application::{Application, Award};
use register::card::answer::{StatusRequest, Unsigned, key_id};
use register::card::{Card, CardState, CardStatus, CardStep, Pseudonym, Received, Taking};
use register::ecase::Ground;
use register::money::Soum;
use register_store::{Changes, Store, StoreError, StoreQuery, Stored};
use schemas::clock::UnixMillis;
use schemas::encoding::base64url;
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::applications::Filed;
use crate::desk::{CardKey, Desk, Matter, Problem, Turn, client, pinfl, read};

pub(crate) use documents::{CardDocument, ReceivedDocument, StatusDocument};

/// The name of a status that is always there, and of one that never is.
const DECOY: &str = "decoy";
const NO_STATUS: &str = "none";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueRequest {
    pinfl: String,
    ground: Ground,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepRequest {
    version: u64,
    ground: Ground,
    step: CardStep,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenewRequest {
    version: u64,
    ground: Ground,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceivedRequest {
    card: Pseudonym,
    reference: String,
    code: String,
    soum: Option<Soum>,
    on: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchRequest {
    pinfl: String,
}

pub(crate) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/cards", post(issue))
        .route("/cards/{id}", get(show))
        .route("/cards/{id}/steps", post(step))
        .route("/cards/{id}/renewal", post(renew))
        .route("/card-status", post(status))
        .route("/card-key", get(public_key))
        .route("/received", post(record_received))
        .route("/received/search", post(search_received))
}

fn shown(card: &Card, version: u64, today: Date) -> axum::Json<serde_json::Value> {
    axum::Json(json!({"version": version, "expired": card.is_expired(today), "card": card}))
}

async fn load(desk: &Desk, id: &str) -> Result<Stored<CardDocument>, Problem> {
    desk.store.get(id).await?.ok_or_else(|| Problem::no_record("card"))
}

/// Adds a card as it is now, and what answering needs, to the changes.
pub(crate) async fn update(
    desk: &Desk,
    changes: Changes,
    stored: &Stored<CardDocument>,
) -> Result<Changes, StoreError> {
    let card = &stored.value.0;
    // The status is read before the awards: a decision that comes between changes it too, and one of
    // both commits is refused.
    let seen = desk.store.get::<StatusDocument>(&card.pseudonym.status_id()).await?;
    let awards = awards(&desk.store, card.holder, None).await?;
    answer_as(changes.update(stored)?, seen, card.status(&awards))
}

/// Adds what a card answers from now on.
fn answer_as(
    changes: Changes,
    seen: Option<Stored<StatusDocument>>,
    status: CardStatus,
) -> Result<Changes, StoreError> {
    let status = StatusDocument(status);
    match seen {
        Some(Stored { version, .. }) => changes.update(&Stored { value: status, version }),
        None => changes.insert(&status),
    }
}

async fn insert(store: &Store, changes: Changes, card: Card) -> Result<Changes, StoreError> {
    let status = StatusDocument(card.status(&awards(store, card.holder, None).await?));
    changes.insert(&CardDocument(card))?.insert(&status)
}

/// The awards of the families that a person belongs to.
async fn awards(
    store: &Store,
    person: Pinfl,
    decided: Option<&Application>,
) -> Result<Vec<Award>, StoreError> {
    let filed = store.find::<Filed>(StoreQuery::person("member", person)).await?;
    let filed = filed.into_iter().map(|stored| stored.value.0);
    let others = filed.filter(|one| decided.is_none_or(|decided| decided.id() != one.id()));
    let others = others.filter_map(|one| one.award());
    Ok(others.chain(decided.and_then(Application::award)).collect())
}

/// Adds what the cards of a family answer when its application stands as `decided`. Each member
/// takes a turn, also one without a card: another request may be issuing it.
pub(crate) async fn follow_decision(
    store: &Store,
    mut changes: Changes,
    decided: &Application,
) -> Result<Changes, StoreError> {
    for member in decided.members() {
        let turn = match Turn::take(store, Matter::Card, *member).await {
            // Nobody can read this person's card any more.
            Err(StoreError::Erased { .. }) => continue,
            turn => turn?,
        };
        changes = turn.end(changes)?;
        let awards = awards(store, *member, Some(decided)).await?;
        let query = StoreQuery::person("holder", *member);
        for Stored { value: CardDocument(card), .. } in store.find(query).await? {
            let seen = store.get::<StatusDocument>(&card.pseudonym.status_id()).await?;
            // The card again, after its status: a block that comes between is not undone.
            let Some(stored) = store.get::<CardDocument>(&card.id).await? else { continue };
            changes = answer_as(changes, seen, stored.value.0.status(&awards))?;
        }
    }
    Ok(changes)
}

async fn issue(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: IssueRequest = read(&body, "send {\"pinfl\", \"ground\"}")?;
    let permitted = desk.permit(&headers, Operation::ManageCard, None)?;
    let holder = pinfl(&request.pinfl)?;
    let turn = Turn::take(&desk.store, Matter::Card, holder).await?;
    let others = desk.store.find::<CardDocument>(StoreQuery::person("holder", holder)).await?;
    if others.iter().any(|other| other.value.0.state() != CardState::Replaced) {
        return Err(Problem::exists("the person has a card; renew that one"));
    }
    let taking = Taking::officer(&permitted, request.ground, desk.now());
    let pseudonym = Pseudonym::from_random(desk.random()?);
    let card = Card::issue(Uuid::new_v4().to_string(), holder, pseudonym, taking)?;
    let changes = insert(&desk.store, turn.end(Changes::new())?, card.clone()).await?;
    desk.store.commit(changes).await?;
    Ok((StatusCode::CREATED, shown(&card, 1, desk.today())).into_response())
}

async fn show(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    desk.permit(&headers, Operation::ReadCard, None)?;
    let stored = load(&desk, &id).await?;
    Ok(shown(&stored.value.0, stored.version, desk.today()).into_response())
}

async fn step(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = "send {\"version\", \"ground\", \"step\": {\"step\": name, …}}";
    let request: StepRequest = read(&body, form)?;
    let permitted = desk.permit(&headers, request.step.operation(), None)?;
    let mut stored = load(&desk, &id).await?;
    if stored.version != request.version {
        return Err(Problem::changed());
    }
    let taking = Taking::officer(&permitted, request.ground, desk.now());
    stored.value = CardDocument(stored.value.0.take(taking, request.step)?);
    desk.store.commit(update(&desk, Changes::new(), &stored).await?).await?;
    let version = stored.version.saturating_add(1);
    Ok(shown(&stored.value.0, version, desk.today()).into_response())
}

async fn renew(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: RenewRequest = read(&body, "send {\"version\", \"ground\"}")?;
    let permitted = desk.permit(&headers, Operation::ManageCard, None)?;
    let holder = load(&desk, &id).await?.value.0.holder;
    let turn = Turn::take(&desk.store, Matter::Card, holder).await?;
    let mut stored = load(&desk, &id).await?;
    if stored.version != request.version {
        return Err(Problem::changed());
    }
    let taking = Taking::officer(&permitted, request.ground, desk.now());
    let fresh = (Uuid::new_v4().to_string(), Pseudonym::from_random(desk.random()?));
    let (old, new) = stored.value.0.renew(fresh, taking)?;
    stored.value = CardDocument(old);
    let changes = update(&desk, turn.end(Changes::new())?, &stored).await?;
    desk.store.commit(insert(&desk.store, changes, new.clone()).await?).await?;
    Ok((StatusCode::CREATED, shown(&new, 1, desk.today())).into_response())
}

/// Keeps the status that is read for unknown cards.
pub(crate) async fn keep_decoy(store: &Store) -> Result<(), StoreError> {
    let decoy = CardStatus {
        id: DECOY.to_owned(),
        usable: false,
        valid_to: Date::MIN,
        entitlements: vec![],
    };
    match store.commit(Changes::new().insert(&StatusDocument(decoy))?).await {
        // It is there already.
        Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

fn signing(desk: &Desk) -> Result<&CardKey, Problem> {
    let missing = "this register answers no questions about cards; its administrator sets [card]";
    desk.card_key.as_ref().ok_or_else(|| Problem::not_set_up(missing))
}

/// Answers a shop: yes or no, signed; nothing else, and nothing more for an unknown card.
async fn status(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: StatusRequest = read(&body, "send {\"card\", \"question\", \"nonce\"}")?;
    let parties = desk.parties(client(&headers)?);
    let CardKey { key, public } = signing(&desk)?;
    let found = desk.store.get::<StatusDocument>(&request.card.status_id()).await?;
    // One document is found and one is not, whether the card is known or unknown, so that the time
    // of the answer does not tell which.
    let beside = if found.is_some() { NO_STATUS } else { DECOY };
    desk.store.get::<StatusDocument>(beside).await?;
    let today = desk.today();
    let entitled = found.is_some_and(|found| found.value.0.entitles(request.question, today));
    let unsigned = Unsigned::new(&request, entitled, &parties, public, desk.now())?;
    let signature = key.sign(unsigned.signing_input())?;
    let answer = axum::Json(json!({"answer": unsigned.signed(&signature)}));
    Ok(([(header::CACHE_CONTROL, "no-store")], answer).into_response())
}

/// The public key as a JSON Web Key (RFC 8037 §2).
async fn public_key(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    let public = &signing(&desk)?.public;
    let (kid, x) = (key_id(public), base64url(public));
    let key =
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x});
    Ok(axum::Json(key).into_response())
}

/// Takes an agency's report, once however often it comes.
async fn record_received(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = "send {\"card\", \"reference\", \"code\", \"soum\", \"on\"}";
    let request: ReceivedRequest = read(&body, form)?;
    let agency = client(&headers)?;
    let query = StoreQuery::equal("status", request.card.status_id()).limit(1);
    let found = desk.store.find::<CardDocument>(query).await?;
    let card = found.first().ok_or_else(|| Problem::no_record("card"))?;
    let report = Received {
        id: String::new(),
        holder: card.value.0.holder,
        agency,
        reference: request.reference,
        code: request.code,
        soum: request.soum,
        on: request.on,
        recorded_at: UnixMillis(0),
    };
    let report = ReceivedDocument(report.checked(desk.today(), desk.now())?);
    match desk.store.commit(Changes::new().insert(&report)?).await {
        Ok(()) => Ok((StatusCode::CREATED, axum::Json(json!({"id": report.0.id}))).into_response()),
        Err(StoreError::Conflict { .. }) => {
            let kept = desk.store.get::<ReceivedDocument>(&report.0.id).await?;
            if !kept.is_some_and(|kept| kept.value.0.says_the_same(&report.0)) {
                let message = "the reference stands for another report; give each its own";
                return Err(Problem::exists(message));
            }
            Ok(axum::Json(json!({"id": report.0.id})).into_response())
        }
        Err(failed) => Err(failed.into()),
    }
}

async fn search_received(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    desk.permit(&headers, Operation::ReadCard, None)?;
    let request: SearchRequest = read(&body, "send {\"pinfl\"}")?;
    let query = StoreQuery::person("holder", pinfl(&request.pinfl)?);
    let found = desk.store.find::<ReceivedDocument>(query).await?;
    let received: Vec<&Received> = found.iter().map(|stored| &stored.value.0).collect();
    Ok(axum::Json(json!({"received": received})).into_response())
}
