//! The configuration file of an adapter process: which definition, where it listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Definition, DefinitionError, OutboxConfig};

/// An adapter's TOML file; unknown keys are refused, the definition's path counts from the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    /// The definition.
    pub definition: PathBuf,
    /// Where the adapter answers its security server.
    pub listen: SocketAddr,
    /// A source URL to use instead of the definition's; two banks share one definition so.
    pub source_url: Option<String>,
    /// Life events of the source that are told to a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxConfig>,
    /// The file of its SPDCI interface, where the definition has `[spdci]`; see `spdci::SpdciConfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spdci: Option<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdapterConfigError {
    /// The file cannot be read.
    #[error("adapter configuration {path}: {reason}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file is not of the expected form. Its lines are left out: a URL may hold a password.
    #[error("adapter configuration {path}: {reason}; correct the file")]
    Form {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The definition.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
}

impl AdapterConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`AdapterConfigError`] naming the file.
    pub fn load(path: &Path) -> Result<Self, AdapterConfigError> {
        let shown = || path.to_owned();
        let text = std::fs::read_to_string(path).map_err(|error| AdapterConfigError::Read {
            path: shown(),
            reason: error.to_string(),
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| AdapterConfigError::Form {
            path: shown(),
            reason: error.message().to_owned(),
        })?;
        config.definition = path.parent().unwrap_or(Path::new(".")).join(&config.definition);
        let folder = path.parent().unwrap_or(Path::new("."));
        config.spdci = config.spdci.map(|file| folder.join(file));
        Ok(config)
    }

    /// Loads the definition with the source that holds here.
    ///
    /// # Errors
    /// [`DefinitionError`] naming the definition.
    pub fn definition(&self) -> Result<Definition, DefinitionError> {
        let definition = Definition::load(&self.definition)?;
        match &self.source_url {
            Some(url) => definition.with_source(url),
            None => Ok(definition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_without_showing_a_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter.toml");
        let text = "definition = \"d.toml\"\nlisten = \"127.0.0.1:0\"\nsource = \"postgres://a:secret@h/d\"\n";
        std::fs::write(&path, text).unwrap();
        let refused = AdapterConfig::load(&path).unwrap_err().to_string();
        assert!(refused.contains("source") && !refused.contains("secret"), "{refused}");
        std::fs::write(&path, "definition = \"d.toml\"\nlisten = \"127.0.0.1:0\"\n").unwrap();
        assert_eq!(AdapterConfig::load(&path).unwrap().definition, dir.path().join("d.toml"));
    }
}
