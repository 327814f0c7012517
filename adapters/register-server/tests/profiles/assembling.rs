//! What a register makes of good, absent, slow, forbidden and wrong answers.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use register::composition::DiscrepancyKind;
use register::decision::Decision;
use register::profile::{AbsentAs, Profile};
use register::source::AbsenceCause;
use register_server::{RegisterConfig, start};
use serde_json::json;

use crate::fake_hub::{Fault, World, clock, config, post, read_profile};
use crate::sample::{FATHER, MOTHER, SOURCES, Sample, plain_answer};

pub(crate) fn pending(profile: &Profile) -> Vec<String> {
    match &profile.assessment.decision {
        Decision::Pending { sources, .. } => sources.iter().map(ToString::to_string).collect(),
        other => panic!("expected pending, got {}", json!(other)),
    }
}

pub(crate) fn monthly_soum(profile: &Profile) -> u64 {
    match &profile.assessment.decision {
        Decision::Eligible(entitlement) => entitlement.monthly_soum.amount(),
        other => panic!("expected an entitlement, got {}", json!(other)),
    }
}

/// The one way in which `source` is absent for every member.
pub(crate) fn absence(profile: &Profile, source: &str) -> (AbsentAs, AbsenceCause) {
    let of_source = profile.absent.iter().filter(|absent| absent.source.to_string() == source);
    let ways: BTreeSet<_> = of_source.map(|a| (a.outcome, a.reason.cause)).collect();
    assert_eq!(ways.len(), 1, "{source}");
    ways.into_iter().next().unwrap()
}

#[tokio::test]
async fn good_sources_give_the_worked_example_with_a_receipt_for_every_answer() {
    let world = World::new(Sample::worked_example(), &[]).await;
    let profile = world.profile(FATHER).await;
    assert_eq!(monthly_soum(&profile), 635_000);
    assert!(profile.absent.is_empty());
    let receipts = profile.case.answers.iter().filter_map(|(_, _, answer)| {
        answer.provenance()?.receipt.as_ref().map(|receipt| receipt.index)
    });
    assert_eq!(receipts.collect::<Vec<_>>(), vec![42; 5 * SOURCES.len()]);
}

#[tokio::test]
async fn a_death_that_only_the_civil_registry_knows_is_a_contradiction() {
    let mut sample = Sample::worked_example();
    sample.answer(MOTHER, "civil-registry")["died"] = json!("2026-01-31");
    let profile = World::new(sample, &[]).await.profile(FATHER).await;
    let flagged = profile.family.discrepancies.iter();
    let flagged: BTreeSet<_> = flagged.map(|d| (d.kind, d.persons.clone())).collect();
    let mother = BTreeSet::from([MOTHER.parse().unwrap()]);
    assert!(flagged.contains(&(DiscrepancyKind::DeadInOneRegister, mother)), "{flagged:?}");
    // Nothing else is asked about the dead.
    let about_mother = profile.case.answers.iter().filter(|(who, _, _)| who.as_str() == MOTHER);
    let sources: Vec<String> = about_mother.map(|(_, source, _)| source.to_string()).collect();
    assert_eq!(sources, ["civil-registry", "population"]);
}

#[tokio::test]
async fn every_call_names_client_purpose_and_the_profile_as_its_parent() {
    let world = World::new(Sample::worked_example(), &[]).await;
    let profile = world.profile(FATHER).await;
    let calls = world.hub.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 5 * SOURCES.len());
    assert!(calls.iter().all(|call| call.headers["x-road-client"] == "UZ/GOV/NASP/register"));
    assert!(calls.iter().all(|call| call.headers["koprik-purpose"] == "social-protection"));
    assert!(calls.iter().all(|call| call.headers["x-road-issue"] == profile.id));
    let ids: BTreeSet<&String> = calls.iter().map(|call| &call.headers["x-road-id"]).collect();
    assert_eq!(ids.len(), calls.len());
    let tax = format!("/r1/UZ/GOV/X/x/tax/persons/{FATHER}/income?from=2025-12&to=2026-02");
    assert!(calls.iter().any(|call| call.target == tax));
}

#[tokio::test]
async fn source_that_fails_leaves_the_decision_pending_on_it() {
    let fault = Fault::Answers(500, json!({"error": "database", "message": "down"}));
    let world = World::new(Sample::worked_example(), &[("vehicles", fault)]).await;
    let profile = world.profile(FATHER).await;
    assert_eq!(pending(&profile), ["vehicles"]);
    let way = (AbsentAs::Unavailable, AbsenceCause::SourceProblem);
    assert_eq!(absence(&profile, "vehicles"), way);
}

#[tokio::test]
async fn silent_source_does_not_hold_the_profile() {
    let world = World::new(Sample::worked_example(), &[("bank", Fault::Silent)]).await;
    let stopwatch = clock().stopwatch();
    let profile = world.profile(FATHER).await;
    assert!(stopwatch.elapsed() < Duration::from_secs(10), "far above the source's 500 ms");
    assert_eq!(pending(&profile), ["bank"]);
    let way = (AbsentAs::Unavailable, AbsenceCause::TimedOut);
    assert_eq!(absence(&profile, "bank"), way);
}

