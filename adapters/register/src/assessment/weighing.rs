//! Income per member against the bands, and the benefit of the band that holds.

use std::collections::BTreeMap;

use super::{Heard, MemberIncome};
use crate::case::{Case, Waiting};

use crate::composition::{CHILD_UNTIL_AGE, Family, Member, Role, age_on};
use crate::decision::{Clause, Entitlement, Evidence, Fact, Step, Truth};
use crate::income;
use crate::money::{Number, Soum, grouped};
use crate::rules::{Band, Limit, RuleError, Rules, Work};
use crate::source::{Answer, SourceKind};

/// Where the income per member lies.
pub(super) enum Placed<'a> {
    /// Above every band, whatever is still unknown.
    AboveAll,
    /// In the band or bands of one limit.
    InBand(&'a [Band]),
    /// Not known yet.
    Unknown,
}

/// A case's members with their known income, and the figures of the day.
pub(super) struct Weighing<'a> {
    case: &'a Case,
    rules: &'a Rules,
    family: &'a Family,
    pub(super) members: Vec<(&'a Member, MemberIncome)>,
    expenditure: u128,
    months: u128,
}

/// A sum of income and the number of members that it is shared by.
struct Shared {
    soum: u128,
    members: u128,
}

impl<'a> Weighing<'a> {
    pub(super) fn new(
        case: &'a Case,
        family: &'a Family,
        rules: &'a Rules,
    ) -> Result<Self, RuleError> {
        let expenditure = rules.minimum_consumer_expenditure_on(case.application_date)?;
        let with_income =
            |member: &'a Member| (member, income::of_member(case, rules, member.pinfl));
        Ok(Self {
            case,
            rules,
            family,
            members: family.members.iter().map(with_income).collect(),
            expenditure: expenditure.soum.amount().into(),
            months: rules.income.months.value.into(),
        })
    }

    /// The steps that place the income, and where it lies.
    pub(super) fn place_income(&self) -> (Vec<Step>, Placed<'a>) {
        let Some(highest) = self.rules.bands.last() else { return (Vec::new(), Placed::Unknown) };
        let mut waiting = self.family.awaited();
        for (_, income) in &self.members {
            waiting.sources.extend(income.absent.iter().cloned());
        }
        let bound = self.most_favourable(highest);
        // With nobody else certain, a family that may still grow has no lower bound per member.
        let bounded = self.family.may_grow.is_empty() && bound.members > 0;
        if bounded && !self.within(&bound, highest) {
            return (vec![self.refusal_step(&bound, highest, Truth::Yes)], Placed::AboveAll);
        }
        let truth = Truth::no_unless(waiting);
        if truth != Truth::No {
            return (vec![self.refusal_step(&bound, highest, truth)], Placed::Unknown);
        }
        let mut steps = vec![self.refusal_step(&bound, highest, Truth::No)];
        let same_limit = |a: &Band, b: &Band| (a.percent, a.limit) == (b.percent, b.limit);
        for bands in self.rules.bands.chunk_by(same_limit) {
            let Some(band) = bands.first() else { continue };
            let holds = self.within(&bound, band);
            steps.push(self.band_step(&bound, band, Truth::known(holds)));
            if holds {
                return (steps, Placed::InBand(bands));
            }
        }
        (steps, Placed::Unknown)
    }

    /// The entitlement of the band that the members' ability to work chooses; `None` while that
    /// ability matters and is unknown.
    pub(super) fn entitlement(
        &self,
        bands: &[Band],
        steps: &mut Vec<Step>,
    ) -> Result<Option<Entitlement>, RuleError> {
        let either = bands.iter().find(|band| band.work == Work::Any);
        let band = match either {
            Some(band) => Some(band),
            None => {
                let step = self.ability_step();
                let wanted = match step.result {
                    Truth::Yes => Some(Work::SomebodyAble),
                    Truth::No => Some(Work::NobodyAble),
                    Truth::Unknown { .. } => None,
                };
                steps.push(step);
                bands.iter().find(|band| Some(band.work) == wanted)
            }
        };
        let Some(band) = band else { return Ok(None) };
        let monthly_soum = self.benefit(band, steps)?;
        Ok(Some(Entitlement {
            category: band.category.clone(),
            share_percent: band.share_percent,
            monthly_soum,
            months: band.months,
            condition: band.condition.clone(),
        }))
    }

