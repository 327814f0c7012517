use bytes::Bytes;
use schemas::clock::Clock;

use super::*;

fn queue(count: usize) -> Queue {
    Queue::new(QueueLimits { count, bytes: 64 << 20 })
}

fn waiting(bytes: usize) -> Waiting {
    let entry = Entry { leaf: Bytes::new(), attachment: vec![0; bytes].into() };
    Waiting { entry, leaf_hash: Sha256::of(b""), reply: oneshot::channel().0 }
}

#[test]
fn an_ended_queue_gives_what_waits_and_takes_nothing() {
    let queue = queue(8);
    queue.push(waiting(1)).unwrap();
    queue.end(LogError::Closed);
    assert!(matches!(queue.push(waiting(2)), Err(LogError::Closed)));
    assert!(queue.until_called() == Called::Ended);
    assert_eq!(queue.take().len(), 1);
    assert!(!queue.waits());
}

#[test]
fn a_batch_is_bounded_and_the_rest_comes_next() {
    let queue = queue(8);
    for _ in 0..3 {
        queue.push(waiting(BATCH_BYTES)).unwrap();
    }
    let counts: Vec<usize> = (0..4).map(|_| queue.take().len()).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
}

#[test]
fn a_call_for_soon_gives_way_to_one_for_now_and_does_not_take_it_back() {
    let queue = queue(8);
    queue.call_soon();
    queue.call();
    queue.call_soon();
    assert!(queue.lock().call == Call::Now);
    assert!(queue.until_called() == Called::Commit);
    assert!(queue.lock().call == Call::None);
    queue.call_soon();
    // Nobody else calls: the moment itself ends the sleep.
    assert!(queue.until_called() == Called::Commit);
}

#[test]
fn an_entry_that_went_with_another_calls_nobody_and_one_that_came_meanwhile_gets_its_own_moment() {
    let queue = queue(8);
    queue.push(waiting(1)).unwrap();
    queue.call_soon();
    assert_eq!(queue.take().len(), 1);
    queue.push(waiting(2)).unwrap();
    queue.call_soon();
    let watch = Clock::machine().stopwatch();
    assert!(queue.until_called() == Called::Commit);
    assert!(watch.elapsed() >= SOON * 2, "{:?}", watch.elapsed());
    assert_eq!(queue.take().len(), 1);
    assert!(queue.lock().call == Call::None);
}
