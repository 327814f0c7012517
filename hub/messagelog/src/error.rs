//! What can go wrong with the log, and what the operator does about it.

use std::io;
use std::path::Path;

use crate::disk::is_full;

/// A failure of the message log. Each text names the cause and the repair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The queue before the disk is full; nothing was stored. Retry after a moment.
    #[error(
        "own hub: the message log's queue is full because the disk is slower than the traffic; \
         retry after a moment, and look at the disk if it stays so"
    )]
    Busy,
    /// The entry is larger than a log takes; nothing was stored.
    #[error(
        "own hub: the record's {part} has {bytes} bytes and the message log takes {limit_bytes}; \
         shorten the record or raise the limit in the hub's configuration"
    )]
    TooLarge {
        /// `leaf` or `attachment`.
        part: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest size that is taken.
        limit_bytes: usize,
    },
    /// The disk has no room. Nothing was stored; the log takes records again as soon as there is room.
    #[error(
        "own hub: the disk of the message log is full ({cause}) and the record was not stored; \
         make room on it, the hub goes on by itself"
    )]
    Full {
        /// The operating system's words.
        cause: String,
    },
    /// A write or fdatasync failed. What was waiting may or may not be on the disk; nothing more
    /// is accepted until the process has been started again and has read the disk.
    #[error(
        "own hub: the message log could not be written ({cause}) and takes no more records; \
         repair the disk, then restart the hub: it reads back what is durable"
    )]
    Poisoned {
        /// The operating system's words.
        cause: String,
    },
    /// The log was closed.
    #[error(
        "own hub: the message log is closed because the hub is stopping; retry after its start"
    )]
    Closed,
    /// No record with this index is durable.
    #[error(
        "own hub: the message log has no record {index}: it holds {size}; ask for a smaller index"
    )]
    NoSuchRecord {
        /// The index asked for.
        index: u64,
        /// Durable records.
        size: u64,
    },
    /// A proof was asked for a tree size that has no checkpoint yet.
    #[error(
        "own hub: no proof for tree size {size}: the latest checkpoint covers {published}; ask for \
         a checkpoint that covers the record first"
    )]
    NotPublished {
        /// The size asked for.
        size: u64,
        /// The size of the latest checkpoint.
        published: u64,
    },
    /// A stored record or file is not what was written.
    #[error("own hub: the message log is damaged at {place}: {cause}; {repair}")]
    Corrupt {
        /// File and offset or index.
        place: String,
        /// What is wrong.
        cause: String,
        /// What the operator does.
        repair: &'static str,
    },
    /// The checkpoint and the records contradict each other, so that signing on would fork the log.
    #[error("own hub: the message log does not match its checkpoint: {cause}; {repair}")]
    Contradiction {
        /// What differs.
        cause: String,
        /// What the operator does.
        repair: &'static str,
    },
    /// Another process has the log open.
    #[error(
        "own hub: the message log in {dir} is in use by another process; stop that process, or \
         give this hub its own data directory"
    )]
    InUse {
        /// The log's directory.
        dir: String,
    },
    /// A file operation failed outside the committer.
    #[error("own hub: {action} {path} failed: {cause}; check the disk, its space and its rights")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or directory.
        path: String,
        /// The operating system's words.
        cause: String,
    },
    /// A file operation outside the committer found no room; it is tried again.
    #[error(
        "own hub: {action} {path} failed: {cause}; make room on its disk, the hub goes on by itself"
    )]
    NoRoom {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or directory.
        path: String,
        /// The operating system's words.
        cause: String,
    },
    /// The key would not sign a checkpoint.
    #[error(
        "own hub: the log key did not sign the checkpoint: {cause}; check the key file or the token"
    )]
    Signer {
        /// The signer's words.
        cause: String,
    },
}

impl LogError {
    /// A file operation that failed.
    pub(crate) fn io(action: &'static str, path: &Path, cause: &io::Error) -> Self {
        let (path, text) = (path.display().to_string(), cause.to_string());
        if is_full(cause) {
            Self::NoRoom { action, path, cause: text }
        } else {
            Self::Io { action, path, cause: text }
        }
    }
}
