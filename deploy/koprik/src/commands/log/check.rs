//! `koprik log check`: a log's directory read whole, offline. Exit code 0: everything holds; 1: something
//! is damaged; 2: it could not be checked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use hub_messagelog::check::{
    self, CheckOptions, Finding, Progress, Report, Root, Signature, Store,
};
use hub_messagelog::{LogError, StoredRecord};
use hub_server::check_stored;
use indicatif::{ProgressBar, ProgressStyle};
use schemas::clock::Clock;
use schemas::tlog::NoteVerifier;
use serde_json::{Value, json};

use crate::output;

/// Threads that read at most: more wait for the disk.
const THREADS_COUNT: usize = 16;

/// A check of a log's directory.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The log's directory, `log` below the hub's `data_dir`, or a copy. Its hub must be stopped.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The log's verifier key, `name+id+base64`: `log_key` in the global configuration. Without it
    /// the checkpoint's signature is not checked.
    #[arg(long, value_name = "VERIFIER")]
    key: Option<String>,
    /// The log is a central server's: its leaves are versions of the global configuration, not records.
    #[arg(long)]
    central: bool,
    /// Threads that read; as many as the machine has cores when left out.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
}

impl Check {
    pub(super) fn run(self, json: bool) -> ExitCode {
        output::judged("not checked", self.report(json))
    }

