//! Bounded reassembly of IPv4 (RFC 791, RFC 815) and IPv6 (RFC 8200, section 4.5) fragments.
//!
//! Invariants: a datagram comes out only if its fragments cover it exactly once; overlapping fragments discard it
//! whole, with those still to come (RFC 5722). Memory is allocated at construction, one source takes at most half
//! of it, and every fragment pushed is counted once: fragments in = completed + dropped + expired + held.

mod datagram;
mod header;

use std::collections::HashMap;

use l3l4::Addr;

use datagram::Datagram;
use header::{Fragment, Key};

/// Why fragments go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FragmentDrop {
    /// Every slot holds a datagram that waits for fragments.
    #[error("too many datagrams wait for fragments")]
    TooMany,
    /// The source's share of the slots is used up.
    #[error("too many datagrams of one source wait for fragments")]
    SourceLimit,
    /// Fragments overlap.
    #[error("overlapping fragments")]
    Overlap,
    /// The same fragment again; the datagram lives on.
    #[error("duplicate fragment")]
    Duplicate,
    /// Empty, not a multiple of eight, beyond the end of its packet or of its datagram.
    #[error("bad fragment length")]
    BadLength,
    /// The datagram would be longer than an IP packet, or than the limit set.
    #[error("datagram too long")]
    TooLong,
    /// The first fragment does not hold all headers up to the transport's (RFC 1858, RFC 7112).
    #[error("first fragment too short for its headers")]
    TinyFirst,
    /// Not a fragment, or headers that are none.
    #[error("not a fragment")]
    NotFragment,
    /// The rest did not come in time.
    #[error("reassembly timed out")]
    Timeout,
}

/// What became of a fragment, and for how many fragments that accounts.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The datagram is whole.
    Complete {
        /// The IP packet, with no trace of fragmentation in its header.
        packet: &'a mut [u8],
        /// Fragments it was made of.
        fragments: u32,
    },
    /// Kept until the rest comes.
    Held,
    /// Gone, perhaps with others of its datagram.
    Dropped {
        /// Why.
        reason: FragmentDrop,
        /// Fragments gone.
        fragments: u32,
    },
}

/// See the module.
pub struct Reassembler {
    slots: Vec<Datagram>,
    free: Vec<usize>,
    /// Both maps are made with twice the room they need, so they never grow; their keys are random, so nobody can
    /// choose fragments that collide.
    index: HashMap<Key, usize>,
    sources: HashMap<(u32, Addr), usize>,
    /// For IPv6 packets of one fragment, which wait for nothing.
    atomic: Datagram,
    source_limit: usize,
    timeout_us: u64,
    max_len: usize,
    /// No datagram is older than this.
    oldest: u64,
    held: u64,
}

impl Reassembler {
    /// Room for `limit_datagrams` (at least 1) of up to `max_len` bytes with their headers, each kept for at most
    /// `timeout_us` microseconds after its first fragment. Takes about `max_len` bytes of address space per
    /// datagram; pages become memory when first used.
    #[must_use]
    pub fn new(limit_datagrams: usize, timeout_us: u64, max_len: usize) -> Self {
        let limit = limit_datagrams.max(1);
        let max_len = max_len.min(header::LONGEST);
        Self {
            slots: (0..limit).map(|_| Datagram::new(max_len)).collect(),
            free: (0..limit).rev().collect(),
            index: HashMap::with_capacity(2 * limit),
            sources: HashMap::with_capacity(2 * limit),
            atomic: Datagram::new(max_len),
            source_limit: (limit / 2).max(1),
            timeout_us,
            max_len,
            oldest: u64::MAX,
            held: 0,
        }
    }

