//! The HTTP interface: `POST /profiles` and `GET /health`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::civil::Date;
use register::case::{DECLARED_MAX_COUNT, Declared};
use register::day::tashkent_day;
use register::profile::{NotCanonical, Profile, SealedProfile};
use register::rules::{RuleError, Rulebook};
use schemas::clock::Clock;
use schemas::limits::CODE_MAX_BYTES;
use schemas::pinfl::{NotAPinfl, Pinfl};
use serde::Deserialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::applications::{self, Applications};
use crate::collect::{Application, Collector, Parties, WatchedSource};
use crate::config::RegisterConfig;
use crate::hub_client::{HubClient, Ticket};
use crate::spdci::Social;

/// Bytes of a request: an identifier, a date and all declared incomes fit twice.
pub(crate) const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// The officer who asks, passed on so that the exchanges name who asked.
pub(crate) const USER_ID: HeaderName = HeaderName::from_static("x-road-userid");

/// What all requests share.
pub(crate) struct Register {
    pub(crate) config: RegisterConfig,
    pub(crate) sources: Vec<WatchedSource>,
    pub(crate) hub: HubClient,
    pub(crate) clock: Clock,
    pub(crate) rules: Rulebook,
    pub(crate) places: Semaphore,
    /// The store of applications, when there is one.
    pub(crate) applications: Option<Applications>,
    /// Where families are registered for SPDCI partners.
    pub(crate) social: Option<Social>,
}

/// A request for a profile, as sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileRequest {
    pinfl: String,
    application_date: Option<String>,
    #[serde(default)]
    declared: Vec<Declared>,
}

/// Why a request gets no profile. No text repeats what the caller sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the request is not {{\"pinfl\": \"14 digits\", \"application_date\": \"YYYY-MM-DD\", \
         \"declared\": [{{\"member\", \"month\", \"amount_soum\", \"what\", \"declared_by\"}}]}}; \
         application_date may be left out, and declared too"
    )]
    Shape,
    #[error(
        "the application declares more than {DECLARED_MAX_COUNT} incomes; add them up by month"
    )]
    Declared,
    #[error("the PINFL is refused: {0}; correct it and ask again")]
    Pinfl(#[from] NotAPinfl),
    #[error("application_date is not a date YYYY-MM-DD; correct it or leave it out")]
    Date,
    #[error("X-Road-UserId is refused: send up to 255 printable characters or leave it out")]
    User,
    #[error("{0}")]
    Rules(#[from] RuleError),
    #[error("the register already assembles as many profiles as it may; ask again in a second")]
    Busy,
    #[error(transparent)]
    Defect(#[from] NotCanonical),
    #[error("register: the profile cannot be read back; report this as a defect")]
    Unreadable(#[source] serde_json::Error),
}

impl Refusal {
    /// Status and problem type.
    pub(crate) fn status_and_type(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Shape | Self::Declared => (StatusCode::BAD_REQUEST, "register.bad_request"),
            Self::Pinfl(_) => (StatusCode::BAD_REQUEST, "register.invalid_pinfl"),
            Self::Date => (StatusCode::BAD_REQUEST, "register.invalid_date"),
            Self::User => (StatusCode::BAD_REQUEST, "register.invalid_user"),
            Self::Rules(RuleError::Faulty { .. } | RuleError::Condition { .. })
            | Self::Defect(_)
            | Self::Unreadable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "register.internal_error"),
            Self::Rules(_) => (StatusCode::BAD_REQUEST, "register.no_rules_for_date"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "register.busy"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, problem) = self.status_and_type();
        let body = serde_json::json!({"type": problem, "message": self.to_string(), "detail": ""});
        (status, axum::Json(body)).into_response()
    }
}

/// The routes of a register.
pub(crate) fn routes(register: Arc<Register>) -> Router {
    Router::new()
        .route("/profiles", post(profile))
        .route("/health", get(health))
        .merge(applications::routes())
        .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
        .with_state(register)
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({"live": true, "ready": true}))
}

async fn profile(
    State(register): State<Arc<Register>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let request: ProfileRequest = serde_json::from_slice(&body).map_err(|_| Refusal::Shape)?;
    let applicant: Pinfl = request.pinfl.parse()?;
    let day = match request.application_date {
        Some(text) => date(&text).ok_or(Refusal::Date)?,
        None => register.today(),
    };
    let application = Application::new(applicant, day, request.declared)?;
    let sealed = register.answer(application, headers.get(USER_ID).cloned()).await?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, with_hash(&sealed)).into_response())
}

