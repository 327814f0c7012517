//! What can be looked at: one application, a kept profile, what is overdue.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header;
use register::application::Application;
use register_store::{StoreQuery, Stored};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Applications;
use super::documents::{Filed, Snapshot};
use super::refusal::Refusal;
use crate::api::{Register, date};

/// Lines of one list.
const LIST_MAX_COUNT: usize = 500;

/// The application with this identifier.
pub(super) async fn read(applications: &Applications, id: &str) -> Result<Stored<Filed>, Refusal> {
    let found = applications.store.get::<Filed>(id).await?;
    found.ok_or(Refusal::Unknown("application"))
}

/// An application as it is shown.
pub(super) fn show(application: &Application) -> Response {
    let body = json!({"application": application, "next": next(application)});
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

/// What is to be done next, without personal data.
pub(super) fn next(application: &Application) -> Value {
    application.duty().map_or(Value::Null, |(duty, due)| json!({"duty": duty, "due": due}))
}

/// A line of a list, without personal data.
fn line(application: &Application) -> Value {
    let state = application.state().word();
    json!({"application": application.id(), "state": state, "next": next(application)})
}

/// `GET /applications/{id}`.
pub(super) async fn application(
    State(register): State<Arc<Register>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    Ok(show(&read(register.kept()?, &id).await?.value.0))
}

/// `GET /profiles/{id}`.
pub(super) async fn profile(
    State(register): State<Arc<Register>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let found = register.kept()?.store.get::<Snapshot>(&id).await?;
    let kept = found.ok_or(Refusal::Unknown("profile"))?.value;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    let body = format!("{{\"hash\":\"{}\",\"profile\":{}}}", kept.hash, kept.profile);
    Ok((headers, body).into_response())
}

/// The query of `GET /overdue`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Overdue {
    /// Last day; yesterday when left out.
    by: Option<String>,
}

/// `GET /overdue`: the longest overdue first.
pub(super) async fn overdue(
    State(register): State<Arc<Register>>,
    Query(query): Query<Overdue>,
) -> Result<Response, Refusal> {
    let applications = register.kept()?;
    let below = match query.by {
        None => register.today(),
        Some(text) => {
            let day = date(&text).and_then(|day| day.tomorrow().ok());
            day.ok_or(Refusal::Shape("`by` is a date YYYY-MM-DD"))?
        }
    };
    let query = StoreQuery::range("due", "", below.to_string()).limit(LIST_MAX_COUNT + 1);
    let mut found = applications.store.find::<Filed>(query).await?;
    let more = found.len() > LIST_MAX_COUNT;
    found.truncate(LIST_MAX_COUNT);
    let lines: Vec<Value> = found.iter().map(|seen| line(&seen.value.0)).collect();
    Ok(axum::Json(json!({"before": below, "lines": lines, "more": more})).into_response())
}
