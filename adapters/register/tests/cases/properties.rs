//! What holds for every case: a decision once taken stands, and equal inputs give equal bytes.

use crate::sample::{BABY, DAUGHTER, FAMILY, FATHER, MOTHER, RULEBOOK, SON, SOURCES, Sample};
use proptest::prelude::*;
use proptest::sample::Index;
use register::decision::Decision;
use register::profile::Profile;
use schemas::clock::UnixMillis;
use serde_json::{Value, json};

/// One change of the worked example that a source could report.
#[derive(Clone, Debug)]
enum Change {
    Wages(Index, u64),
    Vehicle(Index, u16),
    Property(Index, u32),
    Deposit(Index),
    Unable(Index),
    Whereabouts(Index, Index),
    Dead(Index, Index),
    NoChild(Index),
    Divorced(Index),
    OtherParent(Index),
    NoRecord(Index, Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<Index>;
    let change = prop_oneof![
        4 => (index(), 0_u64..6_000_000).prop_map(|(who, soum)| Change::Wages(who, soum)),
        1 => (index(), 2015_u16..2026).prop_map(|(who, year)| Change::Vehicle(who, year)),
        1 => (index(), 1_u32..4).prop_map(|(who, denominator)| Change::Property(who, denominator)),
        1 => index().prop_map(Change::Deposit),
        1 => index().prop_map(Change::Unable),
        1 => (index(), index()).prop_map(|(who, field)| Change::Whereabouts(who, field)),
        1 => (index(), index()).prop_map(|(who, source)| Change::Dead(who, source)),
        1 => index().prop_map(Change::NoChild),
        1 => index().prop_map(Change::Divorced),
        1 => index().prop_map(Change::OtherParent),
        1 => (index(), index()).prop_map(|(who, source)| Change::NoRecord(who, source)),
    ];
    prop::collection::vec(change, 0..6)
}

fn apply(sample: &mut Sample, changes: &[Change]) {
    let who = |index: &Index| FAMILY[index.index(FAMILY.len())];
    let children = [SON, DAUGHTER, BABY];
    let parents = [FATHER, MOTHER];
    let (records, unknown): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| !matches!(change, Change::NoRecord(..)));
    for change in records.into_iter().chain(unknown) {
        match change {
            Change::Wages(i, soum) => sample.wages(who(i), [*soum; 3]),
            Change::Vehicle(i, year) => sample.vehicle(who(i), "01A123BC", *year),
            Change::Property(i, denominator) => {
                let number = format!("10:01:02:03:04:000{denominator}");
                sample.property(who(i), &number, "dwelling", (1, *denominator));
            }
            Change::Deposit(i) => sample.answer(who(i), "bank")["at_least_threshold"] = json!(true),
            Change::Unable(i) => {
                sample.answer(who(i), "employment")["able_to_work"] = json!(false);
            }
            Change::Whereabouts(i, field) => {
                let fields = ["in_prison", "in_institution", "conscript"];
                let field = fields[field.index(fields.len())];
                sample.answer(who(i), "population")[field] = json!(true);
            }
            Change::Dead(i, source) => {
                let source = ["population", "civil-registry"][source.index(2)];
                sample.answer(who(i), source)["died"] = json!("2026-01-01");
            }
            Change::NoChild(i) => {
                sample.answer(parents[i.index(2)], "civil-registry")["children"] = json!([]);
            }
            Change::Divorced(i) => {
                sample.answer(parents[i.index(2)], "civil-registry")["marriages"] = json!([]);
            }
            Change::OtherParent(i) => {
                let child = children[i.index(children.len())];
                sample.answer(child, "civil-registry")["mother"] = json!("40201902050010");
            }
            Change::NoRecord(i, source) => {
                sample.set(who(i), SOURCES[source.index(SOURCES.len())].0, Value::Null);
            }
        }
    }
}

/// What must not change: the terms of an entitlement; of a refusal, that it is one.
fn verdict(decision: Decision) -> Option<Value> {
    match decision {
        Decision::Eligible(entitlement) => Some(json!(entitlement)),
        Decision::NotEligible { .. } => Some(json!("refused")),
        Decision::Pending { .. } => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_answer_of_an_absent_source_changes_a_decision(
        changes in changes(),
        absences in prop::collection::vec((any::<Index>(), any::<Index>()), 1..5),
        rules in prop::sample::select(vec!["cm-35", "cm-654"]),
    ) {
        let mut answered = Sample::worked_example();
        apply(&mut answered, &changes);
        let mut lacking = answered.clone();
        for (who, source) in absences {
            let source = SOURCES[source.index(SOURCES.len())].0;
            lacking.absent(FAMILY[who.index(FAMILY.len())], source);
        }
        if let Some(before) = verdict(lacking.decide(rules)) {
            prop_assert_eq!(Some(before), verdict(answered.decide(rules)));
        }
    }

    #[test]
    fn order_of_answers_does_not_change_a_byte(
        changes in changes(),
        order in Just((0..FAMILY.len() * SOURCES.len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut sample = Sample::worked_example();
        apply(&mut sample, &changes);
        let answers: Vec<_> = sample.answers.iter().collect();
        let shuffled = order.iter().map(|at| answers[*at]).collect();
        let sealed = |case| {
            let at = UnixMillis(1_772_446_500_000);
            let rules = RULEBOOK.by_id("cm-35").unwrap();
            Profile::assemble("parent".to_owned(), at, case, rules).unwrap().seal().unwrap()
        };
        let (one, other) = (sealed(sample.case()), sealed(sample.case_in_order(shuffled)));
        prop_assert_eq!(one.bytes(), other.bytes());
        prop_assert_eq!(one.hash(), other.hash());
    }
}

#[test]
fn profile_reads_back_unchanged_and_replays_to_the_same_decision() {
    let mut sample = Sample::worked_example();
    sample.absent(BABY, "education");
    let rules = RULEBOOK.by_id("cm-35").unwrap();
    let at = UnixMillis(1_772_446_500_000);
    let profile = Profile::assemble("parent".to_owned(), at, sample.case(), rules).unwrap();
    let sealed = profile.seal().unwrap();
    let read: Profile = serde_json::from_slice(sealed.bytes()).unwrap();
    assert!(read == profile);
    assert_eq!(read.seal().unwrap().hash(), sealed.hash());
    assert!(read.simulate(rules).unwrap() == profile.assessment);
    let simulated = read.simulate(RULEBOOK.by_id("cm-654").unwrap()).unwrap();
    assert!(simulated != profile.assessment);
    assert_eq!(read.absent.len(), 1);
}

#[test]
fn text_shows_family_income_decision_absent_sources_and_receipts() {
    let mut sample = Sample::worked_example();
    sample.absent(BABY, "education");
    let at = UnixMillis(1_772_446_500_000);
    let rules = RULEBOOK.by_id("cm-35").unwrap();
    let profile = Profile::assemble("parent".to_owned(), at, sample.case(), rules).unwrap();
    let text = register::render::text(&profile);
    for part in [
        "applicant  31505850010011  born 1985-05-15  Sinov Namuna",
        "resident   30101500010069  not of the family",
        "ELIGIBLE: poor-family, 100 %: 635 000 soum a month, 6 months",
        "8 100 000 × 100 = 810 000 000 < 1 072 500 000 = 3 × 5 × 715 000 × 100",
        "education        62509240010052  unavailable: no answer within the source's time",
        "per member and month                                 540 000",
        "0.755",
        "log=\"log.example/hub\"; index=7",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}
