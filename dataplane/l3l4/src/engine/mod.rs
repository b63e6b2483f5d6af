//! The engine: one flow table, its stacks and timers, and the calls by which packets and data pass.
//!
//! A packet's way: `packet::parse` -> [`L3l4::rx`] -> the flow found (`rx`) -> `guard` -> smoltcp -> the
//! application (`Callbacks::l4_rx`) -> marked dirty -> [`L3l4::l4_poll`] -> `egress` -> `Callbacks::l3_tx`.
//!
//! Each flow has a [`Record`], named by the index in its handle; a live connection has beside it a [`Flow`] and a
//! socket, both named by the number of their slot (`stack`).
//!
//! Invariant: every packet ends in exactly one of `Counters::delivered` and `Counters::dropped`; a flow with
//! something to send is in the dirty list, one with something to wait for is in the wheel (TIME-WAIT records
//! stand in a queue of their own, in the order in which they end).

mod direct;
mod egress;
mod open;
mod path;
mod patience;
mod recover;
mod relay;
mod rx;
mod self_test;
mod sleep;
mod timers;
mod udp;
mod user;

pub use direct::ConnectError;
pub(crate) use self_test::self_test;
pub use udp::DatagramError;
pub use user::{FlowError, FlowInfo};

use crate::builder::{Builder, Limits, SynCookies};
use crate::callbacks::{Callbacks, CloseReason};
use crate::cookie::Cookies;
use crate::counters::Counters;
use crate::device::TxChecksum;
use crate::drop::DropReason;
use crate::flow::{Flow, note};
use crate::held::Held;
use crate::isn::Isn;
use crate::key::{FlowId, FlowKey, TupleHash};
use crate::limiter::Limiter;
use crate::pace::Pace;
use crate::paths::Paths;
use crate::record::{self, Kind, NONE, Record};
use crate::recovery::{CongestionControl, Shared};
use crate::slots::{Shape, Slots};
use crate::sources::Sources;
use crate::table::Table;
use crate::time::Instant;
use crate::waits::Waits;
use crate::wheel::Wheel;
use core::time::Duration;
use siphasher::sip::SipHasher24;
use smoltcp::iface::Interface;
use std::collections::VecDeque;

/// A link with its shared smoltcp interface.
struct LinkState {
    interface: Interface,
    mtu: usize,
    checksum: TxChecksum,
}

/// When a flow is looked at that is not filed.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// Timeouts, as the engine asks for them.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    idle: Duration,
    half_open: Duration,
    user: Duration,
    /// `None`: peers may take as long as they like.
    pace: Option<Pace>,
    fin_wait: Duration,
    time_wait: Duration,
    udp_idle: Duration,
    /// `None`: connections do not fall asleep.
    sleep: Option<Duration>,
    /// `None`: they are not probed.
    keepalive: Option<KeepAlive>,
}

/// When a connection with nothing under way is probed.
#[derive(Clone, Copy, Debug)]
struct KeepAlive {
    after: Duration,
    interval: Duration,
    probes: u8,
}

/// Packets in, data out; data in, packets out: all flows of one thread.
pub struct L3l4<B> {
    records: Vec<Record>,
    free: Vec<u32>,
    /// Live connections, by slot.
    flows: Vec<Flow>,
    table: Table,
    hash: TupleHash,
    slots: Slots,
    wheel: Wheel,
    waits: Waits,
    /// Those of the ports, and behind them those that narrow paths need.
    links: Vec<LinkState>,
    /// Port and path MTU of the latter.
    narrowed: Vec<(usize, u16)>,
    paths: Paths,
    /// Stacks with something to send.
    dirty: Vec<u32>,
    /// Direct connections with something to say.
    dirty_direct: Vec<u32>,
    /// Connections that an application has joined since the last turn.
    joined: Vec<(FlowId, FlowId)>,
    held: Held,
    /// Scratch of a turn: flows whose timers fired.
    due: Vec<u32>,
    time_wait: VecDeque<(FlowId, Instant)>,
    /// A reserved buffer that the last token did not need.
    spare: Option<B>,
    isn: Isn,
    cookies: Cookies,
    syn_cookies: SynCookies,
    /// Half-open connections from which on SYNs are answered by cookies.
    cookies_from: usize,
    /// When the last cookie is surely stale.
    cookies_until: Instant,
    sources: Sources,
    rst_limit: Limiter,
    icmp_limit: Limiter,
    challenge_limit: Limiter,
    recovery: Shared,
    timeouts: Timeouts,
    limits: Limits,
    synack_retries: u8,
    min_mss: u16,
    path_mtu_discovery: bool,
    min_path_mtu: u16,
    rx_ring: usize,
    half_open: usize,
    /// Of these, direct ones.
    half_open_direct: usize,
    /// Connections in SYN-SENT.
    connecting: usize,
    /// Of these, such that hold something to be sent.
    early: usize,
    udp_flows: usize,
    /// Direct connections.
    direct_flows: usize,
    /// Whether connections are direct where they can be.
    direct: bool,
    /// Where [`L3l4::make_room`] goes on.
    hand: usize,
    /// The time of the last turn.
    clock: Instant,
    accepting: bool,
    /// Where [`L3l4::abort_some`] goes on.
    abort_at: usize,
    counters: Counters,
}

