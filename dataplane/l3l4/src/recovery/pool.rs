//! Where scoreboards that outgrow their flow's record are kept: blocks of ranges, all of one size.
//!
//! Invariant: a block belongs to one scoreboard from [`Pool::take`] to [`Pool::give`], and no more than the bound
//! are ever out. Memory is set aside when the pool is made and touched when a block is first taken; nothing is
//! allocated in between.

use super::scoreboard::Range;

/// Blocks of ranges.
#[derive(Debug)]
pub(crate) struct Pool {
    ranges: Vec<Range>,
    free: Vec<u32>,
    /// Ranges per block.
    size: usize,
    blocks: usize,
    /// How often none was left.
    pub(crate) refused: u64,
}

impl Pool {
    /// At most `blocks` blocks of `size` ranges.
    pub(crate) fn new(blocks: usize, size: usize) -> Self {
        Self {
            ranges: Vec::with_capacity(blocks * size),
            free: Vec::with_capacity(blocks),
            size,
            blocks,
            refused: 0,
        }
    }

    /// Ranges that one block holds.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Blocks that are out.
    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.ranges.len() / self.size - self.free.len()
    }

    /// Takes a block; `None`, counted, where all are out.
    pub(crate) fn take(&mut self) -> Option<u32> {
        if let Some(block) = self.free.pop() {
            return Some(block);
        }
        let made = self.ranges.len() / self.size;
        if made == self.blocks {
            self.refused += 1;
            return None;
        }
        self.ranges.resize(self.ranges.len() + self.size, Range::default());
        Some(made as u32)
    }

    /// Gives a block back.
    pub(crate) fn give(&mut self, block: u32) {
        self.free.push(block);
    }

    /// The ranges of a block that is out.
    #[inline]
    pub(crate) fn block(&mut self, block: u32) -> &mut [Range] {
        let at = block as usize * self.size;
        &mut self.ranges[at..at + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_used_again() {
        let mut pool = Pool::new(2, 8);
        let (a, b) = (pool.take(), pool.take());
        assert_eq!((a, b, pool.take(), pool.refused), (Some(0), Some(1), None, 1));
        pool.give(0);
        assert_eq!((pool.used(), pool.take(), pool.used()), (1, Some(0), 2));
        assert_eq!(pool.block(1).len(), 8);
    }
}
