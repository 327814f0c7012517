//! Appends beside what the disk itself can do: a bare loop of one write and one fdatasync.
//!
//! The loop writes as many bytes as the frames of the records have. It appends to a file that grows, as anyone
//! would; or, harder to match, it overwrites one that lies ready, so that a sync writes data only. Loop and log take
//! turns, so that a disk that is slow for a while is slow for both. The records are made before a turn begins.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use hub_messagelog::{Entry, MessageLog};
use schemas::clock::Clock;
use tokio::task::JoinSet;

use super::records::Maker;
use crate::figures::{median, number};

/// Tasks that append at once in the busy half.
pub const WRITERS: u64 = 64;
/// Turns of each.
const ROUNDS: usize = 5;
/// How long one turn is.
const TURN: Duration = Duration::from_millis(600);
/// Records that are made for one turn, which ends when they are in: 64 MiB.
const MADE_COUNT: u64 = 65_536;
/// Bytes of a frame beside leaf and evidence.
const FRAME_BYTES: usize = 28;
/// Where a bare loop begins again, bytes: a segment.
const BARE_BYTES: u64 = 64 << 20;

/// Appends beside the bare loop.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// Appends per second of [`WRITERS`] tasks.
    pub per_second: f64,
    /// The same to [`WRITERS`] times the bare loop's syncs per second with so many records; median of the turns.
    pub share: f64,
    /// The same where the bare loop overwrites.
    pub share_of_overwriting: f64,
    /// Half of one task's appends took at most this, µs.
    pub one_p50_us: f64,
    /// 99 of 100 of one task's appends took at most this, µs.
    pub one_p99_us: f64,
    /// The same of one bare write and fdatasync of one record, overwriting, µs.
    pub bare_p50_us: f64,
    /// 99 of 100 bare ones took at most this, µs.
    pub bare_p99_us: f64,
}

/// One turn.
struct Turn {
    times_us: Histogram<u64>,
    per_second: f64,
}

impl Turn {
    fn of(times_us: Histogram<u64>, elapsed: Duration) -> Self {
        let per_second = number(times_us.len()) / elapsed.as_secs_f64();
        Self { times_us, per_second }
    }
}

/// Measures both in turns.
///
/// # Errors
/// Those of the log and of the disk.
pub async fn beside(log: &MessageLog, maker: &Maker, dir: &Path) -> anyhow::Result<Beside> {
    let frame = |record| -> anyhow::Result<usize> {
        let entry = maker.entry(record)?;
        Ok(FRAME_BYTES + entry.leaf.len() + entry.attachment.len())
    };
    let batch_bytes = (0..WRITERS).map(frame).sum::<anyhow::Result<usize>>()?;
    let (growing, ready) = (dir.join("bare-growing"), dir.join("bare-ready"));
    let mut overwriting = Bare::overwriting(&ready)?;
    let (mut shares, mut shares_of_overwriting) = (Vec::new(), Vec::new());
    let mut rates = Vec::new();
    let (mut one, mut bare_one) = (histogram()?, histogram()?);
    for _ in 0..ROUNDS {
        let appending = Bare::appending(&growing)?.turn(batch_bytes)?;
        let busy = appends(log, maker, WRITERS).await?;
        let overwritten = overwriting.turn(batch_bytes)?;
        shares.push(busy.per_second / (appending.per_second * number(WRITERS)));
        let limit = overwritten.per_second * number(WRITERS);
        shares_of_overwriting.push(busy.per_second / limit);
        rates.push(busy.per_second);
        bare_one.add(overwriting.turn(frame(1)?)?.times_us)?;
        one.add(appends(log, maker, 1).await?.times_us)?;
    }
    std::fs::remove_file(growing)?;
    std::fs::remove_file(ready)?;
    let us = |times: &Histogram<u64>, share| number(times.value_at_quantile(share));
    Ok(Beside {
        per_second: median(rates.into_iter()),
        share: median(shares.into_iter()),
        share_of_overwriting: median(shares_of_overwriting.into_iter()),
        one_p50_us: us(&one, 0.5),
        one_p99_us: us(&one, 0.99),
        bare_p50_us: us(&bare_one, 0.5),
        bare_p99_us: us(&bare_one, 0.99),
    })
}

/// So many tasks append, each one record after the other, for one turn or until all that were made are in.
async fn appends(log: &MessageLog, maker: &Maker, tasks: u64) -> anyhow::Result<Turn> {
    let first = log.size();
    let made = (first..first + MADE_COUNT).map(|record| maker.entry(record));
    let made: Arc<[Entry]> = made.collect::<anyhow::Result<_>>()?;
    let next = Arc::new(AtomicUsize::new(0));
    let clock = Clock::machine();
    let watch = clock.stopwatch();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (log, made, next, clock) = (log.clone(), made.clone(), next.clone(), clock.clone());
        running.spawn(async move {
            let mut times_us = histogram()?;
            while watch.elapsed() < TURN
                && let Some(entry) = made.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let appended = clock.stopwatch();
                log.append(entry.clone()).await?;
                times_us.saturating_record(appended.elapsed_us());
            }
            anyhow::Ok(times_us)
        });
    }
    let mut times_us = histogram()?;
    while let Some(ended) = running.join_next().await {
        times_us.add(ended??)?;
    }
    Ok(Turn::of(times_us, watch.elapsed()))
}

/// The file of the bare loop.
struct Bare {
    file: File,
    at: u64,
}

impl Bare {
    /// A loop that appends to an empty file.
    fn appending(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path)?, at: 0 })
    }

    /// A loop that overwrites a file that lies ready.
    fn overwriting(path: &Path) -> std::io::Result<Self> {
        let mut file = File::create(path)?;
        let zeros = vec![0; 1 << 20];
        for _ in 0..BARE_BYTES >> 20 {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        file.rewind()?;
        Ok(Self { file, at: 0 })
    }

    fn turn(&mut self, bytes: usize) -> anyhow::Result<Turn> {
        let clock = Clock::machine();
        let (watch, mut times_us) = (clock.stopwatch(), histogram()?);
        let buffer = vec![0x5a; bytes];
        let length = u64::try_from(bytes)?;
        while watch.elapsed() < TURN {
            let synced = clock.stopwatch();
            if self.at + length > BARE_BYTES {
                self.at = 0;
                self.file.seek(SeekFrom::Start(0))?;
            }
            self.file.write_all(&buffer)?;
            self.file.sync_data()?;
            self.at += length;
            times_us.saturating_record(synced.elapsed_us());
        }
        Ok(Turn::of(times_us, watch.elapsed()))
    }
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}
