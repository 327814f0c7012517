//! The texts of letters in one language, read from a file beside this one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::Deserialize;

use crate::decision::Clause;
use crate::income::IncomeKind;
use crate::money::{Soum, grouped};
use crate::month::Month;

/// A language of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Uzbek in Latin script.
    Uzbek,
    /// Russian.
    Russian,
    /// English.
    English,
}

/// The text is no language of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("letters are written in uz, ru or en")]
pub struct NotALanguage;

impl FromStr for Language {
    type Err = NotALanguage;

    fn from_str(text: &str) -> Result<Self, NotALanguage> {
        match text {
            "uz" => Ok(Self::Uzbek),
            "ru" => Ok(Self::Russian),
            "en" => Ok(Self::English),
            _ => Err(NotALanguage),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uzbek => "uz",
            Self::Russian => "ru",
            Self::English => "en",
        })
    }
}

/// Every text of a letter. In templates, names in braces are filled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    months: Vec<String>,
    months_of_date: Vec<String>,
    date: String,
    month: String,
    soum: String,
    pub(super) award_title: String,
    pub(super) refusal_title: String,
    pub(super) applicant: String,
    pub(super) applied: String,
    pub(super) family: String,
    pub(super) award: String,
    pub(super) share: String,
    pub(super) condition: String,
    pub(super) benefit: String,
    pub(super) income: String,
    pub(super) no_income: String,
    pub(super) income_sum: String,
    pub(super) refusal: String,
    pub(super) ground_clause: String,
    pub(super) record: String,
    pub(super) record_declared: String,
    pub(super) appeal: String,
    pub(super) proof: String,
    pub(super) acts: BTreeMap<String, String>,
    pub(super) categories: BTreeMap<String, String>,
    pub(super) conditions: BTreeMap<String, String>,
    pub(super) clauses: BTreeMap<Clause, String>,
    pub(super) facts: Facts,
    pub(super) kinds: BTreeMap<IncomeKind, String>,
    pub(super) payers: BTreeMap<String, String>,
}

/// What records say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) vehicle: String,
    pub(super) property: String,
    pub(super) deposits: String,
    pub(super) income: String,
    pub(super) income_from: String,
    pub(super) able: String,
    pub(super) not_able: String,
    pub(super) no_record_of_inability: String,
}

impl Texts {
    /// The texts of a language.
    ///
    /// # Errors
    /// When the file of this build is faulty, which a test rules out.
    pub(super) fn of(language: Language) -> Result<Self, toml::de::Error> {
        toml::from_str(match language {
            Language::Uzbek => include_str!("uz.toml"),
            Language::Russian => include_str!("ru.toml"),
            Language::English => include_str!("en.toml"),
        })
    }

    pub(super) fn date(&self, date: Date) -> String {
        let month = named(&self.months_of_date, date);
        let (day, year) = (date.day().to_string(), date.year().to_string());
        fill(&self.date, &[("day", &day), ("month", month), ("year", &year)])
    }

    pub(super) fn month(&self, month: Month) -> String {
        let first = month.first_day();
        let year = first.year().to_string();
        fill(&self.month, &[("month", named(&self.months, first)), ("year", &year)])
    }

    pub(super) fn soum(&self, amount: u128) -> String {
        fill(&self.soum, &[("amount", &grouped(amount))])
    }

    pub(super) fn amount(&self, soum: Soum) -> String {
        self.soum(soum.amount().into())
    }
}

fn named(months: &[String], date: Date) -> &str {
    let at = usize::try_from(date.month()).unwrap_or(0).saturating_sub(1);
    months.get(at).map_or("", String::as_str)
}

/// The text by its key; the key itself where the language has no word for it, as for a category of
/// rules that are only simulated.
pub(super) fn text_or<'a, K: Ord>(
    texts: &'a BTreeMap<K, String>,
    key: &K,
    otherwise: &'a str,
) -> &'a str {
    texts.get(key).map_or(otherwise, String::as_str)
}

/// The template with its names in braces filled, in one pass, so that a value may hold braces.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        let value = values.iter().find(|(known, _)| *known == name);
        text.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Language; 3] = [Language::Uzbek, Language::Russian, Language::English];
    const CLAUSES: [Clause; 7] = [
        Clause::Applicant,
        Clause::Dwellings,
        Clause::NonResidential,
        Clause::VehicleAge,
        Clause::VehicleCount,
        Clause::Deposits,
        Clause::Income,
    ];

    #[test]
    fn every_language_has_every_text() {
        for language in ALL {
            let texts = Texts::of(language).unwrap();
            assert_eq!((texts.months.len(), texts.months_of_date.len()), (12, 12));
            assert!(CLAUSES.iter().all(|clause| texts.clauses.contains_key(clause)), "{language}");
            assert_eq!((texts.kinds.len(), texts.payers.len()), (7, 4), "{language}");
            for rules in ["cm-35", "cm-654"] {
                assert!(texts.acts.contains_key(rules), "{language}");
            }
            for rules in
                [include_str!("../../rules/cm-35.toml"), include_str!("../../rules/cm-654.toml")]
            {
                let categories =
                    rules.lines().filter_map(|line| line.strip_prefix("category = \""));
                for category in categories.map(|rest| rest.trim_end_matches('"')) {
                    assert!(texts.categories.contains_key(category), "{language} {category}");
                }
            }
            assert_eq!(language.to_string().parse(), Ok(language));
        }
        assert_eq!("de".parse::<Language>(), Err(NotALanguage));
    }

    #[test]
    fn values_are_filled_once() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "c")]), "{b} and c");
        assert_eq!(fill("{gone} and {open", &[]), " and open");
    }
}
