//! Whatever is withdrawn, revoked, suspended or removed stops at the next refresh, on connections that are
//! open too, and the refusal says which it was (promise P10).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use federation::operator::Operator;
use federation::refused::Recorded;
use federation::stage::{self, CONSUMER, PEOPLE, PERSON, PROVIDER, Stage};
use http::Method;
use schemas::clock::UnixMillis;
use schemas::configuration::{Content, Group, Member, SecurityServer};
use schemas::identifier::SubsystemId;
use schemas::problem::ProblemCode;

const CONSUMER_MEMBER: &str = "UZ/GOV/NASP";
const PROVIDER_MEMBER: &str = "UZ/GOV/TAX";

fn member<'c>(content: &'c mut Content, id: &str) -> &'c mut Member {
    content.members.iter_mut().find(|member| member.id.as_str() == id).unwrap()
}

fn server<'c>(content: &'c mut Content, owner: &str) -> &'c mut SecurityServer {
    let id = format!("{owner}/hub-1");
    content.servers.iter_mut().find(|server| server.id.as_str() == id).unwrap()
}

/// What changes in the global configuration, who refuses with which code, and the words that say why.
struct Case {
    change: fn(&mut Content),
    code: ProblemCode,
    recorded: Recorded,
    words: &'static str,
}

/// A good exchange, the change, and the refusal of the same call; then the change undone and the call good again.
async fn stops(case: Case) {
    let stage = Stage::start().await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    let before = stage.federation.layout.read_content().unwrap();
    stage.federation.publish(case.change).await.unwrap();
    let answer = stage.ask().await.unwrap();
    let message = stage.refused(&answer, case.code, case.recorded).await.unwrap();
    assert!(message.contains(case.words), "{message}");
    stage.federation.publish(|content| *content = before).await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200, "and it is only a suspension");
    stage.stop().await;
}

#[tokio::test]
async fn suspended_member_of_the_client_stops() {
    stops(Case {
        change: |content| member(content, CONSUMER_MEMBER).suspended = true,
        code: ProblemCode::Suspended,
        recorded: Recorded::AtBoth,
        words: "owner of the security server is suspended",
    })
    .await;
}

#[tokio::test]
async fn suspended_server_of_the_client_stops() {
    stops(Case {
        change: |content| server(content, CONSUMER_MEMBER).suspended = true,
        code: ProblemCode::Suspended,
        recorded: Recorded::AtBoth,
        words: "the security server is suspended",
    })
    .await;
}

#[tokio::test]
async fn suspended_member_of_the_provider_stops() {
    stops(Case {
        change: |content| member(content, PROVIDER_MEMBER).suspended = true,
        code: ProblemCode::Suspended,
        recorded: Recorded::AtConsumer,
        words: "the provider's member is suspended",
    })
    .await;
}

#[tokio::test]
async fn suspended_server_of_the_provider_stops() {
    stops(Case {
        change: |content| server(content, PROVIDER_MEMBER).suspended = true,
        code: ProblemCode::Suspended,
        recorded: Recorded::AtConsumer,
        words: "the provider's servers are suspended",
    })
    .await;
}

#[tokio::test]
async fn revoked_signing_certificate_of_the_client_stops() {
    stops(Case {
        change: |content| revoke(member(content, CONSUMER_MEMBER)),
        code: ProblemCode::RequestCertificateRevoked,
        recorded: Recorded::AtBoth,
        words: "the signing certificate is revoked",
    })
    .await;
}

#[tokio::test]
async fn revoked_signing_certificate_of_the_provider_stops() {
    stops(Case {
        change: |content| revoke(member(content, PROVIDER_MEMBER)),
        code: ProblemCode::AnswerCertificate,
        recorded: Recorded::AtConsumer,
        words: "the signing certificate is revoked",
    })
    .await;
}

fn revoke(member: &mut Member) {
    member.signing_certificates[0].revoked = Some(UnixMillis(1));
}

#[tokio::test]
async fn signing_certificate_that_is_not_listed_any_more_stops() {
    stops(Case {
        change: |content| member(content, CONSUMER_MEMBER).signing_certificates.clear(),
        code: ProblemCode::RequestCertificate,
        recorded: Recorded::AtBoth,
        words: "not one of the member's",
    })
    .await;
}

#[tokio::test]
async fn client_that_its_server_does_not_serve_any_more_stops() {
    stops(Case {
        change: |content| server(content, CONSUMER_MEMBER).clients.clear(),
        code: ProblemCode::PeerNotAuthorised,
        recorded: Recorded::AtBoth,
        words: "not registered for this client",
    })
    .await;
}

#[tokio::test]
async fn provider_that_no_server_serves_any_more_stops() {
    stops(Case {
        change: |content| server(content, PROVIDER_MEMBER).clients.clear(),
        code: ProblemCode::UnknownMember,
        recorded: Recorded::AtConsumer,
        words: "no security server serves the provider",
    })
    .await;
}

#[tokio::test]
async fn removed_authentication_certificate_of_the_provider_stops() {
    stops(Case {
        change: |content| server(content, PROVIDER_MEMBER).authentication_certificates.clear(),
        code: ProblemCode::NetworkError,
        recorded: Recorded::AtConsumer,
        words: "registered certificate",
    })
    .await;
}

