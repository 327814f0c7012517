//! The figures of a rule version: income, bands, amounts, each with where it stands.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::money::Soum;

/// A figure and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure<T> {
    /// The value.
    pub value: T,
    /// Where it stands; an assumption says so.
    pub source: String,
}

/// An amount from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatedAmount {
    /// First day.
    pub from: Date,
    /// The amount.
    pub soum: Soum,
    /// Where it stands.
    pub source: String,
}

/// What counts as income.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncomeRules {
    /// Full months before the application.
    pub months: Figure<u32>,
    /// Kinds of benefit that do not count.
    pub uncounted_benefits: Figure<Vec<String>>,
}

/// Whether a limit still belongs to the band that it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Income below the limit.
    Below,
    /// Income up to the limit, the limit included.
    UpTo,
}

/// Which families a band is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// No member is able to work.
    NobodyAble,
    /// A member is able to work.
    SomebodyAble,
    /// Either.
    Any,
}

/// A band of income and the support that it brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Category of family, such as `poor-family`.
    pub category: String,
    /// Whether the upper limit belongs to the band.
    pub limit: Limit,
    /// Upper limit in percent of the minimum consumer expenditure.
    pub percent: u32,
    /// Which families it is for.
    pub work: Work,
    /// Share of the full benefit in percent.
    pub share_percent: u32,
    /// Months of support.
    pub months: u32,
    /// On what condition.
    pub condition: Option<String>,
    /// Where it stands.
    pub source: String,
}

/// The amounts of the benefit from a day on, soum a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenefitAmounts {
    /// First day.
    pub from: Date,
    /// A first child, where any child is younger than [`BenefitAmounts::young_under_age`].
    pub young_child_soum: Soum,
    /// Below this age in years a child is young.
    pub young_under_age: i16,
    /// A first child otherwise.
    pub first_child_soum: Soum,
    /// Added for the second child.
    pub second_child_soum: Soum,
    /// Added for each further child.
    pub further_child_soum: Soum,
    /// Material aid to a family without children.
    pub without_children_soum: Soum,
    /// Where they stand.
    pub source: String,
}
