//! The daemon's state, and how its servers see it.
//!
//! Invariant: borrowed only for the length of a function that does not wait, so that sessions on the one control
//! thread never find it taken.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use dataplane::appliance::Dataplane;
use dataplane::mailbox::{Command, Mailbox};
use dataplane::neighbour::Neighbour;
use dataplane::report::Report;
use dataplane::settings::Services;
use std::sync::atomic::Ordering::Relaxed;

use super::{listing, reload, upstreams};
use crate::config::{Loaded, effective_yaml};
use crate::export::Exporter;
use crate::log::LogControl;
use crate::plan::{Fixed, server_list, service_list};
use crate::protocol::{
    ConfigView, Done, FlowList, FlowQuery, Refusal, Reloaded, ServerState, SessionList, SessionQuery,
};
use crate::snapshot::{Mempool, NeighbourNumbers, Phase, Port, ReloadNumbers, Snapshot, Source, Worker};
use crate::tally::Tally;

/// The configuration in force.
pub(super) struct InForce {
    /// As it is in force: of keys that need a restart, the values of the start.
    pub(super) loaded: Loaded,
    pub(super) services: Arc<Services>,
    /// Keys whose values in the file wait for a restart.
    pub(super) needs_restart: Vec<String>,
    pub(super) reloads: ReloadNumbers,
}

/// The running daemon.
pub(super) struct Daemon {
    pub(super) dataplane: Dataplane,
    /// Where the configuration asks for one.
    pub(super) exporter: Option<Exporter>,
    pub(super) in_force: RefCell<InForce>,
    /// What a reload finds as it was at the start.
    pub(super) fixed: Fixed,
    pub(super) phase: Cell<Phase>,
    pub(super) log: LogControl,
    pub(super) admin: Arc<Tally>,
    pub(super) http: Arc<Tally>,
    /// Held during a reload: one at a time.
    pub(super) reloading: tokio::sync::Mutex<reload::Reading>,
    /// How long a reload may read.
    pub(super) reload_limit: Duration,
    reports: RefCell<Vec<Option<Box<Report>>>>,
    started: SystemTime,
    dpdk: String,
    tsc_hz: u64,
}

impl Daemon {
    pub(super) fn new(
        dataplane: Dataplane,
        services: Arc<Services>,
        fixed: Fixed,
        loaded: Loaded,
        log: LogControl,
        reload_limit: Duration,
        started: SystemTime,
    ) -> Self {
        let reports = dataplane.workers().iter().map(|_| None).collect();
        let reloads = ReloadNumbers {
            succeeded: 0,
            failed: 0,
            last_success: SystemTime::now(),
            version: services.version,
        };
        Self {
            dataplane,
            exporter: None,
            in_force: RefCell::new(InForce { loaded, services, needs_restart: Vec::new(), reloads }),
            fixed,
            phase: Cell::new(Phase::Running),
            log,
            admin: Arc::default(),
            http: Arc::default(),
            reloading: tokio::sync::Mutex::default(),
            reload_limit,
            reports: RefCell::new(reports),
            started,
            dpdk: dpdk_ffi::eal::version().trim_start_matches("DPDK ").to_owned(),
            tsc_hz: dpdk_ffi::clock::tsc_hz(),
        }
    }

    pub(super) fn into_parts(self) -> (Dataplane, Option<Exporter>) {
        (self.dataplane, self.exporter)
    }

