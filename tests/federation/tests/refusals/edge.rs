//! Refusals of the consumer's hub, before anything leaves it.

use bytes::Bytes;
use federation::Caller;
use federation::agencies::REGISTER;
use federation::operator::Operator;
use federation::refused::Recorded;
use federation::rogue::{self, RogueConsumer};
use federation::stage::{BYSTANDER, CONSUMER, PEOPLE, PERSON, PROVIDER, Stage};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use schemas::problem::ProblemCode;

type Call = Request<Full<Bytes>>;
/// What is wrong, how, and the refusal.
type Case = (&'static str, fn(&mut Call), ProblemCode);

const CASES: &[Case] = &[
    ("no version", |r| retarget(r, "/person"), ProblemCode::InvalidProtocolVersion),
    (
        "version 2",
        |r| retarget(r, "/r2/UZ/GOV/TAX/tax/people"),
        ProblemCode::InvalidProtocolVersion,
    ),
    ("no service", |r| retarget(r, "/r1/UZ/GOV/TAX/tax"), ProblemCode::BadRequest),
    ("empty code", |r| retarget(r, "/r1/UZ/GOV//tax/people"), ProblemCode::BadRequest),
    ("dot segment", |r| retarget(r, "/r1/UZ/GOV/TAX/tax/people/a/../b"), ProblemCode::BadRequest),
    (
        "long path",
        |r| retarget(r, &format!("/r1/{PEOPLE}/{}", "a".repeat(8192))),
        ProblemCode::BadRequest,
    ),
    (
        "header that cannot be signed",
        |r| drop(r.headers_mut().insert("x-note", HeaderValue::from_bytes(b"\xff").unwrap())),
        ProblemCode::BadRequest,
    ),
    (
        "method",
        |r| *r.method_mut() = Method::from_bytes(b"PURGE").unwrap(),
        ProblemCode::InvalidHttpMethod,
    ),
    (
        "no client",
        |r| drop(r.headers_mut().remove("x-road-client")),
        ProblemCode::InvalidClientIdentifier,
    ),
    ("client is a member", |r| client(r, "UZ/GOV/NASP"), ProblemCode::InvalidClientIdentifier),
    ("client is no identifier", |r| client(r, "register"), ProblemCode::InvalidClientIdentifier),
    (
        "client of another hub",
        |r| client(r, "UZ/GOV/PENSIONS/pensions"),
        ProblemCode::UnknownMember,
    ),
    ("client that nobody has", |r| client(r, "UZ/GOV/NASP/none"), ProblemCode::UnknownMember),
    (
        "unknown provider",
        |r| retarget(r, "/r1/UZ/GOV/NONE/tax/people/a"),
        ProblemCode::UnknownMember,
    ),
    (
        "unknown subsystem",
        |r| retarget(r, "/r1/UZ/GOV/TAX/none/people/a"),
        ProblemCode::UnknownMember,
    ),
    ("other instance", |r| retarget(r, "/r1/KZ/GOV/TAX/tax/people/a"), ProblemCode::UnknownMember),
    (
        "server of another member",
        |r| server(r, "UZ/GOV/PENSIONS/hub-1"),
        ProblemCode::InvalidSecurityServer,
    ),
    (
        "server that nobody has",
        |r| server(r, "UZ/GOV/TAX/hub-9"),
        ProblemCode::InvalidSecurityServer,
    ),
];

fn retarget(request: &mut Call, path: &str) {
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path.parse().unwrap());
    *request.uri_mut() = parts.try_into().unwrap();
}

fn client(request: &mut Call, client: &str) {
    request.headers_mut().insert("x-road-client", client.parse().unwrap());
}

fn server(request: &mut Call, server: &str) {
    request.headers_mut().insert("x-road-security-server", server.parse().unwrap());
}

