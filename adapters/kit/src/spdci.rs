//! A SQL source as a registry of SPDCI: what `[spdci]` of a definition says.
//!
//! ```toml
//! [spdci]
//! events = ["LiveBirth", "Death"]
//! latest = "SELECT COALESCE(MAX(sequence), 0) AS sequence FROM vital_events"
//! after = "SELECT sequence, event, person AS key FROM vital_events"     # ordered and cut by the kit
//!
//! [[spdci.records]]
//! registry_type = "ns:org:RegistryType:Civil"
//! name = "Person"
//! rows = "SELECT pinfl, sex, born FROM persons"                          # one row is one record
//! key = "pinfl"                                                          # unique; last in every order
//! identifiers = { UIN = "uin" }                                          # type = attribute
//! attributes = { uin = { column = "pinfl", type = "text" } }             # what may be asked and sorted by
//! fields = { "identifier.identifier_value" = "pinfl" }                   # place in the record = column
//! constants = { "identifier.identifier_type" = "UIN" }                   # left out where no field is beside
//! ```
//!
//! Partners' values are bound; names come from the definition only.

use std::collections::BTreeMap;

use schemas::clock::Clock;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use spdci::filter::{AttributeType, Attributes, Filter, Operator, Value};
use spdci::registry::{
    Description, Entry, Event, Found, Order, RecordKind, Registry, RegistryFault, Search,
};
use spdci::{RunningSpdci, SpdciConfig, SpdciFault};

use crate::config::AdapterConfig;
use crate::definition::Definition;
use crate::parameters::Binding;
use crate::refusal::Refusal;
use crate::shape::Columns;
use crate::source::SqlSource;

/// `[spdci]` of a definition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpdciSection {
    #[serde(default)]
    events: Vec<String>,
    latest: Option<String>,
    after: Option<String>,
    records: Vec<RecordSection>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordSection {
    registry_type: String,
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    rows: String,
    key: String,
    #[serde(default)]
    identifiers: BTreeMap<String, String>,
    attributes: BTreeMap<String, AttributeSection>,
    fields: BTreeMap<String, String>,
    #[serde(default)]
    constants: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeSection {
    column: String,
    #[serde(rename = "type")]
    kind: AttributeType,
}

/// Why the SPDCI interface of an adapter does not start.
#[derive(Debug, thiserror::Error)]
pub enum AdapterSpdciFault {
    /// The interface's own fault.
    #[error(transparent)]
    Spdci(#[from] SpdciFault),
    /// The definition has no part for it.
    #[error(
        "adapter: `spdci` is configured and the definition has no [spdci] on a SQL source; \
         remove the key or add the section"
    )]
    NotDefined,
}

/// Reads the file of the interface, where the adapter's configuration names one.
///
/// # Errors
/// [`AdapterSpdciFault`] says what to change.
pub fn configured(
    config: &AdapterConfig,
    definition: &Definition,
) -> Result<Option<SpdciConfig>, AdapterSpdciFault> {
    match (&config.spdci, &definition.spdci) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(AdapterSpdciFault::NotDefined),
        (Some(file), Some(_)) => Ok(Some(SpdciConfig::load(file)?)),
    }
}

/// Starts the interface of a definition beside its adapter.
///
/// # Errors
/// [`AdapterSpdciFault`] says what to change.
pub async fn start(
    config: SpdciConfig,
    definition: &Definition,
    clock: Clock,
) -> Result<RunningSpdci<SqlRegistry>, AdapterSpdciFault> {
    let registry = SqlRegistry::open(definition).ok_or(AdapterSpdciFault::NotDefined)?;
    Ok(spdci::start(config, clock, registry).await?)
}

/// A definition's source as a registry.
pub struct SqlRegistry {
    source: SqlSource,
    section: SpdciSection,
    description: Description,
}

impl SqlRegistry {
    /// Opens the source without connecting; `None` when the definition has no `[spdci]`, or no SQL
    /// source.
    #[must_use]
    pub fn open(definition: &Definition) -> Option<Self> {
        let section = definition.spdci.clone()?;
        let source = SqlSource::open(&definition.source, &definition.health)?;
        let description = Description {
            kinds: section.records.iter().map(RecordSection::kind).collect(),
            events: section.events.clone(),
        };
        Some(Self { source, section, description })
    }

