//! The caseworker's pages: search, and a family with its decision, drawing, income and sources.
//!
//! Plain HTML made here, no script, one style sheet, nothing from elsewhere. A PINFL travels in the
//! body of a form only; a family's URL has an opaque identifier that opens it in its own session.
//! Left out: who the officer is. The register listens on loopback; whatever lets officers in stands
//! in front of it and names them in `X-Road-UserId`.

mod connected;
mod family;
mod frame;
mod search;
mod sections;
mod session;
mod site;
mod visit;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use http::{HeaderMap, StatusCode, Uri, header};
use jiff::civil::Date;
use maud::html;
use schemas::pinfl::Pinfl;
use serde::Deserialize;

use crate::api::{REQUEST_MAX_BYTES, Refusal, Register, date};
use crate::collect::Application;
use crate::config::PagesConfig;
pub(crate) use connected::Connected;
use search::{Entered, Problem};
use sections::Answer;
pub(crate) use sections::{Sections, Unconnected};
use session::{Sessions, Shown};
pub(crate) use site::Site;
use visit::Visit;
use words::Dictionary;

/// The words of this build are faulty.
#[derive(Debug, thiserror::Error)]
#[error(
    "register: a file of the pages' words lacks a key or has one too many; report this as a defect"
)]
pub struct FaultyWords(#[from] toml::de::Error);

/// What all pages share.
pub(crate) struct Pages {
    register: Arc<Register>,
    sessions: Sessions,
    dictionary: Dictionary,
    site: Site,
    sections: Box<dyn Sections>,
}

/// The routes of the pages of a register that listens on `address`.
///
/// # Errors
/// [`FaultyWords`] never in a tested build.
pub(crate) fn routes(
    register: Arc<Register>,
    config: &PagesConfig,
    address: SocketAddr,
    sections: Box<dyn Sections>,
) -> Result<Router, FaultyWords> {
    let site = config.site().unwrap_or_else(|| Site::at(address));
    let pages = Pages {
        register,
        sessions: Sessions::default(),
        dictionary: Dictionary::built_in()?,
        site: site.clone(),
        sections,
    };
    Ok(Router::new()
        .route("/pages", get(start))
        .route("/pages/search", post(search))
        .route("/pages/families/{identifier}", get(family))
        .route("/pages/families/{identifier}/again", post(again))
        .route("/pages/families/{identifier}/proposals/{proposal}/application", post(file))
        .route("/pages/families/{identifier}/proposals/{proposal}/refusal", post(refuse))
        .route("/pages/style.css", get(style))
        .route("/pages/{*rest}", get(unknown))
        .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
        .layer(from_fn_with_state(site, site::fence))
        .with_state(Arc::new(pages)))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], frame::STYLE)
}

async fn start(State(pages): State<Arc<Pages>>, headers: HeaderMap, uri: Uri) -> Response {
    search::form(&Visit::new(&pages, &headers, &uri), None)
}

async fn unknown(State(pages): State<Arc<Pages>>, headers: HeaderMap, uri: Uri) -> Response {
    let visit = Visit::new(&pages, &headers, &uri);
    refused(&visit, StatusCode::NOT_FOUND, &visit.words.no_page)
}

async fn search(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    uri: Uri,
    entered: Result<Form<Entered>, FormRejection>,
) -> Response {
    let visit = Visit::new(&pages, &headers, &uri);
    let Ok(Form(entered)) = entered else {
        return refused(&visit, StatusCode::BAD_REQUEST, &visit.words.expired);
    };
    if !visit.ticket.admits(&entered.token) {
        return search::form(&visit, Some((&entered, &Problem::expired(visit.words))));
    }
    match pages.ask_for(&visit, &entered).await {
        Ok(shown) => pages.keep_and_go(&visit, shown),
        Err(refusal) => {
            let problem = Problem::of(&refusal, visit.words);
            search::form(&visit, Some((&entered, &problem)))
        }
    }
}

async fn family(
    State(pages): State<Arc<Pages>>,
    Path(identifier): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let mut visit = Visit::new(&pages, &headers, &uri);
    let Some(shown) = pages.sessions.find(&visit.ticket, &identifier) else {
        return refused(&visit, StatusCode::NOT_FOUND, &visit.words.gone);
    };
    visit.place = format!("/pages/families/{identifier}");
    family::show(&visit, &identifier, &shown, pages.sections.as_ref()).await
}

/// The form that asks the agencies again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    token: String,
}

