//! The provider's half of an exchange: from another security server to the source and back.
//!
//! Identify the peer → verify the head → admit the id once → find endpoint and subjects → decide →
//! validate → make the request record durable → ask the source → validate its answer → sign it
//! → make the answer record durable → release.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request};
use hub_core::configuration::ConfigurationInForce;
use hub_core::contract::{Endpoint, SubjectLocator};
use hub_core::policy::{Call, Permit};
use hub_core::signature::{self, RequestParts};
use hub_core::subjects::{self, Places};
use hub_core::target::Target;
use hub_core::verification::{self, RegisteredPeer, VerifiedRequest};
use hub_core::{headers, strict_json};
use hub_messagelog::LogReceipt;
use hyper::body::Incoming;
use schemas::clock::Stopwatch;
use schemas::digest::Sha256;
use schemas::limits::{BODY_MAX_BYTES, JSON_BODY_MAX_BYTES, SUBJECTS_MAX_COUNT};
use schemas::problem::{Problem, ProblemCode};
use schemas::record::{Kind, Record, Side};
use serde_json::Value;

use crate::hub::Hub;
use crate::journal::Kept;
use crate::listener::Caller;
use crate::local::LocalService;
use crate::metadata::{self, Metadata};
use crate::reply::{Reply, problem_reply, set};
use crate::source::{self, SourceAnswer};
use crate::spool::{self, Hashes, SpoolError, SpoolRules, Spooled};

/// What is known of an exchange so far; a refusal is recorded with it.
struct Trail {
    watch: Stopwatch,
    record: Record,
    signed: Option<(String, Vec<u8>)>,
}

/// Carries out one exchange for another security server.
pub(crate) async fn exchange(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let mut record = Record::new(Kind::Request, Side::Provider, hub.clock.now(), "ok");
    // Until the head is verified this is only what the peer says; it makes the refusal findable.
    record.exchange = headers::single(request.headers(), headers::REQUEST_ID)
        .filter(|id| uuid::Uuid::try_parse(id).is_ok())
        .map(ToOwned::to_owned);
    let mut trail = Trail { watch: hub.clock.stopwatch(), record, signed: None };
    let result = run(&hub, caller, request, &mut trail).await;
    hub.metrics.provider(&result, &trail.watch);
    match result {
        Ok(reply) => reply,
        Err(problem) => refuse(&hub, &problem, &trail).await,
    }
}

/// Makes the refusal a record and tells the peer (promise P3).
async fn refuse(hub: &Hub, problem: &Problem, trail: &Trail) -> Reply {
    let mut record = trail.record.clone();
    record.kind = Kind::Refusal;
    record.time = hub.clock.now();
    record.duration_us = Some(trail.watch.elapsed_us());
    record.outcome = problem.code.as_str().to_owned();
    let reference = record.exchange.clone().unwrap_or_default();
    tracing::info!(exchange = reference, outcome = record.outcome, "exchange refused");
    let kept = trail.signed.as_ref().map(|(base, signature)| Kept { base, signature, body: None });
    match hub.journal.submit(record, kept).await {
        Ok(_) => problem_reply(problem, &reference, None),
        Err(error) => {
            tracing::error!(%error, exchange = reference, "a refusal could not be recorded");
            problem_reply(&log_problem(), &reference, None)
        }
    }
}

fn log_problem() -> Problem {
    Problem::new(
        ProblemCode::ProviderLogFailed,
        "the message log of the provider's hub cannot write",
    )
}

fn log_failed(error: &hub_messagelog::LogError) -> Problem {
    tracing::error!(%error, "the message log refuses a record");
    log_problem()
}

/// What a request asks for at this hub.
enum Asked {
    Service(Arc<LocalService>),
    Metadata(Metadata),
}

/// Why a request may be answered: a grant, or a metadata service that everyone may ask.
enum Right {
    Granted(Permit),
    Open,
}

