//! Why a request about payments is refused. No text repeats what the caller sent.

use ::payments::desk::ActError;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::civil::Date;
use register::month::Month;
use register::payment::closing::CloseError;
use register_store::StoreError;
use serde_json::json;

use crate::applications::refusal;

/// Why a request about payments is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the month is written YYYY-MM; correct the path")]
    Month,
    #[error("the request has not the form of the documentation; correct it: {0}")]
    Shape(&'static str),
    #[error("families can still be decided on for {month}; close it from {from} on")]
    TooEarly { month: Month, from: Date },
    #[error(
        "monitoring of {0} is under way and may stop families; wait until it is finished, or stop it \
         with POST /monitoring/{0}/stop"
    )]
    Monitored(Month),
    #[error(transparent)]
    Close(#[from] CloseError),
    #[error("the register has not closed this month; close it first")]
    Unknown,
    #[error(transparent)]
    Kept(#[from] refusal::Refusal),
    #[error("the register cannot store at present; see its log and send again")]
    Store,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = self.to_string();
        let (status, problem) = match self {
            Self::Kept(refusal) => return refusal.into_response(),
            Self::Month | Self::Shape(_) => (StatusCode::BAD_REQUEST, "register.bad_request"),
            Self::Close(_) | Self::TooEarly { .. } | Self::Monitored(_) => {
                (StatusCode::CONFLICT, "register.month_not_closed")
            }
            Self::Unknown => (StatusCode::NOT_FOUND, "register.month_unknown"),
            Self::Store => (StatusCode::SERVICE_UNAVAILABLE, "register.store_unavailable"),
        };
        let body = json!({ "type": problem, "message": message, "detail": "" });
        (status, Json(body)).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(failed: StoreError) -> Self {
        Self::Kept(failed.into())
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
