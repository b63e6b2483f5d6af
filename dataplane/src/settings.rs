//! What the data plane is started with: plain values, checked by whoever read the configuration.
//!
//! Invariant: nothing here is parsed or defaulted; control decides, the data plane obeys.

use crate::application::Application;
use crate::observe::{Level, ObserveSettings};
use crate::policy::Policy;
use crate::prefix::Prefix;
use crate::proxy::{ProxyLimits, ProxySpec, Source, Target, Upstreams};
use core::time::Duration;
use std::sync::Arc;

pub use dpdk_ffi::eal::{EalOptions, Hugepages, LogLevel};
pub use l3l4::{CongestionControl, Limits, SynCookies};

/// How packets of a port come to the worker that owns their flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Steering {
    /// By RSS where it is there and verified; else by queue where the port has one per worker; else in software.
    #[default]
    Auto,
    /// The port's RSS brings every packet of a flow to the queue of one worker.
    Rss,
    /// The device spreads flows over its queues by itself; the worker of the queue owns the flow.
    Queue,
    /// Workers hash every packet and hand over what is not theirs.
    Software,
}

impl Steering {
    /// Its name in configuration and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rss => "rss",
            Self::Queue => "queue",
            Self::Software => "software",
        }
    }
}

/// The addresses of one VLAN of a port (or of its untagged side).
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// VLAN id; 0 for untagged.
    pub vlan: u16,
    /// Own addresses with prefix lengths.
    pub addresses: Vec<(l3l4::Addr, u8)>,
    /// Answer for every address of their subnets, and take what is routed here for any other.
    pub any_ip: bool,
    /// Gateways.
    pub gateways: Vec<l3l4::Addr>,
    /// What `any_ip` leaves alone.
    pub except: Vec<Prefix>,
    /// Addresses that legs of proxies come from: ours, like `addresses`, but without a subnet.
    pub pool: Vec<l3l4::Addr>,
}

/// One port.
#[derive(Clone, Debug)]
pub struct PortSettings {
    /// Its name in configuration, metrics and listings.
    pub name: String,
    /// The DPDK device: a vdev's name without arguments, or a PCI address.
    pub device: String,
    /// The networks it is on; frames of other VLANs are dropped.
    pub networks: Vec<Network>,
    /// Longest IP packet, in bytes.
    pub mtu: u16,
    /// Use this MAC address instead of the device's.
    pub mac: Option<[u8; 6]>,
    /// Take frames for every station.
    pub promiscuous: bool,
    /// Its frames are copies of what others say to each other: they are followed, and nothing is ever sent here.
    pub mirror: bool,
    /// Receive descriptors of each queue.
    pub rx_descriptors: u16,
    /// Transmit descriptors of each queue.
    pub tx_descriptors: u16,
    /// Receive queues; `None` for one per worker.
    pub rx_queues: Option<u16>,
    /// How packets come to the owner of their flow.
    pub steering: Steering,
    /// Ask the device for checksum offload.
    pub checksum_offload: bool,
    /// Ask the device to take VLAN tags off and put them on.
    pub vlan_offload: bool,
    /// Receive into several buffers where one is too small.
    pub scatter: bool,
}

/// One service: a rule of the policy and what is behind it.
#[derive(Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What answers; `None` for rules that do not terminate.
    pub application: Option<Arc<dyn Application>>,
    /// How it proxies; `None` for rules that do not.
    pub proxy: Option<Arc<ProxySpec>>,
    /// What of its flows is told as events.
    pub observe: Level,
}

/// The services in force, exchanged as a whole.
#[derive(Clone)]
pub struct Services {
    /// Counts up with every exchange.
    pub version: u64,
    /// The rules.
    pub policy: Policy,
    /// By the `service` number of the rules. Numbers keep their meaning for as long as the process runs: a
    /// service that is gone leaves its place, a new one gets a new number.
    pub services: Vec<Service>,
    /// What proxies connect to.
    pub upstreams: Upstreams,
}

impl Services {
    /// Whether flows of a service that end here are observed.
    #[must_use]
    pub fn are_observed(&self) -> bool {
        let ends = |service: &Service| service.application.is_some() || service.proxy.is_some();
        self.services.iter().any(|service| service.observe != Level::None && ends(service))
    }

    /// Whether a service sends flows to servers under the client's address: then hashes may lead the two legs of a
    /// session to different workers.
    #[must_use]
    pub fn are_transparent(&self) -> bool {
        let transparent =
            |spec: &ProxySpec| spec.source == Source::Client && matches!(spec.target, Target::Upstream(_));
        self.services.iter().filter_map(|service| service.proxy.as_deref()).any(transparent)
    }
}

