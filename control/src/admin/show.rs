//! From a snapshot to what the admin socket shows.
//!
//! Invariant: plain functions of their arguments.

mod proxy;

pub use proxy::{session, upstreams};

use std::time::SystemTime;

use dataplane::application::AppCounters;
use dataplane::drop::all_reasons;
use dataplane::mailbox::FlowView;
use dataplane::neighbour::{Mac, Neighbour};
use dataplane::report::{PortCounters, Report};

use crate::protocol::{
    DropRow, Drops, FlowRow, MAX_NEIGHBOURS, MempoolRow, NeighbourList, NeighbourRow, PortRow, ServiceRow,
    VersionView, WorkerRow,
};
use crate::snapshot::{LONGEST_SILENCE, Phase, Snapshot};

/// The workers.
#[must_use]
pub fn workers(now: &Snapshot<'_>) -> Vec<WorkerRow> {
    let rows = now.workers.iter().enumerate().map(|(number, worker)| {
        let row = WorkerRow {
            worker: number,
            cpu: worker.cpu,
            alive: worker.silent <= LONGEST_SILENCE,
            silent_seconds: worker.silent.as_secs_f64(),
            ..WorkerRow::default()
        };
        match worker.report {
            Some(report) => reported(now, row, report),
            None => row,
        }
    });
    rows.collect()
}

fn reported(now: &Snapshot<'_>, row: WorkerRow, report: &Report) -> WorkerRow {
    let (counters, gauges) = (&report.counters, &report.gauges);
    let latency = |quantile| match report.latency_ns.is_empty() {
        true => 0.0,
        false => report.latency_ns.value_at_quantile(quantile) as f64 / 1e9,
    };
    WorkerRow {
        busy_seconds: now.seconds(counters.busy_cycles),
        idle_seconds: now.seconds(counters.idle_cycles),
        turns: counters.turns,
        rx_packets: report.rx_packets(),
        tx_packets: report.ports.iter().map(|port| port.tx_packets).sum(),
        delivered: report.delivered(),
        dropped: report.dropped(),
        steered_out: counters.steered_out,
        steered_in: counters.steered_in,
        flows: gauges.flows,
        tcp_flows: gauges.tcp_flows,
        half_open: gauges.half_open,
        asleep: gauges.asleep,
        udp_flows: gauges.udp_flows,
        latency_p50_seconds: latency(0.5),
        latency_p99_seconds: latency(0.99),
        ..row
    }
}

/// The ports.
#[must_use]
pub fn ports(now: &Snapshot<'_>) -> Vec<PortRow> {
    let rows = now.ports.iter().enumerate().map(|(number, port)| {
        let sum = |counter: fn(&PortCounters) -> u64| {
            now.total(|report| report.ports.get(number).map_or(0, counter))
        };
        let stats = port.stats.unwrap_or_default();
        let addresses = port.addresses.iter().map(|(vlan, address, length)| match vlan {
            0 => format!("{address}/{length}"),
            vlan => format!("{address}/{length} vlan {vlan}"),
        });
        PortRow {
            port: port.name.clone(),
            device: port.device.clone(),
            driver: port.driver.clone(),
            mac: Mac(port.mac).to_string(),
            up: port.link.map(|link| link.up),
            speed_bits: port.speed_bits(),
            mtu: port.mtu,
            queues: port.rx_queues,
            steering: port.steering.to_owned(),
            addresses: addresses.collect(),
            rx_packets: sum(|counters| counters.rx_packets),
            rx_bytes: sum(|counters| counters.rx_bytes),
            tx_packets: sum(|counters| counters.tx_packets),
            tx_bytes: sum(|counters| counters.tx_bytes),
            tx_dropped: sum(|counters| counters.tx_dropped),
            rx_missed: stats.imissed,
            rx_errors: stats.ierrors,
            rx_nombuf: stats.rx_nombuf,
            tx_errors: stats.oerrors,
        }
    });
    rows.collect()
}