async fn run(
    hub: &Hub,
    caller: Caller,
    request: Request<Incoming>,
    trail: &mut Trail,
) -> Result<Reply, Problem> {
    let _place = hub.provider_places.try_acquire().map_err(|_| {
        let text = "the provider's security server carries as many exchanges as it can";
        Problem::new(ProblemCode::ProviderOverloaded, text)
    })?;
    let (parts, body) = request.into_parts();
    let configuration = in_force(hub)?;
    trail.record.configuration = Some(configuration.version());
    let peer = identify(caller, &configuration)?;
    trail.record.peer = Some(peer.server().to_string());
    let target = read_target(&parts)?;
    trail.record.service = Some(target.service.to_string());
    let verified = verify_head(hub, &parts, &peer, &configuration, trail)?;
    let asked = find(hub, &target)?;
    let request = ProvenHead { parts: &parts, target: &target, verified: &verified };
    let request = request.receive(hub, &asked, body, &configuration, trail).await?;
    let receipt = request.record(hub, trail).await?;
    let answer = request.ask(hub, &asked, &receipt, &configuration).await?;
    let headers = answer_headers(&request, &asked, &answer, trail);
    let signed = sign_answer(hub, &parts, &target, &answer, headers)?;
    let receipt = record_answer(hub, &answer, &signed, trail).await?;
    Ok(release(&answer, signed, receipt))
}

fn in_force(hub: &Hub) -> Result<Arc<ConfigurationInForce>, Problem> {
    let configuration = hub.in_force.load_full();
    configuration.filter(|c| !c.expired_at(hub.clock.now())).ok_or_else(|| {
        let text = "the provider's security server has no valid global configuration";
        Problem::new(ProblemCode::ProviderConfigurationOutdated, text)
    })
}

fn identify(
    caller: Caller,
    configuration: &ConfigurationInForce,
) -> Result<RegisteredPeer, Problem> {
    let Caller::Tls(Some(fingerprint)) = caller else {
        let text = "no authentication certificate was shown";
        return Err(Problem::new(ProblemCode::PeerNotAuthorised, text));
    };
    verification::identify_peer(&fingerprint, configuration)
}

fn read_target(parts: &Parts) -> Result<Target, Problem> {
    Target::parse(parts.uri.path(), parts.uri.query())
        .map_err(|refusal| Problem::new(ProblemCode::AmbiguousPath, refusal.to_string()))
}

fn request_parts(parts: &Parts) -> RequestParts<'_> {
    RequestParts {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
    }
}

fn verify_head(
    hub: &Hub,
    parts: &Parts,
    peer: &RegisteredPeer,
    configuration: &ConfigurationInForce,
    trail: &mut Trail,
) -> Result<VerifiedRequest, Problem> {
    let now = hub.clock.now();
    let verified = verification::verify_request(&request_parts(parts), peer, configuration, now)?;
    trail.record.client = Some(verified.client().to_string());
    trail.record.exchange = Some(verified.exchange().to_string());
    let pseudonym = |name| {
        let text = headers::single(&parts.headers, name)?;
        hub.journal.pseudonym(trail.record.time, text)
    };
    trail.record.message = pseudonym(headers::ID);
    trail.record.user = pseudonym(headers::USER_ID);
    let signed = verified.signature();
    trail.signed = Some((signed.base.clone(), signed.signature.clone()));
    hub.admit_once(verified.exchange(), now)?;
    Ok(verified)
}

fn find(hub: &Hub, target: &Target) -> Result<Asked, Problem> {
    let local = hub.local.load();
    if let Some(service) = local.services.get(&target.service) {
        return match &service.disabled {
            Some(notice) => Err(Problem::new(ProblemCode::ServiceDisabled, notice.clone())),
            None => Ok(Asked::Service(service.clone())),
        };
    }
    if local.provides(&target.service.subsystem())
        && let Some(metadata) = Metadata::parse(&target.service.code())
    {
        return Ok(Asked::Metadata(metadata));
    }
    let text = "this security server publishes no such service";
    Err(Problem::new(ProblemCode::UnknownService, text))
}

/// A request with a verified head, before its body.
struct ProvenHead<'a> {
    parts: &'a Parts,
    target: &'a Target,
    verified: &'a VerifiedRequest,
}

/// A request that may be carried out once its record is durable.
struct Permitted<'a> {
    parts: &'a Parts,
    target: &'a Target,
    verified: &'a VerifiedRequest,
    body: Spooled,
    right: Right,
    endpoint: String,
    locators: Vec<SubjectLocator>,
}

