//! From a checked configuration to what the data plane is started with and what a reload gives it.
//!
//! Invariant: nothing here touches a port or a running worker; a plan that cannot be made leaves everything as it
//! is and says where in the file and why.

mod ports;
mod proxy;
mod services;
mod upstreams;

use core::time::Duration;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use dataplane::observe::{FollowLimits, HttpLimits, ObserveSettings, Overlap as FollowOverlap};
use dataplane::proxy::ProxyLimits;
use dataplane::settings::{
    CongestionControl, EalOptions, Hugepages as EalHugepages, Limits, LogLevel, Services, Settings, Steering,
    SynCookies as EngineSynCookies,
};

use siphasher::sip128::SipHasher24;

use crate::config::Size;
use crate::config::model::{Config, Congestion, EalLogLevel, Hugepages, IdleMode, Overlap, SynCookies};
use crate::config::{Auto, Loaded, Problems, parse_cpu_list};

pub use proxy::Pools;
pub use services::{MOST_SERVICES, service_list, services};
pub use upstreams::{MOST_SERVERS, server_list};

/// What a reload finds as it was at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Secret of the choice of servers by source address.
    pub balance: [u8; 16],
    /// Addresses that are answered for beside the ports' own.
    pub pools: Pools,
    /// Whether the packets of a transparent leg to a group find the worker that has it. A start sees to it where a
    /// service needs it; who knows the running ports says what a reload finds ([`Fixed::running`]).
    pub transparent: bool,
}

impl Fixed {
    /// For a start with this configuration and the secret that goes into [`settings`].
    #[must_use]
    pub fn new(config: &Config, secret: &[u8; 32]) -> Self {
        Self { balance: derived(secret, "balance"), pools: proxy::pools(config), transparent: true }
    }

    /// What it comes to with the ports as they were started, and the services of the start.
    #[must_use]
    pub fn running(self, workers: usize, steering: &[Steering], services: &Services) -> Self {
        // What finds no flow is passed round among workers where that was set up.
        let passed = steering.contains(&Steering::Queue) || services.are_transparent();
        Self { transparent: workers == 1 || passed, ..self }
    }
}

/// A secret for one purpose from the secret for all. Whoever learns the one does not learn the other.
fn derived(secret: &[u8; 32], purpose: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&secret[..16]);
    let text = [&secret[16..], purpose.as_bytes()].concat();
    SipHasher24::new_with_key(&key).hash(&text).as_bytes()
}

/// The share of each worker of something all workers have together; together they may have a little more.
fn share(all: u32, workers: usize) -> u32 {
    all.div_ceil(u32::try_from(workers.max(1)).unwrap_or(u32::MAX))
}