/// A key drawn from another.
fn drawn(key: &[u8; 16], names: [&[u8]; 2]) -> [u8; 16] {
    let hasher = SipHasher24::new_with_key(key);
    let halves = names.map(|name| hasher.hash(name));
    core::array::from_fn(|n| (halves[n / 8] >> (n % 8 * 8)) as u8)
}

impl<B> L3l4<B> {
    pub(crate) fn new(b: &Builder) -> Self {
        // The halves of the secret have nothing to do with each other: what the table's timing may give away
        // says nothing of sequence numbers.
        let (mut isn_key, mut table_key) = ([0; 16], [0; 16]);
        isn_key.copy_from_slice(&b.secret[..16]);
        table_key.copy_from_slice(&b.secret[16..]);
        let cookie_key = drawn(&isn_key, [b"cookie low", b"cookie high"]);
        let path_key = drawn(&table_key, [b"path low", b"path high"]);
        let table_key = SipHasher24::new_with_key(&table_key);
        let (rx_ring, tx_ring) = b.rings();
        let live = b.limits.live.min(b.limits.flows);
        Self {
            records: Vec::with_capacity(b.limits.flows),
            free: Vec::with_capacity(b.limits.flows),
            flows: Vec::with_capacity(live),
            table: Table::new(b.limits.flows),
            hash: TupleHash::new(core::array::from_fn(|n| table_key.hash(&[n as u8]))),
            slots: Slots::new(
                live,
                Shape { rx_ring, tx_ring, reno: b.congestion == CongestionControl::Stack },
            ),
            wheel: Wheel::new(b.limits.flows, b.start),
            waits: Waits::new(b.limits.flows),
            links: b.links.iter().map(|link| egress::link_state(link, b.start)).collect(),
            narrowed: Vec::new(),
            paths: Paths::new(path_key),
            dirty: Vec::with_capacity(1024),
            dirty_direct: Vec::with_capacity(1024),
            joined: Vec::with_capacity(1024),
            held: Held::new(live, tx_ring),
            due: Vec::with_capacity(256),
            time_wait: VecDeque::with_capacity(2 * b.limits.flows),
            spare: None,
            isn: Isn::new(isn_key),
            cookies: Cookies::new(cookie_key),
            syn_cookies: b.syn_cookies,
            cookies_from: match b.syn_cookies {
                SynCookies::Off => b.limits.half_open,
                SynCookies::Auto => b.limits.half_open.div_ceil(2),
                SynCookies::Always => 0,
            },
            cookies_until: b.start,
            sources: Sources::new(b.limits.half_open_per_source, table_key.hash(b"sources")),
            rst_limit: Limiter::new(b.limits.rst_per_second),
            icmp_limit: Limiter::new(b.limits.icmp_per_second),
            challenge_limit: Limiter::new(b.limits.challenge_acks_per_second),
            timeouts: Timeouts {
                idle: b.tcp_idle_timeout,
                half_open: b.tcp_halfopen_idle_timeout,
                user: b.tcp_user_timeout,
                pace: b.tcp_slow_reader_timeout.map(|timeout| Pace {
                    timeout,
                    bytes: b.tcp_slow_reader_bytes,
                    lossy: timeout.max(b.tcp_user_timeout),
                }),
                fin_wait: b.tcp_fin_wait_timeout,
                time_wait: b.tcp_time_wait,
                udp_idle: b.udp_idle_timeout,
                // Only connections without a stack are probed, so a silent one has to give it up by then.
                sleep: match (b.tcp_sleep_after, b.tcp_keepalive) {
                    (Some(sleep), Some(keepalive)) => Some(sleep.min(keepalive)),
                    (sleep, keepalive) => sleep.or(keepalive),
                },
                keepalive: b.tcp_keepalive.map(|after| KeepAlive {
                    after,
                    interval: b.tcp_keepalive_interval,
                    probes: b.tcp_keepalive_probes,
                }),
            },
            recovery: Shared::new(b.congestion, b.tcp_initial_window, tx_ring, b.tcp_scoreboards.min(live)),
            limits: b.limits,
            synack_retries: b.tcp_synack_retries,
            min_mss: b.tcp_min_mss,
            path_mtu_discovery: b.tcp_path_mtu_discovery,
            min_path_mtu: b.tcp_min_path_mtu,
            rx_ring,
            half_open: 0,
            half_open_direct: 0,
            connecting: 0,
            early: 0,
            udp_flows: 0,
            direct_flows: 0,
            direct: b.direct,
            hand: 0,
            clock: b.start,
            accepting: true,
            abort_at: 0,
            counters: Counters::default(),
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Flows in the table: TCP, UDP and TIME-WAIT.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.table.len()
    }

    /// Connections, TIME-WAIT not included.
    #[must_use]
    pub fn tcp_flow_count(&self) -> usize {
        self.slots.used() + self.direct_flows
    }

    /// Connections on a stack.
    #[must_use]
    pub fn stack_count(&self) -> usize {
        self.slots.used()
    }

    /// Connections asleep: past the handshake, without a stack and with nothing to send or to be acknowledged.
    #[must_use]
    pub fn asleep_count(&self) -> usize {
        let opening = self.half_open_direct + self.connecting;
        (self.direct_flows + self.early).saturating_sub(opening + self.held.used())
    }

    /// Connections in SYN-RECEIVED.
    #[must_use]
    pub fn half_open_count(&self) -> usize {
        self.half_open
    }

    /// Connections in SYN-SENT.
    #[must_use]
    pub fn connecting_count(&self) -> usize {
        self.connecting
    }

    /// UDP flows.
    #[must_use]
    pub fn udp_flow_count(&self) -> usize {
        self.udp_flows
    }

    /// Whether new flows are taken. Without, their first packets are dropped ([`DropReason::Draining`]), SYNs
    /// answered with an RST; running flows go on.
    pub fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    /// Whether they are.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// Changes the rate limits in place (the other bounds stay as built).
    pub fn set_rates(&mut self, limits: &Limits) {
        self.rst_limit.set_rate(limits.rst_per_second);
        self.icmp_limit.set_rate(limits.icmp_per_second);
        self.challenge_limit.set_rate(limits.challenge_acks_per_second);
    }

    /// The hash under which the table files a five-tuple.
    #[inline]
    #[must_use]
    pub fn prepare(&self, key: &FlowKey) -> u32 {
        self.hash.hash(key)
    }

    /// The table's place for a hash, so that a burst can be hashed in one pass, with these prefetched, and processed in
    /// the next.
    #[inline]
    #[must_use]
    pub fn place(&self, hash: u32) -> &u64 {
        self.table.cell(hash)
    }

    /// Whether there is a flow for this five-tuple; `hash` is what [`L3l4::prepare`] gave for it.
    #[inline]
    #[must_use]
    pub fn contains(&self, key: &FlowKey, hash: u32) -> bool {
        self.find(hash, key).is_some()
    }

    fn find(&self, hash: u32, key: &FlowKey) -> Option<u32> {
        self.table.find(hash, |slot| self.records[slot as usize].key == *key)
    }

    /// The record of a live handle.
    fn live(&self, id: FlowId) -> Option<u32> {
        let record = self.records.get(id.index())?;
        (record.generation == id.generation && matches!(record.kind, Kind::Tcp | Kind::Direct | Kind::Udp))
            .then_some(id.index)
    }

    /// Makes a record for `key`; where the table is full the oldest TIME-WAIT record makes room.
    fn make(&mut self, key: &FlowKey, hash: u32, kind: Kind, now: Instant) -> Result<u32, DropReason> {
        if self.table.len() >= self.limits.flows && !self.evict_time_wait() {
            return Err(DropReason::FlowLimit);
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.records.push(Record::default());
                (self.records.len() - 1) as u32
            }
        };
        if !self.table.insert(hash, index) {
            self.free.push(index);
            return Err(DropReason::FlowLimit);
        }
        let generation = self.records[index as usize].generation;
        self.records[index as usize] = Record {
            key: *key,
            hash,
            generation,
            kind,
            stack: NONE,
            last_rx: now,
            opened: now,
            ..Record::default()
        };
        match kind {
            Kind::Udp => self.udp_flows += 1,
            Kind::Direct => self.direct_flows += 1,
            Kind::Tcp | Kind::TimeWait | Kind::Free => {}
        }
        Ok(index)
    }

