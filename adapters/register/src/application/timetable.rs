//! The days on which things are due, as data.

use jiff::civil::Date;
use serde::Deserialize;

use super::NotAllowed;
use super::calendar::Calendar;
use crate::month::Month;
use crate::rules::{Figure, RuleError};

const FILE: &str = "timetable.toml";
const TIMETABLE: &str = include_str!("../../rules/timetable.toml");

/// The file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    questionnaire_working_days: Figure<u32>,
    final_rating_working_days: Figure<u32>,
    counts_for_this_month_before: Figure<i8>,
    entry_closes_on: Figure<i8>,
    notice_by: Figure<i8>,
}

/// When what is due.
#[derive(Clone, Debug)]
pub struct Timetable {
    calendar: Calendar,
    figures: Figures,
}

impl Timetable {
    /// The timetable that this build brings along.
    ///
    /// # Errors
    /// [`RuleError::Faulty`] when a file is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, RuleError> {
        let faulty = |fault| RuleError::Faulty { file: FILE.to_owned(), fault };
        let figures: Figures =
            toml::from_str(TIMETABLE).map_err(|fault| faulty(fault.to_string()))?;
        let (cut, close) =
            (figures.counts_for_this_month_before.value, figures.entry_closes_on.value);
        // Every month has these days.
        let days = [cut, close, figures.notice_by.value];
        if !days.iter().all(|day| (1..=28).contains(day)) || cut > close {
            return Err(faulty("days of the month are 1 to 28, in order".to_owned()));
        }
        Ok(Self { calendar: Calendar::built_in()?, figures })
    }

    /// The month that an application of this day counts for.
    ///
    /// # Errors
    /// [`NotAllowed::EntryClosed`] from the 26th to the end of the month.
    pub fn counts_for(&self, filed_on: Date) -> Result<Month, NotAllowed> {
        let month = Month::of(filed_on);
        if filed_on.day() >= self.figures.entry_closes_on.value {
            return Err(NotAllowed::EntryClosed { opens: month.next().first_day() });
        }
        let this_month = filed_on.day() < self.figures.counts_for_this_month_before.value;
        Ok(if this_month { month } else { month.next() })
    }

    /// The last day for the home questionnaire.
    ///
    /// # Errors
    /// [`NotAllowed::NoCalendar`], as all days here.
    pub fn questionnaire_due(&self, filed_on: Date) -> Result<Date, NotAllowed> {
        self.calendar.after_working_days(filed_on, self.figures.questionnaire_working_days.value)
    }

    /// The last day for the final rating.
    ///
    /// # Errors
    /// [`NotAllowed::NoCalendar`].
    pub fn final_rating_due(&self, visited_on: Date) -> Result<Date, NotAllowed> {
        self.calendar.after_working_days(visited_on, self.figures.final_rating_working_days.value)
    }

    /// The last day for the notice of a decision.
    ///
    /// # Errors
    /// [`NotAllowed::NoCalendar`].
    pub fn notice_due(&self, decided_on: Date) -> Result<Date, NotAllowed> {
        let due = self.day_of(Month::of(decided_on).next(), self.figures.notice_by.value);
        // A decision on the days off before the 1st cannot be sent before it was made.
        Ok(self.calendar.working_day_by(due)?.max(decided_on))
    }

    /// The last day on which a family whose support ends with the month before `until` applies
    /// again without a gap.
    #[must_use]
    pub fn recertification_due(&self, until: Month) -> Date {
        self.day_of(until.previous(), self.figures.entry_closes_on.value - 1)
    }

    /// The first day on which a month can be closed for payment: entry has closed (I), so that
    /// applications of the day count for a later month.
    #[must_use]
    pub fn closing_from(&self, month: Month) -> Date {
        self.day_of(month, self.figures.entry_closes_on.value)
    }

    /// Whether public offices work on `day`.
    ///
    /// # Errors
    /// [`NotAllowed::NoCalendar`].
    pub fn is_working_day(&self, day: Date) -> Result<bool, NotAllowed> {
        self.calendar.is_working_day(day)
    }

    fn day_of(&self, month: Month, day: i8) -> Date {
        let first = month.first_day();
        // Safe because: every month has the days 1 to 28, and others were refused.
        Date::new(first.year(), first.month(), day).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: fn(i16, i8, i8) -> Date = Date::constant;

    #[test]
    fn the_cut_off_days_decide_the_month_and_close_the_entry() {
        let timetable = Timetable::built_in().unwrap();
        let month = |day| timetable.counts_for(DAY(2026, 12, day)).map(|month| month.to_string());
        assert_eq!(month(1), Ok("2026-12".to_owned()));
        assert_eq!(month(15), Ok("2026-12".to_owned()));
        assert_eq!(month(16), Ok("2027-01".to_owned()));
        assert_eq!(month(25), Ok("2027-01".to_owned()));
        let closed = Err(NotAllowed::EntryClosed { opens: DAY(2027, 1, 1) });
        assert_eq!((month(26), month(31)), (closed.clone(), closed));
    }

    #[test]
    fn the_notice_goes_out_by_the_first_or_the_working_day_before() {
        let timetable = Timetable::built_in().unwrap();
        let due = |day| timetable.notice_due(day).unwrap();
        assert_eq!(due(DAY(2026, 3, 30)), DAY(2026, 4, 1));
        // 1 February 2026 is a Sunday, 1 January a holiday.
        assert_eq!(due(DAY(2026, 1, 14)), DAY(2026, 1, 30));
        assert_eq!(due(DAY(2025, 12, 10)), DAY(2025, 12, 31));
        assert_eq!(due(DAY(2026, 1, 31)), DAY(2026, 1, 31));
    }
}
