//! A small world on a virtual clock: the engine on one side, smoltcp as the peer on the other, and between them a
//! link that loses, delays, reorders, duplicates and corrupts as a seed says.
//!
//! Invariant: after every step the engine's packet accounting adds up, and the clock only ever moves to a time
//! that one of the parties asked for: a flow whose timer the engine forgot hangs, and the test fails.
// Each test binary uses its own part.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod app;
pub mod link;
pub mod transfer;
pub mod wire;

use app::App;
use core::time::Duration;
use l3l4::{Builder, FlowKey, Instant, L3l4, Limits, Protocol, RxChecksum};
use link::{Faults, Link, Pipe};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

pub const SECRET: [u8; 32] = *b"0123456789abcdef0123456789ABCDEF";

/// Small: memory of rings is taken, and in a process with many tests zeroed, by the flow.
pub fn limits(flows: usize) -> Limits {
    Limits { flows, udp_flows: flows, half_open: flows, ..Limits::default() }
}

pub fn builder() -> Builder {
    Builder::new(SECRET).limits(limits(128))
}

pub struct World {
    pub engine: L3l4<Vec<u8>>,
    pub app: App,
    /// Microseconds.
    pub now: u64,
    pub interface: Interface,
    pub pipe: Pipe,
    pub sockets: SocketSet<'static>,
    pub up: Link,
    pub down: Link,
    /// Packets handed to the engine.
    pub given: u64,
    pub known: RxChecksum,
    /// The client's SYN does not say that it knows SACK.
    pub without_sack: bool,
    said: wire::Said,
    next_port: u16,
    next_ours: u16,
}

/// The port of the peer's server.
pub const SERVER: u16 = 8080;

impl World {
    pub fn new(builder: Builder) -> Self {
        Self::with_mtu(builder, 1500)
    }

