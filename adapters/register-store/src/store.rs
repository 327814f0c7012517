//! The store: documents in, documents out, sealed on the way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use schemas::limits::{STORE_ANSWER_MAX_BYTES, STORE_COMMIT_MAX_BYTES};
use schemas::pinfl::Pinfl;

use crate::backend::{Backend, IndexKey, IndexSelect, Kept, Lookup, SealedDocument, Write};
use crate::changes::{Change, Changes};
use crate::config::{Place, StoreConfig};
use crate::embedded::Embedded;
use crate::entity::{Entity, StoreKey, Stored};
use crate::error::StoreError;
use crate::postgres::Postgres;
use crate::query::{Cursor, Select, StoreQuery};
use crate::seal::{Binding, MasterKey, Opened, SealingKey, Subject};

/// Documents asked of the engine at a time, so that an answer's limit in bytes is seen early.
const PAGE_COUNT: usize = 64;

/// An open store. Cheap to clone; clones are one store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Backend,
    master: MasterKey,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match self.0.backend {
            Backend::Embedded(_) => "embedded",
            Backend::Postgres(_) => "PostgreSQL",
        };
        write!(f, "Store({engine})")
    }
}

impl Store {
    /// Opens a store; makes it, with its master key, when it is not there; brings an older one to
    /// the form of this program.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::InUse`], [`StoreError::MasterKey`],
    /// [`StoreError::Damaged`], [`StoreError::Unavailable`], each with its repair.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let (place, key_file) = config.place()?;
        let (backend, master) = match place {
            Place::Directory(directory) => {
                let (embedded, master) = Embedded::open(directory.to_owned(), key_file).await?;
                (Backend::Embedded(embedded), master)
            }
            Place::Postgres(url) => {
                let (postgres, master) = Postgres::open(url, &key_file).await?;
                (Backend::Postgres(postgres), master)
            }
        };
        Ok(Self(Arc::new(Inner { backend, master })))
    }

    /// The document with this id.
    ///
    /// # Errors
    /// [`StoreError::Erased`] when its person's key is gone, [`StoreError::Damaged`] when it does
    /// not open, [`StoreError::Unavailable`].
    pub async fn get<T: Entity>(&self, id: &str) -> Result<Option<Stored<T>>, StoreError> {
        match self.0.backend.get(T::KIND, id).await? {
            Some(kept) => self.read(&kept)?.map(Some).ok_or_else(erased::<T>),
            None => Ok(None),
        }
    }

    /// The documents that a query selects, ascending by (value, id). Erased ones are passed over:
    /// nobody can read them any more. Documents that change while an answer is made may be missing
    /// from it or bear another value by now; [`Store::commit`] notices.
    ///
    /// # Errors
    /// As [`Store::get`], and [`StoreError::Refused`] for an answer of more than 64 MiB.
    pub async fn find<T: Entity>(&self, query: StoreQuery) -> Result<Vec<Stored<T>>, StoreError> {
        let mut found = Vec::new();
        let mut bytes: usize = 0;
        let select = self.select(query.select);
        let mut after = query.after;
        while found.len() < query.limit {
            let limit = PAGE_COUNT.min(query.limit - found.len());
            let lookup = Lookup { kind: T::KIND, select: select.clone(), after, limit };
            let page = self.0.backend.find(lookup).await?;
            let last = page.len() < limit;
            after = page.last().map(|kept| kept.at.clone());
            for kept in page {
                bytes = bytes.saturating_add(kept.sealed.len());
                found.extend(self.read(&kept)?);
            }
            if bytes > STORE_ANSWER_MAX_BYTES {
                let cause = "its answer is larger than 64 MiB";
                let repair = "ask for fewer documents at a time";
                return Err(StoreError::Refused { kind: "query", cause, repair });
            }
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// Makes all changes, or none of them; durable on return. A caller that goes away meanwhile
    /// changes nothing about that.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a document has another version than was seen, and nothing is
    /// changed; after [`StoreError::Unavailable`] all changes are stored or none.
    pub async fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        let changes = changes.into_sorted()?;
        let new = changes.iter().filter_map(|change| change.new.as_ref());
        if new.map(|new| new.json.len()).sum::<usize>() > STORE_COMMIT_MAX_BYTES {
            let cause = "it holds more than 32 MiB";
            let repair = "commit fewer documents at a time";
            return Err(StoreError::Refused { kind: "commit", cause, repair });
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut keys: HashMap<Subject, SealingKey> = HashMap::new();
        let mut writes = Vec::with_capacity(changes.len());
        for change in changes {
            writes.push(self.seal(change, &mut keys).await?);
        }
        self.0.backend.commit(writes).await
    }

    /// Destroys a person's key: what was sealed under it reads as erased, in every copy of the
    /// documents. A later document about her gets a new key.
    ///
    /// The embedded store overwrites the key where it stands, durable on return; a copying file
    /// system, a disk that moves data, and backups of `keys/` keep the old bytes until their own
    /// means remove them. PostgreSQL keeps the deleted row, wrapped by the master key, until it is
    /// vacuumed and its write-ahead log has been recycled. Keys in the index remain as HMACs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then erase again. A person without key is no error.
    pub async fn erase_person(&self, pinfl: &Pinfl) -> Result<(), StoreError> {
        self.0.backend.erase_key(self.0.master.subject(pinfl)).await
    }

    /// A pseudonym of a person that only this store makes: for ids of documents of which there may
    /// be one for each person. 64 hexadecimal digits.
    #[must_use]
    pub fn pseudonym(&self, pinfl: &Pinfl) -> String {
        self.0.master.subject(pinfl).index_value()
    }

    async fn seal(
        &self,
        change: Change,
        keys: &mut HashMap<Subject, SealingKey>,
    ) -> Result<Write, StoreError> {
        let Change { kind, id, seen, new } = change;
        let Some(new) = new else { return Ok(Write { kind, id, seen, new: None }) };
        let version = seen.map_or(1, |seen| seen.saturating_add(1));
        let binding = Binding { kind, id: &id, version };
        let master = &self.0.master;
        let subject = new.subject.map(|pinfl| master.subject(&pinfl));
        let sealed = match subject {
            None => master.seal(&master.collection(kind), &binding, &new.json)?,
            Some(subject) => {
                let key = match keys.entry(subject) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(self.person(subject).await?),
                };
                master.seal(key, &binding, &new.json)?
            }
        };
        let mut index: Vec<IndexKey> = new.keys.iter().map(|key| self.index_key(key)).collect();
        index.sort();
        index.dedup();
        let new = Some(SealedDocument { version, subject, keys: index, sealed });
        Ok(Write { kind, id, seen, new })
    }

    /// The person's key; made when she has none.
    async fn person(&self, subject: Subject) -> Result<SealingKey, StoreError> {
        let Inner { backend, master } = &*self.0;
        let wrapped = match backend.key(subject).await? {
            Some(wrapped) => wrapped,
            None => backend.make_key(subject, master.new_person(&subject)?).await?,
        };
        master.unwrap_person(&subject, &wrapped).ok_or_else(|| foreign_key("a person's key"))
    }

    /// Opens a document; `None` when it is erased.
    fn read<T: Entity>(&self, kept: &Kept) -> Result<Option<Stored<T>>, StoreError> {
        let Kept { at: Cursor { id, .. }, version, subject, wrapped, sealed } = kept;
        let key = match (subject, wrapped) {
            (None, _) => self.0.master.collection(T::KIND),
            (Some(_), None) => return Ok(None),
            (Some(subject), Some(wrapped)) => {
                let key = self.0.master.unwrap_person(subject, wrapped);
                key.ok_or_else(|| foreign_key(T::KIND))?
            }
        };
        let binding = Binding { kind: T::KIND, id, version: *version };
        let damaged = |cause| StoreError::damaged(format!("a document of {}", T::KIND), cause);
        match key.open(&binding, sealed) {
            Opened::OtherKey => Ok(None),
            Opened::Changed => Err(damaged("its bytes are not those that were sealed")),
            Opened::Plain(json) => {
                // What serde says may quote the document.
                let value = serde_json::from_slice(&json)
                    .map_err(|_| damaged("it does not have the fields that this program reads"))?;
                Ok(Some(Stored { value, version: *version }))
            }
        }
    }

    fn select(&self, select: Select) -> IndexSelect {
        match select {
            Select::All => IndexSelect::All,
            Select::Equal { name, value } => {
                IndexSelect::Equal(self.index_key(&StoreKey::Plain { name, value }))
            }
            Select::Person { name, pinfl } => {
                IndexSelect::Equal(self.index_key(&StoreKey::Person { name, pinfl }))
            }
            Select::Range { name, from, below } => {
                IndexSelect::Range { name: name.to_owned(), from, below }
            }
        }
    }

    fn index_key(&self, key: &StoreKey) -> IndexKey {
        match key {
            StoreKey::Plain { name, value } => {
                IndexKey { name: (*name).to_owned(), value: value.clone() }
            }
            StoreKey::Person { name, pinfl } => {
                let value = self.0.master.subject(pinfl).index_value();
                IndexKey { name: format!("@{name}"), value }
            }
        }
    }
}

fn erased<T: Entity>() -> StoreError {
    StoreError::Erased { kind: T::KIND.to_owned() }
}

fn foreign_key(place: &str) -> StoreError {
    StoreError::damaged(place, "its key does not open under the master key")
}
