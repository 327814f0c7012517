//! Who speaks: checks of a peer, of a request and of an answer against the configuration in force.
//!
//! Each check gives evidence that only this module can make. The order is the order of cost and of blame:
//! the peer's registration, the client it speaks for, the signing certificate, the times, the signature.

use pki::trust::{Algorithm, PublicKey};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::identifier::{ClientId, MemberId, ServerId, ServiceId, SubsystemId};
use schemas::limits::{CLOCK_SKEW, MESSAGE_LIFETIME};
use schemas::problem::{Problem, ProblemCode};
use uuid::Uuid;

use crate::batch::{self, VerifiedRoots};
use crate::configuration::ConfigurationInForce;
use crate::headers;
use crate::signature::{self, Parameters, ReceivedSignature, RequestParts};

/// A peer that is a registered security server, in force. Only [`identify_peer`] makes it.
#[derive(Debug)]
pub struct RegisteredPeer {
    server: ServerId,
}

impl RegisteredPeer {
    /// The security server.
    #[must_use]
    pub fn server(&self) -> &ServerId {
        &self.server
    }
}

/// Finds the security server that holds the authentication certificate of a connection.
///
/// # Errors
/// [`ProblemCode::PeerNotAuthorised`] when no server has it, [`ProblemCode::Suspended`] when the server or its
/// owner is suspended.
pub fn identify_peer(
    fingerprint: &Sha256,
    configuration: &ConfigurationInForce,
) -> Result<RegisteredPeer, Problem> {
    let server = configuration.server_by_certificate(fingerprint).ok_or_else(|| {
        let text = "the authentication certificate is not in the global configuration in force";
        Problem::new(ProblemCode::PeerNotAuthorised, text)
    })?;
    let owner = configuration.member(&server.id.owner());
    let suspended = |text| Err(Problem::new(ProblemCode::Suspended, text));
    if owner.is_none_or(|member| member.suspended) {
        return suspended("the owner of the security server is suspended");
    }
    if server.suspended {
        return suspended("the security server is suspended");
    }
    Ok(RegisteredPeer { server: server.id.clone() })
}

/// What a signature is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// The global configuration in force.
    pub configuration: &'a ConfigurationInForce,
    /// Batch roots that have been verified.
    pub roots: &'a VerifiedRoots,
    /// The time now.
    pub now: UnixMillis,
}

/// A request whose head is proven: who asks, what, and that it is fresh. Only [`verify_request`] makes it.
/// The body is proven when its digest equals [`VerifiedRequest::body_digest_matches`].
#[derive(Debug)]
pub struct VerifiedRequest {
    client: SubsystemId,
    exchange: Uuid,
    signature: ReceivedSignature,
    content_digest: String,
    at: UnixMillis,
}

impl VerifiedRequest {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &SubsystemId {
        &self.client
    }

    /// The exchange's id.
    #[must_use]
    pub fn exchange(&self) -> Uuid {
        self.exchange
    }

    /// The signature with its base.
    #[must_use]
    pub fn signature(&self) -> &ReceivedSignature {
        &self.signature
    }

    /// When the signature was judged. The record has this time, so that a verifier of evidence who
    /// holds the signature's times to it comes to the same verdict.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        self.at
    }

    /// Checks the body that was received.
    ///
    /// # Errors
    /// [`ProblemCode::RequestSignature`] when it is not the one that was signed.
    pub fn body_digest_matches(&self, body: &Sha256) -> Result<(), Problem> {
        digest_matches(&self.content_digest, body, ProblemCode::RequestSignature)
    }
}

fn digest_matches(signed: &str, body: &Sha256, code: ProblemCode) -> Result<(), Problem> {
    if signed == headers::content_digest(body.as_bytes()) {
        return Ok(());
    }
    Err(Problem::new(code, "the body is not the one that was signed"))
}

