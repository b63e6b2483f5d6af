//! What a run says: a table for people, JSON for programs.
//!
//! Invariant: a number that was not measured is absent, never zero.

use crate::detail::Detail;
use crate::run::Outcome;
use crate::scenario::{Scenario, Try, Watched};
use crate::wire::MSS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use Operations::{Counted, Done, Segments};

/// Below this share of its time, a side cannot have been the limit.
const BUSY: f64 = 0.6;

/// Latency at a share of the rate held, from the time operations were meant to begin.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) share: f64,
    pub(crate) failures: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl Latency {
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn new(share: f64, outcome: &Outcome, hz: u64) -> Self {
        let at = |quantile| outcome.latency.value_at_quantile(quantile) as f64 * 1e6 / hz as f64;
        Self { share, failures: outcome.failures(), p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999) }
    }
}

/// One scenario's result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) unit: &'static str,
    /// Highest rate held, or what was measured where nothing is searched for.
    pub(crate) value: f64,
    /// The rate with as much offered as the link takes.
    pub(crate) saturated: f64,
    /// Share of operations that failed at `value`.
    pub(crate) failures: f64,
    /// Answers whose content was wrong.
    pub(crate) wrong: u64,
    /// Which side was the limit, saturated.
    pub(crate) bound: &'static str,
    pub(crate) server_busy: f64,
    pub(crate) client_busy: f64,
    /// Share of the generator's turns in which the link was full: Millrace did not keep up.
    pub(crate) held_back: f64,
    /// Share of CPU time that either side wanted and did not get.
    pub(crate) cpu_lost: f64,
    /// What an operation costs Millrace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<Cost>,
    /// The generator against itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alone: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency: Vec<Latency>,
    /// The kernel's web server, for comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nginx: Option<f64>,
    /// The kernel's proxy, for comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) haproxy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// Of a proxy's scenario: beside what Millrace does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<Share>,
    /// What only this scenario has to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<Detail>,
}

/// Who says how many operations there were.
enum Operations {
    /// Millrace, by this metric.
    Counted(&'static str),
    /// The generator: those done.
    Done,
    /// The generator: payload, in full segments.
    Segments,
}

/// A proxy's figure beside that of the scenario without one, in which Millrace itself answers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Share {
    pub(crate) of: &'static str,
    /// What that held in this run.
    pub(crate) value: f64,
    pub(crate) share: f64,
}

/// What an operation costs Millrace: time in busy turns, divided.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) per: &'static str,
    pub(crate) nanoseconds: f64,
    pub(crate) cycles: f64,
    /// Packets in and out, for each operation.
    pub(crate) packets: f64,
}

impl Row {
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn new(scenario: Scenario, value: f64, top: &Try, watched: &Watched, hz: u64) -> Self {
        let (unit, per, operations) = match scenario {
            Scenario::Connections => ("connections/s", "connection", Counted("service_http_requests_total")),
            Scenario::Requests => ("requests/s", "request", Counted("service_http_requests_total")),
            Scenario::UdpEcho => {
                ("round trips/s", "datagram", Counted("service_udp_received_datagrams_total"))
            }
            Scenario::Drops => ("packets/s", "packet", Counted("port_rx_packets_total")),
            Scenario::Send => ("Gbit/s", "segment sent", Counted("port_tx_packets_total")),
            Scenario::Receive => ("Gbit/s", "segment received", Counted("port_rx_packets_total")),
            Scenario::Flood => ("connections/s", "packet", Counted("port_rx_packets_total")),
            // It does not look into what it joins.
            Scenario::ProxyConnections => ("connections/s", "connection", Done),
            Scenario::ProxyRequests => ("requests/s", "request", Done),
            Scenario::ProxyUdp => ("round trips/s", "datagram and its echo", Done),
            Scenario::ProxySend => ("Gbit/s", "full segment", Segments),
            Scenario::Memory | Scenario::Million => {
                ("bytes/connection", "request", Counted("service_http_requests_total"))
            }
        };
        let operations = match operations {
            Counted(name) => watched.grown(name),
            Done => watched.counts.done as f64,
            Segments => watched.counts.bytes as f64 / f64::from(MSS),
        };
        let packets = watched.grown("port_rx_packets_total") + watched.grown("port_tx_packets_total");
        let cost = (operations > 0.0).then(|| Cost {
            per,
            nanoseconds: watched.busy() * 1e9 / operations,
            cycles: watched.busy() * hz as f64 / operations,
            packets: packets / operations,
        });
        let (server_busy, client_busy) = (watched.busy_share(), top.outcome.busy);
        Self {
            scenario: scenario.name(),
            unit,
            value,
            saturated: value,
            failures: 0.0,
            wrong: 0,
            bound: bound(server_busy, client_busy),
            server_busy,
            client_busy,
            held_back: top.outcome.held_back,
            cpu_lost: top.server_lost.max(top.client_lost),
            cost,
            alone: None,
            latency: Vec::new(),
            nginx: None,
            haproxy: None,
            ratio: None,
            share: None,
            detail: None,
        }
    }

    /// Puts the kernel's figure beside ours.
    pub(crate) fn compare(&mut self, scenario: Scenario, yardstick: &BTreeMap<String, f64>) {
        let kernel = yardstick.get(self.scenario).copied();
        if scenario.terminated().is_some() {
            self.haproxy = kernel;
        } else {
            self.nginx = kernel;
        }
        self.ratio = kernel.filter(|kernel| *kernel > 0.0).map(|kernel| self.value / kernel);
    }
}

/// Puts what the proxy's scenarios are compared with beside them, where both were run.
pub(crate) fn share(rows: &mut [Row], scenarios: &[Scenario]) {
    for scenario in scenarios {
        let Some(of) = scenario.terminated().map(Scenario::name) else { continue };
        let value = |name| rows.iter().find(|row| row.scenario == name).map(|row| row.value);
        let found = value(of).zip(value(scenario.name())).filter(|(value, _)| *value > 0.0);
        let share = found.map(|(value, mine)| Share { of, value, share: mine / value });
        if let Some(row) = rows.iter_mut().find(|row| row.scenario == scenario.name()) {
            row.share = share;
        }
    }
}

/// Which side was the limit. Where CPU time was taken away from either, neither is busy all of the time: then the one
/// that was clearly busier was.
fn bound(server: f64, client: f64) -> &'static str {
    const CLEARLY: f64 = 0.1;
    if server.max(client) < BUSY {
        "link"
    } else if server > client + CLEARLY {
        "server"
    } else if client > server + CLEARLY {
        "client"
    } else {
        "both"
    }
}

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

/// The table.
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
    let mut begun = false;
    for (row, share) in rows.iter().filter_map(|row| row.share.as_ref().map(|share| (row, share))) {
        if !begun {
            let _ = writeln!(text);
            begun = true;
        }
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
    use super::*;

    #[test]
    fn whoever_is_busy_is_the_limit() {
        assert_eq!(bound(1.0, 0.5), "server");
        assert_eq!(bound(0.5, 1.0), "client");
        assert_eq!(bound(0.8, 0.4), "server");
        assert_eq!(bound(1.0, 0.95), "both");
        assert_eq!(bound(0.5, 0.1), "link");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.5, 123.4, 12_345.0, 2_345_678.0].map(short), ["0.50", "123", "12.3 k", "2.35 M"]);
    }
}
