//! A calendar month, and the window of months whose income counts.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A calendar month. Text form: `YYYY-MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Date,
}

/// The text is not a month `YYYY-MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a month: write YYYY-MM")]
pub struct NotAMonth;

impl Month {
    /// The month that `day` lies in.
    #[must_use]
    pub fn of(day: Date) -> Self {
        Self { first: day.first_of_month() }
    }

    /// The month before; the first month of the calendar stays.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::of(self.first.yesterday().unwrap_or(self.first))
    }

    /// The month after; the last month of the calendar stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.last_day().tomorrow().unwrap_or(self.first))
    }

    /// The month `count` months later.
    #[must_use]
    pub fn plus(self, count: u32) -> Self {
        (0..count).fold(self, |month, _| month.next())
    }

    /// The first day.
    #[must_use]
    pub fn first_day(self) -> Date {
        self.first
    }

    /// The last day.
    #[must_use]
    pub fn last_day(self) -> Date {
        self.first.last_of_month()
    }

    /// The last `count` full months before `day`, oldest first.
    #[must_use]
    pub fn window_before(day: Date, count: u32) -> Vec<Self> {
        let before = |month: &Self| Some(month.previous());
        let newest = Self::of(day).previous();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut months: Vec<Self> =
            std::iter::successors(Some(newest), before).take(count).collect();
        months.reverse();
        months
    }

    /// Whether the span `from..=to` (open-ended when `to` is absent) touches this month.
    #[must_use]
    pub fn touches(self, from: Date, to: Option<Date>) -> bool {
        from <= self.last_day() && to.is_none_or(|to| to >= self.first_day())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(NotAMonth);
        }
        let year = year.parse().map_err(|_| NotAMonth)?;
        let month = month.parse().map_err(|_| NotAMonth)?;
        Date::new(year, month, 1).map(|first| Self { first }).map_err(|_| NotAMonth)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_is_the_last_full_months_before_the_day() {
        let window = Month::window_before(Date::constant(2026, 3, 2), 3);
        let texts: Vec<String> = window.iter().map(Month::to_string).collect();
        assert_eq!(texts, ["2025-12", "2026-01", "2026-02"]);
    }

    #[test]
    fn month_text_round_trips_and_other_texts_are_refused() {
        assert_eq!("2026-02".parse::<Month>().unwrap().to_string(), "2026-02");
        for bad in ["2026-13", "2026-2", "26-02", "2026-02-01", "-026-01", "2026-+2"] {
            assert_eq!(bad.parse::<Month>(), Err(NotAMonth), "{bad}");
        }
    }

    #[test]
    fn a_span_touches_the_months_it_has_a_day_in() {
        let february: Month = "2026-02".parse().unwrap();
        let day = Date::constant;
        assert!(february.touches(day(2026, 2, 28), None));
        assert!(!february.touches(day(2026, 3, 1), None));
        assert!(february.touches(day(2020, 1, 1), Some(day(2026, 2, 1))));
        assert!(!february.touches(day(2020, 1, 1), Some(day(2026, 1, 31))));
    }
}
