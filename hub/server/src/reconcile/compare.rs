//! The comparison of both sides' exports, with bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use hub_core::reconcile::{Cause, Exchange, Gap, Verdict};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::identifier::MemberId;
use schemas::limits::{EXPORT_LINE_MAX_BYTES, EXPORT_STARTS_MAX_COUNT};
use schemas::reconcile::{End, FORM, Header, Line, Said, margin};
use serde::de::DeserializeOwned;

use super::sorted::{RUN_LINES_COUNT, Sorter};

/// Exchanges that a report lists for each of explained and unexplained; all are counted.
const ITEMS_COUNT: usize = 1000;

/// Exports that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct CompareError {
    /// The export.
    pub file: String,
    /// What is wrong, and what repairs it.
    pub reason: String,
}

/// An exchange on which the two logs differ.
#[derive(Clone, Debug)]
pub struct Item {
    /// SHA-256 of its id.
    pub exchange: Sha256,
    /// When it began.
    pub began: UnixMillis,
    /// Why they differ.
    pub cause: Cause,
    /// What both sides say of it.
    pub seen: Exchange,
}

/// The result.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The exports.
    pub headers: Vec<Header>,
    /// Exchanges that both have and that are equal.
    pub matched: u64,
    /// Exchanges that a record explains, by cause.
    pub explained: BTreeMap<Cause, u64>,
    /// Exchanges that nothing explains, by cause.
    pub unexplained: BTreeMap<Cause, u64>,
    /// Those that nothing explains, then those that a record explains; at most a thousand of each.
    pub items: Vec<Item>,
    /// Exchanges too new to be judged: the other side may not have recorded them yet.
    pub open: u64,
    /// Exchanges that lie outside the period, read to find the other half of those within.
    pub outside: u64,
    /// Most milliseconds between the two sides' request records: travel and clock difference.
    pub apart_ms: u64,
}

impl Report {
    /// Whether nothing is left to look into: neither unexplained, nor too new.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unexplained.is_empty() && self.open == 0
    }
}

/// Compares exports of both sides.
///
/// # Errors
/// An export is cut or of another form; they are not of one period and of two sides.
pub fn compare(files: &[PathBuf]) -> Result<Report, CompareError> {
    let mut gathered = Gathered { sorter: Sorter::new(RUN_LINES_COUNT), gaps: HashMap::new() };
    let mut headers = Vec::new();
    for file in files {
        let failed = |reason: String| CompareError { file: file.display().to_string(), reason };
        headers.push(gathered.read(file).map_err(|cause| failed(cause.to_string()))?);
    }
    check_pairs(&headers, files)?;
    let judged = gathered.judge(headers);
    judged.map_err(|cause| CompareError { file: "merging".to_owned(), reason: cause.to_string() })
}

/// Each export needs one of the other side, of the same period.
fn check_pairs(headers: &[Header], files: &[PathBuf]) -> Result<(), CompareError> {
    for (header, file) in headers.iter().zip(files) {
        let failed = |reason: String| CompareError { file: file.display().to_string(), reason };
        let Header { from, to, member, peer, .. } = header;
        if headers.iter().any(|other| (other.from, other.to) != (*from, *to)) {
            return Err(failed("export both sides for the same period".to_owned()));
        }
        if !headers.iter().any(|other| other.member == *peer && other.peer == *member) {
            return Err(failed(format!(
                "it needs the other side: an export of {peer} about {member}"
            )));
        }
        let twice =
            headers.iter().filter(|other| (&other.log, &other.member) == (&header.log, member));
        if twice.count() > 1 {
            return Err(failed("the same log is given twice".to_owned()));
        }
    }
    Ok(())
}

struct Gathered {
    sorter: Sorter,
    /// Gaps before starts, by the member whose hub started.
    gaps: HashMap<MemberId, Vec<Gap>>,
}

