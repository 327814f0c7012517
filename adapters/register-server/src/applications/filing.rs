//! The steps of an application: the sources are asked, the step is taken, everything is kept in
//! one commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use jiff::civil::Date;
use register::application::{Application, Filing, Questionnaire, Stage, State as Stands};
use register::case::Declared;
use register::profile::Profile;
use register_store::{Changes, Store, StoreError, StoreQuery, Stored};
use schemas::pinfl::Pinfl;
use serde::Deserialize;
use uuid::Uuid;

use super::Applications;
use super::documents::{Claim, Filed, Rated, Snapshot};
use super::lists::{read, show};
use super::refusal::Refusal;
use crate::api::{self, Register, USER_ID, ticket, ticket_of};
use crate::card::follow_decision;
use crate::collect::Application as Asked;
use crate::hub_client::Ticket;
use crate::life_event::proposals::answered_by;

/// A filing, as sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilingRequest {
    pinfl: String,
    /// The day on which a paper application was handed in; today when left out.
    #[serde(default)]
    filed_on: Option<Date>,
    /// Incomes that no source knows, as for a profile.
    #[serde(default)]
    declared: Vec<Declared>,
}

impl Register {
    pub(crate) fn kept(&self) -> Result<&Applications, Refusal> {
        self.applications.as_ref().ok_or(Refusal::NoStore)
    }

    /// Adds to a commit what SPDCI partners are told of a step.
    pub(super) fn tell(
        &self,
        changes: Changes,
        before: &Application,
        after: &Application,
    ) -> Result<Changes, StoreError> {
        match &self.social {
            Some(social) => social.tell(changes, before, after),
            None => Ok(changes),
        }
    }

    /// Asks the sources about a family for a day.
    pub(super) async fn rate(
        &self,
        applicant: Pinfl,
        day: Date,
        declared: Vec<Declared>,
        ticket: &Ticket,
    ) -> Result<Rated, Refusal> {
        let asked = Asked::new(applicant, day, declared)?;
        let sealed = self.profile(asked, ticket).await?;
        Rated::new(&sealed).ok_or(Refusal::Defect)
    }
}

/// The incomes that the family has declared, as its last rating had them.
pub(super) async fn declared(
    store: &Store,
    application: &Application,
) -> Result<Vec<Declared>, Refusal> {
    let Some(rating) = application.ratings().last() else { return Ok(Vec::new()) };
    let Some(kept) = store.get::<Snapshot>(&rating.profile).await? else { return Ok(Vec::new()) };
    let profile: Profile =
        serde_json::from_str(&kept.value.profile).map_err(|_| Refusal::Defect)?;
    Ok(profile.case.declared)
}

/// `POST /applications`.
pub(super) async fn file(
    State(register): State<Arc<Register>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let shape = |_| {
        Refusal::Shape(
            "send {\"pinfl\": \"14 digits\"}, with \"filed_on\" and \"declared\" incomes if there are any",
        )
    };
    let request: FilingRequest = serde_json::from_slice(&body).map_err(shape)?;
    let applicant: Pinfl = request.pinfl.parse().map_err(api::Refusal::from)?;
    let user = headers.get(USER_ID).cloned();
    let application =
        file_application(&register, (applicant, request.declared), request.filed_on, user).await?;
    Ok(show(&application))
}

/// Files an application of today, or of an earlier day, with its preliminary rating, and answers what life events have
/// proposed for its family; all in one commit.
pub(crate) async fn file_application(
    register: &Register,
    (applicant, declared): (Pinfl, Vec<Declared>),
    filed_on: Option<Date>,
    user: Option<HeaderValue>,
) -> Result<Application, Refusal> {
    let applications = register.kept()?;
    let day = filed_on.unwrap_or_else(|| register.today());
    if day > register.today() {
        return Err(Refusal::Shape("`filed_on` is a day that has come"));
    }
    // Before any source is asked.
    applications.timetable.counts_for(day)?;
    let by = user.as_ref().and_then(|user| user.to_str().ok()).map(str::to_owned);
    let ticket = ticket_of(user)?;
    let _place = register.places.try_acquire().map_err(|_| api::Refusal::Busy)?;
    let rated = register.rate(applicant, day, declared, &ticket).await?;
    let (id, members) = (Uuid::new_v4().to_string(), rated.members());
    let filing = Filing { id, applicant, members };
    let rating = rated.rating(Stage::Preliminary, day);
    let application = Application::file(filing, rating, &applications.timetable)?;

    let store = &applications.store;
    let mut changes = Changes::new().insert(&rated.snapshot)?;
    for mut before in supported(store, application.members()).await? {
        if let Stands::Registered { until, .. } = before.value.0.state()
            && *until > application.counts_for()
        {
            let first = before.value.0.id().to_owned();
            return Err(Refusal::Supported { until: *until, first });
        }
        before.value.0 = before.value.0.renew(&application)?;
        changes = changes.update(&before)?;
    }
    changes = claim(store, changes, &application, application.members()).await?;
    changes = answered_by(store, changes, &application, (by, register.clock.now())).await?;
    let filed = Filed(application);
    commit(store, changes.insert(&filed)?, &filed.0).await?;
    tracing::info!(application = filed.0.id(), state = filed.0.state().word(), "application filed");
    Ok(filed.0)
}

