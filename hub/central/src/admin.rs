//! The administrator's listener, on loopback only: publishing a whole content.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use hub_witness::Alarm;
use schemas::configuration::Content;
use schemas::limits::CONFIGURATION_MAX_BYTES;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::CentralError;
use crate::publisher::Served;
use crate::witness::Witnessing;

/// Contents that wait for the publisher; a publication takes milliseconds and has one
/// administrator.
pub(crate) const WAITING_COUNT: usize = 8;

/// A content to publish, and where the outcome goes.
pub(crate) struct Publication {
    pub(crate) content: Content,
    pub(crate) outcome: oneshot::Sender<Result<(), CentralError>>,
}

#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) publications: mpsc::Sender<Publication>,
    pub(crate) served: Served,
    pub(crate) witnessing: Arc<Witnessing>,
}

/// The routes of the admin listener. Bodies are `application/json` only, which a browser does not
/// send across origins without asking first.
pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/admin/v1/content", get(content).post(publish))
        .route("/admin/v1/alarms", get(alarms))
        .layer(DefaultBodyLimit::max(CONFIGURATION_MAX_BYTES))
        .with_state(admin)
}

/// The content of the newest version, to be edited and posted back.
async fn content(State(admin): State<Admin>) -> Response {
    match admin.served.load().as_ref() {
        Some(in_force) => Json(&in_force.document().content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Split views with both checkpoints as signed, so that anyone can verify them offline.
async fn alarms(State(admin): State<Admin>) -> Response {
    let list: Vec<_> = admin.witnessing.alarms.all().iter().map(Alarm::to_json).collect();
    Json(json!({ "alarms": list })).into_response()
}

async fn publish(
    State(admin): State<Admin>,
    body: Result<Json<Content>, JsonRejection>,
) -> Response {
    let Json(content) = match body {
        Ok(content) => content,
        Err(refused) => {
            let error = CentralError::ContentText(refused.body_text()).to_string();
            return (refused.status(), Json(json!({ "error": error }))).into_response();
        }
    };
    let (outcome, answer) = oneshot::channel();
    let sent = admin.publications.send(Publication { content, outcome }).await;
    let answer = match sent {
        Ok(()) => answer.await.unwrap_or(Err(CentralError::Stopping)),
        Err(_) => Err(CentralError::Stopping),
    };
    match answer {
        Ok(()) => {
            let served = admin.served.load();
            let version = served.as_ref().map(|in_force| in_force.version());
            let hash = served.as_ref().map(|in_force| in_force.hash());
            Json(json!({ "version": version, "hash": hash })).into_response()
        }
        Err(refused) => {
            (status(&refused), Json(json!({ "error": refused.to_string() }))).into_response()
        }
    }
}

fn status(refused: &CentralError) -> StatusCode {
    match refused {
        CentralError::Content(_) | CentralError::ContentText(_) => StatusCode::UNPROCESSABLE_ENTITY,
        CentralError::ContentIsToml(_) => StatusCode::CONFLICT,
        CentralError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
