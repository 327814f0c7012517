//! The grounds of exclusion as three-valued tests.
//!
//! A rule says with a [`Condition`] which records count and how many of them exclude. So every test
//! is monotone, whatever its condition: a further record can only add to the count. What certain
//! members own excludes finally, and what is still unknown can only keep a test from ending in
//! "no".

use std::collections::{BTreeMap, BTreeSet};

use schemas::pinfl::Pinfl;

use crate::answers::{Property, PropertyKind, Title, Vehicle};
use crate::case::{Case, Heard, Question, Waiting};
use crate::composition::{Family, Member};
use crate::condition::{NotEvaluated, Record};
use crate::decision::{Clause, Evidence, Fact, Step, Truth};
use crate::fraction::Fraction;
use crate::money::Number;
use crate::rules::{ClauseRule, Exclusions, RuleError, Rules, Shares};
use crate::source::{Answer, Provenance, SourceKind, SourceName, Sourced};

/// All exclusion steps of a case.
pub(crate) fn steps(case: &Case, family: &Family, rules: &Rules) -> Result<Vec<Step>, RuleError> {
    let tests = Tests { case, family };
    let Exclusions { dwellings, non_residential, vehicle_age, vehicle_count, deposits } =
        &rules.exclusions;
    let threshold_soum = rules.deposit_threshold_soum(case.application_date)?;
    let steps = || {
        Ok(vec![
            tests.properties(Clause::Dwellings, dwellings)?,
            tests.properties(Clause::NonResidential, non_residential)?,
            tests.vehicles(Clause::VehicleAge, vehicle_age)?,
            tests.vehicles(Clause::VehicleCount, vehicle_count)?,
            tests.deposits(deposits, threshold_soum)?,
        ])
    };
    steps().map_err(|NotEvaluated(condition)| RuleError::Condition {
        rules: rules.id.clone(),
        condition,
    })
}

/// The variables of a vehicle in a condition.
pub(crate) fn vehicle_record(vehicle: &Vehicle, year: i16, rule: &ClauseRule) -> Record {
    let title = match vehicle.title {
        Title::Owner => "owner",
        Title::PowerOfAttorney => "power-of-attorney",
    };
    vec![
        ("working", vehicle.working.into()),
        ("age_years", (i64::from(year) - i64::from(vehicle.year)).into()),
        ("title", title.into()),
        ("figure", i64::from(rule.figure).into()),
    ]
}

/// The variables of a property in a condition.
pub(crate) fn property_record(property: &Property, rule: &ClauseRule) -> Record {
    let kind = match property.kind {
        PropertyKind::Dwelling => "dwelling",
        PropertyKind::NonResidential => "non-residential",
        PropertyKind::Land => "land",
    };
    vec![("kind", kind.into()), ("figure", i64::from(rule.figure).into())]
}

/// The variables of a bank's answer in a condition.
pub(crate) fn deposit_record(reached: bool, rule: &ClauseRule) -> Record {
    vec![("reached", reached.into()), ("figure", i64::from(rule.figure).into())]
}

/// A record that counts.
struct Counted {
    /// Whether its holder certainly belongs to the family.
    certain: bool,
    /// Equal for records about one thing: one car held by two members is one car.
    thing: String,
    /// The share held; `None` when it is no fraction.
    share: Option<Fraction>,
    evidence: Evidence,
}

/// What the records that count amount to.
enum Weight {
    Excludes,
    AsksOfficer(Question),
    Nothing,
}

/// A known answer about a member.
struct Known<'a, T> {
    member: &'a Member,
    value: &'a T,
    provenance: &'a Provenance,
}

impl<T> Known<'_, T> {
    fn counted(&self, thing: String, share: Option<Fraction>, fact: Fact) -> Counted {
        let evidence = Evidence {
            subject: self.member.pinfl,
            source: self.provenance.source.clone(),
            exchange: self.provenance.exchange.clone(),
            fact,
        };
        Counted { certain: self.member.uncertain.is_empty(), thing, share, evidence }
    }
}

struct Tests<'a> {
    case: &'a Case,
    family: &'a Family,
}

impl<'a> Tests<'a> {
    fn properties(&self, clause: Clause, rule: &ClauseRule) -> Result<Step, NotEvaluated> {
        let mut counted = Vec::new();
        for known in self.known(SourceKind::Cadastre, Answer::cadastre) {
            for property in &known.value.properties {
                if rule.counts.holds(property_record(property, rule))? {
                    let Property { cadastre_number, share, address, .. } = property;
                    let fact = Fact::Property {
                        cadastre_number: cadastre_number.clone(),
                        numerator: share.numerator,
                        denominator: share.denominator,
                        address: address.clone(),
                    };
                    let held = Fraction::new(share.numerator.into(), share.denominator.into());
                    counted.push(known.counted(cadastre_number.clone(), held, fact));
                }
            }
        }
        let absent = self.absent(SourceKind::Cadastre, Answer::cadastre);
        Ok(self.step(clause, rule, absent, counted))
    }

