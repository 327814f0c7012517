//! Where the applicant is paid, as she has declared it, and what became of her application's lines,
//! newest first.
//!
//! The account is declared with an application and kept for the person: a renewal is paid to it too. The
//! bank is asked about it when a month is closed; one that is not hers or not open holds the line. It is
//! not taken from the banks' sources of profiles: they answer whether deposits reach a threshold, and
//! which account a person wants to be paid to is hers to say (I).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use register::application::Application;
use register::payment::due::DeclaredAccount;
use register::payment::line::{FamilyId, LineState};
use register_store::{Changes, Entity, StoreKey};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Paying;
use super::refusal::Refusal;
use crate::applications::documents::Filed;
use crate::applications::refusal;

/// A person's account.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountDocument {
    /// The store's pseudonym of the person: there is one for each.
    id: String,
    owner: Pinfl,
    pub(super) declared: DeclaredAccount,
    at: UnixMillis,
}

impl Entity for AccountDocument {
    const KIND: &'static str = "payment-account";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        Some(self.owner)
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// `POST /applications/{id}/account`.
pub(super) async fn declare(
    State(paying): State<Paying>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let form = "{\"account\": \"20 digits\", \"branch\": \"1 to 64 characters\"}";
    let declared: DeclaredAccount =
        serde_json::from_slice(&body).map_err(|_| Refusal::Shape(form))?;
    let owner = paying.application(&id).await?.applicant();
    let store = &paying.register.kept()?.store;
    let document = AccountDocument {
        id: store.pseudonym(&owner),
        owner,
        declared,
        at: paying.register.clock.now(),
    };
    let changes = match store.get::<AccountDocument>(&document.id).await? {
        None => Changes::new().insert(&document)?,
        Some(mut seen) => {
            seen.value = document;
            Changes::new().update(&seen)?
        }
    };
    store.commit(changes).await?;
    Ok(Json(json!({ "declared": true })))
}

/// `GET /applications/{id}/payments`.
pub(super) async fn lines(
    State(paying): State<Paying>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let application = paying.application(&id).await?;
    let unknown = |_| refusal::Refusal::Unknown("payment");
    let family: FamilyId = application.id().parse().map_err(unknown)?;
    let applicant = application.applicant();
    let lines = paying.desk.look(|office| {
        let lines = office.paid_to(applicant).filter(|(line, _)| line.claim.family == family);
        let lines = lines.map(|(line, state)| {
            let rolled_over_to = match &line.state {
                LineState::Held { rolled_over_to, .. }
                | LineState::Uncollected { rolled_over_to } => rolled_over_to.as_ref(),
                _ => None,
            };
            json!({
                "line": line.id, "month": line.claim.month, "benefit": line.claim.benefit,
                "amount_soum": line.amount_soum, "ground": line.ground,
                "state": state, "rolled_over_to": rolled_over_to,
            })
        });
        lines.collect::<Vec<Value>>()
    });
    Ok(Json(json!({ "lines": lines.await })))
}

impl Paying {
    async fn application(&self, id: &str) -> Result<Application, Refusal> {
        let found = self.register.kept()?.store.get::<Filed>(id).await?;
        Ok(found.ok_or(refusal::Refusal::Unknown("application"))?.value.0)
    }
}
