//! The parties' disks: a map, or the register's own store with the books that it runs on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use payments::{Books, RegisterBooks};
use register::payment::message::MessageId;
use register::payment::office::{Document, Office};
use register::payment::party::{Commit, Party};
use register_store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What outlives a crash.
pub(crate) trait Disk<P: Party> {
    fn commit(&mut self, commit: &Commit<P::Document>);
    fn read_after_crash(&mut self) -> Commit<P::Document>;
}

/// A map that loses nothing.
#[derive(Default)]
pub(crate) struct Memory {
    documents: BTreeMap<String, String>,
    outgoing: BTreeMap<MessageId, String>,
}

impl<P: Party> Disk<P> for Memory {
    fn commit(&mut self, commit: &Commit<P::Document>) {
        for document in &commit.documents {
            self.documents.insert(P::key(document), serde_json::to_string(document).unwrap());
        }
        for message in &commit.messages {
            self.outgoing.insert(message.id(), serde_json::to_string(message).unwrap());
        }
        if let Some(id) = &commit.answered {
            self.outgoing.remove(id);
        }
    }

    fn read_after_crash(&mut self) -> Commit<P::Document> {
        let documents = self.documents.values().map(|text| serde_json::from_str(text).unwrap());
        let messages = self.outgoing.values().map(|text| serde_json::from_str(text).unwrap());
        Commit { documents: documents.collect(), messages: messages.collect(), answered: None }
    }
}

/// The register's books in an embedded store, opened again after each crash.
pub(crate) struct OwnStore {
    runtime: Runtime,
    folder: TempDir,
    books: Option<RegisterBooks>,
}

impl OwnStore {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut disk = Self { runtime, folder: tempfile::tempdir().unwrap(), books: None };
        disk.read_after_crash();
        disk
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

impl Disk<Office> for OwnStore {
    fn commit(&mut self, commit: &Commit<Document>) {
        let books = self.books.as_mut().unwrap();
        self.runtime.block_on(Books::<Office>::commit(books, commit)).unwrap();
    }

    fn read_after_crash(&mut self) -> Commit<Document> {
        self.books = None;
        let config = StoreConfig::embedded(self.directory());
        let store = self.runtime.block_on(Store::open(&config)).unwrap();
        let books = self.books.insert(RegisterBooks::new(store));
        self.runtime.block_on(Books::<Office>::read(books)).unwrap()
    }
}
