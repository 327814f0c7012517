//! `koprik demo`: a whole federation, one household question, its payment, and the proof of every field and
//! message.
//!
//! The same servers, configuration files and code paths as in an agency: the files are laid out in a folder, the
//! servers run from them in this process or, with `--separate`, as processes of their own.

mod paid;
mod processes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use federation::stamps::Timestamps;
use federation::{Federation, Layout, Options, lay_out, life_events};
use fixtures::{Databases, Population, Progress, REFERENCE_DATE, Written};
use register::source::{Absence, AbsenceCause};
use schemas::clock::Clock;
use schemas::pinfl::Pinfl;
use serde_json::{Value, json};

use self::paid::Paid;
use self::processes::Processes;
use super::proof::{Origin, Proof, Stamped};
use super::{population, profile, serve};
use crate::output;

/// How often the demo asks for the household at most.
const ASKED_MAX_COUNT: usize = 4;

/// The applicant of the worked example, an invented person.
const APPLICANT: &str = "31505850010011";
/// The day of the worked example.
const APPLICATION_DATE: &str = "2026-03-02";

/// Witnesses that have to cosign a checkpoint (every hub and the central server is one), and seconds between two
/// rounds: the first is after the profile, on most machines, whose processors it would share with a dozen hubs.
const WITNESSES: (usize, u64) = (3, 3);

/// A demonstration.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The applicant; the father of the worked example when left out.
    #[arg(long, default_value = APPLICANT)]
    pinfl: Pinfl,
    /// Date of the application.
    #[arg(long, value_name = "DATE", default_value = APPLICATION_DATE)]
    date: String,
    /// Synthetic households beside the worked example.
    #[arg(long, default_value_t = 1_000)]
    households: u32,
    /// Seed of the synthetic households.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for everything; a folder of an earlier demo is started again. A new temporary one when left out.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End after the profile is shown.
    #[arg(long)]
    once: bool,
    /// Start each server as its own operating-system process.
    #[arg(long)]
    separate: bool,
}

/// What runs, until it is stopped.
enum Running {
    Here(Box<Federation>),
    Separate(Processes),
}

impl Demo {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let clock = Clock::machine();
        let watch = clock.stopwatch();
        let (layout, written) = self.prepare(&clock).await?;
        let mut running = if self.separate {
            Running::Separate(Processes::start(&layout).await?)
        } else {
            let mut federation = Federation::new(layout.clone(), clock);
            federation.start_all().await?;
            Running::Here(Box::new(federation))
        };
        let shown = self.show(json, &layout, written.as_ref(), &running, &watch).await;
        if shown.is_ok() && !self.once {
            if !json {
                output::bytes(b"\nrunning until Ctrl-C\n")?;
            }
            match &mut running {
                Running::Here(_) => serve::asked_to_stop().await?,
                Running::Separate(processes) => processes.watch().await?,
            }
        }
        match running {
            Running::Here(federation) => federation.stop().await,
            Running::Separate(processes) => processes.stop().await,
        }
        shown
    }

    /// The folder of an earlier demo, or a new one with its people.
    async fn prepare(&self, clock: &Clock) -> anyhow::Result<(Layout, Option<Written>)> {
        let dir = match &self.data {
            Some(dir) => dir.clone(),
            None => tempfile::Builder::new().prefix("koprik-demo-").tempdir()?.keep(),
        };
        if let Some(layout) = Layout::read(&dir)? {
            return Ok((layout, None));
        }
        let occupied = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
        anyhow::ensure!(
            !occupied,
            "{} is not empty and holds no whole demo; choose another folder or empty it",
            dir.display()
        );
        let (witness_quorum, witness_seconds) = WITNESSES;
        let timestamps = Timestamps::Own;
        let options =
            Options { witness_quorum, witness_seconds, timestamps, ..Options::paying(clock.now()) };
        let layout = lay_out(&dir, &options)?;
        life_events::wire(&layout)?;
        Federation::new(layout.clone(), clock.clone()).seed().await?;
        let people = Population::new(self.seed, self.households, REFERENCE_DATE)?;
        let databases = Databases::in_folder(&layout.dir.join("databases"));
        let written = fixtures::write(people, &databases, Progress::Shown).await?;
        Ok((layout, Some(written)))
    }

    async fn show(
        &self,
        json: bool,
        layout: &Layout,
        written: Option<&Written>,
        running: &Running,
        watch: &schemas::clock::Stopwatch,
    ) -> anyhow::Result<()> {
        let register = format!("http://{}", layout.register.1);
        let mut asked = schemas::clock::Clock::machine().stopwatch();
        let mut answer = profile::fetch(&register, self.pinfl, Some(&self.date), None).await?;
        let mut profile = profile::read(&answer)?;
        for _ in 1..ASKED_MAX_COUNT {
            if !profile.absent.iter().any(|absent| is_late(&absent.reason)) {
                break;
            }
            output::complain("some sources were late, as just after a start; the demo asks again");
            // As long as it takes until a source that rests is asked again, over all tries.
            tokio::time::sleep(Duration::from_secs(2)).await;
            asked = schemas::clock::Clock::machine().stopwatch();
            answer = profile::fetch(&register, self.pinfl, Some(&self.date), None).await?;
            profile = profile::read(&answer)?;
        }
        let took_ms = asked.elapsed_us() / 1000;
        let paid = Paid::household(layout, self.pinfl, &self.date).await?;
        let exchanges = paid.as_ref().map(Paid::exchanges).unwrap_or_default();
        let proven = json!([answer, exchanges]);
        let stamped = match layout.timestamp_authority {
            Some(_) => Stamped::Awaited,
            None => Stamped::NotAwaited,
        };
        let hub_config = &register_hub(layout)?.config;
        let origin = Origin { hub_config, anchor: &layout.anchor, stamped };
        let proof = Proof::collect(origin, &layout.dir.join("evidence"), &proven).await?;
        let value = json!({
            "profile": answer.get("profile"),
            "hash": answer.get("hash"),
            "payment": paid.as_ref().map(Paid::as_json),
            "verified": proof.verified(),
            "anchor": layout.anchor,
            "evidence": proof.as_json(),
            "witnessed": proof.witnessed_count(),
            "addresses": addresses(layout),
            "population": written.map(population::as_json),
            "data": layout.dir,
        });
        output::print(json, &value, || {
            let mut text = register::render::text(&profile);
            text.push_str(&format!("\nprofile assembled in {took_ms} ms\n"));
            if let Some(paid) = &paid {
                text.push_str(&paid.as_text());
            }
            text.push_str(&proof.as_text(&layout.anchor));
            text.push_str("\nservers\n");
            text.push_str(&addresses_text(layout));
            if let Running::Separate(processes) = running {
                text.push_str(&processes.as_text());
            }
            if let Some(written) = written {
                text.push_str(&format!("\npeople: {}\n", population::as_text(written)));
            }
            let seconds = watch.elapsed_us() / 1_000_000;
            text.push_str(&format!(
                "data in {}; all of this took {seconds} s\n",
                layout.dir.display()
            ));
            text.push_str(&next_steps(layout));
            text
        })?;
        anyhow::ensure!(proof.verified(), "an evidence file does not verify; see above");
        Ok(())
    }
}

