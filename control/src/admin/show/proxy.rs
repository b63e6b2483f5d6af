//! From a snapshot to what the admin socket shows of proxies.
//!
//! Invariant: plain functions of their arguments.

use dataplane::mailbox::{FlowView, SessionView};

use super::port_name;
use crate::metrics::{ProxyCounter as Counter, REFUSED};
use crate::protocol::{LegRow, ServerRow, SessionRow};
use crate::snapshot::Snapshot;

/// What is counted of a service that proxies, by name.
pub(super) const COUNTERS: [(&str, Counter); 8] = [
    ("proxy_sessions", |c| c.sessions),
    ("proxy_open", |c| c.open),
    ("proxy_waiting", |c| c.waiting),
    ("proxy_established", |c| c.established),
    ("proxy_retries", |c| c.retries),
    ("proxy_refused", |c| REFUSED.iter().map(|(_, counter)| counter(c)).sum()),
    ("proxy_bytes_up", |c| c.bytes_up),
    ("proxy_bytes_down", |c| c.bytes_down),
];

/// The servers of upstreams, in the order of names; those that are gone come last.
#[must_use]
pub fn upstreams(now: &Snapshot<'_>) -> Vec<ServerRow> {
    let rows = now.servers.iter().enumerate().map(|(number, server)| ServerRow {
        upstream: server.upstream.clone(),
        server: server.server.clone(),
        address: server.address,
        weight: server.weight,
        admin: server.admin.to_owned(),
        health: server.health.to_owned(),
        ejected: server.ejected,
        sessions: now.server(number, |c| c.open),
        connects: now.server(number, |c| c.connects),
        established: now.server(number, |c| c.established),
        failed: now.server(number, |c| c.refused + c.unanswered + c.unreachable + c.exhausted),
        resets: now.server(number, |c| c.resets),
        bytes_up: now.server(number, |c| c.bytes_up),
        bytes_down: now.server(number, |c| c.bytes_down),
        checks_passed: now.server(number, |c| c.checks_passed),
        checks_failed: now.server(number, |c| c.checks_failed),
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| {
        (a.address.is_none(), &a.upstream, &a.server).cmp(&(b.address.is_none(), &b.upstream, &b.server))
    });
    rows
}

/// One session of a listing.
#[must_use]
pub fn session(now: &Snapshot<'_>, session: &SessionView) -> SessionRow {
    let [client_home, upstream_home] = session.homes;
    let server = session.server.and_then(|number| now.servers.get(usize::from(number)));
    let name =
        |of: fn(&crate::snapshot::Server) -> &String| server.map_or_else(String::new, |s| of(s).clone());
    let service = now.services.get(usize::from(session.service));
    SessionRow {
        worker: usize::from(session.worker),
        service: service.map_or_else(String::new, |service| service.name.clone()),
        upstream: name(|server| &server.upstream),
        server: name(|server| &server.server),
        phase: session.phase.to_owned(),
        client: session.client.as_ref().map(|flow| leg(now, flow, client_home)),
        upstream_leg: session.upstream.as_ref().map(|flow| leg(now, flow, upstream_home)),
        age_seconds: session.age.as_secs_f64(),
        idle_seconds: session.idle.as_secs_f64(),
        bytes_up: session.bytes_up,
        bytes_down: session.bytes_down,
    }
}

fn leg(now: &Snapshot<'_>, flow: &FlowView, home: Option<u16>) -> LegRow {
    let key = &flow.key;
    LegRow {
        id: flow.id.to_string(),
        protocol: key.protocol.to_string(),
        remote: key.remote.ip(),
        remote_port: key.remote_port,
        local: key.local.ip(),
        local_port: key.local_port,
        port: port_name(now, key.port_index()),
        vlan: key.vlan(),
        state: flow.state.to_owned(),
        cpu: now.workers.get(usize::from(flow.worker)).map_or(0, |worker| worker.cpu),
        home: home.map(usize::from),
    }
}
