//! Messages as an honest hub makes them, to be changed before or after they are signed.

use anyhow::Context as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hub_core::batch::{self, Batch};
use hub_core::headers;
use hub_core::signature::{self, Parameters, RequestParts};
use hub_core::verification;
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use uuid::Uuid;

use super::SigningKeys;

impl SigningKeys {
    /// The parameters of a signature that an honest hub makes at `now`.
    #[must_use]
    pub fn parameters(&self, now: UnixMillis) -> Parameters {
        let algorithm = self.key.algorithm().name();
        verification::parameters_at(now, self.certificate.fingerprint(), algorithm)
    }
}

/// An unsigned request of `client` to `/r1/{target}`, with the headers that a hub signs.
///
/// # Errors
/// When the target is no path.
pub fn request(
    method: Method,
    client: &str,
    target: &str,
    body: impl Into<Bytes>,
) -> anyhow::Result<Request<Bytes>> {
    let body = body.into();
    Ok(Request::builder()
        .method(method)
        .uri(format!("https://hub.invalid/r1/{target}"))
        .header(headers::CLIENT, client)
        .header(headers::ID, format!("UZ-{}", Uuid::new_v4()))
        .header(headers::REQUEST_ID, Uuid::new_v4().to_string())
        .header(headers::CONTENT_DIGEST, digest(&body))
        .body(body)?)
}

/// Signs a request as it stands.
///
/// # Errors
/// When a header cannot be signed.
pub fn sign_request(
    request: &mut Request<Bytes>,
    keys: &SigningKeys,
    parameters: &Parameters,
) -> anyhow::Result<()> {
    let base = signature::request_base(&parts(request), parameters)?;
    let signed = keys.key.sign(base.base.as_bytes())?;
    set(request.headers_mut(), headers::SIGNATURE_INPUT, &base.input)?;
    set(request.headers_mut(), headers::SIGNATURE, &signature::signature_value(&signed))
}

/// Signs requests under one root, as a hub does under load.
///
/// # Errors
/// When a header cannot be signed.
pub fn sign_batch(
    requests: &mut [Request<Bytes>],
    keys: &SigningKeys,
    now: UnixMillis,
) -> anyhow::Result<()> {
    let parameters = Parameters { algorithm: batch::ALGORITHM, ..keys.parameters(now) };
    let mut leaves = Vec::with_capacity(requests.len());
    for request in &mut *requests {
        let base = signature::request_base(&parts(request), &parameters)?;
        set(request.headers_mut(), headers::SIGNATURE_INPUT, &base.input)?;
        leaves.push(base.base.leaf());
    }
    let batch = Batch::new(leaves);
    let root = keys.key.sign(&batch.to_sign())?;
    let root = root.as_slice().try_into().context("not an Ed25519 signature")?;
    for (request, signed) in requests.iter_mut().zip(batch.signatures(root)) {
        set(request.headers_mut(), headers::SIGNATURE, &signature::signature_value(&signed))?;
    }
    Ok(())
}

/// The unsigned answer of an honest hub to a request.
///
/// # Errors
/// When the request names no service.
pub fn honest_answer(
    request: &Request<Bytes>,
    status: u16,
    body: impl Into<Bytes>,
) -> anyhow::Result<Response<Bytes>> {
    let body = body.into();
    let service: Vec<&str> = request.uri().path().split('/').skip(2).take(5).collect();
    let mut answer = Response::new(body.clone());
    *answer.status_mut() = http::StatusCode::from_u16(status)?;
    let own = answer.headers_mut();
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for name in [headers::ID, headers::CLIENT, headers::REQUEST_ID] {
        set(own, name, headers::single(request.headers(), name).unwrap_or_default())?;
    }
    set(own, headers::SERVICE, &service.join("/"))?;
    set(own, headers::ENDPOINT, &headers::encode_text("GET /**"))?;
    set(own, headers::CONTENT_DIGEST, &digest(&body))?;
    Ok(answer)
}

/// Signs an answer as it stands, bound to a request.
///
/// # Errors
/// When a header cannot be signed, or the request is not signed.
pub fn sign_answer(
    answer: &mut Response<Bytes>,
    request: &Request<Bytes>,
    keys: &SigningKeys,
    parameters: &Parameters,
) -> anyhow::Result<()> {
    let status = answer.status().as_u16();
    let base = signature::answer_base(status, answer.headers(), &parts(request), parameters)?;
    let signed = keys.key.sign(base.base.as_bytes())?;
    set(answer.headers_mut(), headers::SIGNATURE_INPUT, &base.input)?;
    set(answer.headers_mut(), headers::SIGNATURE, &signature::signature_value(&signed))
}

fn parts(request: &Request<Bytes>) -> RequestParts<'_> {
    RequestParts {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
    }
}

fn digest(body: &[u8]) -> String {
    headers::content_digest(Sha256::of(body).as_bytes())
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> anyhow::Result<()> {
    let value = HeaderValue::from_str(value).with_context(|| format!("value of {name}"))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
