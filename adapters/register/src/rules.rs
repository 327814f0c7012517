//! Rule versions: dated data files with the source of every figure.
//!
//! A decision of January 2026 follows CM resolution 654, one of February 2026 resolution 35. A
//! case can be weighed again under another version ([`Rulebook::by_id`]), which is a simulation.

mod exclusions;
mod figures;

use jiff::civil::Date;
use schemas::digest::Sha256;
use serde::{Deserialize, Serialize};

pub use self::exclusions::{ClauseRule, Exclusions, Shares};
pub use self::figures::{Band, BenefitAmounts, DatedAmount, Figure, IncomeRules, Limit, Work};

const CM_654: &str = include_str!("../rules/cm-654.toml");
const CM_35: &str = include_str!("../rules/cm-35.toml");

/// Why rules cannot be had or do not reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A rule file is not as this module describes it.
    #[error(
        "register: the rule file {file} is faulty: {fault}; repair the file; a built-in one needs a new build"
    )]
    Faulty {
        /// Name of the file.
        file: String,
        /// What the reader found.
        fault: String,
    },
    /// A condition of the rules cannot be evaluated on a record.
    #[error(
        "register: the condition `{condition}` of the rules {rules} cannot be evaluated on a \
         record; repair the rule file"
    )]
    Condition {
        /// Identifier of the rules.
        rules: String,
        /// The condition.
        condition: String,
    },
    /// No rule version was in force on the day.
    #[error("register: no rules were in force on {0}; choose a day from 2021-10-21 on")]
    NotInForce(Date),
    /// A figure has no value on the day.
    #[error("register: the rules {rules} have no {figure} on {day}; choose a later day or add it")]
    NoFigure {
        /// Identifier of the rules.
        rules: String,
        /// The figure.
        figure: &'static str,
        /// The day.
        day: Date,
    },
}

/// One version of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Identifier, such as `cm-35`.
    pub id: String,
    /// Title of the act.
    pub title: String,
    /// First day of decisions under this version.
    pub in_force_from: Date,
    /// What a refusal letter says about the right to appeal.
    pub appeal: Figure<String>,
    /// What counts as income.
    pub income: IncomeRules,
    /// Grounds of exclusion.
    pub exclusions: Exclusions,
    /// Bands of income, rising.
    pub bands: Vec<Band>,
    /// Amounts of the benefit, by day.
    pub benefit: Vec<BenefitAmounts>,
    /// Minimum consumer expenditure per person and month, by day.
    pub minimum_consumer_expenditure: Vec<DatedAmount>,
    /// Minimum wage, by day.
    pub minimum_wage: Vec<DatedAmount>,
    /// SHA-256 of the file that these rules were read from.
    #[serde(skip, default = "no_digest")]
    pub digest: Sha256,
}

fn no_digest() -> Sha256 {
    Sha256([0; 32])
}

impl Rules {
    /// Reads the text of a rule file; `file` is its name in errors.
    ///
    /// # Errors
    /// [`RuleError::Faulty`] with what is wrong.
    pub fn read(file: &str, text: &str) -> Result<Self, RuleError> {
        let faulty = |fault: String| RuleError::Faulty { file: file.to_owned(), fault };
        let mut rules: Self = toml::from_str(text).map_err(|fault| faulty(fault.to_string()))?;
        let rising = rules.bands.is_sorted_by_key(|band| band.percent);
        if !rising || rules.bands.is_empty() || rules.income.months.value == 0 {
            let fault = "bands must rise and months of income must be at least 1".to_owned();
            return Err(faulty(fault));
        }
        if let Some(fault) = rules.exclusions.fault() {
            return Err(faulty(fault));
        }
        rules.digest = Sha256::of(text.as_bytes());
        Ok(rules)
    }

    /// Minimum consumer expenditure per person and month on `day`.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] before the first one known.
    pub fn minimum_consumer_expenditure_on(&self, day: Date) -> Result<&DatedAmount, RuleError> {
        let figures = self.minimum_consumer_expenditure.iter();
        self.latest(figures, |f| f.from, day, "minimum consumer expenditure")
    }

