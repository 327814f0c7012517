//! The definition of an adapter: `definition.toml`, checked against its contract when loaded.
//!
//! ```toml
//! service = "tax"                                  # service code
//! contract = "../../schemas/openapi/tax.json"      # relative to this file, as are schema and seed
//! schema = "schema.sql"                            # optional: tables for `prepare`
//! seed = "seed.sql"                                # optional: rows for tests and demonstrations
//! health = "SELECT 1 AS ready FROM persons LIMIT 1"
//!
//! [source]
//! url = "sqlite://tax.db"       # or postgres://user@host/database; or http = "http://host/base"
//!
//! [operations.income]           # every operationId of the contract
//! root = "SELECT pinfl FROM persons WHERE pinfl = :pinfl"      # no row: 404 no_record
//! [operations.income.lists]     # lists of the answer; a column fills the field of its name
//! plots = "SELECT month, income_soum FROM plots WHERE pinfl = :pinfl"
//! ```
//!
//! `[spdci]` makes the source a registry of SPDCI too, see [`crate::spdci`]; `[life_events]` lets an
//! outbox tell what happens in it (`life_events.rs`).
//!
//! Queries run in one connection without a transaction: each is consistent in itself. With an HTTP
//! source, `health` is a path and operations are left out: method, path and query pass through.
//! A relative `sqlite://` path starts at the working directory of the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bundle::read_text;
use crate::contract::{Contract, ContractError, Operation};
use crate::life_events::LifeEventsSection;
use crate::shape::Shape;
use crate::spdci::SpdciSection;
use crate::statement::Statement;

/// Why a definition cannot be used. Every text names the file and what to change.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The file cannot be read.
    #[error(
        "definition {path} cannot be read: {source}; give an existing file",
        path = .path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not TOML of the expected form. The text leaves lines of the file out: the
    /// source's URL may hold a password.
    #[error("definition {path}: {reason}; correct the file", path = .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The contract cannot be used.
    #[error("definition {path}: {source}", path = .path.display())]
    Contract {
        /// The definition.
        path: PathBuf,
        /// The cause.
        source: ContractError,
    },
    /// Definition and contract do not fit, or the source is of no known kind.
    #[error("definition {path}: {place}: {reason}", path = .path.display())]
    Content {
        /// The definition.
        path: PathBuf,
        /// Key of the definition.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// A definition that fits its contract.
#[derive(Debug)]
pub struct Definition {
    pub(crate) path: PathBuf,
    pub(crate) service: String,
    pub(crate) contract: Contract,
    pub(crate) source: SourceAddress,
    pub(crate) health: String,
    pub(crate) schema: Option<PathBuf>,
    pub(crate) seed: Option<PathBuf>,
    /// By operationId; empty for an HTTP source.
    pub(crate) queries: BTreeMap<String, Queries>,
    /// What SPDCI partners may ask.
    pub(crate) spdci: Option<SpdciSection>,
    /// Triggers that note life events.
    pub(crate) life_events: Option<LifeEventsSection>,
}

/// Where the data is. `Debug` shows the kind only: a URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SourceAddress {
    Sqlite(String),
    Postgres(String),
    Http(String),
}

