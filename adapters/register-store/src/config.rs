//! The section `[store]` of a configuration.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::StoreError;

/// Where the store is: a directory of this process, or a database for several nodes.
///
/// ```toml
/// [store]
/// directory = "/var/lib/koprik/register/store"      # or:
/// # postgres = "postgres://register@%2Fvar%2Frun%2Fpostgresql/register"
/// # key_file = "/var/lib/koprik/register/store.key"  # 32 bytes, mode 0600, the same on every node
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Directory of the embedded store; made when it is missing.
    pub directory: Option<PathBuf>,
    /// URL of a PostgreSQL database.
    pub postgres: Option<String>,
    /// The master key; `keys/master.key` in `directory` when left out. Made when the store is empty.
    pub key_file: Option<PathBuf>,
}

impl StoreConfig {
    /// An embedded store.
    #[must_use]
    pub fn embedded(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), postgres: None, key_file: None }
    }

    /// A store in PostgreSQL.
    #[must_use]
    pub fn postgres(url: impl Into<String>, key_file: impl Into<PathBuf>) -> Self {
        Self { directory: None, postgres: Some(url.into()), key_file: Some(key_file.into()) }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`StoreError::Config`] names the key to change.
    pub fn check(&self) -> Result<(), StoreError> {
        self.place().map(drop)
    }

    pub(crate) fn place(&self) -> Result<(Place<'_>, PathBuf), StoreError> {
        let refused = |key, repair| StoreError::Config { key, repair };
        match (&self.directory, &self.postgres, &self.key_file) {
            (Some(directory), None, key_file) => {
                let beside = || directory.join("keys").join("master.key");
                Ok((Place::Directory(directory), key_file.clone().unwrap_or_else(beside)))
            }
            (None, Some(url), Some(key_file)) => Ok((Place::Postgres(url), key_file.clone())),
            (None, Some(_), None) => {
                let repair = "name the file of the master key: the database must not hold it";
                Err(refused("store.key_file", repair))
            }
            _ => {
                let repair =
                    "give exactly one of directory = \"…\" and postgres = \"postgres://…\"";
                Err(refused("store", repair))
            }
        }
    }
}

/// Where a checked configuration puts the store.
pub(crate) enum Place<'a> {
    Directory(&'a Path),
    Postgres(&'a str),
}

impl fmt::Debug for StoreConfig {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.directory {
            Some(directory) => write!(f, "StoreConfig({})", directory.display()),
            None => f.write_str("StoreConfig(PostgreSQL)"),
        }
    }
}
