//! Where a party keeps its documents and outgoing messages.

mod register;
mod sqlite;

use std::pin::Pin;

use ::register::payment::party::{Commit, Party};

pub use self::register::RegisterBooks;
pub use sqlite::{SqliteBooks, SqliteError};

/// Why books cannot be read or written. Holds no content.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// Another process has changed the books since they were read; nothing was stored.
    #[error(
        "payments: another process has changed the books meanwhile; nothing is stored, do it again"
    )]
    Overtaken,
    /// The file of a treasury or a bank.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// The register's store.
    #[error(transparent)]
    Register(register_store::StoreError),
}

/// A step that is under way.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, BooksError>> + Send + 'a>>;

/// A party's books. The contract, which the model of `tests/model` holds them to:
///
/// - `commit` makes documents, outgoing messages and the end of an answered one durable, all of it or
///   nothing. After an error, or when its caller goes away, all of it is stored or nothing, so that
///   [`Books::read`] comes before the next step.
/// - `commit` stores nothing when another process has changed the books since they were read.
pub trait Books<P: Party>: Send {
    /// Everything: the documents, and the messages that are not answered.
    fn read(&mut self) -> Step<'_, Commit<P::Document>>;

    /// Stores a commit.
    fn commit<'a>(&'a mut self, commit: &'a Commit<P::Document>) -> Step<'a, ()>;

    /// Whether nobody else has changed the books since they were read or written here.
    fn is_current(&mut self) -> Step<'_, bool>;
}
