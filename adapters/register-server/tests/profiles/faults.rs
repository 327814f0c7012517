//! Slow, failing, old and lying sources: what second requests, the breaker and the age limit make
//! of them, and that no decision ever differs from the one that full data gives.

use std::time::Duration;

use register::decision::Decision;
use register::profile::{AbsentAs, Profile};
use register::source::AbsenceCause;
use schemas::clock::Clock;
use serde_json::{Value, json};

use crate::assembling::{absence, monthly_soum, pending};
use crate::fake_hub::{Fault, World};
use crate::sample::{FAMILY, FATHER, MOTHER, SOURCES, Sample, kind_of, plain_answer};

fn asks_twice(config: String) -> String {
    config.replace("second_request_ms = 0", "second_request_ms = 30")
}

fn down() -> Fault {
    Fault::Answers(500, json!({"error": "database", "message": "down"}))
}

fn calls(world: &World, source: &str) -> usize {
    let calls = world.hub.calls.lock().unwrap();
    calls.iter().filter(|call| call.target.contains(&format!("/x/{source}/"))).count()
}

fn other_requests(profile: &Profile, source: &str) -> Vec<String> {
    let answers = profile.case.answers.iter().filter(|(_, name, _)| name.to_string() == source);
    answers.filter_map(|(_, _, answer)| answer.provenance()?.other_request.clone()).collect()
}

#[tokio::test]
async fn a_second_request_answers_where_the_first_stays_silent_and_both_are_named() {
    let faults = [("tax", Fault::FirstOnly(Box::new(Fault::Silent)))];
    let world = World::configured(Sample::worked_example(), &faults, asks_twice).await;
    let profile = world.profile(FATHER).await;
    assert_eq!(monthly_soum(&profile), 635_000);
    assert_eq!(calls(&world, "tax"), 10);
    let others = other_requests(&profile, "tax");
    assert_eq!(others.len(), 5);
    let ids: Vec<String> = {
        let calls = world.hub.calls.lock().unwrap();
        calls.iter().map(|call| call.headers["x-road-id"].clone()).collect()
    };
    assert!(others.iter().all(|other| ids.contains(other)), "by the X-Road-Id it went out with");
}

#[tokio::test]
async fn a_failed_request_is_made_once_more_and_its_exchange_is_named() {
    let faults = [("pensions", Fault::FirstOnly(Box::new(down())))];
    let world = World::configured(Sample::worked_example(), &faults, asks_twice).await;
    let profile = world.profile(FATHER).await;
    assert_eq!(monthly_soum(&profile), 635_000);
    assert_eq!(other_requests(&profile, "pensions"), vec!["r-42"; 5]);
    let never = World::new(Sample::worked_example(), &faults).await;
    assert_eq!(pending(&never.profile(FATHER).await), ["pensions"], "0 means never");
}

#[tokio::test]
async fn refused_questions_are_not_asked_again() {
    let faults = [("bank", Fault::Problem("server.access_denied"))];
    // Late enough that only a refusal taken for a failure would bring a second request.
    let late = |config: String| config.replace("second_request_ms = 0", "second_request_ms = 400");
    let world = World::configured(Sample::worked_example(), &faults, late).await;
    let profile = world.profile(FATHER).await;
    assert_eq!(absence(&profile, "bank"), (AbsentAs::Forbidden, AbsenceCause::AccessDenied));
    assert_eq!(calls(&world, "bank"), 5);
}

#[tokio::test]
async fn an_old_answer_is_no_answer_and_a_younger_one_says_its_day() {
    let faults = [("vehicles", Fault::Aged(90_000)), ("tax", Fault::Aged(3_600))];
    let world = World::new(Sample::worked_example(), &faults).await;
    let profile = world.profile(FATHER).await;
    assert_eq!(absence(&profile, "vehicles"), (AbsentAs::Unavailable, AbsenceCause::Stale));
    assert_eq!(pending(&profile), ["vehicles"]);
    let tax = profile.case.answers.iter().find(|(_, name, _)| name.to_string() == "tax").unwrap();
    let provenance = tax.2.provenance().unwrap();
    let age = provenance.fetched_at.since(provenance.as_of);
    assert_eq!(age, Duration::from_secs(3_600));
}

