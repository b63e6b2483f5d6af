//! The running daemon at one moment, as the metrics endpoint and the admin socket see it.
//!
//! Invariant: plain values and borrowed reports; making one changes nothing and waits for nothing. The servers know
//! the daemon only through [`Source`], so that they can be tried on a made-up one.

use core::future::Future;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use dataplane::application::AppCounters;
use dataplane::neighbour::Neighbour;
use dataplane::proxy::{ProxyCounters, ServerCounters};
use dataplane::report::Report;
use dpdk_ffi::port::{Link, PortStats};

use crate::export::ExportNumbers;
use crate::protocol::{
    ConfigView, Done, FlowList, FlowQuery, Refusal, Reloaded, ServerState, SessionList, SessionQuery,
};

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Serving.
    Running,
    /// Takes no new flows and waits for the open ones.
    Draining,
}

/// One worker.
#[derive(Debug, Clone)]
pub struct Worker<'a> {
    /// The CPU it runs on.
    pub cpu: usize,
    /// Its newest report; none before the first.
    pub report: Option<&'a Report>,
    /// Time since its last sign of life.
    pub silent: Duration,
}

/// One port.
#[derive(Debug, Clone, Default)]
pub struct Port {
    /// Its name in the configuration.
    pub name: String,
    /// The DPDK device.
    pub device: String,
    /// The DPDK driver.
    pub driver: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// How packets come to the owner of their flow: `rss`, `queue` or `software`.
    pub steering: &'static str,
    /// Longest IP packet, in bytes.
    pub mtu: u16,
    /// Receive queues.
    pub rx_queues: u16,
    /// Receive and transmit descriptors of each queue.
    pub descriptors: (u16, u16),
    /// Own addresses with prefix length, and their VLAN (0: untagged).
    pub addresses: Vec<(u16, IpAddr, u8)>,
    /// The device's own counters; none if they cannot be read.
    pub stats: Option<PortStats>,
    /// The link; none if it cannot be read.
    pub link: Option<Link>,
}

impl Port {
    /// Speed of the link in bits per second; none where it is down or not known.
    #[must_use]
    pub fn speed_bits(&self) -> Option<u64> {
        // DPDK has 0 for none and the largest number for unknown.
        let speed = self.link.map(|link| link.speed_mbps).filter(|speed| !matches!(*speed, 0 | u32::MAX));
        speed.map(|megabits| u64::from(megabits) * 1_000_000)
    }
}

/// One service number. Numbers keep their meaning, so services that are gone are listed too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What answers; none for rules that reject or drop.
    pub application: Option<&'static str>,
    /// Its place among the rules in force, from 0; none if it is gone.
    pub order: Option<usize>,
    /// `terminate`, `proxy`, `reject` or `drop`; empty if it is gone.
    pub action: &'static str,
    /// Whether it proxies, or did.
    pub proxies: bool,
}

/// One server number. Numbers keep their meaning, so servers that are gone are listed too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Name of its upstream.
    pub upstream: String,
    /// Its name.
    pub server: String,
    /// Where it is; none if it is gone.
    pub address: Option<SocketAddr>,
    /// Its share.
    pub weight: u16,
    /// `enabled`, `draining` or `disabled`.
    pub admin: &'static str,
    /// `unknown` (nothing yet, or no checks), `up` or `down`.
    pub health: &'static str,
    /// It is left out for a while because sessions could not connect.
    pub ejected: bool,
}

impl Server {
    /// Whether it may get sessions.
    #[must_use]
    pub fn takes_sessions(&self) -> bool {
        self.address.is_some()
            && self.admin == "enabled"
            && self.health != "down"
            && !self.ejected
            && self.weight > 0
    }
}

/// One packet buffer pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mempool {
    /// Its name.
    pub name: String,
    /// Buffers in it.
    pub size: u64,
    /// Buffers that are free.
    pub available: u64,
}

/// Numbers of the neighbour table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NeighbourNumbers {
    /// Places.
    pub capacity: u64,
    /// Places in use.
    pub entries: u64,
    /// Neighbours being asked for.
    pub asking: u64,
    /// New neighbours.
    pub learned: u64,
    /// Ethernet addresses replaced.
    pub changed: u64,
    /// Refused for want of room.
    pub refused: u64,
    /// Different Ethernet addresses not taken on trust.
    pub challenged: u64,
    /// Stale entries that made room.
    pub evicted: u64,
    /// Removed for age.
    pub expired: u64,
}

/// Numbers of one of the daemon's own servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerNumbers {
    /// Connections open now.
    pub open: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused because too many were open.
    pub refused: u64,
    /// Requests answered.
    pub requests: u64,
    /// Requests refused as malformed, unknown or too late.
    pub bad_requests: u64,
}

