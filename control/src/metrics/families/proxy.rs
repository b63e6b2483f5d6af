//! Metrics of proxies: sessions by service, and what servers make of them.
//!
//! Invariant: a service or server that a reload took away keeps its numbers, so that its counters never jump. Nothing is
//! labelled with an address of a client.

use dataplane::proxy::{ProxyCounters, ServerCounters, Times};

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::{Server, Service, Snapshot};

pub(super) const FAMILIES: &[Family] = &[
    family!(Gauge "proxy_sessions" ["service"] "sessions", "Sessions, those that wait among them.",
        |s, out| each(s, out, |c| c.open)),
    family!(Gauge "proxy_sessions_waiting" ["service"] "sessions",
        "Sessions that wait for a server with room.", |s, out| each(s, out, |c| c.waiting)),
    family!(Counter "proxy_sessions_total" ["service"] "sessions",
        "Sessions begun: a client was there.", |s, out| each(s, out, |c| c.sessions)),
    family!(Counter "proxy_established_total" ["service"] "sessions",
        "Sessions that got an upstream leg.", |s, out| each(s, out, |c| c.established)),
    family!(Counter "proxy_retries_total" ["service"] "attempts",
        "Attempts to connect after a first one that failed.", |s, out| each(s, out, |c| c.retries)),
    family!(Counter "proxy_refused_total" ["service", "reason"] "sessions",
    "Sessions given up: `limit` (as many as may be), `no_server` (none in service, or no way to it), `queue_full`, `queue_timeout`, `connect` (every attempt failed), `source_port` (none left, or the client's own in use), `resources` (no flow or buffer), `header` (no PROXY protocol header).",
    |s, out| for (number, service) in proxies(s) {
        for (reason, counter) in REFUSED {
            out.count(&[&service.name, reason], s.proxy(number, counter));
        }
    }),
    family!(Counter "proxy_bytes_total" ["service", "direction"] "bytes",
    "Payload passed on: `up` from clients, `down` from servers.",
    |s, out| for (number, service) in proxies(s) {
        out.count(&[&service.name, "up"], s.proxy(number, |c| c.bytes_up));
        out.count(&[&service.name, "down"], s.proxy(number, |c| c.bytes_down));
    }),
    family!(Counter "proxy_idle_timeouts_total" ["service"] "sessions",
        "Sessions reset because neither leg carried data for `idle_timeout`.",
        |s, out| each(s, out, |c| c.idle_timeouts)),
    family!(Counter "proxy_datagrams_early_total" ["service"] "packets",
        "Datagrams given up because their session had no upstream leg yet.",
        |s, out| each(s, out, |c| c.datagrams_early)),
    family!(Histogram "proxy_connect_seconds" ["service"] "seconds",
    "Time from the client being there to the upstream leg being established.",
    |s, out| for (number, service) in proxies(s) {
        out.times(&[&service.name], &proxy_times(s, number, |c| c.connect_times));
    }),
    family!(Histogram "proxy_session_seconds" ["service"] "seconds",
    "Length of sessions that have ended and had an upstream leg.",
    |s, out| for (number, service) in proxies(s) {
        out.times(&[&service.name], &proxy_times(s, number, |c| c.session_times));
    }),
    family!(Gauge "upstream_server_up" ["upstream", "server"] "",
        "1 while the server may get sessions: its health checks succeed (or there are none), it is neither ejected nor drained nor disabled; else 0.",
        |s, out| servers(s, out, |_, server| u64::from(server.takes_sessions()))),
    family!(Gauge "upstream_server_healthy" ["upstream", "server"] "",
        "0 while health checks fail, else 1.", |s, out| servers(s, out, |_, server| u64::from(server.health != "down"))),
    family!(Gauge "upstream_server_ejected" ["upstream", "server"] "",
        "1 while the server is left out because sessions could not connect, else 0.",
        |s, out| servers(s, out, |_, server| u64::from(server.ejected))),
    family!(Gauge "upstream_server_draining" ["upstream", "server"] "",
        "1 while an operator has the server drained, else 0.",
        |s, out| servers(s, out, |_, server| u64::from(server.admin == "draining"))),
    family!(Gauge "upstream_server_disabled" ["upstream", "server"] "",
        "1 while an operator has the server disabled, else 0.",
        |s, out| servers(s, out, |_, server| u64::from(server.admin == "disabled"))),
    family!(Gauge "upstream_server_sessions" ["upstream", "server"] "sessions",
        "Sessions with a place at the server, those that are connecting among them.",
        |s, out| numbers(s, out, |c| c.open)),
    family!(Counter "upstream_server_connects_total" ["upstream", "server", "outcome"] "attempts",
    "Attempts to connect: `established`, `refused`, `unanswered`, `unreachable` (its MAC address is not known), `source_port` (none left).",
    |s, out| for (number, server) in s.servers.iter().enumerate() {
        for (outcome, counter) in OUTCOMES {
            out.count(&[&server.upstream, &server.server, outcome], s.server(number, counter));
        }
    }),
    family!(Counter "upstream_server_resets_total" ["upstream", "server"] "sessions",
        "Established sessions that the server reset.", |s, out| numbers(s, out, |c| c.resets)),
    family!(Counter "upstream_server_bytes_total" ["upstream", "server", "direction"] "bytes",
    "Payload passed on: `up` to the server, `down` from it.",
    |s, out| for (number, server) in s.servers.iter().enumerate() {
        out.count(&[&server.upstream, &server.server, "up"], s.server(number, |c| c.bytes_up));
        out.count(&[&server.upstream, &server.server, "down"], s.server(number, |c| c.bytes_down));
    }),
    family!(Counter "upstream_server_ejections_total" ["upstream", "server"] "",
        "Times the server was left out because sessions could not connect.",
        |s, out| numbers(s, out, |c| c.ejections)),
    family!(Counter "upstream_server_checks_total" ["upstream", "server", "result"] "",
    "Health checks, `passed` and `failed`.",
    |s, out| for (number, server) in s.servers.iter().enumerate() {
        out.count(&[&server.upstream, &server.server, "passed"], s.server(number, |c| c.checks_passed));
        out.count(&[&server.upstream, &server.server, "failed"], s.server(number, |c| c.checks_failed));
    }),
    family!(Histogram "upstream_server_connect_seconds" ["upstream", "server"] "seconds",
    "Time from a SYN to the end of its handshake.",
    |s, out| for (number, server) in s.servers.iter().enumerate() {
        let times = sum(s.reports().filter_map(|(_, report)| report.servers.get(number)).map(|c| c.connect_times));
        out.times(&[&server.upstream, &server.server], &times);
    }),
    family!(Gauge "proxy_worker_sessions" ["worker"] "sessions", "Sessions of the worker.",
        |s, out| out.workers(s, |r| r.gauges.sessions)),
    family!(Counter "proxy_stray_answers_total" ["worker"] "packets",
        "SYN-ACKs that met no flow: answers to a connection of ours that came too late, or to the wrong worker. Servers that own legs go to hear an RST.",
        |s, out| out.workers(s, |r| r.counters.stray_answers)),
    family!(Counter "proxy_legs_apart_total" ["worker"] "sessions",
        "Sessions whose upstream leg its port brings to another worker, which passes its packets on: transparent ones between ports that find workers in different ways. All others have 0.",
        |s, out| out.workers(s, |r| r.counters.legs_apart)),
];

