//! What a worker tells the control thread of itself: counters, gauges and latencies, as plain numbers.
//!
//! Invariant: on the path a worker only adds to its own plain memory. Now and then it copies all of it into a
//! report and puts that where the control thread picks it up; no number is ever shared while it is written.

use crate::application::AppCounters;
use crate::drop::DROP_REASONS;
use crate::observe::{ObserveCounters, ObserveGauges};
use crate::proxy::{ProxyCounters, ServerCounters};
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;

/// Counters of one port on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames received from the port's queue.
    pub rx_packets: u64,
    /// Bytes of those, Ethernet header included.
    pub rx_bytes: u64,
    /// Frames the port took for sending.
    pub tx_packets: u64,
    /// Bytes of those, Ethernet header included.
    pub tx_bytes: u64,
    /// Frames given up because the port's transmit queue stayed full.
    pub tx_dropped: u64,
}

/// Counters of one worker, below and beside the engine. All only ever grow.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerCounters {
    /// Packets delivered: to flows, to neighbour discovery, to ICMP echo.
    pub delivered: u64,
    /// Packets handed to the worker that owns their flow.
    pub steered_out: u64,
    /// Packets taken from other workers.
    pub steered_in: u64,
    /// Packets of no flow here, passed on to the next worker to ask.
    pub passed_on: u64,
    /// ARP requests and neighbour solicitations answered.
    pub neighbour_replies: u64,
    /// ARP requests and neighbour solicitations sent.
    pub neighbour_probes: u64,
    /// Echo requests answered.
    pub icmp_echoes: u64,
    /// Datagrams put together from fragments.
    pub reassembled: u64,
    /// Times no buffer was to be had for sending.
    pub tx_nobuf: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Turns that found packets.
    pub busy_turns: u64,
    /// TSC cycles in turns that found packets.
    pub busy_cycles: u64,
    /// TSC cycles in turns that found none, sleep included.
    pub idle_cycles: u64,
    /// Times the worker slept.
    pub sleeps: u64,
    /// SYN-ACKs that met no flow: answers to a connection of ours that came too late, or to the wrong worker.
    pub stray_answers: u64,
    /// Sessions whose upstream leg its port brings to another worker, which passes its packets on: transparent ones, where
    /// the ports find workers in different ways. All others have 0.
    pub legs_apart: u64,
}

/// Gauges of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerGauges {
    /// Flows in the table.
    pub flows: u64,
    /// Connections.
    pub tcp_flows: u64,
    /// Connections on a stack.
    pub stacks: u64,
    /// Connections without a stack that have nothing under way.
    pub asleep: u64,
    /// Connections in SYN-RECEIVED.
    pub half_open: u64,
    /// UDP flows.
    pub udp_flows: u64,
    /// Connections in SYN-SENT.
    pub connecting: u64,
    /// Proxied sessions.
    pub sessions: u64,
    /// Fragments waiting for the rest of their datagram.
    pub fragments_held: u64,
    /// Buffers of the worker's pool.
    pub mempool_size: u64,
    /// Buffers of the worker's pool that are free.
    pub mempool_available: u64,
    /// Version of the services in force.
    pub policy_version: u64,
}

/// One worker at one moment.
#[derive(Clone, Debug)]
pub struct Report {
    /// Time since the worker began, in microseconds.
    pub uptime_us: u64,
    /// Counters of the worker.
    pub counters: WorkerCounters,
    /// Counters of its engine.
    pub engine: l3l4::Counters,
    /// Drops by reason, in the order of [`crate::drop::all_reasons`].
    pub drops: [u64; DROP_REASONS],
    /// Gauges.
    pub gauges: WorkerGauges,
    /// What was observed.
    pub observed: ObserveCounters,
    /// How full is what observation holds.
    pub observing: ObserveGauges,
    /// Per port.
    pub ports: Vec<PortCounters>,
    /// Per service.
    pub services: Vec<AppCounters>,
    /// Per service, too: what it proxied.
    pub proxies: Vec<ProxyCounters>,
    /// Per server of an upstream.
    pub servers: Vec<ServerCounters>,
    /// Nanoseconds from a packet's arrival in a burst to the departure of what the burst caused.
    pub latency_ns: Histogram<u64>,
    /// Nanoseconds of turns that found packets.
    pub turn_ns: Histogram<u64>,
}

