//! What an operator asks of a log: which records, and the evidence of the exchange that is meant.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use federation::agencies::PURPOSE;
use processes::pair::Pair;
use processes::{complaint, koprik, printed};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn records_are_asked_for_by_what_they_say_and_proved_by_their_place() {
    let pair = Pair::start().await;
    let exchange = pair.answered().await;
    let config = pair.layout.hubs["tax"].config.display().to_string();
    let show = |options: &[&str]| {
        let command = ["--json", "log", "show", "--config", &config];
        printed(&koprik(&[&command, options].concat()))["records"].as_array().unwrap().clone()
    };
    let about = ["--subject", "31505850010011"];
    let told = show(&[&about[..], &["--limit", "1"]].concat());
    let kinds = |records: &[Value]| {
        let kind = |found: &Value| found["record"]["kind"].as_str().unwrap().to_owned();
        records.iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&told), ["answer", "request"], "the newest, whole");
    assert_eq!(told[0]["record"]["exchange"], exchange);
    let narrowed = show(&[&about[..], &["--purpose", PURPOSE, "--limit", "1"]].concat());
    assert_eq!(narrowed, told);
    assert!(show(&[&about[..], &["--purpose", "another"]].concat()).is_empty());
    assert!(show(&[&about[..], &["--message", "another"]].concat()).is_empty());
    let made = format!("UZ-{exchange}");
    assert_eq!(show(&["--message", &made]).len(), 2, "an X-Road-Id that the hub made");

    let prove = |index: u64| {
        let index = index.to_string();
        koprik(&["log", "prove", "--config", &config, "--exchange", &exchange, "--index", &index])
    };
    let [answer, request] = [0, 1].map(|place| told[place]["index"].as_u64().unwrap());
    for index in [request, answer] {
        let evidence = printed(&prove(index));
        assert_eq!(evidence["records"][0]["index"], request);
        assert_eq!(evidence["records"][1]["index"], answer);
    }
    let elsewhere = prove(request - 1);
    assert!(!elsewhere.status.success());
    let complaint = complaint(&elsewhere);
    let meant = format!("record {} is not of this exchange", request - 1);
    assert!(complaint.contains(&meant) && complaint.contains("koprik explain"), "{complaint}");
}
