//! What the message log alone costs as it grows: `cargo bench -p bench --bench log`.
//!
//! A log as a provider's hub has it, with the hub's own index keys, limits and threads, on the disk of the build.
//! Records are those of a hub (`bench::log::records`), two for each exchange, with sealed evidence without bodies.
//! It grows to each size as fast as it takes records, and is measured there:
//!
//! | figure | meaning |
//! |---|---|
//! | records per second, growing | from the size before to this one, until the last is indexed and published |
//! | CPU µs per record | of the whole process for the same stretch and until its segments are compact, less what making records costs |
//! | of it the index's thread | what the thread that indexes used |
//! | making compact | from the last record until every sealed segment that can be is compact, beyond what was done while it grew |
//! | CPU per record, to a tenth as many | from ten million on: two logs, this one and one of a tenth of its records, grow in turns by a million each |
//! | share of the bare loop | appends per second of 64 tasks to 64 × the syncs per second of a bare loop that writes as many bytes to a file that grows |
//! | the same of one that overwrites | as above, but the loop overwrites a file that lies ready: what the disk can do at most |
//! | one task's p99 to the bare loop's | added latency of one append with nobody else, to one write and fdatasync, overwriting |
//! | bytes per exchange | disk blocks of two records: segments, published tiles and bundles, index; sealed segments are compact |
//! | search, median and p99 | warm; and cold: the first fifty after a start without anything in memory |
//! | start | until records are taken, and until a search is answered, with nothing in memory |
//! | resident memory | of a process that does nothing but append |
//! | proof, median and p99 | inclusion of a random record, consistency with a random size |
//! | verified per second of a core | records that an audit of the whole log reads, checks and hashes |
//! | checked per second of a core | records that `koprik log check` reads, parses, and compares with their evidence and the published files, on one thread |
//!
//! Ten million records take about 16 GB of disk while it runs, 12 GB with `--no-evidence`. With `--assert` it ends with an error when an
//! aim is missed.

use std::path::Path;

use anyhow::bail;
use bench::arguments::Floors;
use bench::figures::number;
use bench::log::appending::{Beside, beside};
use bench::log::arguments::LogArguments;
use bench::log::growing::{Growth, follow, grow, growth_to_a_tenth};
use bench::log::open::{Place, disk_bytes};
use bench::log::reading::{SEARCHES, Search, Took, audit, check_closed, proofs, search};
use bench::log::records::Maker;
use bench::log::report::{self, Aim, AtSize, Figure, bytes_per_exchange};
use bench::log::starting::{Start, append_and_stop, start, stop_in_the_midst};
use hub_messagelog::MessageLog;

/// From this size on the growth of what a record costs has an aim.
const GROWTH_FROM: u64 = 10_000_000;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = hub_server::runtime()?;
    if let Some(stopped) = runtime.block_on(stop_in_the_midst(&words)) {
        return stopped;
    }
    let arguments = LogArguments::parse(words)?;
    // On the disk of the build, not in memory: fdatasync must cost what it costs.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let sizes = runtime.block_on(measure(&arguments, dir.path()))?;
    print!("{}", report::text(&sizes));
    if let Some(path) = &arguments.json {
        std::fs::write(path, report::to_json(&sizes).to_string())?;
    }
    let missed = report::missed(&sizes);
    for aim in &missed {
        println!("missed: {aim}");
    }
    if arguments.floors == Floors::Asserted && !missed.is_empty() {
        bail!("{} aims are missed", missed.len());
    }
    Ok(())
}

async fn measure(arguments: &LogArguments, root: &Path) -> anyhow::Result<Vec<AtSize>> {
    let place = Place::new(root, arguments.evidence)?;
    let maker = place.maker()?;
    let mut log = place.open()?;
    let mut sizes: Vec<AtSize> = Vec::new();
    for records in &arguments.records {
        println!("growing to {records} records");
        let grown = grow(&log, &maker, *records).await?;
        let mut figures = growing_figures(grown);
        figures.extend(disk_figures(&place, log.size()));
        if *records >= GROWTH_FROM {
            let growth = growth_to_a_tenth(&log, &maker, &place).await?;
            figures.push(figure("CPU per record, to a tenth as many", growth, Aim::Below(1.1)));
        }
        figures.extend(append_figures(beside(&log, &maker, root).await?));
        follow(&log).await?;
        figures.extend(reading_figures(&log, &maker)?);
        log.close().await;
        drop(log);
        let [per_second, per_core] = check_closed(&place)?;
        figures.push(figure("checked per second, one thread", per_second, Aim::Stated));
        figures.push(figure("checked per second of a core", per_core, Aim::AtLeast(200_000.0)));
        let (opened, clean) = start(&place, &maker).await?;
        figures.extend(cold_figures(&opened, &maker)?);
        opened.close().await;
        drop(opened);
        let resident_kib = append_and_stop(&place)?;
        let (opened, stopped) = start(&place, &maker).await?;
        figures.extend(start_figures(clean, stopped));
        let resident_mib = number(resident_kib) / 1024.0;
        figures.push(figure("resident memory while appending, MiB", resident_mib, Aim::Stated));
        log = opened;
        let at = AtSize { records: *records, figures };
        print!("{}", report::text(std::slice::from_ref(&at)));
        sizes.push(at);
    }
    log.close().await;
    Ok(sizes)
}

