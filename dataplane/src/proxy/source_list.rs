//! The ports of an own address towards an upstream endpoint, and the question whose they are.
//!
//! Invariant: a port is first reached on the one round through the range, and from then on is either out or in the
//! ring, never both. As no more are ever handed out than the ring has room for, it cannot overflow.

use std::sync::Arc;

use l3l4::Addr;

use super::source_ports::Endpoint;
use crate::steer::{OpenEnded, Reta, Toeplitz};

/// Which ports are this worker's.
#[derive(Clone)]
pub enum Ownership {
    /// All of them: there is one worker.
    All,
    /// Every so-manieth: replies come to any worker, and are handed over by other means than their hash.
    Share {
        /// How many workers there are.
        workers: u16,
        /// This one.
        worker: u16,
    },
    /// Those whose hash the redirection table gives to this worker.
    Hashed {
        /// The hash, with the key of the port.
        toeplitz: Arc<Toeplitz>,
        /// The table of the port.
        reta: Arc<Reta>,
        /// How many workers there are.
        workers: u16,
        /// This one.
        worker: u16,
    },
}

impl Ownership {
    /// The hash of replies from `upstream` to `own`, but for the port that is looked for.
    fn begin(&self, own: Addr, upstream: Endpoint) -> OpenEnded {
        match self {
            Self::All | Self::Share { .. } => OpenEnded::default(),
            Self::Hashed { toeplitz, .. } => toeplitz.open_ended(upstream.address, own, upstream.port),
        }
    }

    /// Whether replies to `port` come to this worker.
    #[inline]
    fn holds(&self, begun: OpenEnded, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Share { workers, worker } => port % (*workers).max(1) == *worker,
            Self::Hashed { toeplitz, reta, workers, worker } => {
                reta.owner(toeplitz.finish(begun, port), *workers) == *worker
            }
        }
    }
}

/// The ports that can be used at all: `count` of them from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) first: u16,
    pub(super) count: u32,
}

impl Ports {
    fn contain(self, port: u16) -> bool {
        port.checked_sub(self.first).is_some_and(|offset| u32::from(offset) < self.count)
    }
}

/// See the module.
#[derive(Clone, Copy, Default)]
struct List {
    begun: OpenEnded,
    /// Where in the range the round begins.
    start: u32,
    /// Ports of the range that were looked at.
    visited: u32,
    /// Ports handed out on the round.
    issued: u32,
    /// Where in the ring the port lies that rests longest, and how many rest.
    head: u32,
    resting: u32,
}

/// Many lists, each with a ring of its own for the ports that came back.
pub(super) struct Lists {
    ownership: Ownership,
    ports: Ports,
    lists: Box<[List]>,
    /// `pool` entries for each list.
    rings: Box<[u16]>,
    pool: usize,
}

impl Lists {
    /// Lists of at most `pool` ports each.
    pub(super) fn new(ownership: Ownership, ports: Ports, lists: usize, pool: usize) -> Self {
        let pool = pool.min(ports.count as usize);
        let (lists, rings) = (vec![List::default(); lists].into(), vec![0; lists * pool].into());
        Self { ownership, ports, lists, rings, pool }
    }

    /// Begins list `at` anew; its round starts where the hash says.
    pub(super) fn begin(&mut self, at: usize, own: Addr, upstream: Endpoint, hash: u64) {
        if let Some(list) = self.lists.get_mut(at) {
            let start = (hash % u64::from(self.ports.count.max(1))) as u32;
            *list = List { begun: self.ownership.begin(own, upstream), start, ..List::default() };
        }
    }

    /// The next port of list `at`. On the round this looks at as many ports as there are workers, on the average;
    /// the whole range is gone through once even where nothing in it is ours.
    pub(super) fn take(&mut self, at: usize) -> Option<u16> {
        let list = self.lists.get_mut(at)?;
        while list.visited < self.ports.count && (list.issued as usize) < self.pool {
            let offset = (list.start + list.visited) % self.ports.count;
            let port = (u32::from(self.ports.first) + offset) as u16;
            list.visited += 1;
            if self.ownership.holds(list.begun, port) {
                list.issued += 1;
                return Some(port);
            }
        }
        if list.resting == 0 {
            return None;
        }
        let port = *self.rings.get(at * self.pool + list.head as usize)?;
        list.head = (list.head + 1) % self.pool as u32;
        list.resting -= 1;
        Some(port)
    }

    /// Puts a port at the end of list `at`. False where it cannot be one of those that are out.
    pub(super) fn give_back(&mut self, at: usize, port: u16) -> bool {
        let Some(list) = self.lists.get_mut(at) else { return false };
        if list.out() == 0 || !self.ports.contain(port) || !self.ownership.holds(list.begun, port) {
            return false;
        }
        let end = (list.head + list.resting) as usize % self.pool;
        let Some(place) = self.rings.get_mut(at * self.pool + end) else { return false };
        *place = port;
        list.resting += 1;
        true
    }

    /// How many ports of list `at` are out.
    pub(super) fn out(&self, at: usize) -> u32 {
        self.lists.get(at).map_or(0, List::out)
    }
}

impl List {
    const fn out(&self) -> u32 {
        self.issued - self.resting
    }
}
