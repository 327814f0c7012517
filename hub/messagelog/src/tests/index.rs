//! What the index finds, and that it is made again from the records whatever becomes of it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemas::clock::{Clock, UnixMillis};
use schemas::tlog::merkle::leaf_hash;

use super::{START, append, copy_dir, open, options};
use crate::disk::{Disk, OsDisk};
use crate::index::follower::{IndexOptions, Indexer};
use crate::index::store::{IndexFault, Store};
use crate::segments::{Segments, Tail};
use crate::{IndexKey, IndexKeys, IndexKind, LogError, MessageLog, Order, Query};

async fn indexed(dir: &Path, records: u64) -> MessageLog {
    let log = open(dir);
    // More than one block, so that answers come from several runs and from memory.
    for from in (0..records).step_by(100) {
        append(&log, from..(from + 100).min(records)).await;
        log.wait_indexed(from).await.unwrap();
    }
    log.wait_indexed(records - 1).await.unwrap();
    log
}

fn client(n: u64) -> Query {
    Query::by_key(IndexKey::new(IndexKind::Client, format!("client-{n}")))
}

fn minute(n: u64) -> UnixMillis {
    START.plus(Duration::from_secs(60 * n))
}

/// Answers to a spread of queries, to compare an index with its rebuilt self.
fn answers(log: &MessageLog) -> Vec<Vec<u64>> {
    queries().iter().map(|query| log.find(query).unwrap()).collect()
}

fn queries() -> [Query; 12] {
    let exchange = |n: u64| IndexKey::new(IndexKind::Exchange, format!("exchange-{n}"));
    [
        client(0),
        client(1),
        Query { order: Order::OldestFirst, limit: 7, ..client(2) },
        Query::by_key(exchange(77)),
        Query { from: minute(90), to: minute(211), ..Query::all() },
        Query { from: minute(301), ..client(0) },
        Query { to: minute(9), order: Order::OldestFirst, ..client(1) },
        Query { from: minute(44), to: minute(44), ..Query::all() },
        Query::by_key(exchange(9_999)),
        Query { within: 20..333, limit: 50, ..client(2) },
        Query { within: 101..447, order: Order::OldestFirst, limit: 999, ..Query::all() },
        Query::all(),
    ]
}

#[tokio::test]
async fn records_are_found_by_key_time_and_order_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path(), 450).await;
    let all = |query: &Query| log.find(query).unwrap();
    assert!(all(&client(1)).into_iter().eq((0..450).rev().filter(|n| n % 3 == 1)));
    let oldest = Query { order: Order::OldestFirst, limit: 4, ..client(1) };
    assert_eq!(all(&oldest), [1, 4, 7, 10]);
    let between = Query { from: minute(100), to: minute(103), ..Query::all() };
    assert_eq!(all(&between), [103, 102, 101, 100]);
    let both = Query { from: minute(100), to: minute(103), ..client(1) };
    assert_eq!(all(&both), [103, 100]);
    // Pages of an answer that is longer than its limit, with their ends in runs and in memory.
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut whole: Vec<u64> = (0..450).filter(|n| n % 3 == 2).collect();
        let mut paged = Vec::new();
        let mut page = Query { order, limit: 11, ..client(2) };
        // Twice as often as it takes: a page that begins again gives a wrong list, not an endless one.
        for _ in 0..2 * whole.len().div_ceil(11) {
            let next = all(&page);
            let Some(last) = next.last() else { break };
            match order {
                Order::NewestFirst => page.within.end = *last,
                Order::OldestFirst => page.within.start = last + 1,
            }
            paged.extend(next);
        }
        if order == Order::NewestFirst {
            whole.reverse();
        }
        assert_eq!(paged, whole);
    }
    assert!(all(&Query { within: 446..449, ..Query::all() }).into_iter().eq((446..449).rev()));
    assert_eq!(all(&Query { within: 7..7, ..Query::all() }), [0; 0]);
    let nothing = Query { from: minute(451), ..Query::all() };
    assert_eq!(all(&nothing), [0; 0]);
    assert_eq!(all(&client(3)), [0; 0]);
    // A value that begins with another is another value.
    let prefix = Query::by_key(IndexKey::new(IndexKind::Exchange, "exchange-4"));
    assert_eq!(all(&prefix), [4]);
    // The same value of another kind is another key.
    assert_eq!(all(&Query::by_key(IndexKey::new(IndexKind::Service, "client-1"))), [0; 0]);
}