    /// Takes a fragment: an IP packet, from its header on, whose IPv4 header checksum the caller has verified.
    /// Fragments of different links (port and VLAN) never meet.
    pub fn push(&mut self, now_us: u64, link: u32, packet: &[u8]) -> Outcome<'_> {
        let dropped = |reason| Outcome::Dropped { reason, fragments: 1 };
        let fragment = match header::parse(packet, link, self.max_len) {
            Ok(fragment) => fragment,
            Err(reason) => return dropped(reason),
        };
        if fragment.is_atomic() {
            // Apart from all others of the same identification (RFC 6946).
            self.atomic.open(fragment.key, now_us);
            return match self.atomic.add(&fragment, self.max_len) {
                Ok(_) => Outcome::Complete { packet: self.atomic.packet(), fragments: 1 },
                Err(reason) => dropped(reason),
            };
        }
        let slot = match self.index.get(&fragment.key) {
            Some(slot) => *slot,
            None => match self.open(&fragment, now_us) {
                Ok(slot) => slot,
                Err(reason) => return dropped(reason),
            },
        };
        let Some(datagram) = self.slots.get_mut(slot) else { return dropped(FragmentDrop::TooMany) };
        if let Some(reason) = datagram.condemned {
            return dropped(reason);
        }
        match datagram.add(&fragment, self.max_len) {
            Ok(false) => {
                self.held += 1;
                Outcome::Held
            }
            Ok(true) => {
                let fragments = datagram.fragments;
                self.held -= u64::from(fragments - 1);
                self.release(slot);
                Outcome::Complete { packet: self.slots[slot].packet(), fragments }
            }
            Err(FragmentDrop::Duplicate) => dropped(FragmentDrop::Duplicate),
            Err(reason) => {
                let before = datagram.condemn(reason);
                self.held -= u64::from(before);
                Outcome::Dropped { reason, fragments: before + 1 }
            }
        }
    }

    /// Gives up on datagrams older than the timeout. Returns how many fragments were dropped
    /// ([`FragmentDrop::Timeout`]). Cheap to call often: it looks at slots only when one may be due.
    pub fn expire(&mut self, now_us: u64) -> u64 {
        if now_us.saturating_sub(self.oldest) < self.timeout_us {
            return 0;
        }
        let before = self.held;
        self.oldest = u64::MAX;
        for slot in 0..self.slots.len() {
            let datagram = &mut self.slots[slot];
            if !datagram.open {
                continue;
            }
            if now_us.saturating_sub(datagram.opened) < self.timeout_us {
                self.oldest = self.oldest.min(datagram.opened);
                continue;
            }
            self.held -= u64::from(datagram.fragments);
            self.release(slot);
        }
        before - self.held
    }

    /// Fragments held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Slots taken now, among them those of datagrams discarded for an overlap.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.index.len()
    }

    fn open(&mut self, fragment: &Fragment<'_>, now: u64) -> Result<usize, FragmentDrop> {
        let source = (fragment.key.link, fragment.key.source);
        if self.sources.get(&source).is_some_and(|count| *count >= self.source_limit) {
            return Err(FragmentDrop::SourceLimit);
        }
        if self.free.is_empty() {
            // A discarded datagram that still turns away its late fragments gives way to one that may live.
            let discarded = |(_, datagram): &(usize, &Datagram)| datagram.condemned.is_some();
            let slots = self.slots.iter().enumerate().filter(discarded);
            let slot = slots.min_by_key(|(_, datagram)| datagram.opened).map(|(slot, _)| slot);
            self.release(slot.ok_or(FragmentDrop::TooMany)?);
        }
        let slot = self.free.pop().ok_or(FragmentDrop::TooMany)?;
        self.slots[slot].open(fragment.key, now);
        self.index.insert(fragment.key, slot);
        *self.sources.entry(source).or_insert(0) += 1;
        self.oldest = self.oldest.min(now);
        Ok(slot)
    }

    /// Frees a slot; what it holds stays readable until it is opened again.
    fn release(&mut self, slot: usize) {
        let datagram = &mut self.slots[slot];
        datagram.open = false;
        datagram.condemned = None;
        self.index.remove(&datagram.key);
        let source = (datagram.key.link, datagram.key.source);
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests;
