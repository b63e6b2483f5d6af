//! Rings between workers: for packets that arrived at one worker and belong to another, or may.
//!
//! Invariant: a packet that comes out of a ring is never steered again; one that is passed round because its flow
//! was not found ends at the last worker before the one it arrived at. In a ring, a packet's port field holds our
//! number of the port it came in on, whatever the driver wrote there.

use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::queue::BURST;
use dpdk_ffi::ring::{MbufReceiver, MbufSender};

/// What a worker takes from other workers.
pub(crate) struct Inlet {
    /// 0: its own packets, steered here. More: packets that so many workers had no flow for.
    pub(crate) asked: u16,
    pub(crate) ring: MbufReceiver,
}

/// Packets of another worker's port to be sent by a queue of this one.
pub(crate) struct Relay {
    pub(crate) port: usize,
    pub(crate) ring: MbufReceiver,
}

/// Packets to one other worker, collected over a burst.
pub(crate) struct Outlet {
    ring: MbufSender,
    waiting: ArrayVec<Mbuf, BURST>,
}

impl Outlet {
    fn new(ring: MbufSender) -> Self {
        Self { ring, waiting: ArrayVec::new() }
    }

    /// Adds a packet that came in on our port number `port`; false, and the packet freed, where there is no place.
    /// (A burst never holds more packets than the outlet has places, and each takes one at most.)
    #[must_use]
    pub(crate) fn push(&mut self, mut packet: Mbuf, port: usize) -> bool {
        packet.set_port(port as u16);
        self.waiting.try_push(packet).is_ok()
    }

    /// Hands over what was collected; returns how many went and how many found the ring full and were freed.
    pub(crate) fn flush(&mut self) -> (u64, u64) {
        if self.waiting.is_empty() {
            return (0, 0);
        }
        let sent = self.ring.send_burst(&mut self.waiting) as u64;
        let refused = self.waiting.len() as u64;
        if refused > 0 {
            Mbuf::free_bulk(&mut self.waiting);
        }
        (sent, refused)
    }
}

/// The ends of all rings of one worker, as they are dealt out.
#[derive(Default)]
pub(crate) struct RingEnds {
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) owners: Vec<Option<MbufSender>>,
    pub(crate) next: Vec<MbufSender>,
}

/// All rings of one worker.
pub(crate) struct Rings {
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) relays: Vec<Relay>,
    /// By worker: where packets go whose flow that worker owns. None for this worker itself.
    pub(crate) owners: Vec<Option<Outlet>>,
    /// By the number of workers asked so far: the way to the next worker.
    pub(crate) next: Vec<Outlet>,
}

impl RingEnds {
    /// Whether packets of no flow can be passed round.
    pub(crate) fn passes(&self) -> bool {
        !self.next.is_empty()
    }

    /// Called on the worker's own thread, so that what packets are collected in is allocated there: made by one
    /// thread for all workers, it could share cache lines with what other workers write.
    pub(crate) fn build(self) -> Rings {
        Rings {
            inlets: self.inlets,
            relays: self.relays,
            owners: self.owners.into_iter().map(|sender| sender.map(Outlet::new)).collect(),
            next: self.next.into_iter().map(Outlet::new).collect(),
        }
    }
}
