//! The tables for people.
//!
//! Invariant: a number that was not measured is a dash, never zero.

use super::Row;
use std::fmt::Write as _;

/// A number with a thousands mark, three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// The tables, and what the scenarios have to say beyond them.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<17} {:>9} {:<16} {:>9} {:>7} {:>9} {:>8} {:>7} {:>7} {:>7} {:>9} {:>9} {:>7} {:>8} {:>8} {:>6}",
        "scenario",
        "held",
        "unit",
        "saturated",
        "failed",
        "cycles/op",
        "pkts/op",
        "server",
        "client",
        "bound",
        "alone",
        "cpu lost",
        "wrong",
        "nginx",
        "haproxy",
        "ratio"
    );
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    for row in rows {
        let _ = writeln!(
            text,
            "{:<17} {:>9} {:<16} {:>9} {:>7} {:>9} {:>8} {:>7} {:>7} {:>7} {:>9} {:>9} {:>7} {:>8} {:>8} {:>6}",
            row.scenario,
            short(row.value),
            row.unit,
            short(row.saturated),
            format!("{:.3}%", row.failures * 100.0),
            or_dash(row.cost.map(|cost| format!("{:.0}", cost.cycles))),
            or_dash(row.cost.map(|cost| format!("{:.2}", cost.packets))),
            percent(row.server_busy),
            percent(row.client_busy),
            row.bound,
            or_dash(row.alone.map(short)),
            percent(row.cpu_lost),
            row.wrong,
            or_dash(row.nginx.map(short)),
            or_dash(row.haproxy.map(short)),
            or_dash(row.ratio.map(|ratio| format!("{ratio:.1}x"))),
        );
    }
    let _ = writeln!(
        text,
        "\n{:<17} {:>6} {:>10} {:>10} {:>10}  microseconds from the intended time",
        "latency", "load", "p50", "p99", "p99.9"
    );
    for row in rows {
        for latency in &row.latency {
            let _ = writeln!(
                text,
                "{:<17} {:>6} {:>10.1} {:>10.1} {:>10.1}",
                row.scenario,
                percent(latency.share),
                latency.p50_us,
                latency.p99_us,
                latency.p999_us
            );
        }
    }
    if rows.iter().any(|row| row.share.is_some()) {
        text.push('\n');
    }
    for row in rows {
        let Some(share) = row.share else { continue };
        let (name, mine, whole) = (row.scenario, short(row.value), short(share.value));
        let _ = writeln!(text, "{name:<17} {:>6} of {} ({mine} of {whole})", percent(share.share), share.of);
    }
    for detail in rows.iter().filter_map(|row| row.detail.as_ref()) {
        let _ = write!(text, "\n{detail}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::share;
    use super::super::tests::row;
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.5, 123.4, 12_345.0, 2_345_678.0].map(short), ["0.50", "123", "12.3 k", "2.35 M"]);
    }
    #[test]
    fn the_share_has_a_line_where_there_is_one() {
        let mut rows = [row(Scenario::Requests, 4e6), row(Scenario::ProxyRequests, 1e6)];
        assert!(!table(&rows).contains(" of "));
        rows[1].haproxy = Some(8e4);
        share(&mut rows, &[Scenario::Requests, Scenario::ProxyRequests]);
        let text = table(&rows);
        assert!(text.contains("\nproxy-requests       25% of requests (1.00 M of 4.00 M)\n"), "{text}");
        let line = text.lines().find(|line| line.starts_with("proxy-requests")).unwrap_or_default();
        assert!(line.ends_with(" -   80.0 k      -"), "{line}");
    }
}
