//! Questions to a collection.

use std::fmt;

use schemas::limits::STORE_QUERY_MAX_COUNT;
use schemas::pinfl::Pinfl;

/// Where a query goes on: behind this document. The value is that of the key asked for; it is left
/// empty where all documents are asked for, or those with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last document's value of the key.
    pub value: String,
    /// The last document's id.
    pub id: String,
}

/// What a query selects.
#[derive(Clone)]
pub(crate) enum Select {
    All,
    Equal { name: &'static str, value: String },
    Person { name: &'static str, pinfl: Pinfl },
    Range { name: &'static str, from: String, below: String },
}

/// A question to a collection; answers come ascending by (value, id), at most 1 000 at a time.
///
/// ```
/// use register_store::StoreQuery;
/// let overdue = StoreQuery::range("due", "", "2026-03-06").limit(100);
/// ```
#[derive(Clone)]
pub struct StoreQuery {
    pub(crate) select: Select,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: usize,
}

impl StoreQuery {
    /// Every document, ascending by id.
    #[must_use]
    pub fn all() -> Self {
        Self::of(Select::All)
    }

    /// Documents whose plain key has this value.
    #[must_use]
    pub fn equal(name: &'static str, value: impl Into<String>) -> Self {
        Self::of(Select::Equal { name, value: value.into() })
    }

    /// Documents with this person under the key.
    #[must_use]
    pub fn person(name: &'static str, pinfl: Pinfl) -> Self {
        Self::of(Select::Person { name, pinfl })
    }

    /// Documents whose plain key lies from `from` (inclusive) to `below` (exclusive), byte by byte.
    #[must_use]
    pub fn range(name: &'static str, from: impl Into<String>, below: impl Into<String>) -> Self {
        Self::of(Select::Range { name, from: from.into(), below: below.into() })
    }

    /// Goes on behind a document of [`StoreQuery::all`], [`StoreQuery::equal`] or
    /// [`StoreQuery::person`].
    #[must_use]
    pub fn after_id(self, id: impl Into<String>) -> Self {
        self.after(Cursor { value: String::new(), id: id.into() })
    }

    /// Goes on behind a document.
    #[must_use]
    pub fn after(mut self, last: Cursor) -> Self {
        self.after = Some(last);
        self
    }

    /// Gives at most this many; more than 1 000 are never given at a time.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.limit = count.min(STORE_QUERY_MAX_COUNT);
        self
    }

    fn of(select: Select) -> Self {
        Self { select, after: None, limit: STORE_QUERY_MAX_COUNT }
    }
}

impl fmt::Debug for StoreQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.select {
            Select::All => "all",
            Select::Equal { name, .. } | Select::Person { name, .. } => name,
            Select::Range { name, .. } => name,
        };
        write!(f, "StoreQuery({name}, at most {})", self.limit)
    }
}
