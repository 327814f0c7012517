//! What ARCHITECTURE.md says of promises is held to: every test that it names is there.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Rust sources below a folder, without build output.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, text);
        } else if name.ends_with(".rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let document = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut code = String::new();
    sources(&root(), &mut code);
    for nth in 1..=10 {
        let begin = format!("| **P{nth}** ");
        let row = document.lines().find(|line| line.starts_with(&begin)).unwrap();
        let names: Vec<&str> = row.split('`').filter(|part| part.contains('_')).collect();
        assert!(!names.is_empty(), "P{nth} names no test");
        for name in names.iter().filter(|name| !name.contains(['/', ':', ' '])) {
            assert!(code.contains(&format!("fn {name}(")), "P{nth}: there is no test {name}");
        }
    }
}
