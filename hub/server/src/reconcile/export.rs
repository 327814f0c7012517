//! The export of one side, from a hub that runs or from its log's directory.

use std::io::{self, Write};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query as UrlQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use hub_messagelog::{LogError, MessageLog, Order, Query, scan_stopped};
use schemas::clock::UnixMillis;
use schemas::identifier::MemberId;
use schemas::reconcile::{Between, End, FORM, Header, Line, margin};
use schemas::record::Record;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::admin::{Fault, blocking};
use crate::state::Hub;

/// Bytes that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that may wait for a slow reader.
const CHUNKS_COUNT: usize = 4;

/// Which exchanges.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Between whom.
    pub between: Between,
    /// First moment, inclusive.
    pub from: UnixMillis,
    /// End, exclusive.
    pub to: UnixMillis,
}

/// Turns records into the lines of an export.
struct Exporter<W> {
    asked: Asked,
    before: UnixMillis,
    lines: u64,
    to: W,
}

impl<W: Write> Exporter<W> {
    fn begin(asked: Asked, log: &str, made: UnixMillis, to: W) -> io::Result<Self> {
        let mut exporter = Self { asked, before: UnixMillis(0), lines: 0, to };
        let Asked { between, from, to } = exporter.asked.clone();
        let Between { member, peer } = between;
        let (form, log) = (FORM.to_owned(), log.to_owned());
        exporter.write(&Header { form, from, log, made, member, peer, to })?;
        Ok(exporter)
    }

    /// Takes the next record of the log.
    fn take(&mut self, index: u64, leaf: &[u8]) -> ControlFlow<io::Result<()>> {
        let Ok(record) = Record::from_leaf(leaf) else {
            let text = format!("record {index} is not in canonical form; run `koprik log check`");
            return ControlFlow::Break(Err(io::Error::other(text)));
        };
        let Asked { between, from, to } = &self.asked;
        let (first, end) = (from.minus(margin()), to.plus(margin()));
        let before = std::mem::replace(&mut self.before, record.time);
        if record.time < first || record.time >= end {
            return ControlFlow::Continue(());
        }
        let Some(line) = Line::of(&record, index, before, between) else {
            return ControlFlow::Continue(());
        };
        self.lines += 1;
        match self.write(&line) {
            Ok(()) => ControlFlow::Continue(()),
            failed => ControlFlow::Break(failed),
        }
    }

    fn end(mut self) -> io::Result<()> {
        let end = End { lines: self.lines };
        self.write(&end)?;
        self.to.flush()
    }

    fn write(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, line)?;
        self.to.write_all(b"\n")
    }
}

/// Writes the export from the directory of a log whose hub is stopped, or from a copy.
///
/// # Errors
/// The log is in use or damaged; the file cannot be written.
pub fn export_stopped(
    dir: &Path,
    log: &str,
    made: UnixMillis,
    asked: Asked,
    to: impl Write,
) -> io::Result<()> {
    let mut exporter = Exporter::begin(asked, log, made, to)?;
    let mut failed = Ok(());
    let scanned = scan_stopped(dir, |index, stored| match exporter.take(index, &stored.leaf) {
        ControlFlow::Continue(()) => ControlFlow::Continue(()),
        ControlFlow::Break(ended) => {
            failed = ended;
            ControlFlow::Break(())
        }
    });
    scanned.map_err(io::Error::other)?;
    failed?;
    exporter.end()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// The owner of the server when left out.
    member: Option<MemberId>,
    peer: MemberId,
    from: String,
    to: String,
}

