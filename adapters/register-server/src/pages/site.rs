//! Where browsers find the pages, and what is refused because it comes from elsewhere.
//!
//! Three fences around forms: the `Host` is ours (no rebound name), the `Origin` of a POST is ours,
//! and the form carries the session's token; the session's cookie is `SameSite=Strict` besides.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};

/// The pages' origin, such as `https://register.example`.
#[derive(Clone)]
pub(crate) struct Site {
    origin: String,
    authority: String,
    pub(crate) is_encrypted: bool,
}

impl Site {
    /// The site of an origin; `None` when it is not `http(s)://host[:port]`.
    pub(crate) fn parse(origin: &str) -> Option<Self> {
        let uri: Uri = origin.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
        let authority = uri.authority()?.as_str().to_owned();
        let whole = format!("{scheme}://{authority}");
        let is_encrypted = scheme == "https";
        let bare = whole == origin && !authority.contains('@');
        bare.then_some(Self { origin: whole, authority, is_encrypted })
    }

    /// The site of a register that browsers reach at its own address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let authority = address.to_string();
        Self { origin: format!("http://{authority}"), authority, is_encrypted: false }
    }

    fn admits(&self, request: &Request) -> bool {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let is_form = request.method() != Method::GET && request.method() != Method::HEAD;
        let host = header(header::HOST) == Some(&self.authority);
        host && (!is_form || header(header::ORIGIN) == Some(&self.origin))
    }
}

/// No script, no frame, nothing from elsewhere; the style sheet and forms are our own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                                       base-uri 'none'; frame-ancestors 'none'";

/// Refuses what comes from elsewhere, and puts the safety headers on every answer.
pub(crate) async fn fence(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = if site.admits(&request) {
        next.run(request).await
    } else {
        let text = "the register's pages refuse the request: the caller's browser came by another \
                    name or page; open the pages at their own address, which is `origin` of \
                    [pages] in the register's configuration\n";
        (StatusCode::FORBIDDEN, text).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` a browser would send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_scheme_host_and_port_and_nothing_else() {
        assert!(Site::parse("https://register.example").unwrap().is_encrypted);
        assert!(!Site::parse("http://127.0.0.1:7300").unwrap().is_encrypted);
        let bad = ["https://register.example/", "ftp://a", "register.example", "https://u@a", ""];
        for origin in bad {
            assert!(Site::parse(origin).is_none(), "{origin}");
        }
    }
}
