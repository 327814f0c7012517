//! What a caller of the desk is told when something is refused or fails.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use register::access::Denied;
use register::card::answer::NotWritten;
use register::card::{CardRefused, NotReceived};
use register::ecase::{NotAGround, StepRefused};
use register::life_event::EventRefused;
use register_store::StoreError;

use crate::applications;

/// A refusal in the form of X-Road's error objects. No text repeats what the caller sent.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    problem: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, problem: &'static str, message: String) -> Self {
        Self { status, problem, message }
    }

    /// The problem type.
    pub(crate) fn kind(&self) -> &'static str {
        self.problem
    }

    pub(crate) fn bad_request(form: &'static str) -> Self {
        let message = format!("the request is not as it should be: {form}; correct it");
        Self::new(StatusCode::BAD_REQUEST, "register.bad_request", message)
    }

    pub(crate) fn no_record(what: &'static str) -> Self {
        let message = format!("the register has no such {what}; check its identifier");
        Self::new(StatusCode::NOT_FOUND, "register.no_record", message)
    }

    pub(crate) fn exists(message: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, "register.exists", message.to_owned())
    }

    pub(crate) fn changed() -> Self {
        let message = "another was faster; read it again and repeat what is still to be done";
        Self::new(StatusCode::CONFLICT, "register.changed", message.to_owned())
    }

    pub(crate) fn not_set_up(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "register.not_set_up", message.to_owned())
    }

    pub(crate) fn forbidden(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "register.access_denied", message.to_owned())
    }

    pub(crate) fn no_randomness() -> Self {
        let message = "the register's machine gives no randomness; tell its administrator";
        Self::internal(message.to_owned())
    }

    pub(crate) fn internal(message: String) -> Self {
        tracing::error!(message, "the register's desk failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "register.internal_error", message)
    }

    fn unavailable(message: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "register.store_unavailable", message)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "register.access_denied", denied.to_string())
    }
}

impl From<StepRefused> for Problem {
    fn from(refused: StepRefused) -> Self {
        Self::new(StatusCode::CONFLICT, "register.step_refused", refused.to_string())
    }
}

impl From<CardRefused> for Problem {
    fn from(refused: CardRefused) -> Self {
        Self::new(StatusCode::CONFLICT, "register.card_refused", refused.to_string())
    }
}

impl From<NotReceived> for Problem {
    fn from(refused: NotReceived) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "register.bad_request", refused.to_string())
    }
}

impl From<EventRefused> for Problem {
    fn from(refused: EventRefused) -> Self {
        Self::new(StatusCode::CONFLICT, "register.event_refused", refused.to_string())
    }
}

impl From<NotAGround> for Problem {
    fn from(refused: NotAGround) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "register.bad_request", refused.to_string())
    }
}

impl From<applications::Refusal> for Problem {
    fn from(refused: applications::Refusal) -> Self {
        let (status, problem) = refused.status_and_type();
        Self::new(status, problem, refused.to_string())
    }
}

impl From<NotWritten> for Problem {
    fn from(defect: NotWritten) -> Self {
        Self::internal(defect.to_string())
    }
}

impl From<pki::signer::KeyError> for Problem {
    fn from(failed: pki::signer::KeyError) -> Self {
        Self::internal(failed.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(failed: StoreError) -> Self {
        match failed {
            StoreError::Conflict { .. } => Self::changed(),
            StoreError::Erased { .. } => {
                let message = "what was kept about this person has been erased, as was decided";
                Self::new(StatusCode::GONE, "register.erased", message.to_owned())
            }
            StoreError::Refused { cause, repair, .. } => {
                let message = format!("the register cannot keep this: {cause}; {repair}");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "register.too_large", message)
            }
            other => {
                tracing::error!(error = %other, "the register's store fails");
                let message = "the register's store does not do its part; ask again later, and tell \
                               the register's administrator";
                Self::unavailable(message.to_owned())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({"type": self.problem, "message": self.message, "detail": ""});
        (self.status, axum::Json(body)).into_response()
    }
}
