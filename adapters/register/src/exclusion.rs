//! The grounds of exclusion as three-valued tests.
//!
//! Each test is monotone: more property only ever excludes more. So what certain members own
//! excludes finally, and what is still unknown can only keep a test from ending in "no".

use std::collections::{BTreeMap, BTreeSet};

use schemas::pinfl::Pinfl;

use crate::answers::{Property, PropertyKind, Vehicle};
use crate::case::{Case, Heard, Question, Waiting};
use crate::composition::Family;
use crate::decision::{Clause, Evidence, Step, Truth};
use crate::fraction::Fraction;
use crate::money::Number;
use crate::rules::{ClauseRule, RuleError, Rules};
use crate::source::{Answer, Provenance, SourceKind, SourceName, Sourced};

/// All exclusion steps of a case.
pub(crate) fn steps(case: &Case, family: &Family, rules: &Rules) -> Result<Vec<Step>, RuleError> {
    let tests = Tests { case, family };
    Ok(vec![
        tests.dwellings(&rules.exclusions.dwellings),
        tests.non_residential(&rules.exclusions.non_residential),
        tests.vehicle_age(&rules.exclusions.vehicle_age),
        tests.vehicle_count(&rules.exclusions.vehicle_count),
        tests.deposits(
            &rules.exclusions.deposits,
            rules.deposit_threshold_soum(case.application_date)?,
        ),
    ])
}

/// What the known answers of some members amount to.
enum Weight {
    Excludes,
    AsksOfficer(Question),
    Nothing,
}

/// A known record of a member, with where it comes from.
struct Known<'a, T> {
    subject: Pinfl,
    value: &'a T,
    provenance: &'a Provenance,
}

impl<T> Known<'_, T> {
    fn evidence(&self, record: String) -> Evidence {
        Evidence {
            subject: self.subject,
            source: self.provenance.source.clone(),
            exchange: self.provenance.exchange.clone(),
            record,
        }
    }
}

/// Who is looked at: those who certainly belong, or everyone who may.
#[derive(Clone, Copy)]
enum Who {
    Certain,
    Possible,
}

struct Tests<'a> {
    case: &'a Case,
    family: &'a Family,
}

impl<'a> Tests<'a> {
    fn dwellings(&self, rule: &ClauseRule) -> Step {
        let kind = SourceKind::Cadastre;
        let of_kind = |property: &&Property| property.kind == PropertyKind::Dwelling;
        let weigh = |who| {
            let mut shares: BTreeMap<&str, Option<Fraction>> = BTreeMap::new();
            for answer in self.known(who, kind, Answer::cadastre) {
                for property in answer.value.properties.iter().filter(of_kind) {
                    let share = &property.share;
                    let owned = Fraction::new(share.numerator.into(), share.denominator.into());
                    let number = property.cadastre_number.as_str();
                    let sum = shares.entry(number).or_insert(Some(Fraction::ZERO));
                    // A sum that outgrows 128 bits is no whole: it goes to the officer.
                    *sum = sum.zip(owned).and_then(|(sum, owned)| sum.plus(owned));
                }
            }
            let wholes = shares.values().flatten().filter(|share| share.is_whole()).count();
            match (exceeds(wholes, rule.value), exceeds(shares.len(), rule.value)) {
                (true, _) => Weight::Excludes,
                (false, true) => Weight::AsksOfficer(Question::ShareOfSecondDwelling),
                (false, false) => Weight::Nothing,
            }
        };
        let evidence = self.properties(PropertyKind::Dwelling);
        let result = self.result(self.absent(kind, Answer::cadastre), weigh);
        step(Clause::Dwellings, rule, result, evidence)
    }

    fn non_residential(&self, rule: &ClauseRule) -> Step {
        let kind = SourceKind::Cadastre;
        let weigh = |who| {
            let known = self.known(who, kind, Answer::cadastre);
            let owned = known.iter().flat_map(|answer| &answer.value.properties);
            let count = owned.filter(|p| p.kind == PropertyKind::NonResidential).count();
            excludes_if(exceeds(count, rule.value))
        };
        let evidence = self.properties(PropertyKind::NonResidential);
        let result = self.result(self.absent(kind, Answer::cadastre), weigh);
        step(Clause::NonResidential, rule, result, evidence)
    }

    fn vehicle_age(&self, rule: &ClauseRule) -> Step {
        let kind = SourceKind::Vehicles;
        let year = self.case.application_date.year();
        let young = |vehicle: &Vehicle| {
            let age = i64::from(year) - i64::from(vehicle.year);
            vehicle.working && age <= i64::from(rule.value)
        };
        let weigh = |who| {
            let known = self.known(who, kind, Answer::vehicles);
            let mut vehicles = known.iter().flat_map(|answer| &answer.value.vehicles);
            excludes_if(vehicles.any(young))
        };
        let result = self.result(self.absent(kind, Answer::vehicles), weigh);
        step(Clause::VehicleAge, rule, result, self.vehicles(young))
    }