    fn vehicles(&self, clause: Clause, rule: &ClauseRule) -> Result<Step, NotEvaluated> {
        let year = self.case.application_date.year();
        let mut counted = Vec::new();
        for known in self.known(SourceKind::Vehicles, Answer::vehicles) {
            for vehicle in &known.value.vehicles {
                if rule.counts.holds(vehicle_record(vehicle, year, rule))? {
                    let Vehicle { plate, make, year, .. } = vehicle.clone();
                    let fact = Fact::Vehicle { plate: plate.clone(), make, year };
                    counted.push(known.counted(plate, Some(Fraction::ONE), fact));
                }
            }
        }
        let absent = self.absent(SourceKind::Vehicles, Answer::vehicles);
        Ok(self.step(clause, rule, absent, counted))
    }

    fn deposits(&self, rule: &ClauseRule, threshold_soum: u64) -> Result<Step, NotEvaluated> {
        let mut absent = self.absent(SourceKind::Accounts, Answer::accounts);
        let mut counted = Vec::new();
        for known in self.known(SourceKind::Accounts, Answer::accounts) {
            let asked = known.value.threshold_soum.amount();
            let reached = known.value.at_least_threshold && asked >= threshold_soum;
            if rule.counts.holds(deposit_record(reached, rule))? {
                let fact = Fact::Deposits { at_least_soum: known.value.threshold_soum };
                let thing = format!("{} {}", known.provenance.source, known.member.pinfl);
                counted.push(known.counted(thing, Some(Fraction::ONE), fact));
            } else if known.value.at_least_threshold || asked > threshold_soum {
                // An answer to another question: it says nothing about this threshold.
                absent.insert(known.provenance.source.clone());
            }
        }
        let mut step = self.step(Clause::Deposits, rule, absent, counted);
        step.numbers.insert("threshold_soum".to_owned(), threshold_soum.into());
        Ok(step)
    }

    /// The step of a test: certain members exclude finally; otherwise everything that could still
    /// exclude is awaited.
    fn step(
        &self,
        clause: Clause,
        rule: &ClauseRule,
        absent: BTreeSet<SourceName>,
        counted: Vec<Counted>,
    ) -> Step {
        let certain = counted.iter().filter(|record| record.certain);
        let result = if matches!(weigh(rule, certain), Weight::Excludes) {
            Truth::Yes
        } else {
            let mut waiting = Waiting { sources: absent, officer: BTreeSet::new() };
            waiting.add(self.family.may_grow.clone());
            match weigh(rule, counted.iter()) {
                Weight::Excludes => waiting.add(self.family.awaited()),
                Weight::AsksOfficer(question) => waiting.add(Waiting::for_officer(question)),
                Weight::Nothing => {}
            }
            Truth::no_unless(waiting)
        };
        let numbers = [("figure", rule.figure), ("least", rule.least)];
        let number = |(name, value): (&str, u32)| (name.to_owned(), Number::from(u64::from(value)));
        Step {
            clause,
            statement: rule.text.clone(),
            numbers: numbers.map(number).into(),
            result,
            evidence: counted.into_iter().map(|record| record.evidence).collect(),
        }
    }

    fn known<T>(
        &self,
        kind: SourceKind,
        read: impl Fn(&'a Answer) -> Option<&'a Sourced<T>> + Copy,
    ) -> Vec<Known<'a, T>> {
        let mut known = Vec::new();
        for member in &self.family.members {
            for heard in self.case.hear(member.pinfl, kind, read) {
                if let Heard::Value(value, provenance) = heard {
                    known.push(Known { member, value, provenance });
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
        let members = self.family.members.iter().map(|member: &Member| -> Pinfl { member.pinfl });
        let absent = |heard| if let Heard::Absent(source) = heard { Some(source) } else { None };
        members.flat_map(|subject| self.case.hear(subject, kind, read)).filter_map(absent).collect()
    }
}

/// What records amount to: things are counted once, and where whole things count, shares of one
/// are added up; a share that could matter is a question to the officer.
fn weigh<'r>(rule: &ClauseRule, records: impl Iterator<Item = &'r Counted>) -> Weight {
    let mut shares: BTreeMap<&str, Option<Fraction>> = BTreeMap::new();
    for record in records {
        let sum = shares.entry(&record.thing).or_insert(Some(Fraction::ZERO));
        // A sum that outgrows 128 bits is no whole: it goes to the officer.
        *sum = sum.zip(record.share).and_then(|(sum, share)| sum.plus(share));
    }
    let wholes = shares.values().flatten().filter(|share| share.is_whole()).count();
    let reaches = |count| u32::try_from(count).map_or(true, |count: u32| count >= rule.least);
    match rule.shares {
        Shares::Any if reaches(shares.len()) => Weight::Excludes,
        Shares::Whole if reaches(wholes) => Weight::Excludes,
        Shares::Whole if reaches(shares.len()) => {
            Weight::AsksOfficer(Question::ShareOfSecondDwelling)
        }
        Shares::Any | Shares::Whole => Weight::Nothing,
    }
}
