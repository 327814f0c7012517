//! The words of the pages in Uzbek (Latin script), Russian and English: one data file per language.
//!
//! Reading a file refuses a missing or an unknown key. Words for the values of an enumeration stand
//! in tables under the value's own code; a code without a word is shown as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use register::letter;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($text:ident)*; $($table:ident)*) => {
        /// Every word of a language.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Words {
            $(pub(crate) $text: String,)*
            $(pub(crate) $table: BTreeMap<String, String>,)*
        }

        #[cfg(test)]
        impl Words {
            /// Every text by its key.
            fn all(&self) -> BTreeMap<String, &str> {
                let mut all: BTreeMap<String, &str> = BTreeMap::new();
                $(all.insert(stringify!($text).to_owned(), &self.$text);)*
                $(for (key, text) in &self.$table {
                    all.insert(format!("{}.{key}", stringify!($table)), text);
                })*
                all
            }
        }
    };
}

words! {
    name product skip languages footer asked_by
    search_title search_lead pinfl_label pinfl_hint day_label day_hint search_button search_again
    refused gone no_page expired wrong_day no_rules busy wrong_user defect
    family_of on_this_page applied assembled profile_id profile_hash ask_again
    decision eligible not_eligible pending under_rules category_label amount_label share_label
    months_label condition_label soum percent grounds appeal_text awaits steps step rule holds
    records_count yes no unknown rule_in_force
    family family_picture family_desc family_table person role_label age_label years before_birth
    belongs why belongs_yes belongs_uncertain belongs_no belongs_resident box_uncertain box_left
    box_resident resident why_applicant why_spouse why_child why_resident parents_both
    parents_applicant parents_spouse may_grow discrepancies legend
    income income_caption income_of together sum income_none sum_all per_member ratio
    sources sources_caption source answered answered_of fetched freshness minutes
    nothing_absent absent_caption absent_line outcome receipts receipts_caption receipt no_receipt
    outcome_value outcome_no_record outcome_unavailable outcome_forbidden
    case card payments not_connected nothing_known what state day amount
    not_readable own_district_only denied_nobody denied_unknown denied_role denied_district
    case_of case_plan case_visit case_due plan_service
    card_of card_active card_expired card_replaced payment_of
    proposals proposal_of file_button refuse_button reason_label reason_wrong proposal_answered
    entry_closed not_answered;
    pinfl role reason relation discrepancy question kind cause clause category condition rules
    income_kind stage blocked line_state event proposal
}

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Uzbek in Latin script.
    Uzbek,
    /// Russian.
    Russian,
    /// English.
    English,
}

impl Language {
    /// The same language of letters.
    pub(crate) fn of_letters(self) -> letter::Language {
        match self {
            Self::Uzbek => letter::Language::Uzbek,
            Self::Russian => letter::Language::Russian,
            Self::English => letter::Language::English,
        }
    }

    /// All of them, in the order in which they are offered.
    pub(crate) const ALL: [Self; 3] = [Self::Uzbek, Self::Russian, Self::English];

    /// The code as in `lang`, BCP 47.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Uzbek => "uz",
            Self::Russian => "ru",
            Self::English => "en",
        }
    }

    /// The language with this code; what follows a hyphen, as in `ru-RU`, does not matter.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        let primary = code.trim().split('-').next()?;
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary))
    }

    /// The language that `Accept-Language` prefers, Uzbek when it names none of ours (RFC 9110
    /// §12.5.4: the higher `q` wins, 1 when left out; of equals the first).
    pub(crate) fn preferred(accept: &str) -> Self {
        let mut best = (Self::Uzbek, 0);
        for item in accept.split(',') {
            let (code, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = parameter.trim().strip_prefix("q=").map_or(0, thousandths);
            if let Some(language) = Self::of_code(code).filter(|_| weight > best.1) {
                best = (language, weight);
            }
        }
        best.0
    }
}

/// `1`, `0.8` or `0.875` in thousandths; anything else is 0.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" => 1000,
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// The words of all languages.
pub(crate) struct Dictionary {
    uzbek: Words,
    russian: Words,
    english: Words,
}

impl Dictionary {
    /// Reads the files of this build.
    ///
    /// # Errors
    /// When a file lacks a key or has one too many.
    pub(crate) fn built_in() -> Result<Self, toml::de::Error> {
        Ok(Self {
            uzbek: toml::from_str(include_str!("words/uz.toml"))?,
            russian: toml::from_str(include_str!("words/ru.toml"))?,
            english: toml::from_str(include_str!("words/en.toml"))?,
        })
    }

    pub(crate) fn words(&self, language: Language) -> &Words {
        match language {
            Language::Uzbek => &self.uzbek,
            Language::Russian => &self.russian,
            Language::English => &self.english,
        }
    }
}

/// The word for a value of an enumeration; the value's own code when there is none.
pub(crate) fn word<'a>(
    table: &'a BTreeMap<String, String>,
    value: &impl Serialize,
) -> Cow<'a, str> {
    let code = serde_json::to_value(value).ok();
    let code = code.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    table.get(code).map_or_else(|| Cow::Owned(code.to_owned()), |word| Cow::Borrowed(word.as_str()))
}

