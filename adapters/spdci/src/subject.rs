//! The one person whom a query is about, so that what is kept of it can be erased with the person.

use schemas::pinfl::Pinfl;

use crate::filter::{Filter, Value};
use crate::registry::{Description, RecordKind};
use crate::search::SearchMessage;

/// The person whom every record that fits a filter certainly belongs to, where an identifier says so.
#[must_use]
pub fn subject(kind: &RecordKind, filter: &Filter) -> Option<Pinfl> {
    kind.identifiers.iter().find_map(|(_, attribute)| match filter.certain(attribute)? {
        Value::Text(text) => text.parse().ok(),
        Value::Number(_) => None,
    })
}

/// The one person whom all searches of a message are about.
pub(crate) fn subject_of_search(
    message: &SearchMessage,
    description: &Description,
) -> Option<Pinfl> {
    let mut subjects = message.search_request.iter().map(|item| {
        let search = item.read(description).ok()?;
        subject(search.kind, &search.filter)
    });
    let first = subjects.next()??;
    subjects.all(|other| other == Some(first)).then_some(first)
}
