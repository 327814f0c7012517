//! The register's books in its own store, in both engines: all or nothing at every step at which a
//! commit can be cut off (every third one; each with `KOPRIK_PAYMENT_RUNS`), sealed per person, and
//! never two processes at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

#[allow(dead_code, reason = "the adapters' tests use more of it than this one")]
#[path = "../../../kit/tests/postgres/mod.rs"]
mod postgres;

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use payments::desk::Desk;
use payments::{Books, BooksError, RegisterBooks};
use register::money::Soum;
use register::payment::closing::Entitlement;
use register::payment::message::{AccountState, Answer, Message};
use register::payment::office::{Document, Office};
use register::payment::party::{Commit, Ledger};
use register_store::{Store, StoreConfig};
use schemas::pinfl::{Pinfl, Sex};

/// More lines than one commit of the store takes, and fewer.
const MANY: u16 = 1_000;
const FEW: u16 = 150;

fn person(nth: u16) -> Pinfl {
    Pinfl::compose(Sex::Male, "1985-05-15".parse().unwrap(), 100 + nth / 500, nth % 500).unwrap()
}

fn entitlements(count: u16) -> Vec<Entitlement> {
    of_people(count, count)
}

/// Entitlements of so many families, of which each of fewer people receives several.
fn of_people(count: u16, people_count: u16) -> Vec<Entitlement> {
    let entitlement = |nth: u16| Entitlement {
        family: format!("family-{nth}").parse().unwrap(),
        benefit: "child-benefit".parse().unwrap(),
        recipient: person(nth % people_count),
        account: format!("226180009000{nth:08}").parse().unwrap(),
        amount_soum: Soum::new(275_000).unwrap(),
        ground: "decision-1".parse().unwrap(),
        branch: "00394".parse().unwrap(),
    };
    (0..count).map(entitlement).collect()
}

fn closed(count: u16) -> Commit<Document> {
    Office::default().close("2026-03".parse().unwrap(), entitlements(count)).unwrap()
}

async fn open(config: &StoreConfig) -> RegisterBooks {
    RegisterBooks::new(Store::open(config).await.unwrap())
}

async fn read(books: &mut RegisterBooks) -> Commit<Document> {
    Books::<Office>::read(books).await.unwrap()
}

fn sorted(mut commit: Commit<Document>) -> (Vec<String>, Vec<String>) {
    let documents = commit.documents.drain(..);
    let mut documents: Vec<_> = documents.map(|d| serde_json::to_string(&d).unwrap()).collect();
    let messages = commit.messages.drain(..);
    let mut messages: Vec<_> = messages.map(|m| serde_json::to_string(&m).unwrap()).collect();
    documents.sort();
    messages.sort();
    (documents, messages)
}

async fn what_is_committed_is_read_again(config: &StoreConfig) {
    let mut books = open(config).await;
    assert_eq!(sorted(read(&mut books).await), (Vec::new(), Vec::new()));
    let first = closed(FEW);
    Books::<Office>::commit(&mut books, &first).await.unwrap();
    let mut ledger: Ledger<Office> = Ledger::default();
    ledger.apply(first.clone());
    drop(books);
    let mut again = open(config).await;
    assert_eq!(sorted(read(&mut again).await), sorted(first.clone()));
    // The answers to both checks make statement and order, and end the checks.
    for message in &first.messages {
        let Message::AccountCheck(check) = message else { panic!("{message:?}") };
        let states = check.accounts.iter().map(|_| AccountState::Open).collect();
        let commit = ledger.answered(&message.id(), &Answer::Accounts { states }).unwrap();
        Books::<Office>::commit(&mut again, &commit).await.unwrap();
        ledger.apply(commit);
    }
    drop(again);
    let (_, messages) = sorted(read(&mut open(config).await).await);
    let outgoing = ledger.outgoing().values().map(|m| serde_json::to_string(m).unwrap());
    let mut outgoing: Vec<String> = outgoing.collect();
    outgoing.sort();
    assert_eq!(messages.len(), 3, "two parts of the statement and the order");
    assert_eq!(messages, outgoing);
}

async fn a_process_that_was_overtaken_stores_nothing_and_reads_again(config: &StoreConfig) {
    let store = Store::open(config).await.unwrap();
    let (first, second) = (RegisterBooks::new(store.clone()), RegisterBooks::new(store.clone()));
    let first: Desk<Office> = Desk::open(first).await.unwrap();
    let mut second = second;
    read(&mut second).await;
    first.act(|office| Ok::<_, &str>(office.record_death(person(1)))).await.unwrap();
    let refused = Books::<Office>::commit(&mut second, &closed(FEW)).await.unwrap_err();
    assert!(matches!(refused, BooksError::Overtaken), "{refused}");
    let (documents, messages) = sorted(read(&mut second).await);
    assert_eq!((documents.len(), messages.len()), (1, 0), "the death, and nothing of the close");
    Books::<Office>::commit(&mut second, &closed(FEW)).await.unwrap();
    // The desk that was overtaken in turn reads before its next step.
    let again = first.act(|office| office.close("2026-03".parse().unwrap(), entitlements(FEW)));
    assert!(again.await.unwrap_err().to_string().contains("closed month 2026-03 already"));
}

