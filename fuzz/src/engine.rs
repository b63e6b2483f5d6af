//! The TCP/UDP engine under a script: segments whose numbers are near the right ones, packets that are none, time,
//! applications that write, take, close and abort when they like, and buffers that run out.
//!
//! Invariant, after every step: packets delivered + dropped = given, flows opened = closed + live, all counts within
//! their limits, every packet sent well-formed, and the engine never asks to be woken for nothing for ever.
//! At the end every flow ends, by itself or by being aborted.

use core::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use l3l4::{Builder, FlowId, FlowKey, Limits, Protocol, RxChecksum, SynCookies, TooBig};

use crate::common::wire::{self, ACK, FIN, PSH, RST, SYN, Seg, seg};
use crate::common::{SECRET, World, app};

/// Few of everything, so that limits are reached.
const LIMITS: Limits = Limits {
    flows: 12,
    live: 8,
    udp_flows: 4,
    half_open: 6,
    half_open_per_source: 3,
    rst_per_second: 1000,
    icmp_per_second: 1000,
    challenge_acks_per_second: 1000,
};

#[derive(Arbitrary, Debug)]
struct Setup {
    buffer: u8,
    cookies: u8,
    naps: bool,
    jumbo: bool,
    quota: u16,
    flood: u16,
    /// Whether flows end by waiting or by being aborted.
    wait: bool,
}

/// Which connection: the low bits name the client, the others the application.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct Who(u8);

#[derive(Arbitrary, Debug)]
enum Step {
    /// SYN, and the ACK that belongs to it.
    Connect {
        who: Who,
        seq: u32,
        window: u16,
        options: u8,
    },
    /// A segment; `seq` and `ack` are distances from the right numbers. Some of them make
    /// an ICMP error follow.
    Segment {
        who: Who,
        flags: u8,
        seq: i16,
        ack: i16,
        window: u16,
        len: u16,
        options: u8,
    },
    /// The same far from the right numbers, or with a byte changed and checksums not looked at.
    Odd {
        who: Who,
        flags: u8,
        seq: u32,
        ack: u32,
        len: u8,
        at: u8,
        byte: u8,
    },
    /// A burst in order, of which `gaps` names those lost.
    Burst {
        who: Who,
        len: u16,
        gaps: u8,
    },
    Raw(Vec<u8>),
    Udp {
        who: Who,
        len: u16,
    },
    Time(u32),
    Write {
        flow: u8,
        len: u16,
    },
    Take {
        flow: u8,
        len: u16,
    },
    Close(u8),
    Abort(u8),
    Starve(u8),
    Dry(bool),
    Accepting(bool),
    AbortSome(u8),
    Release,
}

/// A setup and steps.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut input) else { return };
    let mut play = Play::new(&setup);
    while !input.is_empty() {
        let Ok(step) = Step::arbitrary(&mut input) else { break };
        play.step(step);
    }
    play.end(setup.wait);
}

/// Options of a SYN, by number.
const OPTIONS: [&[u8]; 8] = [
    &[],
    &[2, 4, 5, 0xb4],
    &[2, 4, 0, 64],
    &[2, 4, 0xff, 0xff, 4, 2, 1, 1],
    &[3, 3, 14, 0],
    &[2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7],
    &[3, 3, 0, 1, 4, 2, 1, 1],
    &[2, 4, 2, 0x18, 3, 3, 2, 0],
];

const PORTS: [u16; 12] = [
    app::ECHO,
    app::MANUAL,
    app::DISCARD,
    app::QUOTA,
    app::ANSWER,
    app::SHOUT,
    app::FLOOD,
    app::ABORT,
    app::TAKING,
    app::REJECT,
    app::DROP,
    app::NO_SERVICE,
];

impl Who {
    fn port(self) -> u16 {
        match PORTS[usize::from(self.0 >> 3) % PORTS.len()] {
            app::TAKING if self.0 & 1 != 0 => app::LEAVING,
            port => port,
        }
    }

    fn sport(self) -> u16 {
        40_000 + u16::from(self.0 & 3)
    }

    fn seg(self, flags: u8, seq: u32, ack: u32) -> Seg {
        let ends = if self.0 & 4 != 0 { ("fd00::1", "fd00::2") } else { ("10.0.0.1", "10.0.0.2") };
        seg(self.port(), flags, seq, ack).sport(self.sport()).ends(ends.0, ends.1)
    }
}

struct Play {
    world: World,
    mtu: usize,
    /// The right numbers of each connection, as the last segment from the engine had them: next from the client,
    /// next from the engine.
    numbers: [(u32, u32); 256],
    /// Work of all waits so far.
    wakes: u64,
}