impl Application {
    /// Same application, same bytes, in whatever order its incomes were written down.
    pub(crate) fn new(
        applicant: Pinfl,
        application_date: Date,
        mut declared: Vec<Declared>,
    ) -> Result<Self, Refusal> {
        if declared.len() > DECLARED_MAX_COUNT {
            return Err(Refusal::Declared);
        }
        declared.sort();
        Ok(Self { applicant, application_date, declared })
    }
}

/// A ticket for the calls of one profile, which name who asks.
pub(crate) fn ticket(headers: &HeaderMap) -> Result<Ticket, Refusal> {
    ticket_of(headers.get(USER_ID).cloned())
}

/// As [`ticket`], of an officer.
pub(crate) fn ticket_of(user: Option<HeaderValue>) -> Result<Ticket, Refusal> {
    if user.as_ref().is_some_and(|user| user.len() > CODE_MAX_BYTES || user.to_str().is_err()) {
        return Err(Refusal::User);
    }
    Ok(Ticket { parent: Uuid::new_v4().to_string(), user })
}

/// `YYYY-MM-DD` and nothing after it.
pub(crate) fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

/// `{"hash":…,"profile":…}` with the very bytes that the hash is of.
fn with_hash(sealed: &SealedProfile) -> Vec<u8> {
    let head = format!("{{\"hash\":\"{}\",\"profile\":", sealed.hash());
    [head.as_bytes(), sealed.bytes(), b"}"].concat()
}

impl Register {
    /// Today in Tashkent.
    pub(crate) fn today(&self) -> Date {
        tashkent_day(self.clock.now())
    }

    /// A profile for `user`, within the number that may be under way at once.
    pub(crate) async fn answer(
        &self,
        application: Application,
        user: Option<HeaderValue>,
    ) -> Result<SealedProfile, Refusal> {
        if user.as_ref().is_some_and(|user| user.len() > CODE_MAX_BYTES || user.to_str().is_err()) {
            return Err(Refusal::User);
        }
        let _place = self.places.try_acquire().map_err(|_| Refusal::Busy)?;
        let ticket = Ticket { parent: Uuid::new_v4().to_string(), user };
        self.profile(application, &ticket).await
    }

    pub(crate) async fn profile(
        &self,
        application: Application,
        ticket: &Ticket,
    ) -> Result<SealedProfile, Refusal> {
        let day = application.application_date;
        let rules = self.rules.on(day)?;
        // Figures that are missing for the day refuse the request before any source is asked.
        rules.minimum_consumer_expenditure_on(day)?;
        rules.benefit_on(day)?;
        let Self { config, sources, hub, clock, .. } = self;
        let parties = Parties { config, sources, hub, clock };
        let stopwatch = self.clock.stopwatch();
        let case = Collector::new(parties, ticket, rules, day)?.collect(application).await;
        let profile = Profile::assemble(ticket.parent.clone(), self.clock.now(), case, rules)?;
        tracing::info!(
            profile = ticket.parent,
            members = profile.family.members.len(),
            absent = profile.absent.len(),
            elapsed_us = stopwatch.elapsed_us(),
            "profile assembled"
        );
        if let Some(social) = &self.social
            && let Err(error) = social.register(&profile).await
        {
            // The officer has the profile; the next one of this family registers it.
            tracing::error!(profile = ticket.parent, %error, "a family is not registered for SPDCI");
        }
        Ok(profile.seal()?)
    }
}
