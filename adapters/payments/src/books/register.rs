//! The register's books, in the register's store: each line and death is sealed under the key of the
//! person whom it is about; messages are kept without people and made again from the lines.
//!
//! ```text
//! commit ── up to 900 entries ──► one commit of the store: entries and head
//!        └─ more ───────────────► head: filling ─► staged entries, 900 at a time ─► head: decided
//!                                 ─► staged entries to their places, 450 at a time ─► head: clear
//! ```
//!
//! A commit of the store changes at most 1 000 documents, and a month may have more lines. What is
//! staged is stored when the head says `decided`, and never was there when it does not.
//!
//! | crash | what is left | what the next reader does |
//! |---|---|---|
//! | before `filling`, or a small commit fails | nothing of it | nothing |
//! | while entries are staged | staged entries that no head names as decided | passes over them; the next large commit deletes them |
//! | after `decided` | all staged entries | brings them to their places before it reads |
//! | while they are brought there | some at their places, the others staged | brings the others |
//! | after the last, before `clear` | all at their places | clears |
//!
//! Every commit changes the head, so that of two processes on one store the second is refused
//! ([`BooksError::Overtaken`]) and reads again. Left out: a message that names an erased line is not
//! made again; do not erase a person while a month of hers is open.

mod entry;

use std::collections::BTreeMap;

use register::payment::office::{Document, Office};
use register::payment::party::Commit;
use register_store::{Changes, Store, StoreError, StoreQuery, Stored};
use schemas::limits::{STORE_CHANGES_MAX_COUNT, STORE_QUERY_MAX_COUNT};

use self::entry::{Entry, HEAD, Head, Stage, Staged, commit_of, entries_of};
use super::{Books, BooksError, Step};

/// Entries of one commit of the store, beside the head.
const PART_MAX_COUNT: usize = STORE_CHANGES_MAX_COUNT * 9 / 10;
/// Attempts to read what another process changes meanwhile.
const READS_MAX_COUNT: usize = 8;

/// The register's books in its store.
#[derive(Debug)]
pub struct RegisterBooks {
    store: Store,
    /// The head's version as it was read or written here; it counts the commits.
    head: Option<u64>,
    /// Versions of the entries, by id.
    versions: BTreeMap<String, u64>,
}

impl From<StoreError> for BooksError {
    fn from(failed: StoreError) -> Self {
        match failed {
            StoreError::Conflict { .. } => Self::Overtaken,
            other => Self::Register(other),
        }
    }
}

impl Books<Office> for RegisterBooks {
    fn read(&mut self) -> Step<'_, Commit<Document>> {
        Box::pin(async {
            for _ in 0..READS_MAX_COUNT {
                let head = self.read_head().await?;
                let entries = self.read_entries().await?;
                match head {
                    Stage::Decided { attempt } => self.bring(&attempt).await?,
                    _ if Books::is_current(self).await? => return Ok(commit_of(entries)),
                    _ => {}
                }
            }
            Err(BooksError::Overtaken)
        })
    }

    fn commit<'a>(&'a mut self, commit: &'a Commit<Document>) -> Step<'a, ()> {
        Box::pin(async {
            let entries = entries_of(commit, self.head.unwrap_or(0).saturating_add(1));
            if entries.len() > PART_MAX_COUNT {
                return self.commit_in_parts(entries).await;
            }
            let changes = entries.iter().try_fold(Changes::new(), |c, entry| self.put(c, entry))?;
            self.advance(changes, Stage::Clear).await?;
            self.note(&entries);
            Ok(())
        })
    }

    fn is_current(&mut self) -> Step<'_, bool> {
        Box::pin(async {
            let head = self.store.get::<Head>(HEAD).await?;
            Ok(head.map(|head| head.version) == self.head)
        })
    }
}