/// The most turns that may be asked for in one wait.
const WAKES: u64 = 20_000;

impl Play {
    fn new(setup: &Setup) -> Self {
        let mtu = if setup.jumbo { 9000 } else { 1500 };
        let buffers = [9000, 16_384, 65_536, 200_000];
        let cookies = [SynCookies::Auto, SynCookies::Off, SynCookies::Always, SynCookies::Auto];
        let builder = Builder::new(SECRET)
            .limits(LIMITS)
            .tcp_buffer_size(buffers[usize::from(setup.buffer) % 4])
            .syn_cookies(cookies[usize::from(setup.cookies) % 4])
            .direct(setup.cookies & 4 == 0)
            .tcp_sleep_after(setup.naps.then_some(Duration::from_secs(1)))
            .tcp_idle_timeout(Duration::from_secs(600))
            .tcp_halfopen_idle_timeout(Duration::from_secs(600));
        let mut world = World::with_mtu(builder, mtu);
        world.app.quota = usize::from(setup.quota);
        world.app.flood = usize::from(setup.flood) * 4;
        world.app.deadline = Duration::from_secs(3);
        world.app.patience = (setup.cookies & 8 != 0).then_some(Duration::from_secs(5));
        world.app.polite = setup.cookies & 16 != 0;
        Self { world, mtu, numbers: [(1, 1); 256], wakes: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect { who, seq, window, options } => {
                let syn = who.seg(SYN, seq, 0).window(window).options(OPTIONS[usize::from(options) % 8]);
                self.give(syn.build());
                let (seq, ack) = self.numbers[usize::from(who.0)];
                self.give(who.seg(ACK, seq, ack).window(window).build());
            }
            Step::Segment { who, flags, seq, ack, window, len, options } => {
                let right = self.numbers[usize::from(who.0)];
                let numbers = (right.0.wrapping_add(seq as u32), right.1.wrapping_add(ack as u32));
                let options = if flags & SYN != 0 { OPTIONS[usize::from(options) % 8] } else { &[] };
                let data = vec![options.len() as u8; usize::from(len) % 3000];
                let segment = who.seg(flags, numbers.0, numbers.1).window(window).options(options);
                self.give(segment.data(&data).build());
                // Not a step of its own, so that old inputs still mean what they meant.
                let pick = window ^ len ^ ack as u16;
                if pick.is_multiple_of(4) {
                    self.too_big(who, pick / 4);
                }
            }
            Step::Odd { who, flags, seq, ack, len, at, byte } => {
                let mut packet = who.seg(flags, seq, ack).data(&vec![byte; usize::from(len)]).build();
                let place = usize::from(at) % packet.len();
                packet[place] = byte;
                self.world.known = RxChecksum::GOOD;
                self.give(packet);
                self.world.known = RxChecksum::default();
            }
            Step::Burst { who, len, gaps } => {
                let (mut seq, ack) = self.numbers[usize::from(who.0)];
                for n in 0..8 {
                    let data = vec![n; usize::from(len) % 1460];
                    if gaps >> n & 1 == 0 {
                        self.give(who.seg(ACK | PSH, seq, ack).data(&data).build());
                    }
                    seq = seq.wrapping_add(data.len() as u32);
                }
            }
            Step::Raw(bytes) => self.give(bytes),
            Step::Udp { who, len } => {
                let ends = if who.0 & 4 != 0 { ("fd00::1", "fd00::2") } else { ("10.0.0.1", "10.0.0.2") };
                let data = vec![7; usize::from(len) % 9500];
                self.give(wire::udp(ends.0, ends.1, who.sport(), who.port(), &data));
            }
            Step::Time(micros) => self.pass(u64::from(micros) % 30_000_000),
            Step::Write { flow, len } => {
                if let Some(id) = self.flow(flow) {
                    let data = vec![flow; usize::from(len)];
                    if let Ok(n) = self.world.engine.l4_tx(id, &data) {
                        assert!(n <= data.len());
                    }
                }
            }
            Step::Take { flow, len } => {
                if let Some(id) = self.flow(flow) {
                    let _ = self.world.engine.with_conn(id, |conn| conn.take(usize::from(len)));
                }
            }
            Step::Close(flow) => {
                if let Some(id) = self.flow(flow) {
                    let _ = self.world.engine.close_flow(id);
                }
            }
            Step::Abort(flow) => {
                if let Some(id) = self.flow(flow) {
                    let _ = self.world.engine.abort_flow(id);
                }
            }
            Step::Starve(chance) => self.world.app.starve = u64::from(chance) * 2,
            Step::Dry(dry) => {
                self.world.app.dry = dry;
                if dry {
                    self.world.engine.release_spare();
                }
            }
            Step::Accepting(accepting) => self.world.engine.set_accepting(accepting),
            Step::AbortSome(budget) => {
                self.world.engine.abort_some(&mut self.world.app, usize::from(budget % 4));
            }
            Step::Release => {
                self.world.engine.release_spare();
            }
        }
        self.turn();
    }