/// Bytes of a buffer, headroom included, that packets of this MTU need: the headroom, the Ethernet and VLAN headers, and
/// what drivers like to have behind.
#[must_use]
pub const fn least_data_room(mtu: u16) -> u16 {
    mtu.saturating_add(dpdk_ffi::mempool::HEADROOM + 64)
}

/// Bytes of a buffer, headroom included, where none are given (`data_room` is 0) and this is the largest MTU: at least
/// the 2 KiB behind the headroom that drivers expect.
#[must_use]
pub const fn data_room_for(mtu: u16) -> u16 {
    let (least, usual) = (least_data_room(mtu), 2048 + dpdk_ffi::mempool::HEADROOM);
    if least > usual { least } else { usual }
}

/// Everything the data plane is started with.
#[derive(Clone)]
pub struct Settings {
    /// One worker on each of these CPUs.
    pub cpus: Vec<usize>,
    /// DPDK's environment.
    pub eal: EalOptions,
    /// Ports, in the order of their numbers.
    pub ports: Vec<PortSettings>,
    /// The services in force at start.
    pub services: Arc<Services>,
    /// Buffers of each worker's pool.
    pub mbufs: u32,
    /// Buffers in each worker's cache.
    pub mbuf_cache: u32,
    /// Bytes of each buffer, headroom included; 0: what the largest MTU needs.
    pub data_room: u16,
    /// Bounds of each worker's engine.
    pub limits: Limits,
    /// Neighbours in the table that all workers share.
    pub neighbours: usize,
    /// Datagrams in reassembly per worker.
    pub fragments: usize,
    /// How long a datagram may take to be completed.
    pub fragment_timeout: Duration,
    /// Bounds of proxying.
    pub proxy: ProxyLimits,
    /// Bounds of observation.
    pub observe: ObserveSettings,
    /// Places in each ring between two workers (a power of two).
    pub steering_ring: u32,
    /// Bytes of each connection's rings.
    pub tcp_buffer_size: usize,
    /// See [`l3l4::Builder::tcp_idle_timeout`].
    pub tcp_idle_timeout: Duration,
    /// See [`l3l4::Builder::tcp_halfopen_idle_timeout`].
    pub tcp_halfopen_idle_timeout: Duration,
    /// See [`l3l4::Builder::tcp_user_timeout`].
    pub tcp_user_timeout: Duration,
    /// See [`l3l4::Builder::tcp_slow_reader_timeout`].
    pub tcp_slow_reader_timeout: Option<Duration>,
    /// See [`l3l4::Builder::tcp_slow_reader_bytes`].
    pub tcp_slow_reader_bytes: u32,
    /// See [`l3l4::Builder::tcp_fin_wait_timeout`].
    pub tcp_fin_wait_timeout: Duration,
    /// See [`l3l4::Builder::tcp_time_wait`].
    pub tcp_time_wait: Duration,
    /// See [`l3l4::Builder::tcp_synack_retries`].
    pub tcp_synack_retries: u8,
    /// See [`l3l4::Builder::tcp_min_mss`].
    pub tcp_min_mss: u16,
    /// See [`l3l4::Builder::tcp_path_mtu_discovery`].
    pub tcp_path_mtu_discovery: bool,
    /// See [`l3l4::Builder::tcp_min_path_mtu`].
    pub tcp_min_path_mtu: u16,
    /// An idle connection is probed after this time; `None`: never.
    pub tcp_keepalive: Option<Duration>,
    /// Time between such probes.
    pub tcp_keepalive_interval: Duration,
    /// How many of them may go unanswered.
    pub tcp_keepalive_probes: u8,
    /// Congestion control.
    pub congestion: CongestionControl,
    /// See [`l3l4::Builder::direct`].
    pub tcp_direct: bool,
    /// See [`l3l4::Builder::tcp_sleep_after`].
    pub tcp_sleep_after: Option<Duration>,
    /// See [`l3l4::Builder::syn_cookies`].
    pub syn_cookies: SynCookies,
    /// See [`l3l4::Builder::udp_idle_timeout`].
    pub udp_idle_timeout: Duration,
    /// Longest sleep of a worker with nothing to do; zero: it polls without pause.
    pub max_sleep: Duration,
    /// Empty turns before the first sleep.
    pub spin_turns: u32,
    /// Secret of sequence numbers and hashes, shared by all workers.
    pub secret: [u8; 32],
}
