//! Takes a message to its receiver through the party's own hub.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use register::payment::message::{Answer, Message, Role};
use schemas::identifier::{ClientId, ServiceId};

/// Bytes of an answer: a word for each of a hundred lines.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// A message has not been answered; it is sent again. Holds nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// No service is configured for the receiver.
    #[error("no service of the {0:?} is configured; name it under `services`")]
    NoService(Role),
    /// The party's own hub does not answer.
    #[error("the own hub cannot be reached; start it or correct `hub`")]
    Hub,
    /// The hub or the receiver refuses.
    #[error("refused with status {status} and problem {problem}; `koprik explain` says more")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The hub's problem code, or `none` when the receiver itself refuses.
        problem: String,
    },
    /// What came is no answer.
    #[error("the receiver's answer is not one of the payments; bring it to the same release")]
    NoAnswer,
}

/// Takes messages to their receivers.
pub trait Courier: Send + Sync + 'static {
    /// Delivers a message and brings the answer, once; the sender repeats. Dropping it gives up.
    ///
    /// # Errors
    /// [`Undelivered`]; the receiver may have taken the message or not.
    fn deliver(
        &self,
        message: &Message,
    ) -> impl Future<Output = Result<Answer, Undelivered>> + Send;
}

/// A courier through a hub's plain listener on loopback, as an adapter beside its hub uses it.
#[derive(Debug)]
pub struct HubCourier {
    http: Client<HttpConnector, Full<Bytes>>,
    hub: SocketAddr,
    client: HeaderValue,
    purpose: HeaderValue,
    services: BTreeMap<Role, ServiceId>,
}

impl HubCourier {
    /// A courier; `None` when the purpose cannot stand in a header.
    #[must_use]
    pub fn new(
        hub: SocketAddr,
        client: &ClientId,
        purpose: &str,
        services: BTreeMap<Role, ServiceId>,
    ) -> Option<Self> {
        let http = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build_http();
        let client = HeaderValue::from_str(client.as_str()).ok()?;
        let purpose = HeaderValue::from_str(purpose).ok()?;
        Some(Self { http, hub, client, purpose, services })
    }

    fn request(&self, message: &Message) -> Result<Request<Full<Bytes>>, Undelivered> {
        let to = message.to();
        let service = self.services.get(&to).ok_or(Undelivered::NoService(to))?;
        let body = serde_json::to_vec(message).map_err(|_| Undelivered::NoAnswer)?;
        Request::post(format!("http://{}/r1/{service}{}", self.hub, message.path()))
            .header("x-road-client", self.client.clone())
            .header("koprik-purpose", self.purpose.clone())
            .header("x-road-issue", message.id().as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))
            .map_err(|_| Undelivered::NoService(to))
    }
}

impl Courier for HubCourier {
    async fn deliver(&self, message: &Message) -> Result<Answer, Undelivered> {
        let request = self.request(message)?;
        let answer = self.http.request(request).await.map_err(|_| Undelivered::Hub)?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|_| Undelivered::NoAnswer)?.to_bytes();
        let problem = parts.headers.get("x-road-error").and_then(|value| value.to_str().ok());
        read(parts.status, problem, &body)
    }
}

/// The answer in what a hub has brought.
///
/// # Errors
/// [`Undelivered`].
pub fn read(status: StatusCode, problem: Option<&str>, body: &[u8]) -> Result<Answer, Undelivered> {
    if status != StatusCode::OK || problem.is_some() {
        let known = |text: &&str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        let problem = problem.filter(known).unwrap_or("none").to_owned();
        return Err(Undelivered::Refused { status: status.as_u16(), problem });
    }
    serde_json::from_slice(body).map_err(|_| Undelivered::NoAnswer)
}
