//! Bodies that take their time, while the world goes on.
//!
//! ```text
//! rogue with the register's keys → real provider's hub      real consumer's hub → rogue with the provider's keys
//! ```

#![allow(clippy::unwrap_used, reason = "test code outside #[test]")]

use std::sync::Arc;
use std::time::Duration;

use federation::agencies::REGISTER;
use federation::refused::error_body;
use federation::rogue::{self, Pause, RogueProvider};
use federation::stage::{self, CONSUMER, FILES, PROVIDER, Stage};
use http::Method;
use schemas::limits::{CLOCK_SKEW, MESSAGE_LIFETIME};
use schemas::problem::ProblemCode;
use tokio::sync::Notify;

/// Long enough for a head to arrive on loopback.
const ARRIVED: Duration = Duration::from_millis(500);

#[tokio::test]
async fn who_sends_a_body_slowly_is_judged_by_what_is_in_force_when_it_is_there() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    let grants = [stage::grant("files", FILES).unwrap(), stage::grant("again", FILES).unwrap()];
    for (withdrawn, status) in [(false, 200), (true, 500)] {
        let mut request =
            rogue::request(Method::POST, REGISTER, &format!("{FILES}/x"), "question").unwrap();
        let keys = stage.signing_keys(CONSUMER).unwrap();
        let parameters = keys.parameters(stage.clock.now());
        rogue::sign_request(&mut request, &keys, &parameters).unwrap();
        let go = Arc::new(Notify::new());
        request.extensions_mut().insert(Pause(go.clone()));
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
