//! The TCP/UDP engine under a script: segments whose numbers are near the right ones, packets that are none, time,
//! applications that write, take, close and abort when they like, flows opened from here and joined with others, SYNs
//! whose answer is held back, and buffers that run out.
//!
//! Invariant, after every step: packets delivered + dropped = given, flows opened = closed + live, all counts within
//! their limits and as a look at every flow has them, every packet sent well-formed, a held SYN not answered before
//! that was said, and the engine never asks to be woken for nothing for ever.
//! At the end every flow ends, by itself or by being aborted, once, with its totals right before; these add up to what
//! was counted.

use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use l3l4::{Builder, FlowId, FlowKey, Limits, Protocol, RxChecksum, SynCookies, TooBig};

use crate::common::wire::{self, ACK, FIN, PSH, RST, SYN, Seg, seg};
use crate::common::{SECRET, SERVER, World, app};

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
    /// After how many seconds silent connections are probed; 0 for never.
    keepalive: u8,
    probes: u8,
}

/// Which flow: the low bits name the client, the others the application, or those that are opened from here.
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
    /// A segment; see [`flags`]; `seq` and `ack` are distances from the right numbers, see [`near`]. Some of them make
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
    /// Opens a connection, and gives it something to say early.
    Open {
        who: Who,
        user: u8,
        patience: u16,
        len: u16,
        end: bool,
    },
    /// The SYN-ACK of a server that one of the SYNs went to, or its RST.
    Serve {
        number: u8,
        seq: u32,
        window: u16,
        options: u8,
        refuse: bool,
    },
    /// Where the next connection goes that is refused.
    Other(Who),
    /// Answers one of the SYNs that are held; its client may complete the handshake.
    Answer {
        number: u8,
        complete: bool,
    },
    Give {
        flow: u8,
        len: u16,
        end: bool,
    },
    OpenUdp {
        who: Who,
        user: u8,
    },
    SendDatagram {
        flow: u8,
        len: u16,
    },
    /// Makes two flows the ends of a relay.
    Pair {
        one: u8,
        other: u8,
    },
    /// Moves what waits between two.
    Join {
        one: u8,
        other: u8,
        inside: bool,
    },
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

const PORTS: [u16; 15] = [
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
    app::HOLD,
    app::PASS,
    app::PROXY,
];

/// Applications of flows that are opened from here.
const USERS: [u16; 12] = [
    app::PROXY,
    app::MANUAL,
    app::ECHO,
    app::PROXY,
    app::DISCARD,
    app::PASS,
    app::FLOOD,
    app::SHOUT,
    app::QUOTA,
    app::ANSWER,
    app::TAKING,
    app::ABORT,
];

/// The flags that a byte stands for: mostly such as make sense.
fn flags(byte: u8) -> u8 {
    if byte < 64 { byte } else { [ACK, ACK | PSH, ACK, ACK | FIN][usize::from(byte % 4)] }
}

/// How far off a number is: mostly not at all.
fn near(distance: i16) -> i16 {
    if distance % 4 == 0 { distance / 4 } else { 0 }
}

/// Who has a five-tuple.
fn of(key: &FlowKey) -> Option<Who> {
    static ALL: OnceLock<HashMap<FlowKey, Who>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let whos = (0..=u8::MAX).map(Who);
        whos.flat_map(|who| [(who.key(Protocol::TCP), who), (who.key(Protocol::UDP), who)]).collect()
    });
    all.get(key).copied()
}

impl Who {
    /// The first of those that are opened from here.
    const OURS: u8 = 22 << 3;

    /// One of few that are opened from here, so that their five-tuples come again.
    fn ours(number: u8) -> Self {
        Self(number % (u8::MAX - Self::OURS + 1) + Self::OURS)
    }

    fn is_ours(self) -> bool {
        self.0 >= Self::OURS
    }

    fn port(self) -> u16 {
        if self.is_ours() {
            return app::OURS + u16::from(self.0 >> 3 & 1);
        }
        match PORTS[usize::from(self.0 >> 3) % PORTS.len()] {
            app::TAKING if self.0 & 1 != 0 => app::LEAVING,
            port => port,
        }
    }

    fn sport(self) -> u16 {
        if self.is_ours() { SERVER + u16::from(self.0 & 1) } else { 40_000 + u16::from(self.0 & 3) }
    }

