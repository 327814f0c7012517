//! Money in whole soum, and the whole numbers of an arithmetic step.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The largest integer that every JSON reader keeps exactly (RFC 7493 §2.2): 2^53 − 1.
const EXACT_MAX: u64 = 9_007_199_254_740_991;

/// An amount in soum, 0 to 2^53 − 1. A number outside is refused when it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Soum(u64);

impl Soum {
    /// The amount; `None` above 2^53 − 1.
    #[must_use]
    pub fn new(amount: u64) -> Option<Self> {
        (amount <= EXACT_MAX).then_some(Self(amount))
    }

    /// The amount in soum.
    #[must_use]
    pub fn amount(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Soum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = u64::deserialize(deserializer)?;
        Self::new(amount).ok_or_else(|| de::Error::custom("an amount lies above 2^53 - 1 soum"))
    }
}

impl fmt::Display for Soum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(u128::from(self.0)))
    }
}

/// A whole number of an arithmetic step. JSON: an integer up to 2^53 − 1, a decimal text above, so
/// that canonical JSON (which knows doubles only) never rounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u128);

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(u128::from(value))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(small) if small <= EXACT_MAX => serializer.serialize_u64(small),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Integer(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Integer(small) => Ok(small.into()),
            Form::Text(text) => text.parse().map(Self).map_err(de::Error::custom),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(self.0))
    }
}

/// Digits in groups of three with spaces, `1 250 000`.
#[must_use]
pub fn grouped(value: u128) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        let texts = [0, 999, 1_000, 635_000, 1_250_000].map(grouped);
        assert_eq!(texts, ["0", "999", "1 000", "635 000", "1 250 000"]);
    }

    #[test]
    fn amounts_that_json_could_round_are_refused() {
        assert!(serde_json::from_str::<Soum>("9007199254740991").is_ok());
        for bad in ["9007199254740992", "-1", "1.5"] {
            assert!(serde_json::from_str::<Soum>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn large_numbers_of_a_step_keep_every_digit() {
        for value in [0, u128::from(EXACT_MAX), u128::from(EXACT_MAX) + 1, u128::MAX] {
            let text = serde_json_canonicalizer::to_string(&Number(value)).unwrap();
            assert_eq!(serde_json::from_str::<Number>(&text).unwrap(), Number(value));
        }
    }
}
