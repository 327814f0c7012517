//! Counted income by member and month, with its sum, share and ratio.

use std::collections::BTreeMap;

use maud::{Markup, html};
use register::decision::Clause;
use register::income::IncomeLine;
use register::money::Number;
use register::month::Month;
use register::profile::Profile;

use super::super::frame::{month, table};
use super::super::visit::Visit;
use super::super::words::word;
use super::{person, source};

/// The income's part of the page.
pub(super) fn markup(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let (words, assessment) = (visit.words, &profile.assessment);
    html! {
        @if assessment.income.is_empty() {
            p { (words.income_none) }
        } @else {
            (table("income-table", &words.income_caption, &rows(visit, profile)))
        }
        @if let Some(share) = Share::of(profile) {
            dl.facts {
                div { dt { (words.sum_all) } dd { (Number(share.sum)) } }
                div { dt { (words.per_member) } dd { (Number(share.per_member)) } }
                div { dt { (words.ratio) } dd { (share.ratio) } }
            }
        }
    }
}

/// One row of the table: whose income of what kind and payer, from which source.
fn heading(line: &IncomeLine) -> impl Ord + Clone + use<> {
    (line.member, line.kind, line.payer.clone(), line.source.clone())
}

fn rows(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let (words, assessment) = (visit.words, &profile.assessment);
    let mut rows: BTreeMap<_, (&IncomeLine, BTreeMap<Month, u128>)> = BTreeMap::new();
    let mut sums: BTreeMap<Month, u128> = BTreeMap::new();
    for line in &assessment.income {
        let amount = u128::from(line.amount_soum.amount());
        let (_, row) = rows.entry(heading(line)).or_insert_with(|| (line, BTreeMap::new()));
        *row.entry(line.month).or_default() += amount;
        *sums.entry(line.month).or_default() += amount;
    }
    html! {
        thead {
            tr {
                th scope="col" { (words.income_of) }
                @for column in &assessment.window { th.number scope="col" { (month(column)) } }
                th.number scope="col" { (words.sum) }
            }
        }
        tbody {
            @for (line, amounts) in rows.values() {
                tr {
                    th scope="row" {
                        (person(profile, line.member)) br;
                        (word(&words.income_kind, &line.kind))
                        @if !line.payer.is_empty() { ", " (line.payer) }
                        br;
                        span.small { (source(visit, profile, &line.source)) " · " span.code { (line.exchange) } }
                    }
                    (amounts_of(&assessment.window, amounts))
                }
            }
        }
        tfoot {
            tr {
                th scope="row" { (words.together) }
                (amounts_of(&assessment.window, &sums))
            }
        }
    }
}

fn amounts_of(window: &[Month], amounts: &BTreeMap<Month, u128>) -> Markup {
    html! {
        @for month in window {
            td.number { @if let Some(amount) = amounts.get(month) { (Number(*amount)) } }
        }
        td.number { strong { (Number(amounts.values().sum())) } }
    }
}

/// Income per member and month, and its ratio to the minimum consumer expenditure, cut to whole soum
/// and thousandths: for reading only, the decision compares by cross-multiplication.
struct Share {
    sum: u128,
    per_member: u128,
    ratio: String,
}

impl Share {
    fn of(profile: &Profile) -> Option<Self> {
        let mut steps = profile.assessment.steps.iter();
        let step = steps.find(|step| step.clause == Clause::IncomeBand)?;
        let number = |name: &str| step.numbers.get(name).map(|number| number.0);
        let (sum, members, months) = (number("sum_soum")?, number("members")?, number("months")?);
        let shares = members.checked_mul(months)?;
        let whole = shares.checked_mul(number("minimum_consumer_expenditure_soum")?)?;
        let thousandths = sum.checked_mul(1000)?.checked_div(whole)?;
        let ratio = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        Some(Self { sum, per_member: sum.checked_div(shares)?, ratio })
    }
}
