//! Makes one large run of the small ones that it covers, a little at a time: queries are answered in between.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;

use super::KeyDigest;
use super::run::{Columns, Extent, Run, RunWriter};
use super::store::IndexFault;
use crate::disk::Disk;

/// Cells that one step reads at least: about five milliseconds.
const STEP_CELLS: u64 = 32_768;

/// Whether a merge is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do.
    More,
    /// [`Merge::end`] is next.
    Last,
}

/// A large run that is being made.
pub(crate) struct Merge {
    sources: Vec<Source>,
    /// The next key of each source that has one.
    heads: BinaryHeap<Reverse<(KeyDigest, usize)>>,
    writer: RunWriter,
    /// Sources whose times have been copied.
    timed_count: usize,
    records: Vec<u32>,
}

struct Source {
    run: Arc<Run>,
    columns: Columns,
    /// Records before this run in the large one.
    shift: u32,
    next: u64,
}

impl Source {
    fn key(&mut self) -> Result<Option<KeyDigest>, IndexFault> {
        if self.next >= u64::from(self.run.keys_count()) {
            return Ok(None);
        }
        Ok(Some(self.run.key(&mut self.columns, self.next)?.0))
    }

    /// Takes the records of the next key; gives the cells that were read.
    fn take(&mut self, records: &mut Vec<u32>) -> Result<u64, IndexFault> {
        let (_, place) = self.run.key(&mut self.columns, self.next)?;
        self.next += 1;
        for position in 0..place.count() {
            let record = self.run.record(&mut self.columns, place, position)?;
            records.push(record.checked_add(self.shift).ok_or(IndexFault::Unreadable)?);
        }
        Ok(u64::from(place.count()))
    }
}

impl Merge {
    /// Begins the run at `path` from runs that follow each other.
    pub(crate) fn begin(
        disk: &Arc<dyn Disk>,
        path: PathBuf,
        runs: &[Arc<Run>],
    ) -> Result<Self, IndexFault> {
        let head = runs.first().map(|run| &run.head).ok_or(IndexFault::Unreadable)?;
        let (first, block_count) = (head.first, head.block_count);
        let (mut sources, mut heads, mut keys_most) = (Vec::new(), BinaryHeap::new(), 0);
        let mut shift = 0_u32;
        for (place, run) in runs.iter().enumerate() {
            let mut source = Source { run: run.clone(), columns: run.columns(), shift, next: 0 };
            if let Some(key) = source.key()? {
                heads.push(Reverse((key, place)));
            }
            sources.push(source);
            shift = shift.checked_add(run.head.count).ok_or(IndexFault::Unreadable)?;
            keys_most += u64::from(run.keys_count());
        }
        let extent = Extent { first, count: shift, block_count, keys_most };
        let writer = RunWriter::create(disk, path, extent)?;
        Ok(Self { sources, heads, writer, timed_count: 0, records: Vec::new() })
    }

    /// Does a little more.
    pub(crate) fn step(&mut self) -> Result<Step, IndexFault> {
        if let Some(source) = self.sources.get_mut(self.timed_count) {
            for record in 0..source.run.head.count {
                self.writer.time(source.run.time(&mut source.columns, record)?)?;
            }
            self.timed_count += 1;
            return Ok(Step::More);
        }
        let mut cells = 0;
        while cells < STEP_CELLS {
            let Some(Reverse((key, _))) = self.heads.peek().copied() else {
                return Ok(Step::Last);
            };
            self.records.clear();
            // Equal keys come in the order of their runs, so records stay ascending.
            while let Some(Reverse((same, place))) = self.heads.peek().copied()
                && same == key
            {
                self.heads.pop();
                let Some(source) = self.sources.get_mut(place) else { continue };
                cells += source.take(&mut self.records)?;
                if let Some(next) = source.key()? {
                    self.heads.push(Reverse((next, place)));
                }
            }
            self.writer.key(key, &self.records)?;
        }
        self.writer.settle()?;
        Ok(Step::More)
    }

    /// Makes the large run durable and opens it.
    pub(crate) fn end(self) -> Result<Run, IndexFault> {
        let spans = self.sources.iter().flat_map(|source| source.run.head.spans.clone()).collect();
        let last = self.sources.last().ok_or(IndexFault::Unreadable)?;
        self.writer.end(last.run.head.last_leaf, spans)
    }
}
