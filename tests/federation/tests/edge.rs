//! X-Road's protocol for REST at the edge, as a client program written for X-Road meets it.
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` → source that keeps what it heard
//! ```
//!
//! One known difference: header names arrive in lower case, because hubs speak HTTP/2 to each other.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use federation::Pair;
use federation::agencies::REGISTER;
use federation::operator::Operator;
use federation::pair::{self, CONSUMER, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::source::{self, Source};
use ring::digest::{SHA512, digest};
use schemas::encoding::base64;

async fn started() -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    (Pair::start(dir.path(), source).await.unwrap(), dir)
}

/// Header lines that the provider's HTTP client makes new for the source.
fn of_the_connection(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding"].contains(&name)
}

fn signed_lines(heard: &Message) -> Vec<(&str, &str)> {
    let lines = heard.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    lines.filter(|(name, _)| !of_the_connection(name)).collect()
}

/// X-Road's request hash from what the source heard (protocol for REST §4.3).
fn request_hash(heard: &Message, prefix: &str) -> String {
    let (method, target) = heard.asked();
    let mut head = format!("{method}\r\n{prefix}{target}\r\n");
    for (name, value) in signed_lines(heard) {
        head.push_str(&format!("{name}:{value}\r\n"));
    }
    let head = digest(&SHA512, head.as_bytes());
    if heard.body.is_empty() {
        return base64(head.as_ref());
    }
    let body = digest(&SHA512, &heard.body);
    base64(digest(&SHA512, &[head.as_ref(), body.as_ref()].concat()).as_ref())
}

fn refusal(answer: &Message) -> &str {
    answer.header("x-road-error").unwrap_or_else(|| panic!("no error: {answer:?}"))
}

#[tokio::test]
async fn source_hears_the_callers_headers_in_order_less_the_dropped_ones() {
    let (pair, _dir) = started().await;
    let own = [
        ("Accept", "application/json"),
        ("Authorization", "Basic dTpw"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "x"),
        ("Proxy-Authorization", "x"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("User-Agent", "curl/8"),
        ("Server", "x"),
        ("Cookie", "a=1; b=2"),
        ("X-Road-UserId", "UZ1"),
        ("X-Road-Issue", "case 7"),
        ("X-Road-Represented-Party", "COM/302"),
        ("X-Road-Request-Id", "forged"),
        ("X-Road-Request-Hash", "forged"),
        ("X-Custom", "one two,three"),
        ("X-Road-Id", "id-1"),
    ];
    let answer = pair.ask("GET", "/a", &own, b"").await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    let heard = pair.source.take();
    let lines = signed_lines(&heard[0]);
    let request_id = heard[0].header("x-road-request-id").unwrap();
    assert_eq!(uuid_version(request_id), 4);
    let expected = [
        ("x-road-client", REGISTER),
        ("accept", "application/json"),
        ("authorization", "Basic dTpw"),
        ("cookie", "a=1; b=2"),
        ("x-road-userid", "UZ1"),
        ("x-road-issue", "case 7"),
        ("x-road-represented-party", "COM/302"),
        ("x-custom", "one two,three"),
        ("x-road-id", "id-1"),
        ("x-road-request-id", request_id),
    ];
    assert_eq!(lines, expected);
}

/// The version digit of a UUID in its usual text form.
fn uuid_version(text: &str) -> u32 {
    assert_eq!((text.len(), text.matches('-').count()), (36, 4), "{text}");
    text.chars().nth(14).unwrap().to_digit(16).unwrap()
}

#[tokio::test]
async fn missing_message_id_is_made_new_each_time_as_the_last_header() {
    let (pair, _dir) = started().await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
        let heard = pair.source.take();
        let (name, id) = *signed_lines(&heard[0]).last().unwrap();
        assert_eq!(name, "x-road-id");
        assert_eq!(uuid_version(id.strip_prefix("UZ-").unwrap()), 4);
        assert_eq!(answer.header("x-road-id"), Some(id), "the caller learns it");
        made.push(id.to_owned());
    }
    assert_ne!(made[0], made[1]);
    // It is made from the exchange's id, so nothing more is recorded; both hubs find the exchange by it.
    for hub in [CONSUMER, PROVIDER] {
        let operator = Operator::of(pair.federation.hub(hub).unwrap());
        assert_eq!(operator.explain(&made[0]).await.unwrap().len(), 2);
        let listed = operator.get(&format!("/v1/records?message={}", made[1])).await.unwrap();
        let records = listed.json().unwrap()["records"].as_array().unwrap().clone();
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|found| found["record"].get("message").is_none()));
    }
}