    /// An error that quotes one of the last bytes sent on this connection, or one around them.
    fn too_big(&mut self, who: Who, pick: u16) {
        const SAID: [Option<u32>; 8] =
            [None, Some(551), Some(552), Some(1000), Some(1280), Some(1301), Some(1400), Some(70_000)];
        let one = who.seg(0, 0, 0);
        let key = FlowKey {
            remote: one.from.into(),
            local: one.to.into(),
            remote_port: one.sport,
            local_port: one.dport,
            protocol: Protocol::TCP,
            link: 0,
        };
        let seq = self.numbers[usize::from(who.0)].1.wrapping_sub(u32::from(pick / 8 % 512));
        let error = TooBig { key, seq, mtu: SAID[usize::from(pick % 8)], len: 1500 };
        let now = self.world.time();
        self.world.engine.path_mtu(&mut self.world.app, now, &error);
    }

    /// One of the flows there ever were: stale handles are tried, too.
    fn flow(&self, number: u8) -> Option<FlowId> {
        let opened = &self.world.app.opened;
        let back = usize::from(number) % opened.len().clamp(1, 16);
        opened.iter().rev().nth(back).map(|(id, _)| *id)
    }

    fn give(&mut self, packet: Vec<u8>) {
        let _ = self.world.give(packet);
        self.turn();
    }

    /// A turn; looks at what came out.
    fn turn(&mut self) -> Option<u64> {
        let next = self.world.turn().map(l3l4::Instant::micros);
        for packet in self.world.app.take_out() {
            self.look(&packet);
        }
        self.world.app.metas.clear();
        let engine = &self.world.engine;
        assert!(engine.flow_count() <= LIMITS.flows);
        assert!(engine.half_open_count() <= LIMITS.half_open);
        assert!(engine.udp_flow_count() <= LIMITS.udp_flows);
        assert!(engine.stack_count() <= LIMITS.live);
        next
    }

    fn look(&mut self, packet: &[u8]) {
        assert!(packet.len() <= self.mtu, "{} bytes", packet.len());
        let l3 = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let protocol = if l3 == 20 { packet[9] } else { packet[6] };
        if protocol == 17 {
            assert!(wire::verifies(packet), "{packet:x?}");
        }
        if protocol != 6 {
            return;
        }
        let segment = wire::got(packet);
        let control = segment.flags & (SYN | FIN | RST);
        assert!(control & control.wrapping_sub(1) == 0, "{segment:?}");
        if segment.flags & RST != 0 {
            assert!(segment.data.is_empty(), "{segment:?}");
            return;
        }
        let port = |at: usize| u16::from_be_bytes([packet[l3 + at], packet[l3 + at + 1]]);
        let v6 = if l3 == 40 { 4 } else { 0 };
        for who in 0..=255u8 {
            let one = Who(who);
            if who & 4 == v6 && one.port() == port(0) && one.sport() == port(2) {
                let len = segment.data.len() as u32 + u32::from(control != 0);
                self.numbers[usize::from(who)] = (segment.ack, segment.seq.wrapping_add(len));
            }
        }
    }

    /// Lets time pass; the engine is woken when it asks.
    fn pass(&mut self, micros: u64) {
        let end = self.world.now + micros;
        let mut wakes = 0;
        while let Some(next) = self.turn() {
            if next > end {
                break;
            }
            // Without buffers it may ask at once, again and again.
            let rest = if self.world.app.dry || self.world.app.starve > 0 { micros / 1000 } else { 0 };
            self.world.now = next.max(self.world.now + 1 + rest).min(end);
            wakes += 1;
            assert!(
                wakes < WAKES,
                "woken {wakes} times within {micros} us: {:?}",
                self.world.engine.counters()
            );
            if self.world.now == end {
                break;
            }
        }
        self.wakes += wakes;
        self.world.now = end;
    }

    fn end(&mut self, wait: bool) {
        self.world.app.dry = false;
        self.world.app.starve = 0;
        if wait {
            // Longer than any timeout, several times.
            for _ in 0..100 {
                self.pass(60_000_000);
            }
        } else {
            for _ in 0..1000 {
                let more = self.world.engine.abort_some(&mut self.world.app, 100);
                self.turn();
                if !more {
                    break;
                }
            }
        }
        assert_eq!(self.world.engine.flow_count(), 0, "every flow ends: {:?}", self.world.engine.counters());
        self.world.check();
    }
}
