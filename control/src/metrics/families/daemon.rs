//! Metrics of the daemon itself: versions, reloads, its own servers.
//!
//! Invariant: none of these depends on traffic.

use std::time::{SystemTime, UNIX_EPOCH};

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::{Phase, ServerNumbers, Snapshot};

pub(super) const FAMILIES: &[Family] = &[
    family!(Gauge "build_info" ["version", "dpdk"] "", "Always 1; the labels say which versions run.",
        |s, out| out.put(&[env!("CARGO_PKG_VERSION"), s.dpdk], 1.0)),
    family!(Gauge "start_time_seconds" [] "seconds since 1970", "When the daemon started.",
        |s, out| out.put(&[], unix(s.started))),
    family!(Gauge "draining" [] "", "1 while the daemon takes no new flows because it is stopping, else 0.",
        |s, out| out.count(&[], u64::from(s.phase == Phase::Draining))),
    family!(Counter "config_reloads_total" ["result"] "", "Configuration reloads: `success` or `failure`.",
    |s, out| {
        out.count(&["success"], s.reloads.succeeded);
        out.count(&["failure"], s.reloads.failed);
    }),
    family!(Gauge "config_last_reload_success_timestamp_seconds" [] "seconds since 1970",
        "When a configuration was last put in force, the start included.",
        |s, out| out.put(&[], unix(s.reloads.last_success))),
    family!(Gauge "services_version" [] "", "Version of the services in force; counts up with every reload.",
        |s, out| out.count(&[], s.reloads.version)),
    family!(Gauge "server_open_connections" ["server"] "connections",
        "Open connections of the daemon's own servers, `admin` and `metrics`.", |s, out| servers(s, out, |n| n.open)),
    family!(Counter "server_accepted_total" ["server"] "connections", "Connections accepted.",
        |s, out| servers(s, out, |n| n.accepted)),
    family!(Counter "server_refused_total" ["server"] "connections",
        "Connections refused because too many were open.", |s, out| servers(s, out, |n| n.refused)),
    family!(Counter "server_requests_total" ["server"] "requests", "Requests answered.",
        |s, out| servers(s, out, |n| n.requests)),
    family!(Counter "server_bad_requests_total" ["server"] "requests",
        "Requests refused as malformed, unknown or too late.", |s, out| servers(s, out, |n| n.bad_requests)),
];

fn servers(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&ServerNumbers) -> u64) {
    out.count(&["admin"], number(&snapshot.admin));
    out.count(&["metrics"], number(&snapshot.http));
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
