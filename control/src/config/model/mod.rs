//! The configuration as the rest of Millrace sees it: plain, complete, typed.
//!
//! Invariant: every value is present, in range and in its base type; a `Config` only comes from [`super::parse`] or
//! [`super::load`], which have checked it. Descriptions here are the descriptions of the reference and the schema.

mod application;
mod export;
mod monitor;
mod operate;
mod port;
mod proxy;
mod resources;
mod service;
mod start;
mod transport;
mod upstream;

pub use application::{Application, Http};
pub use export::Export;
pub use monitor::{Monitor, Observe, Overlap};
pub use operate::{Admin, Log, LogFormat, LogLevel, Metrics, Shutdown};
pub use port::{Device, Offloads, Port, Steering, Toggle, Vdev, Vlan};
pub use proxy::{Proxy, ProxySource, SendProxy, ServiceProxy};
pub use resources::{Idle, IdleMode, Limits, Mempool};
pub use service::{Action, Match, Protocol, Service};
pub use start::{Eal, EalLogLevel, Hugepages, Workers};
pub use transport::{Congestion, SynCookies, Tcp, Udp};
pub use upstream::{Balance, Eject, HealthCheck, HttpCheck, Server, Upstream};

use super::section::section;
use super::spec::{default, required};

section! {
    /// A Millrace configuration: what is not written has a default.
    pub struct Config {
        /// The packet workers, one per CPU: a list of CPU numbers, or `{count: n}` to take the n highest online CPUs.
        "workers" workers: Workers = required("[1]");
        /// How DPDK is started.
        "eal" eal: Eal = default(Eal::placeholder());
        /// Packet buffers. Every worker has a pool of its own.
        "mempool" mempool: Mempool = default(Mempool::placeholder());
        /// The ports packets come and go through.
        "ports" ports: Vec<Port> = required("[{name: lan, device: \"net_tap0,iface=mill0\", addresses: [10.64.0.2/24]}]").items(1..=64);
        /// Groups of servers that services with the action `proxy` connect to.
        "upstreams" upstreams: Vec<Upstream> = default(Vec::new()).items(0..=256).live();
        /// What is done with a flow. The first service whose match fits decides.
        "services" services: Vec<Service> = default(Vec::new()).items(0..=4096).live();
        /// Bounds of everything that grows.
        "limits" limits: Limits = default(Limits::placeholder());
        /// Bounds of proxying.
        "proxy" proxy: Proxy = default(Proxy::placeholder());
        /// Bounds of following connections passively, for each worker.
        "monitor" monitor: Monitor = default(Monitor::placeholder());
        /// TCP of flows that end here, those to upstreams among them.
        "tcp" tcp: Tcp = default(Tcp::placeholder());
        /// UDP of flows that end here, those to upstreams among them.
        "udp" udp: Udp = default(Udp::placeholder());
        /// What a worker does when there are no packets.
        "idle" idle: Idle = default(Idle::placeholder());
        /// Where events of observed flows go, over ZeroMQ: see docs/events.md. Without it nowhere. There is no authentication: whoever reaches an endpoint reads what observed connections carry.
        "export" export: Option<Export> = default(None).example("{push: [\"ipc:///run/millrace/events.sock\"]}");
        /// The Prometheus endpoint.
        "metrics" metrics: Metrics = default(Metrics::placeholder());
        /// The socket `millctl` talks to.
        "admin" admin: Admin = default(Admin::placeholder());
        /// The daemon's own log.
        "log" log: Log = default(Log::placeholder());
        /// How the daemon stops.
        "shutdown" shutdown: Shutdown = default(Shutdown::placeholder());
    }
}