    fn ends(self) -> (&'static str, &'static str) {
        match (self.0 & 4 != 0, self.is_ours()) {
            (false, false) => ("10.0.0.1", "10.0.0.2"),
            (false, true) => ("10.0.0.1", "10.0.0.9"),
            (true, false) => ("fd00::1", "fd00::2"),
            (true, true) => ("fd00::1", "fd00::9"),
        }
    }

    fn seg(self, flags: u8, seq: u32, ack: u32) -> Seg {
        let ends = self.ends();
        seg(self.port(), flags, seq, ack).sport(self.sport()).ends(ends.0, ends.1)
    }

    fn key(self, protocol: Protocol) -> FlowKey {
        let one = self.seg(0, 0, 0);
        FlowKey {
            remote: one.from.into(),
            local: one.to.into(),
            remote_port: one.sport,
            local_port: one.dport,
            protocol,
            link: 0,
        }
    }
}

struct Play {
    world: World,
    mtu: usize,
    /// The right numbers of each connection, as the last segment from the engine had them: next from the client,
    /// next from the engine.
    numbers: [(u32, u32); 256],
    /// Connections whose SYN is held.
    held: HashMap<FlowKey, FlowId>,
    /// Those that were answered.
    answered: HashSet<FlowKey>,
    /// Flows of which the above is known.
    seen: usize,
    /// The next connection for a relay goes there.
    next: u8,
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
            .tcp_keepalive((setup.keepalive > 0).then(|| Duration::from_secs(u64::from(setup.keepalive))))
            .tcp_keepalive_interval(Duration::from_secs(1 + u64::from(setup.probes >> 4)))
            .tcp_keepalive_probes(1 + setup.probes % 4)
            .tcp_halfopen_idle_timeout(Duration::from_secs(600));
        let mut world = World::with_mtu(builder, mtu);
        world.app.quota = usize::from(setup.quota);
        world.app.flood = usize::from(setup.flood) * 4;
        world.app.deadline = Duration::from_secs(3);
        world.app.patience = (setup.cookies & 8 != 0).then_some(Duration::from_secs(5));
        world.app.polite = setup.cookies & 16 != 0;
        Self {
            world,
            mtu,
            numbers: [(1, 1); 256],
            held: HashMap::new(),
            answered: HashSet::new(),
            seen: 0,
            next: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect { who, seq, window, options } => {
                let syn = who.seg(SYN, seq, 0).window(window).options(OPTIONS[usize::from(options) % 8]);
                self.give(syn.build());
                let (seq, ack) = self.numbers[usize::from(who.0)];
                self.give(who.seg(ACK, seq, ack).window(window).build());
            }
            Step::Segment { who, flags: byte, seq, ack, window, len, options } => {
                let (who, flags) = (self.one_of(who, Protocol::TCP), flags(byte));
                let right = self.numbers[usize::from(who.0)];
                let (seq, off) = (near(seq) as u32, near(ack) as u32);
                let numbers = (right.0.wrapping_add(seq), right.1.wrapping_add(off));
                let options = if flags & SYN != 0 { OPTIONS[usize::from(options) % 8] } else { &[] };
                let data = vec![options.len() as u8; usize::from(len) % 3000];
                let segment = who.seg(flags, numbers.0, numbers.1).window(window).options(options);
                self.give(segment.data(&data).build());
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
                let who = self.one_of(who, Protocol::TCP);
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
                let who = self.one_of(who, Protocol::UDP);
                let ends = who.ends();
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
            Step::Open { who, user, patience, len, end } => {
                let key = Who::ours(who.0).key(Protocol::TCP);
                let user = USERS[usize::from(user) % USERS.len()];
                let patience = Duration::from_millis(u64::from(patience));
                if let Some(id) = self.open(&key, user, patience) {
                    let data = vec![user as u8; usize::from(len) % 6000];
                    self.say(id, &data, end);
                }
            }
            Step::Serve { number, seq, window, options, refuse } => {
                let mut sent = vec![];
                self.world.engine.scan(0, LIMITS.flows, self.world.time(), |info| {
                    sent.extend((info.state == "SYN-SENT").then_some(info.key));
                });
                let one = sent.get(usize::from(number) % sent.len().max(1)).and_then(of);
                let who = one.unwrap_or(Who::ours(number));
                let (_, ack) = self.numbers[usize::from(who.0)];
                let answer = if refuse {
                    who.seg(RST | ACK, 0, ack)
                } else {
                    let options = OPTIONS[usize::from(options) % 8];
                    who.seg(SYN | ACK, seq, ack).window(window).options(options)
                };
                self.give(answer.build());
            }
            Step::Other(who) => self.world.app.others.push(Who::ours(who.0).key(Protocol::TCP)),
            Step::Answer { number, complete } => {
                let mut held: Vec<_> = self.held.iter().map(|(key, id)| (*id, *key)).collect();
                held.sort_by_key(|(id, _)| id.index());
                if let Some((id, key)) = held.get(usize::from(number) % held.len().max(1)) {
                    self.world.engine.answer(*id).expect("it is held");
                    self.held.remove(key);
                    self.answered.insert(*key);
                    self.world.engine.answer(*id).expect_err("it was answered");
                    self.turn();
                    if let Some(who) = of(key).filter(|_| complete) {
                        let (seq, ack) = self.numbers[usize::from(who.0)];
                        self.give(who.seg(ACK, seq, ack).build());
                    }
                } else if let Some(id) = self.flow(number) {
                    self.world.engine.answer(id).expect_err("it is not held");
                }
            }
            Step::Give { flow, len, end } => {
                if let Some(id) = self.flow(flow) {
                    self.say(id, &vec![flow; usize::from(len) % 6000], end);
                }
            }
            Step::OpenUdp { who, user } => {
                let (key, now) = (Who::ours(who.0).key(Protocol::UDP), self.world.time());
                let user = [app::PASS, app::ECHO][usize::from(user) % 2];
                let _ = self.world.engine.open_udp(&mut self.world.app, now, &key, u64::from(user));
            }
            Step::SendDatagram { flow, len } => {
                if let Some(id) = self.flow(flow) {
                    let (data, now) = (vec![flow; usize::from(len) % 9500], self.world.time());
                    let _ = self.world.engine.send_datagram(&mut self.world.app, now, id, &data);
                }
            }
            Step::Pair { one, other } => {
                if let (Some(one), Some(other)) = (self.flow(one), self.flow(other)) {
                    self.pair(one, other);
                }
            }
            Step::Join { one, other, inside } => {
                if let (Some(one), Some(other)) = (self.flow(one), self.flow(other)) {
                    if inside {
                        let _ = self.world.engine.with_conn(one, |conn| conn.relay(other));
                    } else {
                        self.world.engine.join(one, other);
                    }
                }
            }
        }
        self.turn();
    }

