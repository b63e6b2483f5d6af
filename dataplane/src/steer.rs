//! Which worker owns a flow: the Toeplitz hash a NIC computes for RSS, computed in software with the same key, and
//! the redirection table that turns it into a worker.
//!
//! Invariant: for the same key and table, software and NIC name the same worker, so a packet that arrives on the
//! wrong queue always finds its owner. With [`SYMMETRIC_KEY`] both directions of a flow have one owner.

use core::ops::RangeInclusive;

use l3l4::{Addr, FlowKey, Protocol};

/// A 40-byte key (ixgbe, mlx5, virtio) under which swapping source and destination leaves the hash unchanged.
pub const SYMMETRIC_KEY: [u8; 40] = symmetric();
/// The same for ports with a 52-byte key (i40e, ice). The hash depends on its first 40 bytes only.
pub const SYMMETRIC_KEY_52: [u8; 52] = symmetric();

/// Two IPv6 addresses and two ports: the longest input.
const MAX_INPUT: usize = 36;

const fn symmetric<const N: usize>() -> [u8; N] {
    let mut key = [0x6d; N];
    let mut i = 1;
    while i < N {
        key[i] = 0x5a;
        i += 2;
    }
    key
}

/// The key does not reach the end of an IPv6 five-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an RSS key of {0} bytes is too short: use 40 or 52 bytes")]
pub struct KeyTooShort(pub usize);

/// The Toeplitz hash with its key expanded into one table per input byte (36 KiB).
pub struct Toeplitz {
    tables: Box<[[u32; 256]; MAX_INPUT]>,
}

/// A hash without its destination port, from [`Toeplitz::open_ended`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenEnded {
    rest: u32,
    /// Where in the input the ports begin.
    at: u32,
}

impl Toeplitz {
    /// Expands a key of at least 40 bytes.
    pub fn new(key: &[u8]) -> Result<Self, KeyTooShort> {
        if key.len() < MAX_INPUT + 4 {
            return Err(KeyTooShort(key.len()));
        }
        let table = |window: &[u8]| {
            let bits = window.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            let mut table = [0; 256];
            for (value, hash) in table.iter_mut().enumerate() {
                // The top bit of the byte meets key bits 0..32 of the window, the next one bits 1..33, and so on.
                for bit in (0..8).filter(|bit| value & (0x80 >> bit) != 0) {
                    *hash ^= (bits >> (8 - bit)) as u32;
                }
            }
            table
        };
        let tables: Box<[_]> = key.windows(5).take(MAX_INPUT).map(table).collect();
        Ok(Self { tables: tables.try_into().map_err(|_| KeyTooShort(key.len()))? })
    }

    /// The hash of a received packet of the flow: addresses and ports for TCP and UDP, addresses for the rest.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &FlowKey) -> u32 {
        let (hash, length) = self.addresses(key.remote, key.local);
        match key.protocol {
            Protocol::TCP | Protocol::UDP => hash ^ self.ports(length, key.remote_port, key.local_port),
            _ => hash,
        }
    }

    /// The hash of a packet without ports (fragments, ICMP) from `source` to `destination`.
    #[inline]
    #[must_use]
    pub fn hash_addresses(&self, source: Addr, destination: Addr) -> u32 {
        self.addresses(source, destination).0
    }

    /// The hash of a received TCP or UDP packet whose destination port is not known yet: for those who try many.
    #[must_use]
    pub fn open_ended(&self, remote: Addr, local: Addr, remote_port: u16) -> OpenEnded {
        let (rest, at) = self.addresses(remote, local);
        OpenEnded { rest: rest ^ self.ports(at, remote_port, 0), at: at as u32 }
    }

    /// The hash of `begun` with its destination port.
    #[inline]
    #[must_use]
    pub fn finish(&self, begun: OpenEnded, local_port: u16) -> u32 {
        // The hash is linear: the port's own bytes are XORed onto the rest.
        begun.rest ^ self.ports(begun.at as usize, 0, local_port)
    }

    #[inline]
    fn addresses(&self, source: Addr, destination: Addr) -> (u32, usize) {
        if source.is_v4() && destination.is_v4() {
            let both = (source.0 as u32 as u64) << 32 | destination.0 as u32 as u64;
            (self.mix(0, &both.to_be_bytes()), 8)
        } else {
            (self.mix(0, &source.octets()) ^ self.mix(16, &destination.octets()), 32)
        }
    }

    #[inline]
    fn ports(&self, at: usize, source: u16, destination: u16) -> u32 {
        let both = u32::from(source) << 16 | u32::from(destination);
        self.mix(at, &both.to_be_bytes())
    }

    /// Inlined with constants, so that no index needs a check.
    #[inline(always)]
    fn mix<const N: usize>(&self, at: usize, input: &[u8; N]) -> u32 {
        let mut hash = 0;
        for (i, byte) in input.iter().enumerate() {
            hash ^= self.tables[at + i][usize::from(*byte)];
        }
        hash
    }
}

/// The redirection table: which queue, and so which worker, a hash goes to.
///
/// A port with a larger table repeats it: its entry `i` is [`Reta::entry`]`(i)`, and the owner stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reta {
    /// Entry `hash % 128` names the worker.
    pub table: [u16; 128],
}

impl Reta {
    /// Spreads the entries evenly over `workers` (at least one).
    #[must_use]
    pub fn spread(workers: u16) -> Self {
        let mut table = [0; 128];
        for (worker, entry) in (0..workers.max(1)).cycle().zip(table.iter_mut()) {
            *entry = worker;
        }
        Self { table }
    }

    /// What to program into entry `index` of a port's own table, of any power-of-two size from 128 up.
    #[must_use]
    pub fn entry(&self, index: usize) -> u16 {
        self.table[index % self.table.len()]
    }

    /// The worker a hash belongs to, below `workers` whatever the table holds.
    #[inline]
    #[must_use]
    pub fn owner(&self, hash: u32, workers: u16) -> u16 {
        let worker = self.table[hash as usize % self.table.len()];
        if worker < workers { worker } else { worker % workers.max(1) }
    }
}

/// The worker that opens a connection, and how hashes find workers.
#[derive(Clone, Copy)]
pub struct Home<'a> {
    /// The hash the ports use.
    pub toeplitz: &'a Toeplitz,
    /// The table the ports use.
    pub reta: &'a Reta,
    /// How many workers there are.
    pub workers: u16,
    /// The worker the replies must reach.
    pub worker: u16,
}

impl Home<'_> {
    /// Picks a source port for a connection so that its replies come home to the worker that opens it.
    ///
    /// `reply` is the key of the reply packets (remote: the upstream); its local port is what is looked for. The
    /// search starts at the port `start` names within `range` (a random number spreads ports, RFC 6056), goes
    /// round once and skips ports that are `in_use`. None: every port of the range that leads home is taken.
    pub fn choose_source_port(
        &self,
        reply: &FlowKey,
        range: RangeInclusive<u16>,
        start: u16,
        mut in_use: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let (first, count) = (u32::from(*range.start()), range.len() as u32);
        let begun = self.toeplitz.open_ended(reply.remote, reply.local, reply.remote_port);
        (0..count).map(|step| (first + (u32::from(start) + step) % count) as u16).find(|port| {
            let hash = self.toeplitz.finish(begun, *port);
            self.reta.owner(hash, self.workers) == self.worker && !in_use(*port)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
