//! The way of an E-Case, what is refused on it, and that no random walk leaves it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a wrong value or index here fails the test"
)]

use std::collections::BTreeMap;

use jiff::civil::Date;
use proptest::prelude::*;
use register::access::{District, Officer, Officers, Operation, Permitted, Role};
use register::day::{Weekdays, tashkent_day};
use register::ecase::scale::Scales;
use register::ecase::{
    BothScales, CloseReason, ECase, Ground, Moment, Outcome, PlannedService, SnapshotRef, Stage,
    Step, StepRefused,
};
use register::life_event::{EventKind, SeenEvent};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

const DAY_MS: u64 = 86_400_000;

fn ground() -> Ground {
    "CM res. 35".to_owned().try_into().unwrap()
}

fn district() -> District {
    "1726269".to_owned().try_into().unwrap()
}

fn permitted(operation: Operation) -> Permitted {
    let own = Some(district());
    let officers = [
        ("worker", Role::Caseworker, own.clone()),
        ("head", Role::Supervisor, own),
        ("agency", Role::Officer, None),
    ];
    let officers = officers.map(|(id, role, district)| Officer { id: id.into(), role, district });
    let officers = Officers::new(officers.to_vec()).unwrap();
    let user = match operation {
        Operation::WorkOnCase => "worker",
        Operation::DecideCase => "head",
        _ => "agency",
    };
    officers.permit(Some(user), operation, Some(&district())).unwrap()
}

/// A case with its clock; steps are taken on the profile named `profile`.
struct World {
    case: ECase,
    at: UnixMillis,
    profile: &'static str,
    scales: Scales,
}

impl World {
    /// A case opened on Monday, 2 March 2026.
    fn new() -> Self {
        let at = UnixMillis::from_rfc3339("2026-03-02T05:00:00Z").unwrap();
        let person = "30101500010069".parse().unwrap();
        let open = permitted(Operation::WorkOnCase);
        let case = ECase::open(("c-1".into(), person, district()), open, ground(), at).unwrap();
        Self { case, at, profile: "first", scales: Scales::built_in().unwrap() }
    }

    fn try_take(&mut self, step: Step) -> Result<(), StepRefused> {
        let hash = Sha256::of(self.profile.as_bytes());
        let snapshot = Some(SnapshotRef { id: self.profile.to_owned(), hash });
        let moment = Moment { at: self.at, scales: &self.scales, calendar: &Weekdays, snapshot };
        let permitted = permitted(step.operation());
        self.case = self.case.take(permitted, step, ground(), &moment)?;
        Ok(())
    }

    fn take(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            let name = step.name();
            self.try_take(step).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        }
    }

    fn pass_days(&mut self, days: u64) {
        self.at = UnixMillis(self.at.0 + days * DAY_MS);
    }

    fn in_service() -> Self {
        let mut world = Self::new();
        world.take([questionnaire(), assess(&world.scales, 5), decide(Outcome::Granted)]);
        world.take([offer(), Step::AcceptPlan]);
        world
    }

    fn die(&mut self) {
        let seen = SeenEvent {
            id: "civil-registry:e-1".into(),
            source: serde_json::from_str("\"civil-registry\"").unwrap(),
            kind: EventKind::Death,
            on: Date::constant(2026, 3, 1),
            seen_at: self.at,
        };
        self.case = self.case.see(seen).unwrap();
    }
}

fn questionnaire() -> Step {
    Step::FillQuestionnaire { answers: BTreeMap::from([("heating".into(), "stove".into())]) }
}

/// Full points less `less` at stairs; 0 is an independent person.
fn points(scales: &Scales, less: u16) -> BothScales {
    let full = |scale: &register::ecase::scale::Scale| {
        let most =
            |item: &register::ecase::scale::Item| (item.code.clone(), *item.points.last().unwrap());
        scale.items.iter().map(most).collect::<BTreeMap<_, _>>()
    };
    let mut barthel = full(&scales.barthel);
    barthel.insert("stairs".to_owned(), 10 - less);
    BothScales { barthel, lawton: full(&scales.lawton) }
}

fn assess(scales: &Scales, less: u16) -> Step {
    Step::AssessNeeds { points: points(scales, less) }
}

fn decide(outcome: Outcome) -> Step {
    Step::Decide { outcome, group: ["head", "physician", "psychologist"].map(Into::into).into() }
}

fn offer() -> Step {
    let service =
        PlannedService { code: "home-care".into(), provider: "Inson".into(), weekly_hours: 4 };
    Step::OfferPlan { services: vec![service] }
}

fn decide_appeal(outcome: Outcome, points: Option<BothScales>) -> Step {
    Step::DecideAppeal { outcome, points }
}

