//! PINFL, the personal identifier of Uzbekistan: 14 digits with sex, date of birth and a check digit.
//!
//! d1 = sex and century (1/2 = male/female 1800s, 3/4 1900s, 5/6 2000s), d2–7 = DDMMYY,
//! d8–10 district, d11–13 serial, d14 = Σ dᵢ·wᵢ mod 10 with weights 7, 3, 1 repeating over d1..d13.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A valid PINFL. Its `Debug` shows the length only: it is personal data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pinfl([u8; 14]);

/// Sex as the PINFL and the civil registry state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Male.
    Male,
    /// Female.
    Female,
}

/// Why a text is not a PINFL. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPinfl {
    /// Not 14 characters.
    #[error("a PINFL has 14 digits")]
    Length,
    /// A character that is no digit.
    #[error("a PINFL has digits only")]
    Digits,
    /// First digit is not 1 to 6.
    #[error("the first digit of a PINFL is 1 to 6 (sex and century)")]
    Century,
    /// Digits 2 to 7 are no date.
    #[error("digits 2 to 7 of the PINFL are not a date DDMMYY")]
    Date,
    /// The check digit is wrong.
    #[error("the check digit of the PINFL is wrong")]
    CheckDigit,
}

impl Pinfl {
    /// Builds the PINFL of a person; for generators of synthetic people.
    ///
    /// # Errors
    /// [`NotAPinfl::Century`] when the year lies outside 1800–2099, [`NotAPinfl::Digits`] when
    /// `district` or `serial` has more than three digits.
    pub fn compose(sex: Sex, born: Date, district: u16, serial: u16) -> Result<Self, NotAPinfl> {
        if district > 999 || serial > 999 {
            return Err(NotAPinfl::Digits);
        }
        let century = match born.year() {
            1800..=1899 => 1,
            1900..=1999 => 3,
            2000..=2099 => 5,
            _ => return Err(NotAPinfl::Century),
        };
        let first = century + u8::from(sex == Sex::Female);
        let (day, month, year) = (born.day(), born.month(), born.year() % 100);
        let body = format!("{first}{day:02}{month:02}{year:02}{district:03}{serial:03}");
        let check = check_digit(body.as_bytes());
        format!("{body}{check}").parse()
    }

    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Safe because: only ASCII digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Sex from the first digit.
    #[must_use]
    pub fn sex(&self) -> Sex {
        if (self.0[0] - b'0').is_multiple_of(2) { Sex::Female } else { Sex::Male }
    }

    /// Date of birth from digits 1 to 7.
    #[must_use]
    pub fn born(&self) -> Date {
        // Safe because: parsing has checked the date.
        birth_date(&self.0).unwrap_or(Date::constant(1, 1, 1))
    }

    /// Completed years of age on `day`; negative before birth.
    #[must_use]
    pub fn age_on(&self, day: Date) -> i16 {
        let born = self.born();
        let had_birthday = (day.month(), day.day()) >= (born.month(), born.day());
        day.year() - born.year() - i16::from(!had_birthday)
    }
}

fn check_digit(first13: &[u8]) -> u32 {
    let weights = [7, 3, 1].into_iter().cycle();
    first13.iter().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>()
        % 10
}

fn birth_date(digits: &[u8; 14]) -> Option<Date> {
    let number = |a: usize| Some((digits.get(a)? - b'0') * 10 + (digits.get(a + 1)? - b'0'));
    let century: i16 = match digits[0] {
        b'1' | b'2' => 1800,
        b'3' | b'4' => 1900,
        b'5' | b'6' => 2000,
        _ => return None,
    };
    let (day, month, year) = (number(1)?, number(3)?, number(5)?);
    Date::new(century + i16::from(year), i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

impl FromStr for Pinfl {
    type Err = NotAPinfl;

    fn from_str(text: &str) -> Result<Self, NotAPinfl> {
        let digits: [u8; 14] = text.as_bytes().try_into().map_err(|_| NotAPinfl::Length)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(NotAPinfl::Digits);
        }
        if !(b'1'..=b'6').contains(&digits[0]) {
            return Err(NotAPinfl::Century);
        }
        birth_date(&digits).ok_or(NotAPinfl::Date)?;
        let (body, last) = digits.split_at(13);
        if last.iter().any(|check| u32::from(check - b'0') != check_digit(body)) {
            return Err(NotAPinfl::CheckDigit);
        }
        Ok(Self(digits))
    }
}

impl fmt::Display for Pinfl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Pinfl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinfl(14 digits)")
    }
}

impl Serialize for Pinfl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Pinfl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first three are official samples, the others the invented family of the worked example.
    const VALID: [&str; 9] = [
        "31210632040244",
        "31210932040247",
        "40201902050010",
        "31505850010011",
        "42007870010023",
        "50303140010034",
        "61206180010047",
        "62509240010052",
        "30101500010069",
    ];

    #[test]
    fn valid_samples_parse_and_print_unchanged() {
        for text in VALID {
            assert_eq!(text.parse::<Pinfl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_fault_has_its_own_reason() {
        assert_eq!("3150585001001".parse::<Pinfl>(), Err(NotAPinfl::Length));
        assert_eq!("3150585001001x".parse::<Pinfl>(), Err(NotAPinfl::Digits));
        assert_eq!("71505850010011".parse::<Pinfl>(), Err(NotAPinfl::Century));
        assert_eq!("33113850010011".parse::<Pinfl>(), Err(NotAPinfl::Date));
        assert_eq!("31505850010012".parse::<Pinfl>(), Err(NotAPinfl::CheckDigit));
    }

    #[test]
    fn parts_are_read_back() {
        let father: Pinfl = "31505850010011".parse().unwrap();
        assert_eq!(father.sex(), Sex::Male);
        assert_eq!(father.born(), Date::constant(1985, 5, 15));
        assert_eq!(father.age_on(Date::constant(2026, 3, 2)), 40);
        assert_eq!(Pinfl::compose(Sex::Male, father.born(), 1, 1), Ok(father));
    }

    #[test]
    fn debug_does_not_show_the_person() {
        assert!(!format!("{:?}", VALID[3].parse::<Pinfl>().unwrap()).contains("315"));
    }
}
