//! Sources: how many answered, how fresh, what is absent and why, and every receipt.

use maud::{Markup, html};
use register::profile::{AbsentAs, Profile};
use register::source::{Absence, Answer, Provenance, SourceName};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;

use super::super::frame::{minutes, moment, table};
use super::super::visit::Visit;
use super::super::words::{fill, word};
use super::{person, source};

/// The sources' part of the page.
pub(super) fn markup(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let words = visit.words;
    html! {
        (table("sources-table", &words.sources_caption, &overview(visit, profile)))
        @if profile.absent.is_empty() {
            p { (words.nothing_absent) }
        } @else {
            (table("absent-table", &words.absent_caption, &absent(visit, profile)))
        }
        details {
            summary { (words.receipts) }
            (table("receipts-table", &words.receipts_caption, &receipts(visit, profile)))
        }
    }
}

/// What one source has answered in all.
struct Overview<'a> {
    answered: usize,
    asked: usize,
    /// The oldest answer, which is what freshness is measured by.
    oldest: Option<&'a Provenance>,
}

impl<'a> Overview<'a> {
    fn of(profile: &'a Profile, name: &SourceName) -> Self {
        let mut overview = Self { answered: 0, asked: 0, oldest: None };
        for (_, _, answer) in profile.case.answers.iter().filter(|(_, source, _)| *source == name) {
            overview.asked += 1;
            if let Some(provenance) = answer.provenance() {
                overview.answered += 1;
                let age = |provenance: &&Provenance| provenance.fetched_at;
                overview.oldest = overview.oldest.into_iter().chain([provenance]).min_by_key(age);
            }
        }
        overview
    }
}

fn overview(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let words = visit.words;
    html! {
        thead {
            tr {
                th scope="col" { (words.source) }
                th scope="col" { (words.answered) }
                th scope="col" { (words.fetched) }
                th scope="col" { (words.freshness) }
            }
        }
        tbody {
            @for name in profile.case.sources.keys() {
                @let overview = Overview::of(profile, name);
                @let counts: [(&str, &dyn std::fmt::Display); 2] =
                    [("count", &overview.answered), ("all", &overview.asked)];
                tr {
                    th scope="row" { (source(visit, profile, name)) }
                    td {
                        @if overview.answered < overview.asked {
                            strong.missing { (fill(&words.answered_of, &counts)) }
                        } @else { (fill(&words.answered_of, &counts)) }
                    }
                    (fetched(visit, overview.oldest.map(|provenance| provenance.fetched_at)))
                }
            }
        }
    }
}

/// The two cells of time and age.
fn fetched(visit: &Visit<'_>, at: Option<UnixMillis>) -> Markup {
    html! {
        @if let Some(at) = at {
            td { (moment(at)) }
            td { (minutes(visit, at)) }
        } @else {
            td { "–" }
            td { "–" }
        }
    }
}

fn absent(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let words = visit.words;
    html! {
        thead {
            tr {
                th scope="col" { (words.source) }
                th scope="col" { (words.person) }
                th scope="col" { (words.outcome) }
                th scope="col" { (words.absent_line) }
            }
        }
        tbody {
            @for absent in &profile.absent {
                tr {
                    th scope="row" { (source(visit, profile, &absent.source)) }
                    td { (person(profile, absent.subject)) }
                    td {
                        @match absent.outcome {
                            AbsentAs::Unavailable => (words.outcome_unavailable),
                            AbsentAs::Forbidden => (words.outcome_forbidden),
                        }
                    }
                    td { (reason(visit, &absent.reason)) }
                }
            }
        }
    }
}

fn reason(visit: &Visit<'_>, absence: &Absence) -> Markup {
    html! {
        (word(&visit.words.cause, &absence.cause))
        @if let Some(detail) = &absence.detail { " " span.code { "(" (detail) ")" } }
    }
}

fn receipts(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let words = visit.words;
    html! {
        thead {
            tr {
                th scope="col" { (words.source) }
                th scope="col" { (words.person) }
                th scope="col" { (words.outcome) }
                th scope="col" { (words.fetched) }
                th scope="col" { (words.receipt) }
            }
        }
        tbody {
            @for (subject, name, answer) in profile.case.answers.iter() {
                @if let Some(provenance) = answer.provenance() {
                    (receipt(visit, profile, (subject, name, answer, provenance)))
                }
            }
        }
    }
}

fn receipt(
    visit: &Visit<'_>,
    profile: &Profile,
    (subject, name, answer, provenance): (Pinfl, &SourceName, &Answer, &Provenance),
) -> Markup {
    let words = visit.words;
    let proof = provenance.receipt.as_ref().map_or_else(
        || fill(&words.no_receipt, &[("exchange", &provenance.exchange)]),
        ToString::to_string,
    );
    html! {
        tr {
            th scope="row" { (source(visit, profile, name)) }
            td { (person(profile, subject)) }
            td {
                @if answer.is_no_record() { (words.outcome_no_record) }
                @else { (words.outcome_value) }
            }
            td { (moment(provenance.fetched_at)) }
            td.code { (proof) }
        }
    }
}
