//! The search form and what refuses a search.

use std::borrow::Cow;

use axum::response::Response;
use http::StatusCode;
use maud::html;
use schemas::pinfl::NotAPinfl;

use super::frame::page;
use super::visit::Visit;
use super::words::{Words, word};
use crate::api::Refusal;

/// Characters of an entered text that a refused form shows again.
const ENTERED_MAX_CHARS: usize = 32;

/// What a form carries.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entered {
    pub(crate) pinfl: String,
    pub(crate) day: String,
    pub(crate) token: String,
}

/// The search page, with what was entered and why it was refused.
pub(crate) fn form(visit: &Visit<'_>, refused: Option<(&Entered, &Problem<'_>)>) -> Response {
    let words = visit.words;
    let status = refused.map_or(StatusCode::OK, |(_, problem)| problem.status);
    let again = |text: &str| text.chars().take(ENTERED_MAX_CHARS).collect::<String>();
    let pinfl = refused.map(|(entered, _)| again(&entered.pinfl));
    let day = refused.map(|(entered, _)| again(&entered.day));
    let wrong = |field| refused.filter(|(_, problem)| problem.field == Some(field)).map(|_| "true");
    let described = |hint: &str, field| match wrong(field) {
        Some(_) => format!("problem {hint}"),
        None => hint.to_owned(),
    };
    let body = html! {
        p.lead { (words.search_lead) }
        @if let Some((_, problem)) = refused {
            div.problem role="alert" {
                h2 { (words.refused) }
                p #problem { (problem.text()) }
            }
        }
        form.search method="post" action="/pages/search" {
            input type="hidden" name="token" value=(visit.ticket.token);
            div.field {
                label for="pinfl" { (words.pinfl_label) }
                p.hint #pinfl-hint { (words.pinfl_hint) }
                input #pinfl name="pinfl" type="text" inputmode="numeric" autocomplete="off"
                    spellcheck="false" required value=[pinfl]
                    aria-invalid=[wrong(Field::Pinfl)]
                    aria-describedby=(described("pinfl-hint", Field::Pinfl));
            }
            div.field {
                label for="day" { (words.day_label) }
                p.hint #day-hint { (words.day_hint) }
                input #day name="day" type="date" value=[day]
                    aria-invalid=[wrong(Field::Day)]
                    aria-describedby=(described("day-hint", Field::Day));
            }
            button type="submit" { (words.search_button) }
        }
    };
    page(visit, status, &words.search_title, &body)
}

/// The field that a problem is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Pinfl,
    Day,
}

/// Why a search is refused, in the visitor's language.
pub(crate) struct Problem<'a> {
    pub(crate) status: StatusCode,
    field: Option<Field>,
    text: Cow<'a, str>,
}

impl<'a> Problem<'a> {
    /// What went wrong and what to do.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The form is not of this session.
    pub(crate) fn expired(words: &'a Words) -> Self {
        let text = Cow::Borrowed(words.expired.as_str());
        Self { status: StatusCode::FORBIDDEN, field: None, text }
    }

    /// What the register refuses.
    pub(crate) fn of(refusal: &Refusal, words: &'a Words) -> Self {
        let (status, _) = refusal.status_and_type();
        let (field, text) = match refusal {
            Refusal::Pinfl(cause) => (Some(Field::Pinfl), word(&words.pinfl, &code(*cause))),
            Refusal::Date => (Some(Field::Day), Cow::Borrowed(words.wrong_day.as_str())),
            Refusal::User => (None, Cow::Borrowed(words.wrong_user.as_str())),
            Refusal::Busy => (None, Cow::Borrowed(words.busy.as_str())),
            Refusal::Rules(_) if status == StatusCode::BAD_REQUEST => {
                (Some(Field::Day), Cow::Borrowed(words.no_rules.as_str()))
            }
            Refusal::Rules(_) | Refusal::Defect(_) | Refusal::Unreadable(_) | Refusal::Shape => {
                (None, Cow::Borrowed(words.defect.as_str()))
            }
        };
        Self { status, field, text }
    }
}

fn code(cause: NotAPinfl) -> &'static str {
    match cause {
        NotAPinfl::Length => "length",
        NotAPinfl::Digits => "digits",
        NotAPinfl::Century => "century",
        NotAPinfl::Date => "date",
        NotAPinfl::CheckDigit => "check-digit",
    }
}
