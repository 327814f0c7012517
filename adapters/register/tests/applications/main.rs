//! Applications against a second, plain calculation of days and an explicit table of what may follow.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test file: a failure shall panic"
)]

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use proptest::prelude::*;
use register::application::timetable::Timetable;
use register::application::{
    Application, Duty, Filing, NotAllowed, Outcome, Questionnaire, Rating, Stage, State,
};
use register::decision::Entitlement;
use register::money::Soum;
use register::month::Month;
use register::payment::due::{FamilyDue, LeftOut};
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;

const FATHER: &str = "31505850010011";

/// Days off of 2026 that lie on weekdays, written down by hand from the calendar on the wall.
const OFF_2026: [(i8, i8); 9] =
    [(1, 1), (3, 9), (3, 20), (3, 23), (5, 11), (5, 27), (9, 1), (10, 1), (12, 8)];

fn works(day: Date) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let off = match day.year() {
        2026 => OFF_2026.contains(&(day.month(), day.day())),
        2027 => (day.month(), day.day()) == (1, 1),
        other => panic!("no calendar of {other} in this test"),
    };
    !weekend && !off
}

/// How many working days lie behind `from`, up to and with `to`.
fn working_days_between(from: Date, to: Date) -> usize {
    from.series(1.day()).skip(1).take_while(|day| *day <= to).filter(|day| works(*day)).count()
}

fn timetable() -> Timetable {
    Timetable::built_in().unwrap()
}

fn members() -> BTreeSet<Pinfl> {
    BTreeSet::from([FATHER.parse().unwrap()])
}

fn support(share_percent: u32, soum: u64) -> Outcome {
    Outcome::Eligible(Entitlement {
        category: "poor-family".to_owned(),
        share_percent,
        monthly_soum: Soum::new(soum).unwrap(),
        months: 6,
        condition: None,
    })
}

fn rating(stage: Stage, on: Date, outcome: Outcome) -> Rating {
    Rating { stage, on, profile: "p".into(), profile_hash: Sha256::of(b"p"), outcome }
}

fn file(on: Date, outcome: Outcome) -> Result<Application, NotAllowed> {
    let id = "a".to_owned();
    let filing = Filing { id, applicant: FATHER.parse().unwrap(), members: members() };
    Application::file(filing, rating(Stage::Preliminary, on, outcome), &timetable())
}

fn visit(visited_on: Date) -> Questionnaire {
    Questionnaire { visited_on, family_confirmed: true, note: String::new() }
}

/// A step that somebody tries.
#[derive(Clone, Debug)]
enum Step {
    Visit,
    RateFinally(Outcome),
    SendNotice,
    Monitor(Outcome),
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(support(100, 635_000)),
        Just(support(75, 476_250)),
        Just(support(100, 550_000)),
        Just(Outcome::NotEligible),
        Just(Outcome::Pending),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Visit),
        outcomes().prop_map(Step::RateFinally),
        Just(Step::SendNotice),
        outcomes().prop_map(Step::Monitor),
    ]
}