/// Everything to start the data plane with. `secret` is 32 random bytes, see [`secret`].
///
/// # Errors
/// What the data plane cannot do although the file alone looks right: files an application cannot serve.
pub fn settings(loaded: &Loaded, secret: [u8; 32]) -> Result<Settings, Problems> {
    let config = &loaded.config;
    let mut problems = Vec::new();
    let mut ports = ports::ports(loaded, &mut problems);
    let fixed = Fixed::new(config, &secret);
    proxy::answer_for(&fixed.pools, &mut ports);
    let services = match services(loaded, None, &fixed) {
        Ok(services) => services,
        Err(Problems(more)) => {
            problems.extend(more);
            return Err(Problems(problems));
        }
    };
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(Settings {
        cpus: config.workers.cpus.iter().map(|cpu| *cpu as usize).collect(),
        eal: eal(loaded),
        ports,
        services: Arc::new(services),
        mbufs: config.mempool.mbufs,
        mbuf_cache: config.mempool.cache,
        data_room: match config.mempool.data_room {
            Auto::Auto => 0,
            Auto::Fixed(size) => u16::try_from(size.bytes()).unwrap_or(u16::MAX),
        },
        limits: limits(config),
        neighbours: config.limits.neighbours as usize,
        fragments: config.limits.fragments as usize,
        fragment_timeout: config.limits.fragment_timeout,
        proxy: ProxyLimits {
            sessions: config.proxy.sessions as usize,
            source_ports: config.proxy.source_ports.first..=config.proxy.source_ports.last,
            endpoints: config.proxy.endpoints as usize,
            secret: derived(&secret, "source ports"),
        },
        observe: observe(config),
        steering_ring: config.limits.steering_ring,
        tcp_buffer_size: usize::try_from(config.tcp.buffer_size.bytes()).unwrap_or(usize::MAX),
        tcp_idle_timeout: config.tcp.idle_timeout,
        tcp_halfopen_idle_timeout: config.tcp.halfopen_idle_timeout,
        tcp_user_timeout: config.tcp.user_timeout,
        tcp_slow_reader_timeout: (!config.tcp.slow_reader_timeout.is_zero())
            .then_some(config.tcp.slow_reader_timeout),
        tcp_slow_reader_bytes: u32::try_from(config.tcp.slow_reader_bytes.bytes()).unwrap_or(u32::MAX),
        tcp_fin_wait_timeout: config.tcp.fin_wait_timeout,
        tcp_time_wait: config.tcp.time_wait,
        tcp_synack_retries: u8::try_from(config.tcp.synack_retries).unwrap_or(u8::MAX),
        tcp_min_mss: config.tcp.min_mss,
        tcp_path_mtu_discovery: config.tcp.path_mtu_discovery,
        tcp_min_path_mtu: config.tcp.min_path_mtu,
        tcp_keepalive: (!config.tcp.keepalive.is_zero()).then_some(config.tcp.keepalive),
        tcp_keepalive_interval: config.tcp.keepalive_interval,
        tcp_keepalive_probes: u8::try_from(config.tcp.keepalive_probes).unwrap_or(u8::MAX),
        tcp_direct: config.tcp.direct,
        tcp_sleep_after: (!config.tcp.sleep_after.is_zero()).then_some(config.tcp.sleep_after),
        syn_cookies: match config.tcp.syn_cookies {
            SynCookies::Auto => EngineSynCookies::Auto,
            SynCookies::Off => EngineSynCookies::Off,
            SynCookies::Always => EngineSynCookies::Always,
        },
        congestion: match config.tcp.congestion {
            Congestion::Stack => CongestionControl::Stack,
            Congestion::Cubic => CongestionControl::Cubic,
            Congestion::Reno => CongestionControl::Reno,
            Congestion::None => CongestionControl::None,
        },
        udp_idle_timeout: config.udp.idle_timeout,
        max_sleep: match config.idle.mode {
            IdleMode::Adaptive => config.idle.max_sleep,
            IdleMode::Busy => Duration::ZERO,
        },
        spin_turns: config.idle.spin_turns,
        secret,
    })
}

/// Bounds of each worker's observation.
#[must_use]
pub fn observe(config: &Config) -> ObserveSettings {
    let monitor = &config.monitor;
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let bytes = |size: Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    ObserveSettings {
        follow: FollowLimits {
            flows: monitor.flows as usize,
            half_open: monitor.half_open as usize,
            held: monitor.held as usize,
            held_of_stream: monitor.held_per_stream,
            held_bytes_of_stream: u32::try_from(monitor.held_bytes_per_stream.bytes()).unwrap_or(u32::MAX),
            acked_grace: nanos(monitor.acked_grace),
            hole_age: nanos(monitor.hole_age),
            idle: nanos(monitor.idle_timeout),
            half_open_idle: nanos(monitor.half_open_timeout),
            linger: nanos(monitor.linger),
            overlap: match monitor.overlap {
                Overlap::First => FollowOverlap::First,
                Overlap::Last => FollowOverlap::Last,
            },
            midstream: monitor.midstream,
        },
        http: HttpLimits {
            head: bytes(monitor.http_head),
            headers: monitor.http_headers as usize,
            pipeline: monitor.http_pipeline as usize,
            held: bytes(monitor.http_memory),
            ..HttpLimits::default()
        },
        // What the exporter would leave out has no need to take room in the ring.
        body: config.export.as_ref().map_or(0, |export| export.body.bytes()),
        verify_checksums: monitor.verify_checksums,
        ring: config.export.as_ref().map(|export| bytes(export.ring)),
    }
}

/// Bounds of each worker's engine; the rates in it can be exchanged while it runs.
#[must_use]
pub fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        flows: limits.flows as usize,
        // Datagrams are cheap to forge: they may never take the places of connections.
        udp_flows: limits.flows as usize / 2,
        live: limits.live as usize,
        half_open: limits.half_open as usize,
        half_open_per_source: u16::try_from(limits.half_open_per_source).unwrap_or(u16::MAX),
        rst_per_second: limits.rst_per_second,
        icmp_per_second: limits.icmp_per_second,
        challenge_acks_per_second: limits.challenge_acks_per_second,
    }
}

