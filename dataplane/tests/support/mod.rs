//! A data plane on virtual devices that need neither privileges nor a network, fed by hand.
//!
//! Invariant: EAL starts once per process, so a process makes one [`Rig`]; what a rig counted at its end always
//! adds up, and [`Rig::end`] asserts it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub)] // each test uses its part

pub mod cases;
pub mod wire;

use dataplane::appliance::{Dataplane, Summary};
use dataplane::application::{Body, HttpSpec, Spec};
use dataplane::drop::all_reasons;
use dataplane::observe::{Level, ObserveSettings};
use dataplane::policy::{Action, Policy, Rule};
use dataplane::proxy::{ProxyLimits, Upstreams};
use dataplane::report::Report;
use dataplane::settings::{
    CongestionControl, EalOptions, Limits, Network, PortSettings, Service, Services, Settings, Steering,
    SynCookies,
};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use wire::{PEER, Sent, US};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn addr(text: &str) -> l3l4::Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// A directory of this process, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("millrace-test-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The header of a capture of Ethernet frames.
fn capture_header() -> Vec<u8> {
    [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1].iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn record(frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u32;
    let mut bytes: Vec<u8> = [0, 0, len, len].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(frame);
    bytes
}

/// Writes a capture file.
pub fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let mut bytes = capture_header();
    frames.iter().for_each(|frame| bytes.extend(record(frame)));
    fs::write(path, bytes).unwrap();
}

/// The whole frames of a capture file, which may still grow.
pub fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_default();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while rest.len() >= 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let Some(frame) = rest.get(16..16 + len) else { break };
        frames.push(frame.to_vec());
        rest = &rest[16 + len..];
    }
    frames
}

/// A port that a test feeds while the data plane runs: a named pipe played as a capture, and a capture of what was
/// sent. The worker waits in the pipe for whole bursts of 32 frames, so every burst a test writes is one turn.
pub struct Line {
    pipe: Option<File>,
    out: PathBuf,
    seen: usize,
    /// Frames written so far, padding of bursts included.
    pub written: u64,
    /// Frames for another station that filled up bursts.
    pub padding: u64,
    /// The last report, to be given back for the next one.
    held: Option<Box<Report>>,
}

impl Line {
    /// A line and the device that is its other end.
    pub fn new(scratch: &Scratch, name: &str) -> (Self, String) {
        let (line, queues) = Self::queues(scratch, name);
        (line, format!("{name},{queues}"))
    }

    /// A line and the options that make it a receive and a transmit queue of a device.
    pub fn queues(scratch: &Scratch, name: &str) -> (Self, String) {
        let (from, out) = (scratch.path(&format!("{name}.in")), scratch.path(&format!("{name}.out")));
        assert!(Command::new("mkfifo").arg(&from).status().unwrap().success());
        // Open at both ends, so that opening does not wait for the reader.
        let mut pipe = OpenOptions::new().read(true).write(true).open(&from).unwrap();
        pipe.write_all(&capture_header()).unwrap();
        let queues = format!("rx_pcap={},tx_pcap={}", from.display(), out.display());
        (Self { pipe: Some(pipe), out, seen: 0, written: 0, padding: 0, held: None }, queues)
    }

    /// Sends frames, with padding to whole bursts.
    pub fn send(&mut self, frames: &[Vec<u8>]) {
        let other = [&PEER[..], &PEER[..], &[8, 0], &[0; 46]].concat();
        let padding = frames.len().next_multiple_of(32).max(32) - frames.len();
        let all = frames.iter().chain(std::iter::repeat_n(&other, padding));
        let bytes: Vec<u8> = all.flat_map(|frame| record(frame)).collect();
        self.pipe.as_mut().unwrap().write_all(&bytes).unwrap();
        self.written += (frames.len() + padding) as u64;
        self.padding += padding as u64;
    }

    /// What was sent since the last look.
    pub fn new_frames(&mut self) -> Vec<Sent> {
        let frames = read_capture(&self.out);
        let fresh = frames[self.seen..].iter().map(|frame| Sent::read(frame)).collect();
        self.seen = frames.len();
        fresh
    }