#[tokio::test]
async fn request_hash_is_that_of_what_the_source_heard() {
    let (pair, _dir) = started().await;
    let prefix = format!("/r1/{ECHO}");
    let cases: [(&str, &str, &[u8]); 4] = [
        ("GET", "/pets/1?x=%C3%A4", b""),
        ("POST", "/pets", br#"{"a":1}"#),
        ("POST", "/pets", b""),
        ("PUT", "/a%2Fb;v=1", &[0, 255, 13, 10]),
    ];
    let mut hashes = Vec::new();
    for (method, path, body) in cases {
        let headers = [("Content-Type", "application/json"), ("X-Road-Id", "id-1")];
        let answer = pair.ask(method, path, &headers, body).await.unwrap();
        let heard = pair.source.take();
        assert_eq!(heard[0].body, body);
        let expected = request_hash(&heard[0], &prefix);
        assert_eq!(answer.header("x-road-request-hash"), Some(expected.as_str()), "{method}");
        hashes.push(expected);
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 4, "each request has its own");
}

#[tokio::test]
async fn answer_names_the_exchange_once_whatever_the_source_claims() {
    let dir = tempfile::tempdir().unwrap();
    let forged = [
        "X-Road-Id",
        "X-Road-Client",
        "X-Road-Service",
        "X-Road-Request-Id",
        "X-Road-Request-Hash",
        "X-Road-Error",
        "Koprik-Receipt",
        "Signature",
        "Signature-Input",
        "Content-Digest",
        "Server",
        "Keep-Alive",
    ];
    let source = Source::start(move |_| {
        let mut headers: Vec<_> = forged.iter().map(|name| (*name, "forged")).collect();
        headers.extend([("Content-Type", "text/plain"), ("Date", "Mon, 02 Mar 2026 00:00:00 GMT")]);
        headers.extend([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "kept")]);
        source::answer(200, &headers, b"hello")
    });
    let pair = Pair::start(dir.path(), source.await.unwrap()).await.unwrap();
    let answer = pair.ask("GET", "/a", &[("X-Road-Id", "id-1")], b"").await.unwrap();
    let heard = pair.source.take();
    let all = |name: &str| {
        let same = answer.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(all("x-road-id"), ["id-1"]);
    assert_eq!(all("x-road-client"), [REGISTER]);
    assert_eq!(all("x-road-service"), [ECHO]);
    assert_eq!(all("x-road-request-id"), [heard[0].header("x-road-request-id").unwrap()]);
    assert_eq!(all("x-road-request-hash").len(), 1);
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all("date"), ["Mon, 02 Mar 2026 00:00:00 GMT"], "the source's replaces the hub's");
    assert_eq!((all("x-own"), all("content-type")), (vec!["kept"], vec!["text/plain"]));
    for gone in ["x-road-error", "server", "keep-alive", "signature", "signature-input"] {
        assert!(all(gone).is_empty(), "{gone}");
    }
    assert!(answer.headers.iter().all(|(_, value)| value != "forged"), "{answer:?}");
    let order = ["x-road-id", "x-road-client", "x-road-service", "x-road-request-id"];
    let at = |name: &str| answer.headers.iter().position(|(n, _)| n == name).unwrap();
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{answer:?}");
    assert!(answer.header("koprik-receipt").unwrap().contains("log=\"koprik/UZ/GOV/NASP/hub-1\""));
}

