//! `kill -9` of either hub, or both, at random moments under load: every answer that a caller received has its
//! records in both logs, in order and provable (promises P1, P2, P5).
//!
//! ```text
//!  8 callers ──► hub register ──► hub tax ──► adapter tax
//!      │             ▲ kill, start    ▲ kill, start          as often as KOPRIK_KILLS says (200)
//!      └─ exchange and receipt of each answer ──► held against both logs at the end
//! ```
//!
//! `KOPRIK_SEED=S` repeats the choices of a run; the moments themselves lie with the machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use federation::layout::REGISTER_HUB;
use federation::{Answer, Caller};
use hub_messagelog::{IndexKeys, LogLimits, LogOptions, MessageLog};
use hub_server::HubConfig;
use pki::signer::NoteKey;
use processes::pair::{Pair, ask};
use processes::{Killed, eventually, koprik, printed};
use schemas::clock::Clock;
use schemas::record::{Kind, Record};
use schemas::tlog::Checkpoint;
use schemas::tlog::merkle::{Extension, leaf_hash, verify_consistency, verify_inclusion};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CALLERS: usize = 8;
/// Longest time of load after a hub is back and before the next kill, milliseconds.
const LOAD_MS: u64 = 60;
/// Evidence files that are made and verified at the end.
const EVIDENCE_COUNT: usize = 5;

fn number(name: &str) -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "the length of a test is not configuration")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The next number of a seed (splitmix64), below `end`.
fn below(seed: &mut u64, end: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % end
}

/// Callers that ask until they are told to stop, and keep what was answered.
struct Load {
    stop: Arc<AtomicBool>,
    answers: watch::Sender<Vec<(String, u64)>>,
    /// Both hubs run.
    up: watch::Sender<bool>,
    callers: JoinSet<()>,
}

impl Load {
    fn start(caller: &Caller) -> Self {
        let (answers, up) = (watch::Sender::default(), watch::Sender::new(true));
        let mut load = Self { stop: Arc::default(), answers, up, callers: JoinSet::new() };
        for _ in 0..CALLERS {
            let (stop, answers, caller) = (load.stop.clone(), load.answers.clone(), caller.clone());
            let mut up = load.up.subscribe();
            load.callers.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    match ask(&caller).await {
                        Ok(answer) if answer.status == 200 => {
                            let received = (answer.exchange().unwrap().to_owned(), place(&answer));
                            answers.send_modify(|all| all.push(received));
                        }
                        // A hub is away; or it is back, and this was cut off before.
                        _ => drop(up.wait_for(|up| *up).await),
                    }
                }
            });
        }
        load
    }

    /// Waits until something more has been answered.
    async fn goes_on(&self) {
        let before = self.answers.borrow().len();
        eventually("exchanges go on", || async { self.answers.borrow().len() > before }).await;
    }

    async fn stop(mut self) -> Vec<(String, u64)> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        self.answers.borrow().clone()
    }
}

