//! Places on a family's page for what other parts of the register know: case, card, payments.
//!
//! A part that exists implements [`Sections`]; one that does not is said to be not connected, which
//! is not the same as having nothing.

use jiff::civil::Date;
use maud::{Markup, html};
use register::money::Soum;
use register::profile::Profile;

use super::frame::{day, table};
use super::visit::Visit;
use super::words::Language;

/// A part of the register with a place on a family's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// E-Case.
    Case,
    /// Social cards of the members.
    Card,
    /// Payment state.
    Payments,
}

/// One line of a part.
#[derive(Default)]
pub(crate) struct Entry {
    /// What it is, in the visitor's language.
    pub(crate) what: String,
    /// Its state, in the visitor's language.
    pub(crate) state: String,
    /// The day that matters: opened, valid until, paid.
    pub(crate) day: Option<Date>,
    /// An amount of money.
    pub(crate) amount_soum: Option<Soum>,
    /// Where more stands: a path on this site without anything personal in it.
    pub(crate) path: Option<String>,
}

/// What other parts of the register know about a family. Asked while a page is made, so an
/// implementation answers from memory or its own store and asks no agency.
pub(crate) trait Sections: Send + Sync {
    /// The part's lines about the family of `profile`; `None` when the part is not connected.
    fn entries(&self, part: Part, profile: &Profile, language: Language) -> Option<Vec<Entry>>;
}

/// No part is connected.
pub(crate) struct Unconnected;

impl Sections for Unconnected {
    fn entries(&self, _: Part, _: &Profile, _: Language) -> Option<Vec<Entry>> {
        None
    }
}

/// All parts: anchor, title and content.
pub(super) fn all<'a>(
    visit: &Visit<'a>,
    sections: &dyn Sections,
    profile: &Profile,
) -> [(&'static str, &'a String, Markup); 3] {
    let words = visit.words;
    let places = [
        (Part::Case, "case", &words.case),
        (Part::Card, "card", &words.card),
        (Part::Payments, "payments", &words.payments),
    ];
    places.map(|(part, name, title)| {
        let markup = match sections.entries(part, profile, visit.language) {
            None => html! { p { (words.not_connected) } },
            Some(entries) if entries.is_empty() => html! { p { (words.nothing_known) } },
            Some(entries) => table(&format!("{name}-table"), title, &rows(visit, &entries)),
        };
        (name, title, markup)
    })
}

fn rows(visit: &Visit<'_>, entries: &[Entry]) -> Markup {
    let words = visit.words;
    html! {
        thead {
            tr {
                th scope="col" { (words.what) }
                th scope="col" { (words.state) }
                th scope="col" { (words.day) }
                th.number scope="col" { (words.amount) }
            }
        }
        tbody {
            @for entry in entries {
                tr {
                    th scope="row" {
                        @if let Some(path) = &entry.path { a href=(path) { (entry.what) } }
                        @else { (entry.what) }
                    }
                    td { (entry.state) }
                    td { @if let Some(date) = entry.day { (day(date)) } }
                    td.number { @if let Some(amount) = entry.amount_soum { (amount) } }
                }
            }
        }
    }
}
