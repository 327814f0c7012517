//! A hub whose disk fills up and gets room again, as its own process on a small file system of its own. Long form
//! only: `KOPRIK_FULL_DISK=1`, as root, since it mounts a tmpfs. The short form is `hub-messagelog`'s tests of faults.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use federation::layout::REGISTER_HUB;
use hub_server::HubConfig;
use processes::pair::Pair;
use processes::{eventually, koprik};
use serde_json::Value;

/// A tmpfs; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(dir)
            .status()
            .unwrap();
        assert!(mounted.success(), "KOPRIK_FULL_DISK needs root, to mount a tmpfs");
        Self(dir.to_owned())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let mut piece = vec![0xff; 1 << 20];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What `/health` says.
fn health(config: &HubConfig) -> Value {
    let mut stream = TcpStream::connect(config.admin.listen).unwrap();
    stream.write_all(b"GET /health HTTP/1.0\r\nhost: hub\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_on_a_full_disk_refuses_traffic_goes_on_reading_and_recovers_by_itself() {
    #[allow(clippy::disallowed_methods, reason = "the length of a test is not configuration")]
    if std::env::var("KOPRIK_FULL_DISK").is_err() {
        println!("long form only: KOPRIK_FULL_DISK=1 as root");
        return;
    }
    let sides = [
        (REGISTER_HUB, "server.clientproxy.logging_failed"),
        ("tax", "server.serverproxy.logging_failed"),
    ];
    for (side, code) in sides {
        let mut small = None;
        let pair = Pair::start_after(|layout| {
            let config = HubConfig::load(&layout.hubs[side].config).unwrap();
            small = Some((Small::mount(&config.data_dir), config));
        })
        .await;
        let (small, config) = small.unwrap();
        let before = pair.answered().await;
        let prove = |what: &str| {
            let file = pair.layout.hubs[side].config.display().to_string();
            let proof = koprik(&["log", "prove", "--config", &file, "--index", "0"]);
            assert!(proof.status.success(), "{what}: {proof:?}");
        };
        prove("there is a checkpoint");
        small.fill();
        pair.refused_with(code).await;
        // The record of a refusal is small: a few still fit.
        let none_fits = || async { pair.call().await.is_ok() && health(&config)["ready"] == false };
        eventually("no record fits", none_fits).await;
        let full = health(&config);
        assert!(full["reasons"].to_string().contains("make room on it"), "{full}");
        assert_eq!(pair.records(side, &before), ["request", "answer"], "reads go on");
        prove("proofs under the last checkpoint go on");

        // A new version of the global configuration finds no room either: the old one stays in force.
        let mut content = pair.layout.read_content().unwrap();
        content.purposes[0].description.push('.');
        pair.layout.write_content(&content).unwrap();
        let other = if side == "tax" { REGISTER_HUB } else { "tax" };
        let other = HubConfig::load(&pair.layout.hubs[other].config).unwrap();
        let version = |config: &HubConfig| health(config)["configuration_version"].as_u64();
        let held = version(&config);
        eventually("the other hub has it", || async { version(&other) > held }).await;
        assert_eq!(version(&config), held);

        std::fs::remove_file(small.filler()).unwrap();
        let after = pair.answered().await;
        assert_eq!(pair.records(side, &after), ["request", "answer"]);
        assert_eq!(health(&config)["ready"], true);
        eventually("it is in force", || async { version(&config) > held }).await;
        drop(pair);
    }
}
