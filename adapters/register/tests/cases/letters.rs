//! Letters: the worked example's award and the refusal by a car, in three languages.
//!
//! The expected letters stand in `letters/`; what a test got instead is written to the target's
//! temporary folder, so that a wanted change is copied from there.

use std::path::Path;

use register::letter::{Language, NoLetter, letter};
use register::profile::Profile;
use schemas::clock::UnixMillis;

use crate::sample::{FATHER, MOTHER, RULEBOOK, Sample};

pub(crate) fn profile(sample: &Sample, rules: &str) -> Profile {
    let at = UnixMillis(1_772_446_500_000);
    let rules = RULEBOOK.by_id(rules).unwrap();
    Profile::assemble("parent".to_owned(), at, sample.case(), rules).unwrap()
}

fn is_as_expected(name: &str, profile: &Profile) {
    let mut differing = Vec::new();
    for language in [Language::Uzbek, Language::Russian, Language::English] {
        let text = letter(profile, language).unwrap();
        // The hash follows every change of the profile's form and is not the letter's matter.
        let text = text.replace(&profile.seal().unwrap().hash().to_string(), "HASH");
        let file = format!("{name}.{language}.txt");
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/letters");
        let expected = std::fs::read_to_string(here.join(&file)).unwrap_or_default();
        let got = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&file);
        std::fs::write(&got, &text).unwrap();
        if text != expected {
            differing.push(got);
        }
    }
    assert!(differing.is_empty(), "other letters than expected: {differing:?}");
}

#[test]
fn award_of_the_worked_example_is_as_expected_in_three_languages() {
    is_as_expected("award", &profile(&Sample::worked_example(), "cm-35"));
}

#[test]
fn refusal_by_car_names_plate_make_year_and_the_exchange_in_three_languages() {
    let mut sample = Sample::worked_example();
    sample.vehicle(MOTHER, "01A123BC", 2021);
    let profile = profile(&sample, "cm-35");
    is_as_expected("refusal-car", &profile);
    for language in [Language::Uzbek, Language::Russian, Language::English] {
        let text = letter(&profile, language).unwrap();
        for part in ["01A123BC", "Chevrolet Cobalt", "2021", "exchange-vehicles", "vehicle-age"] {
            assert!(text.contains(part), "{language}: {part}");
        }
    }
}

#[test]
fn refusal_by_income_names_payer_and_month_and_what_was_declared_by_whom() {
    let mut sample = Sample::worked_example();
    sample.wages(FATHER, [17_000_000, 0, 0]);
    sample.declare(MOTHER, "2026-01", 500_000);
    let text = letter(&profile(&sample, "cm-35"), Language::English).unwrap();
    for part in [
        "December 2025: wage, Paxta LLC (301234567), 17 000 000 soum",
        "January 2026: self-declared income, bazaar trade, 500 000 soum (declared by Sinov Namuna)",
        "1 216 666 soum, is above the limit of 1 072 500 soum",
        "appeal",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn nobody_gets_a_letter_while_the_decision_is_pending() {
    let mut sample = Sample::worked_example();
    sample.absent_everywhere("bank");
    let refused = letter(&profile(&sample, "cm-35"), Language::Uzbek).unwrap_err();
    assert!(matches!(&refused, NoLetter::Pending { awaited } if awaited == "bank"));
}
