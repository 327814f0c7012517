//! The calendar of working days, as dated data.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use serde::Deserialize;

use super::NotAllowed;
use crate::rules::{Figure, RuleError};

const FILE: &str = "calendar.toml";
const CALENDAR: &str = include_str!("../../rules/calendar.toml");

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    first_year: i16,
    last_year: i16,
    weekend: Figure<Vec<String>>,
    moved_from_weekend: Figure<bool>,
    every_year: Vec<EveryYear>,
    day_off: Vec<DayOff>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "name and source are for the reader of the file, and must be there")]
struct EveryYear {
    month: i8,
    day: i8,
    name: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "name and source are for the reader of the file, and must be there")]
struct DayOff {
    on: Date,
    name: String,
    source: String,
}

/// Which days are working days, for the years that somebody has entered.
#[derive(Clone, Debug)]
pub struct Calendar {
    years: std::ops::RangeInclusive<i16>,
    weekend: Vec<Weekday>,
    days_off: BTreeSet<Date>,
}

impl Calendar {
    /// The calendar that this build brings along.
    ///
    /// # Errors
    /// [`RuleError::Faulty`] when the file is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, RuleError> {
        Self::read(CALENDAR)
    }

    fn read(text: &str) -> Result<Self, RuleError> {
        let faulty = |fault: String| RuleError::Faulty { file: FILE, fault };
        let file: CalendarFile = toml::from_str(text).map_err(|fault| faulty(fault.to_string()))?;
        let years = file.first_year..=file.last_year;
        let weekend: Option<Vec<Weekday>> =
            file.weekend.value.iter().map(|name| weekday(name)).collect();
        let weekend = weekend.filter(|days| days.len() < 7);
        let weekend =
            weekend.ok_or_else(|| faulty("weekend names fewer than 7 days".to_owned()))?;
        let mut holidays: BTreeSet<Date> = file.day_off.iter().map(|day| day.on).collect();
        if let Some(foreign) = holidays.iter().find(|day| !years.contains(&day.year())) {
            return Err(faulty(format!("{foreign} lies outside the years of the calendar")));
        }
        for year in years.clone() {
            for day in &file.every_year {
                let date = Date::new(year, day.month, day.day);
                holidays.insert(date.map_err(|fault| faulty(fault.to_string()))?);
            }
        }
        let mut calendar = Self { years, weekend, days_off: holidays.clone() };
        if file.moved_from_weekend.value {
            holidays.into_iter().for_each(|holiday| calendar.move_from_weekend(holiday));
        }
        Ok(calendar)
    }

    /// Whether public offices work on `day`.
    ///
    /// # Errors
    /// [`NotAllowed::NoCalendar`] for a year that nobody has entered.
    pub fn is_working_day(&self, day: Date) -> Result<bool, NotAllowed> {
        if !self.years.contains(&day.year()) {
            return Err(NotAllowed::NoCalendar { year: day.year() });
        }
        Ok(!self.is_weekend(day) && !self.days_off.contains(&day))
    }

    /// The day on which `count` working days have passed; the day of the event does not count.
    ///
    /// # Errors
    /// As [`Calendar::is_working_day`].
    pub fn after_working_days(&self, event: Date, count: u32) -> Result<Date, NotAllowed> {
        let mut day = event;
        let mut left = count;
        while left > 0 {
            day = day.tomorrow().map_err(|_| NotAllowed::NoCalendar { year: day.year() })?;
            left -= u32::from(self.is_working_day(day)?);
        }
        Ok(day)
    }

    /// The last working day on or before `day`.
    ///
    /// # Errors
    /// As [`Calendar::is_working_day`].
    pub fn working_day_by(&self, day: Date) -> Result<Date, NotAllowed> {
        let mut day = day;
        while !self.is_working_day(day)? {
            day = day.yesterday().map_err(|_| NotAllowed::NoCalendar { year: day.year() })?;
        }
        Ok(day)
    }

    /// A holiday on a weekend makes the next working day a day off.
    fn move_from_weekend(&mut self, holiday: Date) {
        if !self.is_weekend(holiday) {
            return;
        }
        let later = std::iter::successors(holiday.tomorrow().ok(), |day| day.tomorrow().ok());
        let mut free = later.filter(|day| !self.is_weekend(*day) && !self.days_off.contains(day));
        let moved = free.next();
        self.days_off.extend(moved);
    }

    fn is_weekend(&self, day: Date) -> bool {
        self.weekend.contains(&day.weekday())
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: fn(i16, i8, i8) -> Date = Date::constant;

    #[test]
    fn three_working_days_pass_over_weekend_holidays_and_a_moved_one() {
        let calendar = Calendar::built_in().unwrap();
        let after = |day| calendar.after_working_days(day, 3).unwrap();
        assert_eq!(after(DAY(2026, 2, 2)), DAY(2026, 2, 5));
        assert_eq!(after(DAY(2026, 2, 5)), DAY(2026, 2, 10));
        // Friday 20 March is Roʻza hayit, Saturday 21 March Navroʻz, which moves to Monday the 23rd.
        assert_eq!(after(DAY(2026, 3, 18)), DAY(2026, 3, 25));
        // Sunday 8 March moves to Monday the 9th.
        assert_eq!(after(DAY(2026, 3, 5)), DAY(2026, 3, 11));
    }

    #[test]
    fn a_year_that_nobody_entered_is_refused() {
        let calendar = Calendar::built_in().unwrap();
        let beyond = calendar.after_working_days(DAY(2027, 12, 30), 3);
        assert_eq!(beyond, Err(NotAllowed::NoCalendar { year: 2028 }));
        assert!(calendar.is_working_day(DAY(2024, 12, 31)).is_err());
    }

    #[test]
    fn a_faulty_calendar_is_refused() {
        let faulty = |text: String| matches!(Calendar::read(&text), Err(RuleError::Faulty { .. }));
        assert!(!faulty(CALENDAR.to_owned()));
        assert!(faulty(CALENDAR.replace("saturday", "caturday")));
        assert!(faulty(CALENDAR.replace("2026-05-27", "2036-05-27")));
        assert!(faulty(CALENDAR.replacen("day = 1", "day = 32", 1)));
        assert!(faulty(format!("colour = 1\n{CALENDAR}")));
    }
}
