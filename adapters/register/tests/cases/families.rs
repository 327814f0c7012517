//! Who belongs to a family: the cases to get right.

use crate::sample::{
    BABY, DAUGHTER, FAMILY, FATHER, GRANDFATHER, MOTHER, SON, Sample, child, pinfl,
};
use register::case::Question;
use register::composition::{
    DiscrepancyKind, Family, Overlap, Reason, Role, compose, records_to_ask,
};
use register::decision::Decision;
use serde_json::json;

const OTHER_WOMAN: &str = "40201902050010";

fn members(family: &Family) -> Vec<&str> {
    family.members.iter().map(|member| member.pinfl.as_str()).collect()
}

fn flags(family: &Family) -> Vec<DiscrepancyKind> {
    family.discrepancies.iter().map(|discrepancy| discrepancy.kind).collect()
}

fn family_of(sample: &Sample) -> Family {
    compose(&sample.case())
}

fn asks_officer(sample: &Sample, question: Question) -> bool {
    matches!(sample.decide("cm-35"), Decision::Pending { officer, .. } if officer == [question])
}

#[test]
fn grandfather_at_the_same_dwelling_is_not_of_the_family() {
    let family = family_of(&Sample::worked_example());
    assert_eq!(members(&family), FAMILY);
    assert_eq!(family.other_residents, [pinfl(GRANDFATHER)].into());
    assert!(family.discrepancies.is_empty() && family.left.is_empty());
}

#[test]
fn grandfathers_death_changes_nothing_for_the_family() {
    let alive = Sample::worked_example();
    let mut dead = alive.clone();
    for person in FAMILY {
        dead.answer(person, "population")["residents"] = json!(FAMILY);
    }
    assert_eq!(family_of(&dead).members, family_of(&alive).members);
    assert_eq!(dead.assess("cm-35"), alive.assess("cm-35"));
}

#[test]
fn members_leave_with_their_reason() {
    let cases = [
        (MOTHER, "abroad_since", json!("2025-01-01"), Reason::Abroad),
        (MOTHER, "in_prison", json!(true), Reason::Prison),
        (SON, "in_institution", json!(true), Reason::Institution),
        (MOTHER, "conscript", json!(true), Reason::Conscription),
    ];
    for (person, field, value, reason) in cases {
        let mut sample = Sample::worked_example();
        sample.answer(person, "population")[field] = value;
        let family = family_of(&sample);
        assert_eq!(family.left.len(), 1, "{field}");
        assert_eq!((family.left[0].pinfl, family.left[0].reason), (pinfl(person), reason));
        assert!(!members(&family).contains(&person));
    }
}

#[test]
fn child_leaves_at_18_on_marriage_and_by_death() {
    let mut sample = Sample::worked_example();
    sample.day = jiff::civil::Date::constant(2032, 3, 2);
    assert!(members(&family_of(&sample)).contains(&SON), "the day before the birthday");
    sample.day = jiff::civil::Date::constant(2032, 3, 3);
    assert_eq!(family_of(&sample).left[0].reason, Reason::Age);
    sample.answer(DAUGHTER, "civil-registry")["marriages"] = json!([{"spouse": GRANDFATHER,
        "married": "2032-01-01", "ended": null, "end_reason": null}]);
    assert_eq!(family_of(&sample).left[1].reason, Reason::Marriage);
    sample.answer(BABY, "civil-registry")["died"] = json!("2026-01-01");
    sample.answer(BABY, "population")["died"] = json!("2026-01-01");
    assert_eq!(family_of(&sample).left[2].reason, Reason::Death);
}

#[test]
fn first_wave_asks_applicant_then_spouse_and_children_then_the_spouses_children() {
    let full = Sample::worked_example();
    let mut sample = full.clone();
    let stepson = "31210632040244";
    sample.answers.retain(|(_, source), _| source != "civil-registry");
    assert_eq!(records_to_ask(&sample.case()), [pinfl(FATHER)].into());
    let record =
        |person: &str| full.answers[&(person.to_owned(), "civil-registry".to_owned())].clone();
    let mut fathers = record(FATHER);
    fathers["children"] = json!([child(SON)]);
    sample.set(FATHER, "civil-registry", fathers);
    assert_eq!(records_to_ask(&sample.case()), [pinfl(MOTHER), pinfl(SON)].into());
    let mut mothers = record(MOTHER);
    mothers["children"] = json!([child(SON), child(BABY), child(stepson)]);
    sample.set(MOTHER, "civil-registry", mothers);
    assert_eq!(records_to_ask(&sample.case()), [pinfl(SON), pinfl(BABY)].into(), "not the adult");
    sample.set(SON, "civil-registry", record(SON));
    sample.absent(BABY, "civil-registry");
    assert!(records_to_ask(&sample.case()).is_empty(), "an absent answer is not asked again");
}

#[test]
fn divorced_and_remarried_applicant_has_the_new_spouse() {
    let mut sample = Sample::worked_example();
    sample.answer(FATHER, "civil-registry")["marriages"] = json!([
        {"spouse": OTHER_WOMAN, "married": "2005-01-01", "ended": "2009-01-01",
            "end_reason": "divorce"},
        {"spouse": MOTHER, "married": "2010-09-01", "ended": null, "end_reason": null}]);
    let family = family_of(&sample);
    assert_eq!(members(&family), FAMILY);
    assert!(flags(&family).is_empty());
}

#[test]
fn stale_marriage_is_flagged_and_asked_of_the_officer() {
    let mut sample = Sample::worked_example();
    let marriage = &mut sample.answer(MOTHER, "civil-registry")["marriages"][0];
    marriage["ended"] = json!("2024-01-01");
    marriage["end_reason"] = json!("divorce");
    assert_eq!(flags(&family_of(&sample)), [DiscrepancyKind::StaleMarriage]);
    assert!(asks_officer(&sample, Question::MarriageDiffers));
}

