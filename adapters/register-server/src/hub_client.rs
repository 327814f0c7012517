//! Calls to the register's own hub over X-Road's protocol for REST, on pooled connections.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use register::source::{Absence, AbsenceCause, Receipt};
use schemas::clock::Clock;
use schemas::identifier::ServiceId;

use crate::config::{Method, RegisterConfig};
use crate::hub_connection::{HubConnector, TlsFault};

const CLIENT: HeaderName = HeaderName::from_static("x-road-client");
const ID: HeaderName = HeaderName::from_static("x-road-id");
const ISSUE: HeaderName = HeaderName::from_static("x-road-issue");
const USER_ID: HeaderName = HeaderName::from_static("x-road-userid");
const ERROR: HeaderName = HeaderName::from_static("x-road-error");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-road-request-id");
const PURPOSE: HeaderName = HeaderName::from_static("koprik-purpose");
const RECEIPT: HeaderName = HeaderName::from_static("koprik-receipt");
/// Bytes of an answer: the largest that a contract allows has about half of this, and it bounds
/// what a misled source can make the register hold.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;
/// Characters kept of an identifier or problem type that another party sent.
const FOREIGN_TEXT_MAX_CHARS: usize = 128;

/// One question to a service.
pub(crate) struct Question<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) method: Method,
    /// Path and query below the service.
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    pub(crate) ticket: &'a Ticket,
}

/// What all calls for one profile carry.
#[derive(Clone)]
pub(crate) struct Ticket {
    /// The profile's identifier, as `X-Road-Issue`.
    pub(crate) parent: String,
    /// Who asked, as `X-Road-UserId`, when the caller said so.
    pub(crate) user: Option<HeaderValue>,
}

/// What came back from the hub, body and headers that matter.
pub(crate) struct HubAnswer {
    pub(crate) status: StatusCode,
    /// The problem type of `X-Road-Error`: the hub speaks and not the source.
    pub(crate) problem: Option<String>,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) exchange: String,
    /// How old the answer says it is (RFC 9111 §5.1): it comes from a copy made that long ago.
    pub(crate) age: Duration,
    pub(crate) body: Bytes,
}

impl HubAnswer {
    /// Whether no source answered: a hub's problem, or an error of the source. That access is
    /// denied is an answer, and asking again would not change it.
    pub(crate) fn is_failure(&self) -> bool {
        match &self.problem {
            Some(problem) => !is_access_denied(problem),
            None => self.status.is_server_error(),
        }
    }
}

/// Whether a hub's problem type says that no grant permits the question.
pub(crate) fn is_access_denied(problem: &str) -> bool {
    problem == "access_denied" || problem.ends_with(".access_denied")
}

/// The client side of the register's own hub.
#[derive(Clone)]
pub(crate) struct HubClient {
    http: Client<HubConnector, Full<Bytes>>,
    base: String,
    client: HeaderValue,
    purpose: HeaderValue,
}

impl HubClient {
    /// A client for a checked configuration; `None` when that was not checked.
    pub(crate) fn new(config: &RegisterConfig, clock: &Clock) -> Result<Option<Self>, TlsFault> {
        let Some(address) = config.hub() else { return Ok(None) };
        let scheme = if address.encrypted { "https" } else { "http" };
        let base = format!("{scheme}://{}/r1", address.authority);
        let connector = HubConnector::new(address, config.tls.as_ref(), clock)?;
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.concurrent_calls_count)
            .build::<HubConnector, Full<Bytes>>(connector);
        let client = HeaderValue::from_str(config.client.as_str());
        let purpose = HeaderValue::from_str(&config.purpose);
        let headers = client.ok().zip(purpose.ok());
        Ok(headers.map(|(client, purpose)| Self { http, base, client, purpose }))
    }

    /// The same client for another purpose; `None` when that cannot stand in a header.
    pub(crate) fn for_purpose(&self, purpose: &str) -> Option<Self> {
        Some(Self { purpose: HeaderValue::from_str(purpose).ok()?, ..self.clone() })
    }

    /// Asks one question, as `X-Road-Id` `id`. The caller sets the time limit and drops the call when it is over.
    ///
    /// # Errors
    /// An [`Absence`] when the hub cannot be reached or its answer is larger than 1 MiB.
    pub(crate) async fn ask(
        &self,
        question: &Question<'_>,
        id: &str,
    ) -> Result<HubAnswer, Absence> {
        let unreachable = || Absence::of(AbsenceCause::HubUnreachable);
        let request = self.request(question, id).ok_or_else(unreachable)?;
        let answer = self.http.request(request).await.map_err(|_| unreachable())?;
        let (parts, body) = answer.into_parts();
        let body = match Limited::new(body, ANSWER_MAX_BYTES).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(fault) if fault.is::<http_body_util::LengthLimitError>() => {
                return Err(Absence::of(AbsenceCause::NotAccordingToContract));
            }
            Err(_) => return Err(unreachable()),
        };
        let receipt: Option<Receipt> =
            parts.headers.get(RECEIPT).and_then(|r| r.to_str().ok()).and_then(|r| r.parse().ok());
        let of_receipt = receipt.as_ref().map(|receipt| receipt.exchange.clone());
        let exchange = foreign_text(&parts.headers, &REQUEST_ID).or(of_receipt);
        let exchange = exchange.unwrap_or_else(|| id.to_owned());
        let problem = parts.headers.contains_key(ERROR).then(|| {
            foreign_text(&parts.headers, &ERROR).unwrap_or_else(|| "unreadable type".to_owned())
        });
        let age = Duration::from_secs(age_seconds(&parts.headers));
        Ok(HubAnswer { status: parts.status, problem, receipt, exchange, age, body })
    }

    fn request(&self, question: &Question<'_>, id: &str) -> Option<Request<Full<Bytes>>> {
        let uri = format!("{}/{}{}", self.base, question.service, question.path);
        let method = match question.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(CLIENT, self.client.clone())
            .header(PURPOSE, self.purpose.clone())
            .header(ID, id)
            .header(ISSUE, question.ticket.parent.as_str())
            .header(header::ACCEPT, "application/json");
        if let Some(user) = &question.ticket.user {
            request = request.header(USER_ID, user.clone());
        }
        if question.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(question.body.clone().unwrap_or_default().into())).ok()
    }
}

/// The age that an answer states; 0 when it states none. One that cannot be read, or a repeated
/// one, counts as older than any limit: an answer of unknown age must not pass for a fresh one.
fn age_seconds(headers: &HeaderMap) -> u64 {
    let mut ages = headers.get_all(header::AGE).iter();
    match (ages.next(), ages.next()) {
        (None, _) => 0,
        (Some(age), None) => age.to_str().ok().and_then(|age| age.parse().ok()).unwrap_or(u64::MAX),
        (Some(_), Some(_)) => u64::MAX,
    }
}

/// A header's value when it is short and printable.
fn foreign_text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let good = (1..=FOREIGN_TEXT_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| text.to_owned())
}
