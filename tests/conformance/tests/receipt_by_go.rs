//! Receipts (C2SP tlog-proof) as golang.org/x/mod verifies them.

use std::fs;
use std::path::Path;

use conformance::programs::{Said, run};
use conformance::published::{self, ORIGIN};
use schemas::tlog::{NoteVerifier, TlogProof};

use crate::log_by_go::checklog;

fn check(key: &str, proof: &Path, leaf: &Path) -> Said {
    let mut command = checklog().command();
    command.args(["-key", key, "-proof"]).arg(proof).arg("-leaf").arg(leaf);
    run(&mut command).unwrap()
}

#[tokio::test]
async fn go_verifies_the_receipt_of_every_record_around_the_edges_of_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let log = published::open(&dir.path().join("log"), published::log_key().unwrap()).unwrap();
    let key = log.verifier().to_string();
    let (proof, leaf) = (dir.path().join("receipt.tlog-proof"), dir.path().join("leaf"));
    for size in [1, 2, 255, 256, 257, 700] {
        let note = published::grow(&log, size).await.unwrap();
        for index in [0, size / 2, size - 1] {
            let record = published::leaf(index);
            let hashes = log.inclusion_proof(index, size).unwrap();
            let receipt = TlogProof::new(Some(&record), index, hashes, &note).unwrap();
            assert_eq!(receipt.verify(&record, log.verifier()).unwrap().size, size);
            fs::write(&proof, receipt.to_string()).unwrap();
            fs::write(&leaf, &record).unwrap();
            let said = check(&key, &proof, &leaf);
            assert_eq!(said.code, Some(0), "record {index} of {size}: {}", said.text);
            fs::write(&leaf, published::leaf(size)).unwrap();
            let other = check(&key, &proof, &leaf);
            assert!(other.text.contains("REFUSED inclusion"), "{}", other.text);
        }
    }
    let receipt = fs::read_to_string(&proof).unwrap();
    fs::write(&leaf, published::leaf(699)).unwrap();
    assert_eq!(check(&key, &proof, &leaf).code, Some(0));
    let stranger = NoteVerifier::ed25519(ORIGIN, [9; 32]).unwrap().to_string();
    assert_eq!(check(&stranger, &proof, &leaf).code, Some(1));
    for (from, to) in [("index 699", "index 698"), ("\n700\n", "\n701\n"), ("index 699\n", "")] {
        assert!(receipt.contains(from), "{from:?}");
        fs::write(&proof, receipt.replacen(from, to, 1)).unwrap();
        let said = check(&key, &proof, &leaf);
        assert_eq!(said.code, Some(1), "{from:?}: {}", said.text);
    }
}
