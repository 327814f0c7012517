//! Central server, source and two hubs, each a process of its own.
//!
//! ```text
//! caller ──mTLS──► register's hub ──mTLS──► tax's hub ──HTTP──► source
//! ```

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use federation::Layout;
use federation::layout::{HubPlace, REGISTER_HUB};
use schemas::clock::Clock;

use crate::process::{Process, settle};

/// The agency whose service is called.
pub const AGENCY: &str = "tax";
/// How long a server may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The source alone; nginx and the hubs ask the same one.
pub struct Source {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process, which no figure counts.
    pub process: Process,
}

/// Two hubs, running and at rest.
pub struct Hubs {
    /// Where callers connect.
    pub edge: SocketAddr,
    /// The consumer's hub and the provider's.
    pub processes: [Process; 2],
    /// From the start of the process until it can carry exchanges; the slower of the two.
    pub ready: Duration,
    /// Resident memory at rest, KiB; the larger of the two.
    pub rest_kib: u64,
    /// The central server; goes last.
    _central: Process,
}

impl Source {
    /// Starts the source where the provider's hub looks for its adapter.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(layout: &Layout) -> anyhow::Result<Self> {
        let (_, address) = layout.adapters.get(AGENCY).context("the layout has no such agency")?;
        let mut process = Process::role("source", &address.to_string())?;
        wait_for(&mut process, || get(*address, "/").is_some())?;
        Ok(Self { address: *address, process })
    }
}

impl Hubs {
    /// Starts the central server, then both hubs, one after the other, and waits until they rest.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn start(layout: &Layout) -> anyhow::Result<Self> {
        let (file, address) = &layout.central;
        let mut central = Process::role("central", &file.to_string_lossy())?;
        wait_for(&mut central, || healthy(*address))?;
        let [consumer_place, provider_place] = places(layout)?;
        let (provider, provider_ready) = start_hub(provider_place)?;
        let (consumer, consumer_ready) = start_hub(consumer_place)?;
        settle(&[&consumer, &provider])?;
        let rest_kib = consumer.memory()?.rss_kib.max(provider.memory()?.rss_kib);
        Ok(Self {
            edge: consumer_place.edge,
            processes: [consumer, provider],
            ready: consumer_ready.max(provider_ready),
            rest_kib,
            _central: central,
        })
    }
}

/// The consumer's hub and the provider's.
///
/// # Errors
/// When the layout has them not.
pub fn places(layout: &Layout) -> anyhow::Result<[&HubPlace; 2]> {
    let place = |name| layout.hubs.get(name).with_context(|| format!("no hub {name}"));
    Ok([place(REGISTER_HUB)?, place(AGENCY)?])
}

fn start_hub(place: &HubPlace) -> anyhow::Result<(Process, Duration)> {
    let watch = Clock::machine().stopwatch();
    let mut hub = Process::role("hub", &place.config.to_string_lossy())?;
    wait_for(&mut hub, || healthy(place.admin))?;
    Ok((hub, watch.elapsed()))
}

fn wait_for(process: &mut Process, ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let watch = Clock::machine().stopwatch();
    while !ready() {
        process.runs()?;
        if watch.elapsed() > READY_TIMEOUT {
            bail!("a server is not ready after {} s", READY_TIMEOUT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn healthy(address: SocketAddr) -> bool {
    get(address, "/health").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// One GET over a connection of its own; `None` when nobody answers.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
