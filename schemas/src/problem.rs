//! Problem codes: what went wrong, on whose side, whether a retry helps, and what to do now.
//!
//! The text form begins with the side, as X-Road's error codes do (`server.clientproxy.…` is the consumer's hub,
//! `server.serverproxy.…` the provider's). Where X-Road has a code for the case it is used as it is;
//! the others are ours. Every code stands in `schemas/errors.md`; a test holds that.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Whose side failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedSide {
    /// The program that called.
    Caller,
    /// The consumer's hub.
    ConsumerHub,
    /// The provider's hub.
    ProviderHub,
    /// The source behind the provider's hub.
    Source,
}

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    No,
    /// It may succeed later, unchanged.
    Later,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $side:ident, $retry:ident, $action:literal;)+) => {
        /// A problem code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ProblemCode {
            /// Every code, in the order of `errors.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The text form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Whose side failed.
            #[must_use]
            pub fn side(self) -> FailedSide {
                match self { $(Self::$name => FailedSide::$side,)+ }
            }

            /// Whether a retry can help.
            #[must_use]
            pub fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)+ }
            }

            /// What to do now.
            #[must_use]
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)+ }
            }
        }
    };
}

codes! {
    /// The request line is not of the protocol for REST.
    InvalidProtocolVersion = "server.clientproxy.invalid_protocol_version", Caller, No,
        "call /r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE/path";
    /// The path, query or a header is malformed, or the path is ambiguous.
    BadRequest = "server.clientproxy.bad_request", Caller, No,
        "correct the request as the message says";
    /// The method is not one of the protocol's.
    InvalidHttpMethod = "server.clientproxy.invalid_http_method", Caller, No,
        "use DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT or TRACE";
    /// `X-Road-Client` is missing or no identifier.
    InvalidClientIdentifier = "server.clientproxy.invalid_client_identifier", Caller, No,
        "send X-Road-Client: INSTANCE/CLASS/MEMBER/SUBSYSTEM";
    /// The caller has not shown a certificate registered for the client.
    CallerNotAuthenticated = "server.clientproxy.ssl_authentication_failed", Caller, No,
        "call over TLS with a certificate that the hub's configuration lists for this subsystem";
    /// The client is not a subsystem of this hub, or the provider is not in the global configuration.
    UnknownMember = "server.clientproxy.unknown_member", Caller, No,
        "check the identifier; for a new subsystem ask the administrator of the exchange to register it";
    /// `X-Road-Security-Server` names a server that does not serve the provider.
    InvalidSecurityServer = "server.clientproxy.invalid_security_server", Caller, No,
        "leave X-Road-Security-Server out or name a server of the provider";
    /// The body is larger than the limit.
    RequestTooLarge = "server.clientproxy.request_too_large", Caller, No,
        "send less; the limit stands in the message";
    /// The body did not arrive whole or in time.
    IncompleteBody = "server.clientproxy.missing_body", Caller, Later,
        "send the whole body without long pauses";
    /// The hub carries as many exchanges as it can.
    Overloaded = "server.clientproxy.overloaded", ConsumerHub, Later,
        "wait a moment and send the request again";
    /// No security server of the provider could be reached.
    NetworkError = "server.clientproxy.network_error", ProviderHub, Later,
        "ask the provider whether its security server runs and is reachable at its registered address";
    /// The provider's hub did not answer in time.
    PeerTimeout = "server.clientproxy.network_error.timeout", ProviderHub, Later,
        "ask the provider; the request may have been carried out";
    /// This hub has no valid global configuration.
    ConfigurationOutdated = "server.clientproxy.global_conf_outdated", ConsumerHub, Later,
        "see the hub's log: it cannot get a valid global configuration from the central server";
    /// The answer is not bound to the request.
    InconsistentResponse = "server.clientproxy.inconsistent_response", ProviderHub, No,
        "tell the provider: its security server answered another request";
    /// The answer's signature, digest or certificate is wrong.
    AnswerSignature = "server.clientproxy.signature_verification.invalid_signature_value", ProviderHub, No,
        "tell the provider: the answer of its security server does not verify";
    /// The answer is signed with a certificate that is unknown, revoked or not the provider's.
    AnswerCertificate = "server.clientproxy.signature_verification.cert_validation", ProviderHub, No,
        "tell the provider: its signing certificate is not in force in the global configuration";
    /// The consumer's message log cannot write.
    ConsumerLogFailed = "server.clientproxy.logging_failed", ConsumerHub, Later,
        "see the hub's log: the disk of the message log is full or failing";
    /// A fault of the consumer's hub.
    ConsumerInternal = "server.clientproxy.internal_error", ConsumerHub, Later,
        "report the reference to the operator of the consumer's hub";
    /// The peer is not a registered security server, or does not serve the client.
    PeerNotAuthorised = "server.serverproxy.ssl_authentication_failed", ConsumerHub, No,
        "register the client at this security server with the central server";
    /// The member or the server is suspended.
    Suspended = "server.serverproxy.suspended", ConsumerHub, No,
        "ask the administrator of the exchange why the member or server is suspended";
    /// The request's signature or digest is wrong.
    RequestSignature = "server.serverproxy.signature_verification.invalid_signature_value", ConsumerHub, No,
        "the message changed on its way or was signed with another key; report the reference";
    /// The request is signed with a certificate that is unknown or not the client's.
    RequestCertificate = "server.serverproxy.signature_verification.cert_validation", ConsumerHub, No,
        "register the signing certificate with the central server";
    /// The request is signed with a revoked certificate.
    RequestCertificateRevoked = "server.serverproxy.signature_verification.revoked", ConsumerHub, No,
        "get a new signing certificate";
    /// The request's signature has expired or lies in the future.
    RequestExpired = "server.serverproxy.signature_verification.expired", ConsumerHub, Later,
        "set the clocks of both security servers by NTP and send the request again";
    /// A request with this id was seen before.
    Replayed = "server.serverproxy.replayed_message", ConsumerHub, No,
        "make a new request; each has its own id";
    /// The subsystem has no such service.
    UnknownService = "server.serverproxy.unknown_service", Caller, No,
        "ask listMethods of the provider for its services";
    /// No live grant permits the call.
    AccessDenied = "server.serverproxy.access_denied", Caller, No,
        "ask the provider for a grant for this client, endpoint and purpose";
    /// The path is ambiguous or not of the contract.
    AmbiguousPath = "server.serverproxy.bad_request", Caller, No,
        "send a path without dot segments, empty segments or doubtful encodings";
    /// The service is switched off.
    ServiceDisabled = "server.serverproxy.service_disabled", Source, Later,
        "ask the provider when the service is back";
    /// The request's body does not follow the contract.
    InvalidRequestBody = "server.serverproxy.invalid_body", Caller, No,
        "follow the service's contract (getOpenAPI)";
    /// The request's body did not arrive whole or in time from the consumer's hub.
    RequestIncomplete = "server.serverproxy.missing_body", ConsumerHub, Later,
        "look at the line between the two security servers and send the request again";
    /// The provider's hub carries as many exchanges as it can.
    ProviderOverloaded = "server.serverproxy.overloaded", ProviderHub, Later,
        "wait a moment and send the request again";
    /// The source cannot be reached.
    SourceUnreachable = "server.serverproxy.service_failed.network_error", Source, Later,
        "ask the provider: the source behind its security server is down";
    /// The source did not answer in time.
    SourceTimeout = "server.serverproxy.service_failed.timeout", Source, Later,
        "ask the provider; the request may have been carried out";
    /// The source's answer does not follow the contract.
    InvalidAnswer = "server.serverproxy.service_failed.invalid_answer", Source, No,
        "tell the provider: its answer does not follow its own contract and was held back";
    /// The source's answer is larger than the limit.
    AnswerTooLarge = "server.serverproxy.service_failed.answer_too_large", Source, No,
        "ask for less; the limit stands in the message";
    /// The provider's hub has no valid global configuration.
    ProviderConfigurationOutdated = "server.serverproxy.global_conf_outdated", ProviderHub, Later,
        "ask the provider: its security server has no valid global configuration";
    /// The provider's message log cannot write.
    ProviderLogFailed = "server.serverproxy.logging_failed", ProviderHub, Later,
        "ask the provider: its message log cannot write";
    /// A fault of the provider's hub.
    ProviderInternal = "server.serverproxy.internal_error", ProviderHub, Later,
        "report the reference to the provider";
}

