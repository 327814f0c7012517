//! The request of an exchange: whose it is, where it goes, signed and sent.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, Request};
use hub_core::configuration::ConfigurationInForce;
use hub_core::headers;
use hub_core::signature::kept::Signed;
use hub_core::signature::{self, RequestParts};
use hub_core::target::{Target, TargetRefusal};
use hub_core::verification;
use hub_messagelog::PendingReceipt;
use hyper::body::Incoming;
use schemas::configuration::SecurityServer;
use schemas::identifier::{ClientId, ServerId, SubsystemId};
use schemas::limits::PEER_TIMEOUT;
use schemas::problem::ProblemCode;

use super::{Failure, Trail, own};
use crate::journal::Kept;
use crate::listener::Caller;
use crate::reply::set;
use crate::signing::MemberSigner;
use crate::spool::{SpoolError, Spooled};
use crate::state::Hub;

pub(super) fn read_target(parts: &Parts) -> Result<Target, Failure> {
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
pub(super) fn authenticate(
    hub: &Hub,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<SubsystemId, Failure> {
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

pub(super) fn in_force(hub: &Hub) -> Result<Arc<ConfigurationInForce>, Failure> {
    let refuse = |text| own(ProblemCode::ConfigurationOutdated, text);
    let configuration =
        hub.in_force.load_full().ok_or_else(|| refuse("there is no global configuration yet"))?;
    if configuration.expired_at(hub.clock.now()) {
        return Err(refuse("the global configuration has expired"));
    }
    Ok(configuration)
}

/// Other hubs end the handshake of a server that is not registered without a word; here it can be said why.
pub(super) fn check_registration(
    hub: &Hub,
    configuration: &ConfigurationInForce,
) -> Result<(), Failure> {
    let registered = configuration.server_by_certificate(&hub.authentication_certificate);
    if registered.is_some_and(|server| server.id == hub.server) {
        return Ok(());
    }
    let text = "this security server's own authentication certificate is not in the global \
                configuration in force";
    Err(own(ProblemCode::PeerNotAuthorised, text))
}

/// The provider's security servers, in the order in which they are tried.
pub(super) fn providers(
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

pub(super) fn body_problem(error: &SpoolError) -> Failure {
    let code = match error {
        SpoolError::TooLarge(_) => ProblemCode::RequestTooLarge,
        SpoolError::Incomplete(_) | SpoolError::Idle(_) | SpoolError::Slow { .. } => {
            ProblemCode::IncompleteBody
        }
        SpoolError::Disk(_) => ProblemCode::ConsumerInternal,
    };
    own(code, error.to_string())
}

/// A request as it was signed.
pub(super) struct SignedRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
}

impl SignedRequest {
    pub(super) fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: self.method.as_str(),
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }

    pub(super) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

pub(super) async fn sign(
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
        set(&mut headers, headers::ID, &format!("{instance}-{}", trail.exchange));
    }
    let digest = headers::content_digest(body.sha256().as_bytes());
    set(&mut headers, headers::CONTENT_DIGEST, &digest);
    let mut request = SignedRequest {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(ToOwned::to_owned),
        headers,
    };
    let now = hub.clock.now();
    // The body may have come slowly; the record is of what is signed now.
    trail.record.time = now;
    let parameters = verification::parameters_at(now, signer.key_id(), signer.algorithm());
    let base = signature::request_base(&request.parts(), &parameters)
        .map_err(|error| own(ProblemCode::BadRequest, error.to_string()))?;
    let signed = signer
        .sign(&base.base)
        .await
        .map_err(|error| own(ProblemCode::ConsumerInternal, error.to_string()))?;
    set(&mut request.headers, headers::SIGNATURE_INPUT, &base.input);
    set(&mut request.headers, headers::SIGNATURE, &signature::signature_value(&signed));
    trail.signed = Some((base.base, signed));
    Ok(request)
}

/// The request's record becomes durable while the request travels, with the answer's at the latest.
pub(super) fn record_request(hub: &Hub, body: &Spooled, trail: &mut Trail) -> PendingReceipt {
    let record = &mut trail.record;
    record.set_body(body.sha256(), body.length());
    record.duration_us = Some(trail.watch.elapsed_us());
    let body = body.in_memory();
    let kept = |signed| Kept { message: Signed::from(signed), request: None, body };
    hub.journal.submit_soon(record, trail.signed.as_ref().map(kept))
}

pub(super) struct Outgoing<'a> {
    pub(super) hub: &'a Hub,
    pub(super) request: &'a SignedRequest,
    pub(super) body: &'a Spooled,
}

impl Outgoing<'_> {
    /// Sends the request to the first server that can be reached.
    pub(super) async fn send<'s>(
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
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
