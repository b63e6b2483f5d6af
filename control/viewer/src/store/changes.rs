//! Which exchanges changed, for clients that follow live.
//!
//! Invariant: at most [`MOST`] changes are known; who asks for older ones is told so instead of missing some.

use std::collections::VecDeque;

/// The most changes known.
const MOST: usize = 16 * 1024;

/// The latest changes, each with a number one higher than the one before.
#[derive(Default)]
pub(crate) struct Changes {
    ids: VecDeque<u64>,
    /// How many were forgotten: the number of the first one that is known.
    first: u64,
}

impl Changes {
    pub(super) fn add(&mut self, id: u64) {
        if self.ids.len() == MOST {
            self.ids.pop_front();
            self.first += 1;
        }
        self.ids.push_back(id);
    }

    /// The number of the change to come.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.ids.len() as u64
    }

    /// The ids behind changes from `cursor` on, each once and in order, of at most `limit` changes, and the number of
    /// the change behind them.
    pub(super) fn since(&self, cursor: u64, limit: usize) -> Option<(Vec<u64>, u64)> {
        let from = usize::try_from(cursor.checked_sub(self.first)?).ok()?;
        if from > self.ids.len() {
            return None;
        }
        let mut ids: Vec<u64> = self.ids.range(from..).take(limit).copied().collect();
        let next = cursor + ids.len() as u64;
        ids.sort_unstable();
        ids.dedup();
        Some((ids, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_in_order() {
        let mut changes = Changes::default();
        for id in [5, 3, 5, 9] {
            changes.add(id);
        }
        assert_eq!(changes.since(0, 100), Some((vec![3, 5, 9], 4)));
        assert_eq!(changes.since(2, 1), Some((vec![5], 3)));
        assert_eq!(changes.since(4, 100), Some((vec![], 4)));
        assert_eq!(changes.since(5, 100), None);
    }

    #[test]
    fn who_is_too_late_is_told() {
        let mut changes = Changes::default();
        for id in 0..MOST as u64 + 10 {
            changes.add(id);
        }
        assert_eq!(changes.ids.len(), MOST);
        assert_eq!(changes.since(9, 1), None);
        assert_eq!(changes.since(10, 1), Some((vec![10], 11)));
        assert_eq!(changes.end(), MOST as u64 + 10);
    }
}