#[tokio::test]
async fn an_index_that_is_lost_cut_or_garbage_is_made_again_with_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path(), 450).await;
    let expected = answers(&log);
    log.close().await;
    drop(log);
    let run = |n: u64| format!("{:020}-8.run", n * 8);
    let bytes = fs::read(dir.path().join("index").join(run(3))).unwrap();
    let changes: [&dyn Fn(&Path); 9] = [
        &|index| fs::remove_dir_all(index).unwrap(),
        &|index| fs::remove_file(index.join(run(0))).unwrap(),
        &|index| fs::remove_file(index.join(run(3))).unwrap(),
        &|index| fs::write(index.join(run(3)), b"").unwrap(),
        &|index| fs::write(index.join(run(3)), &bytes[..bytes.len() / 2]).unwrap(),
        &|index| fs::write(index.join(run(3)), vec![0xa5; bytes.len()]).unwrap(),
        &|index| fs::write(index.join("conf"), b"").unwrap(),
        &|index| fs::write(index.join("00000000000000000448-8.tmp"), b"half").unwrap(),
        &|index| fs::rename(index.join(run(4)), index.join(run(3))).unwrap(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        change(&copy.path().join("index"));
        let log = open(copy.path());
        log.wait_indexed(449).await.unwrap();
        assert_eq!(answers(&log), expected, "change {number}");
        log.wait_indexed(449).await.unwrap();
        assert_eq!(answers(&log), expected, "change {number}, made again");
    }
}

#[tokio::test]
async fn a_search_that_meets_any_changed_byte_reads_the_records_and_the_index_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path(), 450).await;
    let expected = answers(&log);
    let path = dir.path().join("index").join("00000000000000000024-8.run");
    let bytes = fs::read(&path).unwrap();
    log.close().await;
    drop(log);
    let mut made_again = 0;
    for at in (0..bytes.len()).step_by(511) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        fs::write(copy.path().join("index").join(path.file_name().unwrap()), changed).unwrap();
        let log = open(copy.path());
        log.wait_indexed(449).await.unwrap();
        for (query, expected) in queries().iter().zip(&expected) {
            assert_eq!(&log.find(query).unwrap(), expected, "byte {at}");
            // A search while the index is made again has what is in it so far.
            log.wait_indexed(449).await.unwrap();
        }
        made_again += u32::from(copy.path().join("index.damaged").exists());
    }
    // Holes between the columns are read by nobody.
    assert!(made_again >= 16, "{made_again}");
}

#[tokio::test]
async fn sixty_four_blocks_become_one_file_and_answers_stay_the_same() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [merging, in_memory] = &dirs;
    let log = indexed(merging.path(), 1_100).await;
    let large = |n: u64| merging.path().join(format!("index/{:020}-512.run", n * 512));
    wait_until(|| large(0).exists() && large(1).exists() && files(merging.path()) == 11).await;
    let mut options = options(in_memory.path());
    options.limits.index_block_count = 1 << 20;
    let other = MessageLog::open(options).unwrap();
    append(&other, 0..1_100).await;
    other.wait_indexed(1_099).await.unwrap();
    assert_eq!(files(in_memory.path()), 0);
    let expected = answers(&other);
    assert_eq!(answers(&log), expected);
    log.close().await;
    drop(log);
    assert_eq!(answers(&open(merging.path())), expected, "after a restart");
}

#[tokio::test]
async fn small_files_that_a_crash_left_beside_their_large_one_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path(), 500).await;
    let small = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("index"), small.path());
    append(&log, 500..600).await;
    wait_until(|| dir.path().join("index/00000000000000000000-512.run").exists()).await;
    log.wait_indexed(599).await.unwrap();
    let expected = answers(&log);
    log.close().await;
    drop(log);
    copy_dir(small.path(), &dir.path().join("index"));
    let log = open(dir.path());
    log.wait_indexed(599).await.unwrap();
    assert_eq!(answers(&log), expected);
    assert_eq!(files(dir.path()), 1 + (600 - 512) / 8);
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir.join("index")).map_or(0, Iterator::count)
}

async fn wait_until(reached: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(tokio::time::Instant::now() < deadline, "not within twenty seconds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_index_of_another_log_or_ahead_of_this_one_is_made_again() {
    let ahead = tempfile::tempdir().unwrap();
    indexed(ahead.path(), 450).await.close().await;
    let short = tempfile::tempdir().unwrap();
    indexed(short.path(), 40).await.close().await;
    fs::remove_dir_all(short.path().join("index")).unwrap();
    copy_dir(&ahead.path().join("index"), &short.path().join("index"));
    let log = open(short.path());
    log.wait_indexed(39).await.unwrap();
    assert_eq!(log.find(&Query::all()).unwrap().len(), 40);
    assert!(short.path().join("index.damaged").exists(), "the old one is kept to be looked at");
}

#[tokio::test]
async fn an_index_that_is_behind_is_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    indexed(dir.path(), 40).await.close().await;
    let behind = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("index"), behind.path());
    let log = open(dir.path());
    append(&log, 40..300).await;
    log.wait_indexed(299).await.unwrap();
    let expected = answers(&log);
    log.close().await;
    drop(log);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy_dir(behind.path(), &dir.path().join("index"));
    let log = open(dir.path());
    log.wait_indexed(299).await.unwrap();
    assert_eq!(answers(&log), expected);
}

