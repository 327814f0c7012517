//! The register's side of the payments: closing a month, messages of treasury and bank, sending.
//!
//! | request | does |
//! |---|---|
//! | `POST /payments/{month}/close` | closes a month from the stored decisions; again: nothing |
//! | `POST /payments/{month}/close` `{"corrections": […]}` | the same, with lines that no decision says |
//! | `GET /payments/{month}` | lines and sums by state, families left out by reason |
//! | `POST /payments/deaths` `{"pinfl": "…"}` | what is not released to this person is not paid |
//! | `POST /applications/{id}/account` `{"account": "…", "branch": "…"}` | where the applicant is paid from now on |
//! | `GET /applications/{id}/payments` | the application's lines |
//!
//! These are for the register's own people on loopback; `/financed-orders`, `/releases` and
//! `/confirmations` take messages from the own hub. The rules are `register::payment`'s, the books lie
//! in the register's store.

mod account;
mod close;
mod courier;
mod refusal;

use std::convert::Infallible;
use std::sync::Arc;

use ::payments::desk::Desk;
use ::payments::sender::Pauses;
use ::payments::{BooksError, RegisterBooks};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use register::month::Month;
use register::payment::office::Office;
use register_store::Store;
use schemas::identifier::ServiceId;
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use self::courier::RegisterCourier;
use self::refusal::Refusal;
use crate::api::Register;
use crate::desk::{NotStopped, PaymentStops, Stopping};

/// Bytes of a request: about 300 for each of 3 000 corrections.
const REQUEST_MAX_BYTES: usize = 1024 * 1024;

/// `[payments]` of the configuration. The books lie in `[store]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsConfig {
    /// Code of the purpose of the calls.
    pub purpose: String,
    /// The treasury's service.
    pub treasury: ServiceId,
    /// The paying bank's service.
    pub bank: ServiceId,
    /// How long to wait before a message is sent again.
    #[serde(default)]
    pub pauses: Pauses,
}

/// Opens the register's desk on its store.
pub(crate) async fn open(store: &Store) -> Result<Arc<Desk<Office>>, BooksError> {
    Ok(Arc::new(Desk::open(RegisterBooks::new(store.clone())).await?))
}

/// What the requests about payments share.
#[derive(Clone)]
struct Paying {
    register: Arc<Register>,
    desk: Arc<Desk<Office>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Death {
    pinfl: Pinfl,
}

/// The routes of the payments.
pub(crate) fn routes(register: Arc<Register>, desk: Arc<Desk<Office>>) -> Router {
    let own = Router::new()
        .route("/payments/deaths", post(record_death))
        .route("/payments/{month}", get(show))
        .route("/payments/{month}/close", post(close::close))
        .route("/applications/{id}/account", post(account::declare))
        .route("/applications/{id}/payments", get(account::lines))
        .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
        .with_state(Paying { register, desk: desk.clone() });
    own.merge(::payments::inbox::routes(desk))
}

async fn show(
    State(paying): State<Paying>,
    Path(month): Path<String>,
) -> Result<Json<Value>, Refusal> {
    shown(&paying.desk, month.parse().map_err(|_| Refusal::Month)?).await
}

async fn shown(desk: &Desk<Office>, month: Month) -> Result<Json<Value>, Refusal> {
    let summary = desk.look(|office| office.summary(month)).await.ok_or(Refusal::Unknown)?;
    let waiting = desk.outgoing_count().await;
    Ok(Json(json!({ "month": month, "summary": summary, "unanswered_count": waiting })))
}

async fn record_death(State(paying): State<Paying>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let death: Death =
        serde_json::from_slice(&body).map_err(|_| Refusal::Shape("{\"pinfl\": \"14 digits\"}"))?;
    let record = |office: &Office| Ok::<_, Refusal>(office.record_death(death.pinfl));
    let recorded = paying.desk.act(record).await?;
    Ok(Json(json!({ "recorded": recorded })))
}

/// A death that a source has told stops the lines as one that is recorded by hand does.
impl PaymentStops for Desk<Office> {
    fn on_death(&self, person: Pinfl, _day: Date) -> Stopping<'_> {
        Box::pin(async move {
            let recorded =
                self.act(|office| Ok::<_, Infallible>(office.record_death(person))).await;
            recorded.map(|_| ()).map_err(|_| NotStopped)
        })
    }
}
