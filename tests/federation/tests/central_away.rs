//! The central server may be away as long as the global configuration is valid (promise P7).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::time::Duration;

use federation::agencies::REGISTER;
use federation::pair::{CONSUMER, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::{Pair, Source};
use schemas::clock::{Clock, UnixMillis};

const HOUR: Duration = Duration::from_secs(3600);

async fn started() -> (Pair, Clock, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMillis::from_rfc3339("2026-06-01T08:00:00Z").unwrap());
    let source = Source::plain().await.unwrap();
    let pair = Pair::start_under(clock.clone(), dir.path(), source, (0, |_: &mut _| ()));
    (pair.await.unwrap(), clock, dir)
}

async fn health(pair: &Pair, hub: &str) -> Message {
    let admin = pair.federation.hub(hub).unwrap().addresses().admin;
    let received = raw::talk(admin, &raw::request("GET", "/health", &[], b"")).await.unwrap();
    Message::parse_all(&received).remove(0)
}

async fn status(pair: &Pair) -> (u16, Option<String>) {
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    (answer.status(), answer.header("x-road-error").map(ToOwned::to_owned))
}

#[tokio::test]
async fn traffic_goes_on_and_hubs_restart_without_the_central_server() {
    let (mut pair, _clock, _dir) = started().await;
    pair.federation.stop_central().await;
    assert_eq!(status(&pair).await, (200, None));
    for hub in [CONSUMER, PROVIDER] {
        let refresh = pair.federation.hub(hub).unwrap().refresh().await;
        assert!(refresh.unwrap_err().contains("http://127.0.0.1"), "it says which server is away");
        assert_eq!(status(&pair).await, (200, None), "a refresh that fails changes nothing");
        pair.federation.stop_hub(hub).await;
        pair.federation.start_hub(hub).await.unwrap();
        assert_eq!(
            pair.federation.hub(hub).unwrap().configuration_version(),
            Some(1),
            "from its disk"
        );
        assert_eq!(status(&pair).await, (200, None), "{hub} has restarted");
        assert_eq!(health(&pair, hub).await.status(), 200);
    }
    assert_eq!(pair.source.take().len(), 5);
}

#[tokio::test]
async fn traffic_ends_with_the_validity_and_returns_with_the_central_server() {
    let (mut pair, clock, _dir) = started().await;
    pair.federation.stop_central().await;
    clock.advance(HOUR * 23);
    assert_eq!(status(&pair).await, (200, None), "23 hours later");
    clock.advance(HOUR * 2);
    let outdated = "server.clientproxy.global_conf_outdated".to_owned();
    assert_eq!(status(&pair).await, (500, Some(outdated.clone())), "25 hours later");
    let health_then = health(&pair, CONSUMER).await;
    assert_eq!(health_then.status(), 503);
    assert!(String::from_utf8_lossy(&health_then.body).contains("has expired"));
    // A restart does not make an expired configuration valid again.
    pair.federation.stop_hub(CONSUMER).await;
    pair.federation.start_hub(CONSUMER).await.unwrap();
    assert_eq!(status(&pair).await, (500, Some(outdated)));
    pair.federation.start_central().await.unwrap();
    for hub in [CONSUMER, PROVIDER] {
        let running = pair.federation.hub(hub).unwrap();
        let deadline = pair.federation.clock.stopwatch();
        while running.refresh().await.is_err() || health(&pair, hub).await.status() != 200 {
            assert!(deadline.elapsed() < Duration::from_secs(10), "{hub} does not recover");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(status(&pair).await, (200, None));
}

#[tokio::test]
async fn provider_alone_without_a_valid_configuration_refuses_and_asks_no_source() {
    let (mut pair, clock, _dir) = started().await;
    pair.federation.stop_hub(PROVIDER).await;
    pair.federation.stop_central().await;
    clock.advance(HOUR * 25);
    pair.federation.start_central().await.unwrap();
    pair.federation.hub(CONSUMER).unwrap().refresh().await.unwrap();
    pair.federation.stop_central().await;
    // The provider starts with what its disk has: the expired version 1.
    pair.federation.start_hub(PROVIDER).await.unwrap();
    let headers = [("X-Road-Client", REGISTER)];
    let request = raw::request("GET", &format!("/r1/{ECHO}/a"), &headers, b"");
    let answers = pair.say(&request).await.unwrap();
    let code = answers[0].header("x-road-error");
    assert_eq!(code, Some("server.serverproxy.global_conf_outdated"));
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn rotten_bits_in_the_configuration_on_disk_are_named_and_never_used() {
    let (mut pair, _clock, _dir) = started().await;
    pair.federation.stop_central().await;
    pair.federation.stop_hub(CONSUMER).await;
    let config = &pair.federation.layout.hubs[CONSUMER].config;
    let data_dir = hub_server::HubConfig::load(config).unwrap().data_dir;
    let file = data_dir.join("configuration.json");
    let whole = std::fs::read(&file).unwrap();
    let mut spared = 0;
    // One place in each forty-seventh of the file, each bit in turn; the highest leaves no UTF-8.
    for (number, at) in (0..whole.len()).step_by(whole.len() / 47).enumerate() {
        let mut rotten = whole.clone();
        rotten[at] ^= 1 << (number % 8);
        std::fs::write(&file, &rotten).unwrap();
        match pair.federation.start_hub(CONSUMER).await {
            // A signature or a key beyond the threshold: what is in force is signed all the same.
            Ok(()) => {
                spared += 1;
                assert_eq!(status(&pair).await, (200, None), "byte {at}");
                pair.federation.stop_hub(CONSUMER).await;
            }
            Err(refused) => {
                let text = format!("{refused:#}");
                assert!(text.contains("configuration.json"), "byte {at}: {text}");
                assert!(text.contains("remove the file"), "byte {at}: {text}");
            }
        }
    }
    assert!(spared < 12, "{spared} of 48 places are not noticed");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert!(pair.federation.start_hub(CONSUMER).await.is_err(), "half a file");
    std::fs::write(&file, &whole).unwrap();
    pair.federation.start_hub(CONSUMER).await.unwrap();
    assert_eq!(status(&pair).await, (200, None));
}
