//! Register, treasury and bank over a network that loses, repeats, delays and reorders, each killed at
//! any step: the invariants of the payments hold after every step, and once the network is well every
//! line comes to its end.
//!
//! ```text
//! proptest: a list of steps ─► World { three ledgers, each with its disk; a bag of packets }
//!                                └─ after every step: invariants::hold
//! ```
//!
//! 32 runs of up to 400 steps over disks that are maps, and 3 over the register's own store;
//! `KOPRIK_PAYMENT_RUNS=5000` makes more (a tenth of them over the store). A failure prints its steps, shortened.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

mod disk;
mod invariants;
mod scripted;
mod world;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use world::{Crash, PEOPLE_COUNT, Step, World};

/// Runs of the short form, over maps and over the register's store.
const RUNS: u32 = 32;
const RUNS_OVER_THE_STORE: u32 = 3;
const STEPS_MAX_COUNT: usize = 400;

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![6 => Just(Crash::None), 1 => Just(Crash::BeforeCommit), 1 => Just(Crash::AfterCommit)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => crash().prop_map(Step::Close),
        4 => crash().prop_map(Step::Finance),
        12 => crash().prop_map(Step::Execute),
        2 => crash().prop_map(Step::EndMonth),
        3 => (0..PEOPLE_COUNT).prop_map(Step::Death),
        2 => (0..PEOPLE_COUNT).prop_map(Step::CloseAccount),
        1 => (0..PEOPLE_COUNT).prop_map(Step::OpenAccount),
        40 => (0..3_usize, any::<usize>()).prop_map(|(party, nth)| Step::Send(party, nth)),
        50 => (any::<usize>(), crash()).prop_map(|(nth, crash)| Step::Deliver(nth, crash)),
        8 => (any::<usize>(), crash()).prop_map(|(nth, crash)| Step::DeliverAndKeep(nth, crash)),
        5 => any::<usize>().prop_map(Step::Lose),
        2 => (0..3_usize).prop_map(Step::Restart),
    ]
}

/// Runs of the long form, where it is asked for.
fn runs_asked_for() -> Option<u32> {
    #[allow(clippy::disallowed_methods, reason = "the long form of a test")]
    let runs = std::env::var("KOPRIK_PAYMENT_RUNS").ok()?;
    runs.parse().ok()
}

/// Takes random steps in as many worlds; gives what the worlds have come to.
fn run(runs: u32, shrinks: u32, world: impl Fn() -> World) -> world::Reached {
    let config =
        Config { failure_persistence: None, max_shrink_iters: shrinks, ..Config::with_cases(runs) };
    let steps = proptest::collection::vec(step(), 100..STEPS_MAX_COUNT);
    let reached = RefCell::new(world::Reached::default());
    let outcome = TestRunner::new(config).run(&(steps, any::<bool>()), |(steps, stale)| {
        let mut world = world();
        for step in steps {
            world.take(&step);
            invariants::hold(&world).map_err(TestCaseError::fail)?;
        }
        reached.borrow_mut().note_payments_under_way(&world);
        world.heal(stale).map_err(TestCaseError::fail)?;
        reached.borrow_mut().note(&world);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    reached.into_inner()
}

#[test]
fn invariants_hold_whatever_the_network_and_crashes_do_and_every_line_comes_to_its_end() {
    let reached = run(runs_asked_for().unwrap_or(RUNS), 256, World::new);
    // The runs came to every state, so that the above is not about nothing.
    assert!(reached.all(), "{reached:?}");
}

#[test]
fn the_same_holds_with_the_registers_books_in_its_own_store() {
    let runs = runs_asked_for().map_or(RUNS_OVER_THE_STORE, |runs| runs.div_ceil(10));
    let reached = run(runs, 8, || World::with(disk::OwnStore::new()));
    assert!(reached.some_paid(), "{reached:?}");
}