    fn vehicle_count(&self, rule: &ClauseRule) -> Step {
        let kind = SourceKind::Vehicles;
        let weigh = |who| {
            let known = self.known(who, kind, Answer::vehicles);
            let vehicles = known.iter().flat_map(|answer| &answer.value.vehicles);
            // One car held by two members, as owner and by power of attorney, is one car.
            let plates: BTreeSet<&str> =
                vehicles.filter(|v| v.working).map(|v| v.plate.as_str()).collect();
            excludes_if(reaches(plates.len(), rule.value))
        };
        let result = self.result(self.absent(kind, Answer::vehicles), weigh);
        step(Clause::VehicleCount, rule, result, self.vehicles(|vehicle| vehicle.working))
    }

    fn deposits(&self, rule: &ClauseRule, threshold_soum: u64) -> Step {
        let kind = SourceKind::Accounts;
        let mut absent = self.absent(kind, Answer::accounts);
        let mut evidence = Vec::new();
        for known in self.known(Who::Possible, kind, Answer::accounts) {
            let asked = known.value.threshold_soum.amount();
            let reached = known.value.at_least_threshold;
            if reached && asked >= threshold_soum {
                let record = format!("deposits of at least {} soum", known.value.threshold_soum);
                evidence.push(known.evidence(record));
            } else if reached || asked > threshold_soum {
                // An answer to another question: it says nothing about this threshold.
                absent.insert(known.provenance.source.clone());
            }
        }
        let weigh = |who| {
            let known = self.known(who, kind, Answer::accounts);
            excludes_if(known.iter().any(|answer| {
                let asked = answer.value.threshold_soum.amount();
                answer.value.at_least_threshold && asked >= threshold_soum
            }))
        };
        let result = self.result(absent, weigh);
        let mut step = step(Clause::Deposits, rule, result, evidence);
        step.numbers.insert("threshold_soum".to_owned(), threshold_soum.into());
        step
    }

    /// The test's outcome: certain members exclude finally; otherwise everything that could still
    /// exclude is awaited.
    fn result(&self, absent: BTreeSet<SourceName>, weigh: impl Fn(Who) -> Weight) -> Truth {
        if matches!(weigh(Who::Certain), Weight::Excludes) {
            return Truth::Yes;
        }
        let mut waiting = Waiting { sources: absent, officer: BTreeSet::new() };
        waiting.add(self.family.may_grow.clone());
        match weigh(Who::Possible) {
            Weight::Excludes => waiting.add(self.family.awaited()),
            Weight::AsksOfficer(question) => {
                waiting.add(Waiting::for_officer(question));
            }
            Weight::Nothing => {}
        }
        Truth::no_unless(waiting)
    }

    fn members(&self, who: Who) -> Vec<Pinfl> {
        let counts = |uncertain: &Waiting| matches!(who, Who::Possible) || uncertain.is_empty();
        let members = self.family.members.iter().filter(|member| counts(&member.uncertain));
        members.map(|member| member.pinfl).collect()
    }

    fn known<T>(
        &self,
        who: Who,
        kind: SourceKind,
        read: impl Fn(&'a Answer) -> Option<&'a Sourced<T>> + Copy,
    ) -> Vec<Known<'a, T>> {
        let mut known = Vec::new();
        for subject in self.members(who) {
            for heard in self.case.hear(subject, kind, read) {
                if let Heard::Value(value, provenance) = heard {
                    known.push(Known { subject, value, provenance });
                }
            }
        }
        known
    }

    fn absent<T: 'a>(
        &self,
        kind: SourceKind,
        read: impl Fn(&'a Answer) -> Option<&'a Sourced<T>> + Copy,
    ) -> BTreeSet<SourceName> {
        let heard = self.members(Who::Possible).into_iter();
        let absent = |heard| if let Heard::Absent(source) = heard { Some(source) } else { None };
        heard.flat_map(|subject| self.case.hear(subject, kind, read)).filter_map(absent).collect()
    }

    fn properties(&self, of_kind: PropertyKind) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        for known in self.known(Who::Possible, SourceKind::Cadastre, Answer::cadastre) {
            for property in known.value.properties.iter().filter(|p| p.kind == of_kind) {
                let (number, share) = (&property.cadastre_number, &property.share);
                evidence.push(known.evidence(format!(
                    "property {number}, share {}/{}, {}",
                    share.numerator, share.denominator, property.address
                )));
            }
        }
        evidence
    }

    fn vehicles(&self, counts: impl Fn(&Vehicle) -> bool) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        for known in self.known(Who::Possible, SourceKind::Vehicles, Answer::vehicles) {
            for vehicle in known.value.vehicles.iter().filter(|vehicle| counts(vehicle)) {
                let Vehicle { plate, make, year, .. } = vehicle;
                evidence.push(known.evidence(format!("vehicle {plate}, {make}, {year}")));
            }
        }
        evidence
    }
}

fn excludes_if(excludes: bool) -> Weight {
    if excludes { Weight::Excludes } else { Weight::Nothing }
}

fn exceeds(count: usize, allowed: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count > allowed)
}

fn reaches(count: usize, least: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count >= least)
}

fn step(clause: Clause, rule: &ClauseRule, result: Truth, evidence: Vec<Evidence>) -> Step {
    let numbers = BTreeMap::from([("rule".to_owned(), Number::from(u64::from(rule.value)))]);
    Step { clause, statement: rule.text.clone(), numbers, result, evidence }
}
