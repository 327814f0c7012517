//! The provider's half of an exchange: from another security server to the source and back.
//!
//! Identify the peer → verify the head → admit the id once → find endpoint and subjects → decide →
//! validate → make the request record durable → ask the source → validate its answer → sign it
//! → make the answer record durable → release.

mod answer;
mod request;

use std::sync::Arc;

use http::Request;
use http::request::Parts;
use hub_core::configuration::ConfigurationInForce;
use hub_core::headers;
use hub_core::policy::Permit;
use hub_core::signature::kept::Signed;
use hub_core::signature::{Base, RequestParts};
use hub_core::target::Target;
use hub_core::verification::{self, Grounds, RegisteredPeer, VerifiedRequest};
use hyper::body::Incoming;
use schemas::clock::Stopwatch;
use schemas::problem::{Problem, ProblemCode};
use schemas::record::{Kind, Record, Side};
use uuid::Uuid;

use self::answer::{answer_headers, record_answer, release, sign_answer};
use self::request::ProvenHead;
use crate::journal::Kept;
use crate::listener::Caller;
use crate::local::{Local, LocalService};
use crate::metadata::Metadata;
use crate::reply::{Reply, problem_reply};
use crate::state::Hub;

/// What is known of an exchange so far; a refusal is recorded with it.
struct Trail {
    watch: Stopwatch,
    record: Record,
    signed: Option<(Base, Vec<u8>)>,
}

/// Carries out one exchange for another security server.
pub(crate) async fn exchange(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let mut record = Record::new(Kind::Request, Side::Provider, hub.clock.now(), "ok");
    // Until the head is verified this is only what the peer says, or made up where it says no UUID; it makes
    // the refusal findable.
    let said = headers::single(request.headers(), headers::REQUEST_ID);
    let said = said.and_then(|id| Uuid::try_parse(id).ok());
    record.exchange = Some(said.unwrap_or_else(Uuid::new_v4).to_string());
    let mut trail = Trail { watch: hub.clock.stopwatch(), record, signed: None };
    let result = run(&hub, caller, request, &mut trail).await;
    let refused = result.as_ref().err().map(|problem| problem.code.as_str());
    hub.metrics.provider(refused, &trail.watch);
    match result {
        Ok(reply) => reply,
        Err(problem) => refuse(&hub, &problem, &mut trail).await,
    }
}

/// Makes the refusal a record and tells the peer (promise P3).
async fn refuse(hub: &Hub, problem: &Problem, trail: &mut Trail) -> Reply {
    let record = &mut trail.record;
    record.turn_into(Kind::Refusal, hub.clock.now());
    record.duration_us = Some(trail.watch.elapsed_us());
    record.outcome = problem.code.as_str().to_owned();
    let reference = record.exchange.clone().unwrap_or_default();
    tracing::info!(exchange = reference, outcome = record.outcome, "exchange refused");
    let kept = |signed| Kept { message: Signed::from(signed), request: None, body: None };
    let kept = trail.signed.as_ref().map(kept);
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
    Granted(Granted),
    Open,
}

/// A permit, and the configuration whose grant has counted the call.
struct Granted {
    permit: Permit,
    by: Arc<Local>,
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
    let (configuration, local) = (in_force(hub)?, hub.local.load_full());
    trail.record.configuration = Some(configuration.version());
    let peer = identify(caller, &configuration)?;
    trail.record.peer = Some(peer.server().to_string());
    let target = read_target(&parts)?;
    trail.record.service = Some(target.service.to_string());
    let verified = verify_head(hub, &parts, &peer, &configuration, trail)?;
    let asked = find(hub, &target)?;
    let request = ProvenHead { parts: &parts, target: &target, verified: &verified };
    let mut request = request.receive(hub, &asked, body, &configuration, trail).await?;
    let (before, configuration) = (configuration, in_force(hub)?);
    let is_same = configuration.version() == before.version();
    if !is_same || !Arc::ptr_eq(&local, &hub.local.load()) {
        trail.record.configuration = Some(configuration.version());
        let peer = identify(caller, &configuration)?;
        request.judge_again(hub, &peer, &configuration, trail)?;
        // What passes is proved under the configuration of its head, whose time the record has.
        trail.record.configuration = Some(before.version());
    }
    let receipt = request.record(hub, trail).await?;
    let answer = request.ask(hub, &asked, &receipt, &configuration).await?;
    let headers = answer_headers(&request, &asked, &answer, trail);
    let signed = sign_answer(hub, &parts, &target, &answer, headers).await?;
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
    let grounds = Grounds { configuration, roots: &hub.roots, now };
    let verified = verification::verify_request(&request_parts(parts), peer, &grounds)?;
    trail.record.time = verified.at();
    trail.record.client = Some(verified.client().to_string());
    trail.record.exchange = Some(verified.exchange().to_string());
    let pseudonym = |name| {
        let text = headers::single(&parts.headers, name)?;
        hub.journal.pseudonym(trail.record.time, text)
    };
    let exchange = trail.record.exchange.as_deref().unwrap_or_default();
    trail.record.message = headers::single(&parts.headers, headers::ID)
        .and_then(|id| hub.journal.message(trail.record.time, id, exchange));
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