/// Verifies the head of a request that a registered peer sent.
///
/// # Errors
/// A [`Problem`] of the provider's side with the reason.
pub fn verify_request(
    parts: &RequestParts<'_>,
    peer: &RegisteredPeer,
    grounds: &Grounds<'_>,
) -> Result<VerifiedRequest, Problem> {
    let configuration = grounds.configuration;
    let client = client_of(parts)?;
    let server = configuration.server(&peer.server);
    if !server.is_some_and(|server| server.clients.contains(&client)) {
        let text = "the sending security server is not registered for this client";
        return Err(Problem::new(ProblemCode::PeerNotAuthorised, text));
    }
    let member = client.member();
    if configuration.member(&member).is_none_or(|member| member.suspended) {
        return Err(Problem::new(ProblemCode::Suspended, "the client's member is suspended"));
    }
    let received = signature::read_request(parts)
        .map_err(|error| Problem::new(ProblemCode::RequestSignature, error.to_string()))?;
    let codes = Codes {
        certificate: ProblemCode::RequestCertificate,
        revoked: ProblemCode::RequestCertificateRevoked,
        expired: ProblemCode::RequestExpired,
        signature: ProblemCode::RequestSignature,
    };
    check_signature(&received, &member, grounds, &codes)?;
    let required = |name| headers::single(parts.headers, name).unwrap_or_default();
    let id = required(headers::REQUEST_ID);
    // Record and evidence name the exchange: in another spelling than the signed one they would not agree.
    let exchange = Uuid::try_parse(id).ok().filter(|exchange| exchange.to_string() == id);
    let exchange = exchange.ok_or_else(|| {
        let text = "x-road-request-id is not a UUID in small letters with hyphens";
        Problem::new(ProblemCode::RequestSignature, text)
    })?;
    let content_digest = required(headers::CONTENT_DIGEST).to_owned();
    let at = grounds.now;
    Ok(VerifiedRequest { client, exchange, signature: received, content_digest, at })
}

fn client_of(parts: &RequestParts<'_>) -> Result<SubsystemId, Problem> {
    headers::single(parts.headers, headers::CLIENT)
        .and_then(|text| text.parse::<ClientId>().ok())
        .and_then(|client| client.subsystem())
        .ok_or_else(|| {
            let text = "X-Road-Client is missing, repeated or names no subsystem";
            Problem::new(ProblemCode::PeerNotAuthorised, text)
        })
}

/// An answer that is proven to be the provider's, to this request, and fresh. Only [`verify_answer`]
/// makes it.
#[derive(Debug)]
pub struct VerifiedAnswer {
    signature: ReceivedSignature,
    at: UnixMillis,
}

impl VerifiedAnswer {
    /// The signature with its base.
    #[must_use]
    pub fn signature(&self) -> &ReceivedSignature {
        &self.signature
    }

    /// When the signature was judged, as with [`VerifiedRequest::at`].
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        self.at
    }
}

/// An answer as the consumer's hub received it, with the digest of its body.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: &'a http::HeaderMap,
    /// SHA-256 of the body.
    pub body: &'a Sha256,
}

/// Verifies an answer of `service` to the request that this hub signed.
///
/// # Errors
/// A [`Problem`] of the consumer's side: the answer is not released.
pub fn verify_answer(
    answer: &ReceivedAnswer<'_>,
    request: &RequestParts<'_>,
    service: &ServiceId,
    grounds: &Grounds<'_>,
) -> Result<VerifiedAnswer, Problem> {
    let received = signature::read_answer(answer.status, answer.headers, request)
        .map_err(|error| Problem::new(ProblemCode::AnswerSignature, error.to_string()))?;
    let codes = Codes {
        certificate: ProblemCode::AnswerCertificate,
        revoked: ProblemCode::AnswerCertificate,
        expired: ProblemCode::AnswerSignature,
        signature: ProblemCode::AnswerSignature,
    };
    let provider = service.subsystem().member();
    check_signature(&received, &provider, grounds, &codes)?;
    let own = |name| headers::single(answer.headers, name);
    let same = |name| own(name).is_some() && own(name) == headers::single(request.headers, name);
    // The request's client may be spelled in another encoding than the one that hubs write.
    let client = headers::single(request.headers, headers::CLIENT)
        .and_then(|text| text.parse::<ClientId>().ok());
    let consistent = same(headers::REQUEST_ID)
        && same(headers::ID)
        && client.is_some_and(|client| own(headers::CLIENT) == Some(client.as_str()))
        && own(headers::SERVICE) == Some(service.as_str());
    if !consistent {
        let text = "the answer names another request, client or service";
        return Err(Problem::new(ProblemCode::InconsistentResponse, text));
    }
    let digest = own(headers::CONTENT_DIGEST).unwrap_or_default();
    digest_matches(digest, answer.body, ProblemCode::AnswerSignature)?;
    Ok(VerifiedAnswer { signature: received, at: grounds.now })
}

