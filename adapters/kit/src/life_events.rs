//! The table of life events that a definition's triggers fill, and its numbers.
//!
//! ```toml
//! [life_events]                       # of the definition: files beside it, one for each database
//! sqlite = "life-events.sqlite.sql"
//! postgres = "life-events.postgres.sql"
//! ```
//!
//! The kit makes the table `life_events`; the definition's triggers insert `pinfl`, `kind`, `at` and
//! `payload` there when a row of the agency says that something has happened, in the transaction of
//! that row. The kit's own trigger gives `n` in the order of commits, `sequence` for each person from 1,
//! and `id`. All of it is made when the outbox opens: from then on events are told. What was in the
//! database before is history, which sources answer when they are asked.
//!
//! In PostgreSQL two transactions could take numbers in one order and commit in the other, and the
//! outbox would pass the earlier number over for ever. So whoever inserts an event waits, by an
//! advisory lock, until the transaction before it has ended. SQLite has one writer at a time anyway.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::definition::{Definition, SourceAddress};
use crate::prepare::{PrepareError, run_files};

/// The rows of the kit's table behind a position.
pub(crate) const ROWS: &str = "SELECT n, id, pinfl, sequence, kind, at, payload FROM life_events \
                               WHERE n > :after ORDER BY n LIMIT 100";
const SQLITE_TABLE: &str = include_str!("life_events/sqlite.sql");
const POSTGRES_TABLE: &str = include_str!("life_events/postgres.sql");

/// `[life_events]` of a definition: its triggers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LifeEventsSection {
    pub(crate) sqlite: PathBuf,
    pub(crate) postgres: PathBuf,
}

impl LifeEventsSection {
    /// The section with its files in a folder.
    pub(crate) fn beside(self, folder: &Path) -> Self {
        Self { sqlite: folder.join(self.sqlite), postgres: folder.join(self.postgres) }
    }
}

/// What makes table and triggers in a source.
pub(crate) struct LifeEvents {
    definition: PathBuf,
    source: SourceAddress,
    triggers: PathBuf,
    table: &'static str,
}

impl LifeEvents {
    /// Those of a definition; `None` when it has no `[life_events]` on a SQL source.
    pub(crate) fn of(definition: &Definition) -> Option<Self> {
        let section = definition.life_events.as_ref()?;
        let (table, triggers) = match &definition.source {
            SourceAddress::Sqlite(_) => (SQLITE_TABLE, section.sqlite.clone()),
            SourceAddress::Postgres(_) => (POSTGRES_TABLE, section.postgres.clone()),
            SourceAddress::Http(_) => return None,
        };
        let (definition, source) = (definition.path.clone(), definition.source.clone());
        Some(Self { definition, source, triggers, table })
    }

    /// Makes the table and the triggers where they are missing.
    pub(crate) async fn prepare(&self) -> Result<(), PrepareError> {
        run_files(&self.definition, &self.source, self.table, &self.triggers).await
    }
}
