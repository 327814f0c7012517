//! What a registry gives to the interface: its kinds of records, searches over them, and events.

use std::collections::BTreeMap;
use std::future::Future;

use serde_json::Value as Json;

use crate::filter::{AttributeType, Attributes, Filter};

/// A kind of record and what may be asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKind {
    /// The registry that it belongs to in answers, `reg_type`, such as `ns:org:RegistryType:Social`.
    pub registry_type: String,
    /// Its name in answers, `reg_record_type`.
    pub name: String,
    /// Other names under which partners ask for it.
    pub aliases: Vec<String>,
    /// Attributes by which records are found and sorted.
    pub attributes: BTreeMap<String, AttributeType>,
    /// Types of identifiers, each with the attribute that holds it.
    pub identifiers: Vec<(String, String)>,
}

impl RecordKind {
    /// A kind without attributes.
    #[must_use]
    pub fn new(registry_type: &str, name: &str) -> Self {
        let (aliases, attributes, identifiers) = Default::default();
        let (registry_type, name) = (registry_type.to_owned(), name.to_owned());
        Self { registry_type, name, aliases, attributes, identifiers }
    }

    /// The same kind, also called `name`.
    #[must_use]
    pub fn also_called(mut self, name: &str) -> Self {
        self.aliases.push(name.to_owned());
        self
    }

    /// The same kind with one more attribute.
    #[must_use]
    pub fn attribute_of(mut self, name: &str, kind: AttributeType) -> Self {
        self.attributes.insert(name.to_owned(), kind);
        self
    }

    /// The same kind, found by identifiers of `kind`, which `attribute` holds.
    #[must_use]
    pub fn identified_by(mut self, kind: &str, attribute: &str) -> Self {
        self.identifiers.push((kind.to_owned(), attribute.to_owned()));
        self
    }

    /// The type of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<AttributeType> {
        self.attributes.get(name).copied()
    }

    /// Whether `name` means this kind: the name itself, an alias, or either behind a prefix such as
    /// `spdci-extensions-dci:`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.rsplit(':').next().unwrap_or(name);
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// What a registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The kinds of records; the first is meant when a search names none.
    pub kinds: Vec<RecordKind>,
    /// Events that can be subscribed to.
    pub events: Vec<String>,
}

impl Description {
    /// The kind that a search or subscription means by record type and registry type; the first
    /// that fits what it names.
    #[must_use]
    pub fn kind(&self, name: Option<&str>, registry_type: Option<&str>) -> Option<&RecordKind> {
        let of_type = |kind: &&RecordKind| {
            registry_type.is_none_or(|wanted| short(wanted) == short(&kind.registry_type))
        };
        let named = |kind: &&RecordKind| name.is_none_or(|name| kind.is_called(name));
        self.kinds.iter().filter(of_type).find(named)
    }

    /// The event that is meant, with or without a prefix, in any case.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<&str> {
        let name = name.rsplit(':').next().unwrap_or(name);
        self.events.iter().map(String::as_str).find(|event| event.eq_ignore_ascii_case(name))
    }
}

/// `Social` of `ns:org:RegistryType:Social`. The documents call civil registries `Civil`, their
/// test data `CRVS`.
fn short(registry_type: &str) -> String {
    let short = registry_type.rsplit(':').next().unwrap_or(registry_type).to_ascii_lowercase();
    if short == "crvs" { "civil".to_owned() } else { short }
}

/// The order of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The attribute.
    pub attribute: String,
    /// The direction.
    pub order: Order,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A page of an answer; pages count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Records on a page.
    pub size: u64,
    /// The page.
    pub number: u64,
}

impl Page {
    /// Records before this page.
    #[must_use]
    pub fn skipped_count(&self) -> u64 {
        self.size.saturating_mul(self.number.saturating_sub(1))
    }
}

/// A search that has been read and checked.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// The kind of records.
    pub kind: &'a RecordKind,
    /// What they have to be.
    pub filter: Filter,
    /// Their order; ties are broken by the registry, always in the same way.
    pub sort: Vec<Sort>,
    /// The page that is asked for.
    pub page: Page,
}

/// A record of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is sent.
    pub record: Json,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A page of records. Its `Debug` shows numbers only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The records of the page.
    pub entries: Vec<Entry>,
    /// Records on all pages.
    pub total_count: u64,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Found {{ {} of {} }}", self.entries.len(), self.total_count)
    }
}

/// Something that has happened to a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the registry's order of events, from 1.
    pub sequence: u64,
    /// Its type, one of [`Description::events`].
    pub event_type: String,
    /// The kind of its record.
    pub kind: String,
    /// The record as it is now.
    pub entry: Entry,
}

/// Why a registry gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryFault {
    /// The query fits more records than the registry goes through.
    #[error("the query fits too many records; narrow it")]
    TooMany,
    /// The source of the records cannot be asked; the text is for the log.
    #[error("the registry's records cannot be read: {0}")]
    Unavailable(String),
}

/// A registry, asked by the interface. Calls may run at once; none changes a record but
/// [`Registry::enrol`].
pub trait Registry: Send + Sync + 'static {
    /// What the registry is; the same at every call.
    fn description(&self) -> &Description;

    /// The page of records that a search means, in its order, and how many there are in all.
    ///
    /// # Errors
    /// [`RegistryFault`].
    fn search(
        &self,
        search: &Search<'_>,
    ) -> impl Future<Output = Result<Found, RegistryFault>> + Send;

    /// Events after `after` in their order, about `limit_count`, and the sequence up to which they
    /// were read: what has nothing to tell any more is left out. 0 is before the first.
    ///
    /// # Errors
    /// [`RegistryFault`].
    fn events(
        &self,
        after: u64,
        limit_count: usize,
    ) -> impl Future<Output = Result<(Vec<Event>, u64), RegistryFault>> + Send;

    /// The sequence of the latest event; 0 when there is none. What has happened without a place in
    /// the order of events gets it here.
    ///
    /// # Errors
    /// [`RegistryFault`].
    fn latest(&self) -> impl Future<Output = Result<u64, RegistryFault>> + Send;

    /// Takes the beneficiaries that a programme's system reports (IBR); `None` when this registry
    /// is none of beneficiaries. For each, the reason for which it is not taken.
    ///
    /// # Errors
    /// [`RegistryFault`].
    fn enrol(
        &self,
        partner: &str,
        beneficiaries: &[Json],
    ) -> impl Future<Output = Result<Option<Vec<Result<(), String>>>, RegistryFault>> + Send {
        let _ = (partner, beneficiaries);
        std::future::ready(Ok(None))
    }
}
