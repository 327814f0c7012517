//! How fast the disk below the message logs is: without it, no figure of a durable log says much.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use schemas::clock::Clock;

/// Median time of an append of 1 KiB with its fdatasync, in a file in `dir`.
///
/// # Errors
/// When the file cannot be written.
pub fn sync_time(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join("sync-probe");
    let mut file = File::create(&path)?;
    let clock = Clock::machine();
    let mut times = Vec::with_capacity(200);
    for _ in 0..200 {
        let watch = clock.stopwatch();
        file.write_all(&[0; 1024])?;
        file.sync_data()?;
        times.push(watch.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
