//! Past decisions recomputed byte by byte, and changes of rules tried on stored profiles.

use register::replay::{Effect, NoReplay, Replay, Simulation, replay};
use register::rules::{Rulebook, Rules};

use crate::letters::profile;
use crate::sample::{FATHER, MOTHER, RULEBOOK, Sample};

const CM_35: &str = include_str!("../../rules/cm-35.toml");

fn families() -> Vec<Sample> {
    let mut refused = Sample::worked_example();
    refused.vehicle(MOTHER, "01A123BC", 2021);
    let mut half = Sample::worked_example();
    half.wages(FATHER, [14_250_000, 0, 0]);
    half.business(MOTHER, [0, 0, 0]);
    let mut pending = Sample::worked_example();
    pending.absent_everywhere("bank");
    pending.declare(MOTHER, "2026-01", 100_000);
    vec![Sample::worked_example(), refused, half, pending]
}

#[test]
fn every_kind_of_decision_is_replayed_to_the_same_bytes_under_both_rule_versions() {
    for sample in families() {
        for rules in ["cm-35", "cm-654"] {
            let sealed = profile(&sample, rules).seal().unwrap();
            let same = Replay::Same { hash: sealed.hash() };
            assert_eq!(replay(sealed.bytes(), &RULEBOOK).unwrap(), same);
        }
    }
}

#[test]
fn a_changed_decision_a_changed_answer_and_another_spelling_are_told_apart() {
    let sealed = profile(&Sample::worked_example(), "cm-35").seal().unwrap();
    let text = String::from_utf8(sealed.bytes().to_vec()).unwrap();
    let differing = |changed: String| match replay(changed.as_bytes(), &RULEBOOK).unwrap() {
        Replay::Differs { parts, .. } => parts,
        Replay::Same { .. } => panic!("the change was not noticed"),
    };
    let amount = text.replace("\"monthly_soum\":635000", "\"monthly_soum\":735000");
    assert_eq!(differing(amount), ["assessment"]);
    let wage = text.replacen("\"amount_soum\":2400000", "\"amount_soum\":9400000", 1);
    assert_eq!(differing(wage), ["assessment"]);
    assert_eq!(differing(text.replacen(",\"family\"", ", \"family\"", 1)), ["spelling"]);
}

#[test]
fn a_decision_under_rules_that_are_not_here_needs_their_file() {
    let past = CM_35.replace("soum = 715000", "soum = 700000");
    let past = Rules::read("past.toml", &past).unwrap();
    let sample = Sample::worked_example();
    let at = schemas::clock::UnixMillis(0);
    let decided =
        register::profile::Profile::assemble("p".to_owned(), at, sample.case(), &past).unwrap();
    let sealed = decided.seal().unwrap();
    let unknown = replay(sealed.bytes(), &RULEBOOK).unwrap_err();
    assert!(matches!(unknown, NoReplay::RulesUnknown { .. }), "same identifier, other figures");
    let mut book = Rulebook::built_in().unwrap();
    book.add(past);
    assert!(matches!(replay(sealed.bytes(), &book).unwrap(), Replay::Same { .. }));
}

#[test]
fn a_simulation_names_who_gains_and_who_loses_and_the_sums() {
    let tolerant = CM_35
        .replace("figure = 7, least = 1", "figure = 3, least = 1")
        .replace("share_percent = 50", "share_percent = 40");
    let tolerant = Rules::read("tolerant.toml", &tolerant).unwrap();
    let mut simulation = Simulation::default();
    for sample in families() {
        simulation.add(&profile(&sample, "cm-35"), &tolerant).unwrap();
    }
    let effects: Vec<Effect> = simulation.families.iter().map(|family| family.effect).collect();
    assert_eq!(effects, [Effect::Unchanged, Effect::Gains, Effect::Loses, Effect::Open]);
    assert_eq!(simulation.before_soum.0.0, 635_000 + 317_500);
    assert_eq!(simulation.after_soum.0.0, 635_000 + 635_000 + 254_000);
    assert_eq!(simulation.moves["refused → poor-family"], 1);
}
