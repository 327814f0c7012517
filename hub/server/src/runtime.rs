//! The threads that carry exchanges.

use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// A runtime with a thread for each processor but one, at least one thread. The processor that is left is for
/// the message log's threads: with all taken, each sync would have to push an exchange aside first.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    let processors = available_parallelism().map_or(1, usize::from);
    let threads = processors.saturating_sub(1).max(1);
    Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}