#[tokio::test]
async fn callers_mistake_is_refused_by_its_own_hub_and_nothing_leaves() {
    let stage = Stage::start().await.unwrap();
    let records = stage.hub(PROVIDER).unwrap().log().size();
    for (what, change, code) in CASES {
        let mut request = stage.caller.request(Method::GET, PEOPLE, PERSON, "").unwrap();
        change(&mut request);
        let answer = stage.caller.send(request).await.unwrap();
        let refused = stage.refused(&answer, *code, Recorded::AtConsumer).await;
        refused.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert_eq!(stage.hub(PROVIDER).unwrap().log().size(), records, "the provider heard of none");
    assert_eq!(stage.source.calls_count(), 0);
    let mut request = stage.caller.request(Method::GET, PEOPLE, PERSON, "").unwrap();
    server(&mut request, "UZ/GOV/TAX/hub-1");
    assert_eq!(stage.caller.send(request).await.unwrap().status, 200, "the right server is taken");
    stage.stop().await;
}

#[tokio::test]
async fn caller_that_does_not_show_the_clients_certificate_is_refused() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage
        .federation
        .layout
        .edit_hub(CONSUMER, |hub| hub.clients[0].plain_loopback = false)
        .unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let code = ProblemCode::CallerNotAuthenticated;
    let plain = stage.ask().await.unwrap();
    let message = stage.refused(&plain, code, Recorded::AtConsumer).await.unwrap();
    assert!(message.contains("must call over TLS"), "{message}");

    let own = rogue::identity(&stage.place(CONSUMER).unwrap().dir, "client").unwrap();
    let own = RogueConsumer::new(&own, &stage.clock).unwrap();
    let other = rogue::identity(&stage.place(BYSTANDER).unwrap().dir, "client").unwrap();
    let other = RogueConsumer::new(&other, &stage.clock).unwrap();
    let edge = stage.place(CONSUMER).unwrap().edge;
    let call = || rogue::request(Method::GET, REGISTER, &format!("{PEOPLE}{PERSON}"), "").unwrap();
    let cases = [(own.without_certificate(), "no client certificate"), (other, "not registered")];
    for (caller, words) in cases {
        let answer = caller.connect(edge).await.unwrap().send(call()).await.unwrap();
        let message = stage.refused(&answer, code, Recorded::AtConsumer).await.unwrap();
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(stage.source.calls_count(), 0);
    let answer = own.connect(edge).await.unwrap().send(call()).await.unwrap();
    assert_eq!(answer.status, 200, "the registered certificate is taken");
    stage.stop().await;
}

#[tokio::test]
async fn error_comes_as_xml_to_a_caller_that_accepts_it() {
    let stage = Stage::start().await.unwrap();
    let mut request = stage.caller.request(Method::GET, "UZ/GOV/NONE/x/y", "", "").unwrap();
    request.headers_mut().insert("accept", "text/xml".parse().unwrap());
    let answer = stage.caller.send(request).await.unwrap();
    let code = ProblemCode::UnknownMember.as_str();
    assert_eq!(answer.header("x-road-error"), Some(code));
    assert_eq!(answer.header("content-type"), Some("text/xml;charset=utf-8"));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let between = |tag: &str| {
        let inner = text.split_once(&format!("<{tag}>")).unwrap().1;
        inner.split_once(&format!("</{tag}>")).unwrap().0.to_owned()
    };
    assert_eq!(between("type"), code);
    assert!(!between("message").is_empty());
    let operator = Operator::of(stage.hub(CONSUMER).unwrap());
    let steps = operator.explain(&between("detail")).await.unwrap();
    assert_eq!(steps[0]["record"]["outcome"], code);
    stage.stop().await;
}

#[tokio::test]
async fn refusal_is_found_by_the_callers_own_message_id_and_only_with_the_token() {
    let stage = Stage::start().await.unwrap();
    let mut request = stage.caller.request(Method::GET, "UZ/GOV/NONE/x/y", "", "").unwrap();
    request.headers_mut().insert("x-road-id", "case-4711".parse().unwrap());
    let answer = stage.caller.send(request).await.unwrap();
    let detail = answer.problem().unwrap().detail;
    let operator = Operator::of(stage.hub(CONSUMER).unwrap());
    let steps = operator.explain("case-4711").await.unwrap();
    assert_eq!(steps[0]["record"]["exchange"], detail);
    assert!(operator.explain("case-4712").await.unwrap().is_empty());
    for token in [None, Some("guessed")] {
        let stranger = operator.clone().with_token(token);
        assert_eq!(stranger.get(&format!("/v1/explain/{detail}")).await.unwrap().status, 401);
    }
    stage.stop().await;
}

#[tokio::test]
async fn client_that_is_added_to_the_hub_needs_a_registration_too() {
    let mut stage = Stage::lay_out().await.unwrap();
    let unregistered = "UZ/GOV/NASP/statistics";
    let edit = |hub: &mut hub_server::HubConfig| {
        let mut client = hub.clients[0].clone();
        client.subsystem = unregistered.parse().unwrap();
        hub.clients.push(client);
    };
    stage.federation.layout.edit_hub(CONSUMER, edit).unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let caller = Caller::new(stage.place(CONSUMER).unwrap().edge_plain, unregistered);
    let answer = caller.get(PEOPLE, PERSON).await.unwrap();
    stage.refused(&answer, ProblemCode::PeerNotAuthorised, Recorded::AtBoth).await.unwrap();
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}
