//! Closes a month: every application is looked at, in the order of their ids, and every family is paid
//! or left out for a reason. Same decisions, accounts and deaths, same lines.
//!
//! What changes while applications are read counts or does not, each as a whole; a death that comes
//! later blocks its line when the bank asks for the release.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use register::application::Application;
use register::month::Month;
use register::payment::closing::{CloseError, Entitlement};
use register::payment::due::{DeclaredAccount, FamilyDue, LeftOut, MonthDue};
use register::payment::office::Office;
use register_store::{Store, StoreError, StoreQuery};
use schemas::limits::STORE_QUERY_MAX_COUNT;
use serde::Deserialize;
use serde_json::Value;

use super::account::AccountDocument;
use super::refusal::Refusal;
use super::{Paying, shown};
use crate::applications::Applications;
use crate::applications::documents::{Filed, Monitoring, Progress};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseRequest {
    /// Lines that no stored decision says.
    corrections: Vec<Entitlement>,
}

/// `POST /payments/{month}/close`.
pub(super) async fn close(
    State(paying): State<Paying>,
    Path(month): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let month: Month = month.parse().map_err(|_| Refusal::Month)?;
    let form = "no body, or {\"corrections\": […]}, PINFL, 20 digits, whole soum";
    let request: CloseRequest = match body.as_ref() {
        [] => CloseRequest::default(),
        given => serde_json::from_slice(given).map_err(|_| Refusal::Shape(form))?,
    };
    let closed = paying.desk.look(|office| office.month(month).is_some()).await;
    if closed && request.corrections.is_empty() {
        return shown(&paying.desk, month).await;
    }
    if closed {
        return Err(CloseError::Closed(month).into());
    }
    let applications = paying.register.kept()?;
    paying.require_decided(applications, month).await?;
    let mut month_due = paying.collect(&applications.store, month).await?;
    month_due.correct(request.corrections);
    paying.desk.act(|office| office.close(month, month_due)).await?;
    tracing::info!(%month, "month closed");
    shown(&paying.desk, month).await
}

impl Paying {
    /// A month is closed once no application counts for it any more, and its monitoring is not under way.
    async fn require_decided(
        &self,
        applications: &Applications,
        month: Month,
    ) -> Result<(), Refusal> {
        let from = applications.timetable.closing_from(month);
        if self.register.today() < from {
            return Err(Refusal::TooEarly { month, from });
        }
        let monitoring = applications.store.get::<Monitoring>(&month.to_string()).await?;
        if monitoring.is_some_and(|kept| kept.value.progress == Progress::Running) {
            return Err(Refusal::Monitored(month));
        }
        Ok(())
    }

    /// Looks at every application.
    async fn collect(&self, store: &Store, month: Month) -> Result<MonthDue, Refusal> {
        let mut month_due = MonthDue::default();
        let mut query = StoreQuery::all();
        loop {
            let page = store.find::<Filed>(query).await?;
            let has_died = |office: &Office| -> Vec<bool> {
                page.iter().map(|filed| office.has_died(filed.value.0.applicant())).collect()
            };
            let died = self.desk.look(has_died).await;
            for (filed, died) in page.iter().zip(died) {
                match weigh(store, &filed.value.0, month).await? {
                    Ok(_) if died => month_due.leave_out(LeftOut::RecipientDied),
                    Ok((family_due, Some(account))) => month_due.pay(family_due, account),
                    Ok((_, None)) => month_due.leave_out(LeftOut::NoAccount),
                    Err(reason) => month_due.leave_out(reason),
                }
            }
            match page.last() {
                Some(last) if page.len() == STORE_QUERY_MAX_COUNT => {
                    query = StoreQuery::all().after_id(last.value.0.id());
                }
                _ => return Ok(month_due),
            }
        }
    }
}

/// What a family is paid and where, or why it is not.
async fn weigh(
    store: &Store,
    application: &Application,
    month: Month,
) -> Result<Result<(FamilyDue, Option<DeclaredAccount>), LeftOut>, StoreError> {
    let family_due = match FamilyDue::in_force(application, month) {
        Ok(family_due) => family_due,
        Err(reason) => return Ok(Err(reason)),
    };
    let account = store.get::<AccountDocument>(&store.pseudonym(&family_due.recipient())).await?;
    Ok(Ok((family_due, account.map(|kept| kept.value.declared))))
}
