//! The request of an exchange once its head is proven: permitted, validated, recorded, carried out.

use std::sync::Arc;

use http::request::Parts;
use hub_core::configuration::ConfigurationInForce;
use hub_core::contract::{Endpoint, SubjectLocator};
use hub_core::policy::Call;
use hub_core::signature::kept::Signed;
use hub_core::subjects::{self, Places};
use hub_core::target::Target;
use hub_core::verification::{self, Grounds, RegisteredPeer, VerifiedRequest};
use hub_core::{headers, strict_json};
use hub_messagelog::LogReceipt;
use hyper::body::Incoming;
use schemas::limits::{BODY_MAX_BYTES, JSON_BODY_MAX_BYTES, SUBJECTS_MAX_COUNT};
use schemas::problem::{Problem, ProblemCode};
use serde_json::Value;

use super::{Asked, Granted, Right, Trail, find, log_failed, request_parts};
use crate::journal::Kept;
use crate::local::LocalService;
use crate::metadata::{self, Metadata};
use crate::source::{self, SourceAnswer};
use crate::spool::{self, Hashes, SpoolError, SpoolRules, Spooled};
use crate::state::Hub;

/// A request with a verified head, before its body.
pub(super) struct ProvenHead<'a> {
    pub(super) parts: &'a Parts,
    pub(super) target: &'a Target,
    pub(super) verified: &'a VerifiedRequest,
}

/// A request that may be carried out once its record is durable.
pub(super) struct Permitted<'a> {
    pub(super) parts: &'a Parts,
    pub(super) target: &'a Target,
    pub(super) verified: &'a VerifiedRequest,
    pub(super) body: Spooled,
    pub(super) right: Right,
    pub(super) endpoint: String,
    pub(super) locators: Vec<SubjectLocator>,
    /// People that the call is about.
    subjects_count: usize,
}

impl<'a> ProvenHead<'a> {
    pub(super) async fn receive(
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
        let in_body = locators.iter().any(SubjectLocator::is_in_body);
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
        let subjects_count = trail.record.subjects.len();
        let endpoint = name;
        Ok(Permitted { parts, target, verified, body, right, endpoint, locators, subjects_count })
    }

    pub(super) async fn receive_metadata(
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
        let (locators, subjects_count) = (Vec::new(), 0);
        Ok(Permitted { parts, target, verified, body, right, endpoint, locators, subjects_count })
    }

    pub(super) fn endpoint<'s>(
        &self,
        service: &'s LocalService,
    ) -> Result<Option<&'s Endpoint>, Problem> {
        let Some(contract) = &service.contract else { return Ok(None) };
        let found = contract.endpoint(self.parts.method.as_str(), &self.target.path);
        found.map(Some).ok_or_else(|| {
            let text = "the service's contract has no such method and path";
            Problem::new(ProblemCode::AccessDenied, text)
        })
    }

    /// Receives the body whole, proves it by its signed digest, and reads it where there is a schema.
    pub(super) async fn receive_body(
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
        if !held || endpoint.is_some_and(Endpoint::is_opaque) || body.length() == 0 {
            return Ok((body, None));
        }
        let whole = body.read_whole().await.map_err(|error| body_problem(&error))?;
        let json = strict_json::parse(&whole)
            .map_err(|error| Problem::new(ProblemCode::InvalidRequestBody, error.to_string()))?;
        Ok((body, Some(json)))
    }

    pub(super) fn decide(
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
        // Only a code of the catalogue is recorded: a caller can write anything there (promise P6).
        trail.record.purpose = call
            .purpose
            .filter(|code| configuration.purpose(code).is_some())
            .map(ToOwned::to_owned);
        permit(hub, &call, None, configuration, trail)
    }
}

/// Asks the policy, and writes into the record what it says; `before` is what was said of this call already.
fn permit(
    hub: &Hub,
    call: &Call<'_>,
    before: Option<&Granted>,
    configuration: &ConfigurationInForce,
    trail: &mut Trail,
) -> Result<Right, Problem> {
    let in_group = |code: &str, client: &_| configuration.in_group(code, client);
    let denied = |text: String| Problem::new(ProblemCode::AccessDenied, text);
    let by = hub.local.load_full();
    let counted = before.filter(|before| Arc::ptr_eq(&before.by, &by));
    let permit = by
        .policy
        .decide(call, hub.clock.now(), counted.map(|before| before.permit.grant()), in_group)
        .map_err(|refusal| denied(format!("the call is not permitted: {refusal}")))?;
    if configuration.purpose(permit.purpose()).is_none() {
        return Err(denied("the purpose is not in the purpose catalogue any more".into()));
    }
    trail.record.grant = Some(permit.grant().to_owned());
    trail.record.purpose = Some(permit.purpose().to_owned());
    trail.record.legal_basis = Some(permit.legal_basis().to_owned());
    Ok(Right::Granted(Granted { permit, by }))
}

pub(super) fn body_problem(error: &SpoolError) -> Problem {
    let code = match error {
        SpoolError::TooLarge(_) => ProblemCode::InvalidRequestBody,
        SpoolError::Incomplete(_) | SpoolError::Idle(_) | SpoolError::Slow { .. } => {
            ProblemCode::RequestIncomplete
        }
        SpoolError::Disk(_) => ProblemCode::ProviderInternal,
    };
    Problem::new(code, error.to_string())
}

impl Permitted<'_> {
    /// Judges the request by a configuration and grants that came into force while its body was on the way: sending
    /// it slowly is no way around a withdrawal.
    pub(super) fn judge_again(
        &mut self,
        hub: &Hub,
        peer: &RegisteredPeer,
        configuration: &ConfigurationInForce,
        trail: &mut Trail,
    ) -> Result<(), Problem> {
        let grounds = Grounds { configuration, roots: &hub.roots, now: self.verified.at() };
        verification::verify_request(&request_parts(self.parts), peer, &grounds)?;
        let Asked::Service(service) = find(hub, self.target)? else { return Ok(()) };
        let call = Call {
            client: self.verified.client(),
            service: &service.id,
            method: self.parts.method.as_str(),
            path: &self.target.path,
            purpose: headers::single(&self.parts.headers, headers::PURPOSE),
            subjects_count: self.subjects_count,
        };
        let before = match &self.right {
            Right::Granted(granted) => Some(granted),
            Right::Open => None,
        };
        self.right = permit(hub, &call, before, configuration, trail)?;
        Ok(())
    }

    /// Makes the request's record durable: before this the source hears nothing (promise P1).
    pub(super) async fn record(&self, hub: &Hub, trail: &mut Trail) -> Result<LogReceipt, Problem> {
        let record = &mut trail.record;
        record.set_body(self.body.sha256(), self.body.length());
        record.duration_us = Some(trail.watch.elapsed_us());
        let signed = self.verified.signature();
        let body = self.body.in_memory();
        let message = Signed { base: &signed.base, signature: &signed.signature };
        let kept = Kept { message, request: None, body };
        hub.journal.submit(record, Some(kept)).await.map_err(|error| log_failed(&error))
    }

    pub(super) async fn ask(
        &self,
        hub: &Hub,
        asked: &Asked,
        recorded: &LogReceipt,
        configuration: &ConfigurationInForce,
    ) -> Result<SourceAnswer, Problem> {
        let question =
            source::Question { parts: self.parts, target: self.target, body: &self.body, recorded };
        match (asked, &self.right) {
            (Asked::Service(service), Right::Granted(granted)) => {
                let answer = source::ask(hub, service, &question, &granted.permit).await?;
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
    pub(super) async fn check_answer(
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
