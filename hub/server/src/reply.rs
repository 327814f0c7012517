//! Replies at the edge and between hubs: X-Road's error object, JSON or XML as the caller accepts.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hub_core::headers;
use schemas::problem::{ErrorBody, Problem};

use crate::spool::{SpooledBody, memory_body};

/// A reply of this hub.
pub(crate) type Reply = Response<SpooledBody>;

/// A reply with a body in memory.
pub(crate) fn reply(
    status: u16,
    content_type: &'static str,
    body: impl Into<bytes::Bytes>,
) -> Reply {
    let mut reply = Response::new(memory_body(body));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// X-Road's error reply: status, `X-Road-Error`, and the error object in the form that `accept` asks for.
pub(crate) fn problem_reply(problem: &Problem, reference: &str, accept: Option<&str>) -> Reply {
    error_reply(&problem.to_body(reference), problem.code.status(), accept)
}

/// An error object as reply.
pub(crate) fn error_reply(body: &ErrorBody, status: u16, accept: Option<&str>) -> Reply {
    let wants_xml = accept.is_some_and(|accept| {
        ["text/xml", "application/xml", "text/*"].iter().any(|kind| accept.contains(kind))
    });
    let mut reply = if wants_xml {
        let kind = match accept {
            Some(accept) if accept.contains("application/xml") => "application/xml;charset=utf-8",
            _ => "text/xml;charset=utf-8",
        };
        reply(status, kind, to_xml(body))
    } else {
        // Safe because: a struct of strings always serialises.
        let json = serde_json::to_vec(body).unwrap_or_default();
        reply(status, "application/json;charset=utf-8", json)
    };
    set(reply.headers_mut(), headers::ERROR, &body.kind);
    reply
}

fn to_xml(body: &ErrorBody) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error><type>{}</type><message>{}</message><detail>{}</detail></error>",
        escape_xml(&body.kind),
        escape_xml(&body.message),
        escape_xml(&body.detail)
    )
}

/// Text for XML content and attributes.
pub(crate) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Sets a header from text that the hub made; text that no header can hold is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use schemas::problem::ProblemCode;

    async fn text_of(accept: Option<&str>) -> (Option<String>, String) {
        let problem = Problem::new(ProblemCode::AccessDenied, "no <grant>");
        let reply = problem_reply(&problem, "1bd6", accept);
        assert_eq!(reply.status(), 500);
        assert_eq!(reply.headers()["x-road-error"], "server.serverproxy.access_denied");
        let kind = reply.headers()[header::CONTENT_TYPE].to_str().map(ToOwned::to_owned).ok();
        let bytes = reply.into_body().collect().await.unwrap().to_bytes();
        (kind, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn error_is_json_unless_the_caller_accepts_xml() {
        let (kind, text) = text_of(Some("application/json, */*")).await;
        assert_eq!(kind.as_deref(), Some("application/json;charset=utf-8"));
        let body: ErrorBody = serde_json::from_str(&text).unwrap();
        assert_eq!(body.detail, "1bd6");
        let (kind, text) = text_of(Some("text/xml")).await;
        assert_eq!(kind.as_deref(), Some("text/xml;charset=utf-8"));
        assert!(text.contains("no &lt;grant&gt;"), "{text}");
    }
}
