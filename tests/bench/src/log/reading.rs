//! Searches, proofs and the audit of a log that is open; the check of one that is closed.

use hdrhistogram::Histogram;
use hub_messagelog::check::{CheckOptions, check};
use hub_messagelog::{IndexKey, IndexKind, MessageLog, Query, StoredRecord};
use schemas::clock::Clock;
use schemas::record::Record;

use super::arguments::Evidence;
use super::open::{Place, cpu};
use super::records::{Maker, exchange_id, random, time};
use crate::figures::number;

/// Length of the stretch that a search by time asks for, ms: a minute, 3 000 records.
const STRETCH_MS: u64 = 60_000;
/// An exchange that no record is of.
const NO_EXCHANGE: u64 = 1 << 40;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The two records of an exchange.
    Exchange,
    /// All records about a person.
    Subject,
    /// The newest thousand of a minute.
    Time,
    /// The newest hundred of a client in a minute.
    ClientInTime,
    /// An exchange that is not there.
    Absent,
}

/// All kinds.
pub const SEARCHES: [Search; 5] =
    [Search::Exchange, Search::Subject, Search::Time, Search::ClientInTime, Search::Absent];

/// How long something took, ms.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Half of them at most.
    pub p50_ms: f64,
    /// 99 of 100 of them at most.
    pub p99_ms: f64,
}

impl Search {
    /// The query about a random exchange of a log of so many records, and the fewest answers it must have.
    fn query(self, maker: &Maker, exchange: u64) -> (Query, usize) {
        let by = |kind, value| Query::by_key(IndexKey::new(kind, value));
        let from = time(exchange * 2);
        let to = from.plus(std::time::Duration::from_millis(STRETCH_MS));
        match self {
            Self::Exchange => (by(IndexKind::Exchange, exchange_id(exchange)), 2),
            Self::Subject => (by(IndexKind::Subject, maker.subject(exchange).as_str().into()), 1),
            Self::Time => (Query { from, to, ..Query::all() }, 2),
            Self::ClientInTime => {
                let client = by(IndexKind::Client, "UZ/GOV/NASP/register".to_owned());
                (Query { from, to, limit: 100, ..client }, 2)
            }
            Self::Absent => (by(IndexKind::Exchange, exchange_id(NO_EXCHANGE + exchange)), 0),
        }
    }
}

/// Searches `count` times for something random.
///
/// # Errors
/// Those of the log; an answer that is not whole.
pub fn search(
    log: &MessageLog,
    maker: &Maker,
    search: Search,
    rounds: std::ops::Range<u64>,
) -> anyhow::Result<Took> {
    let clock = Clock::machine();
    let exchanges = log.indexed() / 2;
    timed(rounds, |round| {
        let (query, least) = search.query(maker, random(round, 8) % exchanges.max(1));
        let watch = clock.stopwatch();
        let found = log.find(&query)?;
        let elapsed_us = watch.elapsed_us();
        anyhow::ensure!(found.len() >= least, "{search:?} found {} records", found.len());
        anyhow::ensure!(least > 0 || found.is_empty(), "{search:?} found what is not there");
        Ok(elapsed_us)
    })
}

/// Inclusion proofs of random records, and consistency proofs of random sizes, in the published tree.
///
/// # Errors
/// Those of the log.
pub fn proofs(log: &MessageLog, count: u64) -> anyhow::Result<[Took; 2]> {
    let clock = Clock::machine();
    let size = log.published_size();
    let inclusion = timed(0..count, |round| {
        let watch = clock.stopwatch();
        log.inclusion_proof(random(round, 9) % size, size)?;
        Ok(watch.elapsed_us())
    })?;
    let consistency = timed(0..count, |round| {
        let watch = clock.stopwatch();
        log.consistency_proof(1 + random(round, 10) % size, size)?;
        Ok(watch.elapsed_us())
    })?;
    Ok([inclusion, consistency])
}

/// Audits the whole log; gives records per second, and per second of CPU time.
///
/// # Errors
/// Those of the audit.
pub fn audit(log: &MessageLog) -> anyhow::Result<[f64; 2]> {
    let (watch, before) = (Clock::machine().stopwatch(), cpu()?);
    let records = number(log.audit()?);
    let core_s = cpu()?.saturating_sub(before).as_secs_f64();
    Ok([records / watch.elapsed().as_secs_f64(), records / core_s.max(0.01)])
}

/// Checks the closed log as `koprik log check` does, on one thread; gives records per second, and per second of
/// CPU time.
///
/// # Errors
/// Those of the check; a log that is not good.
pub fn check_closed(place: &Place) -> anyhow::Result<[f64; 2]> {
    let record = match place.evidence() {
        Evidence::Kept => hub_server::check_stored,
        Evidence::LeftOut => whole_leaf,
    };
    let (dir, verifier) = (place.dir().to_owned(), Some(place.verifier()?));
    let options = CheckOptions { dir, verifier, record, threads: 1 };
    let (watch, before) = (Clock::machine().stopwatch(), cpu()?);
    let report = check(&options, |_| ())?;
    anyhow::ensure!(report.is_good(), "the log is not good: {:?}", report.findings.named());
    let records = number(report.records);
    let core_s = cpu()?.saturating_sub(before).as_secs_f64();
    Ok([records / watch.elapsed().as_secs_f64(), records / core_s.max(0.01)])
}

/// Records without the evidence that they commit to.
fn whole_leaf(stored: &StoredRecord) -> Result<(), String> {
    Record::evidence_of(&stored.leaf).map(|_| ()).map_err(|cause| cause.to_string())
}

fn timed(
    rounds: std::ops::Range<u64>,
    mut once_us: impl FnMut(u64) -> anyhow::Result<u64>,
) -> anyhow::Result<Took> {
    let mut times_us: Histogram<u64> = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    for round in rounds {
        times_us.saturating_record(once_us(round)?);
    }
    let ms = |share| number(times_us.value_at_quantile(share)) / 1000.0;
    Ok(Took { p50_ms: ms(0.5), p99_ms: ms(0.99) })
}
