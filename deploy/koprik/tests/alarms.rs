//! Alarms as the operator lists them and as anybody verifies them.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod processes;

use federation::agencies::Agency;
use federation::{Options, lay_out};
use pki::signer::NoteKey;
use processes::{Server, complaint, koprik, printed};
use schemas::clock::Clock;
use schemas::digest::Sha256;
use schemas::tlog::{Checkpoint, Note, NoteSignature, NoteSigner as _, SplitView};

const HUB: &str = "tax";

fn signed(key: &NoteKey, root: &[u8]) -> String {
    signed_at(key, 3, root)
}

fn signed_at(key: &NoteKey, size: u64, root: &[u8]) -> String {
    let (origin, root) = (key.name().to_owned(), Sha256::of(root));
    let text = Checkpoint { origin, size, root }.to_string();
    let signature = key.sign(text.as_bytes()).unwrap().to_vec();
    let line = NoteSignature::new(key.name(), key.verifier().key_id(), signature).unwrap();
    Note::new(&text, vec![line]).unwrap().to_string()
}

#[test]
fn alarm_is_listed_with_both_checkpoints_written_and_verified_by_the_logs_key() {
    let dir = tempfile::tempdir().unwrap();
    let agencies = Agency::named(HUB).into_iter().collect();
    let options = Options { agencies, ..Options::all(Clock::machine().now()) };
    let layout = lay_out(dir.path(), &options).unwrap();
    let place = layout.place(HUB).unwrap();
    let config = place.config.display().to_string();
    let key = NoteKey::load("koprik/UZ/GOV/TAX/hub-1", &place.dir.join("log.key")).unwrap();
    let split_view = SplitView::new(signed(&key, b"one"), signed(&key, b"other"), &[]);
    let alarms = place.dir.join("data/witness/alarms");
    std::fs::create_dir_all(&alarms).unwrap();
    let hub = Server::start("hub", &place.config);
    let none = koprik(&["log", "alarms", "--config", &config]);
    assert_eq!(String::from_utf8_lossy(&none.stdout), "no alarms\n", "{}", complaint(&none));
    drop(hub);
    // As a witness's side would have kept it.
    std::fs::write(alarms.join("1780000000000-x.json"), split_view.to_text()).unwrap();
    let hub = Server::start("hub", &place.config);
    let out = dir.path().join("out").display().to_string();
    let listed = koprik(&["log", "alarms", "--config", &config, "--output", &out]);
    let text = String::from_utf8(listed.stdout.clone()).unwrap();
    for root in [b"one".as_slice(), b"other"] {
        assert!(text.contains(&Sha256::of(root).to_string()), "{text}{}", complaint(&listed));
    }
    let json = printed(&koprik(&["--json", "log", "alarms", "--config", &config]));
    assert_eq!(json["alarms"][0]["proved"], true, "{json}");
    drop(hub);

    let file = format!("{out}/split-view-1.json");
    let own = key.verifier().to_string();
    let verified = koprik(&["verify", &file, "--log-key", &own]);
    let words = String::from_utf8(verified.stdout.clone()).unwrap();
    assert!(
        verified.status.success() && words.contains("two different trees of one size"),
        "{words}"
    );
    let value = printed(&koprik(&["--json", "verify", &file, "--log-key", &own]));
    assert_eq!((&value["verified"], &value["proved"]), (&true.into(), &true.into()));
    let stranger = NoteKey::ephemeral("koprik/UZ/GOV/TAX/hub-1").unwrap().verifier().to_string();
    let refused = koprik(&["verify", &file, "--log-key", &stranger]);
    assert_eq!(refused.status.code(), Some(1));
    let changed = std::fs::read_to_string(&file).unwrap().replacen("\\n3\\n", "\\n4\\n", 1);
    std::fs::write(&file, changed).unwrap();
    assert_eq!(koprik(&["verify", &file, "--log-key", &own]).status.code(), Some(1));
}

/// Whoever has two checkpoints of an honest log can write such a file.
#[test]
fn two_checkpoints_without_a_proof_that_convicts_are_no_split_view() {
    let dir = tempfile::tempdir().unwrap();
    let key = NoteKey::ephemeral("koprik/UZ/GOV/TAX/hub-1").unwrap();
    let own = key.verifier().to_string();
    let file = dir.path().join("split-view.json");
    let path = file.display().to_string();
    let doubt = SplitView::new(signed_at(&key, 3, b"three"), signed_at(&key, 5, b"five"), &[]);
    std::fs::write(&file, doubt.to_text()).unwrap();
    let judged = koprik(&["verify", &path, "--log-key", &own]);
    let words = String::from_utf8(judged.stdout.clone()).unwrap();
    assert_eq!(judged.status.code(), Some(1), "{words}");
    assert!(words.starts_with("NOT PROVED") && !words.contains("VERIFIED"), "{words}");
    let value = printed(&koprik(&["--json", "verify", &path, "--log-key", &own]));
    assert_eq!((&value["verified"], &value["proved"]), (&false.into(), &false.into()));
    // Neither a file in another encoding nor an evidence file is taken for more than it is.
    std::fs::write(&file, b"{\"cosigned\":\xff").unwrap();
    assert_eq!(koprik(&["verify", &path, "--log-key", &own]).status.code(), Some(1));
    std::fs::write(&file, "{\"checkpoint\":\"\"}\n").unwrap();
    let evidence = koprik(&["verify", &path, "--log-key", &own]);
    let words = String::from_utf8(evidence.stdout.clone()).unwrap();
    assert!(evidence.status.code() == Some(1) && words.contains("--anchor"), "{words}");
}

#[test]
fn key_of_a_witness_is_printed_as_the_configuration_lists_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("witness.key").display().to_string();
    let name = "koprik/UZ/GOV/TAX/hub-1/witness";
    let made = printed(&koprik(&["--json", "key", &file, "--witness", name]));
    let verifier = made["verifier"].as_str().unwrap();
    assert!(verifier.parse::<schemas::tlog::WitnessVerifier>().is_ok(), "{verifier}");
}