impl<'a> ProvenHead<'a> {
    async fn receive(
        self,
        hub: &Hub,
        asked: &Asked,
        body: Incoming,
        configuration: &ConfigurationInForce,
        trail: &mut Trail,
    ) -> Result<Permitted<'a>, Problem> {
        let (service, endpoint) = match asked {
            Asked::Metadata(metadata) => {
                return self.receive_metadata(hub, *metadata, body, trail).await;
            }
            Asked::Service(service) => (service, self.endpoint(service)?),
        };
        let method = self.parts.method.as_str();
        let name = endpoint.map_or_else(|| format!("{method} /**"), Endpoint::name);
        trail.record.endpoint = Some(name.clone());
        let locators = endpoint.map_or_else(Vec::new, |endpoint| endpoint.subjects.clone());
        let in_body = locators.iter().any(|locator| matches!(locator, SubjectLocator::Body(_)));
        // Who may not call is refused before its body is read, unless the body names the people.
        let (right, body, json) = if in_body {
            let (body, json) = self.receive_body(hub, endpoint, body).await?;
            (self.decide(hub, service, endpoint, json.as_ref(), configuration, trail)?, body, json)
        } else {
            let right = self.decide(hub, service, endpoint, None, configuration, trail)?;
            let (body, json) = self.receive_body(hub, endpoint, body).await?;
            (right, body, json)
        };
        if let Some(endpoint) = endpoint {
            let whole = json.as_ref();
            endpoint.check_request(whole).map_err(|refusal| {
                Problem::new(ProblemCode::InvalidRequestBody, refusal.to_string())
            })?;
        }
        let Self { parts, target, verified } = self;
        Ok(Permitted { parts, target, verified, body, right, endpoint: name, locators })
    }

    async fn receive_metadata(
        self,
        hub: &Hub,
        metadata: Metadata,
        body: Incoming,
        trail: &mut Trail,
    ) -> Result<Permitted<'a>, Problem> {
        if self.parts.method != http::Method::GET || !self.target.path.segments().is_empty() {
            let text = "metadata services are asked by GET and have no path";
            return Err(Problem::new(ProblemCode::AmbiguousPath, text));
        }
        let endpoint = metadata.name().to_owned();
        trail.record.endpoint = Some(endpoint.clone());
        let (body, _) = self.receive_body(hub, None, body).await?;
        let Self { parts, target, verified } = self;
        let right = Right::Open;
        Ok(Permitted { parts, target, verified, body, right, endpoint, locators: Vec::new() })
    }

    fn endpoint<'s>(&self, service: &'s LocalService) -> Result<Option<&'s Endpoint>, Problem> {
        let Some(contract) = &service.contract else { return Ok(None) };
        let found = contract.endpoint(self.parts.method.as_str(), &self.target.path);
        found.map(Some).ok_or_else(|| {
            let text = "the service's contract has no such method and path";
            Problem::new(ProblemCode::AccessDenied, text)
        })
    }

    /// Receives the body whole, proves it by its signed digest, and reads it where there is a schema.
    async fn receive_body(
        &self,
        hub: &Hub,
        endpoint: Option<&Endpoint>,
        body: Incoming,
    ) -> Result<(Spooled, Option<Value>), Problem> {
        let held = endpoint.is_some();
        let limit_bytes = if held { JSON_BODY_MAX_BYTES } else { BODY_MAX_BYTES };
        let rules = SpoolRules { dir: &hub.spool_dir, limit_bytes, hashes: Hashes::Both };
        let body = spool::receive(body, rules).await.map_err(|error| body_problem(&error))?;
        self.verified.body_digest_matches(body.sha256())?;
        if !held || body.length() == 0 {
            return Ok((body, None));
        }
        let whole = body.read_whole().await.map_err(|error| body_problem(&error))?;
        let json = strict_json::parse(&whole)
            .map_err(|error| Problem::new(ProblemCode::InvalidRequestBody, error.to_string()))?;
        Ok((body, Some(json)))
    }

    fn decide(
        &self,
        hub: &Hub,
        service: &LocalService,
        endpoint: Option<&Endpoint>,
        body: Option<&Value>,
        configuration: &ConfigurationInForce,
        trail: &mut Trail,
    ) -> Result<Right, Problem> {
        let path = &self.target.path;
        let found = match endpoint {
            None => Vec::new(),
            Some(Endpoint { pattern, subjects, .. }) => {
                let places = Places { pattern, path, query: self.parts.uri.query(), body };
                subjects::read(subjects, &places).map_err(|error| {
                    Problem::new(ProblemCode::InvalidRequestBody, error.to_string())
                })?
            }
        };
        if found.len() > SUBJECTS_MAX_COUNT {
            let text = format!("a call may ask about at most {SUBJECTS_MAX_COUNT} people");
            return Err(Problem::new(ProblemCode::AccessDenied, text));
        }
        trail.record.subjects = hub.journal.pseudonyms(trail.record.time, &found);
        let call = Call {
            client: self.verified.client(),
            service: &service.id,
            method: self.parts.method.as_str(),
            path,
            purpose: headers::single(&self.parts.headers, headers::PURPOSE),
            subjects_count: found.len(),
        };
        trail.record.purpose = call.purpose.map(ToOwned::to_owned);
        let in_group = |code: &str, client: &_| configuration.in_group(code, client);
        let denied = |text: String| Problem::new(ProblemCode::AccessDenied, text);
        let permit = hub
            .local
            .load()
            .policy
            .decide(&call, hub.clock.now(), in_group)
            .map_err(|refusal| denied(format!("the call is not permitted: {refusal}")))?;
        if configuration.purpose(permit.purpose()).is_none() {
            return Err(denied("the purpose is not in the purpose catalogue any more".into()));
        }
        trail.record.grant = Some(permit.grant().to_owned());
        trail.record.purpose = Some(permit.purpose().to_owned());
        trail.record.legal_basis = Some(permit.legal_basis().to_owned());
        Ok(Right::Granted(permit))
    }
}

