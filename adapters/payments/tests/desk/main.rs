//! A desk on its database: what is acknowledged is durable, and the sender repeats until answered.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

mod contracts;
mod govstack;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payments::bank::{Bank, Opening};
use payments::courier::{Courier, Undelivered};
use payments::desk::{Desk, DeskError};
use payments::sender::{self, Pauses};
use payments::{SqliteBooks, SqliteError};
use register::money::Soum;
use register::payment::closing::Entitlement;
use register::payment::message::{AccountState, Answer, Financing, Message};
use register::payment::office::Office;
use register::payment::party::{Party, Refusal};
use schemas::clock::Clock;
use schemas::pinfl::{Pinfl, Sex};
use tokio::task::JoinSet;

pub(crate) async fn desk<P: Party>(path: &Path) -> Arc<Desk<P>> {
    Arc::new(Desk::open(SqliteBooks::open(path).await.unwrap()).await.unwrap())
}

fn financing(total_soum: u64) -> Message {
    let total_soum = Soum::new(total_soum).unwrap();
    Message::Financing(Financing { month: "2026-03".parse().unwrap(), total_soum })
}

pub(crate) fn person(nth: u16) -> Pinfl {
    Pinfl::compose(Sex::Male, "1985-05-15".parse().unwrap(), 100, nth).unwrap()
}

/// The entitlements of a month with 700 families: seven checks, seven parts.
fn entitlements() -> Vec<Entitlement> {
    let entitlement = |nth: u16| Entitlement {
        family: format!("family-{nth}").parse().unwrap(),
        benefit: "child-benefit".parse().unwrap(),
        recipient: person(nth),
        account: format!("226180009000{nth:08}").parse().unwrap(),
        amount_soum: Soum::new(275_000).unwrap(),
        ground: "decision-1".parse().unwrap(),
        branch: "00394".parse().unwrap(),
    };
    (0..700).map(entitlement).collect()
}

#[tokio::test]
async fn acknowledged_messages_outlive_the_desk_and_are_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.sqlite");
    let first = desk::<Bank>(&file).await;
    assert_eq!(first.receive(&financing(910_000)).await.unwrap(), Answer::Taken);
    drop(first);
    let again = desk::<Bank>(&file).await;
    assert_eq!(again.receive(&financing(910_000)).await.unwrap(), Answer::Taken);
    match again.receive(&financing(910_001)).await {
        Err(DeskError::Refused(Refusal::Contradicts)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn database_of_a_newer_release_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.sqlite");
    drop(desk::<Bank>(&file).await);
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", file.display());
    let mut newer = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO form VALUES (2)").execute(&mut newer).await.unwrap();
    drop(newer);
    let refused = SqliteBooks::open(&file).await.unwrap_err();
    assert!(matches!(&refused, SqliteError::Content { .. }), "{refused}");
    assert!(refused.to_string().contains("bank.sqlite"), "{refused}");
}

#[tokio::test]
async fn second_process_on_a_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.sqlite");
    let first = desk::<Bank>(&file).await;
    let refused = SqliteBooks::open(&file).await.unwrap_err();
    assert!(refused.to_string().contains("no other process"), "{refused}");
    drop(first);
    drop(desk::<Bank>(&file).await);
}

/// Takes every message to a bank, but fails every third time.
struct Unsteady {
    bank: Arc<Desk<Bank>>,
    tries_count: AtomicUsize,
}

impl Courier for Unsteady {
    async fn deliver(&self, message: &Message) -> Result<Answer, Undelivered> {
        let nth = self.tries_count.fetch_add(1, Ordering::SeqCst);
        let answer = match message {
            Message::PaymentOrder(_) => Ok(Answer::Taken),
            other => self.bank.receive(other).await.map_err(|_| Undelivered::NoAnswer),
        };
        if nth.is_multiple_of(3) { Err(Undelivered::Hub) } else { answer }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sender_repeats_until_every_message_is_answered_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bank = desk::<Bank>(&dir.path().join("bank.sqlite")).await;
    for due in entitlements() {
        let open = |bank: &Bank| {
            Ok::<_, &str>(bank.set_account(due.account, due.recipient, Opening::Open))
        };
        bank.act(open).await.unwrap();
    }
    let file = dir.path().join("register.sqlite");
    let month = "2026-03".parse().unwrap();
    let closing = desk::<Office>(&file).await;
    closing.act(|office| office.close(month, entitlements())).await.unwrap();
    drop(closing);
    // Killed after the commit and before the first message was sent.
    let register = desk::<Office>(&file).await;
    assert_eq!(register.outgoing_count().await, 7);
    let courier = Arc::new(Unsteady { bank: bank.clone(), tries_count: AtomicUsize::new(0) });
    let pauses = Pauses { first_ms: 1, longest_ms: 20 };
    let mut work = JoinSet::new();
    let clock = Clock::machine();
    work.spawn(sender::run(register.clone(), courier.clone(), pauses, clock.clone()));
    let watch = clock.stopwatch();
    let whole = || async {
        let listed: usize = bank.look(|bank| bank.lines().count()).await;
        listed == 700 && register.outgoing_count().await == 0
    };
    while !whole().await {
        assert!(watch.elapsed() < Duration::from_secs(60), "messages are never answered");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(courier.tries_count.load(Ordering::SeqCst) > 15, "some were sent again");
    work.shutdown().await;
}

#[tokio::test]
async fn account_of_somebody_else_closed_and_unknown_ones_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let bank = desk::<Bank>(&dir.path().join("bank.sqlite")).await;
    let number = |nth: u32| format!("226180009000{nth:08}").parse().unwrap();
    for (nth, opening) in [(1, Opening::Open), (2, Opening::Closed)] {
        bank.act(|bank| Ok::<_, &str>(bank.set_account(number(nth), person(1), opening)))
            .await
            .unwrap();
    }
    let state = |nth, owner| bank.look(move |bank| bank.account_state(&number(nth), person(owner)));
    assert_eq!(state(1, 1).await, AccountState::Open);
    assert_eq!(state(1, 2).await, AccountState::OfAnotherPerson);
    assert_eq!(state(2, 1).await, AccountState::Closed);
    assert_eq!(state(3, 1).await, AccountState::Unknown);
}