#[test]
fn a_case_goes_from_its_opening_to_services_and_visits() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 5)]);
    // Five working days after Monday, 2 March.
    assert_eq!(world.case.stage().due(), Some(Date::constant(2026, 3, 9)));
    world.take([decide(Outcome::Granted), offer(), Step::AcceptPlan]);
    assert_eq!(world.case.stage().due(), Some(Date::constant(2026, 9, 2)));
    let today = tashkent_day(world.at);
    world.take([
        Step::RecordService { code: "home-care".into(), day: today },
        Step::RecordVisit { day: today, findings: "in order".into() },
        Step::Close { reason: CloseReason::OwnWish },
    ]);
    assert!(!world.case.stage().is_open());
    assert!(world.case.acts().iter().all(|act| !act.by.is_empty()), "who");
}

#[test]
fn steps_that_the_case_does_not_await_are_refused_by_name() {
    let mut world = World::new();
    for step in [decide(Outcome::Granted), offer(), Step::AcceptPlan, Step::Appeal] {
        let name = step.name().to_string();
        let refused = world.try_take(step).unwrap_err().to_string();
        assert!(refused.contains(&name) && refused.contains("the questionnaire"), "{refused}");
    }
    assert_eq!(world.case.acts().len(), 1, "a refused step leaves no trace in the case");
}

#[test]
fn independent_people_are_refused_services_also_on_appeal() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 0)]);
    assert_eq!(world.try_take(decide(Outcome::Granted)), Err(StepRefused::Independent));
    world.take([decide(Outcome::Refused), Step::Appeal]);
    let granted = decide_appeal(Outcome::Granted, None);
    assert_eq!(world.try_take(granted), Err(StepRefused::Independent));
}

#[test]
fn an_appeal_is_decided_on_corrected_data_and_keeps_the_old_snapshot() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 0), decide(Outcome::Refused)]);
    let old = world.case.decisions().first().unwrap().clone();
    world.take([Step::Appeal]);
    world.profile = "corrected";
    let corrected = points(&world.scales, 10);
    world.take([decide_appeal(Outcome::Granted, Some(corrected))]);
    let [first, second] = world.case.decisions() else { panic!("two decisions") };
    assert!(*first == old && first.needs.independent);
    assert_eq!((first.snapshot.id.as_str(), second.snapshot.id.as_str()), ("first", "corrected"));
    assert!(!second.needs.independent);
    assert!(*world.case.stage() == Stage::AwaitsPlan);
}

#[test]
fn an_appeal_is_not_decided_by_who_decided_before() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 0), decide(Outcome::Refused), Step::Appeal]);
    // The head of the district is an officer of the agency by now.
    let text = serde_json::to_string(&world.case).unwrap().replace("\"head\"", "\"agency\"");
    world.case = serde_json::from_str(&text).unwrap();
    let refused = world.try_take(decide_appeal(Outcome::Refused, None));
    assert_eq!(refused, Err(StepRefused::SamePerson));
}

#[test]
fn an_appeal_that_fails_ends_the_case_and_cannot_be_repeated() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 0), decide(Outcome::Refused), Step::Appeal]);
    world.take([decide_appeal(Outcome::Refused, None)]);
    assert!(matches!(world.try_take(Step::Appeal), Err(StepRefused::NotAwaited { .. })));
    assert!(*world.case.stage() == Stage::RefusedFinally);
}

#[test]
fn a_decision_needs_its_snapshot_a_group_and_another_person_than_the_assessor() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 5)]);
    let group = ["head", "head ", ""].map(Into::into).into();
    let alone = Step::Decide { outcome: Outcome::Granted, group };
    assert_eq!(world.try_take(alone), Err(StepRefused::SmallGroup(3)));
    let bare = Moment { at: world.at, scales: &world.scales, calendar: &Weekdays, snapshot: None };
    let decider = permitted(Operation::DecideCase);
    let refused = world.case.take(decider, decide(Outcome::Granted), ground(), &bare);
    assert!(refused.is_err_and(|refused| refused == StepRefused::NoSnapshot));
    let worker = permitted(Operation::WorkOnCase);
    let refused = world.case.take(worker, decide(Outcome::Granted), ground(), &bare);
    assert!(refused.is_err_and(|refused| refused == StepRefused::OtherPermission));
    // The head of the district was its caseworker when the needs were assessed.
    let text = serde_json::to_string(&world.case).unwrap().replace("\"worker\"", "\"head\"");
    world.case = serde_json::from_str(&text).unwrap();
    assert_eq!(world.try_take(decide(Outcome::Granted)), Err(StepRefused::SamePerson));
}

#[test]
fn a_late_decision_is_taken_and_says_that_it_is_late() {
    for (days, late) in [(7, false), (8, true)] {
        let mut world = World::new();
        world.take([questionnaire(), assess(&world.scales, 5)]);
        world.pass_days(days);
        world.take([decide(Outcome::Granted)]);
        assert_eq!(world.case.decisions().first().unwrap().late, late, "after {days} days");
    }
}