    fn section(&self, kind: &RecordKind) -> Option<&RecordSection> {
        self.section.records.iter().find(|section| {
            section.name == kind.name && section.registry_type == kind.registry_type
        })
    }

    async fn ask(
        &self,
        sql: String,
        bindings: &[Binding],
        max_count: usize,
    ) -> Result<Vec<Columns>, RegistryFault> {
        self.source.ask(sql, bindings, max_count).await.map_err(|refusal| fault(&refusal))
    }

    /// The record with this key, as an event needs it.
    async fn record(
        &self,
        section: &RecordSection,
        key: &str,
    ) -> Result<Option<Entry>, RegistryFault> {
        let RecordSection { rows, key: column, .. } = section;
        let sql = format!("SELECT * FROM ({rows}) AS record WHERE {column} = $1");
        let found = self.ask(sql, &[Binding::Text(key.to_owned())], 1).await?;
        Ok(found.first().map(|columns| section.entry(columns)))
    }
}

impl Registry for SqlRegistry {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn search(&self, search: &Search<'_>) -> Result<Found, RegistryFault> {
        let section = self.section(search.kind).ok_or_else(gone)?;
        let mut place = Condition { section, bindings: Vec::new() };
        let condition = place.write(&search.filter)?;
        let from = format!("FROM ({}) AS record WHERE {condition}", section.rows);
        let counted =
            self.ask(format!("SELECT COUNT(*) AS total {from}"), &place.bindings, 1).await?;
        let total_count = counted.first().and_then(|row| unsigned(row, "total")).unwrap_or(0);
        let order = section.order(search)?;
        let (size, skipped) = (search.page.size, search.page.skipped_count());
        let sql = format!("SELECT * {from} ORDER BY {order} LIMIT {size} OFFSET {skipped}");
        let max_count = usize::try_from(size).unwrap_or(usize::MAX);
        let rows = self.ask(sql, &place.bindings, max_count).await?;
        let entries = rows.iter().map(|columns| section.entry(columns)).collect();
        Ok(Found { entries, total_count })
    }

    async fn events(
        &self,
        after: u64,
        limit_count: usize,
    ) -> Result<(Vec<Event>, u64), RegistryFault> {
        let (Some(rows), Some(section)) = (&self.section.after, self.section.records.first())
        else {
            return Ok((Vec::new(), after));
        };
        let sql = format!(
            "SELECT * FROM ({rows}) AS event WHERE sequence > $1 ORDER BY sequence LIMIT {limit_count}"
        );
        let bound = Binding::Integer(i64::try_from(after).unwrap_or(i64::MAX));
        let (mut events, mut until) = (Vec::new(), after);
        for row in self.ask(sql, &[bound], limit_count).await? {
            let text =
                |name: &str| column_of(&row, name).and_then(Json::as_str).unwrap_or_default();
            let sequence = unsigned(&row, "sequence").ok_or_else(gone)?;
            until = sequence;
            // A record that is gone by now has nothing to tell.
            let Some(entry) = self.record(section, text("key")).await? else { continue };
            let (event_type, kind) = (text("event").to_owned(), section.name.clone());
            events.push(Event { sequence, event_type, kind, entry });
        }
        Ok((events, until))
    }

    async fn latest(&self) -> Result<u64, RegistryFault> {
        let Some(sql) = &self.section.latest else { return Ok(0) };
        let rows = self.ask(sql.clone(), &[], 1).await?;
        Ok(rows.first().and_then(|row| unsigned(row, "sequence")).unwrap_or(0))
    }
}

impl RecordSection {
    fn kind(&self) -> RecordKind {
        let mut kind = RecordKind::new(&self.registry_type, &self.name);
        kind.aliases.clone_from(&self.aliases);
        for (name, attribute) in &self.attributes {
            kind = kind.attribute_of(name, attribute.kind);
        }
        for (identifier, attribute) in &self.identifiers {
            kind = kind.identified_by(identifier, attribute);
        }
        kind
    }

    fn column(&self, attribute: &str) -> Result<&str, RegistryFault> {
        let found = self.attributes.get(attribute);
        found.map(|attribute| attribute.column.as_str()).ok_or_else(gone)
    }

