//! Moments and dates as they stand in messages: RFC 3339 with zone.

use schemas::clock::UnixMillis;

/// Reads RFC 3339 with zone, `2026-03-02T09:00:00+05:00`; `None` for everything else, also for the
/// wider forms of ISO 8601.
#[must_use]
pub fn moment(text: &str) -> Option<UnixMillis> {
    let bytes = text.as_bytes();
    let separated = matches!(bytes.get(10), Some(b'T' | b't')) && bytes.get(16) == Some(&b':');
    let zone = text.ends_with(['Z', 'z']) || bytes.iter().nth_back(2) == Some(&b':');
    if !separated || !zone || text.len() > 40 {
        return None;
    }
    UnixMillis::from_rfc3339(text)
}

/// The date of `YYYY-MM-DD` or of an RFC 3339 moment, as written there.
#[must_use]
pub fn date(text: &str) -> Option<String> {
    let date = text.get(..10)?;
    let whole = text.len() == 10 || moment(text).is_some();
    let parsed: jiff::civil::Date = date.parse().ok()?;
    (whole && parsed.to_string() == date).then(|| date.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_need_time_and_zone() {
        for good in ["2026-03-02T09:00:00+05:00", "2026-03-02T04:00:00Z", "2026-03-02T04:00:00.5Z"]
        {
            assert!(moment(good).is_some(), "{good}");
        }
        for bad in [
            "2026-03-02T09:00:00",
            "2026-03-02",
            "2026-03-02 09:00:00Z",
            "yesterday",
            "",
            "2026-03-02T09:00:00+05:00[Asia/Tashkent]",
            "2026-13-02T09:00:00Z",
            "20260302T090000Z",
        ] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_calendar_dates() {
        assert_eq!(date("1985-05-15").as_deref(), Some("1985-05-15"));
        assert_eq!(date("1985-05-15T00:00:00Z").as_deref(), Some("1985-05-15"));
        for bad in ["1985-02-30", "1985-5-15", "19850515", "1985-05-15T", "é985-05-1"] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }
}
