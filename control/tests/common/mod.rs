//! A made-up daemon for the servers, and a thread to serve it on.
//!
//! Invariant: its numbers are fixed, so that what is shown of them can be compared whole.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, unreachable_pub)]

use std::cell::Cell;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use control::export::{ExportNumbers, Losses, WorkerNumbers};
use control::protocol::{
    ConfigView, Done, FlowList, FlowQuery, Refusal, RefusalCode, Reloaded, ServerState, SessionList,
    SessionQuery,
};
use control::snapshot::{
    Mempool, NeighbourNumbers, Phase, Port, ReloadNumbers, Server, ServerNumbers, Service, Snapshot, Source,
    Worker,
};
use control::tally::Tally;
use dataplane::application::AppCounters;
use dataplane::event::{EventCounters, TOPICS};
use dataplane::neighbour::{Mac, Neighbour, State};
use dataplane::proxy::{ProxyCounters, ServerCounters};
use dataplane::report::{PortCounters, Report};
use dpdk_ffi::port::{Link, PortStats};

/// A daemon with two workers, two ports and three services, of which one is gone.
pub struct MadeUp {
    pub reports: Vec<Report>,
    pub silent: Duration,
    pub phase: Phase,
    pub link: Option<Link>,
    /// Length of the configuration text.
    pub config_bytes: usize,
    pub reloads: Cell<u64>,
}

impl Default for MadeUp {
    fn default() -> Self {
        Self {
            reports: vec![report(1), report(10)],
            silent: Duration::from_millis(30),
            phase: Phase::Running,
            link: Some(Link { up: true, speed_mbps: 10_000, full_duplex: true }),
            config_bytes: 10,
            reloads: Cell::new(0),
        }
    }
}

/// A report whose numbers are multiples of `n`.
fn report(n: u64) -> Report {
    let mut report = Report::new(2, 4);
    report.ports[0] = PortCounters {
        rx_packets: 100 * n,
        rx_bytes: 6_400 * n,
        tx_packets: 50 * n,
        tx_bytes: 3_200 * n,
        tx_dropped: n,
    };
    report.counters.delivered = 60 * n;
    report.engine.delivered = 30 * n;
    report.drops[0] = 7 * n;
    report.drops[30] = 3 * n;
    report.counters.busy_cycles = 1_000 * n;
    report.counters.idle_cycles = 3_000 * n;
    report.engine.tcp_opened = 5 * n;
    report.engine.closed[0] = 4 * n;
    report.gauges.flows = 3 * n;
    report.observed.events = events();
    report.gauges.tcp_flows = 2 * n;
    report.gauges.udp_flows = n;
    report.services[0] = AppCounters {
        tcp_bytes_in: 11 * n,
        http_requests: 2 * n,
        http_responses: [0, 2 * n, 0, n, 0],
        ..AppCounters::default()
    };
    report.proxies[3] = ProxyCounters {
        sessions: 9 * n,
        open: 2 * n,
        established: 8 * n,
        refused_connect: n,
        bytes_up: 1_000 * n,
        bytes_down: 5_000 * n,
        ..ProxyCounters::default()
    };
    report.proxies[3].connect_times.add(Duration::from_micros(300));
    report.servers = vec![ServerCounters::default(); 3];
    report.servers[0] = ServerCounters {
        connects: 9 * n,
        established: 8 * n,
        refused: n,
        open: 2 * n,
        ..ServerCounters::default()
    };
    for _ in 0..n {
        report.latency_ns.record(1_500).unwrap();
        report.latency_ns.record(3_000_000_000).unwrap();
    }
    report
}

/// 10 events produced of each topic, of which 2 found no room in the ring.
fn events() -> EventCounters {
    EventCounters { produced: [10; TOPICS], dropped: [2; TOPICS], body_lost: 3 }
}

/// Of the others 7 were sent and 1 found no consumer.
fn export() -> ExportNumbers {
    let worker = WorkerNumbers {
        sent: [7; TOPICS],
        dropped: [1; TOPICS],
        published: [8; TOPICS],
        sent_bytes: 700,
        published_bytes: 800,
    };
    let losses = Losses { cut_limit: 1, cut_memory: 2, cut_ring: 5, evicted: 3, endless: 4 };
    ExportNumbers { workers: vec![worker; 2], held: 5, held_bytes: 6, losses }
}