#[tokio::test]
async fn any_status_of_the_source_is_an_answer_and_no_error_of_a_hub() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::start(|heard| {
        let status = heard.asked().1.trim_start_matches('/').parse().unwrap();
        let body: &[u8] = if status == 204 || status == 304 { b"" } else { b"said" };
        source::answer(status, &[("Location", "http://elsewhere.example/x")], body)
    });
    let pair = Pair::start(dir.path(), source.await.unwrap()).await.unwrap();
    for status in [200, 201, 204, 302, 304, 400, 401, 404, 409, 422, 500, 503] {
        let answer = pair.ask("GET", &format!("/{status}"), &[], b"").await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.header("x-road-error"), None, "{status}");
        assert_eq!(answer.header("location"), Some("http://elsewhere.example/x"), "not followed");
        assert!(answer.header("koprik-receipt").is_some(), "{status}");
    }
    assert_eq!(pair.source.take().len(), 12, "each was asked once");
}

#[tokio::test]
async fn all_eight_verbs_reach_the_source_and_no_other() {
    let (pair, _dir) = started().await;
    for verb in ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"] {
        let bytes =
            raw::request(verb, &format!("/r1/{ECHO}/v"), &[("X-Road-Client", REGISTER)], b"");
        let edge = pair.federation.layout.hubs[CONSUMER].edge_plain;
        let answer = raw::talk(edge, &bytes).await.unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{verb}: {}",
            String::from_utf8_lossy(&answer)
        );
        assert_eq!(answer.ends_with(b"\r\n\r\n"), verb == "HEAD", "{verb}: only HEAD has no body");
        assert_eq!(pair.source.take()[0].asked(), (verb, "/v"));
    }
    let head =
        raw::request("HEAD", "/r1/UZ/GOV/TAX/tax/nothing", &[("X-Road-Client", REGISTER)], b"");
    let refused = raw::talk(pair.federation.layout.hubs[CONSUMER].edge_plain, &head).await.unwrap();
    let text = String::from_utf8_lossy(&refused).into_owned();
    assert!(text.contains("x-road-error: server.serverproxy.unknown_service"), "{text}");
    for verb in ["PURGE", "get", "PROPFIND"] {
        let answer = pair.ask(verb, "/v", &[], b"").await.unwrap();
        assert_eq!(refusal(&answer), "server.clientproxy.invalid_http_method", "{verb}");
    }
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn path_and_query_travel_byte_for_byte() {
    let (pair, _dir) = started().await;
    for path in [
        "/a%20b/c%2Fd/e;v=1/f..g",
        "/%C3%A4/%c3%a4?x=%C3%A4&y=a+b&z=[1]&w=?/&&=",
        "/100%25?",
        "/~!$&'()*+,;=:@-._",
        "/a?/../b",
    ] {
        let answer = pair.ask("GET", path, &[], b"").await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(pair.source.take()[0].asked().1, path);
    }
    for (path, expected) in [("", "/"), ("/", "/"), ("?a=1", "/?a=1")] {
        pair.ask("GET", path, &[], b"").await.unwrap();
        assert_eq!(pair.source.take()[0].asked().1, expected, "{path}");
    }
}

#[tokio::test]
async fn service_url_replaces_the_prefix_without_a_double_slash() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    let url = format!("http://{}/base/", source.address);
    let pair = Pair::start_with(dir.path(), source, 0, |config| {
        config.services.iter_mut().for_each(|service| service.url.clone_from(&url));
    });
    let pair = pair.await.unwrap();
    for (path, expected) in [("/a/b?c", "/base/a/b?c"), ("", "/base")] {
        pair.ask("GET", path, &[], b"").await.unwrap();
        assert_eq!(pair.source.take()[0].asked().1, expected, "{path}");
    }
}

