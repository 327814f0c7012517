//! Names of keys: what for, of which retention class, of which year.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Characters of a class's code; it stands in file names and records.
const CLASS_MAX_BYTES: usize = 32;
const USUAL: &str = "exchange";

/// A retention class: evidence of one class and year is kept and erased together. Text form: a
/// lower-case letter, then lower-case letters and digits, 32 at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(Arc<str>);

/// The text is not a retention class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a retention class is a lower-case letter, then lower-case letters and digits, 32 at most")]
pub struct NotAClass;

impl Class {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the class `exchange`, of everything that is in no other class.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        self.as_str() == USUAL
    }
}

impl Default for Class {
    fn default() -> Self {
        Self(USUAL.into())
    }
}

impl FromStr for Class {
    type Err = NotAClass;

    fn from_str(text: &str) -> Result<Self, NotAClass> {
        let letter = text.starts_with(|first: char| first.is_ascii_lowercase());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = letter && text.len() <= CLASS_MAX_BYTES && text.bytes().all(plain);
        if fits { Ok(Self(text.into())) } else { Err(NotAClass) }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUse {
    /// Sealing evidence of a retention class.
    Evidence(Class),
    /// Pseudonyms of people.
    Pseudonym,
}

/// One key. Text form: `evidence-2026`, `evidence-payment-2026`, `pseudonym-2026`; the name of its
/// file and of the acts that destroy it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// What it is for.
    pub key_use: KeyUse,
    /// The calendar year.
    pub year: i16,
}

/// The text is not the name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key: `evidence-YEAR`, `evidence-CLASS-YEAR` or `pseudonym-YEAR` is expected")]
pub struct NotAKeyName;

impl KeyName {
    /// The key that seals evidence of a class and year.
    #[must_use]
    pub fn evidence(class: &Class, year: i16) -> Self {
        Self { key_use: KeyUse::Evidence(class.clone()), year }
    }

    /// The key of a year's pseudonyms.
    #[must_use]
    pub fn pseudonym(year: i16) -> Self {
        Self { key_use: KeyUse::Pseudonym, year }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key_use {
            KeyUse::Pseudonym => f.write_str("pseudonym")?,
            KeyUse::Evidence(class) if class.is_usual() => f.write_str("evidence")?,
            KeyUse::Evidence(class) => write!(f, "evidence-{class}")?,
        }
        write!(f, "-{:04}", self.year)
    }
}

impl FromStr for KeyName {
    type Err = NotAKeyName;

    fn from_str(text: &str) -> Result<Self, NotAKeyName> {
        let (before, year) = text.rsplit_once('-').ok_or(NotAKeyName)?;
        let year = year.parse().map_err(|_| NotAKeyName)?;
        let name = match before.split_once('-') {
            None if before == "pseudonym" => Self::pseudonym(year),
            None if before == "evidence" => Self::evidence(&Class::default(), year),
            Some(("evidence", class)) => {
                Self::evidence(&class.parse().map_err(|_| NotAKeyName)?, year)
            }
            _ => return Err(NotAKeyName),
        };
        // One key has one name.
        if name.to_string() == text { Ok(name) } else { Err(NotAKeyName) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name() {
        for good in ["evidence-2026", "evidence-payment2-2026", "pseudonym-2026"] {
            assert_eq!(good.parse::<KeyName>().unwrap().to_string(), good);
        }
        for bad in [
            "evidence-exchange-2026",
            "evidence--2026",
            "evidence-Payment-2026",
            "evidence-a-b-2026",
            "evidence-2-2026",
            "pseudonym-payment-2026",
            "evidence-26",
            "evidence-+2026",
            "evidence",
            "2026",
        ] {
            assert_eq!(bad.parse::<KeyName>(), Err(NotAKeyName), "{bad}");
        }
        assert!("a".repeat(33).parse::<Class>().is_err());
    }
}
