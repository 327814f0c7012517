//! What an adapter answers when it cannot give the answer.
//!
//! Bodies are `{"error": code, "message": text}` (`schemas/json/error.json`); an unknown person is
//! exactly `{"error":"no_record"}` (`schemas/json/no-record.json`). No text repeats a value of the
//! request or of a row. `no_record`, a source that is away, and a contract that is broken have
//! different codes and are never confused (promise P8).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::check::Violation;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The agency does not know the person.
    NoRecord,
    /// No operation has this path.
    UnknownOperation,
    /// The path is known, the method is not; holds the methods that are.
    WrongMethod(String),
    /// A parameter is missing, unknown, repeated or breaks its schema.
    Parameter { name: String, reason: &'static str },
    /// The request body is not the JSON of the contract.
    Body { reason: String },
    /// The request body is too large.
    BodyTooLarge,
    /// The answer breaks the contract: the definition or the source's data is wrong.
    Answer(Violation),
    /// The source refuses the definition's SQL or answers what the contract does not have.
    Definition { reason: String },
    /// The source cannot be reached or failed.
    SourceDown { reason: String },
    /// The source did not answer in time.
    SourceSlow,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoRecord | Self::UnknownOperation => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Parameter { .. } | Self::Body { .. } => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Answer(_) | Self::Definition { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::SourceDown { .. } | Self::SourceSlow => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::UnknownOperation => "unknown_operation",
            Self::WrongMethod(_) => "wrong_method",
            Self::Parameter { .. } => "bad_parameter",
            Self::Body { .. } => "bad_body",
            Self::BodyTooLarge => "body_too_large",
            Self::Answer(_) => "answer_breaks_contract",
            Self::Definition { .. } => "definition_fails",
            Self::SourceDown { .. } => "source_down",
            Self::SourceSlow => "source_slow",
        }
    }

    /// The text for the caller; `adapter` names the definition and the operation.
    pub(crate) fn message(&self, adapter: &str) -> Option<String> {
        match self {
            Self::NoRecord | Self::UnknownOperation => None,
            Self::WrongMethod(allowed) => Some(format!("this path is asked with {allowed}")),
            Self::Parameter { name, reason } => Some(format!(
                "parameter `{name}` {reason}; send it as the contract at /openapi.json says"
            )),
            Self::Body { reason } => Some(format!(
                "the request body {reason}; send it as the contract at /openapi.json says"
            )),
            Self::BodyTooLarge => Some("the request body is too large; send less".to_owned()),
            Self::Answer(violation) => Some(format!(
                "{adapter}: the answer breaks the contract at `{}`{}; \
                 correct the queries of the definition or the data",
                violation.rule,
                match violation.unexpected.as_slice() {
                    [] => String::new(),
                    names => format!(" (not in the contract: {})", names.join(", ")),
                }
            )),
            Self::Definition { reason } => {
                Some(format!("{adapter}: {reason}; correct the definition"))
            }
            Self::SourceDown { reason } => Some(format!(
                "{adapter}: the source is down: {reason}; \
                 start the source or correct its address, then ask again"
            )),
            Self::SourceSlow => Some(format!(
                "{adapter}: the source gave no answer in time; look at its load, then ask again"
            )),
        }
    }

    /// The HTTP response, logged once here when an operator has to act.
    pub(crate) fn into_response(self, adapter: &str) -> Response<Full<Bytes>> {
        let (status, code) = (self.status(), self.code());
        let message = self.message(adapter);
        if status.is_server_error() {
            tracing::error!(adapter, code, message, "adapter cannot answer");
        }
        let body = match message {
            Some(message) => json!({"error": code, "message": message}),
            None => json!({"error": code}),
        };
        let mut response = json_response(status, &body);
        if let Self::WrongMethod(allowed) = &self
            && let Ok(allowed) = HeaderValue::from_str(allowed)
        {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        response
    }
}

/// A JSON response.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
