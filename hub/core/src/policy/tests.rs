//! Policy: each condition of a grant, with its refusal.

use std::time::Duration;

use super::*;

const NOW: UnixMillis = UnixMillis(1_772_446_500_000);

fn grant() -> Grant {
    Grant {
        id: "tax-1".into(),
        client: Some("UZ/GOV/NASP/register".parse().unwrap()),
        group: None,
        service: "UZ/GOV/TAX/tax/tax".parse().unwrap(),
        endpoint: Some("GET /persons/{pinfl}/income".into()),
        purposes: vec![GrantedPurpose { code: "assessment".into(), legal_basis: "CM 35".into() }],
        valid_from: None,
        valid_until: None,
        rate_per_minute: None,
        subjects_max: Some(1),
    }
}

struct Ask {
    client: &'static str,
    method: &'static str,
    path: &'static str,
    purpose: Option<&'static str>,
    subjects_count: usize,
}

const ASK: Ask = Ask {
    client: "UZ/GOV/NASP/register",
    method: "GET",
    path: "/persons/1/income",
    purpose: None,
    subjects_count: 1,
};

fn decide(policy: &Policy, ask: &Ask, now: UnixMillis) -> Result<Permit, Refusal> {
    decide_in(policy, ask, now, None)
}

fn decide_in(
    policy: &Policy,
    ask: &Ask,
    now: UnixMillis,
    counted: Option<&str>,
) -> Result<Permit, Refusal> {
    let call = Call {
        client: &ask.client.parse().unwrap(),
        service: &"UZ/GOV/TAX/tax/tax".parse().unwrap(),
        method: ask.method,
        path: &DecodedPath::parse(ask.path).unwrap(),
        purpose: ask.purpose,
        subjects_count: ask.subjects_count,
    };
    let group = |code: &str, client: &SubsystemId| {
        code == "assessors" && client.as_str() == "UZ/GOV/NASP/branch"
    };
    policy.decide(&call, now, counted, group)
}

fn decide_one(grant: Grant, ask: &Ask) -> Result<Permit, Refusal> {
    decide(&Policy::new(&[grant]).unwrap(), ask, NOW)
}

#[test]
fn live_grant_permits_and_names_its_basis() {
    let permit = decide_one(grant(), &ASK).unwrap();
    assert_eq!((permit.grant(), permit.purpose()), ("tax-1", "assessment"));
    assert_eq!(permit.legal_basis(), "CM 35");
}

#[test]
fn nothing_is_permitted_without_a_grant() {
    let stranger = Ask { client: "UZ/GOV/NASP/other", ..ASK };
    assert_eq!(decide_one(grant(), &stranger), Err(Refusal::NoGrant));
    assert_eq!(decide(&Policy::default(), &ASK, NOW), Err(Refusal::NoGrant));
}

#[test]
fn grant_covers_its_endpoint_only_and_a_service_grant_all() {
    for other in [Ask { method: "POST", ..ASK }, Ask { path: "/persons/1", ..ASK }] {
        assert_eq!(decide_one(grant(), &other), Err(Refusal::Endpoint));
        assert!(decide_one(Grant { endpoint: None, ..grant() }, &other).is_ok());
    }
}

#[test]
fn grant_holds_within_its_validity_only() {
    let at = |from: Option<&str>, until: Option<&str>| {
        let grant = Grant {
            valid_from: from.map(Into::into),
            valid_until: until.map(Into::into),
            ..grant()
        };
        decide_one(grant, &ASK).map(|_| ())
    };
    assert_eq!(at(Some("2026-03-03T00:00:00Z"), None), Err(Refusal::NotYetValid));
    assert_eq!(at(None, Some("2026-03-02T00:00:00Z")), Err(Refusal::Ended));
    assert_eq!(at(Some("2026-03-02T00:00:00Z"), Some("2026-03-03T00:00:00Z")), Ok(()));
}

