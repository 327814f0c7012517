//! What `hub/docs/log.md` tells an outsider: its commands and its recipe are run as they stand
//! there, and its table has the fields that records have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::programs::{Said, asked, folder, python_with, run};
use conformance::published;
use federation::pair::{CONSUMER, PROVIDER};
use schemas::digest::{Pseudonym, Sha256};
use schemas::record::{Kind, Record, Side};
use tempfile::TempDir;

use crate::exchanges::Exchanges;
use crate::log_by_go::checklog;

fn root() -> PathBuf {
    folder().join("../..")
}

fn document() -> String {
    fs::read_to_string(root().join("hub/docs/log.md")).unwrap()
}

/// The one block of code in a language.
fn block(language: &str) -> String {
    let document = document();
    let fence = format!("\n```{language}\n");
    let mut parts = document.split(&fence).skip(1);
    let only = parts.next().unwrap().split("\n```\n").next().unwrap().to_owned();
    assert!(parts.next().is_none(), "more than one block of {language}");
    only
}

/// The document's recipe and commands, in a folder of their own.
struct Outsider(TempDir);

impl Outsider {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("recipe.py"), block("python")).unwrap();
        fs::write(dir.path().join("commands.sh"), format!("set -e\n{}", block("sh"))).unwrap();
        Self(dir)
    }

    fn recipe(&self, log: &Path, key: &str) -> Said {
        let mut python = Command::new(python_with("cryptography").unwrap());
        run(python.arg(self.0.path().join("recipe.py")).arg(log).arg(key)).unwrap()
    }

    fn commands(&self, log: &Path, key: &str) -> Said {
        // Says what to install when Go is missing.
        checklog();
        let mut shell = Command::new("sh");
        shell.arg(self.0.path().join("commands.sh")).current_dir(root());
        shell.env("DIR", log).env("KEY", key).env("TMPDIR", self.0.path());
        // The build cache is kept from one run to the next; without it Go uses the user's.
        shell.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
        run(&mut shell).unwrap()
    }
}

#[tokio::test]
async fn the_recipe_verifies_a_log_of_every_size_and_refuses_damage() {
    let outsider = Outsider::new();
    let dir = tempfile::tempdir().unwrap();
    let log = published::open(dir.path(), published::log_key().unwrap()).unwrap();
    let key = log.verifier().to_string();
    let long = asked("KOPRIK_LOG_SIZE").unwrap();
    for size in [0, 1, 255, 256, 257, 700] {
        published::grow(&log, size).await.unwrap();
        let said = outsider.recipe(log.published_dir(), &key);
        assert_eq!(said.code, Some(0), "{}", said.text);
        assert!(said.text.starts_with(&format!("{size} records have the root")), "{}", said.text);
    }
    for file in ["checkpoint", "tile/entries/000", "tile/entries/002.p/188"] {
        let path = log.published_dir().join(file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() - 10] ^= 1;
        for damage in [changed, whole[..whole.len() / 2].to_vec()] {
            fs::write(&path, damage).unwrap();
            let said = outsider.recipe(log.published_dir(), &key);
            assert_eq!(said.code, Some(1), "{file}: {}", said.text);
        }
        fs::write(&path, whole).unwrap();
    }
    let stranger = published::open(&dir.path().join("other"), published::log_key().unwrap());
    let other = outsider.recipe(log.published_dir(), &stranger.unwrap().verifier().to_string());
    assert_eq!(other.code, Some(1), "{}", other.text);
    published::grow(&log, long.unwrap_or(701)).await.unwrap();
    assert_eq!(outsider.recipe(log.published_dir(), &key).code, Some(0), "put back, and grown");
}

#[tokio::test]
async fn recipe_and_commands_verify_the_logs_of_two_hubs_and_the_central_server_after_traffic() {
    let outsider = Outsider::new();
    let exchanges = Exchanges::carried().await;
    let content = exchanges.layout.read_content().unwrap();
    let key = |member: &str| {
        let server = content.servers.iter().find(|server| server.id.owner().as_str() == member);
        server.unwrap().log_key.clone()
    };
    let hub = |name| exchanges.layout.place(name).unwrap().dir.join("data/log/tlog");
    let central = exchanges.layout.dir.join("central/data/log/tlog");
    let central_key = content.central_log.clone().unwrap();
    for (log, key) in [
        (hub(CONSUMER), key("UZ/GOV/NASP")),
        (hub(PROVIDER), key("UZ/GOV/TAX")),
        (central, central_key.clone()),
    ] {
        let said = outsider.recipe(&log, &key);
        assert_eq!(said.code, Some(0), "{}", said.text);
        assert!(!said.text.starts_with("0 records"), "{}", said.text);
        let said = outsider.commands(&log, &key);
        assert_eq!(said.code, Some(0), "{}", said.text);
        assert!(said.text.ends_with("VERIFIED\n"), "{}", said.text);
        // Go opens a cosigned checkpoint like any other and finds it on the log's way. The central server's
        // is there once a hub has been asked for it, which these do after a while.
        assert!(said.text.contains("consistency: ") || key == central_key, "{}", said.text);
    }
    let crossed = outsider.commands(&hub(CONSUMER), &key("UZ/GOV/TAX"));
    assert_eq!(crossed.code, Some(1), "{}", crossed.text);
}

#[test]
fn the_table_of_fields_names_every_field_of_a_record_and_no_other() {
    let mut record = Record::new(Kind::Act, Side::Hub, schemas::clock::UnixMillis(1), "start");
    let pseudonym = Pseudonym::of("x", &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[1; 32]));
    let (hash, text) = (Some(Sha256::of(b"x")), || Some(String::new()));
    (record.body, record.evidence, record.signed) = (hash, hash, hash);
    (record.client, record.endpoint, record.exchange) = (text(), text(), text());
    (record.grant, record.legal_basis, record.peer) = (text(), text(), text());
    (record.purpose, record.service, record.class) = (text(), text(), text());
    (record.body_bytes, record.configuration, record.duration_us) = (Some(1), Some(1), Some(1));
    (record.message, record.user) = (Some(pseudonym.clone()), Some(pseudonym.clone()));
    (record.status, record.subjects) = (Some(200), vec![pseudonym]);
    let value: serde_json::Value = serde_json::from_slice(&record.to_leaf()).unwrap();
    let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();

    let document = document();
    let table = document.split("## A record\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut named: Vec<&str> =
        cells.flat_map(|cell| cell.split("`, `")).map(|name| name.trim_end_matches('`')).collect();
    named.sort_unstable();
    assert_eq!(named, fields);
}