/// `GET /v1/reconcile?peer=…&from=…&to=…[&member=…]`: the export as a stream; one at a time.
pub(crate) async fn stream(
    State(hub): State<Arc<Hub>>,
    UrlQuery(question): UrlQuery<Question>,
) -> Result<Response, Fault> {
    let bad = |text: &str| Fault(StatusCode::BAD_REQUEST, text.to_owned());
    let moment = |text: &str| UnixMillis::from_rfc3339(text);
    let (from, to) = moment(&question.from)
        .zip(moment(&question.to))
        .filter(|(from, to)| from < to)
        .ok_or_else(|| bad("from and to are RFC 3339, and from is before to"))?;
    let member = question.member.unwrap_or_else(|| hub.server.owner());
    let asked = Asked { between: Between { member, peer: question.peer }, from, to };
    let place = hub.export_places.clone().try_acquire_owned().map_err(|_| {
        let text = "another export is being made; ask again when it has ended";
        Fault(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
    })?;
    hub.journal.act("reconciliation-exported").await?;
    let log = hub.journal.log.clone();
    let made = hub.clock.now();
    let records = records_of(&log, &asked).await?;
    let (give, chunks) = mpsc::channel(CHUNKS_COUNT);
    let reading = tokio::task::spawn_blocking(move || {
        let _place = place;
        let chunked = Chunked { chunk: Vec::with_capacity(CHUNK_BYTES), give };
        read(&log, records, made, asked, chunked)
    });
    // The stream owns the reader: it ends with it, and passes its failure on as a broken body.
    let state = (chunks, Some(reading));
    let body = stream::unfold(state, async |(mut chunks, reading)| {
        if let Some(chunk) = chunks.recv().await {
            return Some((Ok(chunk), (chunks, reading)));
        }
        match reading?.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "an export for reconciliation broke off");
                Some((Err(error), (chunks, None)))
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((kind, Body::from_stream(body)).into_response())
}

/// From the first record of the period, and one more, which dates the gap before a start, to its last. Times do not
/// ascend where exchanges overlap or a clock was set, so the index says which these are.
async fn records_of(log: &MessageLog, asked: &Asked) -> Result<Range<u64>, Fault> {
    if let Some(last) = log.size().checked_sub(1) {
        log.wait_indexed(last).await?;
    }
    let (from, to) = (asked.from.minus(margin()), asked.to.plus(margin()));
    let newest = Query { from, to, limit: 1, ..Query::all() };
    let oldest = Query { order: Order::OldestFirst, ..newest.clone() };
    let log = log.clone();
    let found = blocking(move || Ok([log.find(&oldest)?, log.find(&newest)?])).await?;
    let [first, last] = found.map(|found| found.first().copied());
    Ok(first.zip(last).map_or(0..0, |(first, last)| first.saturating_sub(1)..last + 1))
}

fn read(
    log: &MessageLog,
    records: Range<u64>,
    made: UnixMillis,
    asked: Asked,
    to: impl Write,
) -> io::Result<()> {
    let mut exporter = Exporter::begin(asked, log.origin(), made, to)?;
    let mut failed = Ok(());
    let scanned: Result<(), LogError> = log.scan(records.start, |index, stored| {
        if index >= records.end {
            return ControlFlow::Break(());
        }
        match exporter.take(index, &stored.leaf) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(ended) => {
                failed = ended;
                ControlFlow::Break(())
            }
        }
    });
    scanned.map_err(io::Error::other)?;
    failed?;
    exporter.end()
}

/// Writes into a channel, a chunk at a time; waits while the reader is slow, ends when it is gone.
struct Chunked {
    chunk: Vec<u8>,
    give: mpsc::Sender<Bytes>,
}

impl Write for Chunked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone away");
        self.give.blocking_send(chunk).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{journal, request};

    /// A machine that starts with its clock two days ahead, and is put right, writes such a record.
    #[tokio::test]
    async fn a_record_of_another_time_ends_no_export() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        let from = request().time;
        let after = move |seconds| from.plus(std::time::Duration::from_secs(seconds));
        let times =
            [after(10), after(2 * 86_400), after(20), UnixMillis(5), after(30), after(40_000)];
        for time in times {
            let mut record = request();
            record.time = time;
            journal.submit(&mut record, None).await.unwrap();
        }
        let between =
            Between { member: "UZ/GOV/TAX".parse().unwrap(), peer: "UZ/GOV/NASP".parse().unwrap() };
        let asked = Asked { between, from, to: after(3_600) };
        let indexes = |export: &[u8]| -> Vec<u64> {
            let lines = String::from_utf8_lossy(export).into_owned();
            let lines = lines.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
            lines.map(|line| line.index).collect()
        };
        let records = records_of(&journal.log, &asked).await.unwrap();
        assert_eq!(records, 0..5);
        let (log, question) = (journal.log.clone(), asked.clone());
        let running = tokio::task::spawn_blocking(move || {
            let mut export = Vec::new();
            read(&log, records, after(3_600), question, &mut export).unwrap();
            export
        });
        let running = running.await.unwrap();
        assert_eq!(indexes(&running), [0, 2, 4]);
        journal.log.close().await;
        drop(journal);
        let mut stopped = Vec::new();
        let folder = dir.path().join("log");
        export_stopped(&folder, "koprik/test", after(3_600), asked, &mut stopped).unwrap();
        assert_eq!(indexes(&stopped), [0, 2, 4]);
    }
}
