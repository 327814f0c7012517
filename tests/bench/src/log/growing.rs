//! Lets the log grow as fast as it takes records, and says what that costs.

use hub_messagelog::MessageLog;
use schemas::clock::Clock;

use super::open::cpu;
use super::records::Maker;
use crate::figures::number;
use crate::process::cpu_of_threads;

/// Records that are under way at once.
const AT_ONCE_COUNT: u64 = 1_024;
/// Records that are made to see what making them costs.
const MADE_COUNT: u64 = 100_000;

/// What growing has cost.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Records per second, until all are durable, indexed and published.
    pub per_second: f64,
    /// CPU time of the whole process for one record, without what making it costs, µs.
    pub cpu_us: f64,
    /// CPU time of the index's thread for one record, µs.
    pub index_us: f64,
}

/// As hub-messagelog names it.
const INDEX_THREAD: &str = "log-indexer";

/// Lets the log grow to `size` records, and waits until they are indexed and covered by a checkpoint.
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
    let records = number(log.size().saturating_sub(before)).max(1.0);
    let spent_us = cpu()?.saturating_sub(cpu_before).as_secs_f64() * 1e6;
    let index = cpu_of_threads(INDEX_THREAD)?.saturating_sub(index_before);
    Ok(Growth {
        per_second: records / watch.elapsed().as_secs_f64(),
        cpu_us: spent_us / records - making_us(maker)?,
        index_us: index.as_secs_f64() * 1e6 / records,
    })
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