/// Every third wait in the short form, every one where the payments' long form is asked for.
fn waits_between_two_cuts() -> usize {
    #[allow(clippy::disallowed_methods, reason = "the long form of a test")]
    let long = std::env::var_os("KOPRIK_PAYMENT_RUNS").is_some();
    if long { 1 } else { 3 }
}

/// Polls a commit until it has waited `count` times, and leaves it there as a crash does.
async fn cut_off(books: &mut RegisterBooks, commit: &Commit<Document>, count: usize) -> bool {
    let mut committing = pin!(Books::<Office>::commit(books, commit));
    let mut waits = 0;
    poll_fn(|context| match committing.as_mut().poll(context) {
        Poll::Ready(done) => {
            done.unwrap();
            Poll::Ready(true)
        }
        Poll::Pending if waits == count => Poll::Ready(false),
        Poll::Pending => {
            waits += 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_month_larger_than_one_commit_is_closed_whole_or_not_at_all_wherever_it_is_cut_off() {
    // Few people, so that most waits are for the books and not for people's keys.
    let month = "2026-03".parse().unwrap();
    let commit = Office::default().close(month, of_people(MANY, 3)).unwrap();
    let whole = sorted(commit.clone());
    let mut seen = [0, 0];
    let mut counts = (0..).step_by(waits_between_two_cuts());
    loop {
        let count = counts.next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::embedded(folder.path().join("store"));
        let mut books = open(&config).await;
        read(&mut books).await;
        let done = cut_off(&mut books, &commit, count).await;
        drop(books);
        // The step that was under way ends by itself; then its store can be opened again.
        let mut again = loop {
            match Store::open(&config).await {
                Ok(store) => break RegisterBooks::new(store),
                Err(register_store::StoreError::InUse { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        };
        let left = sorted(read(&mut again).await);
        let closed = !left.0.is_empty();
        assert!(!closed || left == whole, "after {count} waits a part of the month is left");
        seen[usize::from(closed)] += 1;
        // What is left of it is in nobody's way.
        if !closed {
            Books::<Office>::commit(&mut again, &commit).await.unwrap();
            assert!(sorted(read(&mut again).await) == whole, "closed after {count} waits");
        }
        if done {
            break;
        }
    }
    assert!(seen[0] > 1 && seen[1] > 1, "cut off before and after the decision: {seen:?}");
}

/// Whether a file below `folder` holds `text`.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn disk_holds_no_person_and_no_account_and_an_erased_person_is_in_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::embedded(folder.path().join("store"));
    let store = Store::open(&config).await.unwrap();
    let desk: Desk<Office> = Desk::open(RegisterBooks::new(store.clone())).await.unwrap();
    let month = "2026-03".parse().unwrap();
    desk.act(|office| office.close(month, entitlements(FEW))).await.unwrap();
    desk.act(|office| Ok::<_, &str>(office.record_death(person(7)))).await.unwrap();
    for secret in [person(7).as_str(), "22618000900000000007", "family-7"] {
        assert!(!holds(folder.path(), secret), "{secret}");
    }
    assert!(holds(folder.path(), "line/2026030000000008"), "lines are found by their ids");
    store.erase_person(&person(7)).await.unwrap();
    let desk: Desk<Office> = Desk::open(RegisterBooks::new(store)).await.unwrap();
    let lines = desk.look(|office| office.lines(month).count()).await;
    assert_eq!(lines, usize::from(FEW) - 1);
    assert!(!desk.look(|office| office.has_died(person(7))).await);
    // Of the two checks the one that names her is not made again.
    assert_eq!(desk.outgoing_count().await, 1);
}

macro_rules! in_both_engines {
    ($($test:ident),*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                let folder = tempfile::tempdir().unwrap();
                let config = register_store::StoreConfig::embedded(folder.path().join("store"));
                super::$test(&config).await;
            })*
        }
        mod in_postgres {
            $(#[tokio::test]
            async fn $test() {
                let server = super::postgres::Postgres::start();
                let folder = tempfile::tempdir().unwrap();
                let (url, key) = (server.database("register"), folder.path().join("store.key"));
                super::$test(&register_store::StoreConfig::postgres(url, key)).await;
            })*
        }
    };
}
in_both_engines!(
    what_is_committed_is_read_again,
    a_process_that_was_overtaken_stores_nothing_and_reads_again
);
