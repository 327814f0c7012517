//! The two paths of an integrated beneficiary registry (IBR): who is enrolled, and updates of that.
//!
//! Source: SPDCI IBR OpenAPI, `EnrolledRequest`, `EnrolledResponse`, `EnrollmentUpdatesRequest`,
//! `EnrollmentUpdatesResponse`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value as Json, json};
use std::sync::Arc;

use crate::api::{at_once, partner};
use crate::codes::{ErrorCode, Refusal};
use crate::envelope::Status;
use crate::limits::REQUESTS_MAX_COUNT;
use crate::registry::Registry;
use crate::search::{SearchMessage, check_id};
use crate::service::{Service, unavailable};

/// The kind of records that these paths are about.
pub const BENEFICIARY: &str = "Beneficiary";

pub(crate) fn routes<R: Registry>() -> Router<Arc<Service<R>>> {
    Router::new()
        .route("/registry/sync/enrolled", post(enrolled::<R>))
        // Its path in earlier releases of the document.
        .route("/registry/enrolled", post(enrolled::<R>))
        .route("/registry/sync/enrollment/updates", post(updates::<R>))
}

async fn enrolled<R: Registry>(
    Shared(service): Shared<Arc<Service<R>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = async {
        let partner = partner(&service, &headers)?;
        let received = service.read(partner, ("search", false), &body)?;
        if service.registry.description().kind(Some(BENEFICIARY), None).is_none() {
            return Err(not_here());
        }
        let search = as_search(&received.message, &received.header.message_ts)?;
        let read = SearchMessage::read(&search, None)?;
        let parts = (read.transaction_id.as_str(), Vec::new());
        let transaction = service.transaction(partner, &received, parts)?;
        service.begin(&transaction, None).await?;
        let id = &transaction.correlation_id;
        let answer = read.answer(&service.registry, id, service.clock.now()).await;
        let (status, message) = answer.map_err(|fault| unavailable(&fault))?;
        service.settle(id, &message).await?;
        service.seal(partner, "on-search", (status, 1, &message))
    };
    at_once(&service, "on-search", answered.await)
}

/// The question who is enrolled as a search for beneficiaries.
fn as_search(message: &Json, timestamp: &str) -> Result<Json, Refusal> {
    let shape = || Refusal::bad("sender: the message is not an EnrolledRequest; correct it");
    let criteria = message.get("enrolled_criteria").and_then(Json::as_object).ok_or_else(shape)?;
    let transaction_id = message.get("transaction_id").and_then(Json::as_str).ok_or_else(shape)?;
    let mut criteria = criteria.clone();
    criteria.insert("reg_record_type".to_owned(), BENEFICIARY.into());
    criteria.remove("response_entity");
    Ok(json!({"transaction_id": transaction_id, "search_request": [{
        "reference_id": transaction_id, "timestamp": timestamp, "search_criteria": criteria,
    }]}))
}

async fn updates<R: Registry>(
    Shared(service): Shared<Arc<Service<R>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = async {
        let partner = partner(&service, &headers)?;
        let received = service.read(partner, ("notify", false), &body)?;
        let shape = "sender: the message is not an EnrollmentUpdatesRequest with 1 to 100 \
                     beneficiaries; correct it";
        let of = |name: &str| received.message.get(name);
        let transaction_id = of("transaction_id").and_then(Json::as_str);
        let list =
            of("enrolled_updates").and_then(|updates| updates.get("beneficiaries")?.as_array());
        let list = list.filter(|list| (1..=REQUESTS_MAX_COUNT).contains(&list.len()));
        let (transaction_id, list) = transaction_id.zip(list).ok_or_else(|| Refusal::bad(shape))?;
        check_id(transaction_id)?;
        let transaction = service.transaction(partner, &received, (transaction_id, Vec::new()))?;
        service.begin(&transaction, None).await?;
        let taken = service.registry.enrol(&partner.id, list).await;
        let taken = taken.map_err(|fault| unavailable(&fault))?.ok_or_else(not_here)?;
        let now = service.clock.now().to_rfc3339();
        let entry = |(at, taken): (usize, &Result<(), String>)| match taken {
            Ok(()) => json!({"reference_id": at.to_string(), "timestamp": now, "status": "succ"}),
            Err(reason) => json!({"reference_id": at.to_string(), "timestamp": now,
                "status": "rjct", "status_reason_message": reason}),
        };
        let entries: Vec<Json> = taken.iter().enumerate().map(entry).collect();
        let succeeded = taken.iter().any(Result::is_ok);
        let status = if succeeded { Status::Succeeded } else { Status::Rejected };
        let message = json!({"transaction_id": transaction_id,
            "correlation_id": transaction.correlation_id, "enrolled_response": entries});
        service.settle(&transaction.correlation_id, &message).await?;
        service.seal(partner, "notify", (status, list.len(), &message))
    };
    at_once(&service, "notify", answered.await)
}

fn not_here() -> Refusal {
    let text = "sender: this registry is none of beneficiaries; ask one that is";
    Refusal::new(ErrorCode::NotFound, text)
}
