//! The source addresses and ports from which one worker opens connections to upstreams.
//!
//! Invariant: the reply to a connection from a port given out here hashes to this worker, so the lists of two
//! workers have no port in common, and together they have all. A port is out once at a time, and one that comes
//! back is given out again after all others of its list (which leaves the upstream time for TIME-WAIT).
//!
//! There is a list for each own address and upstream endpoint. It begins as an offset into the range of ports,
//! a keyed hash of both ends (RFC 6056 section 3.3.3, the simple hash-based selection), goes round the range once,
//! leaving out what belongs to other workers, and from then on hands out what came back, in that order. So
//! the first use of an upstream costs no more than any other.

use core::ops::RangeInclusive;
use std::collections::{HashMap, HashSet};

use l3l4::Addr;
use siphasher::sip::SipHasher24;

pub use super::source_list::Ownership;
use super::source_list::{Lists, Ports};

/// Endpoints looked at for one that makes room for another.
const LOOKED_AT: usize = 64;

/// An upstream's address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its address.
    pub address: Addr,
    /// Its port, TCP or UDP.
    pub port: u16,
}

/// Sizes and ranges of [`SourcePorts`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// The ports to use; not 0, and 1024..=65535 unless there is a reason.
    pub range: RangeInclusive<u16>,
    /// Upstream endpoints that can be in use at a time.
    pub endpoints: usize,
    /// Ports kept for each own address and endpoint: connections at a time. More than there are in the range is
    /// as good as all. The address space taken is `endpoints` times own addresses (of the family with more)
    /// times `pool` times 2 bytes; pages become memory when first used.
    pub pool: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { range: 1024..=u16::MAX, endpoints: 256, pool: usize::from(u16::MAX) }
    }
}

/// The range of source ports is empty or holds port 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}..={} is no range of source ports: write 1024..=65535 or a part of it", .0.start(), .0.end())]
pub struct BadRange(pub RangeInclusive<u16>);

/// Why there is no source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// No own address of the upstream's family.
    #[error("no own address of the upstream's family")]
    NoAddress,
    /// As many endpoints as there is room for have ports out, as far as was looked.
    #[error("too many upstream endpoints")]
    Endpoints,
    /// All ports that lead home are out.
    #[error("the source ports towards this upstream are exhausted")]
    Exhausted,
}

/// How often [`SourcePorts`] had to refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// [`TakeError::NoAddress`].
    pub no_address: u64,
    /// [`TakeError::Endpoints`].
    pub endpoints: u64,
    /// [`TakeError::Exhausted`].
    pub exhausted: u64,
    /// Given back, but not out: a defect of the caller's.
    pub strays: u64,
}

/// See the module.
pub struct SourcePorts {
    /// Own addresses: IPv4, IPv6.
    own: [Box<[Addr]>; 2],
    secret: [u8; 16],
    /// Slot of each endpoint. Made with twice the room it needs, so it never grows.
    index: HashMap<Endpoint, usize>,
    free: Vec<usize>,
    /// The endpoint of each slot that is taken.
    ends: Box<[Option<Endpoint>]>,
    /// Where the search for an endpoint that is not used goes on, and how many were forgotten.
    hand: usize,
    forgotten: u64,
    /// The own address whose turn it is, per slot.
    turns: Box<[usize]>,
    /// `stride` lists per slot, one for each own address of the family.
    lists: Lists,
    stride: usize,
    refused: Refused,
}

impl SourcePorts {
    /// For connections from the addresses `own` (of both families; used in turn). `secret` is random and hides
    /// where each list begins.
    ///
    /// # Errors
    /// [`BadRange`].
    pub fn new(
        own: &[Addr],
        ownership: Ownership,
        limits: &Limits,
        secret: [u8; 16],
    ) -> Result<Self, BadRange> {
        let (first, count) = (*limits.range.start(), limits.range.len() as u32);
        if first == 0 || count == 0 {
            return Err(BadRange(limits.range.clone()));
        }
        // An address written twice is one: two lists of it would hand out the same ports.
        let mut seen = HashSet::new();
        let own: Vec<Addr> = own.iter().copied().filter(|address| seen.insert(*address)).collect();
        let of_family = |v4| own.iter().copied().filter(|address| address.is_v4() == v4).collect();
        let own: [Box<[Addr]>; 2] = [of_family(true), of_family(false)];
        let stride = own.iter().map(|addresses| addresses.len()).max().unwrap_or(0);
        let lists = Lists::new(ownership, Ports { first, count }, limits.endpoints * stride, limits.pool);
        Ok(Self {
            own,
            secret,
            index: HashMap::with_capacity(2 * limits.endpoints),
            free: (0..limits.endpoints).rev().collect(),
            ends: vec![None; limits.endpoints].into(),
            hand: 0,
            forgotten: 0,
            turns: vec![0; limits.endpoints].into(),
            lists,
            stride,
            refused: Refused::default(),
        })
    }