#[test]
fn purpose_must_be_granted_and_stated_where_there_are_several() {
    let more = GrantedPurpose { code: "audit".into(), legal_basis: "Law 547".into() };
    let two = Grant { purposes: vec![grant().purposes.remove(0), more], ..grant() };
    assert_eq!(decide_one(two.clone(), &ASK), Err(Refusal::PurposeMissing));
    let audit = Ask { purpose: Some("audit"), ..ASK };
    assert_eq!(decide_one(two, &audit).unwrap().legal_basis(), "Law 547");
    assert_eq!(decide_one(grant(), &audit), Err(Refusal::Purpose));
}

#[test]
fn subjects_per_call_are_limited() {
    assert_eq!(decide_one(grant(), &Ask { subjects_count: 2, ..ASK }), Err(Refusal::Subjects));
}

#[test]
fn rate_is_limited_over_a_minute_and_recovers() {
    let policy = Policy::new(&[Grant { rate_per_minute: Some(3), ..grant() }]).unwrap();
    for _ in 0..3 {
        assert!(decide(&policy, &ASK, NOW).is_ok());
    }
    assert_eq!(decide(&policy, &ASK, NOW), Err(Refusal::Rate));
    let third = NOW.plus(Duration::from_secs(20));
    assert!(decide(&policy, &ASK, third).is_ok());
    assert_eq!(decide(&policy, &ASK, third), Err(Refusal::Rate));
}

#[test]
fn call_that_is_judged_again_stays_with_the_grant_that_has_counted_it() {
    let once = |id: &str| Grant { id: id.into(), rate_per_minute: Some(1), ..grant() };
    let policy = Policy::new(&[once("first"), once("second")]).unwrap();
    let grant = |counted| decide_in(&policy, &ASK, NOW, counted).map(|permit| permit.grant);
    assert_eq!([grant(None), grant(None)], [Ok("first".into()), Ok("second".into())]);
    for _ in 0..3 {
        assert_eq!(grant(Some("second")), Ok("second".into()));
    }
    assert_eq!(grant(None), Err(Refusal::Rate));
    assert_eq!(grant(Some("withdrawn")), Err(Refusal::Rate), "another grant counts it anew");
}

#[test]
fn group_members_are_named_by_the_global_configuration() {
    let group = Grant { client: None, group: Some("assessors".into()), ..grant() };
    let branch = Ask { client: "UZ/GOV/NASP/branch", ..ASK };
    assert!(decide_one(group.clone(), &branch).is_ok());
    assert_eq!(decide_one(group, &ASK), Err(Refusal::NoGrant));
}

#[test]
fn another_grant_may_permit_what_the_first_refuses() {
    let ended = Grant { valid_until: Some("2026-01-01T00:00:00Z".into()), ..grant() };
    let live = Grant { id: "tax-2".into(), ..grant() };
    let policy = Policy::new(&[ended, live]).unwrap();
    assert_eq!(decide(&policy, &ASK, NOW).unwrap().grant(), "tax-2");
}

#[test]
fn grants_that_cannot_be_used_are_named() {
    let refused = |grant: Grant| Policy::new(&[grant]).unwrap_err().to_string();
    let long = GrantedPurpose { code: "x".into(), legal_basis: "§".repeat(513) };
    let cases = [
        Grant { client: None, ..grant() },
        Grant { group: Some("g".into()), ..grant() },
        Grant { endpoint: Some("/persons".into()), ..grant() },
        Grant { endpoint: Some("GET /a*b".into()), ..grant() },
        Grant { purposes: vec![], ..grant() },
        Grant { valid_from: Some("tomorrow".into()), ..grant() },
        Grant { rate_per_minute: Some(0), ..grant() },
        Grant { purposes: vec![long], ..grant() },
    ];
    for case in cases {
        assert!(refused(case).starts_with("grant tax-1: "));
    }
    assert!(Policy::new(&[grant(), grant()]).is_err());
}
