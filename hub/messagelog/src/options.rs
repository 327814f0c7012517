//! How a log is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemas::clock::Clock;
use schemas::limits::EVIDENCE_MAX_BYTES;
use schemas::tlog::NoteSigner;

use crate::IndexKeys;

/// Everything a log is opened with.
#[derive(Clone)]
pub struct LogOptions {
    /// The log's own directory; it is made when missing.
    pub dir: PathBuf,
    /// The log's origin, the first line of its checkpoints (C2SP tlog-checkpoint), for example
    /// `UZ/GOV/201122919/HUB1`.
    pub origin: String,
    /// The log key.
    pub key: Arc<dyn NoteSigner>,
    /// The process's clock.
    pub clock: Clock,
    /// Names the index keys of a leaf; called live and when the index is rebuilt, so it gives the
    /// same answer for the same bytes, and none for bytes that it does not know.
    pub index_keys: fn(&[u8]) -> IndexKeys,
    /// The limits; [`LogLimits::default`] fits a hub.
    pub limits: LogLimits,
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOptions")
            .field("dir", &self.dir)
            .field("origin", &self.origin)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The limits of a log, each with its unit.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Largest attachment, bytes; at most 16 MiB.
    pub attachment_bytes: usize,
    /// Entries that may wait for the disk. 4096: about a second of a slow disk.
    pub queue_count: usize,
    /// Bytes that may wait for the disk. 32 MiB: keeps the hub's memory flat in a burst.
    pub queue_bytes: usize,
    /// Size at which a segment is sealed, bytes. 64 MiB: read back within 100 ms at start.
    pub segment_bytes: u64,
    /// Longest time from a durable record to a checkpoint that covers it. 1 s.
    pub checkpoint_interval: Duration,
    /// How often sealed segments are looked for that can be made compact. 1 s.
    pub compact_interval: Duration,
    /// Records that the index holds in memory before it writes them to a file. 16 384: about 3 MiB, read again
    /// within 100 ms at start.
    pub index_block_count: u32,
}

/// No attachment is larger, whatever the configuration says, bytes: what was written under one
/// configuration is read back under another. 16 MiB.
pub(crate) const ATTACHMENT_BYTES_MAX: usize = 16 << 20;

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            attachment_bytes: EVIDENCE_MAX_BYTES,
            queue_count: 4096,
            queue_bytes: 32 << 20,
            segment_bytes: 64 << 20,
            checkpoint_interval: Duration::from_secs(1),
            compact_interval: Duration::from_secs(1),
            index_block_count: 16_384,
        }
    }
}
