//! How long a log takes to open, after a clean end and after a process that just stopped.
//!
//! Before each start the kernel forgets the pages of the log's files, so everything is read from the disk.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use hub_messagelog::MessageLog;
use schemas::clock::Clock;

use super::arguments::Evidence;
use super::open::{Place, forget_pages, resident_kib};
use super::reading::{Search, search};
use super::records::Maker;

/// Records that the process appends before it stops.
const APPENDED_COUNT: u64 = 20_000;
/// The role in which this program appends records with evidence, and stops.
const ROLE: &str = "append-and-stop";
/// The same for records without evidence.
const ROLE_LEFT_OUT: &str = "append-without-evidence-and-stop";

/// How long a start took, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Until records are taken again.
    pub open_s: f64,
    /// Until a search was answered.
    pub answer_s: f64,
    /// Until every record is in the index.
    pub indexed_s: f64,
}

/// Opens the log and takes the times.
///
/// # Errors
/// Those of the log.
pub async fn start(place: &Place, maker: &Maker) -> anyhow::Result<(MessageLog, Start)> {
    forget_pages(place.dir());
    let watch = Clock::machine().stopwatch();
    let log = place.open()?;
    let open_s = watch.elapsed().as_secs_f64();
    search(&log, maker, Search::Absent, 0..1)?;
    let answer_s = watch.elapsed().as_secs_f64();
    log.wait_indexed(log.size().saturating_sub(1)).await?;
    Ok((log, Start { open_s, answer_s, indexed_s: watch.elapsed().as_secs_f64() }))
}

/// Lets another process append to the closed log and stop without closing it, as a killed hub would; gives its
/// resident memory then, KiB.
///
/// # Errors
/// When it cannot be started or fails before it stops.
pub fn append_and_stop(place: &Place) -> anyhow::Result<u64> {
    let mut command = Command::new(std::env::current_exe()?);
    let role = match place.evidence() {
        Evidence::Kept => ROLE,
        Evidence::LeftOut => ROLE_LEFT_OUT,
    };
    let status = command.arg(role).arg(place.root()).status()?;
    ensure!(status.code() == Some(STOPPED), "{role} ended with {status}");
    let resident = std::fs::read_to_string(place.root().join(RESIDENT))?;
    Ok(resident.parse()?)
}

/// Where the process says how much memory it has.
const RESIDENT: &str = "resident-kib";
/// The exit code of a process that stopped as it should.
const STOPPED: i32 = 7;

/// The other process, if `words` say that this is it: appends, has more under way, and stops without closing
/// anything. `None` when they do not.
///
/// # Errors
/// Those of the log.
pub async fn stop_in_the_midst(words: &[String]) -> Option<anyhow::Result<()>> {
    let [role, root] = words else { return None };
    let evidence = match role.as_str() {
        ROLE => Evidence::Kept,
        ROLE_LEFT_OUT => Evidence::LeftOut,
        _ => return None,
    };
    Some(append_until_stopped(Path::new(root), evidence).await)
}

async fn append_until_stopped(root: &Path, evidence: Evidence) -> anyhow::Result<()> {
    let place = Place::new(root, evidence)?;
    let (log, maker) = (place.open()?, place.maker()?);
    let first = log.size();
    let mut pending = Vec::new();
    for record in first..first + APPENDED_COUNT {
        pending.push(log.submit(maker.entry(record)?));
        if pending.len() == 1_000 {
            for receipt in pending.drain(..).take(900) {
                receipt.await?;
            }
        }
    }
    std::fs::write(root.join(RESIDENT), resident_kib()?.to_string())?;
    // No destructor runs.
    std::process::exit(STOPPED)
}