#[tokio::test]
async fn removed_authentication_certificate_of_the_client_stops() {
    stops(Case {
        change: |content| server(content, CONSUMER_MEMBER).authentication_certificates.clear(),
        code: ProblemCode::PeerNotAuthorised,
        recorded: Recorded::AtConsumer,
        words: "own authentication certificate is not in the global configuration",
    })
    .await;
}

#[tokio::test]
async fn purpose_that_is_not_in_the_catalogue_any_more_stops() {
    stops(Case {
        change: |content| content.purposes[0].code = "other-purpose".to_owned(),
        code: ProblemCode::AccessDenied,
        recorded: Recorded::AtBoth,
        words: "purpose catalogue",
    })
    .await;
}

#[tokio::test]
async fn open_connection_of_a_server_that_is_removed_or_suspended_carries_nothing_more() {
    let stage = Stage::start().await.unwrap();
    let mut open = stage.connect_as(CONSUMER).await.unwrap();
    let request = || stage.signed(Method::GET, PERSON, "").unwrap();
    assert_eq!(open.send(request()).await.unwrap().status, 200);
    let before = stage.federation.layout.read_content().unwrap();
    let suspend = |content: &mut Content| server(content, CONSUMER_MEMBER).suspended = true;
    stage.federation.publish(suspend).await.unwrap();
    let calls = stage.source.calls_count();
    let answer = open.send(request()).await.unwrap();
    stage.refused(&answer, ProblemCode::Suspended, Recorded::AtProvider).await.unwrap();
    let remove = |content: &mut Content| {
        content.clone_from(&before);
        server(content, CONSUMER_MEMBER).authentication_certificates.clear();
    };
    stage.federation.publish(remove).await.unwrap();
    let answer = open.send(request()).await.unwrap();
    let code = ProblemCode::PeerNotAuthorised;
    let message = stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    assert!(message.contains("not in the global configuration"), "{message}");
    assert_eq!(stage.source.calls_count(), calls);
    stage.federation.publish(|content| *content = before).await.unwrap();
    assert_eq!(
        open.send(request()).await.unwrap().status,
        200,
        "the connection was open throughout"
    );
    stage.stop().await;
}

#[tokio::test]
async fn withdrawn_grant_stops_and_withdrawing_is_a_record() {
    let stage = Stage::start().await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage.reconfigure(|config| config.grants.retain(|grant| grant.id != "people")).await.unwrap();
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::AccessDenied;
    let message = stage.refused(&answer, code, Recorded::AtBoth).await.unwrap();
    assert!(message.contains("no grant for this client and service"), "{message}");
    let operator = Operator::of(stage.hub(PROVIDER).unwrap());
    let acts = operator.outcomes("configuration-file-reloaded").await.unwrap();
    assert_eq!(acts.len(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn client_that_leaves_a_group_loses_the_grants_of_the_group() {
    let stage = Stage::start().await.unwrap();
    stage
        .reconfigure(|config| {
            let mut grant = stage::grant("people", PEOPLE).unwrap();
            (grant.client, grant.group) = (None, Some("ministries".to_owned()));
            config.grants = vec![grant];
        })
        .await
        .unwrap();
    let group = |members: Vec<SubsystemId>| {
        let (code, description) = ("ministries".to_owned(), "all of them".to_owned());
        move |content: &mut Content| content.groups = vec![Group { code, description, members }]
    };
    let register = federation::agencies::REGISTER.parse().unwrap();
    stage.federation.publish(group(vec![register])).await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage.federation.publish(group(Vec::new())).await.unwrap();
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::AccessDenied, Recorded::AtBoth).await.unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn calling_system_that_is_taken_off_the_hub_stops() {
    let stage = Stage::start().await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    let edit = |hub: &mut hub_server::HubConfig| hub.clients[0].plain_loopback = false;
    stage.federation.layout.edit_hub(CONSUMER, edit).unwrap();
    stage.hub(CONSUMER).unwrap().refresh().await.unwrap();
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::CallerNotAuthenticated;
    stage.refused(&answer, code, Recorded::AtConsumer).await.unwrap();
    let edit = |hub: &mut hub_server::HubConfig| hub.clients.clear();
    stage.federation.layout.edit_hub(CONSUMER, edit).unwrap();
    stage.hub(CONSUMER).unwrap().refresh().await.unwrap();
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::UnknownMember, Recorded::AtConsumer).await.unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn faulty_file_changes_nothing_and_says_where_the_fault_is() {
    let stage = Stage::start().await.unwrap();
    let faulty = stage.reconfigure(|config| config.grants[0].purposes.clear()).await;
    let reason = faulty.unwrap_err().to_string();
    assert!(reason.contains("at least one purpose"), "{reason}");
    assert_eq!(stage.ask().await.unwrap().status, 200, "what was in force stays");
    stage.stop().await;
}

#[tokio::test]
async fn refresh_comes_by_itself_within_its_interval() {
    let stage = Stage::start_with(|config| config.configuration.refresh_seconds = 1).await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage.federation.layout.edit_hub(PROVIDER, |config| config.grants.clear()).unwrap();
    let deadline = stage.clock.stopwatch();
    while stage.ask().await.unwrap().status == 200 {
        assert!(deadline.elapsed() < std::time::Duration::from_secs(5), "the grant still holds");
    }
    stage.stop().await;
}
