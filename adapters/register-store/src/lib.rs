//! What the register keeps: documents with the keys by which they are found again, each sealed
//! under the key of the person that it is about.
//!
//! ```text
//!  Changes ──► Store ── canonical JSON, sealed ──► embedded   journal/  one write, one fdatasync: the truth
//!                 │                                           view/     sled: where documents lie; derived
//!                 │                                           keys/     a person's wrapped key in one slot
//!                 └─────────────────────────────► PostgreSQL  the same documents, for several nodes
//! ```
//!
//! A commit is all or nothing and durable on return. A document has a version; whoever changes it
//! says which one it saw, and [`StoreError::Conflict`] says that another was faster.
//!
//! What each store is trusted for:
//! - `journal/` and the database: **not trusted with content**: it is sealed, and bound to collection,
//!   document and version. Who can change them can lose documents, or set the newest ones back to an
//!   older version. In the clear stand the collection, the document's id, its version, and plain keys;
//!   people in keys are HMACs.
//! - `view/`: **not trusted**: it is made again from `journal/` and `keys/`.
//! - the people's keys: **trusted to be gone** once erased; see [`Store::erase_person`].
//! - the master key file: **trusted for secrecy**: with it and the store everything can be read.
//!
//! Left out: compaction. The journal keeps every version of a document until its person is erased.

mod backend;
mod changes;
mod config;
mod embedded;
mod entity;
mod error;
mod postgres;
mod query;
mod seal;
mod store;

pub use changes::Changes;
pub use config::StoreConfig;
pub use entity::{Entity, StoreKey, Stored};
pub use error::StoreError;
pub use query::{Cursor, StoreQuery};
pub use store::Store;