fn os_disk() -> Arc<dyn Disk> {
    Arc::new(OsDisk)
}

/// Answers of an index that is told of these records alone.
fn found(records: &[(u64, &[&str])], query: &Query) -> Vec<u64> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&os_disk(), dir.path(), 3).unwrap();
    for (minutes, clients) in records {
        let mut keys = IndexKeys::at(minute(*minutes));
        clients.iter().for_each(|client| keys.add(IndexKind::Client, client));
        store.make_room().unwrap();
        store.add(leaf_hash(b""), &keys);
    }
    store.find(query).unwrap()
}

#[test]
fn a_record_that_has_a_key_twice_is_found_once_and_without_keys_by_its_time() {
    let records: [(u64, &[&str]); 5] =
        [(0, &["a", "b", "a"]), (1, &[]), (2, &["a"]), (3, &["a"]), (4, &["b", "a", "a"])];
    let a = Query::by_key(IndexKey::new(IndexKind::Client, "a"));
    assert_eq!(found(&records, &a), [4, 3, 2, 0]);
    let second = Query { from: minute(1), to: minute(1), ..Query::all() };
    assert_eq!(found(&records, &second), [1]);
}

#[test]
fn records_whose_times_do_not_ascend_are_found_by_them() {
    let records: [(u64, &[&str]); 7] =
        [(5, &["a"]), (1, &["a"]), (9, &["a"]), (2, &["a"]), (0, &["a"]), (7, &["a"]), (3, &["a"])];
    let a = Query::by_key(IndexKey::new(IndexKind::Client, "a"));
    for query in [a, Query::all()] {
        let between = Query { from: minute(1), to: minute(3), ..query };
        assert_eq!(found(&records, &between), [6, 3, 1]);
        let oldest = Query { order: Order::OldestFirst, limit: 2, ..between };
        assert_eq!(found(&records, &oldest), [1, 3]);
    }
}

#[tokio::test]
async fn while_an_index_cannot_be_written_queries_read_the_records_and_it_goes_on_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path(), 20).await;
    // A folder in the place of the next file.
    let taken = dir.path().join("index/00000000000000000016-8.tmp");
    fs::create_dir(&taken).unwrap();
    append(&log, 20..40).await;
    log.wait_indexed(39).await.unwrap();
    assert_eq!(files(dir.path()), 3, "two files and the folder");
    let newest = Query { limit: 17, ..Query::all() };
    let oldest = Query { limit: 39, order: Order::OldestFirst, ..Query::all() };
    let all = || {
        assert!(log.find(&Query::all()).unwrap().into_iter().eq((0..40).rev()));
        assert!(log.find(&newest).unwrap().into_iter().eq((23..40).rev()));
        assert!(log.find(&oldest).unwrap().into_iter().eq(0..39));
        assert_eq!(log.find(&client(1)).unwrap().len(), 13);
    };
    all();
    fs::remove_dir(&taken).unwrap();
    wait_until(|| files(dir.path()) == 5).await;
    all();
    assert!(!dir.path().join("index.damaged").exists());
}

#[tokio::test]
async fn who_was_told_that_all_is_indexed_finds_all_while_the_index_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path(), 20).await;
    let taken = dir.path().join("index/00000000000000000016-8.tmp");
    fs::create_dir(&taken).unwrap();
    // More than one batch behind.
    let count = 8 * 1024;
    for from in (20..count).step_by(1024) {
        append(&log, from..(from + 1024).min(count)).await;
    }
    log.wait_indexed(count - 1).await.unwrap();
    fs::remove_dir(&taken).unwrap();
    let all_indexed = || files(dir.path()) > 4;
    let watch = Clock::machine().stopwatch();
    let mut looks_after = 0;
    while looks_after < 20 {
        let newest = log.find(&Query { limit: 1, ..Query::all() }).unwrap();
        assert_eq!(newest, [count - 1]);
        looks_after += u32::from(all_indexed());
        assert!(watch.elapsed() < Duration::from_secs(20), "the index does not go on");
    }
}