/// The neighbour table, in the order of ports and addresses.
#[must_use]
pub fn neighbours(now: &Snapshot<'_>, neighbours: &[Neighbour]) -> NeighbourList {
    let mut sorted: Vec<&Neighbour> = neighbours.iter().collect();
    sorted.sort_by_key(|neighbour| (neighbour.port, neighbour.vlan, neighbour.addr));
    let row = |neighbour: &&Neighbour| NeighbourRow {
        port: port_name(now, usize::from(neighbour.port)),
        vlan: neighbour.vlan,
        address: neighbour.addr.ip(),
        mac: neighbour.mac.map(|mac| mac.to_string()),
        state: neighbour.state.to_string(),
        gateway: neighbour.gateway,
        age_seconds: neighbour.age_s,
    };
    NeighbourList {
        neighbours: sorted.iter().take(MAX_NEIGHBOURS).map(row).collect(),
        cut: sorted.len() > MAX_NEIGHBOURS,
        capacity: now.neighbours.capacity,
    }
}

/// The packet buffer pools.
#[must_use]
pub fn mempools(now: &Snapshot<'_>) -> Vec<MempoolRow> {
    let rows = now.mempools.iter().map(|pool| MempoolRow {
        mempool: pool.name.clone(),
        size: pool.size,
        available: pool.available,
        in_use: pool.size.saturating_sub(pool.available),
    });
    rows.collect()
}

/// The services: those in force in their order, then those that are gone.
#[must_use]
pub fn services(now: &Snapshot<'_>) -> Vec<ServiceRow> {
    let rows = now.services.iter().enumerate().map(|(number, service)| {
        let value = |index: usize| {
            now.service(number, |counters: &AppCounters| counters.values().get(index).copied().unwrap_or(0))
        };
        let counters = AppCounters::NAMES.iter().enumerate().filter(|_| service.application.is_some());
        let counters = counters.map(|(index, name)| ((*name).to_owned(), value(index)));
        let proxied = proxy::COUNTERS.iter().filter(|_| service.proxies);
        let proxied = proxied.map(|(name, counter)| ((*name).to_owned(), now.proxy(number, counter)));
        ServiceRow {
            order: service.order,
            service: service.name.clone(),
            action: service.action.to_owned(),
            application: service.application.unwrap_or_default().to_owned(),
            counters: counters.chain(proxied).collect(),
        }
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| row.order.unwrap_or(usize::MAX));
    rows
}

/// Dropped packets by reason.
#[must_use]
pub fn drops(now: &Snapshot<'_>) -> Drops {
    let rows = all_reasons().enumerate().map(|(index, (reason, meaning))| {
        let of = |report: &Report| report.drops.get(index).copied().unwrap_or(0);
        DropRow {
            reason: reason.to_owned(),
            packets: now.total(of),
            workers: now.workers.iter().map(|worker| worker.report.map_or(0, of)).collect(),
            meaning: meaning.to_owned(),
        }
    });
    Drops {
        received: now.total(Report::rx_packets),
        delivered: now.total(Report::delivered),
        reasons: rows.collect(),
    }
}

/// Versions.
#[must_use]
pub fn version(now: &Snapshot<'_>) -> VersionView {
    let phase = match now.phase {
        Phase::Running => "running",
        Phase::Draining => "draining",
    };
    VersionView {
        millrace: env!("CARGO_PKG_VERSION").to_owned(),
        dpdk: now.dpdk.to_owned(),
        uptime_seconds: SystemTime::now().duration_since(now.started).map_or(0, |since| since.as_secs()),
        phase: phase.to_owned(),
    }
}

/// One flow of a listing.
#[must_use]
pub fn flow(now: &Snapshot<'_>, flow: &FlowView) -> FlowRow {
    let (key, service) = (&flow.key, now.services.get(usize::from(flow.service)));
    FlowRow {
        worker: usize::from(flow.worker),
        // Of those that are only followed, what `flow` of their events has behind the worker.
        id: flow.followed.map_or_else(|| flow.id.to_string(), |number| format!("m{number}")),
        protocol: key.protocol.to_string(),
        remote: key.remote.ip(),
        remote_port: key.remote_port,
        local: key.local.ip(),
        local_port: key.local_port,
        port: port_name(now, key.port_index()),
        vlan: key.vlan(),
        state: flow.state.to_owned(),
        asleep: flow.asleep,
        service: service.map_or_else(String::new, |service| service.name.clone()),
        age_seconds: flow.age.as_secs_f64(),
        idle_seconds: flow.idle.as_secs_f64(),
        bytes_in: flow.bytes_in,
        bytes_out: flow.bytes_out,
    }
}

/// A port's name; its number where it has none.
fn port_name(now: &Snapshot<'_>, number: usize) -> String {
    now.ports.get(number).map_or_else(|| number.to_string(), |port| port.name.clone())
}
