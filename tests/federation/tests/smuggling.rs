//! Requests and paths made to be read in two ways: the source hears exactly what was checked, or nothing.
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` (one path granted) → source that keeps what it heard
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use federation::agencies::REGISTER;
use federation::pair::{self, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::{Pair, Source};
use schemas::limits::{HEADERS_MAX_COUNT, TARGET_MAX_BYTES};

/// A service of which only `GET /public/{name}` and `GET /zy-ggy` are granted.
const GUARDED: &str = "UZ/GOV/TAX/tax/guarded";

async fn started() -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    let mut service = pair::echo(&source).unwrap();
    service.id = GUARDED.parse().unwrap();
    let pair = Pair::start_with(dir.path(), source, 0, |config| {
        config.services.push(service);
        for (nth, endpoint) in ["GET /public/{name}", "GET /zy-ggy"].into_iter().enumerate() {
            let mut grant = pair::whole_service(GUARDED).unwrap();
            grant.id = format!("guarded-{nth}");
            grant.endpoint = Some(endpoint.to_owned());
            config.grants.push(grant);
        }
    });
    (pair.await.unwrap(), dir)
}

/// What the source heard: method, target and body.
fn heard(pair: &Pair) -> Vec<(String, String)> {
    let line = |message: &Message| {
        let (method, target) = message.asked();
        (format!("{method} {target}"), String::from_utf8_lossy(&message.body).into_owned())
    };
    pair.source.take().iter().map(line).collect()
}

/// A request inside what a second reader may take for a body.
fn inner() -> String {
    format!("GET /r1/{ECHO}/inner HTTP/1.1\r\nHost: hub\r\nX-Road-Client: {REGISTER}\r\n\r\n")
}

/// A request with `lines` after its own, then `rest`, then a last good request that ends the conversation.
fn attack(lines: &str, rest: &str) -> Vec<u8> {
    let own =
        format!("POST /r1/{ECHO}/outer HTTP/1.1\r\nHost: hub\r\nX-Road-Client: {REGISTER}\r\n");
    let last =
        raw::request("GET", &format!("/r1/{ECHO}/last"), &[("X-Road-Client", REGISTER)], b"");
    [own.as_bytes(), lines.as_bytes(), b"\r\n", rest.as_bytes(), &last].concat()
}

#[tokio::test]
async fn malformed_framing_is_refused_and_nothing_after_it_is_read() {
    let (pair, _dir) = started().await;
    let inner = inner();
    let chunked = format!("0\r\n\r\n{inner}");
    let te = "Transfer-Encoding: chunked\r\n";
    let cases = [
        ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n", inner.clone()),
        ("list of lengths", "Content-Length: 0, 5\r\n", inner.clone()),
        ("signed length", "Content-Length: +0\r\n", inner.clone()),
        ("hexadecimal length", "Content-Length: 0x0\r\n", inner.clone()),
        ("negative length", "Content-Length: -1\r\n", inner.clone()),
        ("huge length", "Content-Length: 99999999999999999999999\r\n", inner.clone()),
        ("space before the colon", "Transfer-Encoding : chunked\r\n", chunked.clone()),
        ("unknown coding", "Transfer-Encoding: xchunked\r\n", chunked.clone()),
        ("chunked not last", "Transfer-Encoding: chunked, identity\r\n", chunked.clone()),
        ("identity", "Transfer-Encoding: identity\r\n", chunked.clone()),
        ("folded line", "Transfer-Encoding:\r\n chunked\r\n", chunked.clone()),
        ("folded header", "X-A: b\r\n X-Road-Client: UZ/GOV/TAX/tax\r\n", inner.clone()),
        ("NUL in a value", "X-A: a\0b\r\n", inner.clone()),
        ("NUL in a name", "X-\0A: b\r\n", inner.clone()),
        ("CR in a value", "X-A: a\rX-Road-Client: b\r\n", inner.clone()),
        ("no colon", "X-A\r\n", inner.clone()),
        ("space in a name", "X A: b\r\n", inner.clone()),
        ("newline in a chunk extension", te, format!("0;a\n\r\n\r\n{inner}")),
        ("signed chunk size", te, format!("+0\r\n\r\n{inner}")),
        ("prefixed chunk size", te, format!("0x0\r\n\r\n{inner}")),
        ("chunk size over 64 bits", te, format!("10000000000000000\r\n\r\n{inner}")),
        ("chunk without end", te, format!("1\r\nab\r\n0\r\n\r\n{inner}")),
    ];
    for (name, lines, rest) in cases {
        let answers = pair.say(&attack(lines, &rest)).await.unwrap();
        assert_eq!(heard(&pair), [], "{name}: {answers:?}");
        assert!(
            answers.len() <= 1 && answers.iter().all(|a| a.status() >= 400),
            "{name}: {answers:?}"
        );
    }
}

#[tokio::test]
async fn of_length_and_chunks_the_chunks_count_and_nothing_after_them_is_read() {
    let (pair, _dir) = started().await;
    // RFC 9112 §6.3: the connection is closed after the answer, so that no proxy's reading matters.
    let rest = format!("2\r\nhi\r\n0\r\n\r\n{}", inner());
    for lines in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", rest.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", rest.len()),
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n".to_owned(),
    ] {
        let answers = pair.say(&attack(&lines, &rest)).await.unwrap();
        assert_eq!(answers.len(), 1, "{lines}: {answers:?}");
        assert_eq!(heard(&pair), [("POST /outer".to_owned(), "hi".to_owned())], "{lines}");
    }
}

#[tokio::test]
async fn body_that_looks_like_a_request_stays_a_body() {
    let (pair, _dir) = started().await;
    let inner = inner();
    let sized = format!("Content-Length: {}\r\n", inner.len());
    let chunk =
        format!("{:x};a=b\r\n{inner}\r\n0\r\nX-Road-Client: UZ/GOV/TAX/tax\r\n\r\n", inner.len());
    for (lines, rest) in
        [(sized.as_str(), inner.clone()), ("Transfer-Encoding: chunked\r\n", chunk)]
    {
        let answers = pair.say(&attack(lines, &rest)).await.unwrap();
        assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [200, 200]);
        let expected =
            [("POST /outer".to_owned(), inner.clone()), ("GET /last".to_owned(), String::new())];
        assert_eq!(heard(&pair), expected);
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_each_and_in_order() {
    let (pair, _dir) = started().await;
    let bytes = attack("Content-Length: 2\r\n", &format!("hi{}{}", inner(), inner()));
    let answers = pair.say(&bytes).await.unwrap();
    assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [200; 4]);
    let ids: std::collections::HashSet<_> =
        answers.iter().map(|a| a.header("x-road-request-id")).collect();
    assert_eq!(ids.len(), 4, "each is an exchange of its own");
    let lines: Vec<_> = heard(&pair).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["POST /outer", "GET /inner", "GET /inner", "GET /last"]);
}

#[tokio::test]
async fn target_in_absolute_form_is_its_path_alone() {
    let (pair, _dir) = started().await;
    let target = format!("http://elsewhere.example/r1/{ECHO}/a?b=c");
    let answers =
        pair.say(&raw::request("GET", &target, &[("X-Road-Client", REGISTER)], b"")).await.unwrap();
    assert_eq!(answers[0].status(), 200);
    let message = pair.source.take().remove(0);
    assert_eq!(message.asked().1, "/a?b=c");
    assert_eq!(message.header("host"), Some(pair.source.address.to_string().as_str()));
    for (method, target) in
        [("OPTIONS", "*"), ("GET", "*"), ("GET", "/"), ("CONNECT", "elsewhere.example:80")]
    {
        let request = raw::request(method, target, &[("X-Road-Client", REGISTER)], b"");
        let answers = pair.say(&request).await.unwrap();
        assert!(
            answers.iter().all(|answer| answer.status() >= 400),
            "{method} {target}: {answers:?}"
        );
    }
    assert_eq!(heard(&pair), []);
}

#[tokio::test]
async fn headers_named_as_hop_by_hop_do_not_vanish_and_upgrades_are_not_taken() {
    let (pair, _dir) = started().await;
    let headers = [
        ("Connection", "X-Road-UserId, Upgrade"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ("X-Road-UserId", "officer"),
    ];
    let answer = pair.ask("GET", "/a", &headers, b"").await.unwrap();
    assert_eq!(answer.status(), 200);
    let message = pair.source.take().remove(0);
    assert_eq!(message.header("x-road-userid"), Some("officer"));
    assert_eq!((message.header("upgrade"), message.header("connection")), (None, None));
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let (pair, _dir) = started().await;
    let many: String = (0..HEADERS_MAX_COUNT).map(|nth| format!("X-{nth}: a\r\n")).collect();
    let long = format!("X-A: {}\r\n", "a".repeat(64 * 1024));
    for lines in [many, long] {
        let answers = pair.say(&attack(&lines, "")).await.unwrap();
        assert!(answers.iter().all(|answer| answer.status() >= 400), "{answers:?}");
        assert_eq!(heard(&pair), []);
    }
}

async fn get_guarded(pair: &Pair, path: &str) -> Message {
    let target = format!("/r1/{GUARDED}{path}");
    let request = raw::request("GET", &target, &[("X-Road-Client", REGISTER)], b"");
    pair.say(&request)
        .await
        .unwrap()
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("no answer: {path}"))
}

#[tokio::test]
async fn granted_path_is_forwarded_as_it_was_checked() {
    let (pair, _dir) = started().await;
    for path in [
        "/public/a",
        "/%70ublic/a",
        "/public/a%2Fb",
        "/public/a%3Fb",
        "/public/a%23b",
        "/public/a%20b%7B%7C%22",
        "/public/a..b",
        "/public/...",
        "/public/a;v=1",
        "/public/100%25",
        "/public/%C3%A4",
        "/zy%2Dggy",
        "/public/a?x=/../secret",
    ] {
        assert_eq!(get_guarded(&pair, path).await.status(), 200, "{path}");
        assert_eq!(heard(&pair), [(format!("GET {path}"), String::new())]);
    }
    // A fragment is no part of a request: it is cut before anything is checked.
    assert_eq!(get_guarded(&pair, "/public/a#/../../secret").await.status(), 200);
    assert_eq!(heard(&pair), [("GET /public/a".to_owned(), String::new())]);
}

#[tokio::test]
async fn ambiguous_path_is_refused_before_it_is_signed() {
    let (pair, _dir) = started().await;
    // What the start still has to record comes before this exchange's records.
    assert_eq!(get_guarded(&pair, "/public/a").await.status(), 200);
    assert_eq!(heard(&pair).len(), 1);
    let provider = pair.federation.hub(PROVIDER).unwrap();
    let before = provider.log().size();
    for path in [
        "/public/../secret",
        "/public/./a",
        "/public/..",
        "/../public/a",
        "/public/%2e%2e/secret",
        "/public/.%2E/secret",
        "/public/%2e",
        "/public/..%2fsecret",
        "/public/%2e%2e%2fsecret",
        "/public/a%2f..%2f..%2fsecret",
        "/public/..;/secret",
        "/public/..;x=1",
        "/public/..%3b",
        "/public/%252e%252e%252fsecret",
        "/public/x%2541",
        "/public/%25%32%65",
        "/public/..%5csecret",
        "/public/a%5c..%5c..%5csecret",
        "/public/a%00",
        "/public/a%0d%0aX-Road-Client:%20b",
        "/public/a%7f",
        "//x/public/a",
        "/public//a",
        "/public/a/",
        "/public/%c0%ae%c0%ae",
        "/public/%ff",
        "/public/%",
        "/public/%2",
        "/public/%zz",
        "/public/a|b",
        "/public/a\"b",
        "/public/a{b}",
        "/public/a^b",
        "/public/[a]",
        "/public/a`b",
        "/public/a<b>",
        "/public/a\\b",
        "/public/..\\..\\secret",
        "/public/\u{ff0e}\u{ff0e}",
        "/public/a?x=%2",
        "/public/a?x=a|b",
    ] {
        let answer = get_guarded(&pair, path).await;
        // What the HTTP parser refuses itself has no X-Road error.
        let code = answer.header("x-road-error").unwrap_or("server.clientproxy.bad_request");
        assert_eq!(code, "server.clientproxy.bad_request", "{path}");
        assert!(answer.status() == 500 || answer.status() == 400, "{path}: {answer:?}");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("secret"),
            "the text repeats the path"
        );
    }
    assert_eq!(heard(&pair), []);
    assert_eq!(provider.log().size(), before, "no other hub was asked");
}