/// What may follow, as the rules have it and nothing of how the program does it.
fn may_follow(from: &State, step: &Step, to: &State, month: Month) -> bool {
    use State::{AwaitsFinalRating, AwaitsQuestionnaire, Refused, Registered, Stopped};
    match (from, step, to) {
        (AwaitsQuestionnaire { .. }, Step::Visit, AwaitsFinalRating { .. }) => true,
        (
            AwaitsFinalRating { due },
            Step::RateFinally(Outcome::Pending),
            AwaitsFinalRating { due: same },
        ) => due == same,
        (AwaitsFinalRating { .. }, Step::RateFinally(Outcome::NotEligible), Refused) => true,
        (
            AwaitsFinalRating { .. },
            Step::RateFinally(Outcome::Eligible(given)),
            Registered { entitlement, from, until, .. },
        ) => given == entitlement && from.plus(6) == *until,
        (a, Step::SendNotice, b) => {
            a == b && matches!(a, Registered { .. } | Refused | Stopped { .. })
        }
        (Registered { .. }, Step::Monitor(Outcome::Pending), b) => from == b,
        (
            Registered { entitlement: was, .. },
            Step::Monitor(Outcome::Eligible(now)),
            Registered { entitlement: is, .. },
        ) => was.share_percent == now.share_percent && is == now,
        (
            Registered { entitlement: was, .. },
            Step::Monitor(Outcome::Eligible(now)),
            Stopped { month: at },
        ) => was.share_percent != now.share_percent && *at == month,
        (Registered { .. }, Step::Monitor(Outcome::NotEligible), Stopped { month: at }) => {
            *at == month
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_state_is_reached_that_the_rules_forbid(
        day in 0_i64..200,
        first in outcomes(),
        tried in prop::collection::vec((steps(), 0_i64..20), 0..30),
    ) {
        let mut today = Date::constant(2026, 1, 2) + day.days();
        let filed = file(today, first.clone());
        prop_assert_eq!(filed.is_err(), today.day() >= 26);
        let Ok(mut application) = filed else { return Ok(()) };
        let refused = first == Outcome::NotEligible;
        prop_assert_eq!(matches!(application.state(), State::Refused), refused);
        let mut notices = 0;
        for (step, later) in tried {
            today += later.days();
            let month = Month::of(today);
            let before = application.clone();
            let tried = match step.clone() {
                Step::Visit => before.clone().take_questionnaire(visit(today), today, &timetable()),
                Step::RateFinally(outcome) => before.clone().rate_finally(
                    rating(Stage::Final, today, outcome), members(), &timetable()),
                Step::SendNotice => before.clone().send_notice(today),
                Step::Monitor(outcome) => before.clone().monitor(
                    (month, rating(Stage::Monitoring(month), today, outcome)), members(), &timetable()),
            };
            let Ok(after) = tried else { continue };
            prop_assert!(may_follow(before.state(), &step, after.state(), month), "{:?} {:?}", step, after.state());
            notices += usize::from(matches!(step, Step::SendNotice));
            if matches!(step, Step::Monitor(_)) {
                prop_assert!(before.support_in(month).is_some() && before.monitored_in(month).is_none());
            }
            let decided = !matches!(after.state(), State::AwaitsQuestionnaire { .. } | State::AwaitsFinalRating { .. });
            prop_assert_eq!(after.notice().is_some(), decided);
            prop_assert!(after.ratings().len() <= 31);
            // What is kept reads back the same.
            let text = serde_json::to_string(&after).unwrap();
            prop_assert!(serde_json::from_str::<Application>(&text).unwrap() == after);
            application = after;
        }
        // One notice for the decision, and one when support was stopped.
        prop_assert!(notices <= 2);
    }

    #[test]
    fn every_deadline_holds_across_weekends_and_holidays(day in 0_i64..300, wait in 0_i64..15) {
        let filed_on = Date::constant(2026, 1, 2) + day.days();
        let Ok(application) = file(filed_on, Outcome::Pending) else { return Ok(()) };
        let (duty, due) = application.duty().unwrap();
        prop_assert_eq!((duty, works(due)), (Duty::Questionnaire, true));
        prop_assert_eq!(working_days_between(filed_on, due), 3);
        let visited_on = filed_on + wait.days();
        let application = application.take_questionnaire(visit(visited_on), visited_on, &timetable()).unwrap();
        let (duty, due) = application.duty().unwrap();
        prop_assert_eq!((duty, works(due)), (Duty::FinalRating, true));
        prop_assert_eq!(working_days_between(visited_on, due), 3);
        let final_rating = rating(Stage::Final, visited_on, support(100, 635_000));
        let application = application.rate_finally(final_rating, members(), &timetable()).unwrap();
        let (duty, due) = application.duty().unwrap();
        prop_assert_eq!(duty, Duty::Notice);
        let first = Month::of(visited_on).next().first_day();
        prop_assert!(visited_on <= due && due <= first);
        prop_assert!(works(due) || due == visited_on);
        // No working day lies between the notice and the 1st.
        prop_assert!(due.max(visited_on).series(1.day()).skip(1).take_while(|day| *day <= first).all(|day| !works(day)));
        let application = application.send_notice(due).unwrap();
        let (duty, due) = application.duty().unwrap();
        prop_assert_eq!(duty, Duty::Recertification);
        let counts_for = Month::of(filed_on).plus(u32::from(filed_on.day() >= 16));
        prop_assert_eq!(due, Date::new(counts_for.plus(5).first_day().year(), counts_for.plus(5).first_day().month(), 25).unwrap());
        prop_assert!(application.support_in(counts_for.plus(5)).is_some());
        prop_assert!(application.support_in(counts_for.plus(6)).is_none());
    }
}

#[test]
fn a_visit_before_the_filing_or_in_the_future_is_refused() {
    let filed_on = Date::constant(2026, 3, 2);
    let application = file(filed_on, Outcome::Pending).unwrap();
    for (visited_on, today) in [(1, 3), (5, 4)] {
        let day = |day| Date::constant(2026, 3, day);
        let refused = application.clone().take_questionnaire(
            visit(day(visited_on)),
            day(today),
            &timetable(),
        );
        assert!(matches!(refused, Err(NotAllowed::Day { .. })));
    }
}

#[test]
fn a_renewal_follows_the_support_and_never_overlaps_it() {
    let registered = |day: Date| {
        let application = file(day, Outcome::Pending).unwrap();
        let application = application.take_questionnaire(visit(day), day, &timetable()).unwrap();
        let last = rating(Stage::Final, day, support(100, 635_000));
        application.rate_finally(last, members(), &timetable()).unwrap().send_notice(day).unwrap()
    };
    let first = registered(Date::constant(2026, 3, 2));
    let early = file(Date::constant(2026, 8, 3), Outcome::Pending).unwrap();
    assert!(first.clone().renew(&early).is_err());
    let in_time = file(Date::constant(2026, 8, 20), Outcome::Pending).unwrap();
    assert_eq!(first.duty(), Some((Duty::Recertification, Date::constant(2026, 8, 25))));
    assert_eq!(first.renew(&in_time).unwrap().duty(), None);
}

/// A family supported from March 2026 for six months, monitored in these months with these outcomes.
fn monitored(monitoring: &[(&str, Outcome)]) -> Application {
    let day = Date::constant(2026, 3, 2);
    let final_rating = rating(Stage::Final, day, support(100, 635_000));
    let application = file(day, support(100, 635_000)).unwrap();
    let application = application.take_questionnaire(visit(day), day, &timetable()).unwrap();
    let application = application.rate_finally(final_rating, members(), &timetable()).unwrap();
    monitoring.iter().fold(application, |application, (month, outcome)| {
        let month: Month = month.parse().unwrap();
        let rating = rating(Stage::Monitoring(month), month.first_day(), outcome.clone());
        application.monitor((month, rating), members(), &timetable()).unwrap()
    })
}

#[test]
fn a_month_is_paid_by_the_last_rating_up_to_it_whatever_later_months_bring() {
    let in_force = |application: &Application, month: &str| {
        FamilyDue::in_force(application, month.parse().unwrap())
            .map(|family_due| family_due.amount_soum().amount())
    };
    let plain = monitored(&[]);
    assert_eq!(in_force(&plain, "2026-02"), Err(LeftOut::BeginsLater));
    assert_eq!(in_force(&plain, "2026-03"), Ok(635_000));
    assert_eq!(in_force(&plain, "2026-08"), Ok(635_000));
    assert_eq!(in_force(&plain, "2026-09"), Err(LeftOut::Ended));

    let grown = monitored(&[("2026-04", Outcome::Pending), ("2026-05", support(100, 550_000))]);
    let months = ["2026-03", "2026-04", "2026-05", "2026-06"];
    let amounts = months.map(|month| in_force(&grown, month).unwrap());
    assert_eq!(amounts, [635_000, 635_000, 550_000, 550_000]);

    let other_share = monitored(&[("2026-05", support(75, 476_250))]);
    assert_eq!(in_force(&other_share, "2026-04"), Ok(635_000));
    assert_eq!(in_force(&other_share, "2026-05"), Err(LeftOut::Stopped));
    let refused = monitored(&[("2026-04", Outcome::NotEligible)]);
    assert_eq!(in_force(&refused, "2026-03"), Ok(635_000));
    assert_eq!(in_force(&refused, "2026-04"), Err(LeftOut::Stopped));

    let again = file(Date::constant(2026, 8, 20), support(100, 635_000)).unwrap();
    assert_eq!(in_force(&again, "2026-09"), Err(LeftOut::AwaitsDecision));
    let renewed = plain.renew(&again).unwrap();
    assert_eq!(in_force(&renewed, "2026-08"), Ok(635_000));
    assert_eq!(in_force(&renewed, "2026-09"), Err(LeftOut::Renewed));
    let never = file(Date::constant(2026, 3, 2), Outcome::NotEligible).unwrap();
    assert_eq!(in_force(&never, "2026-03"), Err(LeftOut::Refused));
}
