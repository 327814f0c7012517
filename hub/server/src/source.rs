//! The source behind a service: one HTTP call with the signed headers, bounded in time and size.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Request};
use hub_core::headers;
use hub_core::policy::Permit;
use hub_core::target::Target;
use hub_messagelog::LogReceipt;
use schemas::limits::{BODY_MAX_BYTES, HEADERS_MAX_BYTES, HEADERS_MAX_COUNT, JSON_BODY_MAX_BYTES};
use schemas::problem::{Problem, ProblemCode};

use crate::local::LocalService;
use crate::spool::{self, Hashes, SpoolError, SpoolRules, Spooled, SpooledBody};
use crate::state::Hub;

/// What a source is asked. The receipt is the proof that the question is recorded.
pub(crate) struct Question<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) target: &'a Target,
    pub(crate) body: &'a Spooled,
    pub(crate) recorded: &'a LogReceipt,
}

/// A source's answer, received whole.
pub(crate) struct SourceAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Spooled,
}

/// Asks a source. The permit and the receipt in the question are what promise P1 rests on.
pub(crate) async fn ask(
    hub: &Hub,
    service: &LocalService,
    question: &Question<'_>,
    permit: &Permit,
) -> Result<SourceAnswer, Problem> {
    tracing::trace!(index = question.recorded.index(), grant = permit.grant(), "asking the source");
    let path = question.parts.uri.path().get(question.target.service_path_at..).unwrap_or_default();
    let query = question.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = Request::new(question.body.body());
    *request.method_mut() = question.parts.method.clone();
    *request.uri_mut() = format!("{}{path}{query}", service.url)
        .parse()
        .map_err(|_| Problem::new(ProblemCode::AmbiguousPath, "the path is malformed"))?;
    for (name, value) in &question.parts.headers {
        if headers::goes_to_source(name) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    let limit_bytes = if service.contract.is_some() { JSON_BODY_MAX_BYTES } else { BODY_MAX_BYTES };
    fetch(hub, request, service.timeout, limit_bytes).await
}

/// One call to a source.
pub(crate) async fn fetch(
    hub: &Hub,
    request: Request<SpooledBody>,
    timeout: Duration,
    limit_bytes: u64,
) -> Result<SourceAnswer, Problem> {
    let too_slow = || {
        let text = format!("the source did not answer within {} s", timeout.as_secs());
        Problem::new(ProblemCode::SourceTimeout, text)
    };
    let answer = tokio::time::timeout(timeout, hub.sources.request(request))
        .await
        .map_err(|_| too_slow())?
        .map_err(|error| {
            tracing::warn!(%error, "a source cannot be reached");
            let text = if error.is_connect() {
                "the source cannot be reached"
            } else {
                "the source broke the connection or does not speak HTTP"
            };
            Problem::new(ProblemCode::SourceUnreachable, text)
        })?;
    let (parts, body) = answer.into_parts();
    let header_bytes: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > HEADERS_MAX_BYTES || parts.headers.len() > HEADERS_MAX_COUNT {
        let text = format!(
            "the source's answer has more than {HEADERS_MAX_COUNT} headers or {HEADERS_MAX_BYTES} bytes of them"
        );
        return Err(Problem::new(ProblemCode::AnswerTooLarge, text));
    }
    let rules = SpoolRules { dir: &hub.spool_dir, limit_bytes, hashes: Hashes::Sha256 };
    let body = spool::receive(body, rules).await.map_err(|error| {
        let code = match error {
            SpoolError::TooLarge(_) => ProblemCode::AnswerTooLarge,
            SpoolError::Idle(_) | SpoolError::Slow { .. } => ProblemCode::SourceTimeout,
            SpoolError::Incomplete(_) => ProblemCode::SourceUnreachable,
            SpoolError::Disk(_) => ProblemCode::ProviderInternal,
        };
        Problem::new(code, format!("answer of the source: {error}"))
    })?;
    Ok(SourceAnswer { status: parts.status.as_u16(), headers: parts.headers, body })
}
