//! What the store cannot do, and what is done about it. No text holds personal data.

use std::error::Error;

/// A cause from below, which names files and tables and nobody.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// What the store cannot do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another was faster: the document has another version than the one that was seen, is there
    /// already, or is gone. Nothing was changed.
    #[error(
        "register store: a document of {kind} was changed by another meanwhile; read it again and retry"
    )]
    Conflict {
        /// The collection.
        kind: String,
    },
    /// The person's key was destroyed; what it sealed is gone for good, and meant to be.
    #[error(
        "register store: this document of {kind} was erased with its person's key; nothing repairs it"
    )]
    Erased {
        /// The collection.
        kind: String,
    },
    /// What the caller wants is beyond a limit.
    #[error("register store: this {kind} is refused: {cause}; {repair}")]
    Refused {
        /// The collection, or `commit`, or `query`.
        kind: &'static str,
        /// What is wrong.
        cause: &'static str,
        /// What to do.
        repair: &'static str,
    },
    /// Disk or database do not do their part. Whether a commit was stored is not known: read before
    /// trying again.
    #[error("register store: {doing} failed: {cause}; check {check}, read again before you retry")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// What to look at.
        check: &'static str,
        /// What the system said.
        #[source]
        cause: Cause,
    },
    /// Bytes are not what was written.
    #[error("register store: {place} is damaged: {cause}; restore the store from a backup")]
    Damaged {
        /// Which file, table or collection.
        place: String,
        /// What is wrong.
        cause: &'static str,
    },
    /// The store was written by a newer program.
    #[error(
        "register store: it is in form {found}, this program knows forms up to {known}; \
         start the newer program, or restore a backup from before the upgrade"
    )]
    Newer {
        /// Form of the store.
        found: u32,
        /// Newest form that this program knows.
        known: u32,
    },
    /// The master key cannot be used.
    #[error("register store: the master key file {path} is not usable: {cause}; {repair}")]
    MasterKey {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
        /// What to do.
        repair: &'static str,
    },
    /// The configuration names no store, or two.
    #[error("register store: the configuration key `{key}` is refused: {repair}")]
    Config {
        /// The key.
        key: &'static str,
        /// What to do.
        repair: &'static str,
    },
    /// Another process has the store open.
    #[error(
        "register store: {directory} is in use by another process; stop that one, or use \
         PostgreSQL for more than one node"
    )]
    InUse {
        /// The directory.
        directory: String,
    },
}

impl StoreError {
    pub(crate) fn disk(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::Unavailable {
            doing,
            check: "the disk and the rights on the store's directory",
            cause: cause.into(),
        }
    }

    pub(crate) fn damaged(place: impl Into<String>, cause: &'static str) -> Self {
        Self::Damaged { place: place.into(), cause }
    }
}