#[tokio::test]
async fn path_beside_the_grant_is_denied_by_the_provider() {
    let (pair, _dir) = started().await;
    for path in [
        "/secret",
        "/public",
        "/",
        "",
        "/public%2Fa",
        "/PUBLIC/a",
        "/public/a/b",
        "/public%3Fx/secret",
        "/public%23/a",
        "/zy-ggy/a",
        "/zyXggy",
        "/public;v=1/a",
        "/publi%E2%80%8Bc/a",
    ] {
        let answer = get_guarded(&pair, path).await;
        assert_eq!(
            answer.header("x-road-error"),
            Some("server.serverproxy.access_denied"),
            "{path}"
        );
    }
    for method in ["POST", "HEAD", "DELETE"] {
        let target = format!("/r1/{GUARDED}/public/a");
        let request = raw::request(method, &target, &[("X-Road-Client", REGISTER)], b"");
        let edge = pair.federation.layout.hubs[pair::CONSUMER].edge_plain;
        let answer = raw::talk(edge, &request).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            text.contains("x-road-error: server.serverproxy.access_denied"),
            "{method}: {text}"
        );
    }
    assert_eq!(heard(&pair), []);
}

#[tokio::test]
async fn target_of_the_greatest_length_passes_and_one_byte_more_does_not() {
    let (pair, _dir) = started().await;
    let before = format!("/r1/{GUARDED}/public/").len();
    let fits = "a".repeat(TARGET_MAX_BYTES - before);
    assert_eq!(get_guarded(&pair, &format!("/public/{fits}")).await.status(), 200);
    assert_eq!(heard(&pair).len(), 1);
    for more in [1, 1_000, 200_000] {
        let answer = get_guarded(&pair, &format!("/public/{fits}{}", "a".repeat(more))).await;
        assert!(answer.status() >= 400, "{answer:?}");
    }
    assert_eq!(heard(&pair), []);
}
