//! Families as records of SPDCI: from the final rating on, changed and stopped by monitoring.

use jiff::civil::Date;
use register::day::tashkent_day;
use serde_json::{Value, json};
use spdci::filter::{Filter, Operator, Value as Asked};
use spdci::registry::{Found, Page, Registry, Search};
use tempfile::TempDir;

use crate::applications::Office;
use crate::sample::{BABY, FATHER, MOTHER, Sample};

/// An interface without partners: what it would answer is asked of its registry.
fn interface(folder: &TempDir) -> String {
    let key = folder.path().join("spdci.key");
    format!("[spdci]\nlisten = \"127.0.0.1:0\"\nid = \"sr.uz\"\nkey_file = \"{}\"\n", key.display())
}

async fn open(folder: &TempDir, sample: Sample, day: &str) -> Office {
    let store = folder.path().join("store");
    Office::open_with(sample, &store, day, &interface(folder)).await
}

async fn search(office: &Office, kind: &str, asked: &[(&str, &str)]) -> Found {
    let registry = &office.register.spdci.as_ref().unwrap().service.registry;
    let equal = |(name, value): &(&str, &str)| Filter::Compare {
        attribute: (*name).to_owned(),
        operator: Operator::Equal,
        values: vec![Asked::Text((*value).to_owned())],
    };
    let filter = Filter::All(asked.iter().map(equal).collect());
    let kind = registry.description().kind(Some(kind), None).unwrap();
    let page = Page { size: 50, number: 1 };
    registry.search(&Search { kind, filter, sort: Vec::new(), page }).await.unwrap()
}

/// Type and kind of the events behind a number, and the number of the last.
async fn events(office: &Office, after: u64) -> (Vec<(String, String)>, u64) {
    let registry = &office.register.spdci.as_ref().unwrap().service.registry;
    let latest = registry.latest().await.unwrap();
    let (events, until) = registry.events(after, 100).await.unwrap();
    assert_eq!(until, latest);
    let mut told: Vec<_> = events.into_iter().map(|e| (e.event_type, e.kind)).collect();
    told.dedup();
    (told, until)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(event, kind)| ((*event).to_owned(), (*kind).to_owned())).collect()
}

/// The worked example before the youngest was born.
fn without_baby() -> Sample {
    let mut sample = Sample::worked_example();
    for parent in [FATHER, MOTHER] {
        let children = sample.answer(parent, "civil-registry")["children"].as_array_mut().unwrap();
        children.retain(|child| child["pinfl"] != BABY);
    }
    sample
}

async fn monitored(office: &Office, month: &str) -> Value {
    office.post("/monitoring", json!({"month": month})).await;
    let done = office.monitored(month, |progress| progress["progress"] == "finished").await;
    done["monitoring"]["counts"].clone()
}

#[tokio::test]
async fn a_family_is_a_record_from_its_final_rating_on_and_not_because_somebody_asked() {
    let folder = tempfile::tempdir().unwrap();
    let office = open(&folder, Sample::worked_example(), "2026-03-02").await;
    office.post("/profiles", json!({"pinfl": FATHER})).await;
    let id = office.file(FATHER).await;
    office.visit(&id, "2026-03-02").await;
    assert_eq!(search(&office, "Group", &[("uin", MOTHER)]).await.total_count, 0);
    assert_eq!(events(&office, 0).await, (Vec::new(), 0));
    office.post(&format!("/applications/{id}/final-rating"), json!({})).await;

    let found = search(&office, "Group", &[("uin", MOTHER), ("status", "active")]).await;
    assert_eq!(found.total_count, 1);
    let record = &found.entries[0].record;
    assert_eq!((&record["group_size"], &record["poverty_score"]), (&json!(5), &json!(755)));
    assert_eq!(record["registration_date"], "2026-03-02T00:00:00Z");
    assert_eq!(search(&office, "Member", &[]).await.total_count, 5);
    let beneficiary = search(&office, "Beneficiary", &[("uin", FATHER)]).await;
    let record = &beneficiary.entries[0].record;
    assert_eq!(record["enrollment_status"], "1");
    assert_eq!(record["benefits"][0]["benefit_value"], "UZS 635000");
    let told = [("REGISTER", "Group"), ("REGISTER", "Member"), ("enrollement", "Beneficiary")];
    assert_eq!(events(&office, 0).await.0.len(), told.len());
    for one in pairs(&told) {
        assert!(events(&office, 0).await.0.contains(&one), "{one:?}");
    }
}

#[tokio::test]
async fn monitoring_that_stops_a_family_takes_it_out_of_the_active_ones_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let office = open(&folder, Sample::worked_example(), "2026-03-02").await;
    office.register(FATHER, "2026-03-02").await;
    let (_, before) = events(&office, 0).await;
    drop(office);
    let mut sample = Sample::worked_example();
    sample.vehicle(FATHER, "01A123BC", 2024);
    let office = open(&folder, sample, "2026-04-05").await;
    assert_eq!(monitored(&office, "2026-04").await["stopped"], 1);
    assert_eq!(search(&office, "Group", &[("status", "active")]).await.total_count, 0);
    assert_eq!(search(&office, "Group", &[("status", "stopped")]).await.total_count, 1);
    let beneficiary = search(&office, "Beneficiary", &[("uin", FATHER)]).await;
    let record = &beneficiary.entries[0].record;
    assert_eq!(record["enrollment_status"], "4");
    assert_eq!(record["status_change_date"], json!(["2026-04-05"]));
    assert_eq!(record["benefits"][0]["benefit_value"], "UZS 635000", "what it had");
    let told = pairs(&[("enrollement_status_change", "Beneficiary")]);
    assert_eq!(events(&office, before).await.0, told);
}

#[tokio::test]
async fn monitoring_shows_who_has_joined_and_a_pending_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let office = open(&folder, without_baby(), "2026-03-02").await;
    office.register(FATHER, "2026-03-02").await;
    let (_, before) = events(&office, 0).await;
    drop(office);
    let mut sample = Sample::worked_example();
    sample.set(FATHER, "bank", Value::Null);
    sample.set(FATHER, "vehicles", json!({"faulty": true}));
    // The sample's incomes are those of an application of March.
    let office = open(&folder, sample, "2026-03-10").await;
    let counts = monitored(&office, "2026-04").await;
    assert_eq!(counts["pending"], 1, "{counts}");
    assert_eq!(search(&office, "Member", &[("uin", BABY)]).await.total_count, 0);
    assert_eq!(events(&office, before).await.0, Vec::new());
    drop(office);

    let office = open(&folder, Sample::worked_example(), "2026-03-11").await;
    let counts = monitored(&office, "2026-03").await;
    assert_eq!(counts["unchanged"], 1, "{counts}");
    assert_eq!(search(&office, "Member", &[("uin", BABY)]).await.total_count, 1);
    let (told, _) = events(&office, before).await;
    for one in pairs(&[("NewHouseHoldMember", "Group"), ("UPDATE", "Beneficiary")]) {
        assert!(told.contains(&one), "{told:?}");
    }
    // The support of six months is over in September.
    office.days_later(180);
    assert!(tashkent_day(office.clock.now()) >= Date::constant(2026, 9, 1));
    assert_eq!(search(&office, "Group", &[("status", "ended")]).await.total_count, 1);
}
