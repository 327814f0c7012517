//! Processes of the built binary: run to the end, or kept running and killed.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

pub(crate) mod pair;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use schemas::clock::Clock;
use serde_json::Value;

/// The built binary.
pub(crate) const KOPRIK: &str = env!("CARGO_BIN_EXE_koprik");

/// Runs a command to its end.
pub(crate) fn koprik(arguments: &[&str]) -> Output {
    Command::new(KOPRIK).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The text that a command printed on standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON object that a command printed.
pub(crate) fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", String::from_utf8_lossy(&output.stdout), complaint(output))
    })
}

/// A server process; killed when dropped.
pub(crate) struct Server {
    child: Child,
    kind: &'static str,
    config: String,
}

impl Server {
    /// Starts `koprik KIND --config CONFIG` and waits until it says where it listens.
    pub(crate) fn start(kind: &'static str, config: &Path) -> Self {
        let config = config.display().to_string();
        let mut child = Command::new(KOPRIK)
            .args([kind, "--config", &config, "--log", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening"), "{kind} {config} did not start: {line}");
        Self { child, kind, config }
    }

    /// SIGKILL, as a power cut would end it.
    pub(crate) fn kill(mut self) -> Killed {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Killed { kind: self.kind, config: self.config.clone() }
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that was killed.
pub(crate) struct Killed {
    kind: &'static str,
    config: String,
}

impl Killed {
    /// Starts it again from the same file.
    pub(crate) fn start(self) -> Server {
        Server::start(self.kind, Path::new(&self.config))
    }
}

/// Waits until `holds`, at most ten seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let watch = Clock::machine().stopwatch();
    while !holds().await {
        assert!(watch.elapsed() < Duration::from_secs(10), "does not come about: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
