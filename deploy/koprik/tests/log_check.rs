//! `koprik log check` as an auditor types it: a hub's directory after it stopped, a copy, a damaged one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use std::path::Path;

use federation::agencies::Agency;
use federation::{Layout, Options, lay_out};
use processes::{Server, complaint, koprik, printed};
use schemas::clock::Clock;

const HUB: &str = "tax";

/// A hub's data directory, after records of its starts.
fn hub_that_ran(dir: &Path) -> (Layout, std::path::PathBuf) {
    let agencies = Agency::named(HUB).into_iter().collect();
    let options = Options { agencies, ..Options::all(Clock::machine().now()) };
    let layout = lay_out(dir, &options).unwrap();
    let config = layout.place(HUB).unwrap().config.clone();
    for _ in 0..3 {
        drop(Server::start("hub", &config));
    }
    let log = hub_server::HubConfig::load(&config).unwrap().data_dir.join("log");
    (layout, log)
}

fn check(log: &Path, words: &[&str]) -> std::process::Output {
    let log = log.display().to_string();
    koprik(&[&["--json", "log", "check", "--dir", &log], words].concat())
}

#[test]
fn a_stopped_hubs_log_passes_a_running_ones_is_refused_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, log) = hub_that_ran(dir.path());
    let content = layout.read_content().unwrap();
    let server = content.servers.iter().find(|server| server.id.owner().as_str() == "UZ/GOV/TAX");
    let key = server.unwrap().log_key.clone();

    let good = check(&log, &["--key", &key]);
    let report = printed(&good);
    assert_eq!(good.status.code(), Some(0), "{report}");
    assert_eq!((&report["good"], &report["records"]), (&true.into(), &3.into()));
    assert_eq!(report["checkpoint"]["signature"], "Verified");
    let words = koprik(&["log", "check", "--dir", &log.display().to_string()]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.starts_with("GOOD") && words.contains("records/s on"), "{words}");
    assert!(words.contains("– that the log's key signed the checkpoint: give it with --key"));

    let running = Server::start("hub", &layout.place(HUB).unwrap().config);
    let refused = check(&log, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        complaint(&refused).contains("stop its hub, or check a copy"),
        "{}",
        complaint(&refused)
    );
    drop(running);

    let other = content.servers.iter().find(|server| server.id.owner().as_str() == "UZ/GOV/NASP");
    let other = check(&log, &["--key", &other.unwrap().log_key]);
    assert_eq!((other.status.code(), &printed(&other)["good"]), (Some(1), &false.into()));

    let segment = log.join("segments/00000000000000000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = check(&log, &["--key", &key]);
    let report = printed(&damaged);
    assert_eq!(damaged.status.code(), Some(1), "{report}");
    let found = &report["findings"][0];
    assert_eq!(found["file"], "segments/00000000000000000000.seg");
    assert_eq!((&found["first_record"], &found["first_byte"]), (&0.into(), &0.into()));
}

#[test]
fn what_cannot_be_checked_has_an_exit_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for words in [&["--key", "koprik/x+00+AA"][..], &[]] {
        let refused = check(dir.path(), words);
        assert_eq!(refused.status.code(), Some(2), "{}", complaint(&refused));
        assert!(complaint(&refused).contains("not checked: "), "{}", complaint(&refused));
    }
}
