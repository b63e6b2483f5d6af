//! Proxies as tables.
//!
//! Invariant: plain functions of the answer.

use std::net::SocketAddr;

use super::{note_missing, table};
use crate::protocol::{LegRow, ServerRow, SessionList, SessionRow};
use crate::table::{Cell, Row, Table};
use crate::text;

/// Who the servers are, and what they are up to.
pub(super) fn servers(rows: &[ServerRow]) -> Table {
    let row = |server: &ServerRow| Row {
        name: name(server),
        cells: vec![
            Cell::text(name(server)),
            Cell::text(server.address.map_or_else(|| "(gone)".into(), |address| address.to_string())),
            Cell::gauge(server.weight),
            Cell::text(state(server)),
            Cell::text(&server.health),
            Cell::gauge(server.sessions),
            Cell::Count(server.checks_passed),
            Cell::Count(server.checks_failed),
        ],
    };
    let titles =
        ["UPSTREAM/SERVER", "ADDRESS", "WEIGHT", "STATE", "HEALTH", "SESSIONS", "CHECKS-OK", "CHECKS-FAILED"];
    let mut table = table(&titles, rows.iter().map(row).collect());
    if rows.is_empty() {
        table.notes.push("there are no upstreams".into());
    }
    table
}

/// What went to them and came back.
pub(super) fn traffic(rows: &[ServerRow]) -> Table {
    let row = |server: &ServerRow| Row {
        name: name(server),
        cells: vec![
            Cell::text(name(server)),
            Cell::Count(server.connects),
            Cell::Count(server.established),
            Cell::Count(server.failed),
            Cell::Count(server.resets),
            Cell::Count(server.bytes_up),
            Cell::Count(server.bytes_down),
        ],
    };
    if rows.is_empty() {
        return Table::default();
    }
    let titles = ["UPSTREAM/SERVER", "CONNECTS", "ESTABLISHED", "FAILED", "RESETS", "BYTES-UP", "BYTES-DOWN"];
    table(&titles, rows.iter().map(row).collect())
}

fn name(server: &ServerRow) -> String {
    format!("{}/{}", server.upstream, server.server)
}

/// What an operator said, and whether it gets sessions.
fn state(server: &ServerRow) -> String {
    match (server.admin.as_str(), server.ejected) {
        ("enabled", true) => "EJECTED".into(),
        ("enabled", false) if server.health == "down" => "DOWN".into(),
        (said, _) => said.into(),
    }
}

pub(super) fn sessions(list: &SessionList) -> Table {
    let end = |address, port| SocketAddr::new(address, port).to_string();
    let leg = |session: &SessionRow, leg: &Option<LegRow>| match leg {
        Some(leg) => [
            format!("{}:{}", session.worker, leg.id),
            end(leg.remote, leg.remote_port),
            end(leg.local, leg.local_port),
            leg.state.clone(),
        ],
        None => ["-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()],
    };
    let row = |session: &SessionRow| {
        let server = match session.upstream.as_str() {
            "" => "-".to_owned(),
            upstream => format!("{upstream}/{}", session.server),
        };
        let [client, from, dialled, client_state] = leg(session, &session.client);
        let [upstream, to, own, upstream_state] = leg(session, &session.upstream_leg);
        let cpu = session.client.as_ref().or(session.upstream_leg.as_ref()).map(|leg| leg.cpu.to_string());
        Row {
            name: format!("{client} {upstream}"),
            cells: vec![
                Cell::text(client),
                Cell::text(from),
                Cell::text(dialled),
                Cell::text(client_state),
                Cell::text(upstream),
                Cell::text(own),
                Cell::text(to),
                Cell::text(upstream_state),
                Cell::text(&session.service),
                Cell::text(server),
                Cell::text(&session.phase),
                Cell::text(cpu.unwrap_or_else(|| "-".into())),
                Cell::Number(text::duration(session.age_seconds)),
                Cell::Number(text::duration(session.idle_seconds)),
                Cell::Count(session.bytes_up),
                Cell::Count(session.bytes_down),
            ],
        }
    };
    let titles = [
        "CLIENT-LEG",
        "FROM",
        "DIALLED",
        "STATE",
        "UPSTREAM-LEG",
        "OWN",
        "TO",
        "STATE",
        "SERVICE",
        "SERVER",
        "PHASE",
        "CPU",
        "AGE",
        "IDLE",
        "BYTES-UP",
        "BYTES-DOWN",
    ];
    let mut table = table(&titles, list.sessions.iter().map(row).collect());
    note_missing(&mut table, "sessions", list.sessions.len(), list.cut, &list.silent_workers);
    table
}