#[tokio::test]
async fn deadline_ends_a_profile_whose_sources_may_take_longer() {
    let world = World::new(Sample::worked_example(), &[("civil-registry", Fault::Silent)]).await;
    let text = config(world.hub_url(), "concurrent_calls_count = 1").replace("= 2000", "= 200");
    let register = start(RegisterConfig::parse(&text).unwrap(), clock()).await.unwrap();
    let request = json!({"pinfl": FATHER, "application_date": "2026-03-02"});
    let (_, text) = post(register.address, &request.to_string()).await;
    let profile = read_profile(&text);
    assert!(pending(&profile).contains(&"civil-registry".to_owned()));
    let way = (AbsentAs::Unavailable, AbsenceCause::DeadlineReached);
    assert_eq!(absence(&profile, "civil-registry"), way);
    assert_eq!(absence(&profile, "tax"), way, "no time was left for the second wave");
}

#[tokio::test]
async fn forbidden_no_record_and_unavailable_are_kept_apart() {
    let faults = [
        ("cadastre", Fault::Problem("server.serverproxy.access_denied")),
        ("bank", Fault::Problem("server.serverproxy.service_failed.timeout")),
        ("vehicles", Fault::Answers(404, json!({"error": "no_record"}))),
        ("tax", Fault::Answers(404, json!({"error": "no_such_path"}))),
        ("pensions", Fault::Answers(403, json!({}))),
    ];
    let world = World::new(Sample::worked_example(), &faults).await;
    let profile = world.profile(FATHER).await;
    let forbidden = (AbsentAs::Forbidden, AbsenceCause::AccessDenied);
    assert_eq!(absence(&profile, "cadastre"), forbidden);
    let unavailable = |cause| (AbsentAs::Unavailable, cause);
    assert_eq!(absence(&profile, "bank"), unavailable(AbsenceCause::HubProblem));
    let wrong_path = unavailable(AbsenceCause::NotAccordingToContract);
    assert_eq!(absence(&profile, "tax"), wrong_path);
    let by_source = unavailable(AbsenceCause::SourceProblem);
    assert_eq!(absence(&profile, "pensions"), by_source, "not a hub's word: no X-Road-Error");
    assert!(!profile.absent.iter().any(|absent| absent.source.to_string() == "vehicles"));
    assert_eq!(pending(&profile), ["bank", "cadastre", "pensions", "tax"]);
}

#[tokio::test]
async fn answers_about_another_person_or_of_another_shape_are_refused() {
    let kind = crate::sample::kind_of;
    let others = plain_answer(MOTHER, kind("tax"));
    let mut strange = plain_answer(FATHER, kind("cadastre"));
    strange["balance"] = json!(1);
    let faults = [("tax", Fault::Answers(200, others)), ("cadastre", Fault::Answers(200, strange))];
    let world = World::new(Sample::worked_example(), &faults).await;
    let profile = world.profile(FATHER).await;
    let absent = |source: &str, cause| {
        let mut of_source = profile.absent.iter().filter(|a| a.source.to_string() == source);
        of_source.any(|a| a.subject.as_str() == FATHER && a.reason.cause == cause)
    };
    assert!(absent("tax", AbsenceCause::AnotherPerson));
    assert!(absent("cadastre", AbsenceCause::NotAccordingToContract));
    assert_eq!(pending(&profile), ["cadastre", "tax"]);
}

#[tokio::test]
async fn wrong_requests_are_refused_before_any_call_and_never_repeated() {
    let world = World::new(Sample::worked_example(), &[]).await;
    let cases = [
        (json!({"pinfl": "31505850010012"}), "check digit"),
        (json!({"pinfl": "3150585001001"}), "14 digits"),
        (json!({"pinfl": FATHER, "application_date": "2026-02-30"}), "YYYY-MM-DD"),
        (json!({"pinfl": FATHER, "application_date": "2020-01-01"}), "in force"),
        (json!({"pinfl": FATHER, "31505850010012": 1}), "application_date may be left out"),
    ];
    for (request, reason) in cases {
        let (status, text) = post(world.register.address, &request.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{reason}");
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("315058500"), "{text}");
    }
    assert!(world.hub.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn unreachable_hub_leaves_everything_absent_and_says_so() {
    // Bound and dropped, so that nobody listens there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = RegisterConfig::parse(&config(&format!("http://{free}"), "")).unwrap();
    let register = start(config, clock()).await.unwrap();
    let (status, text) = post(register.address, &json!({"pinfl": FATHER}).to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let profile = read_profile(&text);
    let way = (AbsentAs::Unavailable, AbsenceCause::HubUnreachable);
    assert_eq!(absence(&profile, "civil-registry"), way);
    assert_eq!(profile.case.application_date.to_string(), "2026-03-02", "today by the clock");
    register.stop().await;
}
