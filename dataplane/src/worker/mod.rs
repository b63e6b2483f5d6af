//! A worker: one thread on one core that polls its queues, owns its flows and shares nothing it writes.
//!
//! Invariant: per packet nothing here allocates, locks, logs, makes a system call or reads the clock; the clock is
//! read once per turn. Everything with another pace is in `housekeeping`.

mod clock;
mod context;
mod housekeeping;
mod ingress;
mod local;
mod mirror;
mod network;
mod outbox;
mod proxy;
mod rings;
mod states;
mod stream;
mod tap;

pub(crate) use clock::Clock;
pub(crate) use context::Context;
pub(crate) use mirror::Observer;
pub(crate) use network::{Segment, Side};
pub(crate) use outbox::{Exit, Outbox};
pub(crate) use proxy::{Means, Proxies};
pub(crate) use rings::{Inlet, Relay, RingEnds, Rings};

use crate::drop::DropReason;
use crate::fragment::Reassembler;
use crate::mailbox::Mailbox;
use crate::neighbour::{NeighbourTable, Probe, Prober};
use crate::report::{Outlook, Report, histogram};
use crate::steer::{Reta, Toeplitz};
use arrayvec::ArrayVec;
use core::time::Duration;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::queue::{BURST, RxQueue};
use hdrhistogram::Histogram;
use housekeeping::Listing;
use ingress::{Burst, Job, Origin};
use l3l4::{Instant, L3l4};
use std::collections::VecDeque;
use std::sync::Arc;

/// When a worker with nothing to do sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// Empty turns before the first sleep.
    pub(crate) spin_turns: u32,
    /// The longest sleep; zero for never.
    pub(crate) max_sleep: Duration,
}

/// Everything a worker is made of.
pub(crate) struct Parts {
    pub(crate) index: u16,
    pub(crate) workers: u16,
    pub(crate) clock: Clock,
    pub(crate) queues: Vec<(usize, RxQueue)>,
    pub(crate) rings: Rings,
    pub(crate) engine: L3l4<Mbuf>,
    pub(crate) cx: Context,
    pub(crate) reassembler: Option<Reassembler>,
    pub(crate) toeplitz: Arc<Toeplitz>,
    pub(crate) reta: Reta,
    pub(crate) neighbours: Arc<NeighbourTable>,
    pub(crate) outlook: Arc<Outlook>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) mtus: Vec<u16>,
    pub(crate) idle: Idle,
}

pub(crate) struct Worker {
    index: u16,
    workers: u16,
    clock: Clock,
    now: Instant,
    queues: Vec<(usize, RxQueue)>,
    rings: Rings,
    engine: L3l4<Mbuf>,
    cx: Context,
    drops: [u64; DropReason::ALL.len()],
    reassembler: Option<Reassembler>,
    toeplitz: Arc<Toeplitz>,
    reta: Reta,
    neighbours: Arc<NeighbourTable>,
    prober: Prober,
    probes: Vec<Probe>,
    announced: bool,
    outlook: Arc<Outlook>,
    mailbox: Arc<Mailbox>,
    mtus: Vec<u16>,
    idle: Idle,
    jobs: Vec<Job>,
    empty_turns: u32,
    sleep: Duration,
    listings: VecDeque<Listing>,
    session_listings: VecDeque<proxy::Listing>,
    aborting: bool,
    stopping: bool,
    next_housekeeping: Instant,
    next_report: Instant,
    latency_ns: Histogram<u64>,
    turn_ns: Histogram<u64>,
}

