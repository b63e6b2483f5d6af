//! The scenarios: what is measured, in which order, and what a row is made of.
//!
//! Invariant: a scenario leaves nothing behind for the next: its connections are reset and the link is empty. What does
//! leave something comes last.

mod bulk;
mod flood;
mod memory;
mod million;
mod proxy;
mod rate;

use crate::daemon::Daemon;
use crate::link::{Link, PortLink};
use crate::load::{Load, Table};
use crate::metrics::Metrics;
use crate::procfs;
use crate::report::Row;
use crate::run::{Outcome, Rig, Times};
use crate::tally::Counts;
use dpdk_ffi::mempool::Mempool;
use std::io;
use std::time::Duration;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Connect, one request, its answer, close.
    Connections,
    /// Requests over 256 connections that stay open.
    Requests,
    /// UDP datagrams and their echoes, in frames of 64 bytes.
    UdpEcho,
    /// UDP datagrams to a port without a service, in frames of 64 bytes.
    Drops,
    /// Millrace sends as fast as it can.
    Send,
    /// Millrace receives as fast as it can.
    Receive,
    /// As `connections`, each joined to one that Millrace opens to a server. With a second link only.
    ProxyConnections,
    /// As `requests`, through the proxy.
    ProxyRequests,
    /// As `udp-echo`, through the proxy.
    ProxyUdp,
    /// As `send`, with servers that send.
    ProxySend,
    /// Memory of connections that did one request and stay.
    Memory,
    /// New connections beside a SYN flood. The last, because it leaves connections half open.
    Flood,
    /// A million connections that sleep. By itself only, and not unless it is asked for.
    Million,
}

impl Scenario {
    pub(crate) const ALL: [Self; 8] = [
        Self::Connections,
        Self::Requests,
        Self::UdpEcho,
        Self::Drops,
        Self::Send,
        Self::Receive,
        Self::Memory,
        Self::Flood,
    ];

    /// The proxy's, each behind the one that it is compared with.
    pub(crate) const PROXY: [Self; 8] = [
        Self::Connections,
        Self::Requests,
        Self::UdpEcho,
        Self::Send,
        Self::ProxyConnections,
        Self::ProxyRequests,
        Self::ProxyUdp,
        Self::ProxySend,
    ];

    /// What the appliance does by itself in the scenario for which a proxy's needs a second link.
    pub(crate) fn terminated(self) -> Option<Self> {
        match self {
            Self::ProxyConnections => Some(Self::Connections),
            Self::ProxyRequests => Some(Self::Requests),
            Self::ProxyUdp => Some(Self::UdpEcho),
            Self::ProxySend => Some(Self::Send),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::UdpEcho => "udp-echo",
            Self::Drops => "drops",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::ProxyConnections => "proxy-connections",
            Self::ProxyRequests => "proxy-requests",
            Self::ProxyUdp => "proxy-udp",
            Self::ProxySend => "proxy-send",
            Self::Memory => "memory",
            Self::Flood => "flood",
            Self::Million => "million",
        }
    }
}

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) times: Times,
    /// Rates a search may try.
    pub(crate) questions: u32,
    pub(crate) precision: f64,
    /// How often a rate that was not held is tried before that is believed.
    pub(crate) attempts: u32,
    /// Connections of the memory scenario.
    pub(crate) flows: u32,
    /// Connections of the million scenario.
    pub(crate) crowd: u32,
}

impl Effort {
    pub(crate) fn full() -> Self {
        Self {
            times: times(200, 700),
            questions: 10,
            precision: 0.03,
            attempts: 2,
            flows: 50_000,
            crowd: 1_000_000,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            times: times(60, 200),
            questions: 6,
            precision: 0.08,
            attempts: 2,
            flows: 20_000,
            crowd: 100_000,
        }
    }
}

fn times(warm_up: u64, interval: u64) -> Times {
    Times {
        warm_up: Duration::from_millis(warm_up),
        interval: Duration::from_millis(interval),
        grace: Duration::from_millis(5),
    }
}

/// Everything a scenario needs.
pub(crate) struct Bench<'a> {
    pub(crate) rig: Rig<PortLink>,
    /// The link to Millrace's upstream side.
    pub(crate) back: Option<PortLink>,
    pub(crate) daemon: &'a Daemon,
    pub(crate) table: Table,
    pub(crate) pool: Mempool,
    pub(crate) effort: Effort,
}

