//! Answers of the daemon as tables and as JSON.
//!
//! Invariant: plain functions of the answer; JSON has everything the answer has, tables what people look for.

mod proxy;

use serde_json::Value as Json;

use crate::protocol::{
    Answer, Drops, FlowList, MempoolRow, NeighbourList, PortRow, Reloaded, ServiceRow, VersionView, WorkerRow,
};
use crate::table::{Cell, Row, Table};
use crate::text;

/// The answer itself, without its wrapping.
#[must_use]
pub fn json(answer: &Answer) -> Json {
    let tagged = serde_json::to_value(answer).unwrap_or_default();
    match tagged {
        Json::Object(map) => map.into_iter().next().map_or(Json::Null, |(_, inner)| inner),
        other => other,
    }
}

/// The answer for people. `all` keeps rows that say nothing.
#[must_use]
pub fn tables(answer: &Answer, all: bool) -> Vec<Table> {
    match answer {
        Answer::Workers(rows) => vec![workers(rows)],
        Answer::Ports(rows) => vec![ports(rows), traffic(rows)],
        Answer::Flows(list) => vec![flows(list)],
        Answer::Neighbours(list) => vec![neighbours(list)],
        Answer::Mempools(rows) => vec![mempools(rows)],
        Answer::Services(rows) => vec![services(rows)],
        Answer::Drops(drops) => vec![dropped(drops, all)],
        Answer::Config(config) => {
            let mut notes = vec![
                format!("# source: {}", config.source),
                format!("# services version: {}", config.services_version),
            ];
            let waiting = config.needs_restart.iter();
            notes
                .extend(waiting.map(|key| format!("# changed in the file, in force after a restart: {key}")));
            notes.extend(config.yaml.lines().map(str::to_owned));
            vec![lines(notes)]
        }
        Answer::Version(version) => vec![versions(version)],
        Answer::Reload(outcome) => vec![reloaded(outcome)],
        Answer::Upstreams(rows) => vec![proxy::servers(rows), proxy::traffic(rows)],
        Answer::Sessions(list) => vec![proxy::sessions(list)],
        Answer::Done(done) => vec![lines(vec![done.message.clone()])],
    }
}

fn lines(notes: Vec<String>) -> Table {
    Table { notes, ..Table::default() }
}

fn table(titles: &[&str], rows: Vec<Row>) -> Table {
    Table { titles: titles.iter().map(|title| (*title).to_owned()).collect(), rows, notes: Vec::new() }
}

fn workers(rows: &[WorkerRow]) -> Table {
    let row = |worker: &WorkerRow| Row {
        name: worker.worker.to_string(),
        cells: vec![
            Cell::gauge(worker.worker),
            Cell::gauge(worker.cpu),
            Cell::text(if worker.alive { "up".into() } else { silent(worker) }),
            Cell::Share(worker.busy_seconds, worker.busy_seconds + worker.idle_seconds),
            Cell::Count(worker.rx_packets),
            Cell::Count(worker.tx_packets),
            Cell::Count(worker.dropped),
            Cell::Count(worker.steered_out),
            Cell::Count(worker.steered_in),
            Cell::gauge(worker.flows),
            Cell::gauge(worker.tcp_flows),
            Cell::gauge(worker.half_open),
            Cell::gauge(worker.asleep),
            Cell::gauge(worker.udp_flows),
            Cell::Number(text::latency(worker.latency_p50_seconds)),
            Cell::Number(text::latency(worker.latency_p99_seconds)),
        ],
    };
    let titles = [
        "WORKER",
        "CPU",
        "STATE",
        "BUSY",
        "RX",
        "TX",
        "DROPPED",
        "STEERED-OUT",
        "STEERED-IN",
        "FLOWS",
        "TCP",
        "HALF-OPEN",
        "ASLEEP",
        "UDP",
        "P50",
        "P99",
    ];
    table(&titles, rows.iter().map(row).collect())
}

fn silent(worker: &WorkerRow) -> String {
    format!("SILENT {}", text::duration(worker.silent_seconds))
}

