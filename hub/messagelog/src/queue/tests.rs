use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::*;

fn queue(count: usize) -> Queue {
    Queue::new(QueueLimits { count, bytes: 1 << 20 }, Clock::machine())
}

fn waiting(leaf: &'static [u8]) -> Waiting {
    let entry = Entry { leaf: Bytes::from_static(leaf), attachment: Bytes::new() };
    Waiting { entry, leaf_hash: Sha256::of(leaf), reply: oneshot::channel().0 }
}

fn leaves(taken: &Taken) -> Vec<&[u8]> {
    taken.batch.iter().map(|waiting| waiting.entry.leaf.as_ref()).collect()
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_entry_alone_is_taken_at_once_and_in_order_with_those_before_it() {
    let queue = queue(8);
    queue.push(waiting(b"soon"), Due::Soon).unwrap();
    queue.push(waiting(b"now"), Due::Now).unwrap();
    let taken = queue.take(1, LONG).unwrap();
    assert_eq!((leaves(&taken), taken.due), (vec![&b"soon"[..], b"now"], 1));
}

#[test]
fn an_entry_that_is_due_soon_is_taken_without_company() {
    let queue = queue(8);
    queue.push(waiting(b"soon"), Due::Soon).unwrap();
    let taken = queue.take(1, LONG).unwrap();
    assert_eq!((leaves(&taken), taken.due), (vec![&b"soon"[..]], 0));
}

#[test]
fn the_committer_wakes_for_the_company_and_not_for_each_entry() {
    let queue = Arc::new(queue(8));
    queue.push(waiting(b"1"), Due::Now).unwrap();
    let taker = queue.clone();
    let took = thread::spawn(move || {
        // Longer than the test waits: only the third entry can end this.
        let state = taker.sleep_while(taker.lock(), Sleep::Due(3), Some(LONG), |s| s.due < 3);
        state.due
    });
    let asleep = Clock::machine().stopwatch();
    while queue.lock().sleep != Sleep::Due(3) && asleep.elapsed() < LONG {
        thread::yield_now();
    }
    queue.push(waiting(b"2"), Due::Now).unwrap();
    assert!(queue.lock().sleep == Sleep::Due(3));
    queue.push(waiting(b"3"), Due::Now).unwrap();
    assert_eq!(took.join().unwrap(), 3);
}

#[test]
fn patience_ends_the_wait_for_company_that_does_not_come() {
    let queue = queue(8);
    queue.push(waiting(b"1"), Due::Now).unwrap();
    assert_eq!(queue.take(5, LONG).unwrap().due, 1);
}

#[test]
fn an_ended_queue_gives_what_waits_and_then_nothing() {
    let queue = queue(8);
    queue.push(waiting(b"1"), Due::Now).unwrap();
    queue.end(LogError::Closed);
    assert!(matches!(queue.push(waiting(b"2"), Due::Now), Err(LogError::Closed)));
    assert_eq!(leaves(&queue.take(9, LONG).unwrap()), [b"1"]);
    assert!(queue.take(1, LONG).is_none());
}

#[test]
fn a_batch_is_bounded_and_the_rest_comes_next() {
    let queue = Queue::new(QueueLimits { count: 8, bytes: 64 << 20 }, Clock::machine());
    for _ in 0..3 {
        let entry = Entry { leaf: Bytes::new(), attachment: vec![0; BATCH_BYTES].into() };
        let waiting = Waiting { entry, ..waiting(b"") };
        queue.push(waiting, Due::Now).unwrap();
    }
    let counts: Vec<usize> = (0..3).map(|_| queue.take(1, LONG).unwrap().batch.len()).collect();
    assert_eq!(counts, [1, 1, 1]);
}
