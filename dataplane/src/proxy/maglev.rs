//! Consistent hashing of source addresses to servers (Eisenbud et al., "Maglev", NSDI 2016, section 3.4).
//!
//! Invariant: the table follows from the names, the weights and the secret alone, not from the order they are given
//! in, so every worker and every process sends a source to the same server. Each server holds less than one entry
//! below its share and at most as many above it as there are servers (of 65,537); one of weight 0 holds none.
//!
//! Weights: the paper lets heavy servers take turns more often. Here turn `k` of a server of weight `w` comes at the
//! time `k / w`, so a change of one weight leaves the order of all other turns as it was.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use l3l4::Addr;
use siphasher::sip::SipHasher24;

/// Entries of the table (64 KiB). A prime, so that every step through it meets every entry, and larger than the
/// sum of all weights there can be, so that every server has an entry.
pub const ENTRIES: usize = 65_537;

/// How many servers a table can hold.
pub const MAX_SERVERS: usize = 256;

/// How far a source goes on through the table. With nine tenths of the weight out of service, one source in
/// 700,000 goes further.
const PROBES: u32 = 128;

const SIZE: u32 = ENTRIES as u32;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maglev {
    /// The position of each entry's server. Empty: nobody has a weight.
    entries: Box<[u8]>,
    /// One keyed hash per name, for the rest of the search where the table finds nobody.
    names: Box<[u64]>,
    secret: [u8; 16],
}

/// One server's way through the table, and when it takes its next turn.
struct Permutation {
    next: u32,
    skip: u32,
    /// Time between turns.
    pace: u64,
}

impl Maglev {
    /// Fills the table for servers, at most [`MAX_SERVERS`] of them (the rest is left out), given as name and
    /// weight in the order of their names. Takes milliseconds: not for the packet path.
    pub(super) fn new<'a>(servers: impl Iterator<Item = (&'a str, u16)>, secret: [u8; 16]) -> Self {
        let hasher = SipHasher24::new_with_key(&secret);
        let hash = |role: u8, name: &str| {
            let mut bytes = vec![role];
            bytes.extend_from_slice(name.as_bytes());
            hasher.hash(&bytes)
        };
        let (mut names, mut servers_by_position, mut turns) = (Vec::new(), Vec::new(), BinaryHeap::new());
        for (position, (name, weight)) in (0..=u8::MAX).zip(servers) {
            names.push(hash(2, name));
            let next = (hash(0, name) % u64::from(SIZE)) as u32;
            let skip = (hash(1, name) % u64::from(SIZE - 1)) as u32 + 1;
            // Whole numbers, so that all machines agree; the error of 65,537 turns is far below one turn.
            let pace = (1_u64 << 32) / u64::from(weight.max(1));
            servers_by_position.push(Permutation { next, skip, pace });
            if weight > 0 {
                turns.push(Reverse((pace, position)));
            }
        }
        let entries = fill(&mut servers_by_position, turns);
        Self { entries, names: names.into(), secret }
    }

    /// The position of the server for a source: the first that is `fit`, on a way through the table that is the
    /// source's own (double hashing).
    ///
    /// So a source whose server is fit stays there whatever happens to others. Those of an unfit server spread
    /// over the rest by weight, each always to the same one, and return when it is fit again. None: nobody is fit.
    #[must_use]
    pub fn find(&self, source: Addr, mut fit: impl FnMut(u8) -> bool) -> Option<u8> {
        let hash = SipHasher24::new_with_key(&self.secret).hash(&source.octets());
        let (mut at, step) = (hash as u32 % SIZE, (hash >> 32) as u32 % (SIZE - 1) + 1);
        for _ in 0..PROBES {
            let position = *self.entries.get(at as usize)?;
            if fit(position) {
                return Some(position);
            }
            at = (at + step) % SIZE;
        }
        // Hardly anybody is left: the highest score wins (rendezvous hashing), which keeps sources where they are
        // too, but does not look at weights.
        (0..=u8::MAX)
            .zip(&*self.names)
            .filter(|(position, _)| fit(*position))
            .max_by_key(|(_, name)| scramble(hash ^ **name))
            .map(|(position, _)| position)
    }

    /// The position of each entry's server; empty where nobody has a weight.
    #[must_use]
    pub fn entries(&self) -> &[u8] {
        &self.entries
    }
}

/// Whose turn it is takes the next free entry of its permutation, until there is none.
fn fill(servers: &mut [Permutation], mut turns: BinaryHeap<Reverse<(u64, u8)>>) -> Box<[u8]> {
    let mut entries: Vec<Option<u8>> = vec![None; if turns.is_empty() { 0 } else { ENTRIES }];
    for _ in 0..entries.len() {
        let Some(Reverse((time, position))) = turns.pop() else { break };
        let Some(server) = servers.get_mut(usize::from(position)) else { break };
        loop {
            let entry = entries.get_mut(server.next as usize);
            server.next = (server.next + server.skip) % SIZE;
            if let Some(free @ None) = entry {
                *free = Some(position);
                break;
            }
        }
        turns.push(Reverse((time + server.pace, position)));
    }
    entries.into_iter().flatten().collect()
}

/// The finalizer of SplitMix64 (Steele et al., OOPSLA 2014).
const fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