/// `POST /applications/{id}/questionnaire`.
pub(super) async fn questionnaire(
    State(register): State<Arc<Register>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let applications = register.kept()?;
    let shape = |_| {
        Refusal::Shape(
            "send {\"visited_on\": \"YYYY-MM-DD\", \"family_confirmed\": true, \"note\": \"…\"}",
        )
    };
    let questionnaire: Questionnaire = serde_json::from_slice(&body).map_err(shape)?;
    let mut seen = read(applications, &id).await?;
    let today = register.today();
    let timetable = &applications.timetable;
    seen.value.0 = seen.value.0.take_questionnaire(questionnaire, today, timetable)?;
    applications.store.commit(Changes::new().update(&seen)?).await?;
    Ok(show(&seen.value.0))
}

/// `POST /applications/{id}/final-rating`.
pub(super) async fn final_rating(
    State(register): State<Arc<Register>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let applications = register.kept()?;
    let mut seen = read(applications, &id).await?;
    let before = seen.value.0.clone();
    if !matches!(before.state(), Stands::AwaitsFinalRating { .. }) {
        let (step, state) = ("a final rating", before.state().word());
        return Err(register::application::NotAllowed::OutOfTurn { step, state }.into());
    }
    let ticket = ticket(&headers)?;
    let _place = register.places.try_acquire().map_err(|_| api::Refusal::Busy)?;
    let declared = declared(&applications.store, &before).await?;
    let rated = register.rate(before.applicant(), before.filed_on(), declared, &ticket).await?;
    let rating = rated.rating(Stage::Final, register.today());
    let after = before.clone().rate_finally(rating, rated.members(), &applications.timetable)?;
    // Who has joined the family since then must not be in another application of the month.
    let joined: BTreeSet<Pinfl> = after.members().difference(before.members()).copied().collect();
    let changes = Changes::new().insert(&rated.snapshot)?;
    let mut changes = claim(&applications.store, changes, &after, &joined).await?;
    if after.award() != before.award() {
        changes = follow_decision(&applications.store, changes, &after).await?;
    }
    seen.value.0 = after;
    let changes = register.tell(changes.update(&seen)?, &before, &seen.value.0)?;
    commit(&applications.store, changes, &seen.value.0).await?;
    Ok(show(&seen.value.0))
}

/// `POST /applications/{id}/notice`.
pub(super) async fn notice(
    State(register): State<Arc<Register>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let applications = register.kept()?;
    let mut seen = read(applications, &id).await?;
    seen.value.0 = seen.value.0.send_notice(register.today())?;
    applications.store.commit(Changes::new().update(&seen)?).await?;
    Ok(show(&seen.value.0))
}

/// The applications that a member of the family is supported by and that nobody has renewed.
async fn supported(
    store: &Store,
    members: &BTreeSet<Pinfl>,
) -> Result<Vec<Stored<Filed>>, StoreError> {
    let mut found: Vec<Stored<Filed>> = Vec::new();
    for member in members {
        for seen in store.find::<Filed>(StoreQuery::person("member", *member)).await? {
            let standing =
                matches!(seen.value.0.state(), Stands::Registered { renewed_by: None, .. });
            if standing && found.iter().all(|other| other.value.0.id() != seen.value.0.id()) {
                found.push(seen);
            }
        }
    }
    Ok(found)
}

/// Claims the month for these members. A member whom a late civil registry left out for a while may
/// be claimed by the same application already.
async fn claim(
    store: &Store,
    mut changes: Changes,
    application: &Application,
    members: &BTreeSet<Pinfl>,
) -> Result<Changes, StoreError> {
    let month = application.counts_for();
    for member in members {
        let known = store.get::<Claim>(&Claim::id_of(store, month, *member)).await?;
        if known.is_none_or(|known| known.value.application != application.id()) {
            changes = changes.insert(&Claim::new(store, month, *member, application.id()))?;
        }
    }
    Ok(changes)
}

/// Commits; a claim that another application holds is named.
async fn commit(store: &Store, changes: Changes, application: &Application) -> Result<(), Refusal> {
    let Err(refused) = store.commit(changes).await else { return Ok(()) };
    if matches!(refused, StoreError::Conflict { .. }) {
        let month = application.counts_for();
        for member in application.members() {
            let claim = store.get::<Claim>(&Claim::id_of(store, month, *member)).await?;
            let first = claim.map(|claim| claim.value.application);
            if let Some(first) = first.filter(|first| first != application.id()) {
                return Err(Refusal::Duplicate { month, first });
            }
        }
    }
    Err(refused.into())
}
