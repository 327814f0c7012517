//! The grounds of exclusion of a rule version, and the check of their conditions.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::answers::{Property, PropertyKind, Share, Title, Vehicle};
use crate::condition::Condition;
use crate::exclusion;

/// Which shares of a thing count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shares {
    /// Any share counts as the thing.
    #[default]
    Any,
    /// Only the whole thing counts; a share that could matter goes to the officer.
    Whole,
}

/// A ground of exclusion: enough records for which the condition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseRule {
    /// Which records count. The variables stand in `adapters/register/rules/README.md`.
    pub counts: Condition,
    /// How many of them exclude.
    pub least: u32,
    /// Which shares count.
    #[serde(default)]
    pub shares: Shares,
    /// The figure of the clause, `figure` in the condition.
    #[serde(default)]
    pub figure: u32,
    /// The clause in words.
    pub text: String,
    /// Where it stands.
    pub source: String,
}

/// The grounds of exclusion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusions {
    /// Dwellings.
    pub dwellings: ClauseRule,
    /// Non-residential property.
    pub non_residential: ClauseRule,
    /// Young vehicles.
    pub vehicle_age: ClauseRule,
    /// Several vehicles.
    pub vehicle_count: ClauseRule,
    /// Deposits of `figure` minimum wages.
    pub deposits: ClauseRule,
}

impl Exclusions {
    /// A fault of a condition: a name that its records do not have, or no answer of yes or no.
    pub(super) fn fault(&self) -> Option<String> {
        let property = |rule: &ClauseRule| exclusion::property_record(&specimen_property(), rule);
        let vehicle =
            |rule: &ClauseRule| exclusion::vehicle_record(&specimen_vehicle(), 2026, rule);
        let cases = [
            (&self.dwellings, property(&self.dwellings)),
            (&self.non_residential, property(&self.non_residential)),
            (&self.vehicle_age, vehicle(&self.vehicle_age)),
            (&self.vehicle_count, vehicle(&self.vehicle_count)),
            (&self.deposits, exclusion::deposit_record(true, &self.deposits)),
        ];
        cases.into_iter().find_map(|(rule, record)| {
            if rule.least == 0 {
                return Some("`least` must be at least 1".to_owned());
            }
            if let Some(name) = rule.counts.foreign_name(&record) {
                return Some(format!("the condition `{:?}` names `{name}`", rule.counts));
            }
            rule.counts.holds(record).err().map(|fault| fault.to_string())
        })
    }
}

fn specimen_property() -> Property {
    Property {
        cadastre_number: String::new(),
        kind: PropertyKind::Dwelling,
        share: Share { numerator: 1, denominator: 1 },
        address: String::new(),
        since: Date::MIN,
    }
}

fn specimen_vehicle() -> Vehicle {
    Vehicle {
        plate: String::new(),
        make: String::new(),
        year: 2020,
        working: true,
        title: Title::Owner,
        since: Date::MIN,
    }
}