    /// The sharing that is most favourable to the family: uncertain members are counted exactly
    /// where counting them lowers the income per member below the limit of `band`.
    fn most_favourable(&self, band: &Band) -> Shared {
        let mut shared = Shared { soum: 0, members: 0 };
        for (member, income) in &self.members {
            let alone = Shared { soum: income.known_soum(), members: 1 };
            let (left, right) = self.sides(&alone, band);
            if member.uncertain.is_empty() || left < right {
                shared.soum = shared.soum.saturating_add(alone.soum);
                shared.members = shared.members.saturating_add(1);
            }
        }
        shared
    }

    /// Both sides of the comparison by cross-multiplication:
    /// `sum × 100` and `months × members × expenditure × percent`.
    fn sides(&self, shared: &Shared, band: &Band) -> (u128, u128) {
        let right = self.months.saturating_mul(shared.members).saturating_mul(self.expenditure);
        (shared.soum.saturating_mul(100), right.saturating_mul(band.percent.into()))
    }

    fn within(&self, shared: &Shared, band: &Band) -> bool {
        let (left, right) = self.sides(shared, band);
        match band.limit {
            Limit::Below => left < right,
            Limit::UpTo => left <= right,
        }
    }

    fn refusal_step(&self, shared: &Shared, highest: &Band, result: Truth) -> Step {
        let bound = if matches!(result, Truth::Unknown { .. }) { "known " } else { "" };
        let arithmetic = self.arithmetic(shared, highest);
        let statement = format!("{bound}income per member is above every band: {arithmetic}");
        let mut step = self.income_step(Clause::Income, shared, highest, statement);
        step.evidence = self.income_evidence();
        step.result = result;
        step
    }

    fn band_step(&self, shared: &Shared, band: &Band, result: Truth) -> Step {
        let statement = self.band_statement(shared, band);
        Step { result, ..self.income_step(Clause::IncomeBand, shared, band, statement) }
    }

    fn band_statement(&self, shared: &Shared, band: &Band) -> String {
        let (percent, arithmetic) = (band.percent, self.arithmetic(shared, band));
        let words = match band.limit {
            Limit::Below => "below",
            Limit::UpTo => "at most",
        };
        format!(
            "income per member is {words} {percent} % of the minimum consumer expenditure: \
             {arithmetic}"
        )
    }

    fn income_step(&self, clause: Clause, shared: &Shared, band: &Band, statement: String) -> Step {
        let numbers = [
            ("sum_soum", shared.soum),
            ("members", shared.members),
            ("months", self.months),
            ("minimum_consumer_expenditure_soum", self.expenditure),
            ("percent", band.percent.into()),
        ];
        let numbers = numbers.map(|(name, value)| (name.to_owned(), Number(value)));
        Step { clause, statement, numbers: numbers.into(), result: Truth::No, evidence: Vec::new() }
    }

    fn arithmetic(&self, shared: &Shared, band: &Band) -> String {
        let (left, right) = self.sides(shared, band);
        let sign = match left.cmp(&right) {
            std::cmp::Ordering::Less => "<",
            std::cmp::Ordering::Equal => "=",
            std::cmp::Ordering::Greater => ">",
        };
        let (soum, expenditure) = (grouped(shared.soum), grouped(self.expenditure));
        let (months, members, percent) = (self.months, shared.members, band.percent);
        format!(
            "{soum} × 100 = {} {sign} {} = {months} × {members} × {expenditure} × {percent}",
            grouped(left),
            grouped(right)
        )
    }

