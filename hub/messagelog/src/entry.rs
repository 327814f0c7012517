//! What goes into the log and what comes back: entry, receipt, stored record.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use schemas::digest::Sha256;
use tokio::sync::oneshot;

use crate::LogError;

/// One record to append.
#[derive(Clone)]
pub struct Entry {
    /// The record in canonical JSON, under 64 KiB; it is hashed into the tree and published, so
    /// it holds no personal data.
    pub leaf: Bytes,
    /// The sealed evidence that is kept beside the record and never published; may be empty.
    pub attachment: Bytes,
}

/// One record read back.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The leaf, byte for byte as appended.
    pub leaf: Bytes,
    /// The sealed evidence, byte for byte as appended.
    pub attachment: Bytes,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sizes(f, "Entry", &self.leaf, &self.attachment)
    }
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sizes(f, "StoredRecord", &self.leaf, &self.attachment)
    }
}

fn sizes(f: &mut fmt::Formatter<'_>, name: &str, leaf: &Bytes, kept: &Bytes) -> fmt::Result {
    write!(f, "{name}(leaf {} bytes, attachment {} bytes)", leaf.len(), kept.len())
}

/// The evidence that a record is durable: it exists only after the fdatasync that covers the
/// record. Not `Clone`: the step that needs it consumes it (promises P1 and P2).
#[derive(Debug)]
pub struct LogReceipt {
    index: u64,
    leaf_hash: Sha256,
    origin: Arc<str>,
}

impl LogReceipt {
    /// Only the committer calls this, after the sync.
    pub(crate) fn new(index: u64, leaf_hash: Sha256, origin: Arc<str>) -> Self {
        Self { index, leaf_hash, origin }
    }

    /// The record's index in the log, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The origin of the log that holds the record.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The record's leaf hash, RFC 6962 §2.1.
    #[must_use]
    pub fn leaf_hash(&self) -> Sha256 {
        self.leaf_hash
    }
}

/// A receipt that is on its way. The append runs whether or not this is awaited.
#[derive(Debug)]
pub struct PendingReceipt(State);

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<LogReceipt, LogError>>),
    Refused(LogError),
}

impl PendingReceipt {
    pub(crate) fn waiting(reply: oneshot::Receiver<Result<LogReceipt, LogError>>) -> Self {
        Self(State::Waiting(reply))
    }

    pub(crate) fn refused(error: LogError) -> Self {
        Self(State::Refused(error))
    }
}

impl Future for PendingReceipt {
    type Output = Result<LogReceipt, LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Refused(error) => Poll::Ready(Err(error.clone())),
            State::Waiting(reply) => {
                // A committer that is gone without an answer has been closed.
                Pin::new(reply).poll(context).map(|got| got.unwrap_or(Err(LogError::Closed)))
            }
        }
    }
}
