//! Single orders of events that the payments are about, each told out.

use crate::world::{Crash, Step, World, person};
use register::payment::line::LineState;

fn ready_to_pay() -> World {
    let mut world = World::new();
    world.take(&Step::Close(Crash::None));
    for _ in 0..6 {
        for party in 0..3 {
            for nth in 0..8 {
                world.take(&Step::Send(party, nth));
            }
        }
        while !world.packets.is_empty() {
            world.take(&Step::Deliver(0, Crash::None));
        }
        world.take(&Step::Finance(Crash::None));
    }
    world
}

fn state_of(world: &World, nth: usize) -> LineState {
    let month = world.closed[0];
    let mut lines = world.register.ledger.party().lines(month);
    lines.find(|line| line.recipient == person(nth)).unwrap().state.clone()
}

#[test]
fn death_recorded_after_the_statement_and_before_the_release_blocks_the_line() {
    let mut world = ready_to_pay();
    assert_eq!(state_of(&world, 7), LineState::Listed);
    // The bank has asked, and its question is under way when the death is recorded.
    world.take(&Step::Execute(Crash::None));
    world.take(&Step::Send(2, 0));
    world.take(&Step::Death(7));
    world.heal(true).unwrap();
    assert_eq!(state_of(&world, 7), LineState::Blocked);
    assert_eq!(state_of(&world, 8), LineState::Paid);
}

#[test]
fn account_closed_after_its_check_leaves_the_line_uncollected_and_it_stands_again_once() {
    let mut world = ready_to_pay();
    world.take(&Step::CloseAccount(3));
    world.heal(true).unwrap();
    let LineState::Uncollected { rolled_over_to: Some(next) } = state_of(&world, 3) else {
        panic!("{:?}", state_of(&world, 3));
    };
    let month = world.closed[1];
    let again = world.register.ledger.party().lines(month).find(|line| line.id == next).unwrap();
    // The account is still closed, so the check before the statement holds it, and that was its time.
    assert!(
        matches!(again.state, LineState::Held { rolled_over_to: None, .. }),
        "{:?}",
        again.state
    );
}

#[test]
fn accounts_of_others_closed_and_unknown_ones_are_held_before_the_statement() {
    let mut world = World::new();
    world.take(&Step::CloseAccount(5));
    world.take(&Step::Close(Crash::None));
    world.heal(true).unwrap();
    assert!(matches!(state_of(&world, 5), LineState::Held { .. }));
    let statement = world.register.ledger.party().month(world.closed[0]).unwrap().statement.clone();
    assert_eq!(statement.unwrap().lines_count, crate::world::PEOPLE_COUNT - 1);
}