    pub(super) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        self.dataplane.workers().iter().map(|worker| Arc::clone(&worker.mailbox)).collect()
    }

    /// Gives every worker a command; returns the numbers of those whose mailbox stayed full for a second.
    pub(super) async fn tell(&self, command: impl Fn() -> Command) -> Vec<usize> {
        let mut deaf = Vec::new();
        for (number, mailbox) in self.mailboxes().into_iter().enumerate() {
            let mut tries = 0;
            while mailbox.send(command()).is_err() {
                tries += 1;
                if tries == 100 {
                    deaf.push(number);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        deaf
    }

    fn ports(&self) -> Vec<Port> {
        let ports = self.dataplane.ports().iter().map(|port| Port {
            name: port.name.clone(),
            device: port.device.clone(),
            driver: port.driver.clone(),
            mac: port.mac,
            steering: port.steering.name(),
            mtu: port.effective.mtu,
            rx_queues: port.effective.rx_queues,
            descriptors: (port.effective.rx_descriptors, port.effective.tx_descriptors),
            addresses: port
                .networks
                .iter()
                .flat_map(|net| net.addresses.iter().map(|(own, length)| (net.vlan, own.ip(), *length)))
                .collect(),
            stats: port.handle.stats().ok(),
            link: port.handle.link().ok(),
        });
        ports.collect()
    }

    fn neighbour_numbers(&self) -> NeighbourNumbers {
        let table = self.dataplane.neighbours();
        let stats = table.stats();
        NeighbourNumbers {
            capacity: table.capacity() as u64,
            entries: stats.entries(),
            asking: stats.asking(),
            learned: stats.learned.load(Relaxed),
            changed: stats.changed.load(Relaxed),
            refused: stats.refused.load(Relaxed),
            challenged: stats.challenged.load(Relaxed),
            evicted: stats.evicted.load(Relaxed),
            expired: stats.expired.load(Relaxed),
        }
    }

    fn mempools(&self) -> Vec<Mempool> {
        let pools = self.dataplane.mempools().into_iter();
        pools
            .map(|pool| Mempool { name: pool.name, size: pool.size.into(), available: pool.available.into() })
            .collect()
    }
}

impl Source for Daemon {
    fn look<R>(&self, read: impl FnOnce(&Snapshot<'_>) -> R) -> R {
        let now_us = self.dataplane.uptime_us();
        let workers = self.dataplane.workers();
        let mut held = self.reports.borrow_mut();
        for (worker, report) in workers.iter().zip(held.iter_mut()) {
            *report = worker.outlook.collect(report.take());
        }
        let in_force = self.in_force.borrow();
        let seen = workers.iter().zip(held.iter()).map(|(worker, report)| Worker {
            cpu: worker.cpu,
            report: report.as_deref(),
            silent: Duration::from_micros(now_us.saturating_sub(worker.outlook.heartbeat_us())),
        });
        read(&Snapshot {
            dpdk: &self.dpdk,
            started: self.started,
            phase: self.phase.get(),
            tsc_hz: self.tsc_hz,
            workers: seen.collect(),
            ports: self.ports(),
            services: service_list(&in_force.loaded.config, &in_force.services),
            servers: server_list(&in_force.services, now_us),
            mempools: self.mempools(),
            neighbours: self.neighbour_numbers(),
            export: self.exporter.as_ref().map(Exporter::numbers),
            reloads: in_force.reloads,
            admin: self.admin.numbers(),
            http: self.http.numbers(),
        })
    }

    fn neighbours(&self) -> Vec<Neighbour> {
        self.dataplane.neighbours().snapshot(self.dataplane.uptime_us())
    }

    async fn flows(&self, query: FlowQuery) -> Result<FlowList, Refusal> {
        listing::flows(self, query).await
    }

    async fn sessions(&self, query: SessionQuery) -> Result<SessionList, Refusal> {
        listing::sessions(self, query).await
    }

    fn upstream_set(&self, upstream: &str, server: &str, to: ServerState) -> Result<Done, Refusal> {
        upstreams::set(self, upstream, server, to)
    }

    async fn shutdown_flow(&self, worker: usize, id: &str) -> Result<Done, Refusal> {
        upstreams::shutdown_flow(self, worker, id).await
    }

    async fn reload(&self) -> Reloaded {
        reload::reload(self).await
    }

    fn config(&self) -> ConfigView {
        let in_force = self.in_force.borrow();
        ConfigView {
            source: in_force.loaded.source.display().to_string(),
            services_version: in_force.services.version,
            needs_restart: in_force.needs_restart.clone(),
            yaml: effective_yaml(&in_force.loaded),
            config: serde_json::to_value(&in_force.loaded.config).unwrap_or_default(),
        }
    }
}
