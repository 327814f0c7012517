//! What all pages share: the frame of a page, tables, and how days, times and amounts are written.

use http::{StatusCode, header};
use jiff::civil::Date;
use maud::{DOCTYPE, Markup, html};
use register::month::Month;
use schemas::clock::UnixMillis;
use schemas::limits::PAGES_IDLE;

use axum::response::{IntoResponse, Response};

use super::visit::Visit;
use super::words::{Language, fill};

/// The one style sheet.
pub(crate) const STYLE: &str = include_str!("style.css");

/// A page: its title, which is the one heading of level 1, and what stands below it.
pub(crate) fn page(visit: &Visit<'_>, status: StatusCode, title: &str, body: &Markup) -> Response {
    let words = visit.words;
    let minutes = PAGES_IDLE.as_secs() / 60;
    let markup = html! {
        (DOCTYPE)
        html lang=(visit.language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · " (words.product) " · Koʻprik" }
                link rel="stylesheet" href="/pages/style.css";
            }
            body {
                a.skip href="#content" { (words.skip) }
                header.top {
                    p.product { a href="/pages" { "Koʻprik · " (words.product) } }
                    (languages(visit))
                }
                main #content tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
                footer {
                    @if let Some(user) = visit.user() {
                        p { (fill(&words.asked_by, &[("user", &user)])) }
                    }
                    p { (fill(&words.footer, &[("minutes", &minutes)])) }
                }
            }
        }
    };
    let mut response = (status, markup).into_response();
    for cookie in visit.cookies() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn languages(visit: &Visit<'_>) -> Markup {
    html! {
        nav.languages aria-label=(visit.words.languages) {
            ul {
                @for language in Language::ALL {
                    @let code = language.code();
                    @let current = (language == visit.language).then_some("true");
                    li {
                        a href=(format!("{}?language={code}", visit.place)) hreflang=(code)
                            lang=(code) aria-current=[current] { (visit.name_of(language)) }
                    }
                }
            }
        }
    }
}

/// A section with its heading of level 2.
pub(crate) fn section(name: &str, title: &str, body: &Markup) -> Markup {
    html! {
        section id=(name) aria-labelledby=(format!("{name}-title")) {
            h2 id=(format!("{name}-title")) { (title) }
            (body)
        }
    }
}

/// A table that scrolls by itself where the window is narrow; the keyboard reaches it.
pub(crate) fn table(name: &str, caption: &str, rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby=(name) {
            table {
                caption id=(name) { (caption) }
                (rows)
            }
        }
    }
}

/// A day, as the state's papers write it.
pub(crate) fn day(date: Date) -> Markup {
    html! {
        time datetime=(date) { (day_text(date)) }
    }
}

/// A day as text.
pub(crate) fn day_text(date: Date) -> String {
    format!("{:02}.{:02}.{:04}", date.day(), date.month(), date.year())
}

/// A month, as `02.2026`.
pub(crate) fn month(month: &Month) -> Markup {
    let text = month.to_string();
    let turned = text.split_once('-').map(|(year, month)| format!("{month}.{year}"));
    html! {
        time datetime=(text) { (turned.unwrap_or_default()) }
    }
}

/// A moment in Tashkent, UTC+5 all year.
pub(crate) fn moment(at: UnixMillis) -> Markup {
    let local = at.plus(std::time::Duration::from_secs(5 * 3600)).to_rfc3339();
    // Safe because: RFC 3339 begins with 19 characters of date and time.
    let date = local.get(..10).and_then(|date| date.parse().ok()).map(day_text);
    html! {
        time datetime=(at.to_rfc3339()) {
            (date.unwrap_or_default()) " " (local.get(11..19).unwrap_or_default())
        }
    }
}

/// A number whose groups of digits stay on one line.
pub(crate) fn unbroken(number: impl std::fmt::Display) -> String {
    number.to_string().replace(' ', "\u{a0}")
}

/// Full minutes from `at` to `now`.
pub(crate) fn minutes(visit: &Visit<'_>, at: UnixMillis) -> String {
    let count = visit.now.since(at).as_secs() / 60;
    fill(&visit.words.minutes, &[("count", &count)])
}
