//! `--separate`: every server of the federation as a process of its own, started from its configuration file.
//!
//! A process that ends is reported and left: the others go on, and the command that starts it again is shown.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use federation::Layout;
use federation::agencies::TREASURY;
use tokio::process::{Child, Command};

use crate::ask::wait_ready;
use crate::commands::serve;
use crate::output;

/// Tries of 25 ms each until a server must be ready.
const READY_TRIES: u32 = 400;
/// Time for a process to end after SIGTERM.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// The processes.
pub(crate) struct Processes {
    list: Vec<Process>,
    binary: PathBuf,
}

struct Process {
    name: String,
    kind: &'static str,
    config: PathBuf,
    child: Child,
}

impl Processes {
    /// Starts all and waits until each is ready.
    pub(crate) async fn start(layout: &Layout) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("cannot find this program's own file")?;
        let mut processes = Self { list: Vec::new(), binary };
        processes.spawn("central", "central", &layout.central.0)?;
        if let Some((config, _)) = &layout.timestamp_authority {
            processes.spawn("timestamps", "timestamp-authority", config)?;
        }
        for (name, (config, _)) in &layout.adapters {
            processes.spawn(&format!("adapter {name}"), "adapter", config)?;
        }
        for (name, (config, _)) in &layout.payment_parties {
            let kind = if name == TREASURY.name { "treasury" } else { "bank" };
            processes.spawn(&format!("{kind} of {name}"), kind, config)?;
        }
        for (name, place) in &layout.hubs {
            processes.spawn(&format!("hub {name}"), "hub", &place.config)?;
        }
        processes.spawn("register", "register", &layout.register.0)?;
        let central = std::iter::once(layout.central.1);
        let timestamps = layout.timestamp_authority.iter().map(|(_, listen)| *listen);
        let adapters = layout.adapters.values().map(|(_, listen)| *listen);
        let parties = layout.payment_parties.values().map(|(_, listen)| *listen);
        let adapters = adapters.chain(parties);
        let hubs = layout.hubs.values().map(|place| place.admin);
        let register = std::iter::once(layout.register.1);
        for address in central.chain(timestamps).chain(adapters).chain(hubs).chain(register) {
            wait_ready(&address.to_string(), READY_TRIES).await?;
        }
        Ok(processes)
    }

    fn spawn(
        &mut self,
        name: &str,
        kind: &'static str,
        config: &std::path::Path,
    ) -> anyhow::Result<()> {
        let child = Command::new(&self.binary)
            .arg(kind)
            .arg("--config")
            .arg(config)
            .args(["--log", "warn"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (name, config) = (name.to_owned(), config.to_owned());
        self.list.push(Process { name, kind, config, child });
        Ok(())
    }

    /// The processes with the commands that start them again.
    pub(crate) fn as_text(&self) -> String {
        let mut text =
            String::from("\nprocesses; any may be stopped, killed and started again by hand\n");
        for process in &self.list {
            let id = process.child.id().map_or_else(|| "ended".to_owned(), |id| id.to_string());
            text.push_str(&format!("  {id:>8}  {:24} {}\n", process.name, self.command(process)));
        }
        text
    }

    fn command(&self, process: &Process) -> String {
        let binary = self.binary.display();
        format!("{binary} {} --config {}", process.kind, process.config.display())
    }

    /// Waits until asked to stop; tells of processes that end.
    pub(crate) async fn watch(&mut self) -> anyhow::Result<()> {
        let mut told = vec![false; self.list.len()];
        let stop = serve::asked_to_stop();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                asked = &mut stop => return asked,
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
            let binary = self.binary.display();
            for (process, told) in self.list.iter_mut().zip(&mut told) {
                if let (false, Ok(Some(status))) = (*told, process.child.try_wait()) {
                    *told = true;
                    let (kind, config) = (process.kind, process.config.display());
                    let name = &process.name;
                    let text = format!(
                        "{name} ended ({status}); start it again with\n  {binary} {kind} --config {config}\n"
                    );
                    output::bytes(text.as_bytes())?;
                }
            }
        }
    }

    /// Asks all to stop (SIGTERM), the register first and the central server last.
    pub(crate) async fn stop(mut self) {
        for process in self.list.iter_mut().rev() {
            let Some(id) = process.child.id() else { continue };
            let asked = Command::new("kill").arg("-TERM").arg(id.to_string()).status().await;
            if asked.is_err()
                || tokio::time::timeout(END_TIMEOUT, process.child.wait()).await.is_err()
            {
                let _ = process.child.kill().await;
            }
        }
    }
}