/// A number of a service.
pub(crate) type Counter = fn(&ProxyCounters) -> u64;

/// A number of a server.
type ServerCounter = fn(&ServerCounters) -> u64;

/// Why a session was given up, as in `proxy_refused_total`.
pub(crate) const REFUSED: [(&str, Counter); 8] = [
    ("limit", |c| c.refused_limit),
    ("no_server", |c| c.refused_no_server),
    ("queue_full", |c| c.refused_queue_full),
    ("queue_timeout", |c| c.refused_queue_timeout),
    ("connect", |c| c.refused_connect),
    ("source_port", |c| c.refused_source_port),
    ("resources", |c| c.refused_resources),
    ("header", |c| c.refused_header),
];

/// What became of attempts to connect, as in `upstream_server_connects_total`.
const OUTCOMES: [(&str, ServerCounter); 5] = [
    ("established", |c| c.established),
    ("refused", |c| c.refused),
    ("unanswered", |c| c.unanswered),
    ("unreachable", |c| c.unreachable),
    ("source_port", |c| c.exhausted),
];

fn proxies<'s>(snapshot: &'s Snapshot<'_>) -> impl Iterator<Item = (usize, &'s Service)> {
    snapshot.services.iter().enumerate().filter(|(_, service)| service.proxies)
}

fn each(snapshot: &Snapshot<'_>, out: &mut Samples, number: Counter) {
    for (index, service) in proxies(snapshot) {
        out.count(&[&service.name], snapshot.proxy(index, number));
    }
}

fn servers(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(usize, &Server) -> u64) {
    for (index, server) in snapshot.servers.iter().enumerate().filter(|(_, server)| server.address.is_some())
    {
        out.count(&[&server.upstream, &server.server], number(index, server));
    }
}

fn numbers(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&ServerCounters) -> u64) {
    for (index, server) in snapshot.servers.iter().enumerate() {
        out.count(&[&server.upstream, &server.server], snapshot.server(index, number));
    }
}

fn proxy_times(snapshot: &Snapshot<'_>, number: usize, times: fn(&ProxyCounters) -> Times) -> Times {
    sum(snapshot.reports().filter_map(|(_, report)| report.proxies.get(number)).map(times))
}

fn sum(all: impl Iterator<Item = Times>) -> Times {
    all.fold(Times::default(), |mut sum, times| {
        sum.classes.iter_mut().zip(times.classes).for_each(|(sum, count)| *sum += count);
        sum.sum_us = sum.sum_us.saturating_add(times.sum_us);
        sum
    })
}