/// Neighbour questions sent in one step of housekeeping.
const PROBES_PER_STEP: usize = 16;
/// Bursts taken from each relay in one turn: another worker may send more in a turn than it receives.
const RELAYED_BURSTS: usize = 4;
const FIRST_SLEEP: Duration = Duration::from_micros(1);

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            index: parts.index,
            workers: parts.workers,
            clock: parts.clock,
            now: parts.clock.now(),
            queues: parts.queues,
            rings: parts.rings,
            engine: parts.engine,
            cx: parts.cx,
            drops: [0; DropReason::ALL.len()],
            reassembler: parts.reassembler,
            toeplitz: parts.toeplitz,
            reta: parts.reta,
            neighbours: parts.neighbours,
            prober: Prober::new(PROBES_PER_STEP),
            probes: Vec::with_capacity(PROBES_PER_STEP),
            announced: false,
            outlook: parts.outlook,
            mailbox: parts.mailbox,
            mtus: parts.mtus,
            idle: parts.idle,
            jobs: ingress::jobs(),
            empty_turns: 0,
            sleep: FIRST_SLEEP,
            listings: VecDeque::new(),
            session_listings: VecDeque::new(),
            aborting: false,
            stopping: false,
            next_housekeeping: Instant::default(),
            next_report: Instant::default(),
            latency_ns: histogram(),
            turn_ns: histogram(),
        }
    }

    /// Turns until told to stop; returns the last report.
    pub(crate) fn run(mut self) -> Report {
        let mut began = self.clock.read();
        while !self.stopping {
            let packets = self.turn(began);
            if self.housekeeping_due() {
                self.housekeeping();
                self.schedule_housekeeping();
            }
            if packets == 0 {
                self.rest();
            } else {
                (self.empty_turns, self.sleep) = (0, FIRST_SLEEP);
            }
            // The end of this turn is the beginning of the next: one read of the clock.
            let ended = self.clock.read();
            self.account(packets, ended.wrapping_sub(began));
            began = ended;
        }
        self.finish()
    }

    /// One turn of the packet path, which began when the TSC read `began`; returns how many packets came.
    ///
    /// Invariant: writes to this worker's own memory only, but for what ARCHITECTURE.md lists as shared.
    #[inline]
    pub(crate) fn turn(&mut self, began: u64) -> u64 {
        self.now = self.clock.at(began);
        self.cx.proxies.now = self.now;
        self.cx.observer.turn(self.clock.nanos(began.wrapping_sub(self.clock.start())));
        let packets = self.poll();
        self.cx.begin_turn();
        self.engine.turn(&mut self.cx, self.now);
        if self.cx.proxies.has_todo() {
            self.proxy_todo();
        }
        self.cx.end_turn();
        packets
    }

    /// Takes a burst from every queue and ring and deals with it; returns how many packets there were.
    fn poll(&mut self) -> u64 {
        let mut packets = 0;
        let mut burst: Burst = ArrayVec::new();
        for at in 0..self.queues.len() {
            let (port, queue) = &mut self.queues[at];
            let port = *port;
            if queue.rx_burst(&mut burst) > 0 {
                packets += burst.len() as u64;
                self.receive(&mut burst, Origin::Port(port));
            }
        }
        for at in 0..self.rings.inlets.len() {
            let inlet = &mut self.rings.inlets[at];
            let asked = inlet.asked;
            if inlet.ring.receive_burst(&mut burst) > 0 {
                packets += burst.len() as u64;
                self.cx.counters.steered_in += burst.len() as u64;
                self.receive(&mut burst, Origin::Worker { asked });
            }
        }
        for relay in &mut self.rings.relays {
            let (outbox, counters) = (&mut self.cx.outboxes[relay.port], &mut self.cx.ports[relay.port]);
            for _ in 0..RELAYED_BURSTS {
                // What finds no room stays in the ring, which holds back the worker at its other end.
                if outbox.room() < BURST || relay.ring.receive_burst(&mut burst) == 0 {
                    break;
                }
                packets += burst.len() as u64;
                for mbuf in burst.drain(..) {
                    outbox.push(mbuf, counters);
                }
            }
        }
        packets
    }

    /// Nothing came: perhaps sleep, a little longer each time.
    fn rest(&mut self) {
        self.empty_turns = self.empty_turns.saturating_add(1);
        if self.idle.max_sleep.is_zero() || self.empty_turns < self.idle.spin_turns {
            core::hint::spin_loop();
            return;
        }
        std::thread::sleep(self.sleep);
        self.cx.counters.sleeps += 1;
        self.sleep = (self.sleep * 2).min(self.idle.max_sleep);
    }

    /// Notes how long a turn took that found so many packets.
    pub(crate) fn account(&mut self, packets: u64, cycles: u64) {
        let counters = &mut self.cx.counters;
        counters.turns += 1;
        if packets == 0 {
            counters.idle_cycles += cycles;
            return;
        }
        counters.busy_turns += 1;
        counters.busy_cycles += cycles;
        let nanos = self.clock.nanos(cycles).max(1);
        self.latency_ns.saturating_record_n(nanos, packets);
        self.turn_ns.saturating_record(nanos);
    }

    /// Lets go of every packet and says how it all ended.
    pub(crate) fn finish(mut self) -> Report {
        for (outbox, counters) in self.cx.outboxes.iter_mut().zip(&mut self.cx.ports) {
            outbox.give_up(counters);
        }
        self.cx.observer.end_all();
        let mut report = Report::new(self.cx.ports.len(), self.cx.services.len());
        self.fill(&mut report);
        report
    }
}