    /// Waits until `n` more frames that are no announcements have been sent.
    pub fn expect(&mut self, n: usize) -> Vec<Sent> {
        let mut got: Vec<Sent> = Vec::new();
        let start = Instant::now();
        loop {
            got.extend(self.new_frames().into_iter().filter(|sent| !is_announcement(sent)));
            if got.len() >= n {
                assert_eq!(got.len(), n, "{got:x?}");
                return got;
            }
            assert!(start.elapsed() < PATIENCE, "{n} frames expected, got {got:x?}");
            sleep(Duration::from_millis(1));
        }
    }

    /// Sends frames and waits for as many answers.
    pub fn ask(&mut self, frames: &[Vec<u8>]) -> Vec<Sent> {
        self.send(frames);
        self.expect(frames.len())
    }

    /// Turns the worker until `done`.
    pub fn turn_until(&mut self, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "it does not happen");
            self.send(&[]);
            sleep(Duration::from_millis(1));
        }
    }

    /// Turns the worker until its report fulfils `done`, and covers all that was sent before.
    pub fn report_when(&mut self, dataplane: &Dataplane, done: impl Fn(&Report) -> bool) -> Report {
        let (outlook, written) = (&dataplane.workers()[0].outlook, self.written);
        let mut held = self.held.take();
        self.turn_until(|| {
            held = outlook.collect(held.take());
            held.as_ref().is_some_and(|report| report.rx_packets() >= written && done(report))
        });
        self.held = held;
        self.held.as_deref().unwrap().clone()
    }

    /// Ends the capture, so that the worker no longer waits in it.
    pub fn hang_up(&mut self) {
        self.pipe = None;
    }
}

/// What a worker says to everybody when it starts: gratuitous ARP and unsolicited advertisements.
pub fn is_announcement(sent: &Sent) -> bool {
    sent.is_arp() && sent.packet[14..18] == sent.packet[24..28]
        || sent.protocol() == wire::ICMPV6 && sent.l4()[0] == 136 && sent.l4()[4] & 0x40 == 0
}

/// One rule per line: service number, protocol, port.
pub fn rule(service: u16, protocol: Option<u8>, port: u16, action: Action) -> Rule {
    Rule {
        service,
        ingress: None,
        vlan: None,
        protocol,
        source: vec![],
        destination: vec![],
        ports: vec![port..=port],
        action,
    }
}

pub fn application(spec: &Spec) -> Option<Arc<dyn dataplane::application::Application>> {
    Some(spec.build().unwrap())
}

pub const WEB: u16 = 80;
pub const ECHO: u16 = 7;
pub const CHARGEN: u16 = 19;
pub const DISCARD: u16 = 9;
pub const REJECTED: u16 = 81;
pub const DROPPED: u16 = 82;

/// web on 80, echo on 7, chargen on 19, discard on 9, 81 rejected, 82 dropped.
pub fn services(version: u64) -> Services {
    let answer = |service| Action::Terminate { application: service };
    let http = HttpSpec { body: Body::Bytes(b"hello\n".to_vec()), ..HttpSpec::default() };
    let service = |name: &str, spec: Option<Spec>| Service {
        name: name.into(),
        application: spec.and_then(|spec| application(&spec)),
        proxy: None,
        observe: Level::None,
    };
    Services {
        version,
        policy: Policy::new(vec![
            rule(0, Some(wire::TCP), WEB, answer(0)),
            rule(1, None, ECHO, answer(1)),
            rule(2, None, CHARGEN, answer(2)),
            rule(3, None, DISCARD, answer(3)),
            rule(4, None, REJECTED, Action::Reject),
            rule(5, None, DROPPED, Action::Drop),
        ]),
        services: vec![
            service("web", Some(Spec::Http(http))),
            service("echo", Some(Spec::Echo)),
            service("chargen", Some(Spec::Chargen)),
            service("discard", Some(Spec::Discard)),
            service("rejected", None),
            service("dropped", None),
        ],
        upstreams: Upstreams::default(),
    }
}

pub fn network(vlan: u16) -> Network {
    Network {
        vlan,
        addresses: vec![(addr("10.64.0.2"), 24), (addr("fd00:64::2"), 64)],
        any_ip: false,
        gateways: vec![],
        except: vec![],
        pool: vec![],
    }
}

