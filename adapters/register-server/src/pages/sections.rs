//! Places on a family's page for what other parts of the register know: case, card, payments.
//!
//! A part that exists implements [`Sections`]; one that does not is said to be not connected, which
//! is not the same as having nothing, as may not be seen by this officer, or as cannot be read.

use std::future::Future;
use std::pin::Pin;

use jiff::civil::Date;
use maud::{Markup, html};
use register::access::Denied;
use register::money::Soum;
use register::profile::Profile;

use super::frame::{day, table};
use super::words::Words;

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
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What it is, in the visitor's language.
    pub(crate) what: String,
    /// Its state, in the visitor's language.
    pub(crate) state: String,
    /// The day that matters: opened, due, valid until.
    pub(crate) day: Option<Date>,
    /// An amount of money.
    pub(crate) amount_soum: Option<Soum>,
    /// Where more stands: a path on this site without anything personal in it.
    pub(crate) path: Option<String>,
}

/// How far an officer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Everything of the part.
    Everywhere,
    /// What is of the officer's own district.
    OwnDistrict,
}

/// What a part says about a family.
pub(crate) enum Content {
    /// This register has no such part.
    NotConnected,
    /// The officer may not see it.
    Denied(Denied),
    /// It cannot be read at present.
    Unavailable,
    /// Its lines, and how far the officer sees.
    Entries(Vec<Entry>, Sight),
}

/// What a part is asked.
pub(crate) struct Asked<'a> {
    /// The family.
    pub(crate) profile: &'a Profile,
    /// The officer, when whatever stands in front of the register says who it is.
    pub(crate) user: Option<&'a str>,
    /// The visitor's words.
    pub(crate) words: &'a Words,
}

/// A part's answer under way.
pub(crate) type Reading<'a> = Pin<Box<dyn Future<Output = Content> + Send + 'a>>;

/// What other parts of the register know about a family. Asked while a page is made, so an
/// implementation answers from memory or its own store and asks no agency.
pub(crate) trait Sections: Send + Sync {
    /// What the part says about the family to the officer.
    fn content<'a>(&'a self, part: Part, asked: &'a Asked<'a>) -> Reading<'a>;
}

/// No part is connected: the configuration has no desk.
pub(crate) struct Unconnected;

impl Sections for Unconnected {
    fn content<'a>(&'a self, _: Part, _: &'a Asked<'a>) -> Reading<'a> {
        Box::pin(async { Content::NotConnected })
    }
}

/// All parts: anchor, title and content.
pub(super) async fn all<'a>(
    sections: &dyn Sections,
    asked: &Asked<'a>,
) -> Vec<(&'static str, &'a String, Markup)> {
    let words = asked.words;
    let places = [
        (Part::Case, "case", &words.case),
        (Part::Card, "card", &words.card),
        (Part::Payments, "payments", &words.payments),
    ];
    let mut all = Vec::with_capacity(places.len());
    for (part, name, title) in places {
        let content = sections.content(part, asked).await;
        all.push((name, title, markup(words, (name, title), &content)));
    }
    all
}

fn markup(words: &Words, (name, title): (&str, &str), content: &Content) -> Markup {
    match content {
        Content::NotConnected => html! { p { (words.not_connected) } },
        Content::Denied(denied) => html! { p { (denied_text(words, *denied)) } },
        Content::Unavailable => html! { p { (words.not_readable) } },
        Content::Entries(entries, sight) => html! {
            @if entries.is_empty() { p { (words.nothing_known) } }
            @else { (table(&format!("{name}-table"), title, &rows(words, entries))) }
            // Said to whom sees less, whether or not there is more: that there is a case elsewhere is
            // not for everyone either.
            @if *sight == Sight::OwnDistrict { p.hint { (words.own_district_only) } }
        },
    }
}

fn denied_text(words: &Words, denied: Denied) -> &str {
    match denied {
        Denied::NobodyNamed => &words.denied_nobody,
        Denied::UnknownOfficer => &words.denied_unknown,
        Denied::Role => &words.denied_role,
        Denied::OtherDistrict => &words.denied_district,
    }
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

    use super::super::words::{Dictionary, Language};
    use super::*;

    /// Keeps payments and an empty list of cases; knows no cards.
    struct PaymentsOnly;

    impl Sections for PaymentsOnly {
        fn content<'a>(&'a self, part: Part, _: &'a Asked<'a>) -> Reading<'a> {
            let content = match part {
                Part::Case => Content::Entries(Vec::new(), Sight::OwnDistrict),
                Part::Card => Content::NotConnected,
                Part::Payments => {
                    let entry = Entry {
                        what: "March <2026>".to_owned(),
                        state: "paid".to_owned(),
                        day: Some(Date::constant(2026, 4, 9)),
                        amount_soum: Soum::new(635_000),
                        path: Some("/pages/payments/7".to_owned()),
                    };
                    Content::Entries(vec![entry], Sight::Everywhere)
                }
            };
            Box::pin(async { content })
        }
    }

    #[tokio::test]
    async fn what_is_not_connected_has_nothing_or_has_entries_is_told_apart() {
        let day = Date::constant(2026, 3, 2);
        let rulebook = Rulebook::built_in().unwrap();
        let case = Case {
            declared: Vec::new(),
            applicant: "31505850010011".parse().unwrap(),
            application_date: day,
            sources: std::collections::BTreeMap::new(),
            answers: Answers::default(),
        };
        let rules = rulebook.on(day).unwrap();
        let profile = Profile::assemble("p".to_owned(), UnixMillis(0), case, rules).unwrap();
        let dictionary = Dictionary::built_in().unwrap();
        let words = dictionary.words(Language::English);
        let asked = Asked { profile: &profile, user: None, words };
        let texts: Vec<String> = all(&PaymentsOnly, &asked)
            .await
            .into_iter()
            .map(|(_, _, markup)| markup.into_string())
            .collect();
        assert!(texts[0].contains("Nothing is known") && texts[0].contains("your district"));
        assert!(texts[1].contains("Not connected"), "{}", texts[1]);
        for text in ["href=\"/pages/payments/7\"", "March &lt;2026&gt;", "09.04.2026", "635 000"] {
            assert!(texts[2].contains(text), "{text}: {}", texts[2]);
        }
        assert!(!texts[2].contains("your district"));
    }

    #[test]
    fn each_reason_why_nothing_is_shown_has_its_own_words() {
        let dictionary = Dictionary::built_in().unwrap();
        let words = dictionary.words(Language::English);
        let contents = [
            Content::NotConnected,
            Content::Unavailable,
            Content::Denied(Denied::NobodyNamed),
            Content::Denied(Denied::UnknownOfficer),
            Content::Denied(Denied::Role),
            Content::Denied(Denied::OtherDistrict),
            Content::Entries(Vec::new(), Sight::Everywhere),
        ];
        let said: std::collections::BTreeSet<String> = contents
            .iter()
            .map(|content| markup(words, ("p", "P"), content).into_string())
            .collect();
        assert_eq!(said.len(), contents.len(), "{said:?}");
    }
}
