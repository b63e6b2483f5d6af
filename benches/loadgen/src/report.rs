//! What a run says: a table for people, JSON for programs.
//!
//! Invariant: a number that was not measured is absent, never zero.

mod table;

pub(crate) use table::{percent, short, table};

use crate::detail::Detail;
use crate::run::Outcome;
use crate::scenario::{Scenario, Try, Watched};
use crate::wire::MSS;
use serde::Serialize;
use std::collections::BTreeMap;

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

    /// A row with nothing but its value.
    pub(super) fn row(scenario: Scenario, value: f64) -> Row {
        Row {
            scenario: scenario.name(),
            unit: "x/s",
            value,
            saturated: value,
            failures: 0.0,
            wrong: 0,
            bound: "server",
            server_busy: 1.0,
            client_busy: 0.5,
            held_back: 0.0,
            cpu_lost: 0.0,
            cost: None,
            alone: None,
            latency: Vec::new(),
            nginx: None,
            haproxy: None,
            ratio: None,
            share: None,
            detail: None,
        }
    }

    #[test]
    fn the_proxy_is_compared_with_a_proxy_and_with_what_it_is_not() {
        let scenarios = [Scenario::Requests, Scenario::ProxyRequests, Scenario::ProxySend];
        let mut rows = [row(scenarios[0], 4e6), row(scenarios[1], 1e6), row(scenarios[2], 5.0)];
        let yardstick = BTreeMap::from([("requests".into(), 1e5), ("proxy-requests".into(), 5e4)]);
        for (row, scenario) in rows.iter_mut().zip(scenarios) {
            row.compare(scenario, &yardstick);
        }
        share(&mut rows, &scenarios);
        assert_eq!((rows[0].nginx, rows[0].haproxy, rows[0].ratio), (Some(1e5), None, Some(40.0)));
        assert_eq!((rows[1].nginx, rows[1].haproxy, rows[1].ratio), (None, Some(5e4), Some(20.0)));
        assert_eq!((rows[2].haproxy, rows[2].ratio), (None, None));
        assert!(rows[1].share.is_some_and(|share| (share.of, share.share) == ("requests", 0.25)));
        assert!(rows[0].share.is_none() && rows[2].share.is_none(), "send was not run");
    }
}
