//! `koprik population`: synthetic people, consistent across agencies, from a printed seed.

use std::path::PathBuf;

use fixtures::{Databases, Population, Progress, REFERENCE_DATE, Written};
use serde_json::{Value, json};

use crate::output;

/// A population.
#[derive(Debug, clap::Args)]
pub(crate) struct PopulationCommand {
    /// Folder for one SQLite file per agency; the files must not hold a population yet.
    #[arg(long, value_name = "DIR")]
    databases: PathBuf,
    /// Households to draw.
    #[arg(long, default_value_t = 1_000, conflicts_with = "persons")]
    households: u32,
    /// People to draw, about; 1 000 to 1 000 000 and more.
    #[arg(long)]
    persons: Option<u32>,
    /// The seed; the same seed draws the same people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl PopulationCommand {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.databases)?;
        let households = self.persons.map_or(self.households, Population::households_for);
        let population = Population::new(self.seed, households, REFERENCE_DATE)?;
        let databases = Databases::in_folder(&self.databases);
        let written = fixtures::write(population, &databases, Progress::Shown).await?;
        output::print(json, &as_json(&written), || as_text(&written))?;
        Ok(())
    }
}

/// What was written, as JSON.
pub(crate) fn as_json(written: &Written) -> Value {
    json!({
        "seed": written.seed,
        "households": written.households,
        "families": written.families,
        "persons": written.persons,
        "rows": written.rows,
        "injected_faults": {
            "shared_children": written.shared_children,
            "stale_marriages": written.stale_marriages,
            "dead_in_one_register": written.dead_in_one_register,
        },
    })
}

/// What was written, on one line.
pub(crate) fn as_text(written: &Written) -> String {
    format!(
        "{} people in {} households and {} families, seed {}; injected: {} children in two \
         families, {} stale marriages, {} dead in one register",
        written.persons,
        written.households,
        written.families,
        written.seed,
        written.shared_children,
        written.stale_marriages,
        written.dead_in_one_register,
    )
}