/// What Millrace and the kernel counted while something ran.
pub(crate) struct Watched {
    pub(crate) before: Metrics,
    pub(crate) after: Metrics,
    /// What the generator counted.
    pub(crate) counts: Counts,
    lost: f64,
    /// Seconds there was load.
    loaded: f64,
}

impl Watched {
    /// How much a metric grew.
    pub(crate) fn grown(&self, name: &str) -> f64 {
        self.after.grown(&self.before, name)
    }

    /// Seconds in turns that found packets, without the time the worker's CPU was taken away.
    pub(crate) fn busy(&self) -> f64 {
        self.grown("worker_busy_seconds_total") * (1.0 - self.lost)
    }

    /// The worker's share of time in turns that found packets, between the first and the last of them.
    pub(crate) fn busy_share(&self) -> f64 {
        (self.grown("worker_busy_seconds_total") / self.loaded).min(1.0)
    }
}

/// Stacks for a million connections: few, so that nearly all must sleep.
pub(crate) const LIVE_OF_MILLION: u32 = 4096;
const WORKER: &str = "worker-0";

impl Bench<'_> {
    /// Runs a scenario.
    pub(crate) fn run(&mut self, scenario: Scenario) -> io::Result<Row> {
        match scenario {
            Scenario::Connections | Scenario::Requests | Scenario::UdpEcho | Scenario::Drops => {
                rate::run(self, scenario)
            }
            Scenario::Send | Scenario::Receive => bulk::run(self, scenario),
            Scenario::ProxyConnections
            | Scenario::ProxyRequests
            | Scenario::ProxyUdp
            | Scenario::ProxySend => proxy::run(self, scenario),
            Scenario::Memory => memory::run(self),
            Scenario::Flood => flood::run(self),
            Scenario::Million => million::run(self),
        }
    }
}

/// Offers as much as the link takes, and watches what it costs.
pub(crate) fn saturate(
    rig: &mut Rig<impl Link>,
    daemon: &Daemon,
    load: &mut impl Load,
    times: Times,
) -> io::Result<(Try, Watched)> {
    watch(rig, daemon, load, f64::INFINITY, times)
}

/// Offers `rate` operations a second, and watches what it costs.
pub(crate) fn watch(
    rig: &mut Rig<impl Link>,
    daemon: &Daemon,
    load: &mut impl Load,
    rate: f64,
    times: Times,
) -> io::Result<(Try, Watched)> {
    let (before, counted) = (daemon.settled()?, load.tally().counts);
    let tried = try_rate(rig, daemon, load, rate, times);
    let counts = load.tally().counts - counted;
    let (lost, loaded) = (tried.server_lost, (times.warm_up + times.interval).as_secs_f64());
    Ok((tried, Watched { before, after: daemon.settled()?, counts, lost, loaded }))
}

/// How a rate went, and the CPU time both sides lost meanwhile.
pub(crate) fn try_rate(
    rig: &mut Rig<impl Link>,
    daemon: &Daemon,
    load: &mut impl Load,
    rate: f64,
    times: Times,
) -> Try {
    let worker = || procfs::thread_named(daemon.pid(), WORKER).unwrap_or_default();
    let (server, client) = (worker(), procfs::this_thread());
    let outcome = rig.measure(load, rate, times);
    Try {
        outcome,
        server_lost: worker().lost_since(server),
        client_lost: procfs::this_thread().lost_since(client),
    }
}

/// One rate tried.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) outcome: Outcome,
    pub(crate) server_lost: f64,
    pub(crate) client_lost: f64,
}

/// The daemon's resident memory in bytes.
pub(crate) fn resident(daemon: &Daemon) -> io::Result<u64> {
    procfs::resident(daemon.pid()).ok_or_else(|| io::Error::other("the daemon is gone"))
}

/// Opens what a load keeps open.
pub(crate) fn open<L: Link>(rig: &mut Rig<L>, load: &mut impl Load) -> io::Result<()> {
    if rig.until(load, Duration::from_secs(5), |load| load.ready()) {
        return Ok(());
    }
    let counts = load.tally().counts;
    Err(io::Error::other(format!("the connections did not open within 5 s: {counts:?}")))
}
