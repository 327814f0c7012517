//! What an engine under the store does: it keeps sealed documents and wrapped keys, and knows
//! neither people nor content.

use crate::embedded::Embedded;
use crate::error::StoreError;
use crate::postgres::Postgres;
use crate::query::Cursor;
use crate::seal::{Subject, Wrapped};

/// An engine. The contract, which `tests/store` holds both to:
///
/// - `commit` is all or nothing, durable on return, and refuses with [`StoreError::Conflict`]
///   when a document has another version than the write has seen. After any other error the writes
///   are stored or not, all together.
/// - `make_key` gives the key that stands, and it is durable; of two callers at once one wins.
/// - after `erase_key` nobody is given the key any more.
pub(crate) enum Backend {
    Embedded(Embedded),
    Postgres(Postgres),
}

/// One document to write or delete.
pub(crate) struct Write {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    /// The version that must stand; `None` when the document must not be there.
    pub(crate) seen: Option<u64>,
    /// `None` deletes.
    pub(crate) new: Option<SealedDocument>,
}

impl Write {
    pub(crate) fn conflict(&self) -> StoreError {
        StoreError::Conflict { kind: self.kind.to_owned() }
    }
}

/// A document as it is kept.
pub(crate) struct SealedDocument {
    pub(crate) version: u64,
    /// Whose key seals it.
    pub(crate) subject: Option<Subject>,
    pub(crate) keys: Vec<IndexKey>,
    pub(crate) sealed: Vec<u8>,
}

/// A key in the index. Names of people's keys begin with `@`, so that a plain value never passes
/// for a person.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexKey {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A document as it is read.
pub(crate) struct Kept {
    /// Where it stands in the answer.
    pub(crate) at: Cursor,
    pub(crate) version: u64,
    pub(crate) subject: Option<Subject>,
    /// The person's key, when it is there.
    pub(crate) wrapped: Option<Wrapped>,
    pub(crate) sealed: Vec<u8>,
}

/// What to look for in a collection.
#[derive(Clone)]
pub(crate) struct Lookup {
    pub(crate) kind: &'static str,
    pub(crate) select: IndexSelect,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: usize,
}

/// What a lookup selects.
#[derive(Clone)]
pub(crate) enum IndexSelect {
    All,
    Equal(IndexKey),
    /// From `from` to below `below`.
    Range {
        name: String,
        from: String,
        below: String,
    },
}

impl Backend {
    pub(crate) async fn get(
        &self,
        kind: &'static str,
        id: &str,
    ) -> Result<Option<Kept>, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.get(kind, id).await,
            Self::Postgres(postgres) => postgres.get(kind, id).await,
        }
    }

    /// At most `limit` documents ascending by (value, id); fewer only when there are no more.
    pub(crate) async fn find(&self, lookup: Lookup) -> Result<Vec<Kept>, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.find(lookup).await,
            Self::Postgres(postgres) => postgres.find(lookup).await,
        }
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.commit(writes).await,
            Self::Postgres(postgres) => postgres.commit(writes).await,
        }
    }

    pub(crate) async fn key(&self, subject: Subject) -> Result<Option<Wrapped>, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.key(subject).await,
            Self::Postgres(postgres) => postgres.key(subject).await,
        }
    }

    /// Keeps a person's key unless she has one; gives the one that stands.
    pub(crate) async fn make_key(
        &self,
        subject: Subject,
        wrapped: Wrapped,
    ) -> Result<Wrapped, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.make_key(subject, wrapped).await,
            Self::Postgres(postgres) => postgres.make_key(subject, wrapped).await,
        }
    }

    pub(crate) async fn erase_key(&self, subject: Subject) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.erase_key(subject).await,
            Self::Postgres(postgres) => postgres.erase_key(subject).await,
        }
    }
}
