//! What the index finds, and that it is made again from the records whatever becomes of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use schemas::clock::UnixMillis;
use schemas::tlog::merkle::leaf_hash;

use super::{START, append, copy_dir, keys_of, leaf, open};
use crate::index::store::{Indexed, Store};
use crate::{IndexKey, IndexKind, MessageLog, Order, Query};

async fn indexed(dir: &Path, records: u64) -> MessageLog {
    let log = open(dir);
    // More than one batch of the indexer, so that answers come from several postings.
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
    let exchange = |n: u64| IndexKey::new(IndexKind::Exchange, format!("exchange-{n}"));
    let queries = [
        client(0),
        client(1),
        Query { order: Order::OldestFirst, limit: 7, ..client(2) },
        Query::by_key(exchange(77)),
        Query { from: minute(90), to: minute(211), ..Query::all() },
        Query::all(),
    ];
    queries.iter().map(|query| log.find(query).unwrap()).collect()
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
    let db = fs::read(dir.path().join("index/db")).unwrap();
    let changes: [&dyn Fn(&Path); 8] = [
        &|index| fs::remove_dir_all(index).unwrap(),
        &|index| fs::remove_file(index.join("db")).unwrap(),
        &|index| fs::write(index.join("db"), b"").unwrap(),
        &|index| fs::write(index.join("db"), &db[..db.len() / 2]).unwrap(),
        &|index| fs::write(index.join("db"), vec![0xa5; db.len()]).unwrap(),
        &|index| fs::write(index.join("conf"), b"").unwrap(),
        &|index| fs::write(index.join("snap.0000000000000001.generating"), b"half").unwrap(),
        &|index| {
            let flipped: Vec<u8> = db.iter().map(|byte| byte ^ 0x40).collect();
            fs::write(index.join("db"), flipped).unwrap();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        change(&copy.path().join("index"));
        let log = open(copy.path());
        log.wait_indexed(449).await.unwrap();
        assert_eq!(answers(&log), expected, "change {number}");
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

#[test]
fn a_batch_that_a_crash_cut_short_is_added_again_without_doubles() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("index"), 1 << 20).unwrap();
    let records: Vec<_> = (0..9).map(record).collect();
    store.add(&records[..4]).unwrap();
    let before = store.watermark().unwrap().unwrap();
    // Records 4 to 6 are in, but not the watermark; meanwhile two more became durable.
    store.add(&records[4..7]).unwrap();
    store.set_watermark(before).unwrap();
    assert_eq!(store.watermark().unwrap().unwrap().count, 4);
    store.add(&records[4..]).unwrap();
    assert!(store.find(&Query::all()).unwrap().into_iter().eq((0..9).rev()));
    assert_eq!(store.find(&client(0)).unwrap(), [6, 3, 0]);
}

fn record(index: u64) -> Indexed {
    let leaf = leaf(index);
    Indexed { index, leaf_hash: leaf_hash(&leaf), keys: keys_of(&leaf) }
}
