//! Wrong requests and unknown callers at the edge: X-Road's codes, forms and client authentication.
//!
//! ```text
//! raw bytes, plain or over TLS → hub `register` → hub `tax` → source that keeps what it heard
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use federation::agencies::REGISTER;
use federation::pair::{CONSUMER, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::{Federation, Pair, Source};

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn started() -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    (Pair::start(dir.path(), source).await.unwrap(), dir)
}

/// The code of a hub's error, after a look at its form.
fn refusal(answer: &Message) -> String {
    let code = answer.header("x-road-error").unwrap_or_else(|| panic!("no error: {answer:?}"));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status(), 500, "codes that begin with `server.`");
    assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"));
    assert_eq!(body["type"], code);
    assert!(body["message"].as_str().unwrap().len() > 20, "{body}");
    assert!(body["detail"].as_str().unwrap().len() == 36, "a UUID: {body}");
    assert_eq!(body.as_object().unwrap().len(), 3);
    code.to_owned()
}

#[tokio::test]
async fn each_wrong_request_has_x_roads_code() {
    let (pair, _dir) = started().await;
    let good = format!("/r1/{ECHO}/a");
    let client = [("X-Road-Client", REGISTER)];
    let cases: [(&str, Headers<'_>, &str); 10] = [
        ("/r2/UZ/GOV/TAX/tax/echo/a", &client, "server.clientproxy.invalid_protocol_version"),
        ("/", &client, "server.clientproxy.invalid_protocol_version"),
        ("/r1/UZ/GOV/TAX/tax", &client, "server.clientproxy.bad_request"),
        (&good, &[], "server.clientproxy.invalid_client_identifier"),
        (&good, &[("X-Road-Client", "UZ/GOV")], "server.clientproxy.invalid_client_identifier"),
        (
            &good,
            &[("X-Road-Client", "UZ/GOV/A/b/c")],
            "server.clientproxy.invalid_client_identifier",
        ),
        (&good, &[("X-Road-Client", "UZ/GOV/NASP/other")], "server.clientproxy.unknown_member"),
        ("/r1/UZ/GOV/NOBODY/none/echo/a", &client, "server.clientproxy.unknown_member"),
        ("/r1/XX/GOV/TAX/tax/echo/a", &client, "server.clientproxy.unknown_member"),
        ("/r1/UZ/GOV/TAX/tax/nothing/a", &client, "server.serverproxy.unknown_service"),
    ];
    for (target, headers, code) in cases {
        let answers = pair.say(&raw::request("GET", target, headers, b"")).await.unwrap();
        assert_eq!(refusal(&answers[0]), code, "{target} {headers:?}");
    }
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn errors_are_xml_when_the_caller_names_it_and_json_otherwise() {
    let (pair, _dir) = started().await;
    let ask = async |accept: &str, target: &str| {
        let headers = [("X-Road-Client", REGISTER), ("Accept", accept)];
        pair.say(&raw::request("GET", target, &headers, b"")).await.unwrap().remove(0)
    };
    // One error of the caller's hub, one of the provider's.
    let targets = [
        ("/r1/UZ/GOV/TAX", "server.clientproxy.bad_request"),
        ("/r1/UZ/GOV/TAX/tax/nothing", "server.serverproxy.unknown_service"),
    ];
    for (target, code) in targets {
        for (accept, kind) in [
            ("text/xml", "text/xml;charset=utf-8"),
            ("application/xml;q=0.9", "application/xml;charset=utf-8"),
            ("image/png, text/*", "text/xml;charset=utf-8"),
        ] {
            let answer = ask(accept, target).await;
            assert_eq!(
                (answer.status(), answer.header("content-type")),
                (500, Some(kind)),
                "{accept}"
            );
            assert_eq!(answer.header("x-road-error"), Some(code));
            let text = String::from_utf8(answer.body).unwrap();
            assert!(text.contains(&format!("<error><type>{code}</type><message>")), "{text}");
            assert!(text.ends_with("</detail></error>"), "{text}");
        }
        for accept in ["application/json", "*/*", "text/html"] {
            assert_eq!(refusal(&ask(accept, target).await), code, "{accept}");
        }
    }
}

/// Asks over TLS with the certificate of a member's client, if any.
async fn ask_tls(federation: &Federation, client: &str, shown: Option<&str>) -> Message {
    let bytes = raw::request("GET", &format!("/r1/{ECHO}/a"), &[("X-Road-Client", client)], b"");
    let own = &federation.layout.hubs[CONSUMER];
    let file = |name: &str, file: &str| federation.layout.hubs[name].dir.join(file);
    let files = shown.map(|name| (file(name, "client.pem"), file(name, "client.key")));
    let identity = files.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    let authority = own.dir.join("authority.pem");
    let received = raw::talk_tls(own.edge, &authority, identity, &bytes).await.unwrap();
    Message::parse_all(&received).remove(0)
}

#[tokio::test]
async fn over_tls_a_client_must_show_its_own_registered_certificate() {
    let (pair, _dir) = started().await;
    let federation = &pair.federation;
    assert_eq!(ask_tls(federation, REGISTER, Some(CONSUMER)).await.status(), 200);
    assert_eq!(pair.source.take().len(), 1);
    let failed = "server.clientproxy.ssl_authentication_failed";
    assert_eq!(refusal(&ask_tls(federation, REGISTER, None).await), failed);
    assert_eq!(refusal(&ask_tls(federation, REGISTER, Some(PROVIDER)).await), failed, "another's");
    let unknown = "server.clientproxy.unknown_member";
    for other in ["UZ/GOV/NASP/other", "UZ/GOV/TAX/tax", "UZ/GOV/NOBODY/none"] {
        assert_eq!(refusal(&ask_tls(federation, other, Some(CONSUMER)).await), unknown, "{other}");
    }
    assert!(pair.source.take().is_empty(), "nobody else is heard");
}

#[tokio::test]
async fn without_tls_only_a_client_that_is_configured_so_is_served() {
    let (pair, _dir) = started().await;
    assert_eq!(pair.ask("GET", "/a", &[], b"").await.unwrap().status(), 200);
    let hub = pair.federation.hub(CONSUMER).unwrap();
    hub.refresh().await.unwrap();
    let close = |config: &mut hub_server::HubConfig| config.clients[0].plain_loopback = false;
    pair.federation.layout.edit_hub(CONSUMER, close).unwrap();
    hub.refresh().await.unwrap();
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    assert_eq!(refusal(&answer), "server.clientproxy.ssl_authentication_failed");
    assert_eq!(ask_tls(&pair.federation, REGISTER, Some(CONSUMER)).await.status(), 200);
}
