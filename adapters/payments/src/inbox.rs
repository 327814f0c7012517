//! Takes messages from the party's own hub, which has checked who sends them and whether they may.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, Uri};
use register::payment::message::{Answer, Message, Role};
use register::payment::party::{Party, Refusal};
use serde_json::json;

use crate::contract;
use crate::desk::{Desk, DeskError};

/// Bytes of a message: a hundred lines of a statement are about 30 KiB.
pub const MESSAGE_MAX_BYTES: usize = 256 * 1024;

/// Paths at which a party takes messages.
#[must_use]
pub fn paths(role: Role) -> &'static [&'static str] {
    match role {
        Role::Register => &["/financed-orders", "/releases", "/confirmations"],
        Role::Treasury => &["/payment-orders", "/settlements"],
        Role::Bank => &["/account-checks", "/statements", "/financings"],
    }
}

/// The routes at which a party takes messages, and its contract.
pub fn routes<P>(desk: Arc<Desk<P>>) -> Router
where
    P: Party,
{
    let take = |router: Router<Arc<Desk<P>>>, path: &&str| router.route(path, post(take::<P>));
    let contract = Router::new().route("/openapi.json", get(|| contract::answer(P::ROLE)));
    let router = paths(P::ROLE).iter().fold(contract, take);
    router.layer(DefaultBodyLimit::max(MESSAGE_MAX_BYTES)).with_state(desk)
}

/// A message that is not taken. The text repeats nothing of it.
pub struct NotTaken {
    status: StatusCode,
    error: &'static str,
    message: String,
}

impl NotTaken {
    /// One with an error code of the contract.
    pub(crate) fn new(status: StatusCode, error: &'static str, message: String) -> Self {
        Self { status, error, message }
    }
}

impl IntoResponse for NotTaken {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "message": self.message });
        (self.status, axum::Json(body)).into_response()
    }
}

impl From<DeskError> for NotTaken {
    fn from(error: DeskError) -> Self {
        let (status, code) = match &error {
            DeskError::Refused(Refusal::TooEarly) => (StatusCode::CONFLICT, "too_early"),
            DeskError::Refused(Refusal::Contradicts) => (StatusCode::CONFLICT, "contradicts"),
            DeskError::Refused(_) => (StatusCode::BAD_REQUEST, "bad_message"),
            DeskError::Store(_) => {
                tracing::error!(%error, "a payment message cannot be stored");
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            }
        };
        let message = match &error {
            // The path of a database is nothing for the caller.
            DeskError::Store(_) => "the receiver cannot store at present; send again".to_owned(),
            DeskError::Refused(refusal) => refusal.to_string(),
        };
        Self { status, error: code, message }
    }
}

async fn take<P: Party>(
    State(desk): State<Arc<Desk<P>>>,
    uri: Uri,
    body: Bytes,
) -> Result<axum::Json<Answer>, NotTaken> {
    let message: Option<Message> = serde_json::from_slice(&body).ok();
    // The hub has granted the path, so the message has to be of its kind.
    let message = message.filter(|message| message.path() == uri.path()).ok_or_else(|| {
        let text = "payments: the body is not the message that this path takes; correct the sender";
        NotTaken::new(StatusCode::BAD_REQUEST, "bad_message", text.to_owned())
    })?;
    Ok(axum::Json(desk.receive(&message).await?))
}
