//! Roots and proofs as Python computes them from RFC 6962 and the same leaves, byte for byte.

use std::process::Command;

use conformance::programs::{folder, python_with, run_with_input};
use conformance::published::{self, ORIGIN};
use schemas::tlog::Checkpoint;
use serde_json::{Value, json};

/// The largest tree: three tiles and a piece.
const LARGEST: u64 = 800;

fn computed(asked: &Value) -> Value {
    let mut python = Command::new(python_with("hashlib").unwrap());
    python.arg(folder().join("rfc6962.py"));
    let said = run_with_input(&mut python, asked.to_string().as_bytes()).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.text);
    serde_json::from_str(&said.text).unwrap()
}

#[tokio::test]
async fn roots_and_proofs_are_those_that_python_computes_from_the_rfc() {
    let dir = tempfile::tempdir().unwrap();
    let log = published::open(dir.path(), published::log_key().unwrap()).unwrap();
    let sizes: Vec<u64> =
        (0..=20).chain([255, 256, 257, 300, 511, 512, 513, 700, LARGEST]).collect();
    let mut roots = Vec::new();
    for size in &sizes {
        let note = published::grow(&log, *size).await.unwrap();
        let checkpoint = Checkpoint::open(&note, ORIGIN, log.verifier()).unwrap();
        assert_eq!(checkpoint.size, *size);
        roots.push(checkpoint.root.to_string());
    }
    let pairs = |below: u64| {
        let news = sizes.iter().filter(|new| **new > 0);
        let all = news
            .flat_map(|new| sizes.iter().filter(move |old| *old <= new).map(|old| (*old, *new)));
        all.filter(move |(old, new)| *old + below <= *new).collect::<Vec<_>>()
    };
    let inclusion = pairs(1);
    let consistency: Vec<_> = pairs(0).into_iter().filter(|(old, _)| *old > 0).collect();
    let leaves: Vec<String> =
        (0..LARGEST).map(|n| String::from_utf8(published::leaf(n)).unwrap()).collect();
    let theirs = computed(&json!({
        "leaves": leaves, "roots": sizes, "inclusion": inclusion, "consistency": consistency,
    }));
    assert_eq!(theirs["roots"], json!(roots));
    assert!(inclusion.len() > 300 && consistency.len() > 300);
    for (nth, (index, size)) in inclusion.into_iter().enumerate() {
        let own = log.inclusion_proof(index, size).unwrap();
        assert_eq!(theirs["inclusion"][nth], json!(own), "record {index} of {size}");
    }
    for (nth, (old, new)) in consistency.into_iter().enumerate() {
        let own = log.consistency_proof(old, new).unwrap();
        assert_eq!(theirs["consistency"][nth], json!(own), "{old} to {new}");
    }
}
