//! Lines in the order of their exchanges, with bounded memory: sorted runs in unlinked files, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};

use schemas::digest::Sha256;
use schemas::reconcile::Line;

/// Lines that are sorted in memory; about 60 MiB.
pub(super) const RUN_LINES_COUNT: usize = 100_000;
/// Runs at most, each an open file: fifty million lines.
const RUNS_COUNT: usize = 500;

/// Gathers lines.
pub(super) struct Sorter {
    run_lines: usize,
    held: Vec<(Sha256, Line)>,
    runs: Vec<File>,
}

impl Sorter {
    pub(super) fn new(run_lines: usize) -> Self {
        Self { run_lines, held: Vec::new(), runs: Vec::new() }
    }

    /// Adds a line of an exchange.
    pub(super) fn push(&mut self, exchange: Sha256, line: Line) -> io::Result<()> {
        self.held.push((exchange, line));
        if self.held.len() >= self.run_lines { self.write_run() } else { Ok(()) }
    }

    fn write_run(&mut self) -> io::Result<()> {
        if self.runs.len() >= RUNS_COUNT {
            return Err(io::Error::other("the exports are too long; compare a shorter period"));
        }
        let mut held = std::mem::take(&mut self.held);
        held.sort_unstable_by_key(|(exchange, _)| *exchange);
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for (_, line) in &held {
            serde_json::to_writer(&mut file, line)?;
            file.write_all(b"\n")?;
        }
        let mut file = file.into_inner()?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// The lines, those of one exchange together.
    pub(super) fn finish(mut self) -> io::Result<Merged> {
        self.held.sort_unstable_by_key(|(exchange, _)| *exchange);
        let runs = self.runs.into_iter().map(BufReader::new).collect();
        let mut merged = Merged { runs, held: self.held.into_iter(), next: BinaryHeap::new() };
        for run in 0..=merged.runs.len() {
            merged.refill(run)?;
        }
        Ok(merged)
    }
}

/// The merge: the next line of each run, the smallest first.
pub(super) struct Merged {
    runs: Vec<BufReader<File>>,
    held: std::vec::IntoIter<(Sha256, Line)>,
    next: BinaryHeap<Reverse<Head>>,
}

/// The next line of a run; what is in memory is the last run.
struct Head {
    exchange: Sha256,
    run: usize,
    line: Line,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.exchange, self.run).cmp(&(other.exchange, other.run))
    }
}

impl Merged {
    /// The next line.
    pub(super) fn next(&mut self) -> io::Result<Option<(Sha256, Line)>> {
        let Some(Reverse(Head { exchange, run, line })) = self.next.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some((exchange, line)))
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let next = match self.runs.get_mut(run) {
            None => self.held.next(),
            Some(file) => {
                let mut text = String::new();
                file.read_line(&mut text)?;
                let line = (!text.is_empty()).then(|| serde_json::from_str::<Line>(&text));
                let line = line.transpose()?;
                line.and_then(|line| Some((line.exchange?, line)))
            }
        };
        if let Some((exchange, line)) = next {
            self.next.push(Reverse(Head { exchange, run, line }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use schemas::clock::UnixMillis;
    use schemas::reconcile::Said;
    use schemas::record::Side;

    use super::*;

    #[test]
    fn lines_of_one_exchange_come_together_however_many_runs_there_are() {
        for (count, run_lines) in [(0_u64, 10), (5, 10), (10, 10), (1003, 10), (1003, 1003)] {
            let mut sorter = Sorter::new(run_lines);
            for index in 0..count {
                // Each exchange has three lines, far apart.
                let exchange = Sha256::of(&(index % count.div_ceil(3)).to_be_bytes());
                let line = Line {
                    before: None,
                    body: None,
                    consumer: None,
                    exchange: Some(exchange),
                    index,
                    outcome: "ok".to_owned(),
                    said: Said::Request,
                    service: None,
                    side: Side::Consumer,
                    signed: None,
                    time: UnixMillis(index),
                };
                sorter.push(exchange, line).unwrap();
            }
            let mut merged = sorter.finish().unwrap();
            let (mut seen, mut last) = (Vec::new(), None);
            while let Some((exchange, line)) = merged.next().unwrap() {
                assert!(last <= Some(exchange), "{count} lines in runs of {run_lines}");
                last = Some(exchange);
                seen.push(line.index);
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count));
        }
    }
}
