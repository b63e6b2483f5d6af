//! Numbers as people read them.
//!
//! Invariant: what is shown is never more exact than what was measured.

/// A duration in two units at most: `0.4s`, `12s`, `3m05s`, `2h04m`, `5d03h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..10 => format!("{seconds:.1}s"),
        10..60 => format!("{whole}s"),
        60..3_600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3_600..86_400 => format!("{}h{:02}m", whole / 3_600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole / 3_600 % 24),
    }
}

/// A short time: `850ns`, `12.3us`, `4.5ms`, `1.2s`; `-` for none.
#[must_use]
pub fn latency(seconds: f64) -> String {
    let nanoseconds = seconds * 1e9;
    match nanoseconds {
        n if n <= 0.0 => "-".into(),
        n if n < 1e3 => format!("{n:.0}ns"),
        n if n < 1e6 => format!("{:.1}us", n / 1e3),
        n if n < 1e9 => format!("{:.1}ms", n / 1e6),
        n => format!("{:.1}s", n / 1e9),
    }
}

/// A rate: whole numbers, or one digit more below 10.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second == 0.0 || per_second >= 10.0 {
        format!("{per_second:.0}")
    } else {
        format!("{per_second:.1}")
    }
}

/// A part of a whole in percent; `-` of nothing.
#[must_use]
pub fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1}%", 100.0 * part / whole) } else { "-".into() }
}

/// The speed of a link: `100M`, `10G`.
#[must_use]
pub fn speed(bits: u64) -> String {
    match bits {
        bits if bits >= 1_000_000_000 && bits.is_multiple_of(1_000_000_000) => {
            format!("{}G", bits / 1_000_000_000)
        }
        bits => format!("{}M", bits / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let shown = [0.04, 9.95, 12.7, 185.0, 7_440.0, 442_800.0].map(duration);
        assert_eq!(shown, ["0.0s", "9.9s", "12s", "3m05s", "2h04m", "5d03h"].map(|text| text.to_owned()));
    }

    #[test]
    fn other_numbers() {
        let shown = [0.0, 850e-9, 12.34e-6, 0.0045, 1.2].map(latency);
        assert_eq!(shown, ["-", "850ns", "12.3us", "4.5ms", "1.2s"].map(|text| text.to_owned()));
        assert_eq!(
            [0.0, 0.25, 9.9, 1234.5].map(rate),
            ["0", "0.2", "9.9", "1234"].map(|text| text.to_owned())
        );
        assert_eq!((percent(1.0, 3.0), percent(0.0, 0.0)), ("33.3%".into(), "-".into()));
        assert_eq!((speed(10_000_000_000), speed(2_500_000_000)), ("10G".into(), "2500M".into()));
    }
}