struct Codes {
    certificate: ProblemCode,
    revoked: ProblemCode,
    expired: ProblemCode,
    signature: ProblemCode,
}

fn check_signature(
    received: &ReceivedSignature,
    member: &MemberId,
    grounds: &Grounds<'_>,
    codes: &Codes,
) -> Result<(), Problem> {
    let Grounds { configuration, roots, now } = *grounds;
    let key = configuration
        .signing_key(&received.parameters.key_id)
        .filter(|key| key.member == *member)
        .ok_or_else(|| {
            let text =
                "the signing certificate is not one of the member's in the global configuration";
            Problem::new(codes.certificate, text)
        })?;
    if key.revoked.is_some() {
        return Err(Problem::new(codes.revoked, "the signing certificate is revoked"));
    }
    if let Err(error) = key.certificate.valid_at(now) {
        return Err(Problem::new(codes.certificate, error.to_string()));
    }
    check_times(&received.parameters, now)
        .map_err(|reason| Problem::new(codes.expired, reason.to_string()))?;
    check_bytes(received, &key.public_key, roots)
        .map_err(|reason| Problem::new(codes.signature, reason.to_string()))
}

/// Why a signature's bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytesRefusal {
    /// The key cannot have made a signature of this algorithm.
    #[error("the signature's algorithm is not that of the certificate's key")]
    Algorithm,
    /// The signature does not verify.
    #[error("the signature does not verify over the message as received")]
    Signature,
}

/// Checks the bytes of a signature over its base: alone, or under the root of a batch.
///
/// # Errors
/// [`BytesRefusal`].
pub fn check_bytes(
    received: &ReceivedSignature,
    key: &PublicKey,
    roots: &VerifiedRoots,
) -> Result<(), BytesRefusal> {
    let (base, signature) = (&received.base, received.signature.as_slice());
    let verified = match (received.parameters.algorithm, key.algorithm()) {
        (batch::ALGORITHM, Algorithm::Ed25519) => batch::verify(key, base.leaf(), signature, roots),
        (name, algorithm) if name == algorithm.name() => key.verify(base.as_bytes(), signature),
        _ => return Err(BytesRefusal::Algorithm),
    };
    verified.map_err(|_| BytesRefusal::Signature)
}

/// Why the times that a signature states are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimesRefusal {
    /// `created` is later than the moment, by more than clocks may differ.
    #[error("the signature was made in the future")]
    Future,
    /// `expires` is earlier than the moment, by more than clocks may differ.
    #[error("the signature has expired")]
    Expired,
    /// `expires` is before `created`, or too long after it.
    #[error("the signature lives longer than the exchange allows")]
    Lifetime,
}

/// Checks the times of a signature at the moment at which it counts, in whole seconds: at the hub that
/// receives it now, in evidence the time of its record.
///
/// # Errors
/// [`TimesRefusal`].
pub fn check_times(parameters: &Parameters, at: UnixMillis) -> Result<(), TimesRefusal> {
    let Parameters { created, expires, .. } = *parameters;
    let lifetime = expires.checked_sub(created).ok_or(TimesRefusal::Lifetime)?;
    if lifetime > MESSAGE_LIFETIME.as_secs() {
        return Err(TimesRefusal::Lifetime);
    }
    let skew = CLOCK_SKEW.as_secs();
    if created > at.seconds().saturating_add(skew) {
        return Err(TimesRefusal::Future);
    }
    if expires.saturating_add(skew) < at.seconds() {
        return Err(TimesRefusal::Expired);
    }
    Ok(())
}

/// The parameters for a signature that is made at `now` by the certificate with this fingerprint.
#[must_use]
pub fn parameters_at(now: UnixMillis, key_id: Sha256, algorithm: &'static str) -> Parameters {
    let created = now.seconds();
    Parameters { created, expires: created + MESSAGE_LIFETIME.as_secs(), key_id, algorithm }
}