    /// Gives a record a slot with a closed socket and an empty live part; `None` where all are taken.
    fn enliven(&mut self, index: u32) -> Option<u32> {
        let stack = match self.slots.open() {
            Some(stack) => stack,
            None if self.make_room() => self.slots.open()?,
            None => return None,
        };
        let record = &mut self.records[index as usize];
        if record.kind == Kind::Direct {
            self.direct_flows -= 1;
        }
        record.kind = Kind::Tcp;
        record.stack = stack;
        let flow = Flow {
            key: record.key,
            id: record.id(index),
            user: record.user,
            opened: record.opened,
            last_rx: record.last_rx,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            rcv_shift: record.rcv_shift,
            snd_shift: record.snd_shift,
            options: record.options,
            mss: record.mss,
            path: record.key.port_index() as u32,
            due: NEVER,
            ..Flow::default()
        };
        if stack as usize == self.flows.len() {
            self.flows.push(flow);
        } else {
            self.flows[stack as usize] = flow;
        }
        Some(stack)
    }

    /// Takes the socket and the live part from a record, which goes on as something of `kind`.
    fn lay_down(&mut self, stack: u32, kind: Kind) -> u32 {
        let flow = &mut self.flows[stack as usize];
        let index = flow.id.index;
        let record = &mut self.records[index as usize];
        record.kind = kind;
        self.direct_flows += usize::from(kind == Kind::Direct);
        record.last_rx = flow.last_rx;
        record.bytes_in = flow.bytes_in;
        record.bytes_out = flow.bytes_out;
        // All is acknowledged, so this is what the peer expects, whatever its window.
        record.snd_nxt = flow.snd_nxt;
        record.snd_una = record.snd_nxt;
        (record.stack, record.notes, record.tries) = (NONE, 0, 0);
        record.rcv_nxt = flow.rcv_nxt;
        record.window = (flow.edge.wrapping_sub(flow.rcv_nxt) >> flow.rcv_shift).min(0xffff) as u16;
        record.peer_window = (flow.snd_edge.wrapping_sub(flow.snd_una) >> flow.snd_shift).min(0xffff) as u16;
        self.free_stack(stack);
        index
    }

