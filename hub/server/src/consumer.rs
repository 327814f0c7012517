//! The consumer's half of an exchange: from the agency's system to another security server and back.
//!
//! Authenticate the caller → read the request line → receive the body → sign → submit the request
//! record → send → receive and verify the answer → make the answer record durable → release.
//! The request record is written while the request travels; nothing is released before both records are durable.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, Request};
use hub_core::configuration::ConfigurationInForce;
use hub_core::contract::SubjectLocator;
use hub_core::path::PathPattern;
use hub_core::signature::{self, RequestParts};
use hub_core::subjects::{self, Places};
use hub_core::target::{Target, TargetRefusal};
use hub_core::verification::{self, ReceivedAnswer, VerifiedAnswer};
use hub_core::{headers, strict_json};
use hub_messagelog::{LogReceipt, PendingReceipt};
use hyper::body::Incoming;
use schemas::clock::Stopwatch;
use schemas::configuration::SecurityServer;
use schemas::identifier::{ClientId, ServerId, SubsystemId};
use schemas::limits::{BODY_MAX_BYTES, PEER_TIMEOUT};
use schemas::problem::{ErrorBody, Problem, ProblemCode};
use schemas::record::{Kind, Record, Side};
use uuid::Uuid;

use crate::hub::Hub;
use crate::journal::{self, Kept};
use crate::listener::Caller;
use crate::local::MemberSigner;
use crate::reply::{Reply, error_reply, problem_reply, set};
use crate::spool::{self, Hashes, SpoolError, SpoolRules, Spooled};

/// Why an exchange ended without an answer.
pub(crate) enum Failure {
    /// This hub refuses or fails.
    Own(Problem),
    /// The provider's hub refused; its error object goes on as it is.
    Peer(ErrorBody),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Own(problem)
    }
}

fn own(code: ProblemCode, text: impl Into<String>) -> Failure {
    Failure::Own(Problem::new(code, text))
}

/// What is known of an exchange so far; a refusal is recorded with it.
struct Trail {
    exchange: String,
    watch: Stopwatch,
    record: Record,
    signed: Option<(String, Vec<u8>)>,
}

/// Carries out one exchange for a caller.
pub(crate) async fn exchange(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let exchange = Uuid::new_v4().to_string();
    let accept = headers::single(request.headers(), "accept").map(ToOwned::to_owned);
    let mut record = Record::new(Kind::Request, Side::Consumer, hub.clock.now(), "ok");
    record.exchange = Some(exchange.clone());
    let mut trail = Trail { exchange, watch: hub.clock.stopwatch(), record, signed: None };
    let result = run(&hub, caller, request, &mut trail).await;
    hub.metrics.consumer(&result, &trail.watch);
    match result {
        Ok(reply) => reply,
        Err(failure) => refuse(&hub, failure, &trail, accept.as_deref()).await,
    }
}

/// Makes the refusal a record and tells the caller (promise P3).
async fn refuse(hub: &Hub, failure: Failure, trail: &Trail, accept: Option<&str>) -> Reply {
    let mut record = trail.record.clone();
    record.kind = Kind::Refusal;
    record.time = hub.clock.now();
    record.duration_us = Some(trail.watch.elapsed_us());
    let (outcome, body, status) = match failure {
        Failure::Own(problem) => {
            let status = problem.code.status();
            (problem.code.as_str().to_owned(), problem.to_body(&trail.exchange), status)
        }
        Failure::Peer(body) => (body.kind.clone(), body, 500),
    };
    record.outcome = outcome;
    tracing::info!(exchange = trail.exchange, outcome = record.outcome, "exchange refused");
    let kept = trail.signed.as_ref().map(|(base, signature)| Kept { base, signature, body: None });
    if let Err(error) = hub.journal.submit(record, kept).await {
        tracing::error!(%error, exchange = trail.exchange, "a refusal could not be recorded");
        let problem =
            Problem::new(ProblemCode::ConsumerLogFailed, "the refusal cannot be recorded");
        return problem_reply(&problem, &trail.exchange, accept);
    }
    error_reply(&body, status, accept)
}