    /// The order that is asked for, then the key, so that pages never overlap.
    fn order(&self, search: &Search<'_>) -> Result<String, RegistryFault> {
        let mut order = String::new();
        for sort in &search.sort {
            let column = self.column(&sort.attribute)?;
            let direction = match sort.order {
                Order::Ascending => "ASC",
                Order::Descending => "DESC",
            };
            // Databases disagree about where nothing stands: here always last.
            order.push_str(&format!("{column} IS NULL, {column} {direction}, "));
        }
        Ok(format!("{order}{}", self.key))
    }

    fn entry(&self, columns: &Columns) -> Entry {
        let mut record = Map::new();
        for (place, column) in &self.fields {
            if let Some(value) = column_of(columns, column).filter(|value| !value.is_null()) {
                put(&mut record, place, value.clone());
            }
        }
        for (place, text) in &self.constants {
            let beside = place.rsplit_once('.').is_none_or(|(parent, _)| has(&record, parent));
            if beside {
                put(&mut record, place, Json::from(text.as_str()));
            }
        }
        let attribute = |(name, attribute): (&String, &AttributeSection)| {
            let value = match column_of(columns, &attribute.column)? {
                Json::String(text) => Value::Text(text.clone()),
                number => Value::Number(number.as_i64()?),
            };
            Some((name.clone(), value))
        };
        let attributes: Attributes = self.attributes.iter().filter_map(attribute).collect();
        Entry { record: Json::Object(record), attributes }
    }
}

/// A filter as SQL with bound values.
struct Condition<'a> {
    section: &'a RecordSection,
    bindings: Vec<Binding>,
}

impl Condition<'_> {
    fn write(&mut self, filter: &Filter) -> Result<String, RegistryFault> {
        match filter {
            Filter::All(parts) => self.join(parts, "AND", "1 = 1"),
            Filter::Any(parts) => self.join(parts, "OR", "1 = 0"),
            Filter::Not(part) => Ok(format!("NOT {}", self.write(part)?)),
            Filter::Compare { attribute, operator, values } => {
                let column = self.section.column(attribute)?.to_owned();
                let places: Vec<String> = values.iter().map(|value| self.bind(value)).collect();
                let places = places.join(", ");
                // Compared with nothing, SQL says neither yes nor no; here it is no.
                let sign = sign(*operator);
                Ok(format!("({column} IS NOT NULL AND {column} {sign} ({places}))"))
            }
        }
    }

    fn join(
        &mut self,
        parts: &[Filter],
        word: &str,
        of_none: &str,
    ) -> Result<String, RegistryFault> {
        let parts: Vec<String> =
            parts.iter().map(|part| self.write(part)).collect::<Result<_, _>>()?;
        if parts.is_empty() {
            return Ok(format!("({of_none})"));
        }
        Ok(format!("({})", parts.join(&format!(" {word} "))))
    }

    fn bind(&mut self, value: &Value) -> String {
        self.bindings.push(match value {
            Value::Text(text) => Binding::Text(text.clone()),
            Value::Number(number) => Binding::Integer(*number),
        });
        format!("${}", self.bindings.len())
    }
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "=",
        Operator::Unequal => "<>",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::In => "IN",
    }
}

/// Puts a value at `a.b.c`, making the objects on the way.
fn put(record: &mut Map<String, Json>, place: &str, value: Json) {
    match place.split_once('.') {
        None => drop(record.insert(place.to_owned(), value)),
        Some((first, rest)) => {
            let inner = record.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn has(record: &Map<String, Json>, place: &str) -> bool {
    match place.split_once('.') {
        None => record.contains_key(place),
        Some((first, rest)) => {
            record.get(first).and_then(Json::as_object).is_some_and(|inner| has(inner, rest))
        }
    }
}

fn unsigned(row: &Columns, name: &str) -> Option<u64> {
    column_of(row, name).and_then(Json::as_u64)
}

fn column_of<'a>(row: &'a Columns, name: &str) -> Option<&'a Json> {
    row.iter().find_map(|(known, value)| (known == name).then_some(value))
}

fn gone() -> RegistryFault {
    RegistryFault::Unavailable("the definition's [spdci] does not fit its source".to_owned())
}

fn fault(refusal: &Refusal) -> RegistryFault {
    RegistryFault::Unavailable(refusal.message("spdci").unwrap_or_default())
}
