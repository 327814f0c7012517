//! Work on many threads whose results are taken in order, with few of them waiting.

use std::sync::mpsc::sync_channel;
use std::thread;

/// Does `work` on each item, on so many threads, and gives the results to `take` in the order of
/// the items. A thread waits until its last result but one has been taken, so that at most two
/// results for each thread are in memory. A panic of `work` goes on here.
pub(super) fn in_order<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let threads = threads.clamp(1, items.len().max(1));
    thread::scope(|scope| {
        let results: Vec<_> = (0..threads)
            .map(|nth| {
                let (give, results) = sync_channel(1);
                let work = &work;
                scope.spawn(move || {
                    for item in items.iter().skip(nth).step_by(threads) {
                        if give.send(work(item)).is_err() {
                            return;
                        }
                    }
                });
                results
            })
            .collect();
        for (_, results) in items.iter().zip(results.iter().cycle()) {
            // Without a result its thread has panicked; the scope passes that on.
            let Ok(result) = results.recv() else { return };
            take(result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_on_any_number_of_threads() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [0, 1, 2, 7, 200] {
            let mut taken = Vec::new();
            in_order(&items, threads, |item| item * 2, |result| taken.push(result));
            assert!(taken.into_iter().eq(items.iter().map(|item| item * 2)), "{threads} threads");
        }
        in_order(&[], 4, |item: &u64| *item, |_| panic!("there was no item"));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_of_the_work_is_not_lost() {
        in_order(&[1, 2, 3], 2, |item| assert_ne!(*item, 2), |()| ());
    }
}