    /// An own address and port for a connection to `upstream`. The caller gives it back when the connection is
    /// gone, or changes it ([`SourcePorts::exchange`]) where the five-tuple turns out to be in use.
    ///
    /// # Errors
    /// [`TakeError`]; each is counted.
    pub fn take(&mut self, upstream: Endpoint) -> Result<(Addr, u16), TakeError> {
        let taken = self.try_take(upstream);
        match taken {
            Ok(_) => {}
            Err(TakeError::NoAddress) => self.refused.no_address += 1,
            Err(TakeError::Endpoints) => self.refused.endpoints += 1,
            Err(TakeError::Exhausted) => self.refused.exhausted += 1,
        }
        taken
    }

    fn try_take(&mut self, upstream: Endpoint) -> Result<(Addr, u16), TakeError> {
        let addresses = self.own(upstream).len();
        if addresses == 0 {
            return Err(TakeError::NoAddress);
        }
        let slot = match self.index.get(&upstream) {
            Some(slot) => *slot,
            None => self.begin(upstream).ok_or(TakeError::Endpoints)?,
        };
        let turn = self.turns.get(slot).copied().unwrap_or(0);
        for at in (turn..addresses).chain(0..turn) {
            let taken = self.lists.take(slot * self.stride + at);
            if let Some((port, own)) = taken.zip(self.own(upstream).get(at).copied()) {
                if let Some(turn) = self.turns.get_mut(slot) {
                    *turn = (at + 1) % addresses;
                }
                return Ok((own, port));
            }
        }
        Err(TakeError::Exhausted)
    }

    /// Puts a port at the end of its list: once for each that was taken. What was not taken is left out and
    /// counted, as far as that can be told.
    pub fn give_back(&mut self, upstream: Endpoint, (own, port): (Addr, u16)) {
        let slot = self.index.get(&upstream).copied();
        let at = self.own(upstream).iter().position(|address| *address == own);
        let list = slot.zip(at).map(|(slot, at)| slot * self.stride + at);
        let given = list.is_some_and(|list| self.lists.give_back(list, port));
        self.refused.strays += u64::from(!given);
    }

    /// Another port instead of one whose five-tuple is still in use: that one goes to the end of its list and is
    /// not lost. Where no other is left the same one comes again, so the caller limits its tries.
    ///
    /// # Errors
    /// As for [`SourcePorts::take`]; the port is given back also then.
    pub fn exchange(&mut self, upstream: Endpoint, busy: (Addr, u16)) -> Result<(Addr, u16), TakeError> {
        self.give_back(upstream, busy);
        self.take(upstream)
    }

    /// Makes room for another endpoint: by itself where a new one finds none. False, and nothing happens, while ports of
    /// this one are out. How long its ports have rested is forgotten; its next list begins elsewhere.
    pub fn forget(&mut self, upstream: Endpoint) -> bool {
        let Some(slot) = self.index.get(&upstream).copied() else { return true };
        if self.out(upstream) > 0 {
            return false;
        }
        self.index.remove(&upstream);
        self.free.push(slot);
        if let Some(end) = self.ends.get_mut(slot) {
            *end = None;
        }
        self.forgotten = self.forgotten.wrapping_add(1);
        true
    }

    /// Forgets an endpoint towards which no port is out, the one that was made room for longest ago first; none where
    /// all that were looked at are in use.
    fn make_room(&mut self) -> Option<usize> {
        for _ in 0..LOOKED_AT.min(self.ends.len()) {
            let slot = self.hand;
            self.hand = (slot + 1) % self.ends.len();
            if let Some(upstream) = self.ends.get(slot).copied().flatten()
                && self.forget(upstream)
            {
                return self.free.pop();
            }
        }
        None
    }

    /// How many ports are out towards an upstream.
    #[must_use]
    pub fn out(&self, upstream: Endpoint) -> u32 {
        let Some(slot) = self.index.get(&upstream) else { return 0 };
        (slot * self.stride..(slot + 1) * self.stride).map(|list| self.lists.out(list)).sum()
    }

    /// Whether ports were given out towards an upstream that has not been forgotten since.
    #[must_use]
    pub fn knows(&self, upstream: Endpoint) -> bool {
        self.index.contains_key(&upstream)
    }

    /// What could not be done so far.
    #[must_use]
    pub const fn refused(&self) -> Refused {
        self.refused
    }

    fn own(&self, upstream: Endpoint) -> &[Addr] {
        let [v4, v6] = &self.own;
        if upstream.address.is_v4() { v4 } else { v6 }
    }

    /// Takes a slot and begins its lists.
    fn begin(&mut self, upstream: Endpoint) -> Option<usize> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.make_room()?,
        };
        let hasher = SipHasher24::new_with_key(&self.secret);
        // What came back to a list that was forgotten may still be known to the upstream.
        let elsewhere = self.forgotten.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for at in 0..self.own(upstream).len() {
            let own = *self.own(upstream).get(at)?;
            let mut ends = [0; 34];
            ends[..16].copy_from_slice(&own.octets());
            ends[16..32].copy_from_slice(&upstream.address.octets());
            ends[32..].copy_from_slice(&upstream.port.to_be_bytes());
            self.lists.begin(
                slot * self.stride + at,
                own,
                upstream,
                hasher.hash(&ends).wrapping_add(elsewhere),
            );
        }
        *self.turns.get_mut(slot)? = 0;
        *self.ends.get_mut(slot)? = Some(upstream);
        self.index.insert(upstream, slot);
        Some(slot)
    }
}

#[cfg(test)]
mod tests;