impl Gathered {
    fn read(&mut self, path: &Path) -> io::Result<Header> {
        let mut lines = Lines { file: BufReader::new(File::open(path)?), count: 0 };
        let other = |text: String| io::Error::other(text);
        let header: Header = lines.next("a header")?;
        if header.form != FORM {
            return Err(other(format!("its form is not {FORM}; export it with this release")));
        }
        if header.made < header.from {
            let text = "it says that it was made before its period began; set that hub's clock, and export again";
            return Err(other(text.to_owned()));
        }
        loop {
            let text = lines.text()?;
            if let Ok(end) = serde_json::from_slice::<End>(&text) {
                let said = lines.count.saturating_sub(2);
                if end.lines != said || !lines.file.fill_buf()?.is_empty() {
                    return Err(other("lines are missing or follow its end; export again".into()));
                }
                return Ok(header);
            }
            let line: Line = parse(&text, lines.count, "a record")?;
            match (line.said, line.exchange) {
                (Said::Start, _) => {
                    let gaps = self.gaps.entry(header.member.clone()).or_default();
                    if gaps.len() >= EXPORT_STARTS_MAX_COUNT {
                        return Err(other("too many starts; compare a shorter period".into()));
                    }
                    gaps.push(Gap { from: line.before.unwrap_or(line.time), to: line.time });
                }
                (_, Some(exchange)) => self.sorter.push(exchange, line)?,
                (_, None) => return Err(other(format!("line {} has no exchange", lines.count))),
            }
        }
    }

    fn judge(self, headers: Vec<Header>) -> io::Result<Report> {
        let made = headers.iter().map(|header| header.made).min().unwrap_or_default();
        let period = headers.first().map(|header| header.from..header.to).unwrap_or_default();
        let mut report = Report { headers, ..Report::default() };
        let mut explained = Vec::new();
        let mut merged = self.sorter.finish()?;
        let mut current: Option<(Sha256, Exchange)> = None;
        loop {
            let next = merged.next()?;
            let same = current.as_ref().map(|(id, _)| *id) == next.as_ref().map(|(id, _)| *id);
            if !same && let Some((id, exchange)) = current.take() {
                let gaps = exchange.consumer().and_then(|member| self.gaps.get(member));
                let gaps = gaps.map_or(&[][..], Vec::as_slice);
                report.add(id, exchange, (gaps, made), &mut explained);
            }
            let Some((id, line)) = next else { break };
            let new = || (id, Exchange::new(period.clone()));
            current.get_or_insert_with(new).1.add(&line);
        }
        report.items.append(&mut explained);
        Ok(report)
    }
}

impl Report {
    fn add(
        &mut self,
        exchange: Sha256,
        seen: Exchange,
        (gaps, made): (&[Gap], UnixMillis),
        explained: &mut Vec<Item>,
    ) {
        let Some(began) = seen.began() else { return };
        if !seen.is_within() {
            self.outside += 1;
            return;
        }
        let (cause, counts, items) = match seen.judge(gaps) {
            Verdict::Matched => {
                self.matched += 1;
                self.apart_ms = self.apart_ms.max(seen.apart_ms().unwrap_or_default());
                return;
            }
            _ if began.plus(margin()) > made => {
                self.open += 1;
                return;
            }
            Verdict::Explained(cause) => (cause, &mut self.explained, explained),
            Verdict::Unexplained(cause) => (cause, &mut self.unexplained, &mut self.items),
        };
        *counts.entry(cause).or_default() += 1;
        if items.len() < ITEMS_COUNT {
            items.push(Item { exchange, began, cause, seen });
        }
    }
}

/// The lines of an export, none longer than the limit.
struct Lines {
    file: BufReader<File>,
    count: u64,
}

impl Lines {
    fn text(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let limit = u64::try_from(EXPORT_LINE_MAX_BYTES).unwrap_or(u64::MAX);
        self.file.by_ref().take(limit).read_until(b'\n', &mut text)?;
        self.count += 1;
        match text.pop() {
            Some(b'\n') => Ok(text),
            None => Err(io::Error::other("it is cut: its last line is missing; export again")),
            Some(_) => Err(io::Error::other(format!("line {} is cut or too long", self.count))),
        }
    }

    fn next<T: DeserializeOwned>(&mut self, what: &str) -> io::Result<T> {
        let text = self.text()?;
        parse(&text, self.count, what)
    }
}

fn parse<T: DeserializeOwned>(text: &[u8], number: u64, what: &str) -> io::Result<T> {
    // The parser's own words may repeat what stands in the line.
    let failed = |_| io::Error::other(format!("line {number} is not {what} of {FORM}"));
    serde_json::from_slice(text).map_err(failed)
}
