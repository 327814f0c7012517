//! One request to the pages: its session, language, time and the officer who asks.

use http::{HeaderMap, HeaderValue, Uri, header};
use schemas::clock::UnixMillis;

use super::Pages;
use super::session::Ticket;
use super::words::{Language, Words};
use crate::api::USER_ID;

/// Name of the cookie with the session.
const SESSION: &str = "koprik-session";
/// Name of the cookie with the chosen language.
const LANGUAGE: &str = "koprik-language";
/// How long a chosen language is remembered, in seconds: a year.
const LANGUAGE_KEPT_S: u32 = 31_536_000;

/// What a page needs to know of the request.
pub(crate) struct Visit<'a> {
    pub(crate) words: &'a Words,
    pub(crate) language: Language,
    pub(crate) now: UnixMillis,
    /// Session and token for forms.
    pub(crate) ticket: Ticket,
    /// The officer, when whatever stands in front of the register says so.
    pub(crate) user: Option<HeaderValue>,
    /// Where a switch of the language leads.
    pub(crate) place: String,
    pages: &'a Pages,
    is_new: bool,
    has_chosen: bool,
}

impl<'a> Visit<'a> {
    /// Reads a request; begins a session where none is kept.
    pub(crate) fn new(pages: &'a Pages, headers: &HeaderMap, uri: &Uri) -> Self {
        let now = pages.register.clock.now();
        let resumed = cookie(headers, SESSION).and_then(|name| pages.sessions.resume(name, now));
        let chosen = uri.query().and_then(|query| query.strip_prefix("language="));
        let chosen = chosen.and_then(Language::of_code);
        let remembered = || cookie(headers, LANGUAGE).and_then(Language::of_code);
        let accepted = || {
            let accept = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            Language::preferred(accept.unwrap_or_default())
        };
        let language = chosen.or_else(remembered).unwrap_or_else(accepted);
        Self {
            words: pages.dictionary.words(language),
            language,
            now,
            is_new: resumed.is_none(),
            ticket: resumed.unwrap_or_else(|| pages.sessions.begin(now)),
            user: headers.get(USER_ID).cloned(),
            place: "/pages".to_owned(),
            pages,
            has_chosen: chosen.is_some(),
        }
    }

    /// The officer as text.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_ref()?.to_str().ok()
    }

    /// A language's own name.
    pub(crate) fn name_of(&self, language: Language) -> &'a str {
        &self.pages.dictionary.words(language).name
    }

    /// Cookies to set: a new session, a chosen language.
    pub(crate) fn cookies(&self) -> Vec<HeaderValue> {
        let secure = if self.pages.site.is_encrypted { "; Secure" } else { "" };
        let rules = format!("Path=/pages; HttpOnly; SameSite=Strict{secure}");
        let session = self.is_new.then(|| format!("{SESSION}={}; {rules}", self.ticket.session));
        let language = self.has_chosen.then(|| {
            format!("{LANGUAGE}={}; Max-Age={LANGUAGE_KEPT_S}; {rules}", self.language.code())
        });
        let cookies = session.into_iter().chain(language);
        // Safe because: both are made of printable ASCII.
        cookies.filter_map(|cookie| HeaderValue::from_str(&cookie).ok()).collect()
    }
}

/// A cookie's value (RFC 6265 §4.2.1).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