impl Source for MadeUp {
    fn look<R>(&self, read: impl FnOnce(&Snapshot<'_>) -> R) -> R {
        let port = |name: &str, stats| Port {
            name: name.into(),
            device: format!("net_tap_{name}"),
            driver: "net_tap".into(),
            mac: [2, 0, 0, 0, 0, 1],
            steering: "software",
            mtu: 1500,
            rx_queues: 1,
            descriptors: (1024, 1024),
            addresses: vec![(0, "10.64.0.2".parse().unwrap(), 24), (100, "fd00::2".parse().unwrap(), 64)],
            stats,
            link: self.link,
        };
        let service = |name: &str, application, order, action| Service {
            name: name.into(),
            application,
            order,
            action,
            proxies: action == "proxy",
        };
        let server = |server: &str, address: Option<&str>, admin, health| Server {
            upstream: "web".into(),
            server: server.into(),
            address: address.map(|address| address.parse().unwrap()),
            weight: 1,
            admin,
            health,
            ejected: false,
        };
        let workers = self.reports.iter().enumerate();
        read(&Snapshot {
            dpdk: "22.11.0",
            started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
            phase: self.phase,
            tsc_hz: 1_000,
            workers: workers
                .map(|(n, report)| Worker { cpu: n + 2, report: Some(report), silent: self.silent })
                .collect(),
            ports: vec![
                port("lan", Some(PortStats { imissed: 9, ..PortStats::default() })),
                port("wan", None),
            ],
            services: vec![
                service("web", Some("http"), Some(1), "terminate"),
                service("old", Some("echo"), None, ""),
                service("no", None, Some(0), "reject"),
                service("front", None, Some(2), "proxy"),
            ],
            servers: vec![
                server("a", Some("10.64.0.11:80"), "enabled", "up"),
                server("b", Some("[fd00::11]:80"), "draining", "down"),
                server("old", None, "enabled", "unknown"),
            ],
            mempools: vec![Mempool { name: "worker0".into(), size: 512, available: 384 }],
            neighbours: NeighbourNumbers {
                capacity: 64,
                entries: 3,
                asking: 1,
                learned: 5,
                ..NeighbourNumbers::default()
            },
            export: Some(export()),
            reloads: ReloadNumbers {
                succeeded: self.reloads.get(),
                failed: 2,
                last_success: SystemTime::UNIX_EPOCH,
                version: 4,
            },
            admin: ServerNumbers { open: 1, accepted: 2, refused: 3, requests: 4, bad_requests: 5 },
            http: ServerNumbers::default(),
        })
    }

    fn neighbours(&self) -> Vec<Neighbour> {
        let neighbour = |vlan, addr: &str, mac, state| Neighbour {
            port: 0,
            vlan,
            addr: addr.parse::<std::net::IpAddr>().unwrap().into(),
            mac,
            state,
            gateway: vlan == 0,
            age_s: 75,
        };
        vec![
            neighbour(100, "fd00::1", None, State::Asking),
            neighbour(0, "10.64.0.1", Some(Mac([2, 0, 0, 0, 0, 9])), State::Reachable),
        ]
    }

    async fn flows(&self, query: FlowQuery) -> Result<FlowList, Refusal> {
        match query.service {
            Some(name) if name != "web" => {
                Err(Refusal::new(RefusalCode::Unknown, format!("no service {name}")))
            }
            _ => Ok(FlowList { flows: Vec::new(), cut: true, silent_workers: vec![1] }),
        }
    }

    async fn sessions(&self, query: SessionQuery) -> Result<SessionList, Refusal> {
        match query.upstream {
            Some(name) if name != "web" => {
                Err(Refusal::new(RefusalCode::Unknown, format!("no upstream {name}")))
            }
            _ => Ok(SessionList { sessions: Vec::new(), cut: true, silent_workers: vec![1] }),
        }
    }

    fn upstream_set(&self, upstream: &str, server: &str, to: ServerState) -> Result<Done, Refusal> {
        match (upstream, server) {
            ("web", "a") => Ok(Done { message: format!("web/a: {to:?}") }),
            _ => Err(Refusal::new(RefusalCode::Unknown, format!("no server {upstream}/{server}"))),
        }
    }

    async fn shutdown_flow(&self, worker: usize, id: &str) -> Result<Done, Refusal> {
        match worker {
            0 | 1 => Ok(Done { message: format!("{worker}:{id}: reset") }),
            _ => Err(Refusal::new(RefusalCode::Unknown, format!("no worker {worker}"))),
        }
    }

    async fn reload(&self) -> Reloaded {
        self.reloads.set(self.reloads.get() + 1);
        Reloaded {
            succeeded: true,
            source: "made-up.yaml".into(),
            services_version: 5,
            ..Reloaded::default()
        }
    }

    fn config(&self) -> ConfigView {
        ConfigView {
            source: "made-up.yaml".into(),
            yaml: "x".repeat(self.config_bytes),
            ..ConfigView::default()
        }
    }
}

/// Runs a server on a thread of its own, until the process ends. `make` gets the tally it counts with.
pub fn serve<F, Fut>(make: F) -> Arc<Tally>
where
    F: FnOnce(Arc<Tally>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let tally = Arc::new(Tally::default());
    let counted = Arc::clone(&tally);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async { make(counted).await });
    });
    tally
}

/// Serves a made-up daemon's admin socket.
pub fn admin(
    daemon: impl FnOnce() -> MadeUp + Send + 'static,
    bounds: control::admin::Bounds,
) -> (Scratch, Arc<Tally>) {
    let mut scratch = directory();
    scratch.path.push("admin.sock");
    let listener = std::os::unix::net::UnixListener::bind(&scratch.path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let tally = serve(move |tally| async move {
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        control::admin::serve(listener, Rc::new(daemon()), tally, bounds).await;
    });
    (scratch, tally)
}

/// A path in a directory that goes away with it.
pub struct Scratch {
    directory: PathBuf,
    path: PathBuf,
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A new directory for one test.
pub fn directory() -> Scratch {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("millrace-test-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    Scratch { path: directory.clone(), directory }
}

/// Waits until something holds; gives up, loudly, only long after any machine would have got there.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}