fn ports(rows: &[PortRow]) -> Table {
    let row = |port: &PortRow| {
        let link = match port.up {
            Some(true) => "up",
            Some(false) => "DOWN",
            None => "?",
        };
        Row {
            name: port.port.clone(),
            cells: vec![
                Cell::text(&port.port),
                Cell::text(&port.device),
                Cell::text(link),
                Cell::Number(port.speed_bits.map_or_else(|| "-".into(), text::speed)),
                Cell::gauge(port.mtu),
                Cell::gauge(port.queues),
                Cell::text(&port.steering),
                Cell::text(&port.mac),
                Cell::text(port.addresses.join(", ")),
            ],
        }
    };
    let titles = ["PORT", "DEVICE", "LINK", "SPEED", "MTU", "QUEUES", "STEERING", "MAC", "ADDRESSES"];
    table(&titles, rows.iter().map(row).collect())
}

fn traffic(rows: &[PortRow]) -> Table {
    let row = |port: &PortRow| Row {
        name: port.port.clone(),
        cells: vec![
            Cell::text(&port.port),
            Cell::Count(port.rx_packets),
            Cell::Count(port.rx_bytes),
            Cell::Count(port.tx_packets),
            Cell::Count(port.tx_bytes),
            Cell::Count(port.tx_dropped),
            Cell::Count(port.rx_missed),
            Cell::Count(port.rx_nombuf),
            Cell::Count(port.rx_errors),
            Cell::Count(port.tx_errors),
        ],
    };
    let titles = [
        "PORT",
        "RX",
        "RX-BYTES",
        "TX",
        "TX-BYTES",
        "TX-DROPPED",
        "RX-MISSED",
        "RX-NOMBUF",
        "RX-ERRORS",
        "TX-ERRORS",
    ];
    table(&titles, rows.iter().map(row).collect())
}

fn flows(list: &FlowList) -> Table {
    let row = |flow: &crate::protocol::FlowRow| {
        let end = |address, port| std::net::SocketAddr::new(address, port).to_string();
        let port = match flow.vlan {
            0 => flow.port.clone(),
            vlan => format!("{}.{vlan}", flow.port),
        };
        Row {
            name: format!("{}/{}", flow.worker, flow.id),
            cells: vec![
                Cell::text(format!("{}:{}", flow.worker, flow.id)),
                Cell::text(&flow.protocol),
                Cell::text(end(flow.remote, flow.remote_port)),
                Cell::text(end(flow.local, flow.local_port)),
                Cell::text(port),
                Cell::text(if flow.asleep { format!("{} (asleep)", flow.state) } else { flow.state.clone() }),
                Cell::text(&flow.service),
                Cell::Number(text::duration(flow.age_seconds)),
                Cell::Number(text::duration(flow.idle_seconds)),
                Cell::Count(flow.bytes_in),
                Cell::Count(flow.bytes_out),
            ],
        }
    };
    let titles = [
        "FLOW",
        "PROTO",
        "REMOTE",
        "LOCAL",
        "PORT",
        "STATE",
        "SERVICE",
        "AGE",
        "IDLE",
        "BYTES-IN",
        "BYTES-OUT",
    ];
    let mut table = table(&titles, list.flows.iter().map(row).collect());
    note_missing(&mut table, "flows", list.flows.len(), list.cut, &list.silent_workers);
    table
}

/// Says below a list what is not in it.
fn note_missing(table: &mut Table, what: &str, shown: usize, cut: bool, silent: &[usize]) {
    if cut {
        table.notes.push(format!("cut after {shown} {what}: there are more that fit (--limit, or filter)"));
    }
    if !silent.is_empty() {
        let workers: Vec<_> = silent.iter().map(ToString::to_string).collect();
        table.notes.push(format!("not complete: no answer in time from worker {}", workers.join(", ")));
    }
}

fn neighbours(list: &NeighbourList) -> Table {
    let row = |neighbour: &crate::protocol::NeighbourRow| Row {
        name: format!("{} {} {}", neighbour.port, neighbour.vlan, neighbour.address),
        cells: vec![
            Cell::text(&neighbour.port),
            Cell::text(if neighbour.vlan == 0 { "-".into() } else { neighbour.vlan.to_string() }),
            Cell::text(neighbour.address),
            Cell::text(neighbour.mac.as_deref().unwrap_or("-")),
            Cell::text(&neighbour.state),
            Cell::text(if neighbour.gateway { "yes" } else { "no" }),
            Cell::Number(text::duration(neighbour.age_seconds as f64)),
        ],
    };
    let titles = ["PORT", "VLAN", "ADDRESS", "MAC", "STATE", "GATEWAY", "AGE"];
    let mut table = table(&titles, list.neighbours.iter().map(row).collect());
    let cut = if list.cut { ", cut: there are more" } else { "" };
    table.notes.push(format!("{} of {} places{cut}", list.neighbours.len(), list.capacity));
    table
}

