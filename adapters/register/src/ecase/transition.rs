//! What each step makes of each stage.

use jiff::civil::Date;
use schemas::limits::{CASE_ANSWERS_MAX_COUNT, CASE_TEXT_MAX_CHARS, PLAN_SERVICES_MAX_COUNT};

use super::scale::Needs;
use super::stage::{Against, Plan, Stage};
use super::step::{Act, BothScales, CaseDecision, CloseReason, Outcome, Step};
use super::{ECase, Moment, StepRefused};
use crate::day::{months_after, tashkent_day};
use crate::life_event::EventKind;

type Next = (Stage, Option<CaseDecision>);

/// The stage after `act`, and the decision that it is.
pub(super) fn next(case: &ECase, act: &Act, moment: &Moment<'_>) -> Result<Next, StepRefused> {
    let dead = case.events.iter().any(|event| event.kind == EventKind::Death);
    let closes_dead = matches!(act.step, Step::Close { reason: CloseReason::Death });
    if dead && !closes_dead {
        return Err(StepRefused::PersonDied);
    }
    if closes_dead && !dead {
        return Err(StepRefused::NotDead);
    }
    match &act.step {
        Step::Decide { outcome, group } => decide(case, act, (*outcome, group), moment),
        Step::DecideAppeal { outcome, points } => {
            decide_appeal(case, act, (*outcome, points.as_ref()), moment)
        }
        Step::RecordService { .. }
        | Step::RecordVisit { .. }
        | Step::RecordAbroad { .. }
        | Step::RecordReturn => serve(case, act, moment).map(|stage| (stage, None)),
        Step::Close { reason } => close(case, act, *reason, moment).map(|stage| (stage, None)),
        _ => prepare(case, act, moment).map(|stage| (stage, None)),
    }
}

fn not_awaited(case: &ECase, act: &Act) -> StepRefused {
    StepRefused::NotAwaited { step: act.step.name(), awaits: case.stage.awaits() }
}

/// Steps on the way to services, and the appeal.
fn prepare(case: &ECase, act: &Act, moment: &Moment<'_>) -> Result<Stage, StepRefused> {
    let today = tashkent_day(act.at);
    match (&case.stage, &act.step) {
        (Stage::AwaitsQuestionnaire, Step::FillQuestionnaire { answers }) => {
            let short = |text: &String| text.chars().count() <= CASE_TEXT_MAX_CHARS;
            let fits = answers.iter().all(|(question, answer)| short(question) && short(answer));
            if answers.len() > CASE_ANSWERS_MAX_COUNT || !fits {
                return Err(StepRefused::TooLong);
            }
            Ok(Stage::AwaitsNeeds)
        }
        (Stage::AwaitsNeeds, Step::AssessNeeds { points }) => {
            let needs = weigh(points, moment)?;
            let days = moment.scales.decision_working_days.value;
            Ok(Stage::AwaitsDecision { due: moment.calendar.after(today, days), needs })
        }
        (Stage::AwaitsPlan, Step::OfferPlan { services }) => offer(services, act, moment),
        (Stage::AwaitsAcceptance { until, .. }, Step::OfferPlan { services }) => {
            if act.at <= *until {
                return Err(StepRefused::OfferStands);
            }
            offer(services, act, moment)
        }
        (Stage::AwaitsAcceptance { until, plan }, Step::AcceptPlan) => {
            if act.at > *until {
                return Err(StepRefused::OfferLapsed);
            }
            Ok(in_service(plan, today, moment))
        }
        (Stage::AwaitsAcceptance { .. }, Step::DeclinePlan) => Ok(Stage::AwaitsPlan),
        (Stage::Refused, Step::Appeal) => Ok(Stage::AwaitsAppeal(Against::Refusal)),
        (Stage::Closed { reason, plan: Some(plan) }, Step::Appeal) => {
            let against = Against::Removal { plan: plan.clone(), reason: *reason };
            Ok(Stage::AwaitsAppeal(against))
        }
        _ => Err(not_awaited(case, act)),
    }
}

fn weigh(points: &BothScales, moment: &Moment<'_>) -> Result<Needs, StepRefused> {
    Ok(moment.scales.weigh(&points.barthel, &points.lawton)?)
}

fn offer(plan: &Plan, act: &Act, moment: &Moment<'_>) -> Result<Stage, StepRefused> {
    let named = |text: &str| (1..=CASE_TEXT_MAX_CHARS).contains(&text.chars().count());
    let good = plan.iter().all(|service| named(&service.code) && named(&service.provider));
    if !good || !(1..=PLAN_SERVICES_MAX_COUNT).contains(&plan.len()) {
        return Err(StepRefused::Plan);
    }
    let hours = moment.scales.acceptance_hours.value;
    let until = act.at.plus(std::time::Duration::from_secs(hours.saturating_mul(3600)));
    Ok(Stage::AwaitsAcceptance { until, plan: plan.clone() })
}

fn in_service(plan: &Plan, today: Date, moment: &Moment<'_>) -> Stage {
    let next_visit = months_after(today, moment.scales.visit_months.value);
    Stage::InService { plan: plan.clone(), next_visit, abroad_since: None }
}

