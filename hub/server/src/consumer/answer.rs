//! The answer of an exchange: received whole, verified, recorded, and only then released.

use http::HeaderMap;
use hub_core::configuration::ConfigurationInForce;
use hub_core::contract::SubjectLocator;
use hub_core::path::PathPattern;
use hub_core::signature::kept::Signed;
use hub_core::subjects::{self, Places};
use hub_core::target::Target;
use hub_core::verification::{self, Grounds, ReceivedAnswer, VerifiedAnswer};
use hub_core::{headers, strict_json};
use hub_messagelog::{LogReceipt, PendingReceipt};
use hyper::body::Incoming;
use schemas::limits::{BASIS_TEXT_MAX_BYTES, BODY_MAX_BYTES};
use schemas::problem::{ErrorBody, Problem, ProblemCode};
use schemas::record::Kind;

use super::request::SignedRequest;
use super::{Failure, Trail, own};
use crate::journal::{self, Kept};
use crate::reply::{Reply, set};
use crate::spool::{self, Hashes, SpoolError, SpoolRules, Spooled};
use crate::state::Hub;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Spooled,
}

pub(super) async fn receive_answer(
    hub: &Hub,
    answer: http::Response<Incoming>,
    exchange: &str,
) -> Result<Answer, Failure> {
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
        let code = headers::single(&parts.headers, headers::ERROR).unwrap_or_default();
        return Err(peer_refusal(&body, code, exchange));
    }
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// Bytes of another hub's error object.
pub(super) const ERROR_MAX_BYTES: u64 = 8 * 1024;

/// A refusal of the provider's hub is not signed, but came over its authenticated connection. Only an error
/// object in the one form goes on. An answer to HEAD has the code only.
pub(super) fn peer_refusal(body: &Spooled, code: &str, exchange: &str) -> Failure {
    let from_code = || {
        let code = code.parse::<ProblemCode>().ok()?;
        Some(Problem::new(code, "the provider's security server refuses").to_body(exchange))
    };
    let read = match body.in_memory() {
        Some(bytes) if bytes.is_empty() => from_code(),
        bytes => bytes.and_then(|bytes| serde_json::from_slice::<ErrorBody>(bytes).ok()),
    };
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

pub(super) fn verify(
    answer: &Answer,
    request: &SignedRequest,
    target: &Target,
    grounds: &Grounds<'_>,
) -> Result<VerifiedAnswer, Failure> {
    let Answer { status, headers, body } = answer;
    let received = ReceivedAnswer { status: *status, headers, body: body.sha256() };
    let parts = request.parts();
    Ok(verification::verify_answer(&received, &parts, &target.service, grounds)?)
}

/// What the provider's hub decided, from the signed headers of its answer.
///
/// # Errors
/// [`Failure`] when they would fill the record.
pub(super) async fn read_answer_trail(
    hub: &Hub,
    answer: &Answer,
    target: &Target,
    (request, body): (&SignedRequest, &Spooled),
    configuration: &ConfigurationInForce,
    trail: &mut Trail,
) -> Result<(), Failure> {
    let text = |name| headers::single(&answer.headers, name).map(headers::decode_text);
    let basis = [headers::ENDPOINT, headers::GRANT, headers::LEGAL_BASIS, headers::PURPOSE];
    let basis = basis.map(text);
    if basis.iter().flatten().any(|text| text.len() > BASIS_TEXT_MAX_BYTES) {
        let text = format!(
            "the answer names an endpoint, grant, legal basis or purpose of more than {BASIS_TEXT_MAX_BYTES} bytes"
        );
        return Err(own(ProblemCode::InconsistentResponse, text));
    }
    let [endpoint, grant, legal_basis, purpose] = basis;
    let record = &mut trail.record;
    (record.endpoint, record.grant, record.legal_basis) = (endpoint, grant, legal_basis);
    // Only a code of the catalogue is recorded (promise P6).
    let purpose = purpose.filter(|code| configuration.purpose(code).is_some());
    record.purpose = purpose.or_else(|| record.purpose.take());
    let locators: Vec<SubjectLocator> = text(headers::SUBJECTS)
        .unwrap_or_default()
        .split(", ")
        .filter_map(SubjectLocator::parse)
        .collect();
    let template = trail.record.endpoint.as_deref().and_then(|e| e.split_once(' '));
    let pattern = template.and_then(|(_, template)| PathPattern::parse(template).ok());
    let Some(pattern) = pattern.filter(|_| !locators.is_empty()) else { return Ok(()) };
    let in_body = locators.iter().any(SubjectLocator::is_in_body);
    let bytes = if in_body { body.read_whole().await.ok() } else { None };
    let json = bytes.and_then(|bytes| strict_json::parse(&bytes).ok());
    let query = request.query.as_deref();
    let places = Places { pattern: &pattern, path: &target.path, query, body: json.as_ref() };
    if let Ok(subjects) = subjects::read(&locators, &places) {
        trail.record.subjects = hub.journal.pseudonyms(trail.record.time, &subjects);
    }
    Ok(())
}

pub(super) fn record_answer(
    hub: &Hub,
    answer: &Answer,
    verified: &VerifiedAnswer,
    trail: &mut Trail,
) -> PendingReceipt {
    let record = &mut trail.record;
    record.turn_into(Kind::Answer, verified.at());
    record.status = Some(answer.status);
    record.set_body(answer.body.sha256(), answer.body.length());
    record.duration_us = Some(trail.watch.elapsed_us());
    let signed = verified.signature();
    let body = answer.body.in_memory();
    let message = Signed { base: &signed.base, signature: &signed.signature };
    let kept = Kept { message, request: trail.signed.as_ref().map(Into::into), body };
    hub.journal.submit(record, Some(kept))
}

/// Hands the answer to the caller; needs the proof that it is verified and that it is recorded.
pub(super) fn release(
    answer: Answer,
    _: VerifiedAnswer,
    receipt: &LogReceipt,
    trail: &Trail,
) -> Reply {
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