    fn open(&mut self, key: &FlowKey, user: u16, patience: Duration) -> Option<FlowId> {
        let now = self.world.time();
        self.world.engine.connect(&mut self.world.app, now, key, u64::from(user), patience).ok()
    }

    /// Gives a flow something to say; what it takes is what it counts.
    fn say(&mut self, id: FlowId, data: &[u8], end: bool) {
        let now = self.world.time();
        let written = |world: &World| world.engine.flow(id, now).map_or(0, |info| info.bytes_out);
        let before = written(&self.world);
        let taken = self.world.engine.give(id, data, end);
        assert!(taken <= data.len());
        assert_eq!(written(&self.world) - before, taken as u64);
    }

    /// Flows that are still there become the ends of a relay.
    fn pair(&mut self, one: FlowId, other: FlowId) {
        let now = self.world.time();
        let live = |id| self.world.engine.flow(id, now).is_some();
        if live(one) && live(other) {
            self.world.app.pairs.insert(one, other);
            self.world.app.pairs.insert(other, one);
        }
    }

    /// Opens what relays lack, and breaks off what lost its other half.
    fn serve(&mut self) {
        let now = self.world.time();
        for id in std::mem::take(&mut self.world.app.to_connect) {
            if self.world.engine.flow(id, now).is_none() {
                continue;
            }
            self.next = self.next.wrapping_add(1);
            let key = Who::ours(self.next).key(Protocol::TCP);
            match self.open(&key, app::PROXY, Duration::from_secs(5)) {
                Some(other) => {
                    self.pair(id, other);
                    self.world.engine.join(id, other);
                }
                None => _ = self.world.engine.abort_flow(id),
            }
        }
        for id in std::mem::take(&mut self.world.app.to_abort) {
            let _ = self.world.engine.abort_flow(id);
        }
    }