    /// The amounts of the benefit on `day`.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] before the first ones known.
    pub fn benefit_on(&self, day: Date) -> Result<&BenefitAmounts, RuleError> {
        self.latest(self.benefit.iter(), |f| f.from, day, "amounts of the benefit")
    }

    /// Deposits that exclude on `day`, in soum: what the banks are asked about.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] when no minimum wage is known on the day.
    pub fn deposit_threshold_soum(&self, day: Date) -> Result<u64, RuleError> {
        let wage = self.latest(self.minimum_wage.iter(), |f| f.from, day, "minimum wage")?;
        Ok(wage.soum.amount().saturating_mul(u64::from(self.exclusions.deposits.figure)))
    }

    fn latest<'a, F>(
        &self,
        figures: impl Iterator<Item = &'a F>,
        from: impl Fn(&F) -> Date,
        day: Date,
        figure: &'static str,
    ) -> Result<&'a F, RuleError> {
        let known = figures.filter(|known| from(known) <= day).max_by_key(|known| from(known));
        known.ok_or_else(|| RuleError::NoFigure { rules: self.id.clone(), figure, day })
    }
}

/// All versions of the rules.
#[derive(Clone, Debug)]
pub struct Rulebook(Vec<Rules>);

impl Rulebook {
    /// The versions that this build brings along.
    ///
    /// # Errors
    /// [`RuleError::Faulty`] when a rule file is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, RuleError> {
        let versions = [Rules::read("cm-654.toml", CM_654)?, Rules::read("cm-35.toml", CM_35)?];
        Ok(Self(versions.into()))
    }

    /// The version in force on `day`.
    ///
    /// # Errors
    /// [`RuleError::NotInForce`] before the first version.
    pub fn on(&self, day: Date) -> Result<&Rules, RuleError> {
        let in_force = self.0.iter().filter(|rules| rules.in_force_from <= day);
        in_force.max_by_key(|rules| rules.in_force_from).ok_or(RuleError::NotInForce(day))
    }

    /// Adds a version that is not built in, such as one of the past or one to be tried.
    pub fn add(&mut self, rules: Rules) {
        self.0.push(rules);
    }

    /// The version that was read from the file with this digest: the one that a past decision
    /// names. `None` when it is not here.
    #[must_use]
    pub fn by_digest(&self, digest: Sha256) -> Option<&Rules> {
        self.0.iter().find(|rules| rules.digest == digest)
    }

    /// The version with this identifier, for simulation; `None` when there is none.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Rules> {
        self.0.iter().find(|rules| rules.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_decision_chooses_the_version() {
        let book = Rulebook::built_in().unwrap();
        let id = |year, month, day| book.on(Date::constant(year, month, day)).unwrap().id.clone();
        assert_eq!(id(2026, 1, 31), "cm-654");
        assert_eq!(id(2026, 2, 1), "cm-35");
        let before = Date::constant(2020, 1, 1);
        assert_eq!(book.on(before).unwrap_err(), RuleError::NotInForce(before));
    }

    #[test]
    fn figures_follow_the_day_and_a_missing_one_is_an_error() {
        let book = Rulebook::built_in().unwrap();
        let rules = book.by_id("cm-654").unwrap();
        let mce = |year| {
            let figure = rules.minimum_consumer_expenditure_on(Date::constant(year, 6, 1));
            figure.unwrap().soum.amount()
        };
        assert_eq!([2022, 2025, 2026].map(mce), [498_000, 669_000, 715_000]);
        let threshold = |year| rules.deposit_threshold_soum(Date::constant(year, 8, 1));
        assert_eq!(threshold(2025).unwrap(), 6_355_000);
        assert!(matches!(threshold(2021), Err(RuleError::NoFigure { .. })));
    }

    #[test]
    fn unknown_keys_and_falling_bands_of_a_rule_file_are_refused() {
        let faulty = |text: &str| matches!(Rules::read("x", text), Err(RuleError::Faulty { .. }));
        assert!(!faulty(CM_35));
        assert!(faulty(&format!("colour = \"red\"\n{CM_35}")));
        assert!(faulty(&CM_35.replace("percent = 150", "percent = 10")));
        assert!(faulty(&CM_35.replace("working && age", "wroking && age")));
        assert!(faulty(&CM_35.replace("counts = \"working\"", "counts = \"age_years\"")));
    }
}
