//! How long the question of a shop takes, and that yes, no and unknown take alike.
//!
//! `cargo test --release -p register-server --test desk -- --nocapture times` prints the times;
//! `KOPRIK_LONG=1` asks 20 000 times of each kind instead of 200.

use http::{Method, StatusCode};
use schemas::clock::Clock;
use schemas::encoding::base64url;
use serde_json::json;

use crate::office::{AGENCY, Office, SHOP};
use crate::sample::SON;

fn questions() -> usize {
    #[allow(clippy::disallowed_methods, reason = "the long form of a test is chosen outside")]
    let long = std::env::var("KOPRIK_LONG").is_ok();
    if long { 20_000 } else { 200 }
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[tokio::test]
async fn status_questions_are_answered_quickly_and_alike() {
    let office = Office::open(None).await;
    let (id, known) = office.issue_card(SON).await;
    let pupil = json!([{"question": "pupil", "from": "2026-01-01", "to": null}]);
    let step = json!({"step": "entitle", "entitlements": pupil});
    let body = json!({"version": 1, "ground": "checked", "step": step});
    office.done(AGENCY, &format!("/cards/{id}/steps"), body).await;
    let unknown = base64url(&[9; 16]);
    let kinds =
        [("yes", &known, "pupil"), ("no", &known, "veteran"), ("unknown", &unknown, "pupil")];
    let mut times: [Vec<u64>; 3] = Default::default();
    let clock = Clock::machine();
    for _ in 0..questions() {
        // In turns, so that the machine's moods meet all kinds alike.
        for ((_, card, question), times) in kinds.iter().zip(&mut times) {
            let request = json!({"card": card, "question": question, "nonce": base64url(&[7; 16])});
            let running = clock.stopwatch();
            let who = ("x-road-client", SHOP);
            let (status, _) = office.raw(Method::POST, "/card-status", who, &request).await;
            times.push(running.elapsed_us());
            assert_eq!(status, StatusCode::OK);
        }
    }
    for ((name, ..), times) in kinds.iter().zip(&mut times) {
        times.sort_unstable();
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
        println!("card status, {name}: p50 {p50} us, p99 {p99} us, {} questions", times.len());
    }
    let medians: Vec<u64> = times.iter().map(|times| percentile(times, 50)).collect();
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < 2 * *least, "medians of yes, no and unknown differ: {medians:?} us");
}
