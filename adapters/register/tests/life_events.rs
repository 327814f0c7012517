//! Life events in any order, repeated, with crashes on both sides of the commit: one end state.
//!
//! source ─ at least once, any order ─→ inbox ─ in order, once ─→ effects
//!                 ↑ crash before the commit: state as before, source repeats
//!                 ↑ crash after the commit: state as after, source repeats

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a wrong value or index here fails the test"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::civil::Date;
use proptest::prelude::*;
use register::life_event::{
    Effect, EventKind, EventRefused, Happening, Inbox, LifeEvent, Proposed, Received, effects,
};
use register::source::SourceName;
use schemas::pinfl::Pinfl;

const PEOPLE: [&str; 2] = ["31505850010011", "42007870010023"];
const CHILD: &str = "62509240010052";

fn source() -> SourceName {
    serde_json::from_str("\"civil-registry\"").unwrap()
}

fn event(person: &str, sequence: u64, kind: u8) -> LifeEvent {
    let child: Pinfl = CHILD.parse().unwrap();
    let what = match kind {
        0 => Happening::Birth { child },
        1 => Happening::Death,
        2 => Happening::Marriage { spouse: child },
        3 => Happening::Wage,
        _ => Happening::Vehicle,
    };
    let id = format!("e-{}-{sequence}", &person[..3]).try_into().unwrap();
    let on = Date::constant(2026, 3, 2);
    LifeEvent { id, person: person.parse().unwrap(), sequence, on, what }
}

/// Everything that the register keeps, as one commit writes it.
#[derive(Clone, Default, PartialEq)]
struct Kept {
    inboxes: BTreeMap<Pinfl, Inbox>,
    given: BTreeMap<Pinfl, Vec<u64>>,
    proposals: BTreeSet<(Pinfl, u64, Proposed)>,
    stopped: BTreeSet<Pinfl>,
}

impl Kept {
    fn receive(&mut self, event: LifeEvent) -> Result<(), EventRefused> {
        let person = event.person;
        let inbox = self.inboxes.entry(person).or_insert_with(|| Inbox::new(source(), person));
        let Received::Due(due) = inbox.receive(event)? else { return Ok(()) };
        for event in due {
            self.given.entry(person).or_default().push(event.sequence);
            for effect in effects(event.kind()) {
                match effect {
                    Effect::Propose(what) => {
                        assert!(self.proposals.insert((person, event.sequence, *what)), "twice");
                    }
                    Effect::StopAll => {
                        self.stopped.insert(person);
                    }
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Delivered,
    CrashBeforeCommit,
    CrashAfterCommit,
    Late,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Delivered),
        1 => Just(Fate::CrashBeforeCommit),
        1 => Just(Fate::CrashAfterCommit),
        2 => Just(Fate::Late),
    ]
}

fn events() -> impl Strategy<Value = Vec<LifeEvent>> {
    prop::collection::vec((0_usize..2, 0_u8..5), 1..24).prop_map(|kinds| {
        let mut counts = [0_u64; 2];
        let one = |(person, kind): (usize, u8)| {
            counts[person] += 1;
            event(PEOPLE[person], counts[person], kind)
        };
        kinds.into_iter().map(one).collect()
    })
}

proptest! {
    #[test]
    fn any_order_repetition_and_crash_give_the_same_end_state(
        all in events(),
        fates in prop::collection::vec(fate(), 0..200),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut in_order = Kept::default();
        for event in &all {
            in_order.receive(event.clone()).unwrap();
        }
        let mut queue: VecDeque<LifeEvent> = all.iter().rev().cloned().collect();
        queue.rotate_left(shuffle.index(all.len()));
        let (mut kept, mut fates) = (Kept::default(), fates.into_iter());
        while let Some(event) = queue.pop_front() {
            let mut next = kept.clone();
            let taken = next.receive(event.clone());
            prop_assert!(taken.is_ok());
            match fates.next().unwrap_or(Fate::Delivered) {
                Fate::Delivered => kept = next,
                Fate::CrashBeforeCommit => queue.push_front(event),
                Fate::CrashAfterCommit => {
                    kept = next;
                    queue.push_back(event);
                }
                Fate::Late => queue.push_back(event),
            }
        }
        prop_assert!(kept == in_order);
        for numbers in kept.given.values() {
            prop_assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "in order and once");
        }
    }
}

#[test]
fn early_events_are_held_back_up_to_a_limit_and_then_the_source_waits() {
    let mut inbox = Inbox::new(source(), PEOPLE[0].parse().unwrap());
    let mut next = 2;
    let refused = loop {
        match inbox.receive(event(PEOPLE[0], next, 3)) {
            Ok(received) => assert!(received == Received::Held),
            Err(refused) => break refused,
        }
        next += 1;
    };
    assert_eq!(refused, EventRefused::Gap { awaited: 1 });
    assert_eq!(inbox.gap(), Some(1));
    let Received::Due(due) = inbox.receive(event(PEOPLE[0], 1, 0)).unwrap() else { panic!() };
    let numbers: Vec<u64> = due.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..next).collect::<Vec<_>>());
    assert_eq!(inbox.gap(), None);
}

#[test]
fn one_number_for_two_events_is_a_contradiction_and_changes_nothing() {
    let mut inbox = Inbox::new(source(), PEOPLE[0].parse().unwrap());
    inbox.receive(event(PEOPLE[0], 1, 0)).unwrap();
    let before = inbox.clone();
    let mut other = event(PEOPLE[0], 1, 1);
    other.id = "e-other".to_owned().try_into().unwrap();
    assert_eq!(inbox.receive(other), Err(EventRefused::Contradiction));
    assert_eq!(inbox.receive(event(PEOPLE[0], 0, 1)), Err(EventRefused::Zero));
    assert!(inbox == before);
    assert!(inbox.receive(event(PEOPLE[0], 1, 0)).unwrap() == Received::Repeated);
}

#[test]
fn only_a_death_stops_payments_and_every_event_proposes_something() {
    let kinds = [
        (EventKind::Birth, Proposed::Application, false),
        (EventKind::Death, Proposed::Recheck, true),
        (EventKind::Marriage, Proposed::Recheck, false),
        (EventKind::Wage, Proposed::Recheck, false),
        (EventKind::Vehicle, Proposed::Recheck, false),
    ];
    for (kind, proposed, stops) in kinds {
        assert!(effects(kind).contains(&Effect::Propose(proposed)), "{kind:?}");
        assert_eq!(effects(kind).contains(&Effect::StopAll), stops, "{kind:?}");
    }
}
