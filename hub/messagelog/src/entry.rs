//! What goes into the log and what comes back: entry, receipt, stored record.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use schemas::digest::Sha256;
use tokio::sync::oneshot;

use crate::LogError;
use crate::committer::Committer;

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

/// A receipt that is on its way. Awaiting it commits the entry; when it is dropped, the log's own thread
/// does.
pub struct PendingReceipt(Result<OnItsWay, LogError>);

struct OnItsWay {
    reply: oneshot::Receiver<Result<LogReceipt, LogError>>,
    /// A receipt that came while its owner asked for a failure.
    receipt: Option<LogReceipt>,
    committer: Arc<Committer>,
}

/// How often a task that needs a receipt lets the others run before it commits. The first time those that are
/// ready come along, the second time those that they have started.
const GATHER_ROUNDS: usize = 2;

impl PendingReceipt {
    pub(crate) fn waiting(
        reply: oneshot::Receiver<Result<LogReceipt, LogError>>,
        committer: Arc<Committer>,
    ) -> Self {
        Self(Ok(OnItsWay { reply, receipt: None, committer }))
    }

    pub(crate) fn refused(error: LogError) -> Self {
        Self(Err(error))
    }

    /// Why the record is not stored, if that is known by now: what depends on it need not begin.
    pub fn failure(&mut self) -> Option<LogError> {
        if let Ok(on_its_way) = &mut self.0 {
            match on_its_way.answer()? {
                Ok(receipt) => on_its_way.receipt = Some(receipt),
                Err(error) => self.0 = Err(error),
            }
        }
        self.0.as_ref().err().cloned()
    }

    async fn durable(self) -> Result<LogReceipt, LogError> {
        let mut on_its_way = self.0?;
        for _ in 0..GATHER_ROUNDS {
            if let Some(answer) = on_its_way.answer() {
                return answer;
            }
            tokio::task::yield_now().await;
        }
        if let Some(answer) = on_its_way.answer() {
            return answer;
        }
        on_its_way.committer.commit_if_free();
        // A committer that is gone without an answer has been closed.
        (&mut on_its_way.reply).await.unwrap_or(Err(LogError::Closed))
    }
}

impl IntoFuture for PendingReceipt {
    type Output = Result<LogReceipt, LogError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.durable())
    }
}

impl fmt::Debug for PendingReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingReceipt")
    }
}

impl OnItsWay {
    /// The answer if it is here.
    fn answer(&mut self) -> Option<Result<LogReceipt, LogError>> {
        if let Some(receipt) = self.receipt.take() {
            return Some(Ok(receipt));
        }
        match self.reply.try_recv() {
            Ok(answer) => Some(answer),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(LogError::Closed)),
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if self.reply.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty) {
            self.committer.queue.call();
        }
    }
}