impl ProblemCode {
    /// HTTP status at the edge: 500 for codes that begin with `server.`, as X-Road 7.8 answers.
    #[must_use]
    pub fn status(self) -> u16 {
        if self.as_str().starts_with("server.") { 500 } else { 400 }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a problem code of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a problem code of this release")]
pub struct NotAProblemCode;

impl FromStr for ProblemCode {
    type Err = NotAProblemCode;

    fn from_str(text: &str) -> Result<Self, NotAProblemCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(NotAProblemCode)
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProblemCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A refusal or failure as the caller sees it: nothing internal, no personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Problem {
    /// What went wrong.
    pub code: ProblemCode,
    /// What it means here, for the caller.
    pub message: String,
}

impl Problem {
    /// A problem with its text for the caller.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The error as the edge answers it, X-Road's protocol for REST §4.6; `reference` finds the log line.
    #[must_use]
    pub fn to_body(&self, reference: &str) -> ErrorBody {
        ErrorBody {
            kind: self.code.as_str().to_owned(),
            message: format!("{}; {}", self.message, self.code.action()),
            detail: reference.to_owned(),
        }
    }
}

/// The error object of X-Road's protocol for REST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The problem code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened and what to do.
    pub message: String,
    /// A reference for `koprik explain`.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table_with_its_action() {
        let table = include_str!("../errors.md");
        for code in ProblemCode::ALL {
            let row = format!(
                "| `{code}` | {:?} | {:?} | {} |",
                code.side(),
                code.retry(),
                code.action()
            );
            assert!(table.contains(&row), "schemas/errors.md lacks the line\n{row}");
        }
        let lines = table.lines().filter(|line| line.starts_with("| `server."));
        let lines = lines.chain(table.lines().filter(|line| line.starts_with("| `client.")));
        assert_eq!(lines.count(), ProblemCode::ALL.len(), "stale lines");
    }

    #[test]
    fn text_round_trips_and_status_follows_the_side() {
        for code in ProblemCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert_eq!(code.status(), 500);
        }
        assert_eq!("server.clientproxy.nothing".parse::<ProblemCode>(), Err(NotAProblemCode));
    }
}
