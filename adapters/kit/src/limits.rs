//! Every limit of an adapter, with its unit and its reason.

use std::time::Duration;

/// Bytes of a request body: the contracts ask with a few fields.
pub(crate) const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// Bytes of an answer that an upstream HTTP API may give: what a hub validates in memory.
pub(crate) const UPSTREAM_ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Connections to the database: reads are short, and an agency's database is not ours to fill.
pub(crate) const SOURCE_CONNECTIONS_MAX_COUNT: u32 = 4;
/// Time to wait for a free or new database connection.
pub(crate) const SOURCE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for all queries of one answer; shorter than a hub waits, so that the adapter says why.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows of a list whose schema sets no `maxItems`.
pub(crate) const ROWS_MAX_COUNT: usize = 10_000;
/// Connections accepted at once; the callers are one hub, an operator and a health check.
pub(crate) const CONNECTIONS_MAX_COUNT: usize = 512;
/// Time to send the headers of a request, also the time a connection may stay idle.
pub(crate) const HEADERS_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a file of a definition: contract, schema, SQL.
pub(crate) const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Files that refer to files: deeper is a circle.
pub(crate) const REFERENCE_MAX_DEPTH: usize = 16;
/// Time that running answers get to end when the adapter stops.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause after an accept that failed, so that a lack of file descriptors is not a busy loop.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Rows of an outbox read at a time.
pub(crate) const OUTBOX_ROWS_MAX_COUNT: usize = 100;
/// Pause of an outbox that has told everything, and the first after a failure.
pub(crate) const OUTBOX_PAUSE_LEAST: Duration = Duration::from_secs(1);
/// The longest pause after failures: a register that comes back hears of a death within minutes.
pub(crate) const OUTBOX_PAUSE_MOST: Duration = Duration::from_secs(300);
