//! The scales of a needs assessment, as data: Barthel (self-care) and Lawton (running a household).

use std::collections::BTreeMap;

use schemas::digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::redact::redact;
use crate::rules::{Figure, RuleError};

const FILE: &str = "needs-scales.toml";
const TEXT: &str = include_str!("../../rules/needs-scales.toml");

/// Points by item.
pub type Points = BTreeMap<String, u16>;

/// One item of a scale.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its code.
    pub code: String,
    /// The points that can be given, rising.
    pub points: Vec<u16>,
}

/// A scale.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Where it stands.
    pub source: String,
    /// Its items.
    pub items: Vec<Item>,
}

/// Both scales and the figures of a case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scales {
    /// From this total on a person is independent.
    pub independent_from: Figure<u16>,
    /// Working days from the assessment to the decision.
    pub decision_working_days: Figure<u32>,
    /// Hours in which an offer is accepted.
    pub acceptance_hours: Figure<u64>,
    /// Months between two visits.
    pub visit_months: Figure<i32>,
    /// Months abroad after which a person is removed.
    pub abroad_months: Figure<i32>,
    /// Members of the multidisciplinary group, at least.
    pub group_members: Figure<usize>,
    /// Self-care.
    pub barthel: Scale,
    /// Running a household.
    pub lawton: Scale,
    /// SHA-256 of the file that these were read from.
    #[serde(skip, default = "no_digest")]
    pub digest: Sha256,
}

fn no_digest() -> Sha256 {
    Sha256([0; 32])
}

/// The result of a needs assessment, with the scales that it was weighed by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Sum of the Barthel items.
    pub barthel: u16,
    /// Sum of the Lawton items.
    pub lawton: u16,
    /// Both.
    pub total: u16,
    /// Whether the person is independent, which refuses services.
    pub independent: bool,
    /// SHA-256 of the scales.
    pub scales: Sha256,
}
redact!(Needs);

/// Why points are refused. Names the item, never the points of a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointsRefused {
    /// An item has no points.
    #[error("the {scale} scale needs points for `{item}`; assess it and send all items")]
    Missing {
        /// The scale.
        scale: &'static str,
        /// The item.
        item: String,
    },
    /// An item is not of the scale.
    #[error("points are given for something that the {scale} scale does not have; leave it out")]
    Unknown {
        /// The scale.
        scale: &'static str,
    },
    /// The points are not on the scale.
    #[error("the {scale} scale gives `{item}` one of {allowed:?} points; choose one of them")]
    NotOnScale {
        /// The scale.
        scale: &'static str,
        /// The item.
        item: String,
        /// What can be given.
        allowed: Vec<u16>,
    },
}

impl Scales {
    /// The scales that this build brings along.
    ///
    /// # Errors
    /// [`RuleError::Faulty`] when the file is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, RuleError> {
        Self::read(TEXT)
    }

    fn read(text: &str) -> Result<Self, RuleError> {
        let faulty = |fault: String| RuleError::Faulty { file: FILE.to_owned(), fault };
        let mut scales: Self = toml::from_str(text).map_err(|fault| faulty(fault.to_string()))?;
        let most = scales.barthel.most().saturating_add(scales.lawton.most());
        if scales.independent_from.value > most {
            return Err(faulty("nobody can reach the points of independence".to_owned()));
        }
        scales.digest = Sha256::of(text.as_bytes());
        Ok(scales)
    }

    /// Weighs the points of both scales.
    ///
    /// # Errors
    /// [`PointsRefused`] names the first item that is missing or wrong.
    pub fn weigh(&self, barthel: &Points, lawton: &Points) -> Result<Needs, PointsRefused> {
        let barthel = self.barthel.sum("Barthel", barthel)?;
        let lawton = self.lawton.sum("Lawton", lawton)?;
        let total = barthel.saturating_add(lawton);
        let independent = total >= self.independent_from.value;
        Ok(Needs { barthel, lawton, total, independent, scales: self.digest })
    }
}

impl Scale {
    /// The most points that can be reached.
    #[must_use]
    pub fn most(&self) -> u16 {
        let most = self.items.iter().filter_map(|item| item.points.iter().max());
        most.fold(0, |sum, points| sum.saturating_add(*points))
    }

    fn sum(&self, scale: &'static str, points: &Points) -> Result<u16, PointsRefused> {
        let mut sum = 0_u16;
        for item in &self.items {
            let missing = || PointsRefused::Missing { scale, item: item.code.clone() };
            let given = points.get(&item.code).ok_or_else(missing)?;
            if !item.points.contains(given) {
                let (item, allowed) = (item.code.clone(), item.points.clone());
                return Err(PointsRefused::NotOnScale { scale, item, allowed });
            }
            sum = sum.saturating_add(*given);
        }
        if points.len() > self.items.len() {
            return Err(PointsRefused::Unknown { scale });
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(scale: &Scale) -> Points {
        let most = |item: &Item| (item.code.clone(), *item.points.iter().max().unwrap());
        scale.items.iter().map(most).collect()
    }

    #[test]
    fn full_points_are_116_and_independent_and_one_less_is_not() {
        let scales = Scales::built_in().unwrap();
        assert_eq!((scales.barthel.items.len(), scales.lawton.items.len()), (10, 8));
        let (barthel, mut lawton) = (full(&scales.barthel), full(&scales.lawton));
        let needs = scales.weigh(&barthel, &lawton).unwrap();
        assert_eq!((needs.barthel, needs.lawton, needs.total), (100, 16, 116));
        assert!(needs.independent);
        lawton.insert("finances".to_owned(), 1);
        assert!(!scales.weigh(&barthel, &lawton).unwrap().independent);
    }

    #[test]
    fn missing_unknown_and_impossible_points_are_refused_by_item() {
        let scales = Scales::built_in().unwrap();
        let (barthel, lawton) = (full(&scales.barthel), full(&scales.lawton));
        let mut less = barthel.clone();
        less.remove("stairs");
        let refused = scales.weigh(&less, &lawton).unwrap_err();
        assert_eq!(refused, PointsRefused::Missing { scale: "Barthel", item: "stairs".into() });
        let mut odd = barthel.clone();
        odd.insert("feeding".to_owned(), 7);
        let refused = scales.weigh(&odd, &lawton).unwrap_err();
        assert!(matches!(refused, PointsRefused::NotOnScale { item, .. } if item == "feeding"));
        let mut more = lawton.clone();
        more.insert("singing".to_owned(), 1);
        let refused = scales.weigh(&barthel, &more).unwrap_err();
        assert_eq!(refused, PointsRefused::Unknown { scale: "Lawton" });
    }

    #[test]
    fn a_limit_that_nobody_reaches_is_a_faulty_file() {
        let text = TEXT.replace("value = 116", "value = 117");
        assert!(matches!(Scales::read(&text), Err(RuleError::Faulty { .. })));
    }
}