fn decide(
    case: &ECase,
    act: &Act,
    (outcome, group): (Outcome, &[String]),
    moment: &Moment<'_>,
) -> Result<Next, StepRefused> {
    let Stage::AwaitsDecision { due, needs } = &case.stage else {
        return Err(not_awaited(case, act));
    };
    let least = moment.scales.group_members.value;
    let members: std::collections::BTreeSet<&str> =
        group.iter().map(|member| member.trim()).filter(|member| !member.is_empty()).collect();
    if members.len() < least || group.len() > CASE_ANSWERS_MAX_COUNT {
        return Err(StepRefused::SmallGroup(least));
    }
    let assessed = |earlier: &Act| matches!(earlier.step, Step::AssessNeeds { .. });
    if case.acts.iter().any(|earlier| assessed(earlier) && earlier.by == act.by) {
        return Err(StepRefused::SamePerson);
    }
    if needs.independent && outcome == Outcome::Granted {
        return Err(StepRefused::Independent);
    }
    let late = tashkent_day(act.at) > *due;
    let decision = decision(act, outcome, needs, late)?;
    let stage = match outcome {
        Outcome::Granted => Stage::AwaitsPlan,
        Outcome::Refused => Stage::Refused,
    };
    Ok((stage, Some(decision)))
}

fn decision(
    act: &Act,
    outcome: Outcome,
    needs: &Needs,
    late: bool,
) -> Result<CaseDecision, StepRefused> {
    let snapshot = act.snapshot.clone().ok_or(StepRefused::NoSnapshot)?;
    let (by, needs) = (act.by.clone(), needs.clone());
    Ok(CaseDecision { outcome, at: act.at, by, needs, snapshot, late })
}

/// Decides an appeal on corrected data; the decision that it is against stays as it is.
fn decide_appeal(
    case: &ECase,
    act: &Act,
    (outcome, points): (Outcome, Option<&BothScales>),
    moment: &Moment<'_>,
) -> Result<Next, StepRefused> {
    let (Stage::AwaitsAppeal(against), Some(before)) = (&case.stage, case.decisions.last()) else {
        return Err(not_awaited(case, act));
    };
    if case.decisions.iter().any(|earlier| earlier.by == act.by) {
        return Err(StepRefused::SamePerson);
    }
    let corrected = points.map(|points| weigh(points, moment)).transpose()?;
    let needs = corrected.as_ref().unwrap_or(&before.needs);
    if needs.independent && outcome == Outcome::Granted {
        return Err(StepRefused::Independent);
    }
    let decision = decision(act, outcome, needs, false)?;
    let stage = match (outcome, against) {
        (Outcome::Granted, Against::Refusal) => Stage::AwaitsPlan,
        (Outcome::Granted, Against::Removal { plan, .. }) => {
            in_service(plan, tashkent_day(act.at), moment)
        }
        (Outcome::Refused, Against::Refusal) => Stage::RefusedFinally,
        (Outcome::Refused, Against::Removal { reason, .. }) => {
            Stage::Closed { reason: *reason, plan: None }
        }
    };
    Ok((stage, Some(decision)))
}

/// Steps while services are given.
fn serve(case: &ECase, act: &Act, moment: &Moment<'_>) -> Result<Stage, StepRefused> {
    let Stage::InService { plan, next_visit, abroad_since } = &case.stage else {
        return Err(not_awaited(case, act));
    };
    let today = tashkent_day(act.at);
    let (mut next_visit, mut abroad_since) = (*next_visit, *abroad_since);
    match &act.step {
        Step::RecordService { code, day } => {
            if !plan.iter().any(|service| service.code == *code) {
                return Err(StepRefused::NotPlanned);
            }
            come(*day, today)?;
        }
        Step::RecordVisit { day, findings } => {
            if findings.chars().count() > CASE_TEXT_MAX_CHARS {
                return Err(StepRefused::TooLong);
            }
            come(*day, today)?;
            let after = months_after(*day, moment.scales.visit_months.value);
            // A visit that is entered late never brings the next one forward.
            next_visit = next_visit.max(after);
        }
        Step::RecordAbroad { since } => {
            come(*since, today)?;
            abroad_since = Some(*since);
        }
        _ => abroad_since = None,
    }
    Ok(Stage::InService { plan: plan.clone(), next_visit, abroad_since })
}

fn come(day: Date, today: Date) -> Result<(), StepRefused> {
    if day > today { Err(StepRefused::FutureDay) } else { Ok(()) }
}

fn close(
    case: &ECase,
    act: &Act,
    reason: CloseReason,
    moment: &Moment<'_>,
) -> Result<Stage, StepRefused> {
    if !case.stage.is_open() {
        return Err(not_awaited(case, act));
    }
    let plan = match &case.stage {
        Stage::InService { plan, .. } => Some(plan.clone()),
        _ => None,
    };
    if reason == CloseReason::Abroad {
        let months = moment.scales.abroad_months.value;
        let since = match &case.stage {
            Stage::InService { abroad_since, .. } => *abroad_since,
            _ => None,
        };
        let long = since.is_some_and(|since| tashkent_day(act.at) > months_after(since, months));
        if !long {
            return Err(StepRefused::NotAbroad(months));
        }
    } else if reason.is_removal() && plan.is_none() {
        return Err(not_awaited(case, act));
    }
    Ok(Stage::Closed { reason, plan: plan.filter(|_| reason.is_removal()) })
}