    pub fn with_mtu(builder: Builder, mtu: usize) -> Self {
        let mut pipe = Pipe::new(mtu);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = 0x1234_5678;
        let mut interface = Interface::new(config, &mut pipe, smoltcp::time::Instant::from_micros(0));
        interface.update_ip_addrs(|addrs| {
            addrs.push(IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24)).unwrap();
            addrs.push(IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1), 64)).unwrap();
        });
        interface.routes_mut().add_default_ipv4_route([10, 0, 0, 254].into()).unwrap();
        interface.routes_mut().add_default_ipv6_route([0xfd00, 0, 0, 0, 0, 0, 0, 0xfe].into()).unwrap();
        Self {
            engine: builder.mtu(mtu).build().unwrap(),
            app: App::new(mtu),
            now: 1_000_000,
            interface,
            pipe,
            sockets: SocketSet::new(vec![]),
            up: Link::new(Faults::default(), 1),
            down: Link::new(Faults::default(), 2),
            given: 0,
            known: RxChecksum::default(),
            without_sack: false,
            said: wire::Said::new(),
            next_port: 20_000,
            next_ours: 0,
        }
    }

    pub fn faults(mut self, faults: Faults, seed: u64) -> Self {
        self.up = Link::new(faults, seed);
        self.down = Link::new(faults, seed ^ 0x5555);
        self
    }

    pub fn time(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    /// Opens a client connection.
    pub fn connect(&mut self, to: impl Into<IpAddress>, port: u16) -> SocketHandle {
        self.connect_with(to, port, 65_535)
    }

    pub fn connect_with(&mut self, to: impl Into<IpAddress>, port: u16, ring: usize) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; ring]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        self.next_port = self.next_port.wrapping_add(1).max(20_000);
        socket.connect(self.interface.context(), (to.into(), port), self.next_port).unwrap();
        self.sockets.add(socket)
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Gives the engine one packet right now.
    pub fn give(&mut self, mut packet: Vec<u8>) -> Result<(), l3l4::DropReason> {
        self.given += 1;
        let now = self.time();
        let result = self.engine.l3_rx(&mut self.app, now, &mut packet, 0, self.known);
        self.check();
        result
    }

    /// Gives one packet, takes one turn, and returns what came out.
    pub fn exchange(&mut self, packet: Vec<u8>) -> Vec<Vec<u8>> {
        let _ = self.give(packet);
        self.turn();
        self.app.take_out()
    }

    pub fn turn(&mut self) -> Option<Instant> {
        let now = self.time();
        let next = self.engine.l4_poll(&mut self.app, now);
        self.check();
        next
    }

    pub fn check(&self) {
        let c = self.engine.counters();
        assert_eq!(self.given, c.delivered + c.dropped_total(), "every packet is accounted for");
        assert_eq!(self.app.sent, c.tx_packets, "every packet handed out is counted");
        let ended: u64 = self.app.closed.len() as u64;
        let opened = c.tcp_opened + c.udp_opened;
        assert_eq!(self.app.opened.len() as u64, opened);
        let live = (self.engine.tcp_flow_count() + self.engine.udp_flow_count()) as u64;
        assert_eq!(opened, ended + live, "every flow that was opened is closed once");
        assert!(self.engine.half_open_count() <= self.engine.tcp_flow_count());
    }

    /// One round: client, link, engine, link; then the clock moves to the next thing that is due.
    /// False where nobody waits for anything.
    pub fn step(&mut self) -> bool {
        self.step_to(u64::MAX)
    }

    /// [`World::step`], but the clock goes no further than `end`.
    /// Where the engine opens connections to, and from.
    pub fn server_key(&mut self, v4: bool) -> FlowKey {
        self.next_ours += 1;
        let (server, ours): (std::net::IpAddr, std::net::IpAddr) = if v4 {
            ([10, 0, 0, 1].into(), [10, 0, 0, 9].into())
        } else {
            ("fd00::1".parse().unwrap(), "fd00::9".parse().unwrap())
        };
        FlowKey {
            remote: server.into(),
            local: ours.into(),
            remote_port: SERVER,
            local_port: app::OURS + self.next_ours,
            protocol: Protocol::TCP,
            link: 0,
        }
    }

    /// Opens what the application wants opened, and breaks off what lost its other half.
    pub fn serve_proxy(&mut self) {
        let now = self.time();
        for id in std::mem::take(&mut self.app.to_connect) {
            let Some(client) = self.engine.flow(id, now) else { continue };
            let key = self.server_key(client.key.local.is_v4());
            let patience = Duration::from_secs(5);
            let user = u64::from(app::PROXY);
            let other = self.engine.connect(&mut self.app, now, &key, user, patience).unwrap();
            self.app.pairs.insert(id, other);
            self.app.pairs.insert(other, id);
            let early = self.engine.give(other, &self.app.early, false);
            self.app.early.truncate(early);
            self.engine.join(id, other);
        }
        for id in std::mem::take(&mut self.app.to_abort) {
            let _ = self.engine.abort_flow(id);
        }
    }

    fn step_to(&mut self, end: u64) -> bool {
        let clock = smoltcp::time::Instant::from_micros(self.now as i64);
        for packet in self.down.due(self.now) {
            self.pipe.rx.push_back(packet);
        }
        self.interface.poll(clock, &mut self.pipe, &mut self.sockets);
        for mut packet in self.pipe.tx.drain(..) {
            if self.without_sack {
                wire::hide_sack(&mut packet);
            }
            wire::mend_keepalive(&mut packet, &mut self.said);
            self.up.send(self.now, packet);
        }
        for packet in self.up.due(self.now) {
            let _ = self.give(packet);
            self.serve_proxy();
        }
        self.serve_proxy();
        let engine = self.turn().map(Instant::micros);
        for packet in self.app.take_out() {
            self.down.send(self.now, packet);
        }
        let client = self.interface.poll_at(clock, &self.sockets).map(|at| at.total_micros().max(0) as u64);
        let next = [engine, client, self.up.next(), self.down.next()].into_iter().flatten().min();
        match next {
            Some(at) => self.now = at.max(self.now + 1).min(end),
            None => self.now += 1,
        }
        next.is_some()
    }

    /// Steps until `done` says so; fails after `limit` of virtual time or when nothing moves any more.
    pub fn run(&mut self, limit: core::time::Duration, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit.as_micros() as u64;
        let mut still = 0;
        while !done(self) {
            still = if self.step() { 0 } else { still + 1 };
            assert!(
                still < 3,
                "{what}: everybody waits for nothing at {} us; {:?}",
                self.now,
                self.engine.counters()
            );
            assert!(self.now < end, "{what}: not done at {} us; {:?}", self.now, self.engine.counters());
        }
    }

    /// Lets `micros` of virtual time pass.
    pub fn pass(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.now < end && self.step_to(end) {}
        self.now = self.now.max(end);
    }

    /// Opens a connection by hand; returns our sequence number after the handshake and the client's.
    pub fn handshake(&mut self, syn: &wire::Seg) -> (u32, u32) {
        let out = self.exchange(syn.build());
        assert_eq!(out.len(), 1, "{out:x?}");
        let answer = wire::got(&out[0]);
        assert_eq!((answer.flags, answer.ack), (wire::SYN | wire::ACK, syn.seq.wrapping_add(1)));
        let (ours, theirs) = (answer.seq.wrapping_add(1), syn.seq.wrapping_add(1));
        let mut ack = syn.clone();
        (ack.flags, ack.seq, ack.ack, ack.options) = (wire::ACK, theirs, ours, vec![]);
        assert_eq!(self.exchange(ack.build()), Vec::<Vec<u8>>::new());
        (ours, theirs)
    }

    /// State of a flow, as shown to an operator.
    pub fn state(&self, id: l3l4::FlowId) -> &'static str {
        self.engine.flow(id, self.time()).map_or("gone", |info| info.state)
    }
}
