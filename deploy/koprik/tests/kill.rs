//! Every server as its own process, killed (SIGKILL) and started again by its command.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use federation::layout::REGISTER_HUB;
use federation::{Federation, Options, lay_out};
use processes::pair::Pair;
use processes::{Server, koprik, printed};
use schemas::clock::Clock;

#[tokio::test(flavor = "multi_thread")]
async fn killed_hubs_lose_no_acknowledged_record_and_go_on() {
    let mut pair = Pair::start().await;
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        for _ in 0..5 {
            acknowledged.push(pair.answered().await);
        }
        let side = if round % 2 == 0 { &mut pair.consumer } else { &mut pair.provider };
        *side = Some(side.take().unwrap().kill().start());
    }
    acknowledged.push(pair.answered().await);
    for exchange in &acknowledged {
        for hub in [REGISTER_HUB, "tax"] {
            assert_eq!(pair.records(hub, exchange), ["request", "answer"], "{hub} {exchange}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_central_server_stops_nothing_and_hubs_start_without_it() {
    let mut pair = Pair::start().await;
    let central = pair.central.take().unwrap().kill();
    pair.answered().await;
    pair.consumer = Some(pair.consumer.take().unwrap().kill().start());
    pair.provider = Some(pair.provider.take().unwrap().kill().start());
    pair.answered().await;
    let content = pair.layout.read_content().unwrap();
    pair.central = Some(central.start());
    let mut suspended = content.clone();
    let tax = suspended.members.iter_mut().find(|m| m.id.as_str() == "UZ/GOV/TAX").unwrap();
    tax.suspended = true;
    pair.layout.write_content(&suspended).unwrap();
    pair.refused_with("server.serverproxy.suspended").await;
    pair.layout.write_content(&content).unwrap();
    pair.answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_provider_and_source_are_named_and_come_back() {
    let mut pair = Pair::start().await;
    let provider = pair.provider.take().unwrap().kill();
    pair.refused_with("server.clientproxy.network_error").await;
    pair.provider = Some(provider.start());
    pair.answered().await;
    let adapter = pair.adapter.take().unwrap().kill();
    pair.refused_with("server.serverproxy.service_failed.network_error").await;
    pair.adapter = Some(adapter.start());
    pair.answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_register_comes_back_with_the_same_answer() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::machine();
    let layout = lay_out(dir.path(), &Options::all(clock.now())).unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.seed().await.unwrap();
    federation.start_all().await.unwrap();
    federation.register.take().unwrap().stop().await;
    let (config, listen) = federation.layout.register.clone();
    let ask = || {
        let url = format!("http://{listen}");
        let day = ["--date", "2026-03-02", "--json"];
        let command = ["profile", "31505850010011", "--register", &url];
        printed(&koprik(&[&command[..], &day[..]].concat()))["profile"]["assessment"].to_string()
    };
    let register = Server::start("register", &config);
    let before = ask();
    let register = register.kill().start();
    assert!(before.contains("635000"), "{before}");
    assert_eq!(ask().matches("635000").count(), before.matches("635000").count());
    drop(register);
    federation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hub_at_rest_is_small() {
    let pair = Pair::start().await;
    for hub in [&pair.consumer, &pair.provider] {
        let resident_kib = hub.as_ref().unwrap().resident_kib();
        assert!(resident_kib < 64 * 1024, "{resident_kib} KiB resident");
    }
}
