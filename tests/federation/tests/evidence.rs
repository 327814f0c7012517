//! Evidence files out of running hubs: they verify with the anchor alone, and no byte of them can change unseen.
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` → source
//!                 └ /v1/evidence ┘  → verifier with the anchor
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::collections::BTreeMap;

use federation::agencies::REGISTER;
use federation::pair::{CONSUMER, PROVIDER};
use federation::raw::{self, Message};
use federation::source::{self, Source};
use federation::{Federation, Pair};
use hub_core::evidence::{self, EvidenceRefusal, Proved, Step};
use schemas::configuration::Anchor;
use schemas::evidence::EvidenceFile;
use schemas::record::{Kind, Side};

/// The seed of the byte changes that are drawn; printed when one is not noticed.
const SEED: u64 = 20_260_302;

async fn started(keep_bodies_bytes: usize) -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let body = "x".repeat(12_000);
    let source = Source::start(move |heard| {
        let large = heard.asked().1.starts_with("/large");
        source::answer(
            200,
            &[("Content-Type", "text/plain")],
            if large { body.as_bytes() } else { b"hi" },
        )
    });
    let pair = Pair::start_with(dir.path(), source.await.unwrap(), keep_bodies_bytes, |_| ());
    (pair.await.unwrap(), dir)
}

fn anchor(federation: &Federation) -> Anchor {
    serde_json::from_str(&std::fs::read_to_string(&federation.layout.anchor).unwrap()).unwrap()
}

/// Takes the evidence of an exchange out of a hub.
async fn take(federation: &Federation, hub: &str, exchange: &str) -> Message {
    let running = federation.hub(hub).unwrap();
    let token = format!("Bearer {}", running.admin_token());
    let target = format!("/v1/evidence/{exchange}");
    let request = raw::request("GET", &target, &[("Authorization", &token)], b"");
    let received = raw::talk(running.addresses().admin, &request).await.unwrap();
    Message::parse_all(&received).remove(0)
}

fn exchange_of(answer: &Message) -> String {
    let from_header = answer.header("x-road-request-id").map(ToOwned::to_owned);
    from_header.unwrap_or_else(|| {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        body["detail"].as_str().unwrap().to_owned()
    })
}

fn kinds(proved: &Proved) -> Vec<(Kind, Side)> {
    proved.records.iter().map(|(_, record)| (record.kind, record.side)).collect()
}

#[tokio::test]
async fn both_hubs_prove_an_exchange_with_the_anchor_alone() {
    let (pair, _dir) = started(65_536).await;
    // Some traffic, so that the proofs have some length.
    for _ in 0..5 {
        pair.ask("GET", "/before", &[], b"").await.unwrap();
    }
    let answer =
        pair.ask("POST", "/a?b=c", &[("X-Road-UserId", "officer")], b"question").await.unwrap();
    let anchor = anchor(&pair.federation);
    for (hub, side) in [(CONSUMER, Side::Consumer), (PROVIDER, Side::Provider)] {
        let file = take(&pair.federation, hub, &exchange_of(&answer)).await;
        assert_eq!(file.status(), 200, "{hub}");
        let proved = evidence::verify(&file.body, &anchor).unwrap();
        assert_eq!(kinds(&proved), [(Kind::Request, side), (Kind::Answer, side)]);
        assert_eq!(proved.steps.last(), Some(&Step::Agreement));
        assert!(proved.steps.contains(&Step::Answer));
        let read: EvidenceFile = serde_json::from_slice(&file.body).unwrap();
        let body =
            |nth: usize| schemas::encoding::from_base64(read.messages[nth].body.as_ref().unwrap());
        assert_eq!((body(0).unwrap(), body(1).unwrap()), (b"question".to_vec(), b"hi".to_vec()));
        assert!(read.messages[0].base.contains("officer"), "who asked is in the signed message");
        assert!(!read.records[0].leaf.contains("officer"), "and not in the record");
        assert!(read.records[0].proof.len() >= 3);
    }
}

#[tokio::test]
async fn evidence_verifies_under_a_later_configuration_too() {
    let (pair, _dir) = started(0).await;
    let rename = |content: &mut schemas::configuration::Content| {
        content.members[0].name = "New name".to_owned()
    };
    pair.federation.publish(rename).await.unwrap();
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    let file = take(&pair.federation, CONSUMER, &exchange_of(&answer)).await;
    let proved = evidence::verify(&file.body, &anchor(&pair.federation)).unwrap();
    assert_eq!(proved.configuration_version, 2);
    assert!(
        proved.not_proved.iter().any(|text| text.contains("digest only")),
        "no bodies are kept"
    );
}

#[tokio::test]
async fn refusals_are_proved_by_the_hubs_that_signed_or_verified_them() {
    let (pair, _dir) = started(0).await;
    let anchor = anchor(&pair.federation);
    let target = "/r1/UZ/GOV/TAX/tax/tax/persons/x";
    let denied = raw::request("GET", target, &[("X-Road-Client", REGISTER)], b"");
    let denied = pair.say(&denied).await.unwrap().remove(0);
    assert_eq!(denied.header("x-road-error"), Some("server.serverproxy.access_denied"));
    let exchange = exchange_of(&denied);
    let consumer = take(&pair.federation, CONSUMER, &exchange).await;
    let proved = evidence::verify(&consumer.body, &anchor).unwrap();
    assert_eq!(kinds(&proved), [(Kind::Request, Side::Consumer), (Kind::Refusal, Side::Consumer)]);
    assert_eq!(proved.records[1].1.outcome, "server.serverproxy.access_denied");
    let provider = take(&pair.federation, PROVIDER, &exchange).await;
    let proved = evidence::verify(&provider.body, &anchor).unwrap();
    assert_eq!(kinds(&proved), [(Kind::Refusal, Side::Provider)]);
    assert!(!proved.steps.contains(&Step::Answer));
    // What was never signed proves nothing, and says so.
    let unsigned = pair.say(&raw::request("GET", "/r1/x", &[], b"")).await.unwrap().remove(0);
    let none = take(&pair.federation, CONSUMER, &exchange_of(&unsigned)).await;
    assert_eq!(none.status(), 404, "{none:?}");
    let unknown = take(&pair.federation, PROVIDER, &exchange_of(&unsigned)).await;
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn hub_on_both_sides_of_an_exchange_proves_each_side() {
    let (pair, _dir) = started(0).await;
    pair.federation
        .layout
        .edit_hub(PROVIDER, |config| {
            config.grants.iter_mut().for_each(|grant| grant.client = "UZ/GOV/TAX/tax".parse().ok());
        })
        .unwrap();
    let hub = pair.federation.hub(PROVIDER).unwrap();
    hub.refresh().await.unwrap();
    let target = format!("/r1/{}/a", federation::pair::ECHO);
    let request = raw::request("GET", &target, &[("X-Road-Client", "UZ/GOV/TAX/tax")], b"");
    let plain = hub.addresses().edge_plain.unwrap();
    let answer = Message::parse_all(&raw::talk(plain, &request).await.unwrap()).remove(0);
    assert_eq!(answer.status(), 200, "{answer:?}");
    let exchange = exchange_of(&answer);
    for (query, side) in [("", Side::Consumer), ("?side=provider", Side::Provider)] {
        let file = take(&pair.federation, PROVIDER, &format!("{exchange}{query}")).await;
        let proved = evidence::verify(&file.body, &anchor(&pair.federation)).unwrap();
        assert_eq!(kinds(&proved), [(Kind::Request, side), (Kind::Answer, side)]);
    }
}

#[tokio::test]
async fn evidence_is_given_to_the_operator_only_and_taking_it_is_recorded() {
    let (pair, _dir) = started(0).await;
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    let hub = pair.federation.hub(CONSUMER).unwrap();
    let target = format!("/v1/evidence/{}", exchange_of(&answer));
    let before = hub.log().size();
    for headers in [&[][..], &[("Authorization", "Bearer x")]] {
        let request = raw::request("GET", &target, headers, b"");
        let received = raw::talk(hub.addresses().admin, &request).await.unwrap();
        assert_eq!(Message::parse_all(&received)[0].status(), 401);
    }
    assert_eq!(hub.log().size(), before);
    take(&pair.federation, CONSUMER, &exchange_of(&answer)).await;
    let act = hub.log().read(before).unwrap();
    assert!(String::from_utf8_lossy(&act.leaf).contains("\"outcome\":\"evidence-taken\""));
}

/// Every refusal by its step, so that a change that slips into a wrong step is seen.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn refused(&mut self, result: Result<Proved, EvidenceRefusal>, what: impl std::fmt::Display) {
        match result {
            Ok(_) => panic!("not noticed: {what}"),
            Err(refusal) => *self.0.entry(format!("{:?}", refusal.step)).or_default() += 1,
        }
    }

    fn add(&mut self, other: Self) {
        other.0.into_iter().for_each(|(step, count)| *self.0.entry(step).or_default() += count);
    }
}

#[tokio::test]
async fn no_byte_of_a_small_file_can_change_unseen() {
    let (pair, _dir) = started(0).await;
    pair.ask("GET", "/before", &[], b"").await.unwrap();
    let answer = pair.ask("GET", "/a?b=c", &[], b"").await.unwrap();
    let file = take(&pair.federation, CONSUMER, &exchange_of(&answer)).await.body;
    let anchor = anchor(&pair.federation);
    evidence::verify(&file, &anchor).unwrap();
    let (file_ref, anchor_ref) = (&file, &anchor);
    let flip = move |positions: std::ops::Range<usize>| {
        let mut tally = Tally::default();
        for at in positions {
            let mut changed = file_ref.clone();
            // Another letter of the same kind is what a parser notices least.
            changed[at] ^= 1;
            let result = evidence::verify(&changed, anchor_ref);
            tally.refused(result, format!("byte {at} of {}", file_ref.len()));
        }
        tally
    };
    // Two threads, as many as the smallest machine has cores.
    let middle = file.len() / 2;
    let tally = std::thread::scope(|scope| {
        let first = scope.spawn(move || flip(0..middle));
        let mut tally = flip(middle..file_ref.len());
        tally.add(first.join().unwrap());
        tally
    });
    println!("{} bytes, refused by step: {:?}", file.len(), tally.0);
    for step in [
        Step::Form,
        Step::Configuration,
        Step::Checkpoint,
        Step::Records,
        Step::Request,
        Step::Answer,
    ] {
        assert!(
            tally.0.contains_key(&format!("{step:?}")),
            "no byte reaches {step:?}: {:?}",
            tally.0
        );
    }
    for end in [0, 1, file.len() / 2, file.len() - 1] {
        assert!(evidence::verify(&file[..end], &anchor).is_err(), "cut at {end}");
    }
    for more in [&b"\n"[..], b" ", b"{}"] {
        assert!(evidence::verify(&[&file, more].concat(), &anchor).is_err(), "{more:?}");
    }
}

#[tokio::test]
async fn no_drawn_change_of_a_large_file_goes_unseen() {
    let (pair, _dir) = started(262_144).await;
    let question = vec![b'q'; 6_000];
    let answer = pair.ask("POST", "/large", &[], &question).await.unwrap();
    let file = take(&pair.federation, PROVIDER, &exchange_of(&answer)).await.body;
    let anchor = anchor(&pair.federation);
    evidence::verify(&file, &anchor).unwrap();
    assert!(file.len() > 30_000, "bodies are kept: {}", file.len());
    // xorshift64: the same changes every time.
    let mut state = SEED;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let mut tally = Tally::default();
    for _ in 0..2_000 {
        let (at, bit) = (draw(file.len()), draw(8));
        let mut changed = file.clone();
        changed[at] ^= 1 << bit;
        let result = evidence::verify(&changed, &anchor);
        tally.refused(result, format!("bit {bit} of byte {at}, seed {SEED}"));
    }
    println!("seed {SEED}, refused by step: {:?}", tally.0);
}

#[tokio::test]
async fn parts_of_another_exchange_do_not_fit() {
    let (pair, _dir) = started(1_000).await;
    let mut files = Vec::new();
    for path in ["/a", "/b"] {
        let answer = pair.ask("GET", path, &[], b"").await.unwrap();
        let file = take(&pair.federation, CONSUMER, &exchange_of(&answer)).await.body;
        files.push(serde_json::from_slice::<EvidenceFile>(&file).unwrap());
    }
    let anchor = anchor(&pair.federation);
    let (own, other) = (&files[0], &files[1]);
    type Swap = fn(&mut EvidenceFile, &EvidenceFile);
    let swaps: [(&str, Swap); 8] = [
        ("checkpoint", |file, other| file.checkpoint.clone_from(&other.checkpoint)),
        ("request", |file, other| file.messages[0] = other.messages[0].clone()),
        ("answer", |file, other| file.messages[1] = other.messages[1].clone()),
        ("both messages", |file, other| file.messages.clone_from(&other.messages)),
        ("record", |file, other| file.records[1] = other.records[1].clone()),
        ("order", |file, _| file.messages.swap(0, 1)),
        ("no answer", |file, _| {
            file.messages.pop();
        }),
        ("no record", |file, _| {
            file.records.pop();
        }),
    ];
    for (name, swap) in swaps {
        let mut changed = own.clone();
        swap(&mut changed, other);
        assert!(
            evidence::verify(evidence::to_text(&changed).as_bytes(), &anchor).is_err(),
            "{name}"
        );
    }
    let mut elsewhere = anchor.clone();
    elsewhere.instance = "EE".to_owned();
    let text = evidence::to_text(own);
    assert!(evidence::verify(text.as_bytes(), &anchor).is_ok());
    assert!(evidence::verify(text.as_bytes(), &elsewhere).is_err(), "another anchor");
}
