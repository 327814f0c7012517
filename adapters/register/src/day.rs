//! The day in Tashkent, which decides figures, deadlines and ages.

use std::time::Duration;

use jiff::civil::Date;
use schemas::clock::UnixMillis;

use crate::application::calendar::Calendar;

/// The day in Tashkent at a moment: UTC+5 all year.
///
/// ```
/// use schemas::clock::UnixMillis;
/// let evening = UnixMillis::from_rfc3339("2026-03-01T19:00:00Z").unwrap();
/// assert_eq!(register::day::tashkent_day(evening).to_string(), "2026-03-02");
/// ```
#[must_use]
pub fn tashkent_day(at: UnixMillis) -> Date {
    let text = at.plus(Duration::from_secs(5 * 3600)).to_rfc3339();
    // Safe because: RFC 3339 begins with the ten characters of a date.
    text.get(..10).and_then(|date| date.parse().ok()).unwrap_or(Date::MAX)
}

/// What counts working days: weekends and holidays are the calendar's knowledge.
pub trait WorkingDays: Send + Sync {
    /// The last day of a term of `count` working days that begins after `day`.
    fn after(&self, day: Date, count: u32) -> Date;
}

/// Monday to Friday, without holidays: for tests, and where no calendar is known.
#[derive(Clone, Copy, Debug)]
pub struct Weekdays;

impl WorkingDays for Weekdays {
    fn after(&self, day: Date, count: u32) -> Date {
        let mut day = day;
        let mut left = count;
        while left > 0 {
            let Ok(next) = day.tomorrow() else { return day };
            day = next;
            if day.weekday().to_monday_one_offset() <= 5 {
                left -= 1;
            }
        }
        day
    }
}

/// With the holidays; in a year that nobody has entered yet, without.
impl WorkingDays for Calendar {
    fn after(&self, day: Date, count: u32) -> Date {
        self.after_working_days(day, count).unwrap_or_else(|_| Weekdays.after(day, count))
    }
}

/// `months` after `day`; the last day of the month where it is shorter.
pub(crate) fn months_after(day: Date, months: i32) -> Date {
    day.checked_add(jiff::Span::new().months(months)).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_passes_over_weekends() {
        let day = Date::constant;
        // 6 March 2026 is a Friday.
        assert_eq!(Weekdays.after(day(2026, 3, 6), 1), day(2026, 3, 9));
        assert_eq!(Weekdays.after(day(2026, 3, 7), 5), day(2026, 3, 13));
        assert_eq!(months_after(day(2026, 8, 31), 6), day(2027, 2, 28));
    }
}
