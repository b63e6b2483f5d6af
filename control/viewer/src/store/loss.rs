//! What was lost on the way here, by worker: holes in `seq`, and what the daemon says it dropped.
//!
//! Invariant: for a worker, events received + missing = last `seq` - first `seq` + 1 at any time.

use std::collections::HashMap;

use crate::event::Common;

/// The most workers of runs that are told apart; those that were silent for longest are summed up.
const MOST: usize = 256;

/// The account of one worker of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loss {
    pub(crate) received: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Holes in `seq` since its first event here.
    pub(crate) missing: u64,
    /// `dropped` in its first event here: lost before there was anyone to receive.
    pub(crate) dropped_before: u64,
    /// `dropped` in its latest event.
    pub(crate) dropped: u64,
    /// When the latest event came, in events received in all.
    turn: u64,
}

impl Loss {
    /// Events that are known to be lost, by whichever account knows of more.
    pub(crate) fn lost(&self) -> u64 {
        (self.missing + self.dropped_before).max(self.dropped)
    }
}

/// The accounts of all workers.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    workers: HashMap<(String, u32), Loss>,
    turn: u64,
    /// Lost by workers that are no longer told apart.
    pub(crate) earlier: u64,
}

impl Losses {
    pub(super) fn seen(&mut self, common: &Common) {
        self.turn += 1;
        let key = (common.run.clone(), common.worker);
        if self.workers.len() >= MOST && !self.workers.contains_key(&key) {
            self.forget_one();
        }
        let loss = self.workers.entry(key).or_default();
        if loss.received == 0 {
            loss.first = common.seq;
            loss.last = common.seq;
            loss.dropped_before = common.dropped;
        } else if common.seq > loss.last {
            loss.missing += common.seq - loss.last - 1;
            loss.last = common.seq;
        } else if common.seq >= loss.first {
            // Late, over another socket: it had been counted as missing.
            loss.missing = loss.missing.saturating_sub(1);
        } else {
            // Late, and from before what was the first one.
            loss.missing += loss.first - common.seq - 1;
            loss.first = common.seq;
        }
        loss.received += 1;
        loss.dropped = loss.dropped.max(common.dropped);
        loss.turn = self.turn;
    }

    fn forget_one(&mut self) {
        let oldest = self.workers.iter().min_by_key(|(_, loss)| loss.turn).map(|(key, _)| key.clone());
        if let Some(loss) = oldest.and_then(|key| self.workers.remove(&key)) {
            self.earlier += loss.lost();
        }
    }

    /// All accounts, by run and worker.
    pub(crate) fn list(&self) -> Vec<(&str, u32, &Loss)> {
        let mut all: Vec<_> =
            self.workers.iter().map(|((run, worker), loss)| (run.as_str(), *worker, loss)).collect();
        all.sort_unstable_by_key(|(run, worker, _)| (*run, *worker));
        all
    }

    /// Events lost in all.
    pub(crate) fn total(&self) -> u64 {
        self.earlier + self.workers.values().map(Loss::lost).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::{event, meta};
    use serde_json::json;

    fn seen(losses: &mut Losses, run: &str, worker: u32, seq: u64, dropped: u64) {
        let more = json!({"run": run, "worker": worker, "dropped": dropped, "midstream": false});
        losses.seen(&event("flow.open", &meta(seq, "f", more), b"").common);
    }

    #[test]
    fn holes_are_counted_for_each_worker() {
        let mut losses = Losses::default();
        for (worker, seq) in [(0, 1), (1, 1), (0, 2), (0, 6), (1, 2), (0, 7)] {
            seen(&mut losses, "a", worker, seq, 0);
        }
        let list = losses.list();
        assert_eq!((list[0].2.missing, list[1].2.missing), (3, 0));
        assert_eq!(losses.total(), 3);
    }

    #[test]
    fn holes_and_what_the_daemon_dropped_are_one_loss() {
        let mut losses = Losses::default();
        seen(&mut losses, "a", 0, 1, 0);
        seen(&mut losses, "a", 0, 5, 3);
        assert_eq!(losses.total(), 3);
        // Two more dropped, of which the hole is yet to come.
        seen(&mut losses, "a", 0, 6, 5);
        assert_eq!(losses.total(), 5);
    }

    #[test]
    fn what_was_lost_before_the_viewer_began_counts_once() {
        let mut losses = Losses::default();
        seen(&mut losses, "a", 0, 100, 40);
        seen(&mut losses, "a", 0, 103, 42);
        assert_eq!((losses.list()[0].2.missing, losses.total()), (2, 42));
    }

    #[test]
    fn late_events_fill_the_hole() {
        let mut losses = Losses::default();
        for seq in [10, 13, 11, 12, 9, 6] {
            seen(&mut losses, "a", 0, seq, 0);
        }
        let loss = losses.list()[0].2.clone();
        assert_eq!((loss.missing, loss.received), (2, 6));
        assert_eq!(loss.received + loss.missing, loss.last - loss.first + 1);
    }

    #[test]
    fn a_new_run_begins_anew_and_old_ones_are_summed() {
        let mut losses = Losses::default();
        for run in 0..MOST as u64 + 5 {
            seen(&mut losses, &format!("{run:016x}"), 0, 1, 0);
            seen(&mut losses, &format!("{run:016x}"), 0, 3, 0);
        }
        assert_eq!(losses.list().len(), MOST);
        assert_eq!((losses.earlier, losses.total()), (5, MOST as u64 + 5));
    }
}
