//! Times as people read them.
//!
//! Invariant: UTC, of which every day has 86400 seconds.

/// `2026-11-27 20:43:36.123456`, of nanoseconds since 1970.
pub(super) fn text(time: u64) -> String {
    let (seconds, micros) = (time / 1_000_000_000, time / 1000 % 1_000_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// Year, month and day of a number of days since 1970. Years are counted from March, so that leap days are their last.
fn date(days: u64) -> (u64, u64, u64) {
    const OF_400_YEARS: u64 = 146_097;
    // From 1 March of the year 0.
    let days = days + 719_468;
    let (era, of_era) = (days / OF_400_YEARS, days % OF_400_YEARS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// `1.234 ms`, of nanoseconds.
pub(super) fn span(time: u64) -> String {
    match time {
        0..1_000_000 => format!("{:.3} ms", time as f64 / 1e6),
        1_000_000..1_000_000_000 => format!("{:.1} ms", time as f64 / 1e6),
        _ => format!("{:.2} s", time as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // As `date -u -d @N` says.
        for (seconds, wanted) in [
            (0, "1970-01-01 00:00:00.000000"),
            (951_782_399, "2000-02-28 23:59:59.000000"),
            (951_782_400, "2000-02-29 00:00:00.000000"),
            (1_709_251_199, "2024-02-29 23:59:59.000000"),
            (1_798_761_599, "2026-12-31 23:59:59.000000"),
            (4_107_542_400, "2100-03-01 00:00:00.000000"),
        ] {
            assert_eq!(text(seconds * 1_000_000_000), wanted);
        }
        assert_eq!(text(1_123_456_789), "1970-01-01 00:00:01.123456");
    }

    #[test]
    fn spans_have_their_units() {
        assert_eq!(
            [0, 1_500, 2_340_000, 61_000_000_000].map(span),
            ["0.000 ms", "0.002 ms", "2.3 ms", "61.00 s"]
        );
    }
}