#[test]
fn an_offer_stands_for_a_day_and_then_lapses() {
    let mut world = World::new();
    world.take([questionnaire(), assess(&world.scales, 5), decide(Outcome::Granted), offer()]);
    assert_eq!(world.try_take(offer()), Err(StepRefused::OfferStands));
    world.pass_days(1);
    let in_time = world.case.clone();
    world.take([Step::AcceptPlan]);
    world.case = in_time;
    world.at = UnixMillis(world.at.0 + 1);
    assert_eq!(world.try_take(Step::AcceptPlan), Err(StepRefused::OfferLapsed));
    world.take([offer(), Step::DeclinePlan, offer(), Step::AcceptPlan]);
}

#[test]
fn only_planned_services_and_days_that_have_come_are_recorded() {
    let mut world = World::in_service();
    let today = tashkent_day(world.at);
    let other = Step::RecordService { code: "massage".into(), day: today };
    assert_eq!(world.try_take(other), Err(StepRefused::NotPlanned));
    let tomorrow = today.tomorrow().unwrap();
    let early = Step::RecordVisit { day: tomorrow, findings: String::new() };
    assert_eq!(world.try_take(early), Err(StepRefused::FutureDay));
}

#[test]
fn who_is_abroad_for_more_than_a_month_is_removed_and_may_appeal_once() {
    let mut world = World::in_service();
    let abroad = Step::Close { reason: CloseReason::Abroad };
    assert_eq!(world.try_take(abroad.clone()), Err(StepRefused::NotAbroad(1)));
    world.take([Step::RecordAbroad { since: tashkent_day(world.at) }]);
    world.pass_days(31);
    assert_eq!(world.try_take(abroad.clone()), Err(StepRefused::NotAbroad(1)), "just a month");
    world.pass_days(1);
    world.take([abroad, Step::Appeal, decide_appeal(Outcome::Refused, None)]);
    assert!(matches!(world.try_take(Step::Appeal), Err(StepRefused::NotAwaited { .. })));
}

#[test]
fn after_a_death_the_case_is_closed_and_nothing_else() {
    let mut world = World::in_service();
    let close = Step::Close { reason: CloseReason::Death };
    assert_eq!(world.try_take(close.clone()), Err(StepRefused::NotDead));
    world.die();
    assert_eq!(world.try_take(Step::RecordReturn), Err(StepRefused::PersonDied));
    world.take([close]);
    assert!(world.case.see(world.case.events().first().unwrap().clone()).is_none(), "once");
}

fn any_step() -> impl Strategy<Value = u8> {
    0_u8..20
}

fn step(number: u8, scales: &Scales, today: Date) -> Step {
    let appeal = |outcome| decide_appeal(outcome, Some(points(scales, 5)));
    match number {
        0 | 1 => questionnaire(),
        2 | 3 => assess(scales, u16::from(number - 2) * 5),
        4 | 5 => decide(Outcome::Granted),
        6 => decide(Outcome::Refused),
        7 | 8 => offer(),
        9 | 10 => Step::AcceptPlan,
        11 => Step::DeclinePlan,
        12 => Step::RecordService { code: "home-care".into(), day: today },
        13 => Step::RecordVisit { day: today, findings: "f".into() },
        14 => Step::RecordAbroad { since: today },
        15 => Step::Close { reason: CloseReason::Abroad },
        16 => Step::Close { reason: CloseReason::NeedMet },
        17 => Step::Appeal,
        18 => appeal(Outcome::Granted),
        _ => appeal(Outcome::Refused),
    }
}

proptest! {
    #[test]
    fn no_walk_serves_without_a_grant_loses_a_snapshot_or_differs_from_its_replay(
        walk in prop::collection::vec((any_step(), 0_u64..40), 1..80),
    ) {
        let mut world = World::new();
        for (number, days) in walk {
            world.pass_days(u64::from(days > 30) * days);
            let before = world.case.clone();
            let step = step(number, &world.scales, tashkent_day(world.at));
            let decides = step.decides();
            match world.try_take(step) {
                Err(_) => prop_assert!(world.case == before),
                Ok(()) => {
                    let (old, new) = (before.decisions(), world.case.decisions());
                    prop_assert!(new.starts_with(old), "a decision is never changed");
                    prop_assert_eq!(new.len() - old.len(), usize::from(decides));
                }
            }
            let last = world.case.decisions().last();
            let granted = last.is_some_and(|decision| decision.outcome == Outcome::Granted);
            if matches!(world.case.stage(), Stage::InService { .. } | Stage::AwaitsPlan) {
                prop_assert!(granted && !last.unwrap().needs.independent);
            }
        }
        prop_assert!(world.case.replay(&world.scales, &Weekdays).unwrap() == world.case);
    }
}
