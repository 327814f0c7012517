//! Bodies that take their time, while the world goes on.
//!
//! ```text
//! rogue with the register's keys → real provider's hub      real consumer's hub → rogue with the provider's keys
//! ```

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use federation::agencies::REGISTER;
use federation::operator::Operator;
use federation::refused::{Recorded, error_body};
use federation::rogue::{self, Connection, Pause, RogueProvider};
use federation::stage::{self, CONSUMER, FILES, PEOPLE, PROVIDER, Stage};
use http::Method;
use schemas::configuration::{Anchor, Content, Group};
use schemas::limits::{CLOCK_SKEW, MESSAGE_LIFETIME};
use schemas::problem::ProblemCode;
use schemas::record::Kind;
use tokio::sync::Notify;

/// Long enough for a head to arrive on loopback.
const ARRIVED: Duration = Duration::from_millis(500);

/// A signed request of the register whose body comes when it is told to go.
fn paused(stage: &Stage, path: &str, body: &str) -> (http::Request<Bytes>, Arc<Notify>) {
    let mut request = rogue::request(Method::POST, REGISTER, path, body.to_owned()).unwrap();
    let keys = stage.signing_keys(CONSUMER).unwrap();
    rogue::sign_request(&mut request, &keys, &keys.parameters(stage.clock.now())).unwrap();
    let go = Arc::new(Notify::new());
    request.extensions_mut().insert(Pause(go.clone()));
    (request, go)
}

#[tokio::test]
async fn who_sends_a_body_slowly_is_judged_by_what_is_in_force_when_it_is_there() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    let grants = [stage::grant("files", FILES).unwrap(), stage::grant("again", FILES).unwrap()];
    for (withdrawn, status) in [(false, 200), (true, 500)] {
        let (request, go) = paused(&stage, &format!("{FILES}/x"), "question");
        let mut connection = stage.connect_as(CONSUMER).await.unwrap();
        let meanwhile = async {
            tokio::time::sleep(ARRIVED).await;
            // Other grants: the same right under another name, or none.
            let left = grants.iter().skip(1 + usize::from(withdrawn)).cloned().collect();
            stage.reconfigure(|config| config.grants = left).await.unwrap();
            go.notify_one();
        };
        let (answer, ()) = tokio::join!(connection.send(request), meanwhile);
        let answer = answer.unwrap();
        assert_eq!(answer.status, status, "withdrawn: {withdrawn}");
        if withdrawn {
            error_body(&answer, ProblemCode::AccessDenied).unwrap();
        } else {
            assert_eq!(answer.header("koprik-grant"), Some("again"));
        }
    }
    assert_eq!(stage.source.calls_count(), 1, "promise P10");
    stage.stop().await;
}