    fn income_evidence(&self) -> Vec<Evidence> {
        let lines = self.members.iter().flat_map(|(_, income)| &income.lines);
        let evidence = lines.map(|line| Evidence {
            subject: line.member,
            source: line.source.clone(),
            exchange: line.exchange.clone(),
            fact: Fact::Income {
                month: line.month,
                kind: line.kind,
                payer: line.payer.clone(),
                amount_soum: line.amount_soum,
                declared_by: line.declared_by,
            },
        });
        evidence.collect()
    }

    /// Whether a member of 18 or older is able to work. Whom the labour agency does not know counts
    /// as able: nothing says otherwise (I).
    fn ability_step(&self) -> Step {
        let mut waiting = Waiting::default();
        let mut evidence = Vec::new();
        let mut able = false;
        let day = self.case.application_date;
        let adults = self.members.iter().filter(|(m, _)| age_on(m.born, day) >= CHILD_UNTIL_AGE);
        for subject in adults.map(|(member, _)| member.pinfl) {
            for heard in self.case.hear(subject, SourceKind::Employment, Answer::employment) {
                let (is_able, provenance, fact) = match heard {
                    Heard::Value(answer, provenance) if answer.able_to_work => {
                        (true, provenance, Fact::AbleToWork)
                    }
                    Heard::Value(_, provenance) => (false, provenance, Fact::NotAbleToWork),
                    Heard::NoRecord(provenance) => (true, provenance, Fact::NoRecordOfInability),
                    Heard::Absent(source) => {
                        waiting.sources.insert(source);
                        continue;
                    }
                };
                able |= is_able;
                let (source, exchange) = (provenance.source.clone(), provenance.exchange.clone());
                evidence.push(Evidence { subject, source, exchange, fact });
            }
        }
        Step {
            clause: Clause::AbilityToWork,
            statement: "a member is able to work".to_owned(),
            numbers: BTreeMap::new(),
            result: if able { Truth::Yes } else { Truth::no_unless(waiting) },
            evidence,
        }
    }

    /// The benefit a month in soum: the children's amounts or material aid, times the band's share,
    /// rounded down to a whole soum (I).
    fn benefit(&self, band: &Band, steps: &mut Vec<Step>) -> Result<Soum, RuleError> {
        let day = self.case.application_date;
        let amounts = self.rules.benefit_on(day)?;
        let children = self.members.iter().filter(|(member, _)| member.role == Role::Child);
        let ages: Vec<i16> = children.map(|(member, _)| age_on(member.born, day)).collect();
        let young = ages.iter().any(|age| *age < amounts.young_under_age);
        let first = if young { amounts.young_child_soum } else { amounts.first_child_soum };
        let of_child = |at: usize| match at {
            0 => first,
            1 => amounts.second_child_soum,
            _ => amounts.further_child_soum,
        };
        let parts: Vec<Soum> = match ages.len() {
            0 => vec![amounts.without_children_soum],
            count => (0..count).map(of_child).collect(),
        };
        let full: u128 = parts.iter().map(|part| u128::from(part.amount())).sum();
        let share = u128::from(band.share_percent);
        let monthly = full.saturating_mul(share) / 100;
        let sum = parts.iter().map(Soum::to_string).collect::<Vec<_>>().join(" + ");
        let (full_text, monthly_text) = (grouped(full), grouped(monthly));
        let statement =
            format!("benefit a month: {sum} = {full_text}, × {share} / 100 = {monthly_text}");
        let children = u128::try_from(ages.len()).unwrap_or(u128::MAX);
        let numbers = [
            ("children", children),
            ("full_soum", full),
            ("share_percent", share),
            ("monthly_soum", monthly),
        ];
        steps.push(Step {
            clause: Clause::Benefit,
            statement,
            numbers: numbers.map(|(name, value)| (name.to_owned(), Number(value))).into(),
            result: Truth::Yes,
            evidence: Vec::new(),
        });
        // Safe because: a sum of a family's amounts times at most 100 % stays far below 2^53.
        Ok(u64::try_from(monthly).ok().and_then(Soum::new).unwrap_or_default())
    }
}
