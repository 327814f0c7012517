//! Why a request about applications is refused. No text repeats what the caller sent.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use register::application::NotAllowed;
use register_store::StoreError;

use crate::api;

/// Why a request about applications is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Profile(#[from] api::Refusal),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the request is refused: {0}")]
    Shape(&'static str),
    #[error("the register has no {0} with this identifier; check it")]
    Unknown(&'static str),
    #[error(
        "a member of this family is in another application that counts for {month}: {first}; \
         this one is refused; look at both"
    )]
    Duplicate { month: register::month::Month, first: String },
    #[error("this family is supported until {until} by application {first}; apply again for then")]
    Supported { until: register::month::Month, first: String },
    #[error("this register keeps no applications; set `[store]` in its configuration")]
    NoStore,
    #[error("register: an own profile cannot be read back; report this as a defect")]
    Defect,
}

impl Refusal {
    /// Status and problem type.
    pub(crate) fn status_and_type(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Profile(refusal) => refusal.status_and_type(),
            Self::NotAllowed(NotAllowed::NoCalendar { .. }) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "register.no_calendar")
            }
            Self::NotAllowed(NotAllowed::OutOfTurn { .. }) => {
                (StatusCode::CONFLICT, "register.out_of_turn")
            }
            Self::NotAllowed(NotAllowed::EntryClosed { .. }) => {
                (StatusCode::CONFLICT, "register.entry_closed")
            }
            Self::NotAllowed(_) | Self::Shape(_) => {
                (StatusCode::BAD_REQUEST, "register.bad_request")
            }
            Self::Store(StoreError::Conflict { .. }) => {
                (StatusCode::CONFLICT, "register.changed_meanwhile")
            }
            Self::Store(StoreError::Erased { .. }) => (StatusCode::GONE, "register.erased"),
            Self::Store(StoreError::Unavailable { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "register.store_unavailable")
            }
            Self::Store(_) | Self::Defect => {
                (StatusCode::INTERNAL_SERVER_ERROR, "register.internal_error")
            }
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "register.unknown"),
            Self::Duplicate { .. } | Self::Supported { .. } => {
                (StatusCode::CONFLICT, "register.duplicate")
            }
            Self::NoStore => (StatusCode::SERVICE_UNAVAILABLE, "register.no_store"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, problem) = self.status_and_type();
        if status.is_server_error() {
            tracing::error!(problem, cause = %self, "a request about applications failed");
        }
        let body = serde_json::json!({"type": problem, "message": self.to_string(), "detail": ""});
        (status, axum::Json(body)).into_response()
    }
}
