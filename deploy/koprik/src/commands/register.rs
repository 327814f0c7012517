//! `koprik register`: the server, what is asked of a running one, and its stored decisions replayed and
//! simulated offline.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use register::money::grouped;
use register::profile::Profile;
use register::replay::{Effect, Replay, Simulation, replay};
use register::rules::{Rulebook, Rules};
use serde_json::{Value, json};

use super::applications::{File, Monitoring, Overdue, Show};
use super::serve::Serve;
use crate::output;

/// Bytes of one stored profile: a family of ten over a dozen sources has about a tenth.
const PROFILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The register's server, a question to a running one, or a look at stored decisions.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Register {
    #[command(flatten)]
    serve: Option<Serve>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Recompute stored decisions from their answers and compare every byte.
    Replay {
        /// Profile files, as `koprik profile --proof` writes them, or folders of them.
        #[arg(required = true, value_name = "FILE|DIR")]
        profiles: Vec<PathBuf>,
        /// Rule files of the past that this release does not bring along.
        #[arg(long, value_name = "FILE")]
        rules: Vec<PathBuf>,
    },
    /// Weigh stored families under other rules: who gains, who loses, what it costs.
    Simulate {
        /// The rule file to try.
        #[arg(long, value_name = "FILE")]
        rules: PathBuf,
        /// Folder of profile files.
        #[arg(long, value_name = "DIR")]
        profiles: PathBuf,
    },
    /// File an application of today at a running register, with its preliminary rating.
    File(File),
    /// Show an application: where it stands, its ratings, what is next and by when.
    Show(Show),
    /// List the applications whose next step is overdue, the longest first.
    Overdue(Overdue),
    /// Monitor all registered families for a month.
    #[command(subcommand)]
    Monitoring(Monitoring),
}

impl Register {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        match (self.command, self.serve) {
            (Some(Command::Replay { profiles, rules }), _) => replay_all(json, &profiles, &rules),
            (Some(Command::Simulate { rules, profiles }), _) => simulate(json, &rules, &profiles),
            (Some(Command::File(file)), _) => done(file.run(json).await),
            (Some(Command::Show(show)), _) => done(show.run(json).await),
            (Some(Command::Overdue(overdue)), _) => done(overdue.run(json).await),
            (Some(Command::Monitoring(monitoring)), _) => done(monitoring.run(json).await),
            (None, Some(serve)) => done(serve.register(json).await),
            (None, None) => bail!(
                "give --config FILE, or one of the commands file, show, overdue, monitoring, replay, \
                 simulate"
            ),
        }
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// Replays every profile; the exit code is 1 when one differs.
fn replay_all(json: bool, profiles: &[PathBuf], rules: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut book = Rulebook::built_in()?;
    for file in rules {
        book.add(read_rules(file)?);
    }
    let (mut text, mut outcomes, mut differing_count) = (String::new(), Vec::new(), 0_u64);
    for file in profile_files(profiles)? {
        let stored = read_profile(&file)?;
        let outcome =
            replay(&stored, &book).with_context(|| format!("cannot replay {}", file.display()))?;
        let file = file.display();
        match outcome {
            Replay::Same { hash } => {
                outcomes.push(json!({"file": file.to_string(), "same": true, "hash": hash}));
                let _ = writeln!(text, "same     {file}  {hash}");
            }
            Replay::Differs { stored, recomputed, parts } => {
                differing_count += 1;
                outcomes.push(json!({"file": file.to_string(), "same": false, "hash": stored,
                    "recomputed": recomputed, "parts": parts}));
                let parts = parts.join(", ");
                let _ = writeln!(text, "DIFFERS  {file}  in {parts}; recomputed {recomputed}");
            }
        }
    }
    output::print(json, &json!({"profiles": outcomes, "differing": differing_count}), || text)?;
    Ok(if differing_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn simulate(json: bool, rules: &Path, profiles: &Path) -> anyhow::Result<ExitCode> {
    let rules = read_rules(rules)?;
    let mut simulation = Simulation::default();
    for file in profile_files(&[profiles.to_owned()])? {
        let profile: Profile = serde_json::from_slice(&read_profile(&file)?)
            .with_context(|| format!("{} is not a profile of this release", file.display()))?;
        simulation
            .add(&profile, &rules)
            .with_context(|| format!("cannot weigh {} under these rules", file.display()))?;
    }
    let value: Value = serde_json::to_value(&simulation)?;
    output::print(json, &value, || simulation_text(&simulation, &rules))?;
    Ok(ExitCode::SUCCESS)
}

fn simulation_text(simulation: &Simulation, rules: &Rules) -> String {
    let mut text =
        format!("{} families under {} ({})\n", simulation.families.len(), rules.id, rules.title);
    let effects = [
        (Effect::Gains, "gain"),
        (Effect::Loses, "lose"),
        (Effect::Unchanged, "keep the same"),
        (Effect::Open, "open: a decision is pending"),
    ];
    // Safe because: writing to a String cannot fail.
    for (effect, words) in effects {
        let count = simulation.effects.get(&effect).copied().unwrap_or_default();
        let _ = writeln!(text, "{count:>8}  {words}");
    }
    for (change, count) in &simulation.moves {
        let _ = writeln!(text, "{count:>8}  {change}");
    }
    let (before, after) = (simulation.before_soum.0.0, simulation.after_soum.0.0);
    let _ =
        writeln!(text, "a month: {} soum before, {} soum after", grouped(before), grouped(after));
    for family in &simulation.families {
        if matches!(family.effect, Effect::Gains | Effect::Loses) {
            let words = if family.effect == Effect::Gains { "gains" } else { "loses" };
            let (before, after) = (family.before_soum, family.after_soum);
            let _ = writeln!(text, "  {words}  {}  {before} → {after} soum", family.profile);
        }
    }
    text
}

fn read_rules(file: &Path) -> anyhow::Result<Rules> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}; check the path", file.display()))?;
    Ok(Rules::read(&file.display().to_string(), &text)?)
}

fn read_profile(file: &Path) -> anyhow::Result<Vec<u8>> {
    let named = || format!("cannot read {}; check the path", file.display());
    if std::fs::metadata(file).with_context(named)?.len() > PROFILE_MAX_BYTES {
        bail!("{} is larger than a profile, {PROFILE_MAX_BYTES} bytes", file.display());
    }
    std::fs::read(file).with_context(named)
}

/// The files named, and the `*.json` files of the folders named, in the order of their names.
fn profile_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path)
            .with_context(|| format!("cannot read the folder {}", path.display()))?;
        let mut of_folder = Vec::new();
        for entry in entries {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                of_folder.push(file);
            }
        }
        of_folder.sort();
        files.append(&mut of_folder);
    }
    if files.is_empty() {
        bail!("no profile files there; `koprik profile --proof DIR` writes DIR/profile.json");
    }
    Ok(files)
}