/// How one operation is answered from a database.
#[derive(Debug)]
pub(crate) struct Queries {
    pub(crate) root: Statement,
    pub(crate) lists: Vec<(String, Statement)>,
    pub(crate) shape: Shape,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    service: String,
    contract: PathBuf,
    schema: Option<PathBuf>,
    seed: Option<PathBuf>,
    health: String,
    source: SourceSection,
    #[serde(default)]
    operations: BTreeMap<String, OperationSection>,
    spdci: Option<SpdciSection>,
    life_events: Option<LifeEventsSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceSection {
    url: Option<String>,
    http: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationSection {
    root: String,
    #[serde(default)]
    lists: BTreeMap<String, String>,
}

impl Definition {
    /// Reads `definition.toml` with its contract. The source is not touched.
    ///
    /// # Errors
    /// [`DefinitionError`]: also when an operation of the contract has no queries, when SQL asks
    /// for a parameter that the contract does not require, or a list that the answer does not have.
    pub fn load(path: &Path) -> Result<Self, DefinitionError> {
        let text = read_text(path)
            .map_err(|source| DefinitionError::Read { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text).map_err(|error| DefinitionError::Toml {
            path: path.to_owned(),
            reason: describe(&error, &text),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let contract = Contract::load(&folder.join(&file.contract))
            .map_err(|source| DefinitionError::Contract { path: path.to_owned(), source })?;
        let refuse = Refuse(path);
        let source = match (file.source.url, file.source.http) {
            (Some(url), None) | (None, Some(url)) => SourceAddress::parse(&url),
            _ => None,
        };
        let source = source.ok_or_else(|| refuse.source())?;
        let queries = match &source {
            SourceAddress::Http(_) if file.operations.is_empty() => BTreeMap::new(),
            SourceAddress::Http(_) => {
                return Err(refuse.because("operations", "remove them: the source is HTTP"));
            }
            _ => read_queries(&refuse, &contract, &file.operations)?,
        };
        Ok(Self {
            path: path.to_owned(),
            service: file.service,
            contract,
            source,
            health: file.health,
            schema: file.schema.map(|schema| folder.join(schema)),
            seed: file.seed.map(|seed| folder.join(seed)),
            queries,
            spdci: file.spdci,
            life_events: file.life_events.map(|section| section.beside(folder)),
        })
    }

    /// The same definition on another source of the same kind (SQL or HTTP), so that two banks
    /// share one definition.
    ///
    /// # Errors
    /// [`DefinitionError::Content`] when the URL has an unknown scheme or is of the other kind.
    pub fn with_source(mut self, url: &str) -> Result<Self, DefinitionError> {
        let source = SourceAddress::parse(url).ok_or_else(|| Refuse(&self.path).source())?;
        let is_http = |source: &SourceAddress| matches!(source, SourceAddress::Http(_));
        if is_http(&source) != is_http(&self.source) {
            return Err(Refuse(&self.path).because("source", "SQL and HTTP cannot be exchanged"));
        }
        self.source = source;
        Ok(self)
    }

    /// Service code.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The contract.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The seed file, if the definition names one.
    #[must_use]
    pub fn seed(&self) -> Option<&Path> {
        self.seed.as_deref()
    }
}

impl SourceAddress {
    fn parse(url: &str) -> Option<Self> {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme)?;
        match scheme {
            "sqlite" => Some(Self::Sqlite(url.to_owned())),
            "postgres" | "postgresql" => Some(Self::Postgres(url.to_owned())),
            "http" => Some(Self::Http(url.trim_end_matches('/').to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Debug for SourceAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
            Self::Http(_) => "HTTP",
        })
    }
}

/// Makes errors that name the definition.
struct Refuse<'a>(&'a Path);

impl Refuse<'_> {
    fn because(&self, place: &str, reason: impl Into<String>) -> DefinitionError {
        let path = self.0.to_owned();
        DefinitionError::Content { path, place: place.to_owned(), reason: reason.into() }
    }

    fn source(&self) -> DefinitionError {
        let known =
            "give exactly one of url = \"sqlite://…\", \"postgres://…\" or http = \"http://…\"";
        self.because("source", known)
    }
}

fn describe(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn read_queries(
    refuse: &Refuse<'_>,
    contract: &Contract,
    sections: &BTreeMap<String, OperationSection>,
) -> Result<BTreeMap<String, Queries>, DefinitionError> {
    let known = |id: &String| contract.operations().iter().any(|operation| operation.id == *id);
    if let Some(unknown) = sections.keys().find(|id| !known(id)) {
        let reason = "the contract has no such operationId: correct the name or remove it";
        return Err(refuse.because(&format!("operations.{unknown}"), reason));
    }
    let mut queries = BTreeMap::new();
    for operation in contract.operations() {
        let place = format!("operations.{}", operation.id);
        let section = sections.get(&operation.id).ok_or_else(|| {
            refuse.because(&place, "missing: the contract has this operation, add its queries")
        })?;
        queries.insert(operation.id.clone(), read_operation(refuse, &place, operation, section)?);
    }
    Ok(queries)
}

fn read_operation(
    refuse: &Refuse<'_>,
    place: &str,
    operation: &Operation,
    section: &OperationSection,
) -> Result<Queries, DefinitionError> {
    let shape = Shape::of(operation.answer.schema());
    let parameters = operation.certain_parameters();
    let statement = |place: &str, sql: &str| {
        let one = "only one SQL statement can stand here: remove what follows `;`";
        let statement = Statement::parse(sql).map_err(|_| refuse.because(place, one))?;
        match statement.parameters().iter().find(|name| !parameters.contains_key(*name)) {
            Some(name) => Err(refuse.because(
                place,
                format!(
                    "the contract requires no parameter `{name}`: declare it there as required"
                ),
            )),
            None => Ok(statement),
        }
    };
    let root = statement(&format!("{place}.root"), &section.root)?;
    let mut lists = Vec::new();
    for (name, sql) in &section.lists {
        let place = format!("{place}.lists.{name}");
        if !matches!(shape.field(name), Some(Shape::List { .. })) {
            return Err(refuse.because(&place, "the answer of the contract has no such list"));
        }
        lists.push((name.clone(), statement(&place, sql)?));
    }
    Ok(Queries { root, lists, shape })
}