/// 32 random bytes from the kernel.
///
/// # Errors
/// Where `/dev/urandom` cannot be read.
pub fn secret() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

/// The tap driver logs errors at every start, about queueing and secondary processes it does without. Where the log
/// level is left at its default they are kept back; why a start failed is heard all the same.
const QUIET_TAP: &str = "--log-level=pmd.net.tap:critical";

fn eal(loaded: &Loaded) -> EalOptions {
    let config = &loaded.config;
    let eal = &config.eal;
    let taps =
        config.ports.iter().any(|port| port.device.as_ref().is_some_and(|vdev| vdev.driver() == "net_tap"));
    let quiet = (taps && !loaded.given.contains("eal.log_level")).then(|| QUIET_TAP.to_owned());
    let devices = |pci: bool| {
        let wanted = config.ports.iter().filter_map(|port| port.attachment());
        wanted.filter_map(move |device| match device {
            crate::config::model::Device::Pci(address) => pci.then(|| address.to_string()),
            crate::config::model::Device::Vdev(vdev) => (!pci).then(|| vdev.to_string()),
        })
    };
    EalOptions {
        hugepages: match &eal.hugepages {
            Hugepages::Off => EalHugepages::None,
            Hugepages::On => EalHugepages::InMemory,
            Hugepages::Dir(dir) => EalHugepages::Dir(dir.clone()),
        },
        memory_mb: eal.memory_mb,
        pci: devices(true).collect(),
        vdevs: devices(false).collect(),
        file_prefix: Some(eal.file_prefix.clone()),
        main_cpus: main_cpus(config, &allowed_cpus()),
        log_level: match eal.log_level {
            EalLogLevel::Critical | EalLogLevel::Error => LogLevel::Error,
            EalLogLevel::Warning => LogLevel::Warning,
            EalLogLevel::Notice => LogLevel::Notice,
            EalLogLevel::Info => LogLevel::Info,
            EalLogLevel::Debug => LogLevel::Debug,
        },
        telemetry: false,
        extra: quiet.into_iter().chain(eal.extra_args.iter().cloned()).collect(),
    }
}

/// The CPUs of everything that is not a worker: those given, else the allowed ones without a worker, else (every
/// CPU has a worker) all of them.
fn main_cpus(config: &Config, allowed: &[u32]) -> Vec<usize> {
    let chosen: Vec<u32> = if config.eal.main_cpus.is_empty() {
        allowed.iter().copied().filter(|cpu| !config.workers.cpus.contains(cpu)).collect()
    } else {
        config.eal.main_cpus.clone()
    };
    chosen.into_iter().map(|cpu| cpu as usize).collect()
}

/// The CPUs this process may run on; none if the kernel does not say.
fn allowed_cpus() -> Vec<u32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(parse_cpu_list).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn config(workers: &str, main: &str) -> Config {
        let ports = "ports: [{name: a, device: net_null0, addresses: [10.0.0.1/24]}]";
        parse("t", &format!("workers: {workers}\neal: {{main_cpus: {main}}}\n{ports}\n")).unwrap().config
    }

    #[test]
    fn the_main_thread_keeps_off_the_workers() {
        assert_eq!(main_cpus(&config("[1, 3]", "[]"), &[0, 1, 2, 3]), [0, 2]);
        assert_eq!(main_cpus(&config("[1, 3]", "[2]"), &[0, 1, 2, 3]), [2]);
        assert!(main_cpus(&config("[0, 1]", "[]"), &[0, 1]).is_empty(), "nothing left: wherever it runs now");
    }

    #[test]
    fn only_an_unasked_tap_is_kept_quiet() {
        let extra = |device: &str, rest: &str| {
            let ports = format!("ports: [{{name: a, device: {device}, addresses: [10.0.0.1/24]}}]");
            eal(&parse("t", &format!("workers: [1]\n{ports}\n{rest}")).unwrap()).extra
        };
        assert_eq!(extra("net_tap0", "eal: {extra_args: [--iova-mode=va]}"), [QUIET_TAP, "--iova-mode=va"]);
        assert!(extra("net_tap0", "eal: {log_level: warning}").is_empty(), "asked for: everything");
        assert!(extra("net_null0", "").is_empty());
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed_cpus().is_empty());
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(secret().unwrap(), secret().unwrap());
    }
}
