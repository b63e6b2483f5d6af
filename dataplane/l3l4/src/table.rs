//! The flow table: five-tuple hash to slot number, open addressing with linear probing.
//!
//! Invariant: the table is never more than half full (its size is fixed at twice the flow limit), so a probe is
//! short and always ends at an empty cell; removal shifts back, so there are no tombstones to collect.

/// Maps 32-bit hashes to 32-bit slot numbers. The caller compares keys.
#[derive(Debug)]
pub struct Table {
    /// Hash in the high half, slot number plus one in the low half; 0 is an empty cell.
    cells: Vec<u64>,
    mask: usize,
    len: usize,
}

impl Table {
    /// A table for at most `limit` entries. All memory is taken here; untouched pages cost nothing.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let size = (limit.max(8) * 2).next_power_of_two();
        Self { cells: vec![0; size], mask: size - 1, len: 0 }
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where a search for `hash` begins, for a caller that can have it brought in before it is needed.
    #[inline]
    #[must_use]
    pub fn cell(&self, hash: u32) -> &u64 {
        &self.cells[hash as usize & self.mask]
    }

    /// The slot filed under `hash` for which `is_same` says yes.
    #[inline]
    pub fn find(&self, hash: u32, mut is_same: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                return None;
            }
            if (cell >> 32) as u32 == hash {
                let slot = cell as u32 - 1;
                if is_same(slot) {
                    return Some(slot);
                }
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Files `slot` under `hash`. Refused (false) where the table is at its limit.
    #[inline]
    pub fn insert(&mut self, hash: u32, slot: u32) -> bool {
        if self.len * 2 >= self.cells.len() {
            return false;
        }
        let mut at = hash as usize & self.mask;
        while self.cells[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.cells[at] = u64::from(hash) << 32 | u64::from(slot + 1);
        self.len += 1;
        true
    }

    /// Takes out the entry of `hash` and `slot`; false where there is none.
    pub fn remove(&mut self, hash: u32, slot: u32) -> bool {
        let wanted = u64::from(hash) << 32 | u64::from(slot + 1);
        let mut at = hash as usize & self.mask;
        while self.cells[at] != wanted {
            if self.cells[at] == 0 {
                return false;
            }
            at = (at + 1) & self.mask;
        }
        self.len -= 1;
        // Pull later members of the run back over the hole wherever that brings them no nearer than their home.
        let mut hole = at;
        loop {
            at = (at + 1) & self.mask;
            let cell = self.cells[at];
            if cell == 0 {
                break;
            }
            let home = (cell >> 32) as usize & self.mask;
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(hole) & self.mask) {
                self.cells[hole] = cell;
                hole = at;
            }
        }
        self.cells[hole] = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Against the standard map: few distinct hashes, so that runs collide, wrap and shift.
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec((0u32..24, any::<bool>()), 1..400)) {
            let mut table = Table::new(32);
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (id, add) in steps {
                let hash = (id % 7).wrapping_mul(0x1000_0000).wrapping_add(60 + id % 5);
                if add {
                    model.entry(id).or_insert_with(|| { assert!(table.insert(hash, id)); hash });
                } else {
                    prop_assert_eq!(table.remove(hash, id), model.remove(&id).is_some());
                }
                prop_assert_eq!(table.len(), model.len());
                for (&id, &hash) in &model {
                    prop_assert_eq!(table.find(hash, |s| s == id), Some(id));
                }
            }
        }
    }

    #[test]
    fn refuses_beyond_half() {
        let mut table = Table::new(8);
        let taken = (0..100).take_while(|&i| table.insert(i * 3, i)).count();
        assert_eq!(taken, 8);
        assert_eq!(table.find(3 * 200, |_| true), None);
    }
}