#[test]
fn dead_in_one_register_and_alive_in_another_is_flagged() {
    let mut sample = Sample::worked_example();
    sample.answer(BABY, "population")["died"] = json!("2026-01-10");
    assert_eq!(flags(&family_of(&sample)), [DiscrepancyKind::DeadInOneRegister]);
    assert!(asks_officer(&sample, Question::DeadInOneRegister));
    let mut sample = Sample::worked_example();
    sample.answer(BABY, "civil-registry")["died"] = json!("2026-01-10");
    let family = family_of(&sample);
    assert!(flags(&family).contains(&DiscrepancyKind::DeadInOneRegister));
    assert_eq!(family.left[0].reason, Reason::Death, "the civil registry decides");
}

#[test]
fn child_whose_record_names_other_parents_is_flagged() {
    let mut sample = Sample::worked_example();
    sample.answer(BABY, "civil-registry")["mother"] = json!(OTHER_WOMAN);
    sample.answer(BABY, "civil-registry")["father"] = json!(null);
    assert_eq!(flags(&family_of(&sample)), [DiscrepancyKind::ChildOfTwoFamilies]);
    assert!(asks_officer(&sample, Question::ChildOfTwoFamilies));
    for parent in [FATHER, MOTHER] {
        let children = &mut sample.answer(parent, "civil-registry")["children"];
        children[2]["relation"] = json!("guardianship");
    }
    assert!(flags(&family_of(&sample)).is_empty(), "a ward's parents are others");
}

#[test]
fn child_of_divorced_parents_belongs_where_it_lives() {
    let mut sample = Sample::worked_example();
    sample.answer(SON, "civil-registry")["mother"] = json!(OTHER_WOMAN);
    assert!(flags(&family_of(&sample)).is_empty());
    sample.answer(FATHER, "population")["residents"] = json!([FATHER, MOTHER, DAUGHTER, BABY]);
    let flagged = flags(&family_of(&sample));
    assert!(flagged.contains(&DiscrepancyKind::ChildOfTwoFamilies));
    assert!(flagged.contains(&DiscrepancyKind::CoResidenceDiffers));
}

#[test]
fn lone_parent_has_a_family_of_parent_and_children() {
    let mut sample = Sample::worked_example();
    sample.applicant = MOTHER;
    sample.answer(MOTHER, "civil-registry")["marriages"] = json!([]);
    for person in [SON, DAUGHTER, BABY] {
        sample.answer(person, "civil-registry")["father"] = json!(null);
    }
    assert_eq!(members(&family_of(&sample)), [MOTHER, SON, DAUGHTER, BABY]);
    assert_eq!(family_of(&sample).members[0].role, Role::Applicant);
}

#[test]
fn spouse_without_record_yet_leaves_the_family_open() {
    let mut sample = Sample::worked_example();
    sample.absent(MOTHER, "civil-registry");
    let family = family_of(&sample);
    assert!(!family.may_grow.is_empty());
    sample.wages(FATHER, [17_000_000, 0, 0]);
    assert!(matches!(sample.decide("cm-35"), Decision::Pending { .. }), "more may share it");
}

/// The family of another couple that claims `children` too.
fn other_couple(children: &[&str]) -> Sample {
    let mut sample = Sample::worked_example();
    for parent in [FATHER, MOTHER] {
        let links: Vec<_> = children.iter().map(|person| child(person)).collect();
        sample.answer(parent, "civil-registry")["children"] = json!(links);
    }
    sample
}

#[test]
fn either_spouse_applies_for_the_same_family_and_a_month_later_it_is_another_application() {
    let by_father = family_of(&Sample::worked_example());
    let mut sample = Sample::worked_example();
    sample.applicant = MOTHER;
    let by_mother = family_of(&sample);
    let (march, april) = ("2026-03".parse().unwrap(), "2026-04".parse().unwrap());
    assert!(by_father.key(march) == by_mother.key(march));
    assert!(by_father.key(march) != by_father.key(april));
    assert!(by_father.overlap(&by_mother) == Overlap::Same);
}

#[test]
fn a_child_claimed_by_two_families_is_found_on_the_set_of_members() {
    let first = family_of(&Sample::worked_example());
    let mut second = family_of(&other_couple(&[BABY]));
    second.members.retain(|member| member.role == Role::Child);
    assert!(first.overlap(&second) == Overlap::Shares([pinfl(BABY)].into()));
    assert_eq!(first.children_of_both(&second), [pinfl(BABY)].into());
    second.members.clear();
    assert!(first.overlap(&second) == Overlap::Apart);
}

#[test]
fn adopted_child_belongs_to_its_adoptive_parents() {
    let mut sample = Sample::worked_example();
    for parent in [FATHER, MOTHER] {
        let links = &mut sample.answer(parent, "civil-registry")["children"];
        links[2]["relation"] = json!("adoption");
    }
    assert_eq!(members(&family_of(&sample)), FAMILY, "the record names the adoptive parents");
    assert!(flags(&family_of(&sample)).is_empty());
}

#[test]
fn twins_are_two_children() {
    let mut sample = Sample::worked_example();
    for person in [DAUGHTER, SON] {
        let born = json!(pinfl(SON).born());
        for parent in [FATHER, MOTHER] {
            let links = sample.answer(parent, "civil-registry")["children"].as_array_mut().unwrap();
            links.iter_mut().filter(|link| link["pinfl"] == person).for_each(|link| {
                link["born"] = born.clone();
            });
        }
    }
    let family = family_of(&sample);
    assert_eq!(family.members.len(), 5, "equal birthdays do not merge children");
}
