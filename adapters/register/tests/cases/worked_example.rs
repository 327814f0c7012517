//! The worked example of the register's rules and its variants, under both rule versions.

use crate::sample::{BABY, FAMILY, FATHER, MOTHER, Sample};
use register::case::Question;
use register::decision::{Clause, Decision, Entitlement, Ground, Truth};
use serde_json::{Value, json};

fn entitlement(decision: Decision) -> Entitlement {
    match decision {
        Decision::Eligible(entitlement) => entitlement,
        other => panic!("expected an entitlement, got {}", json!(other)),
    }
}

fn grounds(decision: Decision) -> Vec<Ground> {
    match decision {
        Decision::NotEligible { grounds, .. } => grounds,
        other => panic!("expected a refusal, got {}", json!(other)),
    }
}

/// Names of awaited sources and officers' questions.
fn pending(decision: Decision) -> (Vec<String>, Vec<Question>) {
    match decision {
        Decision::Pending { sources, officer } => {
            (sources.iter().map(ToString::to_string).collect(), officer)
        }
        other => panic!("expected pending, got {}", json!(other)),
    }
}

/// Category, share, benefit and months.
fn terms(sample: &Sample, rules: &str) -> (String, u32, u64, u32) {
    let e = entitlement(sample.decide(rules));
    (e.category, e.share_percent, e.monthly_soum.amount(), e.months)
}

/// The example with this sum over the three months, all of it the father's wages.
fn with_sum(sum: u64) -> Sample {
    let mut sample = Sample::worked_example();
    sample.wages(FATHER, [sum - 2, 1, 1]);
    sample.business(MOTHER, [0, 0, 0]);
    sample
}

#[test]
fn worked_example_is_a_poor_family_with_635_000_a_month() {
    let sample = Sample::worked_example();
    assert_eq!(terms(&sample, "cm-35"), ("poor-family".into(), 100, 635_000, 6));
    assert_eq!(terms(&sample, "cm-654"), ("low-income-family".into(), 100, 635_000, 12));
    let assessment = sample.assess("cm-35");
    let months: Vec<String> = assessment.window.iter().map(ToString::to_string).collect();
    assert_eq!(months, ["2025-12", "2026-01", "2026-02"]);
    let step = assessment.steps.iter().find(|step| step.clause == Clause::IncomeBand).unwrap();
    assert_eq!(step.result, Truth::Yes);
    assert!(step.statement.contains("8 100 000 × 100 = 810 000 000 < 1 072 500 000"));
}

#[test]
fn mother_at_1_400_000_a_month_gets_75_percent() {
    let mut sample = Sample::worked_example();
    sample.business(MOTHER, [1_400_000; 3]);
    assert_eq!(terms(&sample, "cm-35"), ("family-at-the-poverty-line".into(), 75, 476_250, 6));
    assert_eq!(grounds(sample.decide("cm-654"))[0].clause, Clause::Income);
}

#[test]
fn sum_of_14_250_000_gets_50_percent() {
    let sample = with_sum(14_250_000);
    assert_eq!(terms(&sample, "cm-35"), ("family-at-the-poverty-line".into(), 50, 317_500, 6));
    assert_eq!(grounds(sample.decide("cm-654"))[0].clause, Clause::Income);
}

#[test]
fn every_limit_is_decided_on_the_exact_soum() {
    // 3 × 5 × 715 000 = 10 725 000 is the ratio 1; 1.25 and 1.5 of it are the other limits.
    let share = |sum| entitlement(with_sum(sum).decide("cm-35")).share_percent;
    assert_eq!([10_724_999, 10_725_000].map(share), [100, 75]);
    assert_eq!([13_406_250, 13_406_251].map(share), [75, 50]);
    assert_eq!(share(16_087_500), 50);
    assert_eq!(grounds(with_sum(16_087_501).decide("cm-35"))[0].clause, Clause::Income);
    assert_eq!(terms(&with_sum(10_724_999), "cm-654").2, 635_000);
    assert_eq!(grounds(with_sum(10_725_000).decide("cm-654"))[0].clause, Clause::Income);
}