#[tokio::test]
async fn a_source_that_goes_on_failing_is_left_alone_by_name_and_tried_again() {
    let rest =
        |config: String| config.replace("deadline_ms", "breaker_rest_ms = 60000\ndeadline_ms");
    let world = World::configured(Sample::worked_example(), &[("bank", down())], rest).await;
    for _ in 0..2 {
        let profile = world.profile(FATHER).await;
        assert_eq!(absence(&profile, "bank").1, AbsenceCause::SourceProblem);
    }
    let profile = world.profile(FATHER).await;
    assert_eq!(absence(&profile, "bank"), (AbsentAs::Unavailable, AbsenceCause::Resting));
    assert_eq!(pending(&profile), ["bank"]);
    assert_eq!(calls(&world, "bank"), 10, "not asked while it rests");

    let soon = |config: String| config.replace("deadline_ms", "breaker_rest_ms = 1\ndeadline_ms");
    let world = World::configured(Sample::worked_example(), &[("bank", down())], soon).await;
    let waited = Clock::machine().stopwatch();
    while calls(&world, "bank") < 12 {
        world.profile(FATHER).await;
        assert!(waited.elapsed() < Duration::from_secs(20), "never tried again");
    }
}

/// Full data of an entitled and of a refused family.
fn families() -> Vec<(&'static str, Sample)> {
    let mut car = Sample::worked_example();
    car.vehicle(MOTHER, "01A123BC", 2021);
    let example = Sample::worked_example();
    vec![("entitled", example), ("car", car)]
}

/// What must be equal: an entitlement's terms; that a family is refused. `None` while pending.
fn verdict(decision: &Decision) -> Option<Value> {
    match decision {
        Decision::Eligible(entitlement) => Some(json!(entitlement)),
        Decision::NotEligible { .. } => Some(json!("refused")),
        Decision::Pending { .. } => None,
    }
}

#[tokio::test]
async fn any_one_source_down_slow_or_lying_never_turns_a_decision() {
    let short = |config: String| config.replace("timeout_ms = 500", "timeout_ms = 60");
    let mut decided_count = 0;
    for (family, sample) in families() {
        let full = World::new(sample.clone(), &[]).await.profile(FATHER).await;
        let full = full.assessment.decision;
        for (source, _) in SOURCES {
            let mut strange = plain_answer(FATHER, kind_of(source));
            strange["balance"] = json!(1);
            let ways = [
                ("down", down()),
                ("slow", Fault::Silent),
                ("invalid", Fault::Answers(200, strange)),
                (
                    "another person",
                    Fault::Answers(200, plain_answer("40201902050010", kind_of(source))),
                ),
            ];
            for (way, fault) in ways {
                let what = format!("{family}, {source} {way}");
                let world = World::configured(sample.clone(), &[(source, fault)], short).await;
                let profile = world.profile(FATHER).await;
                let asked = profile.family.members.len().min(FAMILY.len());
                assert!(profile.absent.len() >= asked.min(1), "{what}: nothing is absent");
                match &profile.assessment.decision {
                    Decision::Pending { sources, .. } if verdict(&full).is_some() => {
                        let names: Vec<String> = sources.iter().map(ToString::to_string).collect();
                        assert!(names.contains(&source.to_owned()), "{what}: {names:?}");
                    }
                    Decision::Pending { .. } => {}
                    decided => {
                        decided_count += 1;
                        assert_eq!(verdict(decided), verdict(&full), "{what}");
                    }
                }
            }
        }
    }
    assert!(decided_count > 10, "only {decided_count} decisions stood: nothing was tried");
}