async fn again(
    State(pages): State<Arc<Pages>>,
    Path(identifier): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    form: Result<Form<Again>, FormRejection>,
) -> Response {
    let visit = Visit::new(&pages, &headers, &uri);
    let admitted = form.is_ok_and(|Form(form)| visit.ticket.admits(&form.token));
    let shown = pages.sessions.find(&visit.ticket, &identifier).filter(|_| admitted);
    let Some(shown) = shown else {
        return refused(&visit, StatusCode::NOT_FOUND, &visit.words.gone);
    };
    let case = &shown.profile.case;
    match pages.assemble(&visit, case.applicant, case.application_date).await {
        Ok(shown) => pages.keep_and_go(&visit, shown),
        Err(refusal) => {
            let problem = Problem::of(&refusal, visit.words);
            refused(&visit, problem.status, problem.text())
        }
    }
}

async fn file(
    State(pages): State<Arc<Pages>>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    form: Result<Form<Again>, FormRejection>,
) -> Response {
    let form = form.ok().map(|Form(form)| (form.token, Answer::File));
    answer(&pages, &Visit::new(&pages, &headers, &uri), path, form).await
}

/// The form that closes a proposal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    token: String,
    reason: String,
}

async fn refuse(
    State(pages): State<Arc<Pages>>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    form: Result<Form<Closing>, FormRejection>,
) -> Response {
    let form = form.ok().map(|Form(form)| (form.token, Answer::Refuse(form.reason)));
    answer(&pages, &Visit::new(&pages, &headers, &uri), path, form).await
}

/// Takes an officer's answer to a proposal and leads back to the family.
async fn answer(
    pages: &Pages,
    visit: &Visit<'_>,
    (identifier, proposal): (String, String),
    form: Option<(String, Answer)>,
) -> Response {
    let words = visit.words;
    let admitted = form.filter(|(token, _)| visit.ticket.admits(token));
    let shown = pages.sessions.find(&visit.ticket, &identifier);
    let (Some((_, answer)), Some(shown)) = (admitted, shown) else {
        return refused(visit, StatusCode::NOT_FOUND, &words.gone);
    };
    let whose = (&shown.profile, visit.user.clone());
    match pages.sections.answer(&proposal, answer, whose).await {
        Ok(()) => {
            let place = format!("/pages/families/{identifier}#proposals");
            (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
        }
        Err(problem) => {
            let (status, text) = match problem {
                "register.access_denied" => (StatusCode::FORBIDDEN, &words.denied_role),
                "register.entry_closed" => (StatusCode::CONFLICT, &words.entry_closed),
                "register.proposal_closed" | "register.changed" => {
                    (StatusCode::CONFLICT, &words.proposal_answered)
                }
                "register.bad_request" => (StatusCode::BAD_REQUEST, &words.reason_wrong),
                "register.busy" => (StatusCode::SERVICE_UNAVAILABLE, &words.busy),
                _ => (StatusCode::INTERNAL_SERVER_ERROR, &words.not_answered),
            };
            tracing::warn!(problem, "a proposal was not answered");
            refused(visit, status, text)
        }
    }
}

/// A page that says what did not work and leads back to the search.
fn refused(visit: &Visit<'_>, status: StatusCode, text: &str) -> Response {
    let words = visit.words;
    let body = html! {
        p { (text) }
        p { a href="/pages" { (words.search_again) } }
    };
    frame::page(visit, status, &words.refused, &body)
}

impl Pages {
    async fn ask_for(&self, visit: &Visit<'_>, entered: &Entered) -> Result<Shown, Refusal> {
        // People copy a PINFL with its gaps.
        let digits: String = entered.pinfl.split_whitespace().collect();
        let applicant: Pinfl = digits.parse()?;
        let day = match entered.day.as_str() {
            "" => self.register.today(),
            text => date(text).ok_or(Refusal::Date)?,
        };
        self.assemble(visit, applicant, day).await
    }

    async fn assemble(
        &self,
        visit: &Visit<'_>,
        applicant: Pinfl,
        day: Date,
    ) -> Result<Shown, Refusal> {
        let application = Application::new(applicant, day, Vec::new())?;
        let shown = self.register.answer(application, visit.user.clone()).await;
        let shown = shown.and_then(|sealed| {
            // What is shown is what the hash is of.
            let profile = serde_json::from_slice(sealed.bytes()).map_err(Refusal::Unreadable)?;
            Ok(Shown { profile, hash: sealed.hash() })
        });
        shown.inspect_err(|refusal| {
            let (status, problem) = refusal.status_and_type();
            if status.is_server_error() {
                tracing::error!(problem, cause = %refusal, "page got no profile");
            }
        })
    }

    /// Keeps the profile and sends the browser to its page, so that reloading asks nobody again.
    fn keep_and_go(&self, visit: &Visit<'_>, shown: Shown) -> Response {
        let identifier = self.sessions.keep(&visit.ticket, shown);
        let place = format!("/pages/families/{identifier}");
        (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
    }
}