/// Longest duration told apart in a histogram: 60 s, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// An empty histogram of durations in nanoseconds, of fixed size.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    // The arguments are constants that the library accepts; the fallback is its smallest histogram.
    let wide = Histogram::new_with_bounds(1, LONGEST_NS, 2);
    wide.unwrap_or_else(|_| {
        let mut small = Histogram::new(1).unwrap_or_else(|_| unreachable!("one digit is always allowed"));
        small.auto(true);
        small
    })
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(ports: usize, services: usize) -> Self {
        Self {
            uptime_us: 0,
            counters: WorkerCounters::default(),
            engine: l3l4::Counters::default(),
            drops: [0; DROP_REASONS],
            gauges: WorkerGauges::default(),
            observed: ObserveCounters::default(),
            observing: ObserveGauges::default(),
            ports: vec![PortCounters::default(); ports],
            services: vec![AppCounters::default(); services],
            proxies: vec![ProxyCounters::default(); services],
            servers: Vec::new(),
            latency_ns: histogram(),
            turn_ns: histogram(),
        }
    }

    /// Packets received from ports.
    #[must_use]
    pub fn rx_packets(&self) -> u64 {
        self.ports.iter().map(|p| p.rx_packets).sum()
    }

    /// Packets delivered, by the worker and by its engine.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.counters.delivered + self.engine.delivered
    }

    /// All drops together.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }
}

/// Where a worker leaves its reports and its heartbeat.
#[derive(Debug)]
pub struct Outlook {
    ready: ArrayQueue<Box<Report>>,
    spare: ArrayQueue<Box<Report>>,
    heartbeat_us: AtomicU64,
}

impl Outlook {
    /// An outlook on a worker with so many ports and services.
    #[must_use]
    pub fn new(ports: usize, services: usize) -> Self {
        let (ready, spare) = (ArrayQueue::new(1), ArrayQueue::new(3));
        // One that is ready, one that control holds, one to fill in.
        for _ in 0..3 {
            // There is room for all three.
            let _ = spare.push(Box::new(Report::new(ports, services)));
        }
        Self { ready, spare, heartbeat_us: AtomicU64::new(0) }
    }

    /// A report to fill in (worker side).
    pub(crate) fn take_spare(&self) -> Option<Box<Report>> {
        self.spare.pop()
    }

    /// Leaves a report; one that was not picked up is used again (worker side).
    pub(crate) fn publish(&self, report: Box<Report>) {
        if let Some(old) = self.ready.force_push(report) {
            let _ = self.spare.push(old);
        }
    }

    /// The newest report, if there is a new one since the last call. Give back the one held before.
    pub fn collect(&self, held: Option<Box<Report>>) -> Option<Box<Report>> {
        match (self.ready.pop(), held) {
            (Some(new), Some(old)) => {
                let _ = self.spare.push(old);
                Some(new)
            }
            (new, old) => new.or(old),
        }
    }

    pub(crate) fn beat(&self, uptime_us: u64) {
        self.heartbeat_us.store(uptime_us, Ordering::Relaxed);
    }

    /// Time since the worker began at its last sign of life, in microseconds.
    #[must_use]
    pub fn heartbeat_us(&self) -> u64 {
        self.heartbeat_us.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_go_round_without_being_made_anew() {
        let outlook = Outlook::new(1, 1);
        let mut held = None;
        for round in 1..=10u64 {
            for _ in 0..3 {
                // The worker is faster than its reader: it must always find a report to fill.
                let mut report = outlook.take_spare().expect("a spare report");
                report.uptime_us = round;
                outlook.publish(report);
            }
            held = outlook.collect(held);
            assert_eq!(held.as_ref().map(|r| r.uptime_us), Some(round));
        }
        held = outlook.collect(held);
        assert_eq!(held.map(|r| r.uptime_us), Some(10), "nothing new: the one held stays");
    }
}
