//! The answer of an exchange: its headers, its signature, its record, its release.

use http::HeaderMap;
use http::request::Parts;
use hub_core::signature::Base;
use hub_core::signature::kept::Signed;
use hub_core::target::Target;
use hub_core::{headers, signature, verification};
use hub_messagelog::LogReceipt;
use schemas::problem::{Problem, ProblemCode};
use schemas::record::Kind;

use super::request::Permitted;
use super::{Asked, Trail, log_failed, request_parts};
use crate::journal::Kept;
use crate::reply::{Reply, set};
use crate::source::SourceAnswer;
use crate::state::Hub;

/// The headers of the signed answer, X-Road's protocol for REST §4.3, and the decision's.
pub(super) fn answer_headers(
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
pub(super) struct SignedAnswer {
    pub(super) headers: HeaderMap,
    pub(super) base: Base,
    pub(super) signature: Vec<u8>,
}

pub(super) async fn sign_answer(
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
    let now = hub.clock.now();
    let parameters = verification::parameters_at(now, signer.key_id(), signer.algorithm());
    let request = request_parts(parts);
    let base = signature::answer_base(answer.status, &headers, &request, &parameters).map_err(
        |error| {
            let text = format!("the source's answer cannot be signed: {error}");
            Problem::new(ProblemCode::InvalidAnswer, text)
        },
    )?;
    let signature = signer.sign(&base.base).await.map_err(|error| fail(error.to_string()))?;
    set(&mut headers, headers::SIGNATURE_INPUT, &base.input);
    set(&mut headers, headers::SIGNATURE, &signature::signature_value(&signature));
    Ok(SignedAnswer { headers, base: base.base, signature })
}

pub(super) async fn record_answer(
    hub: &Hub,
    answer: &SourceAnswer,
    signed: &SignedAnswer,
    trail: &mut Trail,
) -> Result<LogReceipt, Problem> {
    let record = &mut trail.record;
    record.turn_into(Kind::Answer, hub.clock.now());
    record.status = Some(answer.status);
    record.set_body(answer.body.sha256(), answer.body.length());
    record.duration_us = Some(trail.watch.elapsed_us());
    let body = answer.body.in_memory();
    let message = Signed { base: &signed.base, signature: &signed.signature };
    let kept = Kept { message, request: trail.signed.as_ref().map(Into::into), body };
    hub.journal.submit(record, Some(kept)).await.map_err(|error| log_failed(&error))
}

/// Lets the answer leave; consumes the proof that its record is durable (promise P2).
pub(super) fn release(answer: &SourceAnswer, signed: SignedAnswer, _: LogReceipt) -> Reply {
    let mut reply = Reply::new(answer.body.body());
    if let Ok(status) = http::StatusCode::from_u16(answer.status) {
        *reply.status_mut() = status;
    }
    *reply.headers_mut() = signed.headers;
    reply
}