fn body_problem(error: &SpoolError) -> Problem {
    let code = match error {
        SpoolError::TooLarge(_) => ProblemCode::InvalidRequestBody,
        SpoolError::Incomplete(_) | SpoolError::Idle(_) => ProblemCode::RequestSignature,
        SpoolError::Disk(_) => ProblemCode::ProviderInternal,
    };
    Problem::new(code, error.to_string())
}

impl Permitted<'_> {
    /// Makes the request's record durable: before this the source hears nothing (promise P1).
    async fn record(&self, hub: &Hub, trail: &Trail) -> Result<LogReceipt, Problem> {
        let mut record = trail.record.clone();
        record.body = Some(*self.body.sha256());
        record.body_bytes = Some(self.body.length());
        record.duration_us = Some(trail.watch.elapsed_us());
        let signed = self.verified.signature();
        let body = self.body.in_memory();
        let kept = Kept { base: &signed.base, signature: &signed.signature, body };
        hub.journal.submit(record, Some(kept)).await.map_err(|error| log_failed(&error))
    }

    async fn ask(
        &self,
        hub: &Hub,
        asked: &Asked,
        recorded: &LogReceipt,
        configuration: &ConfigurationInForce,
    ) -> Result<SourceAnswer, Problem> {
        let question =
            source::Question { parts: self.parts, target: self.target, body: &self.body, recorded };
        match (asked, &self.right) {
            (Asked::Service(service), Right::Granted(permit)) => {
                let answer = source::ask(hub, service, &question, permit).await?;
                self.check_answer(service, &answer).await?;
                Ok(answer)
            }
            (Asked::Metadata(metadata), Right::Open) => {
                let client = self.verified.client();
                let query = self.parts.uri.query();
                let provider = self.target.service.subsystem();
                let asker = metadata::Asker { client, provider: &provider, query, configuration };
                metadata::answer(hub, *metadata, &asker).await
            }
            _ => Err(Problem::new(ProblemCode::ProviderInternal, "no right for the service")),
        }
    }

    /// Data minimisation: an answer that the contract does not have does not leave.
    async fn check_answer(
        &self,
        service: &LocalService,
        answer: &SourceAnswer,
    ) -> Result<(), Problem> {
        let endpoint = service
            .contract
            .as_ref()
            .and_then(|c| c.endpoint(self.parts.method.as_str(), &self.target.path));
        let Some(endpoint) = endpoint else { return Ok(()) };
        let refuse = |reason: String| {
            let text = format!("the answer of the source was held back: {reason}");
            Problem::new(ProblemCode::InvalidAnswer, text)
        };
        let json = if answer.body.length() == 0 {
            None
        } else {
            let whole = answer.body.read_whole().await.map_err(|e| refuse(e.to_string()))?;
            Some(strict_json::parse(&whole).map_err(|e| refuse(e.to_string()))?)
        };
        endpoint.check_answer(answer.status, json.as_ref()).map_err(|e| refuse(e.to_string()))
    }
}