#[tokio::test]
async fn identifiers_are_compared_decoded_and_answered_in_one_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    let odd = "UZ/GOV/TAX/tax/%D0%96%20%22a+b";
    let mut service = pair::echo(&source).unwrap();
    service.id = odd.parse().unwrap();
    let mut grant = pair::whole_service(odd).unwrap();
    grant.id = "odd".to_owned();
    let pair = Pair::start_with(dir.path(), source, 0, |config| {
        config.services.push(service);
        config.grants.push(grant);
    });
    let pair = pair.await.unwrap();
    for (target, service) in [
        (format!("/r1/{ECHO}/x"), ECHO),
        ("/r1/U%5A/GOV/%54AX/tax/%65cho/x".to_owned(), ECHO),
        (format!("/r1/{odd}/x"), odd),
        ("/r1/UZ/GOV/TAX/tax/%d0%96%20%22a%2bb/x".to_owned(), odd),
    ] {
        let headers = [("X-Road-Client", "UZ/GOV/%4eASP/re%67ister")];
        let answers = pair.say(&raw::request("GET", &target, &headers, b"")).await.unwrap();
        assert_eq!(answers[0].status(), 200, "{target} {answers:?}");
        assert_eq!(answers[0].header("x-road-service"), Some(service), "{target}");
        assert_eq!(answers[0].header("x-road-client"), Some(REGISTER));
        assert_eq!(pair.source.take()[0].asked().1, "/x");
    }
    for bad in ["UZ/GOV/T%4/tax/echo", "UZ/GOV/TAX/tax/%zz", "UZ/GOV/T%FFX/tax/echo"] {
        let request =
            raw::request("GET", &format!("/r1/{bad}/x"), &[("X-Road-Client", REGISTER)], b"");
        let answers = pair.say(&request).await.unwrap();
        assert_eq!(refusal(&answers[0]), "server.clientproxy.bad_request", "{bad}");
    }
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn last_of_repeated_x_road_headers_wins() {
    let (pair, _dir) = started().await;
    let headers = [
        ("X-Road-Client", "UZ/GOV/NOBODY/none"),
        ("X-Road-Id", "first"),
        ("X-Road-Id", "last"),
        ("X-Road-Client", REGISTER),
    ];
    let answers =
        pair.say(&raw::request("GET", &format!("/r1/{ECHO}/a"), &headers, b"")).await.unwrap();
    assert_eq!(answers[0].status(), 200, "{answers:?}");
    assert_eq!(answers[0].header("x-road-id"), Some("last"));
    let heard = pair.source.take();
    let ids: Vec<_> =
        heard[0].headers.iter().filter(|(name, _)| name.starts_with("x-road-")).collect();
    assert_eq!(ids.len(), 3, "the source cannot read another value than the hub did: {ids:?}");
    let reversed = [("X-Road-Client", REGISTER), ("X-Road-Client", "UZ/GOV/NOBODY/none")];
    let answers =
        pair.say(&raw::request("GET", &format!("/r1/{ECHO}/a"), &reversed, b"")).await.unwrap();
    assert_eq!(refusal(&answers[0]), "server.clientproxy.unknown_member");
}

#[tokio::test]
async fn security_server_header_chooses_a_server_of_the_provider() {
    let (pair, _dir) = started().await;
    for (server, code) in [
        ("UZ/GOV/TAX/hub-1", None),
        ("UZ/GOV/%54AX/hub%2D1", None),
        ("UZ/GOV/NASP/hub-1", Some("server.clientproxy.invalid_security_server")),
        ("UZ/GOV/TAX", Some("server.clientproxy.invalid_security_server")),
        ("nonsense", Some("server.clientproxy.invalid_security_server")),
    ] {
        let answer =
            pair.ask("GET", "/a", &[("X-Road-Security-Server", server)], b"").await.unwrap();
        match code {
            None => assert_eq!(answer.status(), 200, "{server} {answer:?}"),
            Some(code) => assert_eq!(refusal(&answer), code, "{server}"),
        }
    }
}

#[tokio::test]
async fn caller_that_waits_for_100_continue_gets_it() {
    let (pair, _dir) = started().await;
    let bytes = format!(
        "POST /r1/{ECHO}/a HTTP/1.1\r\nHost: hub\r\nX-Road-Client: {REGISTER}\r\nExpect: 100-continue\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    );
    let answers = pair.say(bytes.as_bytes()).await.unwrap();
    assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [100, 200]);
    let heard = pair.source.take();
    assert_eq!((heard[0].body.as_slice(), heard[0].header("expect")), (&b"hello"[..], None));
}
