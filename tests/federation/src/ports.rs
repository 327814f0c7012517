//! Free loopback ports for configuration files that name each other before anything listens.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that Linux gives to outgoing connections (32768 up), so that none takes a reserved port.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Finds `count` different free ports.
///
/// # Errors
/// When the range has no more.
pub(crate) fn free(count: usize) -> std::io::Result<Vec<SocketAddr>> {
    let width = RANGE.end - RANGE.start;
    let _ =
        NEXT.compare_exchange(0, start_of_this_process(width), Ordering::SeqCst, Ordering::SeqCst);
    let mut held = Vec::with_capacity(count);
    for _ in 0..width {
        if held.len() == count {
            break;
        }
        let port = RANGE.start + NEXT.fetch_add(1, Ordering::SeqCst) % width;
        held.extend(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }
    if held.len() < count {
        return Err(std::io::Error::other("no free loopback ports between 20000 and 32000"));
    }
    held.iter().map(TcpListener::local_addr).collect()
}

/// Processes that run side by side begin at different places.
fn start_of_this_process(width: u16) -> u16 {
    let spread = u64::from(std::process::id()).wrapping_mul(7919) % u64::from(width);
    u16::try_from(spread).unwrap_or_default().max(1)
}