async fn run(
    hub: &Hub,
    caller: Caller,
    request: Request<Incoming>,
    trail: &mut Trail,
) -> Result<Reply, Failure> {
    let _place = hub.consumer_places.try_acquire().map_err(|_| {
        own(ProblemCode::Overloaded, "this security server carries as many exchanges as it can")
    })?;
    let (mut parts, body) = request.into_parts();
    headers::keep_last(&mut parts.headers);
    let target = read_target(&parts)?;
    let client = authenticate(hub, caller, &parts.headers)?;
    trail.record.client = Some(client.to_string());
    let now = hub.clock.now();
    trail.record.message =
        headers::single(&parts.headers, headers::ID).and_then(|id| hub.journal.pseudonym(now, id));
    trail.record.user = headers::single(&parts.headers, headers::USER_ID)
        .and_then(|user| hub.journal.pseudonym(now, user));
    trail.record.purpose = headers::single(&parts.headers, headers::PURPOSE).map(Into::into);
    let configuration = in_force(hub)?;
    trail.record.configuration = Some(configuration.version());
    let servers = providers(&configuration, &target, &parts.headers)?;
    // Until the provider is known the identifier may be anything that a caller mistook for one.
    trail.record.service = Some(target.service.to_string());
    let rules =
        SpoolRules { dir: &hub.spool_dir, limit_bytes: BODY_MAX_BYTES, hashes: Hashes::Sha256 };
    let body = spool::receive(body, rules).await.map_err(|error| body_problem(&error))?;
    let signer = hub.signer(&client.member()).ok_or_else(|| {
        own(ProblemCode::ConsumerInternal, "no signing key for the client's member")
    })?;
    let request = sign(hub, &signer, &parts, &body, trail)?;
    let pending = record_request(hub, &body, trail);
    let answer = Outgoing { request: &request, body: &body, hub };
    let (answer, server) = answer.send(&servers).await?;
    trail.record.peer = Some(server.id.to_string());
    let answer = receive_answer(hub, answer).await?;
    let verified = verify(&answer, &request, &target, &configuration, hub)?;
    read_answer_trail(hub, &answer, &target, &request, &body, trail).await;
    pending.await.map_err(|error| log_problem(&error))?;
    let receipt = record_answer(hub, &answer, &verified, trail).await?;
    Ok(release(answer, verified, &receipt, trail))
}

fn read_target(parts: &Parts) -> Result<Target, Failure> {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
    ];
    if !known.contains(&parts.method) {
        return Err(own(ProblemCode::InvalidHttpMethod, "this method does not exist here"));
    }
    Target::parse(parts.uri.path(), parts.uri.query()).map_err(|refusal| {
        let code = match refusal {
            TargetRefusal::Version => ProblemCode::InvalidProtocolVersion,
            _ => ProblemCode::BadRequest,
        };
        own(code, refusal.to_string())
    })
}

/// Finds out which subsystem calls (X-Road's protocol for REST §4.4; connection types of its security server).
fn authenticate(hub: &Hub, caller: Caller, headers: &HeaderMap) -> Result<SubsystemId, Failure> {
    let client = headers::single(headers, headers::CLIENT)
        .and_then(|text| text.parse::<ClientId>().ok())
        .ok_or_else(|| {
            let text = "X-Road-Client is missing, repeated or not INSTANCE/CLASS/MEMBER/SUBSYSTEM";
            own(ProblemCode::InvalidClientIdentifier, text)
        })?;
    let subsystem = client.subsystem().ok_or_else(|| {
        own(ProblemCode::InvalidClientIdentifier, "X-Road-Client names a member, not a subsystem")
    })?;
    let local = hub.local.load();
    let registered = local.clients.get(&subsystem).ok_or_else(|| {
        own(ProblemCode::UnknownMember, "X-Road-Client is not a client of this security server")
    })?;
    let text = match caller {
        Caller::Tls(Some(seen)) if registered.fingerprints.contains(&seen) => return Ok(subsystem),
        Caller::Plain if registered.plain_loopback => return Ok(subsystem),
        Caller::Tls(Some(_)) => "the certificate shown is not registered for this client",
        Caller::Tls(None) => "no client certificate was shown",
        Caller::Plain => "this client must call over TLS",
    };
    Err(own(ProblemCode::CallerNotAuthenticated, text))
}