    fn free_stack(&mut self, stack: u32) {
        let flow = &mut self.flows[stack as usize];
        if flow.has(note::HALF_OPEN) {
            self.half_open -= 1;
            self.sources.leave(&flow.key);
        }
        flow.sender.release(&mut self.recovery);
        // Whatever list still names the slot finds nothing to do.
        flow.notes = 0;
        self.slots.close(stack);
    }

    /// Takes a flow out of every structure and makes its handle stale.
    fn unmake(&mut self, index: u32) {
        let record = &self.records[index as usize];
        match record.kind {
            Kind::Free => return,
            Kind::Tcp => self.free_stack(record.stack),
            Kind::Udp => self.udp_flows -= 1,
            Kind::Direct => {
                self.direct_flows -= 1;
                if record.has(record::note::HALF_OPEN) {
                    self.half_open -= 1;
                    self.half_open_direct -= 1;
                    self.sources.leave(&record.key);
                }
                if record.has(record::note::SYN_SENT) {
                    self.connecting -= 1;
                    self.early -= usize::from(record.stack != NONE);
                }
                if record.stack != NONE {
                    self.held.release(record.stack);
                }
            }
            Kind::TimeWait => {}
        }
        let record = &mut self.records[index as usize];
        self.table.remove(record.hash, index);
        self.wheel.cancel(index);
        record.kind = Kind::Free;
        record.generation = record.generation.wrapping_add(1);
        self.free.push(index);
    }

    /// Ends the flow of a record and tells the caller.
    fn close<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, index: u32, reason: CloseReason) {
        let record = &self.records[index as usize];
        let (id, key, user, known) =
            (record.id(index), record.key, record.user, record.kind != Kind::TimeWait);
        let (bytes_in, bytes_out) = match record.kind {
            Kind::Tcp => {
                let flow = &self.flows[record.stack as usize];
                (flow.bytes_in, flow.bytes_out)
            }
            _ => (record.bytes_in, record.bytes_out),
        };
        self.unmake(index);
        if known {
            self.counters.closed[reason as usize] += 1;
            cb.l4_totals(id, user, bytes_in, bytes_out);
            cb.l4_closed(id, &key, user, reason);
        }
    }

    /// Ends a live connection and tells the caller.
    fn close_stack<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, stack: u32, reason: CloseReason) {
        self.close(cb, self.flows[stack as usize].id.index, reason);
    }

    /// Puts a flow in the list of those with something to send.
    #[inline]
    fn mark(&mut self, stack: u32) {
        let flow = &mut self.flows[stack as usize];
        if !flow.has(note::DIRTY) {
            flow.notes |= note::DIRTY;
            self.dirty.push(stack);
        }
    }
}
