//! Every problem type of the register stands in `schemas/errors.md`, and nothing else does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a file or row that cannot be read fails the test"
)]

use std::collections::BTreeSet;
use std::path::Path;

/// The problem types in the program text of a folder, without its tests.
fn in_code(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_code(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let quoted = code.split('"').filter(|part| part.starts_with("register."));
            found.extend(quoted.filter(|part| is_type(part)).map(str::to_owned));
        }
    }
}

fn is_type(text: &str) -> bool {
    let rest = text.strip_prefix("register.").unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn every_problem_type_is_listed_with_side_cause_and_repair_and_every_listed_one_exists() {
    let mut code = BTreeSet::new();
    in_code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    assert!(code.len() > 20, "the search finds too little: {code:?}");
    let table = include_str!("../../../schemas/errors.md");
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `register.")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, status, side, cause, repair] = cells[..] else { panic!("not a row: {row}") };
        assert!(status.parse::<u16>().is_ok_and(|status| (400..600).contains(&status)), "{row}");
        assert!(["Caller", "Register"].contains(&side), "{row}");
        assert!(!cause.is_empty() && !repair.is_empty(), "{row}");
        assert!(listed.insert(name.trim_matches('`').to_owned()), "twice: {row}");
    }
    let missing: Vec<_> = code.difference(&listed).collect();
    assert!(missing.is_empty(), "schemas/errors.md lacks {missing:?}");
    let gone: Vec<_> = listed.difference(&code).collect();
    assert!(gone.is_empty(), "schemas/errors.md lists what no code answers: {gone:?}");
}
