//! The consumer's half of an exchange: from the agency's system to another security server and back.
//!
//! Authenticate the caller → read the request line → receive the body → sign → submit the request
//! record → send → receive and verify the answer → make the answer record durable → release.
//! The request record is written while the request travels; nothing is released before both records are durable.

mod answer;
mod request;

use std::sync::Arc;

use http::Request;
use hub_core::headers;
use hub_core::signature::Base;
use hub_core::signature::kept::Signed;
use hub_core::verification::Grounds;
use hyper::body::Incoming;
use schemas::clock::Stopwatch;
use schemas::limits::BODY_MAX_BYTES;
use schemas::problem::{ErrorBody, Problem, ProblemCode};
use schemas::record::{Kind, Record, Side};
use uuid::Uuid;

pub(crate) use self::request::chain;

use self::answer::{read_answer_trail, receive_answer, record_answer, release, verify};
use self::request::{
    Outgoing, authenticate, body_problem, check_registration, in_force, providers, read_target,
    record_request, sign,
};
use crate::journal::Kept;
use crate::listener::Caller;
use crate::reply::{Reply, error_reply, problem_reply};
use crate::spool::{self, Hashes, SpoolRules};
use crate::state::Hub;

/// Why an exchange ended without an answer.
enum Failure {
    /// This hub refuses or fails.
    Own(Problem),
    /// The provider's hub refused; its error object goes on as it is.
    Peer(ErrorBody),
}

impl Failure {
    /// The problem code, for the counters; `other` for a code that this release does not know.
    fn code(&self) -> &'static str {
        match self {
            Self::Own(problem) => problem.code.as_str(),
            Self::Peer(body) => body.kind.parse().map_or("other", ProblemCode::as_str),
        }
    }
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
    signed: Option<(Base, Vec<u8>)>,
}

/// Carries out one exchange for a caller.
pub(crate) async fn exchange(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let exchange = Uuid::new_v4().to_string();
    let accept = headers::single(request.headers(), "accept").map(ToOwned::to_owned);
    let mut record = Record::new(Kind::Request, Side::Consumer, hub.clock.now(), "ok");
    record.exchange = Some(exchange.clone());
    let mut trail = Trail { exchange, watch: hub.clock.stopwatch(), record, signed: None };
    let result = run(&hub, caller, request, &mut trail).await;
    hub.metrics.consumer(result.as_ref().err().map(Failure::code), &trail.watch);
    match result {
        Ok(reply) => reply,
        Err(failure) => refuse(&hub, failure, &mut trail, accept.as_deref()).await,
    }
}

/// Makes the refusal a record and tells the caller (promise P3).
async fn refuse(hub: &Hub, failure: Failure, trail: &mut Trail, accept: Option<&str>) -> Reply {
    let record = &mut trail.record;
    record.turn_into(Kind::Refusal, hub.clock.now());
    record.duration_us = Some(trail.watch.elapsed_us());
    let (outcome, body, status) = match failure {
        Failure::Own(problem) => {
            let status = problem.code.status();
            (problem.code.as_str().to_owned(), problem.to_body(&trail.exchange), status)
        }
        Failure::Peer(body) => {
            // The reference is this hub's own, whatever the other says: it must find this record.
            let body = ErrorBody { detail: trail.exchange.clone(), ..body };
            (body.kind.clone(), body, 500)
        }
    };
    record.outcome = outcome;
    tracing::info!(exchange = trail.exchange, outcome = record.outcome, "exchange refused");
    let kept = |signed| Kept { message: Signed::from(signed), request: None, body: None };
    let kept = trail.signed.as_ref().map(kept);
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
    let message = headers::single(&parts.headers, headers::ID);
    trail.record.message = message.and_then(|id| hub.journal.message(now, id, &trail.exchange));
    trail.record.user = headers::single(&parts.headers, headers::USER_ID)
        .and_then(|user| hub.journal.pseudonym(now, user));
    let configuration = in_force(hub)?;
    trail.record.configuration = Some(configuration.version());
    check_registration(hub, &configuration)?;
    // Only a code of the catalogue is recorded: a caller can write anything there (promise P6).
    trail.record.purpose = headers::single(&parts.headers, headers::PURPOSE)
        .filter(|code| configuration.purpose(code).is_some())
        .map(Into::into);
    let servers = providers(&configuration, &target, &parts.headers)?;
    // Until the provider is known the identifier may be anything that a caller mistook for one.
    trail.record.service = Some(target.service.to_string());
    let rules =
        SpoolRules { dir: &hub.spool_dir, limit_bytes: BODY_MAX_BYTES, hashes: Hashes::Sha256 };
    let body = spool::receive(body, rules).await.map_err(|error| body_problem(&error))?;
    // Who was taken off the hub meanwhile is not served any more.
    authenticate(hub, caller, &parts.headers)?;
    // What is signed now is recorded under the configuration of now, and goes where that says.
    let (before, configuration) = (configuration, in_force(hub)?);
    let servers = if configuration.version() == before.version() {
        servers
    } else {
        trail.record.configuration = Some(configuration.version());
        check_registration(hub, &configuration)?;
        providers(&configuration, &target, &parts.headers)?
    };
    let signer = hub.signer(&client.member()).ok_or_else(|| {
        own(ProblemCode::ConsumerInternal, "no signing key for the client's member")
    })?;
    if let Some(failure) = hub.journal.log.failure() {
        // Nobody is asked for an answer that could not be released. The record of this refusal finds out
        // whether the log stores again.
        return Err(log_problem(&failure));
    }
    let request = sign(hub, &signer, &parts, &body, trail).await?;
    let mut request_recorded = record_request(hub, &body, trail);
    if let Some(error) = request_recorded.failure() {
        return Err(log_problem(&error));
    }
    let answer = Outgoing { request: &request, body: &body, hub };
    let (answer, server) = answer.send(&servers).await?;
    // A large body may come for longer than a signature is good: what counts is when its head came.
    let arrived = hub.clock.now();
    trail.record.peer = Some(server.id.to_string());
    let answer = receive_answer(hub, answer, &trail.exchange).await?;
    let grounds = Grounds { configuration: &configuration, roots: &hub.roots, now: arrived };
    let verified = verify(&answer, &request, &target, &grounds)?;
    read_answer_trail(hub, &answer, &target, (&request, &body), &configuration, trail).await?;
    // Both records share one sync: the request's waits for no other than the answer's.
    let answer_recorded = record_answer(hub, &answer, &verified, trail);
    request_recorded.await.map_err(|error| log_problem(&error))?;
    let receipt = answer_recorded.await.map_err(|error| log_problem(&error))?;
    Ok(release(answer, verified, &receipt, trail))
}

fn log_problem(error: &hub_messagelog::LogError) -> Failure {
    tracing::error!(%error, "the message log refuses a record");
    own(ProblemCode::ConsumerLogFailed, "the message log of the consumer's hub cannot write")
}
