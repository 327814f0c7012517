//! The page of a family: decision, drawing, income, sources, and what other parts of the register
//! know about it.

mod decision;
mod drawn;
mod income;
mod sources;

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use register::case::Waiting;
use register::profile::Profile;
use register::source::SourceName;
use schemas::pinfl::Pinfl;

use super::frame::{day, moment, page, section};
use super::sections::{self, Asked, Sections};
use super::session::Shown;
use super::visit::Visit;
use super::words::{fill, word};

/// The page of a family.
pub(crate) async fn show(
    visit: &Visit<'_>,
    identifier: &str,
    shown: &Arc<Shown>,
    sections: &dyn Sections,
) -> Response {
    let (words, profile) = (visit.words, &shown.profile);
    let title = fill(&words.family_of, &[("name", &name(profile, profile.case.applicant))]);
    let place = format!("/pages/families/{identifier}");
    let (user, token) = (visit.user(), visit.ticket.token.as_str());
    let asked = Asked { profile, user, words, place: &place, token };
    let others = sections::all(sections, &asked).await;
    let parts = [
        ("decision", &words.decision, decision::markup(visit, profile)),
        ("family", &words.family, drawn::markup(visit, profile)),
        ("income", &words.income, income::markup(visit, profile)),
        ("sources", &words.sources, sources::markup(visit, profile)),
    ];
    let parts: Vec<_> = parts.into_iter().chain(others).collect();
    let body = html! {
        (facts(visit, shown))
        div.actions {
            form method="post" action=(format!("/pages/families/{identifier}/again")) {
                input type="hidden" name="token" value=(visit.ticket.token);
                button type="submit" { (words.ask_again) }
            }
            p { a href="/pages" { (words.search_again) } }
        }
        nav.contents aria-label=(words.on_this_page) {
            ul {
                @for (part, title, _) in &parts {
                    li { a href=(format!("#{part}")) { (title) } }
                }
            }
        }
        @for (part, title, markup) in &parts {
            (section(part, title, markup))
        }
    };
    page(visit, StatusCode::OK, &title, &body)
}

fn facts(visit: &Visit<'_>, shown: &Shown) -> Markup {
    let (words, profile) = (visit.words, &shown.profile);
    html! {
        dl.facts {
            div { dt { (words.applied) } dd { (day(profile.case.application_date)) } }
            div { dt { (words.assembled) } dd { (moment(profile.assembled_at)) } }
            div { dt { (words.profile_id) } dd.code { (profile.id) } }
            div { dt { (words.profile_hash) } dd.code { (shown.hash) } }
        }
    }
}

/// Given name and surname where a population register gave them, else the PINFL.
pub(super) fn name(profile: &Profile, pinfl: Pinfl) -> String {
    let mut of_person = profile.case.answers.iter().filter(|(subject, _, _)| *subject == pinfl);
    let person = of_person.find_map(|(_, _, answer)| answer.population()?.value());
    person.map_or_else(|| pinfl.to_string(), |p| format!("{} {}", p.given_name, p.surname))
}

/// Name and PINFL of a person.
fn person(profile: &Profile, pinfl: Pinfl) -> Markup {
    let name = name(profile, pinfl);
    html! {
        @if name != pinfl.as_str() { (name) " " }
        span.code.pinfl { (pinfl) }
    }
}

/// A source in words, with the register's own name for it.
fn source(visit: &Visit<'_>, profile: &Profile, source: &SourceName) -> Markup {
    let kind = profile.case.sources.get(source);
    html! {
        @if let Some(kind) = kind { (word(&visit.words.kind, kind)) " " }
        span.code { "(" (source) ")" }
    }
}

/// What is awaited, as one line.
fn awaited(visit: &Visit<'_>, profile: &Profile, waiting: &Waiting) -> String {
    let words = visit.words;
    let source = |name: &SourceName| {
        let kind = profile.case.sources.get(name).map(|kind| word(&words.kind, kind));
        kind.map_or_else(|| name.to_string(), |kind| format!("{kind} ({name})"))
    };
    let sources = waiting.sources.iter().map(source);
    let officer = waiting.officer.iter().map(|question| word(&words.question, question));
    sources.chain(officer.map(String::from)).collect::<Vec<_>>().join(", ")
}