/// One call a minute is granted: the call that is judged again is the same call.
#[tokio::test]
async fn a_body_on_its_way_while_the_configuration_changes_is_counted_once_and_proved() {
    let mut stage = Stage::lay_out().await.unwrap();
    let once = |config: &mut hub_server::HubConfig| {
        config.grants.iter_mut().for_each(|grant| grant.rate_per_minute = Some(1));
    };
    stage.federation.layout.edit_hub(PROVIDER, once).unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    let (request, go) = paused(&stage, &format!("{FILES}/x"), "question");
    let mut connection = stage.connect_as(CONSUMER).await.unwrap();
    let meanwhile = async {
        tokio::time::sleep(ARRIVED).await;
        // More than clocks may differ: the head's time is before the new configuration.
        stage.clock.advance(CLOCK_SKEW + Duration::from_secs(5));
        let another = |content: &mut Content| {
            let (code, description) = ("nobody".to_owned(), String::new());
            content.groups.push(Group { code, description, members: Vec::new() });
        };
        stage.federation.publish(another).await.unwrap();
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(connection.send(request), meanwhile);
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let anchor = std::fs::read_to_string(&stage.federation.layout.anchor).unwrap();
    let anchor: Anchor = serde_json::from_str(&anchor).unwrap();
    let exchange = answer.header("x-road-request-id").unwrap();
    let operator = Operator::of(stage.hub(PROVIDER).unwrap());
    let file = operator.get(&format!("/v1/evidence/{exchange}")).await.unwrap();
    let proved = hub_core::evidence::verify(&file.body, &anchor).unwrap();
    let kinds: Vec<Kind> = proved.records.iter().map(|(_, record)| record.kind).collect();
    assert_eq!(kinds, [Kind::Request, Kind::Answer]);
    stage.stop().await;
}

/// The body names the people, so the call is permitted only when it is there: by the grants of that moment.
#[tokio::test]
async fn a_body_that_names_the_people_is_counted_once_though_the_grants_are_read_again() {
    let stage = Stage::start_with(|config| {
        config.grants.iter_mut().for_each(|grant| grant.rate_per_minute = Some(1));
    });
    let stage = stage.await.unwrap();
    let people = serde_json::json!({"pinfls": ["31505850010011"]}).to_string();
    let (request, go) = paused(&stage, &format!("{PEOPLE}/people"), &people);
    let mut connection = stage.connect_as(CONSUMER).await.unwrap();
    let meanwhile = async {
        tokio::time::sleep(ARRIVED).await;
        let unused = stage::grant("unused", FILES).unwrap();
        stage.reconfigure(|config| config.grants.push(unused)).await.unwrap();
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(connection.send(request), meanwhile);
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    stage.stop().await;
}

#[tokio::test]
async fn a_caller_that_is_taken_off_the_hub_during_its_body_is_not_served() {
    let stage = Stage::start().await.unwrap();
    let mut request =
        rogue::request(Method::POST, REGISTER, &format!("{FILES}/x"), "question").unwrap();
    let go = Arc::new(Notify::new());
    request.extensions_mut().insert(Pause(go.clone()));
    let edge = stage.place(CONSUMER).unwrap().edge_plain;
    let mut connection = Connection::plain(edge).await.unwrap();
    let meanwhile = async {
        tokio::time::sleep(ARRIVED).await;
        let edit = |hub: &mut hub_server::HubConfig| hub.clients[0].plain_loopback = false;
        stage.federation.layout.edit_hub(CONSUMER, edit).unwrap();
        stage.hub(CONSUMER).unwrap().refresh().await.unwrap();
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(connection.send(request), meanwhile);
    let code = ProblemCode::CallerNotAuthenticated;
    stage.refused(&answer.unwrap(), code, Recorded::AtConsumer).await.unwrap();
    assert_eq!(stage.source.calls_count(), 0, "promise P10");
    stage.stop().await;
}

#[tokio::test]
async fn an_answer_may_arrive_for_longer_than_its_signature_is_good() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let place = stage.place(PROVIDER).unwrap();
    let identity = rogue::identity(&place.dir, "peer").unwrap();
    let keys = stage.signing_keys(PROVIDER).unwrap();
    let (go, clock) = (Arc::new(Notify::new()), stage.clock.clone());
    let pause = Pause(go.clone());
    let script = move |request: &http::Request<bytes::Bytes>| {
        let mut answer = rogue::honest_answer(request, 200, stage::person().to_string()).unwrap();
        let parameters = keys.parameters(clock.now());
        rogue::sign_answer(&mut answer, request, &keys, &parameters).unwrap();
        answer.extensions_mut().insert(pause.clone());
        Some(answer)
    };
    let provider = RogueProvider::start(place.peer, &identity, &stage.clock, script).await.unwrap();
    let meanwhile = async {
        while provider.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(ARRIVED).await;
        stage.clock.advance(MESSAGE_LIFETIME + CLOCK_SKEW + Duration::from_secs(1));
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(stage.ask(), meanwhile);
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    stage.stop().await;
}
