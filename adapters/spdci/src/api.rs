//! The paths. Every answer is JSON; a refusal has the HTTP status of its code.
//!
//! A refusal carries both forms that the OpenAPI documents have for it: `errors[]`, and the ACK with
//! `ERR` on asynchronous paths or a rejected header on synchronous ones.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::codes::{ErrorCode, Refusal};
use crate::envelope::{Received, Status};
use crate::jws::Jwk;
use crate::limits::{MESSAGE_MAX_BYTES, TOKEN_LIFETIME};
use crate::partner::Partner;
use crate::registry::Registry;
use crate::search::SearchMessage;
use crate::service::{Service, unavailable};
use crate::state::{Content, Delivery};
use crate::status::StatusMessage;
use crate::subscribe::{SubscribeMessage, UnsubscribeMessage};
use crate::token::Tokens;

type App<R> = Shared<Arc<Service<R>>>;

/// The routes of a registry.
pub fn routes<R: Registry>(service: Arc<Service<R>>) -> Router {
    let later = |action: &'static str, answer: &'static str| {
        post(move |app: App<R>, headers: HeaderMap, body: Bytes| async move {
            later(&app.0, (action, answer), &headers, &body).await
        })
    };
    let taken = |action: &'static str| {
        post(move |app: App<R>, headers: HeaderMap, body: Bytes| async move {
            taken(&app.0, action, &headers, &body)
        })
    };
    Router::new()
        .route("/registry/search", later("search", "on-search"))
        .route("/registry/subscribe", later("subscribe", "on-subscribe"))
        .route("/registry/unsubscribe", later("unsubscribe", "on-unsubscribe"))
        .route("/registry/txn/status", later("txn-status", "txn-on-status"))
        .route("/registry/sync/search", post(sync_search::<R>))
        .route("/registry/sync/txn/status", post(sync_status::<R>))
        .route("/registry/on-search", taken("on-search"))
        .route("/registry/on-subscribe", taken("on-subscribe"))
        .route("/registry/on-unsubscribe", taken("on-unsubscribe"))
        .route("/registry/txn/on-status", taken("txn-on-status"))
        .route("/registry/notify", taken("notify"))
        .merge(crate::beneficiaries::routes::<R>())
        .route("/oauth2/client/token", post(token::<R>))
        .route("/.well-known/jwks.json", get(keys::<R>))
        .layer(DefaultBodyLimit::max(MESSAGE_MAX_BYTES))
        .with_state(service)
}

/// The partner whose token came.
pub(crate) fn partner<'s, R: Registry>(
    service: &'s Service<R>,
    headers: &HeaderMap,
) -> Result<&'s Partner, Refusal> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let tokens = Tokens { key: &service.key, registry: &service.id };
    let partner = tokens.partner(authorization, &service.partners, service.clock.now())?;
    if json.is_some_and(|kind| kind.starts_with("application/json")) {
        return Ok(partner);
    }
    Err(Refusal::bad("sender: only application/json is taken; files are not"))
}

/// A message that is ACKed now and answered by callback.
async fn later<R: Registry>(
    service: &Service<R>,
    (action, answer): (&str, &str),
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let accepted = async {
        let partner = partner(service, headers)?;
        let received = service.read(partner, (action, false), body)?;
        let uri = partner.callback(received.header.sender_uri.as_deref())?;
        let (transaction_id, references, subject) = content(service, action, &received)?;
        let transaction = service.transaction(partner, &received, (&transaction_id, references))?;
        let delivery = Delivery {
            id: transaction.correlation_id.clone(),
            partner: partner.id.clone(),
            uri,
            action: answer.to_owned(),
            subject,
            content: Content::Request(received.message),
            attempts_count: 0,
            due_at: transaction.received_at,
        };
        service.begin(&transaction, Some(&delivery)).await?;
        Ok(transaction.correlation_id)
    };
    match accepted.await {
        Ok(id) => ack(service, &id).into_response(),
        Err(refusal) => refuse_later(service, &refusal),
    }
}

type Parts = (String, Vec<String>, Option<schemas::pinfl::Pinfl>);

/// Transaction id, request ids and the one person of a message, which is thereby checked.
fn content<R: Registry>(
    service: &Service<R>,
    action: &str,
    received: &Received,
) -> Result<Parts, Refusal> {
    let (message, total) = (&received.message, received.header.total_count);
    Ok(match action {
        "search" => {
            let read = SearchMessage::read(message, total)?;
            let subject = service.subject(&read);
            let ids = read.search_request.into_iter().map(|item| item.reference_id).collect();
            (read.transaction_id, ids, subject)
        }
        "subscribe" => {
            let read = SubscribeMessage::read(message, total)?;
            let ids = read.subscribe_request.into_iter().map(|item| item.reference_id).collect();
            (read.transaction_id, ids, None)
        }
        "unsubscribe" => (UnsubscribeMessage::read(message)?.transaction_id, Vec::new(), None),
        _ => {
            let read = StatusMessage::read(message)?;
            (read.transaction_id.clone(), vec![read.reference_id().to_owned()], None)
        }
    })
}

/// A callback for this registry: checked and acknowledged.
fn taken<R: Registry>(
    service: &Service<R>,
    action: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let received = partner(service, headers)
        .and_then(|partner| service.read(partner, (action, true), body))
        .and_then(|received| {
            let id = received.message.get("transaction_id").and_then(Json::as_str).unwrap_or("");
            crate::search::check_id(id)
        });
    match received {
        Ok(()) => {
            tracing::info!(action, "callback acknowledged");
            ack(service, &Uuid::new_v4().to_string()).into_response()
        }
        Err(refusal) => refuse_later(service, &refusal),
    }
}

