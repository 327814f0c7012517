//! A query on its way through the index: which records each run, and the newest ones in memory, add to the answer.

use std::ops::Range;

use schemas::clock::UnixMillis;

use super::run::{Columns, Run, Span};
use super::store::{ANSWERS_MAX_COUNT, IndexFault, Tail};
use super::{KeyDigest, Order, Query};

/// A query on its way through the runs.
pub(crate) struct Search<'a> {
    query: &'a Query,
    key: Option<KeyDigest>,
    limit: usize,
    pub(crate) found: Vec<u64>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(query: &'a Query) -> Self {
        let key = query.key.as_ref().map(|key| KeyDigest::of(key.kind, &key.value));
        let limit = query.limit.min(ANSWERS_MAX_COUNT);
        Self { query, key, limit, found: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    fn is_wanted(&self, time: UnixMillis) -> bool {
        (self.query.from..=self.query.to).contains(&time)
    }

    fn overlaps(&self, span: &Span) -> bool {
        span.earliest <= self.query.to && span.latest >= self.query.from
    }

    fn is_within(&self, span: &Span) -> bool {
        self.is_wanted(span.earliest) && self.is_wanted(span.latest)
    }

    /// Takes from the newest records what is asked for.
    pub(crate) fn tail(&mut self, tail: &Tail) {
        let mut records: Vec<u32> = match self.key {
            None => (0..tail.count()).collect(),
            Some(wanted) => {
                let same = tail.keys.iter().filter(|(key, _)| *key == wanted);
                same.map(|(_, record)| *record).collect()
            }
        };
        records.dedup();
        if self.query.order == Order::NewestFirst {
            records.reverse();
        }
        for record in records {
            let index = tail.first + u64::from(record);
            let time = usize::try_from(record).ok().and_then(|place| tail.times.get(place));
            let wanted = time.is_some_and(|time| self.is_wanted(*time));
            if !self.is_full() && wanted && self.query.within.contains(&index) {
                self.found.push(index);
            }
        }
    }

    /// Takes from a run what is asked for.
    pub(crate) fn run(&mut self, run: &Run) -> Result<(), IndexFault> {
        let spans = &run.head.spans;
        let overlap = |span: &Span| self.overlaps(span);
        let (Some(from), Some(to)) =
            (spans.iter().position(overlap), spans.iter().rposition(overlap))
        else {
            return Ok(());
        };
        if self.is_full() {
            return Ok(());
        }
        let first_of = |block: usize| {
            let block = u32::try_from(block).unwrap_or(u32::MAX);
            block.saturating_mul(run.head.block_count).min(run.head.count)
        };
        let place_of = |index: u64| {
            let place = index.saturating_sub(run.head.first).min(u64::from(run.head.count));
            u32::try_from(place).unwrap_or(u32::MAX)
        };
        let Range { start, end } = &self.query.within;
        let (from, to) =
            (first_of(from).max(place_of(*start)), first_of(to + 1).min(place_of(*end)));
        if from >= to {
            return Ok(());
        }
        let mut columns = run.columns();
        let Some(key) = self.key else {
            return self.take(from..to, run, &mut columns, |_, record| Ok(record));
        };
        let Some(place) = run.find(&mut columns, key)? else { return Ok(()) };
        let low = run.position(&mut columns, place, from)?;
        let high = run.position(&mut columns, place, to)?;
        self.take(low..high, run, &mut columns, |columns, position| {
            run.record(columns, place, position)
        })
    }

    /// Takes the records at these positions that have a time asked for, until there are enough.
    fn take(
        &mut self,
        mut positions: Range<u32>,
        run: &Run,
        columns: &mut Columns,
        record_at: impl Fn(&mut Columns, u32) -> Result<u32, IndexFault>,
    ) -> Result<(), IndexFault> {
        while !self.is_full() {
            let next = match self.query.order {
                Order::NewestFirst => positions.next_back(),
                Order::OldestFirst => positions.next(),
            };
            let Some(position) = next else { break };
            let record = record_at(columns, position)?;
            let block = usize::try_from(record / run.head.block_count.max(1)).ok();
            let span = block.and_then(|block| run.head.spans.get(block));
            let span = span.ok_or(IndexFault::Unreadable)?;
            if self.is_within(span)
                || (self.overlaps(span) && self.is_wanted(run.time(columns, record)?))
            {
                self.found.push(run.head.first + u64::from(record));
            }
        }
        Ok(())
    }
}