fn mempools(rows: &[MempoolRow]) -> Table {
    let row = |pool: &MempoolRow| Row {
        name: pool.mempool.clone(),
        cells: vec![
            Cell::text(&pool.mempool),
            Cell::gauge(pool.size),
            Cell::gauge(pool.available),
            Cell::gauge(pool.in_use),
            Cell::Number(text::percent(pool.in_use as f64, pool.size as f64)),
        ],
    };
    table(&["MEMPOOL", "SIZE", "AVAILABLE", "IN-USE", "USED"], rows.iter().map(row).collect())
}

fn services(rows: &[ServiceRow]) -> Table {
    let row = |service: &ServiceRow| {
        let count = |names: &[&str]| {
            let sum = names.iter().filter_map(|name| service.counters.get(*name)).sum();
            if service.counters.is_empty() { Cell::Number("-".into()) } else { Cell::Count(sum) }
        };
        // Who is reset for going on after a refusal was counted with it.
        let refused =
            ["http_bad_requests", "http_truncated_requests", "udp_replies_refused", "proxy_refused"];
        Row {
            name: service.service.clone(),
            cells: vec![
                Cell::Number(service.order.map_or_else(|| "-".into(), |order| (order + 1).to_string())),
                Cell::text(&service.service),
                Cell::text(if service.order.is_some() { &service.action } else { "(gone)" }),
                Cell::text(if service.application.is_empty() { "-" } else { &service.application }),
                count(&["tcp_bytes_in", "proxy_bytes_up"]),
                count(&["tcp_bytes_out", "proxy_bytes_down"]),
                count(&["udp_datagrams_in"]),
                count(&["udp_datagrams_out"]),
                count(&["proxy_sessions"]),
                count(&["http_requests"]),
                count(&["http_responses_4xx"]),
                count(&["http_responses_5xx"]),
                count(&refused),
            ],
        }
    };
    let titles = [
        "ORDER",
        "SERVICE",
        "ACTION",
        "APPLICATION",
        "TCP-IN",
        "TCP-OUT",
        "UDP-IN",
        "UDP-OUT",
        "SESSIONS",
        "REQUESTS",
        "4XX",
        "5XX",
        "REFUSED",
    ];
    table(&titles, rows.iter().map(row).collect())
}

fn dropped(drops: &Drops, all: bool) -> Table {
    /// More columns than this do not fit a screen.
    const MOST_WORKERS: usize = 8;
    let workers = drops.reasons.first().map_or(0, |row| row.workers.len());
    let each = if (2..=MOST_WORKERS).contains(&workers) { workers } else { 0 };
    let mut titles = vec!["REASON".to_owned(), "PACKETS".to_owned()];
    titles.extend((0..each).map(|worker| format!("W{worker}")));
    titles.push("MEANING".into());
    let shown = drops.reasons.iter().filter(|row| all || row.packets > 0);
    let rows = shown.map(|row| {
        let mut cells = vec![Cell::text(&row.reason), Cell::Count(row.packets)];
        cells.extend(row.workers.iter().take(each).map(Cell::gauge));
        cells.push(Cell::text(&row.meaning));
        Row { name: row.reason.clone(), cells }
    });
    let total: u64 = drops.reasons.iter().map(|row| row.packets).sum();
    let sum = format!("received {}, delivered {}, dropped {total}", drops.received, drops.delivered);
    Table { titles, rows: rows.collect(), notes: vec![sum] }
}

fn versions(version: &VersionView) -> Table {
    let uptime = text::duration(version.uptime_seconds as f64);
    lines(vec![
        format!("millrace  {} ({} for {uptime})", version.millrace, version.phase),
        format!("DPDK      {}", version.dpdk),
    ])
}

fn reloaded(outcome: &Reloaded) -> Table {
    let mut notes = vec![if outcome.succeeded {
        format!("reloaded {}: services version {}", outcome.source, outcome.services_version)
    } else {
        format!("not reloaded: {}", outcome.source)
    }];
    notes.extend(outcome.problems.iter().cloned());
    notes.extend(outcome.warnings.iter().cloned());
    notes.extend(outcome.applied.iter().map(|key| format!("applied: {key}")));
    notes.extend(outcome.needs_restart.iter().map(|key| format!("needs a restart: {key}")));
    lines(notes)
}
