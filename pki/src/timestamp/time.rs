//! GeneralizedTime as timestamps have it: UTC with seconds, and a fraction where there is one
//! (RFC 3161 §2.4.2).

use schemas::clock::UnixMillis;

/// `20260302101500.25Z`; no fraction that is zero, no zero at its end.
pub(super) fn write(at: UnixMillis) -> String {
    at.to_rfc3339().chars().filter(|c| !matches!(c, '-' | ':' | 'T')).collect()
}

/// Reads what [`write`] writes; `None` for every other spelling of a time.
pub(super) fn read(bytes: &[u8]) -> Option<UnixMillis> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (seconds, fraction) = text.split_at_checked(14)?;
    if !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.strip_suffix('Z')?;
    if !digits.is_empty() {
        let digits = digits.strip_prefix('.')?;
        let well_formed = digits.bytes().all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.ends_with('0') || !well_formed {
            return None;
        }
    }
    let part = |range| seconds.get(range).unwrap_or_default();
    UnixMillis::from_rfc3339(&format!(
        "{}-{}-{}T{}:{}:{}{fraction}",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_and_other_spellings_are_refused() {
        for (text, ms) in [
            ("20260302101500.25Z", 1_772_446_500_250),
            ("20260302101500Z", 1_772_446_500_000),
            ("19700101000000Z", 0),
        ] {
            assert_eq!(read(text.as_bytes()), Some(UnixMillis(ms)));
            assert_eq!(write(UnixMillis(ms)), text);
        }
        for refused in [
            "",
            "20260302101500",
            "20260302101500.Z",
            "20260302101500.250Z",
            "20260302101500+0500",
            "202603021015Z",
            "20261302101500Z",
            "2026030210150,5Z",
            "20260302101500.2.5Z",
            "+0260302101500Z",
        ] {
            assert_eq!(read(refused.as_bytes()), None, "{refused}");
        }
    }
}