/// The headers of the signed answer, X-Road's protocol for REST §4.3, and the decision's.
fn answer_headers(
    request: &Permitted<'_>,
    asked: &Asked,
    answer: &SourceAnswer,
    trail: &Trail,
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(answer.headers.len() + 12);
    for (name, value) in &answer.headers {
        if headers::travels_in_answer(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    let received = |name| headers::single(&request.parts.headers, name).unwrap_or_default();
    set(&mut headers, headers::ID, received(headers::ID));
    set(&mut headers, headers::CLIENT, request.verified.client().as_str());
    set(&mut headers, headers::SERVICE, request.target.service.as_str());
    set(&mut headers, headers::REQUEST_ID, received(headers::REQUEST_ID));
    let method = request.parts.method.as_str();
    let target = request.parts.uri.path_and_query().map_or("", |target| target.as_str());
    let sha512 = match asked {
        Asked::Service(_) => request.body.sha512(),
        Asked::Metadata(_) => None,
    };
    let hash = headers::request_hash(method, target, &request.parts.headers, sha512);
    set(&mut headers, headers::REQUEST_HASH, &hash);
    set(&mut headers, headers::ENDPOINT, &headers::encode_text(&request.endpoint));
    let record = &trail.record;
    let decided = [
        (headers::GRANT, &record.grant),
        (headers::PURPOSE, &record.purpose),
        (headers::LEGAL_BASIS, &record.legal_basis),
    ];
    for (name, value) in decided {
        if let Some(value) = value {
            set(&mut headers, name, &headers::encode_text(value));
        }
    }
    if !request.locators.is_empty() {
        let locators: Vec<String> = request.locators.iter().map(ToString::to_string).collect();
        set(&mut headers, headers::SUBJECTS, &locators.join(", "));
    }
    let digest = headers::content_digest(answer.body.sha256().as_bytes());
    set(&mut headers, headers::CONTENT_DIGEST, &digest);
    headers
}

/// An answer with its signature.
struct SignedAnswer {
    headers: HeaderMap,
    base: String,
    signature: Vec<u8>,
}

fn sign_answer(
    hub: &Hub,
    parts: &Parts,
    target: &Target,
    answer: &SourceAnswer,
    mut headers: HeaderMap,
) -> Result<SignedAnswer, Problem> {
    let fail = |text: String| Problem::new(ProblemCode::ProviderInternal, text);
    let member = target.service.subsystem().member();
    let signer =
        hub.signer(&member).ok_or_else(|| fail("no signing key for the provider".into()))?;
    let algorithm = signer.key.algorithm().name();
    let parameters = verification::parameters_at(hub.clock.now(), signer.key_id, algorithm);
    let request = request_parts(parts);
    let base = signature::answer_base(answer.status, &headers, &request, &parameters).map_err(
        |error| {
            let text = format!("the source's answer cannot be signed: {error}");
            Problem::new(ProblemCode::InvalidAnswer, text)
        },
    )?;
    let signature =
        signer.key.sign(base.base.as_bytes()).map_err(|error| fail(error.to_string()))?;
    set(&mut headers, headers::SIGNATURE_INPUT, &base.input);
    set(&mut headers, headers::SIGNATURE, &signature::signature_value(&signature));
    Ok(SignedAnswer { headers, base: base.base, signature })
}

async fn record_answer(
    hub: &Hub,
    answer: &SourceAnswer,
    signed: &SignedAnswer,
    trail: &Trail,
) -> Result<LogReceipt, Problem> {
    let mut record = trail.record.clone();
    record.kind = Kind::Answer;
    record.time = hub.clock.now();
    record.status = Some(answer.status);
    record.body = Some(Sha256(*answer.body.sha256().as_bytes()));
    record.body_bytes = Some(answer.body.length());
    record.duration_us = Some(trail.watch.elapsed_us());
    let body = answer.body.in_memory();
    let kept = Kept { base: &signed.base, signature: &signed.signature, body };
    hub.journal.submit(record, Some(kept)).await.map_err(|error| log_failed(&error))
}

/// Lets the answer leave; consumes the proof that its record is durable (promise P2).
fn release(answer: &SourceAnswer, signed: SignedAnswer, _: LogReceipt) -> Reply {
    let mut reply = Reply::new(answer.body.body());
    if let Ok(status) = http::StatusCode::from_u16(answer.status) {
        *reply.status_mut() = status;
    }
    *reply.headers_mut() = signed.headers;
    reply
}
