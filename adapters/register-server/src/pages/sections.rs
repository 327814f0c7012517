//! Places on a family's page for what other parts of the register know: case, card, payments.
//!
//! A part that exists implements [`Sections`]; one that does not is said to be not connected, which
//! is not the same as having nothing, as may not be seen by this officer, or as cannot be read.

use std::future::Future;
use std::pin::Pin;

use http::HeaderValue;
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
    /// What life events propose.
    Proposals,
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
    /// The identifier of a proposal that the officer may answer.
    pub(crate) proposal: Option<String>,
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
    /// The family's page, which takes the forms.
    pub(crate) place: &'a str,
    /// What forms of this session carry.
    pub(crate) token: &'a str,
}

/// An officer's answer to a proposal.
pub(crate) enum Answer {
    /// The application is filed.
    File,
    /// The proposal is closed, for this reason.
    Refuse(String),
}

/// An answer under way; the error is the problem type of a refusal.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send + 'a>>;

/// A part's answer under way.
pub(crate) type Reading<'a> = Pin<Box<dyn Future<Output = Content> + Send + 'a>>;

/// What other parts of the register know about a family. Asked while a page is made, so an
/// implementation answers from memory or its own store and asks no agency.
pub(crate) trait Sections: Send + Sync {
    /// What the part says about the family to the officer.
    fn content<'a>(&'a self, part: Part, asked: &'a Asked<'a>) -> Reading<'a>;

    /// Answers a proposal for a member of the family, for the officer whom the request
    /// names.
    fn answer<'a>(
        &'a self,
        proposal: &'a str,
        answer: Answer,
        whose: (&'a Profile, Option<HeaderValue>),
    ) -> Answering<'a>;
}

/// No part is connected: the configuration has no desk.
pub(crate) struct Unconnected;

impl Sections for Unconnected {
    fn content<'a>(&'a self, _: Part, _: &'a Asked<'a>) -> Reading<'a> {
        Box::pin(async { Content::NotConnected })
    }

    fn answer<'a>(
        &'a self,
        _: &'a str,
        _: Answer,
        _: (&'a Profile, Option<HeaderValue>),
    ) -> Answering<'a> {
        Box::pin(async { Err("register.no_store") })
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
        (Part::Proposals, "proposals", &words.proposals),
    ];
    let mut all = Vec::with_capacity(places.len());
    for (part, name, title) in places {
        let content = sections.content(part, asked).await;
        all.push((name, title, markup(asked, (name, title), &content)));
    }
    all
}

fn markup(asked: &Asked<'_>, (name, title): (&str, &str), content: &Content) -> Markup {
    let words = asked.words;
    match content {
        Content::NotConnected => html! { p { (words.not_connected) } },
        Content::Denied(denied) => html! { p { (denied_text(words, *denied)) } },
        Content::Unavailable => html! { p { (words.not_readable) } },
        Content::Entries(entries, sight) => html! {
            @if entries.is_empty() { p { (words.nothing_known) } }
            @else { (table(&format!("{name}-table"), title, &rows(asked, entries))) }
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

fn rows(asked: &Asked<'_>, entries: &[Entry]) -> Markup {
    let words = asked.words;
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
                    td {
                        (entry.state)
                        @if let Some(id) = &entry.proposal { (answers(asked, id, &entry.what)) }
                    }
                    td { @if let Some(date) = entry.day { (day(date)) } }
                    td.number { @if let Some(amount) = entry.amount_soum { (amount) } }
                }
            }
        }
    }
}

/// The two forms that answer a proposal; their buttons name it for who does not see the row.
fn answers(asked: &Asked<'_>, id: &str, what: &str) -> Markup {
    let (words, action) = (asked.words, format!("{}/proposals/{id}", asked.place));
    html! {
        form method="post" action=(format!("{action}/application")) {
            input type="hidden" name="token" value=(asked.token);
            button type="submit" aria-label=(format!("{}: {what}", words.file_button)) {
                (words.file_button)
            }
        }
        form method="post" action=(format!("{action}/refusal")) {
            input type="hidden" name="token" value=(asked.token);
            label for=(format!("reason-{id}")) { (words.reason_label) }
            input id=(format!("reason-{id}")) name="reason" type="text" maxlength="1000" required;
            button type="submit" aria-label=(format!("{}: {what}", words.refuse_button)) {
                (words.refuse_button)
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
                Part::Card | Part::Proposals => Content::NotConnected,
                Part::Payments => {
                    let entry = Entry {
                        what: "March <2026>".to_owned(),
                        state: "paid".to_owned(),
                        day: Some(Date::constant(2026, 4, 9)),
                        amount_soum: Soum::new(635_000),
                        path: Some("/pages/payments/7".to_owned()),
                        proposal: None,
                    };
                    Content::Entries(vec![entry], Sight::Everywhere)
                }
            };
            Box::pin(async { content })
        }

        fn answer<'a>(
            &'a self,
            _: &'a str,
            _: Answer,
            _: (&'a Profile, Option<HeaderValue>),
        ) -> Answering<'a> {
            Box::pin(async { Err("register.no_record") })
        }
    }

    fn profile() -> Profile {
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
        Profile::assemble("p".to_owned(), UnixMillis(0), case, rules).unwrap()
    }

    fn asked<'a>(profile: &'a Profile, words: &'a Words) -> Asked<'a> {
        Asked { profile, user: None, words, place: "/pages/families/f", token: "t" }
    }

    #[tokio::test]
    async fn what_is_not_connected_has_nothing_or_has_entries_is_told_apart() {
        let profile = profile();
        let dictionary = Dictionary::built_in().unwrap();
        let asked = asked(&profile, dictionary.words(Language::English));
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
        let profile = profile();
        let asked = asked(&profile, dictionary.words(Language::English));
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
            .map(|content| markup(&asked, ("p", "P"), content).into_string())
            .collect();
        assert_eq!(said.len(), contents.len(), "{said:?}");
    }
}
