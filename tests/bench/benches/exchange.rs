//! What an exchange through two hubs costs, beside two plain nginx hops: `cargo bench -p bench`.
//!
//! ```text
//! hubs    caller ──mTLS 1.3──► register's hub ──mTLS 1.3, HTTP/2──► tax's hub ──HTTP──► source
//! nginx   caller ──mTLS 1.3──► nginx A ────────mTLS 1.3, HTTP/1.1──► nginx B ────HTTP──► source
//! ```
//!
//! Callers, certificates, keys, question and source are the same on both sides; every connection stays
//! open. nginx passes bytes on. The hubs do everything: sign and verify request and answer (Ed25519), decide by
//! grant, hold the answer to its JSON Schema, seal the evidence with the bodies, and make four records
//! durable, two in each hub's message log. All processes, the callers too, share this machine's
//! processors, so absolute figures only show the order; the ratios are what to read.
//!
//! Each cell is measured round by round, nginx and hubs in turn, so that a machine that is slower for a
//! while is slower for both. The table gives for each number of concurrent callers:
//!
//! | line | meaning |
//! |---|---|
//! | exchanges per second | in a closed loop: each caller asks again when it is answered; more is better |
//! | p50, p99 | time from the caller's request to the last byte of the answer |
//! | CPU s per 1 000 | user and kernel time of both hops, until they rest again; not of callers and source |
//! | memory | of both hops together while the callers are connected; shared pages count once |
//! | hubs/nginx | median of the rounds' ratios, then the least and the most |
//!
//! Below the table: how long a hub takes from its start until `/health` says that it is ready, with the
//! global configuration fetched; its resident memory at rest; and how fast the disk is, which
//! decides the figures of one caller. With `--assert` it ends with an error when a floor is missed.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::bail;
use bench::arguments::{Arguments, Floors};
use bench::figures::{Cell, Figures};
use bench::hubs::{AGENCY, Hubs, Source, places};
use bench::load::{self, Callers, Question, Side};
use bench::nginx::Nginx;
use bench::process::{Process, settle, total_cpu};
use bench::report::{self, Measured};
use bench::{disk, roles};
use federation::agencies::{Agency, REGISTER};
use federation::{Options, lay_out};
use schemas::clock::Clock;

/// The allocator of `koprik`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, argument] = words.as_slice()
        && let Some(served) = roles::run(role, argument)
    {
        return served;
    }
    let arguments = Arguments::parse(words)?;
    // On the disk of the build, not in memory: fdatasync must cost what it costs.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let measured = measure(&arguments, dir.path())?;
    print!("{}", report::text(&measured));
    if let Some(path) = &arguments.json {
        std::fs::write(path, report::to_json(&measured).to_string())?;
    }
    let missed = report::missed(&measured);
    for floor in &missed {
        println!("below the floor: {floor}");
    }
    if arguments.floors == Floors::Asserted && !missed.is_empty() {
        bail!("{} floors are missed", missed.len());
    }
    Ok(())
}

/// One of the two ways to the source.
struct Way<'a> {
    side: Side,
    edge: SocketAddr,
    hops: [&'a Process; 2],
}

fn measure(arguments: &Arguments, dir: &Path) -> anyhow::Result<Measured> {
    let agencies = Agency::named(AGENCY).into_iter().collect();
    let layout = lay_out(dir, &Options { agencies, ..Options::all(Clock::machine().now()) })?;
    let sync = disk::sync_time(dir)?;
    let source = Source::start(&layout)?;
    let hubs = Hubs::start(&layout)?;
    let both = places(&layout)?;
    let prefix = "/r1/UZ/GOV/TAX/tax/tax";
    let nginx = Nginx::start(dir, both, prefix, source.address)?;
    let [register, _] = both;
    let question = Question {
        target: format!("{prefix}/persons/31505850010011/income?from=2025-01&to=2025-09"),
        client: REGISTER.to_owned(),
        answer: roles::answer().into(),
        tls: load::tls(&register.dir)?,
    };
    let ways = [
        Way { side: Side::Nginx, edge: nginx.edge, hops: nginx.processes.each_ref() },
        Way { side: Side::Hubs, edge: hubs.edge, hops: hubs.processes.each_ref() },
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut cells: Vec<Cell> = arguments
        .callers
        .iter()
        .map(|callers| Cell { callers: *callers, rounds: Vec::new() })
        .collect();
    for round in 1..=arguments.rounds {
        for cell in &mut cells {
            let [nginx, hubs] = &ways;
            let measure =
                |way| runtime.block_on(measure_cell(arguments, &question, cell.callers, way));
            let figures = [measure(nginx)?, measure(hubs)?];
            let [nginx, hubs] = figures;
            let callers = cell.callers;
            println!(
                "round {round}, {callers} callers: nginx {:.0}/s, hubs {:.0}/s",
                nginx.per_second, hubs.per_second
            );
            cell.rounds.push(figures);
        }
    }
    Ok(Measured { cells, ready: hubs.ready, rest_kib: hubs.rest_kib, sync })
}

async fn measure_cell(
    arguments: &Arguments,
    question: &Question,
    count: usize,
    way: &Way<'_>,
) -> anyhow::Result<Figures> {
    let mut callers = Callers::connect(question, way.edge, way.side, count).await?;
    callers.run(arguments.warm_up).await?;
    let before = total_cpu(&way.hops)?;
    let stretch = callers.run(arguments.measured).await?;
    let [a, b] = way.hops;
    let memory_kib = a.memory()?.pss_kib + b.memory()?.pss_kib;
    let cpu = settle(&way.hops)?.saturating_sub(before);
    drop(callers);
    Ok(Figures::of(&stretch, cpu, memory_kib))
}