async fn sync_search<R: Registry>(
    Shared(service): App<R>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = async {
        let partner = partner(&service, &headers)?;
        let received = service.read(partner, ("search", false), &body)?;
        let read = SearchMessage::read(&received.message, received.header.total_count)?;
        let references = read.search_request.iter().map(|item| item.reference_id.clone()).collect();
        let transaction =
            service.transaction(partner, &received, (&read.transaction_id, references))?;
        service.begin(&transaction, None).await?;
        let id = &transaction.correlation_id;
        let answer = read.answer(&service.registry, id, service.clock.now()).await;
        let (status, message) = answer.map_err(|fault| unavailable(&fault))?;
        service.settle(id, &message).await?;
        service.seal(partner, "on-search", (status, read.search_request.len(), &message))
    };
    at_once(&service, "on-search", answered.await)
}

async fn sync_status<R: Registry>(
    Shared(service): App<R>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = async {
        let partner = partner(&service, &headers)?;
        let received = service.read(partner, ("txn-status", false), &body)?;
        let read = StatusMessage::read(&received.message)?;
        let found = service.state.find(&partner.id, &read.lookup()?).await;
        let found = found.map_err(|fault| unavailable(&fault))?;
        let message = read.answer(&found, &Uuid::new_v4().to_string(), service.clock.now());
        service.seal(partner, "txn-on-status", (Status::Succeeded, 1, &message))
    };
    at_once(&service, "txn-on-status", answered.await)
}

/// RFC 6749 §4.4: an access token for id and secret.
async fn token<R: Registry>(Shared(service): App<R>, body: Bytes) -> Response {
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let field = |name: &str| {
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then(|| plain(value)).flatten())
    };
    let granted = field("grant_type").is_some_and(|grant| grant == "client_credentials");
    let partner = field("client_id").and_then(|id| service.partner(&id).cloned());
    let secret = field("client_secret").unwrap_or_default();
    let tokens = Tokens { key: &service.key, registry: &service.id };
    let known = partner.filter(|partner| granted && partner.knows(&secret));
    match known.and_then(|partner| tokens.issue(&partner, service.clock.now())) {
        Some(token) => {
            // `expires_in` is a text in the OpenAPI document, unlike RFC 6749 §5.1.
            let seconds = TOKEN_LIFETIME.as_secs().to_string();
            let body =
                json!({"access_token": token, "token_type": "bearer", "expires_in": seconds});
            ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
        }
        None => {
            let text = "client: grant_type, client_id or client_secret is wrong; correct it";
            let refusal = Refusal::new(ErrorCode::Unauthorized, text);
            (StatusCode::UNAUTHORIZED, axum::Json(errors(&refusal))).into_response()
        }
    }
}

/// A form value: `+` is a blank, `%XX` a byte.
fn plain(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| digit.to_ascii_lowercase());
                bytes.extend(schemas::encoding::from_hex(std::str::from_utf8(&digits).ok()?)?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// RFC 7517 §5: the public key that answers are signed with.
async fn keys<R: Registry>(Shared(service): App<R>) -> Response {
    let key = Jwk::ed25519(service.key.public_key().raw());
    let mut json = serde_json::to_value(&key).unwrap_or_default();
    crate::search::merge(&mut json, json!({"kid": key.id(), "use": "sig", "alg": "EdDSA"}));
    axum::Json(json!({"keys": [json]})).into_response()
}

fn ack<R: Registry>(service: &Service<R>, correlation_id: &str) -> axum::Json<Json> {
    let now = service.clock.now().to_rfc3339();
    axum::Json(json!({"message": {
        "ack_status": "ACK", "timestamp": now, "correlation_id": correlation_id,
    }}))
}

fn errors(refusal: &Refusal) -> Json {
    json!({"errors": [{"code": refusal.code.as_str(), "message": refusal.message}]})
}

fn refuse_later<R: Registry>(service: &Service<R>, refusal: &Refusal) -> Response {
    let mut body = errors(refusal);
    crate::search::merge(
        &mut body,
        json!({"message": {
            "ack_status": "ERR", "timestamp": service.clock.now().to_rfc3339(),
            "correlation_id": Uuid::new_v4().to_string(),
            "error": {"code": refusal.code.as_str(), "message": refusal.message},
        }}),
    );
    (refusal.code.status(), axum::Json(body)).into_response()
}

/// An answer at once, or its refusal.
pub(crate) fn at_once<R: Registry>(
    service: &Service<R>,
    action: &str,
    answered: Result<Json, Refusal>,
) -> Response {
    let refusal = match answered {
        Ok(envelope) => return axum::Json(envelope).into_response(),
        Err(refusal) => refusal,
    };
    let mut body = errors(&refusal);
    let mut header = json!({
        "version": crate::envelope::VERSION, "message_id": Uuid::new_v4().to_string(),
        "message_ts": service.clock.now().to_rfc3339(), "action": action,
        "status": Status::Rejected, "status_reason_message": refusal.message,
        "sender_id": service.id,
    });
    if let Some(reason) = refusal.reason {
        crate::search::merge(&mut header, json!({"status_reason_code": reason.as_str()}));
    }
    crate::search::merge(&mut body, json!({"header": header}));
    (refusal.code.status(), axum::Json(body)).into_response()
}
