//! Every problem code is produced by some test of this crate, or stands here with its reason.

use std::fs;
use std::path::Path;

use schemas::problem::ProblemCode;

/// Codes that no test produces, each with its reason.
const NOT_PRODUCED: &[(ProblemCode, &str)] = &[];

fn sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if !path.ends_with("coverage.rs") {
            let lines = fs::read_to_string(&path).unwrap();
            let code = lines.lines().filter(|line| !line.trim_start().starts_with("//"));
            code.for_each(|line| text.extend([line, "\n"]));
        }
    }
}

#[test]
fn every_problem_code_is_produced_by_a_test_or_listed_with_its_reason() {
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut text);
    for code in ProblemCode::ALL {
        let name = format!("ProblemCode::{code:?}");
        let produced = text
            .match_indices(&name)
            .any(|(at, _)| !text[at + name.len()..].starts_with(char::is_alphanumeric));
        let excepted = NOT_PRODUCED.iter().any(|(listed, _)| listed == code);
        assert!(produced || excepted, "no test produces {code}");
        assert!(!(produced && excepted), "{code} is produced: take it off the list");
    }
}