fn addresses(layout: &Layout) -> Value {
    let hubs: serde_json::Map<String, Value> = layout
        .hubs
        .iter()
        .map(|(name, place)| {
            let at = json!({ "edge": place.edge, "edge_plain": place.edge_plain,
                "peer": place.peer, "admin": place.admin, "config": place.config });
            (name.clone(), at)
        })
        .collect();
    let adapters: serde_json::Map<String, Value> = layout
        .adapters
        .iter()
        .map(|(name, (config, listen))| {
            (name.clone(), json!({ "listen": listen, "config": config }))
        })
        .collect();
    let parties: serde_json::Map<String, Value> = layout
        .payment_parties
        .iter()
        .map(|(name, (config, listen))| {
            (name.clone(), json!({ "listen": listen, "config": config }))
        })
        .collect();
    json!({
        "central": { "listen": layout.central.1, "config": layout.central.0 },
        "register": { "listen": layout.register.1, "config": layout.register.0 },
        "timestamp_authority": layout.timestamp_authority.as_ref().map(|(config, listen)| {
            json!({ "listen": listen, "config": config })
        }),
        "hubs": hubs,
        "adapters": adapters,
        "payment_parties": parties,
    })
}

fn addresses_text(layout: &Layout) -> String {
    let mut text = format!("  {:16} http://{}\n", "central server", layout.central.1);
    text.push_str(&format!("  {:16} http://{}\n", "register", layout.register.1));
    if let Some((_, listen)) = &layout.timestamp_authority {
        text.push_str(&format!("  {:16} http://{listen}\n", "timestamps"));
    }
    for (name, place) in &layout.hubs {
        text.push_str(&format!(
            "  {:16} edge https://{}  plain http://{}  peer {}  admin http://{}\n",
            format!("hub {name}"),
            place.edge,
            place.edge_plain,
            place.peer,
            place.admin
        ));
    }
    for (name, (_, listen)) in &layout.adapters {
        text.push_str(&format!("  {:16} http://{listen}\n", format!("adapter {name}")));
    }
    for (name, (_, listen)) in &layout.payment_parties {
        text.push_str(&format!("  {:16} http://{listen}\n", format!("pays: {name}")));
    }
    text
}

/// Commands that work as they stand while the demo runs.
fn next_steps(layout: &Layout) -> String {
    let Some(hub) = layout.hubs.get(federation::layout::REGISTER_HUB) else { return String::new() };
    let config = hub.config.display();
    format!(
        "\ntry, while this runs\n\
         \x20 koprik profile {APPLICANT} --register http://{} --date {APPLICATION_DATE}\n\
         \x20 koprik call --hub http://{} --client {} UZ/GOV/PENSIONS/pensions/pensions /persons/30101500010069/pensions\n\
         \x20 koprik log show --config {config}\n\
         \x20 in a browser: http://{}/pages, PINFL {APPLICANT}, day {APPLICATION_DATE}\n",
        layout.register.1,
        hub.edge_plain,
        federation::agencies::REGISTER,
        layout.register.1,
    )
}

/// The register's own hub, whose admin listener hands out the evidence.
fn register_hub(layout: &Layout) -> anyhow::Result<&federation::layout::HubPlace> {
    layout.hubs.get(federation::layout::REGISTER_HUB).context("the register has no hub")
}

/// Whether a source might have answered, given more time.
fn is_late(reason: &Absence) -> bool {
    use AbsenceCause::{DeadlineReached, Resting, TimedOut};
    matches!(reason.cause, DeadlineReached | TimedOut | Resting)
}
