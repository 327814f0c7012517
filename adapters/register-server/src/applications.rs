//! Applications over HTTP, kept in the store:
//!
//! | request | does |
//! |---|---|
//! | `POST /applications` `{"pinfl": "…"}` | files an application of today, or of `filed_on`, with its preliminary rating |
//! | `GET /applications/{id}` | shows it with what is to be done next |
//! | `POST /applications/{id}/questionnaire` | takes the home questionnaire |
//! | `POST /applications/{id}/final-rating` | asks the sources again and rates finally |
//! | `POST /applications/{id}/notice` | says that the notice was sent |
//! | `GET /profiles/{id}` | the very bytes of a profile that a rating rests on |
//! | `GET /overdue`, `GET /overdue?by=2026-03-31` | what was due before today, or is due by a day |
//! | `POST /monitoring` `{"month": "2026-04"}` | begins a month's monitoring, or resumes it |
//! | `POST /monitoring/{month}/stop` | stops it after the families under way |
//! | `GET /monitoring/{month}` | its progress in counts, and the families that it stopped |
//!
//! One application per family and month holds by claims: a document for each member and month, whose
//! id only one application can have. It is written in the commit that files the application.

pub(crate) mod documents;
mod filing;
mod lists;
pub(crate) mod monitoring;
pub(crate) mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use register::application::timetable::Timetable;
use register_store::{Store, StoreConfig};
use tokio::sync::Notify;

use crate::api::Register;
use crate::server::StartError;

pub(crate) use documents::Filed;
pub(crate) use filing::file_application;
pub(crate) use refusal::Refusal;

/// What the handlers of applications share.
pub(crate) struct Applications {
    pub(crate) store: Store,
    pub(crate) timetable: Timetable,
    /// Wakes the task of monitoring.
    wake: Notify,
}

impl Applications {
    /// Opens the store.
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StartError> {
        let timetable = Timetable::built_in()?;
        Ok(Self { store: Store::open(config).await?, timetable, wake: Notify::new() })
    }
}

/// The routes of applications.
pub(crate) fn routes() -> Router<Arc<Register>> {
    Router::new()
        .route("/applications", post(filing::file))
        .route("/applications/{id}", get(lists::application))
        .route("/applications/{id}/questionnaire", post(filing::questionnaire))
        .route("/applications/{id}/final-rating", post(filing::final_rating))
        .route("/applications/{id}/notice", post(filing::notice))
        .route("/profiles/{id}", get(lists::profile))
        .route("/overdue", get(lists::overdue))
        .route("/monitoring", post(monitoring::begin))
        .route("/monitoring/{month}", get(monitoring::progress))
        .route("/monitoring/{month}/stop", post(monitoring::stop))
}