/// The text with its placeholders filled.
pub(crate) fn fill(text: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut filled = text.to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("{{{name}}}"), &value.to_string());
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use register::answers::Relation;
    use register::card::BlockReason;
    use register::case::Question;
    use register::composition::{DiscrepancyKind, Reason, Role};
    use register::decision::Clause;
    use register::income::IncomeKind;
    use register::life_event::EventKind;
    use register::source::{AbsenceCause, SourceKind};

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(n, _)| n).collect()
    }

    #[test]
    fn all_languages_have_the_same_keys_and_placeholders_and_no_empty_text() {
        let dictionary = Dictionary::built_in().unwrap();
        let english = dictionary.words(Language::English).all();
        for language in Language::ALL {
            let words = dictionary.words(language).all();
            assert!(words.keys().eq(english.keys()), "{language:?}");
            for (key, text) in &words {
                assert!(!text.trim().is_empty(), "{language:?} {key}");
                assert_eq!(placeholders(text), placeholders(english[key]), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn a_missing_and_an_unknown_key_are_refused() {
        let text = include_str!("words/en.toml");
        assert!(toml::from_str::<Words>(&text.replace("search_title", "search_titel")).is_err());
        assert!(toml::from_str::<Words>(&format!("colour = \"red\"\n{text}")).is_err());
    }

    #[test]
    fn every_value_has_a_word() {
        let dictionary = Dictionary::built_in().unwrap();
        let words = dictionary.words(Language::English);
        let has = |table: &BTreeMap<String, String>, codes: serde_json::Value| {
            for code in codes.as_array().unwrap() {
                assert!(table.contains_key(code.as_str().unwrap()), "{code}");
            }
        };
        use serde_json::json;
        has(&words.role, json!([Role::Applicant, Role::Spouse, Role::Child]));
        has(&words.relation, json!([Relation::Birth, Relation::Adoption, Relation::Guardianship]));
        #[rustfmt::skip]
        has(&words.reason, json!([Reason::Death, Reason::Prison, Reason::Institution,
            Reason::Abroad, Reason::Conscription, Reason::Marriage, Reason::Age,
            Reason::ParentDied]));
        use DiscrepancyKind as D;
        #[rustfmt::skip]
        has(&words.discrepancy, json!([D::CoResidenceDiffers, D::StaleMarriage,
            D::DeadInOneRegister, D::ChildOfTwoFamilies, D::IdentityDiffers, D::NoCivilRecord,
            D::NoPopulationRecord]));
        #[rustfmt::skip]
        has(&words.question, json!([Question::DeadInOneRegister, Question::ChildOfTwoFamilies,
            Question::MarriageDiffers, Question::ShareOfSecondDwelling]));
        use SourceKind as K;
        #[rustfmt::skip]
        has(&words.kind, json!([K::CivilRegistry, K::Population, K::Tax, K::Pensions, K::Accounts,
            K::Cadastre, K::Vehicles, K::Employment, K::Education, K::SocialAgency]));
        use AbsenceCause as A;
        #[rustfmt::skip]
        has(&words.cause, json!([A::NotAsked, A::TimedOut, A::DeadlineReached, A::HubUnreachable,
            A::HubProblem, A::SourceProblem, A::NotAccordingToContract, A::AnotherPerson,
            A::AccessDenied]));
        use Clause as C;
        #[rustfmt::skip]
        has(&words.clause, json!([C::Applicant, C::Dwellings, C::NonResidential, C::VehicleAge,
            C::VehicleCount, C::Deposits, C::Income, C::IncomeBand, C::AbilityToWork, C::Benefit]));
        use IncomeKind as I;
        #[rustfmt::skip]
        has(&words.income_kind, json!([I::Wage, I::Business, I::Plot, I::Remittance, I::Pension,
            I::Allowance]));
        use BlockReason as B;
        has(&words.blocked, json!([B::Lost, B::Suspected, B::Death]));
        #[rustfmt::skip]
        has(&words.stage, json!(["awaits_questionnaire", "awaits_needs", "awaits_decision",
            "awaits_plan", "awaits_acceptance", "in_service", "refused", "awaits_appeal", "closed",
            "refused_finally"]));
        use EventKind as E;
        has(&words.event, json!([E::Birth, E::Death, E::Marriage, E::Wage, E::Vehicle]));
        #[rustfmt::skip]
        has(&words.proposal, json!(["application", "recheck", "filed", "refused", "died",
            "applied", "supported"]));
        #[rustfmt::skip]
        has(&words.line_state, json!(["checking", "checked", "held", "listed", "released", "paid",
            "uncollected", "blocked"]));
    }

    #[test]
    fn accept_language_chooses_by_weight_and_falls_back_to_uzbek() {
        let cases = [
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("de, en;q=0.7, ru;q=0.75", Language::Russian),
            ("en", Language::English),
            ("uz-Latn-UZ, en;q=0.5", Language::Uzbek),
            ("ru;q=0, en;q=0.001", Language::English),
            ("fr", Language::Uzbek),
            ("", Language::Uzbek),
        ];
        for (accept, wanted) in cases {
            assert_eq!(Language::preferred(accept), wanted, "{accept}");
        }
    }
}
