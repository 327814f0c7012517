//! The operator's commands, on loopback.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use register::money::Soum;
use register::month::Month;
use register::payment::line::AccountNumber;
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bank::{Bank, Opening};
use crate::desk::{ActError, Desk};
use crate::inbox::NotTaken;
use crate::treasury::Treasury;

/// Bytes of a command.
const COMMAND_MAX_BYTES: usize = 4 * 1024;

type Done = Result<Json<Value>, NotTaken>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    soum: Soum,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAccount {
    number: AccountNumber,
    owner: Pinfl,
    opening: Opening,
}

/// `POST /operator/fund`, `GET /operator/orders`, `POST /operator/orders/{month}/finance`.
pub(super) fn treasury(desk: Arc<Desk<Treasury>>) -> Router {
    Router::new()
        .route("/operator/fund", post(fill))
        .route("/operator/orders", get(orders))
        .route("/operator/orders/{month}/finance", post(finance))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(COMMAND_MAX_BYTES))
        .with_state(desk)
}

/// `POST /operator/accounts`, `GET /operator/months`, `POST /operator/months/{month}/end`.
pub(super) fn bank(desk: Arc<Desk<Bank>>) -> Router {
    Router::new()
        .route("/operator/accounts", post(set_account))
        .route("/operator/months", get(months))
        .route("/operator/months/{month}/end", post(end_month))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(COMMAND_MAX_BYTES))
        .with_state(desk)
}

async fn health() -> Json<Value> {
    Json(json!({ "live": true, "ready": true }))
}

async fn fill(State(desk): State<Arc<Desk<Treasury>>>, Json(fill): Json<Fill>) -> Done {
    let too_much = "treasury: the fund would be above 2^53 - 1 soum; give a smaller sum";
    done(desk.act(|treasury| treasury.fill(fill.soum).ok_or(too_much)).await)
}

async fn orders(State(desk): State<Arc<Desk<Treasury>>>) -> Json<Value> {
    let shown = desk.look(|treasury| {
        let orders: Vec<_> = treasury.orders().cloned().collect();
        json!({ "fund_soum": treasury.fund_soum(), "orders": orders })
    });
    Json(shown.await)
}

async fn finance(State(desk): State<Arc<Desk<Treasury>>>, Path(month): Path<Month>) -> Done {
    done(desk.act(|treasury| treasury.finance(month)).await)
}

async fn set_account(State(desk): State<Arc<Desk<Bank>>>, Json(account): Json<SetAccount>) -> Done {
    let SetAccount { number, owner, opening } = account;
    done(desk.act(|bank| Ok::<_, &str>(bank.set_account(number, owner, opening))).await)
}

async fn months(State(desk): State<Arc<Desk<Bank>>>) -> Json<Value> {
    let months: Vec<_> = desk.look(|bank| bank.months().cloned().collect()).await;
    Json(json!({ "months": months }))
}

async fn end_month(State(desk): State<Arc<Desk<Bank>>>, Path(month): Path<Month>) -> Done {
    done(desk.act(|bank| bank.end_month(month)).await)
}

fn done<E: std::fmt::Display>(outcome: Result<bool, ActError<E>>) -> Done {
    match outcome {
        Ok(changed) => Ok(Json(json!({ "changed": changed }))),
        Err(ActError::Refused(reason)) => {
            Err(NotTaken::new(StatusCode::CONFLICT, "refused", reason.to_string()))
        }
        Err(ActError::Store(error)) => Err(NotTaken::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            error.to_string(),
        )),
    }
}