fn in_force(hub: &Hub) -> Result<Arc<ConfigurationInForce>, Failure> {
    let refuse = |text| own(ProblemCode::ConfigurationOutdated, text);
    let configuration =
        hub.in_force.load_full().ok_or_else(|| refuse("there is no global configuration yet"))?;
    if configuration.expired_at(hub.clock.now()) {
        return Err(refuse("the global configuration has expired"));
    }
    Ok(configuration)
}

/// The provider's security servers, in the order in which they are tried.
fn providers(
    configuration: &ConfigurationInForce,
    target: &Target,
    headers: &HeaderMap,
) -> Result<Vec<Arc<SecurityServer>>, Failure> {
    let provider = target.service.subsystem();
    let member = configuration.member(&provider.member());
    if member.is_some_and(|member| member.suspended) {
        return Err(own(ProblemCode::Suspended, "the provider's member is suspended"));
    }
    let all = configuration.servers_of(&provider);
    if all.is_empty() {
        let text = "no security server serves the provider that the path names";
        return Err(own(ProblemCode::UnknownMember, text));
    }
    let wanted = headers::single(headers, headers::SECURITY_SERVER).map(str::parse::<ServerId>);
    let serves = |server: &SecurityServer| match &wanted {
        None => true,
        Some(wanted) => wanted.as_ref() == Ok(&server.id),
    };
    let chosen: Vec<_> = all
        .iter()
        .filter(|server| !server.suspended)
        .filter(|server| serves(server))
        .cloned()
        .collect();
    match (chosen.is_empty(), &wanted) {
        (false, _) => Ok(chosen),
        (true, Some(_)) => {
            Err(own(ProblemCode::InvalidSecurityServer, "that server does not serve the provider"))
        }
        (true, None) => Err(own(ProblemCode::Suspended, "the provider's servers are suspended")),
    }
}

fn body_problem(error: &SpoolError) -> Failure {
    let code = match error {
        SpoolError::TooLarge(_) => ProblemCode::RequestTooLarge,
        SpoolError::Incomplete(_) | SpoolError::Idle(_) => ProblemCode::IncompleteBody,
        SpoolError::Disk(_) => ProblemCode::ConsumerInternal,
    };
    own(code, error.to_string())
}

fn log_problem(error: &hub_messagelog::LogError) -> Failure {
    tracing::error!(%error, "the message log refuses a record");
    own(ProblemCode::ConsumerLogFailed, "the message log of the consumer's hub cannot write")
}

/// A request as it was signed.
struct SignedRequest {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl SignedRequest {
    fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: self.method.as_str(),
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }

    fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

fn sign(
    hub: &Hub,
    signer: &MemberSigner,
    parts: &Parts,
    body: &Spooled,
    trail: &mut Trail,
) -> Result<SignedRequest, Failure> {
    let mut headers = HeaderMap::with_capacity(parts.headers.len() + 5);
    for (name, value) in &parts.headers {
        if headers::travels_in_request(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    set(&mut headers, headers::REQUEST_ID, &trail.exchange);
    if !headers.contains_key(headers::ID) {
        let instance = hub.server.codes().first().cloned().unwrap_or_default();
        set(&mut headers, headers::ID, &format!("{instance}-{}", Uuid::new_v4()));
    }
    let digest = headers::content_digest(body.sha256().as_bytes());
    set(&mut headers, headers::CONTENT_DIGEST, &digest);
    let mut request = SignedRequest {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(ToOwned::to_owned),
        headers,
    };
    let algorithm = signer.key.algorithm().name();
    let parameters = verification::parameters_at(hub.clock.now(), signer.key_id, algorithm);
    let base = signature::request_base(&request.parts(), &parameters)
        .map_err(|error| own(ProblemCode::BadRequest, error.to_string()))?;
    let signed = signer
        .key
        .sign(base.base.as_bytes())
        .map_err(|error| own(ProblemCode::ConsumerInternal, error.to_string()))?;
    set(&mut request.headers, headers::SIGNATURE_INPUT, &base.input);
    set(&mut request.headers, headers::SIGNATURE, &signature::signature_value(&signed));
    trail.signed = Some((base.base, signed));
    Ok(request)
}

fn record_request(hub: &Hub, body: &Spooled, trail: &Trail) -> PendingReceipt {
    let mut record = trail.record.clone();
    record.body = Some(*body.sha256());
    record.body_bytes = Some(body.length());
    record.duration_us = Some(trail.watch.elapsed_us());
    let kept = trail.signed.as_ref();
    let body = body.in_memory();
    hub.journal.submit(record, kept.map(|(base, signature)| Kept { base, signature, body }))
}

struct Outgoing<'a> {
    hub: &'a Hub,
    request: &'a SignedRequest,
    body: &'a Spooled,
}

impl Outgoing<'_> {
    /// Sends the request to the first server that can be reached.
    async fn send<'s>(
        &self,
        servers: &'s [Arc<SecurityServer>],
    ) -> Result<(http::Response<Incoming>, &'s SecurityServer), Failure> {
        for server in servers {
            let mut request = Request::new(self.body.body());
            *request.method_mut() = self.request.method.clone();
            *request.headers_mut() = self.request.headers.clone();
            let uri = format!("https://{}{}", server.address, self.request.path_and_query());
            *request.uri_mut() =
                uri.parse().map_err(|_| own(ProblemCode::BadRequest, "the path is malformed"))?;
            let client = self.hub.peers.load();
            match tokio::time::timeout(PEER_TIMEOUT, client.request(request)).await {
                Ok(Ok(answer)) => return Ok((answer, server)),
                Ok(Err(error)) if error.is_connect() => {
                    tracing::warn!(server = %server.id, error = chain(&error), "cannot connect");
                }
                Ok(Err(error)) => {
                    tracing::warn!(server = %server.id, error = chain(&error), "exchange broke off");
                    let text = "the connection to the provider's security server broke off";
                    return Err(own(ProblemCode::NetworkError, text));
                }
                Err(_) => {
                    let text = format!("no answer within {} s", PEER_TIMEOUT.as_secs());
                    return Err(own(ProblemCode::PeerTimeout, text));
                }
            }
        }
        let text =
            "no security server of the provider could be reached with its registered certificate";
        Err(own(ProblemCode::NetworkError, text))
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Spooled,
}

async fn receive_answer(hub: &Hub, answer: http::Response<Incoming>) -> Result<Answer, Failure> {
    let (parts, body) = answer.into_parts();
    let refused = parts.headers.contains_key(headers::ERROR)
        && !parts.headers.contains_key(headers::SIGNATURE);
    let limit_bytes = if refused { ERROR_MAX_BYTES } else { BODY_MAX_BYTES };
    let rules = SpoolRules { dir: &hub.spool_dir, limit_bytes, hashes: Hashes::Sha256 };
    let body = spool::receive(body, rules).await.map_err(|error| match error {
        SpoolError::Disk(_) => own(ProblemCode::ConsumerInternal, error.to_string()),
        _ => own(ProblemCode::NetworkError, format!("answer: {error}")),
    })?;
    if refused {
        return Err(peer_refusal(&body));
    }
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// Bytes of another hub's error object.
const ERROR_MAX_BYTES: u64 = 8 * 1024;

/// A refusal of the provider's hub is not signed, but came over its authenticated connection. Only an error
/// object in the one form goes on.
fn peer_refusal(body: &Spooled) -> Failure {
    let read = body.in_memory().and_then(|bytes| serde_json::from_slice::<ErrorBody>(bytes).ok());
    let plain = |body: &ErrorBody| {
        body.kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
            && body.kind.starts_with("server.serverproxy.")
    };
    match read.filter(plain) {
        Some(body) => Failure::Peer(body),
        None => {
            own(ProblemCode::AnswerSignature, "the answer is neither signed nor an error object")
        }
    }
}

fn verify(
    answer: &Answer,
    request: &SignedRequest,
    target: &Target,
    configuration: &ConfigurationInForce,
    hub: &Hub,
) -> Result<VerifiedAnswer, Failure> {
    let Answer { status, headers, body } = answer;
    let received = ReceivedAnswer { status: *status, headers, body: body.sha256() };
    let now = hub.clock.now();
    let parts = request.parts();
    Ok(verification::verify_answer(&received, &parts, &target.service, configuration, now)?)
}

/// What the provider's hub decided, from the signed headers of its answer.
async fn read_answer_trail(
    hub: &Hub,
    answer: &Answer,
    target: &Target,
    request: &SignedRequest,
    body: &Spooled,
    trail: &mut Trail,
) {
    let text = |name| headers::single(&answer.headers, name).map(headers::decode_text);
    trail.record.endpoint = text(headers::ENDPOINT);
    trail.record.grant = text(headers::GRANT);
    trail.record.legal_basis = text(headers::LEGAL_BASIS);
    trail.record.purpose = text(headers::PURPOSE).or_else(|| trail.record.purpose.take());
    let locators: Vec<SubjectLocator> = text(headers::SUBJECTS)
        .unwrap_or_default()
        .split(", ")
        .filter_map(SubjectLocator::parse)
        .collect();
    let template = trail.record.endpoint.as_deref().and_then(|e| e.split_once(' '));
    let pattern = template.and_then(|(_, template)| PathPattern::parse(template).ok());
    let Some(pattern) = pattern.filter(|_| !locators.is_empty()) else { return };
    let in_body = locators.iter().any(|locator| matches!(locator, SubjectLocator::Body(_)));
    let bytes = if in_body { body.read_whole().await.ok() } else { None };
    let json = bytes.and_then(|bytes| strict_json::parse(&bytes).ok());
    let query = request.query.as_deref();
    let places = Places { pattern: &pattern, path: &target.path, query, body: json.as_ref() };
    if let Ok(subjects) = subjects::read(&locators, &places) {
        trail.record.subjects = hub.journal.pseudonyms(trail.record.time, &subjects);
    }
}

async fn record_answer(
    hub: &Hub,
    answer: &Answer,
    verified: &VerifiedAnswer,
    trail: &Trail,
) -> Result<LogReceipt, Failure> {
    let mut record = trail.record.clone();
    record.kind = Kind::Answer;
    record.time = hub.clock.now();
    record.status = Some(answer.status);
    record.body = Some(*answer.body.sha256());
    record.body_bytes = Some(answer.body.length());
    record.duration_us = Some(trail.watch.elapsed_us());
    let signed = verified.signature();
    let body = answer.body.in_memory();
    let kept = Kept { base: &signed.base, signature: &signed.signature, body };
    hub.journal.submit(record, Some(kept)).await.map_err(|error| log_problem(&error))
}

/// Hands the answer to the caller; needs the proof that it is verified and that it is recorded.
fn release(answer: Answer, _: VerifiedAnswer, receipt: &LogReceipt, trail: &Trail) -> Reply {
    let mut reply = Reply::new(answer.body.body());
    if let Ok(status) = http::StatusCode::from_u16(answer.status) {
        *reply.status_mut() = status;
    }
    for (name, value) in &answer.headers {
        if headers::goes_to_caller(name) {
            reply.headers_mut().append(name.clone(), value.clone());
        }
    }
    let receipt = journal::receipt_value(receipt, &trail.exchange);
    set(reply.headers_mut(), headers::RECEIPT, &receipt);
    reply
}
