//! A household profile over the whole federation: register, twelve hubs, eleven agencies.
//!
//! ```text
//! officer → register → hub `register` → hub of each agency → adapter on its seeded database
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use federation::agencies::REGISTER;
use federation::raw::{self, Message};
use federation::source::{self, Source};
use federation::{Federation, Options, lay_out, recorded};
use register::profile::Profile;
use register::rules::Rulebook;
use schemas::clock::Clock;
use schemas::digest::Sha256;
use schemas::record::Kind;
use serde_json::{Value, json};

/// The applicant of the worked example, the father.
const FATHER: &str = "31505850010011";
/// The grandfather, who lives in the same dwelling and is not of the family.
const GRANDFATHER: &str = "30101500010069";
/// Time that the register gives itself for a profile.
const DEADLINE: Duration = Duration::from_secs(2);

/// A federation that is laid out, changed by `edit`, started and seeded.
async fn started(edit: impl AsyncFnOnce(&mut Federation)) -> (Federation, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::machine();
    let layout = lay_out(dir.path(), &Options::all(clock.now())).unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.seed().await.unwrap();
    edit(&mut federation).await;
    federation.start_all().await.unwrap();
    (federation, dir)
}

async fn ask(federation: &Federation, body: &Value) -> Message {
    let address = federation.register.as_ref().unwrap().address;
    let headers = [("Content-Type", "application/json"), ("X-Road-UserId", "officer-7")];
    let request = raw::request("POST", "/profiles", &headers, body.to_string().as_bytes());
    Message::parse_all(&raw::talk(address, &request).await.unwrap()).remove(0)
}