    fn report(self, json: bool) -> anyhow::Result<bool> {
        let verifier = self.key.as_deref().map(str::parse::<NoteVerifier>);
        let verifier = verifier.transpose().context("--key")?;
        if !self.dir.join("segments").is_dir() {
            bail!("{} is no log's directory: it has no segments/", self.dir.display());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or(cores).clamp(1, THREADS_COUNT);
        let record = if self.central { any_leaf } else { check_stored };
        let options = CheckOptions { dir: self.dir, verifier, record, threads };
        let watch = Clock::machine().stopwatch();
        let bar = progress_bar()?;
        let report = check::check(&options, |done: Progress| {
            bar.set_length(done.total_bytes);
            bar.set_position(done.bytes);
            bar.set_message(format!("{} records", done.records));
        });
        bar.finish_and_clear();
        let report = report.map_err(|error| match error {
            LogError::InUse { dir } => {
                anyhow::anyhow!("{dir} is in use: stop its hub, or check a copy of the directory")
            }
            other => other.into(),
        })?;
        let speed = Speed::of(&report, watch.elapsed(), threads);
        output::print(json, &as_json(&report, &speed), || as_text(&report, &speed))?;
        Ok(report.is_good())
    }
}

/// A leaf of any form, with nothing beside it.
fn any_leaf(stored: &StoredRecord) -> Result<(), String> {
    if stored.attachment.is_empty() { Ok(()) } else { Err("evidence lies beside it".to_owned()) }
}

/// A bar on standard error; nothing where that is no terminal.
fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "{bar:40} {bytes}/{total_bytes}  {msg}  {bytes_per_sec}";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

/// How fast the check was.
struct Speed {
    seconds: f64,
    per_second: u64,
    threads: usize,
}

impl Speed {
    fn of(report: &Report, took: Duration, threads: usize) -> Self {
        let took_us = took.as_micros().max(1);
        let per_second = u128::from(report.records).saturating_mul(1_000_000) / took_us;
        let per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
        Self { seconds: took.as_secs_f64(), per_second, threads }
    }
}

fn proved(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let Report { records, segments, bytes, tiles, .. } = report;
    let about = |stores: &[Store]| {
        let mut named = report.findings.named().iter();
        named.any(|found| stores.contains(&found.store))
    };
    if !about(&[Store::Segments, Store::OnlyBundles]) {
        lines.push(format!(
            "{records} records in {segments} segments ({bytes} bytes): every checksum, every place \
             in the sequence, every record in its one spelling, the evidence beside each is the one \
             that it commits to"
        ));
    }
    let size = report.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    match report.root {
        Root::Same => lines.push(format!("the first {size} records have the checkpoint's root")),
        Root::SameBut { records } => lines.push(format!(
            "the other {} of the first {size} records are those that were signed: with the \
             published hashes of the {records} damaged or missing ones they have the checkpoint's \
             root",
            size.saturating_sub(records)
        )),
        Root::Other | Root::NotMade => (),
    }
    if let (Signature::Verified, Some(checkpoint)) = (report.signature, &report.checkpoint) {
        lines.push(format!("the checkpoint is signed by the key of {}", checkpoint.origin));
    }
    let published = [Store::Tiles, Store::EntryBundles, Store::OnlyBundles];
    if !about(&published) && report.checkpoint.is_some() {
        lines.push(format!(
            "all {tiles} published tiles and entry bundles are those of the records"
        ));
    }
    lines
}

fn not_proved(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if report.signature == Signature::NotChecked {
        lines.push("that the log's key signed the checkpoint: give it with --key".to_owned());
    }
    if report.uncovered() > 0 && report.checkpoint.is_some() {
        let text = "newest records: no checkpoint covers them yet; the hub signs one at its start";
        lines.push(format!("that nobody removed or changed the {} {text}", report.uncovered()));
    }
    lines.extend([
        "that the log was not cut back to an older state as a whole: compare the checkpoint with one \
         that a witness or another hub holds"
            .to_owned(),
        "that a record is true, or that all was recorded: `koprik audit reconcile` compares it with \
         the other hub's"
            .to_owned(),
        "what is in the sealed evidence: an evidence file shows one exchange's".to_owned(),
    ]);
    lines
}

fn as_json(report: &Report, speed: &Speed) -> Value {
    let finding = |found: &Finding| {
        json!({
            "store": format!("{:?}", found.store),
            "file": found.file,
            "first_record": found.records.map(|(first, _)| first),
            "last_record": found.records.map(|(_, last)| last),
            "first_byte": found.bytes.as_ref().map(|bytes| bytes.start),
            "end_byte": found.bytes.as_ref().map(|bytes| bytes.end),
            "cause": found.cause,
            "repair": found.store.repair(),
        })
    };
    let checkpoint = report.checkpoint.as_ref();
    let checkpoint = checkpoint.map(|checkpoint| {
        json!({ "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root,
            "signature": format!("{:?}", report.signature) })
    });
    let findings: Vec<Value> = report.findings.named().iter().map(finding).collect();
    json!({
        "good": report.is_good(),
        "records": report.records,
        "segments": report.segments,
        "bytes": report.bytes,
        "tiles": report.tiles,
        "uncovered": report.uncovered(),
        "checkpoint": checkpoint,
        "findings_count": report.findings.count(),
        "findings": findings,
        "notes": report.notes,
        "proved": proved(report),
        "not_proved": not_proved(report),
        "seconds": speed.seconds,
        "records_per_second": speed.per_second,
        "threads": speed.threads,
    })
}

fn as_text(report: &Report, speed: &Speed) -> String {
    let named = report.findings.named();
    let mut text = match report.is_good() {
        true => "GOOD: the log is whole\n".to_owned(),
        false => format!("DAMAGED: {} finding(s)\n", report.findings.count()),
    };
    let mut repairs: Vec<&str> = Vec::new();
    for found in named {
        text.push_str(&format!("  ✗ {found}\n"));
        if !repairs.contains(&found.store.repair()) {
            repairs.push(found.store.repair());
        }
    }
    for repair in repairs {
        text.push_str(&format!("what to do: {repair}\n"));
    }
    text.push_str("\nproved\n");
    proved(report).iter().for_each(|line| text.push_str(&format!("  ✓ {line}\n")));
    text.push_str("\nnot proved\n");
    not_proved(report).iter().for_each(|line| text.push_str(&format!("  – {line}\n")));
    report.notes.iter().for_each(|note| text.push_str(&format!("\nnote: {note}\n")));
    let Speed { seconds, per_second, threads } = speed;
    text.push_str(&format!(
        "\n{} records in {seconds:.2} s: {per_second} records/s on {threads} thread(s)\n",
        report.records
    ));
    text
}