pub fn port(device: &str) -> PortSettings {
    PortSettings {
        name: "lan".into(),
        device: device.split(',').next().unwrap().into(),
        networks: vec![network(0)],
        mtu: 1500,
        mac: Some(US),
        promiscuous: false,
        mirror: false,
        rx_descriptors: 1024,
        tx_descriptors: 1024,
        rx_queues: None,
        steering: Steering::Auto,
        checksum_offload: true,
        vlan_offload: true,
        scatter: true,
    }
}

/// One worker and a port on each device; tests change what they need.
pub fn settings(devices: &[String]) -> Settings {
    Settings {
        cpus: vec![0],
        eal: EalOptions { vdevs: devices.to_vec(), memory_mb: 256, ..EalOptions::default() },
        ports: devices.iter().map(|device| port(device)).collect(),
        services: Arc::new(services(1)),
        mbufs: 4096,
        mbuf_cache: 64,
        data_room: 0,
        limits: Limits { flows: 1024, udp_flows: 512, half_open: 64, ..Limits::default() },
        neighbours: 256,
        fragments: 8,
        fragment_timeout: Duration::from_secs(30),
        proxy: ProxyLimits::default(),
        observe: ObserveSettings::default(),
        steering_ring: 1024,
        tcp_buffer_size: 16_384,
        tcp_idle_timeout: Duration::from_secs(7200),
        tcp_halfopen_idle_timeout: Duration::from_secs(7200),
        tcp_keepalive: None,
        tcp_keepalive_interval: Duration::from_secs(15),
        tcp_keepalive_probes: 4,
        tcp_direct: true,
        tcp_sleep_after: Some(Duration::from_secs(5)),
        syn_cookies: SynCookies::Auto,
        tcp_user_timeout: Duration::from_secs(120),
        tcp_slow_reader_timeout: Some(Duration::from_secs(60)),
        tcp_slow_reader_bytes: 1024,
        tcp_fin_wait_timeout: Duration::from_secs(60),
        tcp_time_wait: Duration::from_secs(10),
        tcp_synack_retries: 5,
        tcp_min_mss: 64,
        tcp_path_mtu_discovery: true,
        tcp_min_path_mtu: 552,
        // Scripted peers take their time to acknowledge, or never do: nothing is to be sent again within a second.
        congestion: CongestionControl::Stack,
        udp_idle_timeout: Duration::from_secs(300),
        max_sleep: Duration::from_micros(100),
        spin_turns: 64,
        secret: [7; 32],
    }
}

/// Waits until a worker's report fulfils `done`.
pub fn watch(dataplane: &Dataplane, worker: usize, done: impl Fn(&Report) -> bool) -> Box<Report> {
    let outlook = &dataplane.workers()[worker].outlook;
    let start = Instant::now();
    let mut held = None;
    loop {
        if let Some(report) = outlook.collect(held) {
            if done(&report) {
                return report;
            }
            held = Some(report);
        } else {
            held = None;
        }
        assert!(start.elapsed() < PATIENCE, "the report does not come");
        sleep(Duration::from_millis(5));
    }
}

/// Drops by name, of all workers.
pub fn drops(summary: &Summary) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for report in &summary.reports {
        for ((name, _), n) in all_reasons().zip(report.drops) {
            if n > 0 {
                *all.entry(name).or_default() += n;
            }
        }
    }
    all
}

/// Stops, and asserts what must hold at every stop: no buffer is missing and every packet is accounted for.
pub fn end(dataplane: Dataplane) -> Summary {
    let summary = dataplane.stop();
    assert_eq!(summary.mbufs_in_use, 0, "buffers were lost");
    let total = |f: fn(&Report) -> u64| summary.reports.iter().map(f).sum::<u64>();
    let received = total(Report::rx_packets);
    let held = total(|report| report.gauges.fragments_held);
    let (out, taken) = (total(|r| r.counters.steered_out), total(|r| r.counters.steered_in));
    assert_eq!(
        received,
        total(Report::delivered) + total(Report::dropped) + held + (out - taken),
        "every packet has one fate: {:?}",
        drops(&summary)
    );
    summary
}