#[test]
fn roadworthy_car_of_2021_is_refused_with_plate_and_year() {
    let mut sample = Sample::worked_example();
    sample.vehicle(MOTHER, "01A123BC", 2021);
    for rules in ["cm-35", "cm-654"] {
        let grounds = grounds(sample.decide(rules));
        assert_eq!(grounds[0].clause, Clause::VehicleAge);
        assert_eq!(
            grounds[0].records[0].fact.to_string(),
            "vehicle 01A123BC, Chevrolet Cobalt, 2021"
        );
        assert_eq!(grounds[0].records[0].exchange, "exchange-vehicles");
    }
}

#[test]
fn car_of_2018_is_tolerated_and_a_second_one_is_not() {
    let mut sample = Sample::worked_example();
    sample.vehicle(FATHER, "01A123BC", 2018);
    assert_eq!(terms(&sample, "cm-35").2, 635_000, "8 years old");
    sample.vehicle(MOTHER, "01A123BC", 2018);
    assert_eq!(terms(&sample, "cm-35").2, 635_000, "the same car, held by both");
    sample.vehicle(MOTHER, "01B456CD", 2001);
    assert_eq!(grounds(sample.decide("cm-35"))[0].clause, Clause::VehicleCount);
}

#[test]
fn absent_bank_leaves_the_decision_pending() {
    let mut sample = Sample::worked_example();
    sample.absent_everywhere("bank");
    for rules in ["cm-35", "cm-654"] {
        assert_eq!(pending(sample.decide(rules)), (vec!["bank".to_owned()], vec![]));
    }
}

#[test]
fn absent_bank_cannot_matter_at_a_sum_of_17_000_000() {
    let mut sample = with_sum(17_000_000);
    sample.absent_everywhere("bank");
    for rules in ["cm-35", "cm-654"] {
        let grounds = grounds(sample.decide(rules));
        assert_eq!(grounds.len(), 1);
        assert!(grounds[0].records[0].fact.to_string().contains("wage, Paxta LLC (301234567)"));
    }
}

#[test]
fn absent_education_never_matters() {
    let mut sample = Sample::worked_example();
    sample.absent_everywhere("education");
    assert_eq!(terms(&sample, "cm-35").2, 635_000);
}

#[test]
fn no_record_is_not_an_absence() {
    let mut sample = Sample::worked_example();
    for person in FAMILY {
        for source in ["bank", "pensions", "vehicles", "cadastre"] {
            sample.set(person, source, Value::Null);
        }
    }
    assert_eq!(terms(&sample, "cm-35").2, 635_000);
}

#[test]
fn family_without_able_members_is_state_supported() {
    let mut sample = Sample::worked_example();
    for person in [FATHER, MOTHER] {
        sample.answer(person, "employment")["able_to_work"] = json!(false);
    }
    assert_eq!(terms(&sample, "cm-35"), ("state-supported-family".into(), 100, 635_000, 12));
    sample.absent(MOTHER, "employment");
    assert_eq!(pending(sample.decide("cm-35")).0, ["employment"]);
    sample.business(MOTHER, [1_400_000; 3]);
    assert_eq!(terms(&sample, "cm-35").1, 75, "at the poverty line ability does not matter");
}

#[test]
fn second_dwelling_is_refused_and_a_third_of_one_goes_to_the_officer() {
    let mut sample = Sample::worked_example();
    sample.property(FATHER, "10:01:02:03:04:0005", "dwelling", (1, 2));
    sample.property(MOTHER, "10:01:02:03:04:0005", "dwelling", (1, 2));
    assert_eq!(terms(&sample, "cm-35").2, 635_000, "one dwelling, owned by both");
    sample.property(FATHER, "10:01:02:03:04:0006", "dwelling", (1, 3));
    let (sources, officer) = pending(sample.decide("cm-35"));
    assert_eq!((sources.len(), officer), (0, vec![Question::ShareOfSecondDwelling]));
    sample.property(MOTHER, "10:01:02:03:04:0006", "dwelling", (2, 3));
    assert_eq!(grounds(sample.decide("cm-35"))[0].clause, Clause::Dwellings);
}

#[test]
fn any_non_residential_property_is_refused_and_land_is_not() {
    let mut sample = Sample::worked_example();
    sample.property(MOTHER, "10:01:02:03:04:0007", "land", (1, 1));
    assert_eq!(terms(&sample, "cm-35").2, 635_000);
    sample.property(MOTHER, "10:01:02:03:04:0008", "non-residential", (1, 10));
    assert_eq!(grounds(sample.decide("cm-35"))[0].clause, Clause::NonResidential);
}