/// The profile of the worked example: its hash as sent, its bytes, itself.
async fn profile(federation: &Federation) -> (String, Vec<u8>, Profile) {
    let answer = ask(federation, &json!({"pinfl": FATHER, "application_date": "2026-03-02"})).await;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
    // {"hash":"…64…","profile":…}: the bytes are those that the hash is of.
    let body = answer.body.strip_prefix(b"{\"hash\":\"").unwrap();
    let (hash, rest) = body.split_at(64);
    let bytes = rest.strip_prefix(b"\",\"profile\":").unwrap().strip_suffix(b"}").unwrap();
    let profile = serde_json::from_slice(bytes).unwrap();
    (String::from_utf8(hash.to_vec()).unwrap(), bytes.to_vec(), profile)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worked_example_is_a_poor_family_with_635_000_and_a_receipt_for_every_answer() {
    let (federation, _dir) = started(async |_| ()).await;
    let (hash, bytes, profile) = profile(&federation).await;
    assert_eq!(hash, Sha256::of(&bytes).to_string());
    let decision = serde_json::to_value(&profile.assessment.decision).unwrap();
    assert_eq!(decision["outcome"], "eligible", "{decision}");
    assert_eq!(decision["monthly_soum"].to_string().trim_matches('"'), "635000", "{decision}");
    assert_eq!(decision["months"], 6);
    assert!(decision["category"].as_str().unwrap().contains("poor"), "{decision}");
    assert_eq!(profile.family.members.len(), 5, "the grandfather is not of the family");
    assert!(profile.family.members.iter().all(|member| member.pinfl.as_str() != GRANDFATHER));
    assert!(profile.absent.is_empty(), "every source answered");
    // Five members, each asked about at eleven sources, and whoever the civil registry led to.
    let log = federation.hub("register").unwrap().log();
    let recorded = recorded(log);
    let mut answers = 0;
    for (_, source, answer) in profile.case.answers.iter() {
        let provenance = answer.provenance().unwrap_or_else(|| panic!("{source} has none"));
        let receipt = provenance.receipt.as_ref().unwrap();
        assert_eq!((receipt.log.as_str(), &receipt.exchange), (log.origin(), &provenance.exchange));
        let record = &recorded[usize::try_from(receipt.index).unwrap()];
        assert_eq!((record.kind, record.outcome.as_str()), (Kind::Answer, "ok"));
        assert_eq!(record.exchange.as_deref(), Some(provenance.exchange.as_str()));
        assert_eq!(record.service.as_deref(), Some(provenance.service.as_str()));
        assert_eq!((record.client.as_deref(), record.subjects.len()), (Some(REGISTER), 1));
        assert!(record.user.is_some(), "the officer who asked, as a pseudonym");
        answers += 1;
    }
    assert!(answers >= 55, "{answers} answers");
    // Same inputs, same bytes.
    let rules = Rulebook::built_in().unwrap();
    let rules = rules.on(profile.case.application_date).unwrap();
    let again =
        Profile::assemble(profile.id.clone(), profile.assembled_at, profile.case.clone(), rules);
    assert_eq!(again.unwrap().seal().unwrap().bytes(), bytes);
    federation.stop().await;
}

/// Outcome and cause of the absent answers of a source.
fn absent(profile: &Profile, source: &str) -> BTreeSet<(String, String)> {
    let value = serde_json::to_value(&profile.absent).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = value.as_array().unwrap().iter();
    let own = list.filter(|entry| entry["source"] == source);
    own.map(|entry| (text(&entry["outcome"]), text(&entry["reason"]["cause"]))).collect()
}

fn only(outcome: &str, cause: &str) -> BTreeSet<(String, String)> {
    BTreeSet::from([(outcome.to_owned(), cause.to_owned())])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_slow_lying_and_forbidden_sources_are_named_and_kept_apart_within_the_deadline() {
    // Never answers, as a stuck database does.
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow_address = slow.local_addr().unwrap();
    // Says what the contract does not have.
    let chatty = Source::start(|heard| {
        let pinfl = heard.asked().1.split('/').nth(2).unwrap().to_owned();
        let more = json!({"pinfl": pinfl, "enrolments": [], "diagnosis": "secret"});
        source::answer(200, &[("Content-Type", "application/json")], more.to_string().as_bytes())
    });
    // Says something good about somebody else.
    let mistaken = Source::start(|_| {
        let other = json!({"pinfl": GRANDFATHER, "pensions": []});
        source::answer(200, &[("Content-Type", "application/json")], other.to_string().as_bytes())
    });
    let (chatty, mistaken) = (chatty.await.unwrap(), mistaken.await.unwrap());
    let addresses =
        [("vehicles", slow_address), ("education", chatty.address), ("pensions", mistaken.address)];
    let (mut federation, _dir) = started(async |federation: &mut Federation| {
        for (agency, address) in addresses {
            let turn = |config: &mut hub_server::HubConfig| {
                config.services[0].url = format!("http://{address}")
            };
            federation.layout.edit_hub(agency, turn).unwrap();
        }
        federation.layout.edit_hub("cadastre", |config| config.grants.clear()).unwrap();
    })
    .await;
    federation.stop_adapter("employment").await;
    federation.stop_hub("bank-agro").await;
    let watch = federation.clock.stopwatch();
    let (_, bytes, profile) = profile(&federation).await;
    let took = watch.elapsed();
    assert!(took < DEADLINE + Duration::from_secs(1), "the profile took {took:?}");
    assert_eq!(absent(&profile, "cadastre"), only("forbidden", "access_denied"));
    assert_eq!(absent(&profile, "employment"), only("unavailable", "hub_problem"));
    assert_eq!(absent(&profile, "bank-agro"), only("unavailable", "hub_problem"));
    assert_eq!(absent(&profile, "education"), only("unavailable", "hub_problem"));
    assert_eq!(absent(&profile, "vehicles"), only("unavailable", "timed_out"));
    assert_eq!(absent(&profile, "pensions"), only("unavailable", "another_person"));
    for well in ["civil-registry", "population", "tax", "bank-xalq", "social-agency"] {
        assert!(absent(&profile, well).is_empty(), "{well}: {:?}", absent(&profile, well));
    }
    assert!(
        !String::from_utf8_lossy(&bytes).contains("diagnosis"),
        "it has not left the agency's hub"
    );
    // Known to a source and unknown to it are two things: the daughters have no income record.
    let no_record =
        profile.case.answers.iter().filter(|(_, _, answer)| answer.is_no_record()).count();
    assert!(no_record > 0);
    let decision = serde_json::to_value(&profile.assessment.decision).unwrap();
    assert_eq!(decision["outcome"], "pending", "an absent source could matter: {decision}");
    let waits: BTreeSet<_> =
        decision["sources"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    assert!(waits.contains("cadastre") && waits.contains("vehicles"), "{waits:?}");
    assert!(!waits.contains("tax") && !waits.contains("civil-registry"), "{waits:?}");
    drop(slow);
    federation.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn register_without_its_hub_says_so_for_every_source_and_refuses_wrong_requests() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::machine();
    let layout = lay_out(dir.path(), &Options::all(clock.now())).unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.start_register().await.unwrap();
    let (_, _, profile) = profile(&federation).await;
    assert!(!profile.absent.is_empty());
    let outcomes: BTreeSet<_> =
        profile.absent.iter().map(|absent| format!("{:?}", absent.outcome)).collect();
    assert_eq!(
        outcomes,
        BTreeSet::from(["Unavailable".to_owned()]),
        "never `no record`, never `forbidden`"
    );
    for (body, kind) in [
        (json!({"pinfl": "31505850010012"}), "register.invalid_pinfl"),
        (json!({"pinfl": FATHER, "application_date": "2026-02-30"}), "register.invalid_date"),
        (json!({"pinfl": FATHER, "more": 1}), "register.bad_request"),
        (json!({"pinfl": FATHER, "application_date": "1999-01-01"}), "register.no_rules_for_date"),
    ] {
        let answer = ask(&federation, &body).await;
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status(), said["type"].as_str()), (400, Some(kind)));
        assert!(!said.to_string().contains("3150585"), "{said}");
    }
    federation.stop().await;
}
