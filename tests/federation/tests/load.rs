//! Many exchanges at once: GovStack asks a mediator for 1 000.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::collections::{BTreeMap, HashSet};

use federation::agencies::{PURPOSE, REGISTER};
use federation::pair::{CONSUMER, ECHO, PROVIDER};
use federation::{Caller, Pair, Source};
use hub_messagelog::MessageLog;
use schemas::record::{Kind, Record, Side};
use tokio::task::JoinSet;

const EXCHANGES_COUNT: usize = 1_000;

/// Index and kind of each record by exchange.
fn by_exchange(log: &MessageLog, side: Side) -> BTreeMap<String, Vec<(u64, Kind)>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for index in 0..log.size() {
        let record = Record::from_leaf(&log.read(index).unwrap().leaf).unwrap();
        if record.side == side {
            found.entry(record.exchange.unwrap()).or_default().push((index, record.kind));
        }
    }
    found
}

/// Leaves with their length and hash as they are published, and sealed evidence.
fn stored_bytes(log: &MessageLog) -> usize {
    let stored = (0..log.size()).map(|index| log.read(index).unwrap());
    stored.map(|stored| stored.leaf.len() + 2 + 32 + stored.attachment.len()).sum()
}

/// Some 170 bytes of index and frames stand beside what is counted. Messages that come one by one are signed alone.
#[tokio::test]
async fn an_exchange_takes_less_than_two_kibibytes_on_each_hub() {
    const COUNT: usize = 10;
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    let pair = Pair::start_with(dir.path(), source, 0, |_| ()).await.unwrap();
    let headers = [
        ("Accept", "application/json"),
        ("Koprik-Purpose", PURPOSE),
        ("X-Road-Id", "d6762966-5c05-4e55-8134-fd26c2437ed6"),
        ("X-Road-Issue", "92eaa531-c588-438e-a097-3baa54b165a1"),
        ("X-Road-UserId", "officer-17"),
    ];
    let path = "/persons/31505850010011/income?from=2025-12&to=2026-02";
    for _ in 0..COUNT {
        assert_eq!(pair.ask("GET", path, &headers, b"").await.unwrap().status(), 200);
    }
    for hub in [CONSUMER, PROVIDER] {
        let bytes = stored_bytes(pair.federation.hub(hub).unwrap().log()) / COUNT;
        println!("{hub}: {bytes} bytes for an exchange, without index");
        assert!(bytes < 2_048 - 170, "{hub}: {bytes} bytes for an exchange");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_exchanges_at_once_are_all_answered_and_recorded_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    let patient = |config: &mut hub_server::HubConfig| {
        config.services.iter_mut().for_each(|service| service.timeout_seconds = Some(50));
    };
    let pair = Pair::start_with(dir.path(), source, 0, patient).await.unwrap();
    let caller = Caller::new(pair.federation.layout.hubs[CONSUMER].edge_plain, REGISTER);
    let mut running = JoinSet::new();
    for nth in 0..EXCHANGES_COUNT {
        let caller = caller.clone();
        running.spawn(async move { (nth, caller.get(ECHO, &format!("/{nth}")).await.unwrap()) });
    }
    let answers = running.join_all().await;
    let mut receipts = HashSet::new();
    for (nth, answer) in &answers {
        assert_eq!(answer.status, 200, "{nth}: {:?}", answer.problem());
        let receipt = answer.header("koprik-receipt").unwrap();
        let index = receipt.split("index=").nth(1).unwrap().split(';').next().unwrap();
        receipts.insert((answer.exchange().unwrap().to_owned(), index.parse::<u64>().unwrap()));
    }
    assert_eq!(receipts.len(), EXCHANGES_COUNT, "each has its own exchange and place");
    let asked: HashSet<_> =
        pair.source.take().iter().map(|heard| heard.asked().1.to_owned()).collect();
    assert_eq!(asked.len(), EXCHANGES_COUNT, "each question reached the source");
    for (hub, side) in [(CONSUMER, Side::Consumer), (PROVIDER, Side::Provider)] {
        let log = pair.federation.hub(hub).unwrap().log();
        log.checkpoint_covering(log.size() - 1).await.unwrap();
        let found = by_exchange(log, side);
        assert_eq!(found.len(), EXCHANGES_COUNT, "{hub}");
        for (exchange, records) in &found {
            let [(request, Kind::Request), (answer, Kind::Answer)] = records[..] else {
                panic!("{hub} {exchange}: {records:?}");
            };
            assert!(request < answer);
            // The receipt names the consumer's record.
            assert!(
                hub == PROVIDER || receipts.contains(&(exchange.clone(), answer)),
                "{exchange}"
            );
        }
        assert_eq!(log.audit().unwrap(), log.size(), "the tree is that of the records");
        let bytes = stored_bytes(log) / EXCHANGES_COUNT;
        println!("{hub}: {bytes} bytes for an exchange, without index");
        // Signatures of up to 256 messages at once carry eight hashes each, 512 bytes for an exchange.
        assert!(bytes < 2_148, "{hub}: {bytes} bytes for an exchange");
    }
}