#[test]
fn deposit_is_refused_and_an_answer_to_another_threshold_is_none() {
    let mut sample = Sample::worked_example();
    sample.answer(MOTHER, "bank")["at_least_threshold"] = json!(true);
    assert_eq!(grounds(sample.decide("cm-35"))[0].clause, Clause::Deposits);
    sample.answer(MOTHER, "bank")["threshold_soum"] = json!(1_000);
    assert_eq!(pending(sample.decide("cm-35")).0, ["bank"]);
}

#[test]
fn tax_answer_for_other_months_leaves_income_unknown() {
    let mut sample = Sample::worked_example();
    sample.answer(MOTHER, "tax")["from"] = json!("2026-01");
    assert_eq!(pending(sample.decide("cm-35")).0, ["tax"]);
}

#[test]
fn pension_counts_in_the_months_it_is_paid_and_the_own_benefit_does_not() {
    let mut sample = Sample::worked_example();
    sample.answer(MOTHER, "social-agency")["benefits"] = json!([
        {"kind": "child-benefit", "amount_soum": 9_000_000, "from": "2025-01-01", "to": null}]);
    assert_eq!(terms(&sample, "cm-35").1, 100);
    // 8 100 000 + 2 × 1 312 500 = 10 725 000, the ratio 1: paid in January and February only.
    sample.answer(MOTHER, "pensions")["pensions"] = json!([
        {"kind": "disability", "amount_soum": 1_312_500, "from": "2026-01-15", "to": null}]);
    assert_eq!(terms(&sample, "cm-35").1, 75);
}

#[test]
fn benefit_follows_the_number_of_children_and_the_youngest() {
    let mut sample = Sample::worked_example();
    sample.day = jiff::civil::Date::constant(2027, 9, 26);
    for person in FAMILY {
        sample.answer(person, "tax")["from"] = json!("2027-06");
        sample.answer(person, "tax")["to"] = json!("2027-08");
    }
    assert_eq!(terms(&sample, "cm-35").2, 275_000 + 165_000 + 110_000, "the youngest is 3");
    for parent in [FATHER, MOTHER] {
        sample.answer(parent, "civil-registry")["children"] = json!([crate::sample::child(BABY)]);
    }
    assert_eq!(terms(&sample, "cm-35").2, 275_000);
    for parent in [FATHER, MOTHER] {
        sample.answer(parent, "civil-registry")["children"] = json!([]);
    }
    assert_eq!(terms(&sample, "cm-35").2, 420_000, "material aid without children");
}

#[test]
fn applicant_without_civil_record_is_refused_and_with_an_absent_one_is_pending() {
    let mut sample = Sample::worked_example();
    sample.set(FATHER, "civil-registry", Value::Null);
    assert_eq!(grounds(sample.decide("cm-35"))[0].clause, Clause::Applicant);
    sample.absent(FATHER, "civil-registry");
    assert_eq!(pending(sample.decide("cm-35")).0, ["civil-registry"]);
}

#[test]
fn declared_income_counts_and_is_marked_with_who_declared_it() {
    let mut sample = Sample::worked_example();
    sample.declare(MOTHER, "2026-01", 2_624_999);
    assert_eq!(terms(&sample, "cm-35").1, 100, "one soum below the ratio 1");
    sample.declare(MOTHER, "2026-02", 1);
    assert_eq!(terms(&sample, "cm-35").1, 75);
    sample.declare(MOTHER, "2025-11", 9_000_000);
    sample.declare("40201902050010", "2026-02", 9_000_000);
    assert_eq!(terms(&sample, "cm-35").1, 75, "another month and another person do not count");
    let line = sample.assess("cm-35").income.into_iter().find(|l| l.declared_by.is_some()).unwrap();
    assert_eq!(line.label(), format!("self-declared, bazaar trade, declared by {FATHER}"));
    assert_eq!(line.source.to_string(), register::income::SELF_DECLARED);
}

#[test]
fn declared_income_refuses_even_while_a_source_is_absent() {
    let mut sample = Sample::worked_example();
    sample.absent_everywhere("bank");
    sample.declare(FATHER, "2026-01", 9_000_000);
    assert_eq!(grounds(sample.decide("cm-35"))[0].clause, Clause::Income);
}
