//! The register's side of the payments: closing a month, messages of treasury and bank, sending.
//!
//! `POST /payments/{month}/close` with `{"entitlements": […]}`, `GET /payments/{month}` and
//! `POST /payments/deaths` with `{"pinfl": "…"}` are for the register's own people on loopback;
//! `/financed-orders`, `/releases` and `/confirmations` take messages from the own hub. The rules
//! are `register::payment`'s.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use ::payments::courier::{self, Courier, Undelivered};
use ::payments::desk::{ActError, Desk};
use ::payments::sender::Pauses;
use ::payments::store::{Store, StoreError};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use jiff::civil::Date;
use register::month::Month;
use register::payment::closing::{CloseError, Entitlement};
use register::payment::message::{Answer, Message, Role};
use register::payment::office::Office;
use schemas::identifier::ServiceId;
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::desk::{NotStopped, PaymentStops, Stopping};

use crate::config::Method;
use crate::hub_client::{HubClient, Question, Ticket};

/// Bytes of the entitlements of a month: about 300 for each of 200 000 families.
const ENTITLEMENTS_MAX_BYTES: usize = 64 * 1024 * 1024;

/// `[payments]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsConfig {
    /// The database; a relative path counts from the configuration file.
    pub database: PathBuf,
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

/// Opens the register's desk.
pub(crate) async fn open(config: &PaymentsConfig) -> Result<Arc<Desk<Office>>, StoreError> {
    Ok(Arc::new(Desk::open(Store::open(&config.database).await?).await?))
}

/// Takes messages to treasury and bank through the register's own hub.
pub(crate) struct RegisterCourier {
    hub: HubClient,
    services: BTreeMap<Role, ServiceId>,
}

impl RegisterCourier {
    pub(crate) fn new(hub: &HubClient, config: &PaymentsConfig) -> Option<Self> {
        let services = [(Role::Treasury, &config.treasury), (Role::Bank, &config.bank)];
        let services = services.map(|(role, service)| (role, service.clone())).into();
        Some(Self { hub: hub.for_purpose(&config.purpose)?, services })
    }
}

impl Courier for RegisterCourier {
    async fn deliver(&self, message: &Message) -> Result<Answer, Undelivered> {
        let to = message.to();
        let service = self.services.get(&to).ok_or(Undelivered::NoService(to))?;
        let body = serde_json::to_string(message).map_err(|_| Undelivered::NoAnswer)?;
        let ticket = Ticket { parent: message.id().as_str().to_owned(), user: None };
        let (method, path) = (Method::Post, message.path().to_owned());
        let question = Question { service, method, path, body: Some(body), ticket: &ticket };
        let answer = self
            .hub
            .ask(&question, &Uuid::new_v4().to_string())
            .await
            .map_err(|_| Undelivered::Hub)?;
        courier::read(answer.status, answer.problem.as_deref(), &answer.body)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseRequest {
    entitlements: Vec<Entitlement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Death {
    pinfl: Pinfl,
}

/// Why a request is refused. No text repeats what the caller sent.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the month is written YYYY-MM; correct the path")]
    Month,
    #[error("the request has not the form of the documentation; correct it: {0}")]
    Shape(&'static str),
    #[error(transparent)]
    Close(#[from] CloseError),
    #[error("the register has not closed this month; close it first")]
    Unknown,
    #[error("the register cannot store at present; see its log and send again")]
    Store,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, problem) = match &self {
            Self::Month | Self::Shape(_) => (StatusCode::BAD_REQUEST, "register.bad_request"),
            Self::Close(_) => (StatusCode::CONFLICT, "register.month_not_closed"),
            Self::Unknown => (StatusCode::NOT_FOUND, "register.month_unknown"),
            Self::Store => (StatusCode::SERVICE_UNAVAILABLE, "register.store_unavailable"),
        };
        let body = json!({ "type": problem, "message": self.to_string(), "detail": "" });
        (status, Json(body)).into_response()
    }
}

impl<E: Into<Refusal>> From<ActError<E>> for Refusal {
    fn from(error: ActError<E>) -> Self {
        match error {
            ActError::Refused(reason) => reason.into(),
            ActError::Store(error) => {
                tracing::error!(%error, "the payments cannot be stored");
                Self::Store
            }
        }
    }
}

/// The routes of the payments.
pub(crate) fn routes(desk: Arc<Desk<Office>>) -> Router {
    let own = Router::new()
        .route("/payments/deaths", post(record_death))
        .route("/payments/{month}", get(show))
        .route("/payments/{month}/close", post(close))
        .layer(DefaultBodyLimit::max(ENTITLEMENTS_MAX_BYTES))
        .with_state(desk.clone());
    own.merge(::payments::inbox::routes(desk))
}

async fn close(
    State(desk): State<Arc<Desk<Office>>>,
    Path(month): Path<String>,
    body: axum::body::Bytes,
) -> Result<Json<Value>, Refusal> {
    let month = month.parse().map_err(|_| Refusal::Month)?;
    let request: CloseRequest = serde_json::from_slice(&body)
        .map_err(|_| Refusal::Shape("{\"entitlements\": […]}, PINFL, 20 digits, whole soum"))?;
    desk.act(|office| office.close(month, request.entitlements)).await?;
    tracing::info!(%month, "month closed");
    shown(&desk, month).await
}

async fn show(
    State(desk): State<Arc<Desk<Office>>>,
    Path(month): Path<String>,
) -> Result<Json<Value>, Refusal> {
    shown(&desk, month.parse().map_err(|_| Refusal::Month)?).await
}

async fn record_death(
    State(desk): State<Arc<Desk<Office>>>,
    body: axum::body::Bytes,
) -> Result<Json<Value>, Refusal> {
    let death: Death =
        serde_json::from_slice(&body).map_err(|_| Refusal::Shape("{\"pinfl\": \"14 digits\"}"))?;
    let recorded = desk.act(|office| Ok::<_, Refusal>(office.record_death(death.pinfl))).await?;
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

async fn shown(desk: &Desk<Office>, month: Month) -> Result<Json<Value>, Refusal> {
    let summary = desk.look(|office| office.summary(month)).await.ok_or(Refusal::Unknown)?;
    let waiting = desk.outgoing_count().await;
    Ok(Json(json!({ "month": month, "summary": summary, "unanswered_count": waiting })))
}