fn figure(name: &'static str, value: f64, aim: Aim) -> Figure {
    Figure { name, value, aim }
}

fn growing_figures(grown: Growth) -> Vec<Figure> {
    vec![
        figure("records per second, growing", grown.per_second, Aim::Stated),
        figure("CPU µs per record", grown.cpu_us, Aim::Stated),
        figure("of it the index's thread, µs per record", grown.index_us, Aim::Stated),
        figure("making compact what was not, s", grown.compact_s, Aim::Stated),
    ]
}

fn disk_figures(place: &Place, records: u64) -> Vec<Figure> {
    let bytes = |part: &str| bytes_per_exchange(disk_bytes(&place.dir().join(part)), records);
    let (segments, published, index) = (bytes("segments"), bytes("tlog"), bytes("index"));
    vec![
        figure("bytes per exchange, segments", segments, Aim::Stated),
        figure("bytes per exchange, published tiles", published, Aim::Stated),
        figure("bytes per exchange, index", index, Aim::Stated),
        figure("bytes per exchange", segments + published + index, Aim::Below(2048.0)),
    ]
}

fn append_figures(beside: Beside) -> Vec<Figure> {
    let one = beside.one_p99_us / beside.bare_p99_us;
    vec![
        figure("64 tasks, appends per second", beside.per_second, Aim::Stated),
        figure("64 tasks, share of the bare loop", beside.share, Aim::AtLeast(0.5)),
        figure("the same of one that overwrites", beside.share_of_overwriting, Aim::Stated),
        figure("one task, median µs", beside.one_p50_us, Aim::Stated),
        figure("one task, p99 µs", beside.one_p99_us, Aim::Stated),
        figure("bare write and fdatasync, median µs", beside.bare_p50_us, Aim::Stated),
        figure("bare write and fdatasync, p99 µs", beside.bare_p99_us, Aim::Stated),
        figure("one task's p99 to the bare loop's", one, Aim::Below(3.0)),
    ]
}

fn reading_figures(log: &MessageLog, maker: &Maker) -> anyhow::Result<Vec<Figure>> {
    let names = [
        ["search by exchange, median ms", "search by exchange, p99 ms"],
        ["search by subject, median ms", "search by subject, p99 ms"],
        ["search by time, median ms", "search by time, p99 ms"],
        ["search by client and time, median ms", "search by client and time, p99 ms"],
        ["search for what is not there, median ms", "search for what is not there, p99 ms"],
    ];
    let mut figures = Vec::new();
    let mut add = |[median, p99]: [&'static str; 2], took: Took, aim_ms: f64| {
        figures.push(figure(median, took.p50_ms, Aim::Below(aim_ms)));
        figures.push(figure(p99, took.p99_ms, Aim::Below(aim_ms)));
    };
    for (name, what) in names.into_iter().zip(SEARCHES) {
        add(name, search(log, maker, what, 0..300)?, 50.0);
    }
    let [inclusion, consistency] = proofs(log, 300)?;
    add(["inclusion proof, median ms", "inclusion proof, p99 ms"], inclusion, 5.0);
    add(["consistency proof, median ms", "consistency proof, p99 ms"], consistency, 5.0);
    let [per_second, per_core] = audit(log)?;
    figures.push(figure("verified per second", per_second, Aim::Stated));
    figures.push(figure("verified per second of a core", per_core, Aim::AtLeast(200_000.0)));
    Ok(figures)
}

/// Of each kind the first ten, together fifty: the p99 of so few is the slowest.
fn cold_figures(log: &MessageLog, maker: &Maker) -> anyhow::Result<Vec<Figure>> {
    let mut slowest = Vec::new();
    for (kind, what) in (0_u64..).zip(SEARCHES) {
        let rounds = 1_000 + kind * 10..1_010 + kind * 10;
        slowest.push((what, search(log, maker, what, rounds)?.p99_ms));
    }
    let of = |wanted: &[Search]| {
        let those = slowest.iter().filter(|(what, _)| wanted.contains(what));
        those.map(|(_, ms)| *ms).fold(0.0, f64::max)
    };
    let keys = [Search::Exchange, Search::Subject, Search::Absent];
    let times = [Search::Time, Search::ClientInTime];
    Ok(vec![
        figure("cold search by a key, slowest ms", of(&keys), Aim::Below(50.0)),
        figure("cold search by time, slowest ms", of(&times), Aim::Below(50.0)),
    ])
}

fn start_figures(clean: Start, stopped: Start) -> Vec<Figure> {
    vec![
        figure("start, s", clean.open_s, Aim::Below(2.0)),
        figure("start until a search is answered, s", clean.answer_s, Aim::Below(2.0)),
        figure("start after a kill, s", stopped.open_s, Aim::Below(2.0)),
        figure("the same until a search is answered, s", stopped.answer_s, Aim::Below(2.0)),
        figure("the same until all is indexed, s", stopped.indexed_s, Aim::Stated),
    ]
}