    /// An error that quotes one of the last bytes sent on this connection, or one around them.
    fn too_big(&mut self, who: Who, pick: u16) {
        const SAID: [Option<u32>; 8] =
            [None, Some(551), Some(552), Some(1000), Some(1280), Some(1301), Some(1400), Some(70_000)];
        let key = who.key(Protocol::TCP);
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

    /// Half of the names stand for those with which there is a flow, if there is one.
    fn one_of(&self, who: Who, protocol: Protocol) -> Who {
        if who.0 & 1 == 0 {
            return who;
        }
        let opened = self.world.app.opened.iter().rev().filter(|(_, key)| key.protocol == protocol);
        let recent = opened.take(8).filter_map(|(_, key)| of(key)).collect::<Vec<_>>();
        recent.get(usize::from(who.0 >> 1) % recent.len().max(1)).copied().unwrap_or(who)
    }

    fn give(&mut self, packet: Vec<u8>) {
        let _ = self.world.give(packet);
        self.turn();
    }

    /// A turn; looks at what came out.
    fn turn(&mut self) -> Option<u64> {
        self.serve();
        let next = self.world.turn().map(l3l4::Instant::micros);
        self.note_held();
        for packet in self.world.app.take_out() {
            self.look(&packet);
        }
        self.world.app.metas.clear();
        self.audit();
        next
    }

    /// Learns of the SYNs that are held since the last turn, and of those that are no longer.
    fn note_held(&mut self) {
        for (id, key) in &self.world.app.opened[self.seen..] {
            if key.local_port == app::HOLD && key.protocol == Protocol::TCP {
                self.answered.remove(key);
                self.held.insert(*key, *id);
            }
        }
        self.seen = self.world.app.opened.len();
        let Self { world, held, .. } = self;
        held.retain(|_, id| match world.engine.flow(*id, world.time()) {
            Some(info) => {
                assert_eq!(info.state, "SYN-RECEIVED", "nothing has answered its SYN");
                true
            }
            None => false,
        });
    }

    /// The gauges are what a look at every flow gives.
    fn audit(&self) {
        let engine = &self.world.engine;
        let (mut udp, mut over, mut opening, mut half_open, mut asleep) = (0, 0, 0, 0, 0);
        let now = self.world.time();
        engine.scan(0, LIMITS.flows, now, |info| {
            match info.state {
                "UDP" => udp += 1,
                // Whose application has not taken all that came is still a connection.
                "TIME-WAIT" if engine.flow(info.id, now).is_none() => over += 1,
                "SYN-SENT" => opening += 1,
                "SYN-RECEIVED" => half_open += 1,
                _ => {}
            }
            asleep += usize::from(info.asleep);
        });
        assert_eq!(udp, engine.udp_flow_count());
        assert_eq!(over + udp + engine.tcp_flow_count(), engine.flow_count());
        assert_eq!(opening, engine.connecting_count());
        // One that is given up has no state any more, and leaves at the next turn at which there is a buffer. One that
        // a cookie opened while there was none is called half-open until the peer says something again.
        let by_cookie = engine.counters().syn_cookies_accepted > 0;
        assert!(half_open <= engine.half_open_count() || by_cookie);
        assert_eq!(asleep, engine.asleep_count());
        assert!(engine.flow_count() <= LIMITS.flows);
        assert!(engine.half_open_count() <= LIMITS.half_open);
        assert!(engine.udp_flow_count() <= LIMITS.udp_flows);
        assert!(engine.stack_count() <= LIMITS.live);
        assert_eq!(self.world.app.totals.len(), self.world.app.closed.len());
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
        if port(0) == app::HOLD {
            let may = |key: &&FlowKey| key.remote_port == port(2) && key.local.is_v4() == (l3 == 20);
            assert!(self.answered.iter().any(|key| may(&key)), "held, but answered: {segment:?}");
        }
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
        self.add_up();
    }

    /// Every flow has ended once, and what they said at their ends is what was counted.
    fn add_up(&self) {
        let app = &self.world.app;
        let closed: HashSet<FlowId> = app.closed.iter().map(|(id, _)| *id).collect();
        assert_eq!(closed.len(), app.closed.len(), "once");
        let mut sums = (0, 0);
        for (id, key) in &app.opened {
            assert!(closed.contains(id), "{key}");
            let (_, bytes_in, bytes_out) =
                app.totals.iter().find(|(of, ..)| of == id).expect("it has totals");
            if key.protocol == Protocol::TCP {
                sums = (sums.0 + bytes_in, sums.1 + bytes_out);
            }
        }
        let counters = self.world.engine.counters();
        assert_eq!(sums, (counters.tcp_bytes_in, counters.tcp_bytes_out));
    }
}
