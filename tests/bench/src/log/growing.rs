//! Lets the log grow as fast as it takes records, and says what that costs.

use hub_messagelog::MessageLog;
use schemas::clock::Clock;

use super::open::{Place, cpu};
use super::records::Maker;
use crate::figures::number;
use crate::process::cpu_of_threads;

/// Records that are under way at once.
const AT_ONCE_COUNT: u64 = 1_024;
/// Turns in which two logs grow beside each other.
const ROUNDS: u64 = 8;
/// Records of which the index merges its files, 64 of 16 384.
const MERGED_COUNT: u64 = 64 * 16_384;
/// Records that are made to see what making them costs.
const MADE_COUNT: u64 = 100_000;

/// What growing has cost.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Records per second, until all are durable, indexed and published.
    pub per_second: f64,
    /// From then until every sealed segment that can be is compact, seconds.
    pub compact_s: f64,
    /// CPU time of the whole process for one record up to then, without what making it costs, µs.
    pub cpu_us: f64,
    /// CPU time of the index's thread for one record, µs.
    pub index_us: f64,
}

/// As hub-messagelog names it.
const INDEX_THREAD: &str = "log-indexer";

/// Lets the log grow to `size` records, and waits until they are indexed, covered by a checkpoint, and compact
/// where they can be: a record has cost all of that.
///
/// # Errors
/// Those of the log.
pub async fn grow(log: &MessageLog, maker: &Maker, size: u64) -> anyhow::Result<Growth> {
    let before = log.size();
    let (watch, cpu_before) = (Clock::machine().stopwatch(), cpu()?);
    let index_before = cpu_of_threads(INDEX_THREAD)?;
    while log.size() < size {
        let until = size.min(log.size() + AT_ONCE_COUNT);
        let mut pending = Vec::new();
        for record in log.size()..until {
            pending.push(log.submit(maker.entry(record)?));
        }
        for receipt in pending {
            receipt.await?;
        }
    }
    follow(log).await?;
    let grown_s = watch.elapsed().as_secs_f64();
    log.wait_compact().await?;
    let records = number(log.size().saturating_sub(before)).max(1.0);
    let spent_us = cpu()?.saturating_sub(cpu_before).as_secs_f64() * 1e6;
    let index = cpu_of_threads(INDEX_THREAD)?.saturating_sub(index_before);
    Ok(Growth {
        per_second: records / grown_s,
        compact_s: watch.elapsed().as_secs_f64() - grown_s,
        cpu_us: spent_us / records - making_us(maker)?,
        index_us: index.as_secs_f64() * 1e6 / records,
    })
}

/// What a record costs in this log to what it costs in one of a tenth as many records: the two grow in turns,
/// each by as many records as the index merges at once, so that the machine's moods are the same for both.
///
/// # Errors
/// Those of the logs.
pub async fn growth_to_a_tenth(
    log: &MessageLog,
    maker: &Maker,
    place: &Place,
) -> anyhow::Result<f64> {
    let root = place.root().join("tenth");
    std::fs::create_dir(&root)?;
    let tenth = Place::new(&root, place.evidence())?.open()?;
    grow(&tenth, maker, log.size() / 10).await?;
    let mut totals_us = [0.0; 2];
    for _ in 0..ROUNDS {
        for (total_us, log) in totals_us.iter_mut().zip([&tenth, log]) {
            *total_us += grow(log, maker, log.size() + MERGED_COUNT / ROUNDS).await?.cpu_us;
        }
    }
    tenth.close().await;
    std::fs::remove_dir_all(&root)?;
    let [tenth_us, whole_us] = totals_us;
    Ok(whole_us / tenth_us)
}

/// Waits until everything durable is indexed and covered by a checkpoint.
///
/// # Errors
/// Those of the log.
pub async fn follow(log: &MessageLog) -> anyhow::Result<()> {
    if let Some(last) = log.size().checked_sub(1) {
        log.wait_indexed(last).await?;
        log.checkpoint_covering(last).await?;
    }
    Ok(())
}

/// CPU time that making one record takes, µs.
fn making_us(maker: &Maker) -> anyhow::Result<f64> {
    let before = cpu()?;
    for record in 0..MADE_COUNT {
        std::hint::black_box(maker.entry(record)?);
    }
    Ok(cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / number(MADE_COUNT))
}
