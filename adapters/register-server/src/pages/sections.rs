//! Places on a family's page for what other parts of the register know: case, card, payments.
//!
//! A part that exists implements [`Sections`]; one that does not is said to be not connected, which
//! is not the same as having nothing.

use jiff::civil::Date;
use maud::{Markup, html};
use register::money::Soum;
use register::profile::Profile;

use super::frame::{day, table};
use super::words::{Language, Words};

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
    (words, language): (&'a Words, Language),
    sections: &dyn Sections,
    profile: &Profile,
) -> [(&'static str, &'a String, Markup); 3] {
    let places = [
        (Part::Case, "case", &words.case),
        (Part::Card, "card", &words.card),
        (Part::Payments, "payments", &words.payments),
    ];
    places.map(|(part, name, title)| {
        let markup = match sections.entries(part, profile, language) {
            None => html! { p { (words.not_connected) } },
            Some(entries) if entries.is_empty() => html! { p { (words.nothing_known) } },
            Some(entries) => table(&format!("{name}-table"), title, &rows(words, &entries)),
        };
        (name, title, markup)
    })
}

fn rows(words: &Words, entries: &[Entry]) -> Markup {
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

#[cfg(test)]
mod tests {
    use register::case::Case;
    use register::rules::Rulebook;
    use register::source::Answers;
    use schemas::clock::UnixMillis;

    use super::super::words::Dictionary;
    use super::*;

    /// Keeps payments and an empty list of cases; knows no cards.
    struct PaymentsOnly;

    impl Sections for PaymentsOnly {
        fn entries(&self, part: Part, _: &Profile, _: Language) -> Option<Vec<Entry>> {
            match part {
                Part::Case => Some(Vec::new()),
                Part::Card => None,
                Part::Payments => Some(vec![Entry {
                    what: "March <2026>".to_owned(),
                    state: "paid".to_owned(),
                    day: Some(Date::constant(2026, 4, 9)),
                    amount_soum: Soum::new(635_000),
                    path: Some("/pages/payments/7".to_owned()),
                }]),
            }
        }
    }

    #[test]
    fn what_is_not_connected_has_nothing_or_has_entries_is_told_apart() {
        let day = Date::constant(2026, 3, 2);
        let rulebook = Rulebook::built_in().unwrap();
        let case = Case {
            applicant: "31505850010011".parse().unwrap(),
            application_date: day,
            sources: std::collections::BTreeMap::new(),
            answers: Answers::default(),
        };
        let rules = rulebook.on(day).unwrap();
        let profile = Profile::assemble("p".to_owned(), UnixMillis(0), case, rules).unwrap();
        let dictionary = Dictionary::built_in().unwrap();
        let language = Language::English;
        let words = (dictionary.words(language), language);
        let [case, card, payments] =
            all(words, &PaymentsOnly, &profile).map(|(_, _, markup)| markup.into_string());
        assert!(case.contains("Nothing is known"), "{case}");
        assert!(card.contains("Not connected"), "{card}");
        for text in ["href=\"/pages/payments/7\"", "March &lt;2026&gt;", "09.04.2026", "635 000"] {
            assert!(payments.contains(text), "{text}: {payments}");
        }
    }
}