/// Configuration reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReloadNumbers {
    /// Reloads that put a configuration in force.
    pub succeeded: u64,
    /// Reloads refused.
    pub failed: u64,
    /// When a configuration was last put in force, the start included.
    pub last_success: SystemTime,
    /// Version of the services in force.
    pub version: u64,
}

/// The daemon at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// DPDK's version.
    pub dpdk: &'a str,
    /// When the daemon started.
    pub started: SystemTime,
    /// What it is doing.
    pub phase: Phase,
    /// Cycles of the time stamp counter in a second.
    pub tsc_hz: u64,
    /// By number.
    pub workers: Vec<Worker<'a>>,
    /// By number.
    pub ports: Vec<Port>,
    /// By number.
    pub services: Vec<Service>,
    /// By number.
    pub servers: Vec<Server>,
    /// Packet buffer pools.
    pub mempools: Vec<Mempool>,
    /// The neighbour table.
    pub neighbours: NeighbourNumbers,
    /// What the exporter did with events; none where nothing is exported.
    pub export: Option<ExportNumbers>,
    /// Configuration reloads.
    pub reloads: ReloadNumbers,
    /// The admin socket.
    pub admin: ServerNumbers,
    /// The metrics endpoint.
    pub http: ServerNumbers,
}

/// A worker that was silent for longer than this is taken for stuck.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(2);

impl<'a> Snapshot<'a> {
    /// The reports there are, with the number of their worker.
    pub fn reports(&self) -> impl Iterator<Item = (usize, &'a Report)> {
        self.workers.iter().enumerate().filter_map(|(number, worker)| Some((number, worker.report?)))
    }

    /// The sum of one number over all workers.
    pub fn total(&self, number: impl Fn(&Report) -> u64) -> u64 {
        self.reports().map(|(_, report)| number(report)).sum()
    }

    /// The sum of one number of a service over all workers.
    pub fn service(&self, number: usize, counter: impl Fn(&AppCounters) -> u64) -> u64 {
        self.total(|report| report.services.get(number).map_or(0, &counter))
    }

    /// The sum of one number of a service that proxies over all workers.
    pub fn proxy(&self, number: usize, counter: impl Fn(&ProxyCounters) -> u64) -> u64 {
        self.total(|report| report.proxies.get(number).map_or(0, &counter))
    }

    /// The sum of one number of a server over all workers.
    pub fn server(&self, number: usize, counter: impl Fn(&ServerCounters) -> u64) -> u64 {
        self.total(|report| report.servers.get(number).map_or(0, &counter))
    }

    /// Cycles of the time stamp counter in seconds.
    #[must_use]
    pub fn seconds(&self, cycles: u64) -> f64 {
        cycles as f64 / self.tsc_hz.max(1) as f64
    }

    /// What is wrong with the workers, one line each.
    #[must_use]
    pub fn ailments(&self) -> Vec<String> {
        let stuck = self.workers.iter().enumerate().filter(|(_, worker)| worker.silent > LONGEST_SILENCE);
        stuck
            .map(|(number, worker)| {
                let silent = worker.silent.as_secs_f64();
                format!("worker {number} on CPU {} gave no sign of life for {silent:.1} s", worker.cpu)
            })
            .collect()
    }
}

/// The running daemon, for its servers.
pub trait Source: 'static {
    /// Shows the daemon as it is now to `read`.
    fn look<R>(&self, read: impl FnOnce(&Snapshot<'_>) -> R) -> R;

    /// The neighbour table.
    fn neighbours(&self) -> Vec<Neighbour>;

    /// Asks every worker for flows that fit, for a bounded time.
    fn flows(&self, query: FlowQuery) -> impl Future<Output = Result<FlowList, Refusal>>;

    /// Reads the configuration file again and puts in force what can be.
    fn reload(&self) -> impl Future<Output = Reloaded>;

    /// Asks every worker for sessions that fit, for a bounded time.
    fn sessions(&self, query: SessionQuery) -> impl Future<Output = Result<SessionList, Refusal>>;

    /// Puts a server of an upstream into another state.
    ///
    /// # Errors
    /// Where there is no such server.
    fn upstream_set(&self, upstream: &str, server: &str, to: ServerState) -> Result<Done, Refusal>;

    /// Has a worker reset a flow.
    fn shutdown_flow(&self, worker: usize, id: &str) -> impl Future<Output = Result<Done, Refusal>>;

    /// The configuration in force.
    fn config(&self) -> ConfigView;
}