#[tokio::test]
async fn an_index_whose_last_record_cannot_be_read_for_a_moment_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.limits.segment_bytes = 4000;
    let log = MessageLog::open(small).unwrap();
    for from in (0..100).step_by(10) {
        append(&log, from..from + 10).await;
    }
    log.wait_indexed(99).await.unwrap();
    log.close().await;
    drop(log);
    // Of the index there are two files, so it ends in a sealed segment: record 15.
    let list = |folder: &str| {
        let files = fs::read_dir(dir.path().join(folder)).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    };
    for run in list("index").split_off(2) {
        fs::remove_file(run).unwrap();
    }
    let mut sealed = list("segments");
    sealed.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    let firsts = sealed.iter().map(|path| path.file_stem().unwrap().to_str().unwrap());
    let mut firsts: Vec<u64> = firsts.map(|first| first.parse().unwrap()).collect();
    let tail = Tail { first: firsts.pop().unwrap(), offsets: Vec::new() };
    assert!(tail.first > 15);
    let segments =
        Arc::new(Segments::new(dir.path().join("segments"), os_disk(), firsts.clone(), tail));
    let opened = || {
        let options = IndexOptions {
            dir: dir.path().join("index"),
            disk: os_disk(),
            block_count: 8,
            keys_of: options(dir.path()).index_keys,
            clock: Clock::machine(),
        };
        *Indexer::open(options, segments.clone()).watch().borrow()
    };
    let holds_it = firsts.partition_point(|first| *first <= 15) - 1;
    let aside = sealed[holds_it].with_extension("aside");
    fs::rename(&sealed[holds_it], &aside).unwrap();
    // A directory is there and cannot be read, as a file when no descriptor is free.
    fs::create_dir(&sealed[holds_it]).unwrap();
    assert_eq!(opened(), 0);
    assert!(!dir.path().join("index.damaged").exists());
    fs::remove_dir(&sealed[holds_it]).unwrap();
    fs::rename(&aside, &sealed[holds_it]).unwrap();
    assert_eq!(opened(), 16);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_for_a_moment_stops_the_index_for_that_moment_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.limits.segment_bytes = 4000;
    let log = MessageLog::open(small).unwrap();
    for from in (0..450).step_by(50) {
        append(&log, from..from + 50).await;
    }
    log.close().await;
    drop(log);
    // Opened again it has no leaf in memory.
    let log = open(dir.path());
    log.wait_indexed(449).await.unwrap();
    let expected = answers(&log);
    // The index is lost, and so, for a moment, is a segment that it is made again from.
    let segments = dir.path().join("segments");
    let sealed = segments.join(format!("{:020}.seg", 0));
    fs::rename(&sealed, segments.join("elsewhere")).unwrap();
    for file in fs::read_dir(dir.path().join("index")).unwrap() {
        fs::write(file.unwrap().path(), b"").unwrap();
    }
    for query in [client(0), Query::all()] {
        let refused = log.find(&query).unwrap_err();
        assert!(matches!(refused, LogError::Io { .. }), "{refused}");
    }
    fs::rename(segments.join("elsewhere"), &sealed).unwrap();
    assert_eq!(answers(&log), expected, "from the records");
    let watch = Clock::machine().stopwatch();
    let runs = || fs::read_dir(dir.path().join("index")).unwrap().count();
    while runs() == 0 {
        assert!(watch.elapsed() < Duration::from_secs(10), "the index does not come back");
        assert_eq!(answers(&log), expected);
    }
}

#[tokio::test]
async fn a_damaged_record_is_the_answer_of_every_query_and_nobody_waits_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.limits.segment_bytes = 4000;
    let log = MessageLog::open(small).unwrap();
    for from in (0..450).step_by(50) {
        append(&log, from..from + 50).await;
    }
    log.close().await;
    drop(log);
    let log = open(dir.path());
    log.wait_indexed(449).await.unwrap();
    // The index is lost, and a record that it is made again from is damaged.
    let sealed = dir.path().join("segments").join(format!("{:020}.seg", 0));
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[1000] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    for file in fs::read_dir(dir.path().join("index")).unwrap() {
        fs::write(file.unwrap().path(), b"").unwrap();
    }
    let mut next = 450;
    for query in [client(0), Query::all()] {
        let refused = log.find(&query).unwrap_err();
        assert!(matches!(refused, LogError::Corrupt { .. }), "{refused}");
        append(&log, next..next + 50).await;
        next += 50;
        let waiting = tokio::time::timeout(Duration::from_secs(10), log.wait_indexed(next - 1));
        waiting.await.expect("the answer is there").unwrap();
    }
}

#[test]
fn an_index_is_made_again_for_what_is_wrong_with_it_and_waits_for_what_may_pass() {
    let waits = |cause: std::io::Error| IndexFault::from(cause).waits();
    // No descriptor is free; the disk did not answer; no room.
    assert!([24, 5, 28].map(std::io::Error::from_raw_os_error).into_iter().all(waits));
    for kind in [ErrorKind::NotFound, ErrorKind::UnexpectedEof, ErrorKind::NotADirectory] {
        assert!(!waits(kind.into()), "{kind}");
    }
    assert!(!IndexFault::Unreadable.waits());
}