/// The index in the consumer's log that the receipt names.
fn place(answer: &Answer) -> u64 {
    let receipt = answer.header("koprik-receipt").unwrap();
    let index = receipt.split("index=").nth(1).unwrap().split(';').next().unwrap();
    index.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_its_records_in_both_logs_whenever_hubs_are_killed() {
    let kills = number("KOPRIK_KILLS").unwrap_or(200);
    let mut seed = number("KOPRIK_SEED").unwrap_or_else(|| Clock::machine().now().0);
    println!("KOPRIK_SEED={seed}");
    let mut pair = Pair::start().await;
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let load = Load::start(&pair.caller);
    let mut killed = 0;
    while killed < kills {
        load.goes_on().await;
        tokio::time::sleep(Duration::from_millis(below(&mut seed, LOAD_MS))).await;
        let which = below(&mut seed, 3);
        load.up.send_replace(false);
        let consumer = (which != 1).then(|| pair.consumer.take().unwrap().kill());
        let provider = (which != 0).then(|| pair.provider.take().unwrap().kill());
        for name in [REGISTER_HUB, "tax"] {
            // What anyone may have read there.
            let file = config(&pair, name).data_dir.join("log/tlog/checkpoint");
            seen.entry(name).or_default().insert(std::fs::read_to_string(file).unwrap());
        }
        // Counted as it is asked for: both at once are two.
        killed += u64::from(consumer.is_some()) + u64::from(provider.is_some());
        std::thread::scope(|both| {
            both.spawn(|| pair.provider = pair.provider.take().or(provider.map(Killed::start)));
            both.spawn(|| pair.consumer = pair.consumer.take().or(consumer.map(Killed::start)));
        });
        load.up.send_replace(true);
    }
    load.goes_on().await;
    let answers = load.stop().await;
    verify_evidence(&pair, &answers);
    pair.consumer.take().unwrap().kill();
    pair.provider.take().unwrap().kill();
    for name in [REGISTER_HUB, "tax"] {
        let log = HeldLog::read(&config(&pair, name)).await;
        let receipts = (name == REGISTER_HUB).then_some(());
        for (exchange, index) in &answers {
            let (request, answer) = log.of_exchange(exchange);
            assert!(request < answer, "{name} {exchange}: request {request}, answer {answer}");
            assert!(receipts.is_none_or(|()| answer == *index), "{exchange}: receipt {index}");
            log.prove(request);
            log.prove(answer);
        }
        seen[name].iter().for_each(|note| log.extends(note));
        println!("{name}: {killed} kills, {} answers, {} records", answers.len(), log.leaves.len());
    }
}

fn config(pair: &Pair, name: &str) -> HubConfig {
    HubConfig::load(&pair.layout.hubs[name].config).unwrap()
}

/// Takes evidence of some exchanges from both hubs and verifies it offline.
fn verify_evidence(pair: &Pair, answers: &[(String, u64)]) {
    let anchor = pair.layout.anchor.display().to_string();
    let file = pair.layout.anchor.with_file_name("evidence.json").display().to_string();
    let every = (answers.len() / EVIDENCE_COUNT).max(1);
    for (exchange, _) in answers.iter().step_by(every) {
        for name in [REGISTER_HUB, "tax"] {
            let hub = pair.layout.hubs[name].config.display().to_string();
            let taken = ["log", "prove", "--config", &hub, "--exchange", exchange, "-o", &file];
            assert!(koprik(&taken).status.success(), "{name} {exchange}");
            let verified = koprik(&["--json", "verify", &file, "--anchor", &anchor]);
            assert!(verified.status.success(), "{name} {exchange}: {}", printed(&verified));
        }
    }
}

/// A hub's log after the hub has ended.
struct HeldLog {
    log: MessageLog,
    latest: Checkpoint,
    leaves: Vec<bytes::Bytes>,
    /// Requests and answers of each exchange, in order.
    exchanges: BTreeMap<String, Vec<(u64, Kind)>>,
}

impl HeldLog {
    async fn read(config: &HubConfig) -> Self {
        let origin = hub_server::hub::log_origin(&config.server);
        let log = MessageLog::open(LogOptions {
            dir: config.data_dir.join("log"),
            origin: origin.clone(),
            key: Arc::new(NoteKey::load(&origin, &config.log.key).unwrap()),
            clock: Clock::machine(),
            index_keys: |_| IndexKeys::default(),
            limits: LogLimits::default(),
        })
        .unwrap();
        let (mut leaves, mut exchanges) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        log.scan(0, |index, stored| {
            let record = Record::from_leaf(&stored.leaf).unwrap();
            leaves.push(stored.leaf);
            if let (Some(exchange), Kind::Request | Kind::Answer) = (record.exchange, record.kind) {
                exchanges.entry(exchange).or_default().push((index, record.kind));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        let latest = Checkpoint::open(&log.latest_checkpoint(), &origin, log.verifier()).unwrap();
        assert_eq!((log.audit().unwrap(), latest.size), (log.size(), log.size()));
        log.close().await;
        Self { log, latest, leaves, exchanges }
    }

    /// The indexes of an exchange's request and answer; there is one of each.
    fn of_exchange(&self, exchange: &str) -> (u64, u64) {
        match self.exchanges.get(exchange).map(Vec::as_slice) {
            Some([(request, Kind::Request), (answer, Kind::Answer)]) => (*request, *answer),
            other => panic!("{exchange}: {other:?}"),
        }
    }

    fn prove(&self, index: u64) {
        let leaf = leaf_hash(&self.leaves[usize::try_from(index).unwrap()]);
        let proof = self.log.inclusion_proof(index, self.latest.size).unwrap();
        let (size, root) = (self.latest.size, &self.latest.root);
        assert_eq!(verify_inclusion(&leaf, index, size, &proof, root), Ok(()), "record {index}");
    }

    fn extends(&self, note: &str) {
        let earlier = Checkpoint::open(note, &self.latest.origin, self.log.verifier()).unwrap();
        if earlier.size == 0 {
            return;
        }
        let proof = self.log.consistency_proof(earlier.size, self.latest.size).unwrap();
        let states = Extension {
            old_size: earlier.size,
            old_root: &earlier.root,
            new_size: self.latest.size,
            new_root: &self.latest.root,
        };
        assert_eq!(verify_consistency(states, &proof), Ok(()), "{}", earlier.size);
    }
}
