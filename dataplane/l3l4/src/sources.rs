//! How many connections each source has half open, roughly.
//!
//! Invariant: a source's count is never too low; sources that share a cell (one in 4,096 by a keyed hash) count as
//! one. Being over the limit costs nothing but a SYN cookie instead of a stack, so sharing does no harm.

use crate::key::{Addr, FlowKey, fold};

const CELLS: usize = 4096;

/// Counts by source: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Debug)]
pub(crate) struct Sources {
    counts: Box<[u16; CELLS]>,
    secret: u64,
    limit: u16,
}

impl Sources {
    /// `limit`: half-open connections of one source; 0 for no limit.
    pub(crate) fn new(limit: u16, secret: u64) -> Self {
        Self { counts: Box::new([0; CELLS]), secret: secret | 1, limit }
    }

    fn cell(&self, source: Addr) -> usize {
        let word = if source.is_v4() { source.0 as u32 as u64 } else { (source.0 >> 64) as u64 };
        fold(fold(word ^ self.secret, 0x9e37_79b9_7f4a_7c15), self.secret) as usize % CELLS
    }

    /// Whether this source has as many as it may.
    #[inline]
    pub(crate) fn is_full(&self, key: &FlowKey) -> bool {
        self.limit != 0 && self.counts[self.cell(key.remote)] >= self.limit
    }

    #[inline]
    pub(crate) fn enter(&mut self, key: &FlowKey) {
        if self.limit != 0 {
            let count = &mut self.counts[self.cell(key.remote)];
            *count = count.saturating_add(1);
        }
    }

    #[inline]
    pub(crate) fn leave(&mut self, key: &FlowKey) {
        if self.limit != 0 {
            let count = &mut self.counts[self.cell(key.remote)];
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(remote: Addr) -> FlowKey {
        FlowKey { remote, local: remote, ..FlowKey::default() }
    }

    #[test]
    fn each_source_has_its_share() {
        let mut sources = Sources::new(2, 77);
        let a = from(Addr::v4([10, 0, 0, 1]));
        for full in [false, false, true] {
            assert_eq!(sources.is_full(&a), full);
            sources.enter(&a);
        }
        sources.leave(&a);
        assert!(sources.is_full(&a), "two of three are left");
        sources.leave(&a);
        assert!(!sources.is_full(&a));
        // Another host of the same IPv6 network shares its count, another network does not.
        let host = |n, m| from(Addr::v6([0x20, 1, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, m]));
        sources.enter(&host(1, 1));
        sources.enter(&host(1, 2));
        assert!(sources.is_full(&host(1, 3)) && !sources.is_full(&host(2, 1)));
    }

    #[test]
    fn sources_spread() {
        let mut sources = Sources::new(1, 0x1234_5678_9abc_def0);
        for n in 0..1000u32 {
            sources.enter(&from(Addr::v4((0x0a00_0000 + n).to_be_bytes())));
        }
        let used = sources.counts.iter().filter(|&&count| count > 0).count();
        assert!(used > 800, "{used} cells for 1,000 neighbours");
        assert!(!Sources::new(0, 1).is_full(&from(Addr::v4([1; 4]))));
    }
}