impl RegisterBooks {
    /// Books in the register's store, which it shares with applications and cases.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, head: None, versions: BTreeMap::new() }
    }

    async fn read_head(&mut self) -> Result<Stage, BooksError> {
        let head = self.store.get::<Head>(HEAD).await?;
        self.head = head.as_ref().map(|head| head.version);
        Ok(head.map_or(Stage::Clear, |head| head.value.stage))
    }

    async fn read_entries(&mut self) -> Result<Vec<Entry>, BooksError> {
        self.versions.clear();
        let mut entries: Vec<Entry> = Vec::new();
        let mut query = StoreQuery::all();
        loop {
            let page = self.store.find::<Entry>(query).await?;
            let last = page.len() < STORE_QUERY_MAX_COUNT;
            for Stored { value, version } in page {
                self.versions.insert(value.id.clone(), version);
                entries.push(value);
            }
            match entries.last() {
                Some(behind) if !last => query = StoreQuery::all().after_id(&behind.id),
                _ => return Ok(entries),
            }
        }
    }

    async fn commit_in_parts(&mut self, entries: Vec<Entry>) -> Result<(), BooksError> {
        // The head's next version: no two attempts have the same.
        let attempt = format!("{:020}", self.head.unwrap_or(0).saturating_add(1));
        self.advance(Changes::new(), Stage::Filling { attempt: attempt.clone() }).await?;
        self.delete_staged().await?;
        let mut places = 0_usize..;
        for part in entries.chunks(PART_MAX_COUNT) {
            let staged = part.iter().zip(&mut places).map(|(entry, place)| Staged {
                id: format!("{attempt}-{place:08}"),
                attempt: attempt.clone(),
                entry: entry.clone(),
            });
            let changes =
                staged.into_iter().try_fold(Changes::new(), |c, staged| c.insert(&staged))?;
            self.store.commit(changes).await?;
        }
        self.advance(Changes::new(), Stage::Decided { attempt: attempt.clone() }).await?;
        self.bring(&attempt).await
    }

    /// Brings what is decided to its places.
    async fn bring(&mut self, attempt: &str) -> Result<(), BooksError> {
        let query = StoreQuery::equal("attempt", attempt).limit(PART_MAX_COUNT / 2);
        loop {
            let page = self.store.find::<Staged>(query.clone()).await?;
            if page.is_empty() {
                return self.advance(Changes::new(), Stage::Clear).await;
            }
            let mut changes = Changes::new();
            for staged in &page {
                changes = self.put(changes, &staged.value.entry)?.delete(staged);
            }
            self.store.commit(changes).await?;
            let entries: Vec<Entry> = page.into_iter().map(|staged| staged.value.entry).collect();
            self.note(&entries);
        }
    }

    /// Deletes what attempts that came to nothing have left.
    async fn delete_staged(&self) -> Result<(), BooksError> {
        loop {
            let left = self.store.find::<Staged>(StoreQuery::all()).await?;
            if left.is_empty() {
                return Ok(());
            }
            let changes = left.iter().fold(Changes::new(), |changes, left| changes.delete(left));
            self.store.commit(changes).await?;
        }
    }

    /// Commits changes together with the head, which nobody may have changed since it was read.
    async fn advance(&mut self, changes: Changes, stage: Stage) -> Result<(), BooksError> {
        let head = Head { stage };
        let changes = match self.head {
            None => changes.insert(&head)?,
            Some(version) => changes.update(&Stored { value: head, version })?,
        };
        self.store.commit(changes).await?;
        self.head = Some(self.head.unwrap_or(0).saturating_add(1));
        Ok(())
    }

    fn put(&self, changes: Changes, entry: &Entry) -> Result<Changes, StoreError> {
        match (self.versions.get(&entry.id), entry.is_gone()) {
            (None, true) => Ok(changes),
            (None, false) => changes.insert(entry),
            (Some(version), gone) => {
                let seen = Stored { value: entry.clone(), version: *version };
                if gone { Ok(changes.delete(&seen)) } else { changes.update(&seen) }
            }
        }
    }

    /// Takes in the versions of what was put.
    fn note(&mut self, entries: &[Entry]) {
        for entry in entries {
            if entry.is_gone() {
                self.versions.remove(&entry.id);
            } else {
                *self.versions.entry(entry.id.clone()).or_default() += 1;
            }
        }
    }
}
