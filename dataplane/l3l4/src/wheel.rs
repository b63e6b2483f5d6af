//! The timer wheel: one deadline per flow, two levels, intrusive lists.
//!
//! Invariant: an entry fires at or after its deadline and never early; a deadline beyond the horizon (65 s) is
//! looked at again when the horizon is reached. A deadline that moves later costs nothing: the caller leaves the
//! entry alone and re-arms it when it fires. An idle wheel costs one comparison per turn.

use crate::time::Instant;

/// First level: 1 ms slots.
const NEAR: usize = 64;
/// Second level: 64 ms slots, each poured into the first level when its time comes.
const FAR: usize = 1024;
/// Farthest tick that can be filed, counted from now.
const HORIZON: u64 = ((FAR - 2) * NEAR) as u64;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    next: u32,
    prev: u32,
    /// The slot it is filed in (first level, then second), or `NONE`.
    slot: u32,
    /// Deadline in ticks since the wheel's start, low 32 bits; it lies within the horizon of the present tick,
    /// so the rest follows (`Wheel::whole`), however long the wheel has run.
    tick: u32,
}

const UNFILED: Node = Node { next: NONE, prev: NONE, slot: NONE, tick: 0 };

/// Deadlines of flows by slot number.
#[derive(Debug)]
pub struct Wheel {
    heads: Vec<u32>,
    nodes: Vec<Node>,
    start: Instant,
    /// Ticks below this have fired.
    tick: u64,
    /// When `tick` is over and may fire, in microseconds.
    due: u64,
    /// Slot being drained, where a turn's budget ran out before its end.
    draining: Option<u32>,
    armed: usize,
}

impl Wheel {
    /// A wheel whose time begins at `start`, for at most `limit` flows.
    #[must_use]
    pub fn new(limit: usize, start: Instant) -> Self {
        Self {
            heads: vec![NONE; NEAR + FAR],
            nodes: Vec::with_capacity(limit),
            start,
            tick: 0,
            due: start.micros(),
            draining: None,
            armed: 0,
        }
    }

    /// How many deadlines are filed.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// Whether [`Wheel::advance`] may have something to do; keeps an empty wheel up with the time.
    #[inline]
    #[must_use]
    pub fn is_due(&mut self, now: Instant) -> bool {
        if now.micros() < self.due {
            return false;
        }
        if self.armed == 0 {
            self.catch_up(now);
            return false;
        }
        true
    }

    /// To be called before the first entry is filed after a time without any: what has passed is skipped instead
    /// of walked over tick by tick.
    pub fn catch_up(&mut self, now: Instant) {
        if self.armed == 0 {
            self.move_to(self.tick.max(now.micros().saturating_sub(self.start.micros()) / 1000));
            self.draining = None;
        }
    }

    fn move_to(&mut self, tick: u64) {
        self.tick = tick;
        self.due = self.start.micros() + tick * 1000;
    }

    /// Whether `flow` has a deadline.
    #[inline]
    #[must_use]
    pub fn is_filed(&self, flow: u32) -> bool {
        self.nodes.get(flow as usize).is_some_and(|node| node.slot != NONE)
    }

    fn tick_of(&self, at: Instant) -> u64 {
        // Rounded up: an entry must not fire early.
        at.micros().saturating_sub(self.start.micros()).div_ceil(1000)
    }

    #[inline]
    fn whole(&self, tick: u32) -> u64 {
        let ahead = tick.wrapping_sub(self.tick as u32) as i32;
        self.tick.wrapping_add_signed(i64::from(ahead))
    }

    /// The deadline of `flow`, or `None` where it has none.
    #[inline]
    #[must_use]
    pub fn deadline(&self, flow: u32) -> Option<Instant> {
        let node = self.nodes.get(flow as usize)?;
        (node.slot != NONE).then(|| Instant::from_micros(self.start.micros() + self.whole(node.tick) * 1000))
    }

    /// Files `flow` to fire at `at`, in place of any earlier deadline.
    pub fn set(&mut self, flow: u32, at: Instant) {
        let slot = flow as usize;
        if self.nodes.len() <= slot {
            self.nodes.resize(slot + 1, UNFILED);
        }
        if self.nodes[slot].slot != NONE {
            self.unlink(flow);
        }
        let tick = self.tick_of(at).clamp(self.tick, self.tick + HORIZON);
        self.link(flow, tick);
    }

    /// Sees to it that `flow` fires within `span` from `now`; an earlier deadline stays.
    #[inline]
    pub fn set_by(&mut self, flow: u32, now: Instant, span: core::time::Duration) {
        let at = now + span;
        match self.nodes.get(flow as usize) {
            Some(node) if node.slot != NONE && self.whole(node.tick) <= self.tick_of(at) => {}
            _ => {
                self.catch_up(now);
                self.set(flow, at);
            }
        }
    }

    /// Takes `flow`'s deadline away, if it has one.
    pub fn cancel(&mut self, flow: u32) {
        if self.nodes.get(flow as usize).is_some_and(|n| n.slot != NONE) {
            self.unlink(flow);
        }
    }

    fn link(&mut self, flow: u32, tick: u64) {
        // The far level is poured at each multiple of 64 ticks, so what lies in the present 64 goes near.
        let slot = if tick / NEAR as u64 == self.tick / NEAR as u64 {
            tick as usize % NEAR
        } else {
            NEAR + (tick as usize / NEAR) % FAR
        };
        let head = self.heads[slot];
        self.nodes[flow as usize] = Node { next: head, prev: NONE, slot: slot as u32, tick: tick as u32 };
        if head != NONE {
            self.nodes[head as usize].prev = flow;
        }
        self.heads[slot] = flow;
        self.armed += 1;
    }

    fn unlink(&mut self, flow: u32) {
        let node = self.nodes[flow as usize];
        if node.prev == NONE {
            self.heads[node.slot as usize] = node.next;
        } else {
            self.nodes[node.prev as usize].next = node.next;
        }
        if node.next != NONE {
            self.nodes[node.next as usize].prev = node.prev;
        }
        self.nodes[flow as usize].slot = NONE;
        self.armed -= 1;
    }

    /// Fires entries due at `now`, at most `budget` of them (pouring counts too); each is unfiled before `fire`
    /// gets its number. Returns how much of the budget was used; what is left over fires at the next call.
    pub fn advance(&mut self, now: Instant, budget: usize, mut fire: impl FnMut(&mut Self, u32)) -> usize {
        // Rounded down: a tick has passed only when it is over.
        let target = now.micros().saturating_sub(self.start.micros()) / 1000;
        if self.armed == 0 {
            self.catch_up(now);
            return 0;
        }
        let mut used = 0;
        loop {
            if let Some(slot) = self.draining {
                if !self.drain(slot, budget, &mut used, &mut fire) {
                    return used;
                }
                self.draining = None;
                if slot as usize >= NEAR {
                    // A far slot was poured; the near slot of the same tick comes next.
                    self.draining = Some((self.tick % NEAR as u64) as u32);
                    continue;
                }
                self.move_to(self.tick + 1);
                if self.tick > target {
                    return used;
                }
            } else if self.tick > target {
                return used;
            }
            self.draining = Some(if self.tick.is_multiple_of(NEAR as u64) {
                (NEAR + (self.tick as usize / NEAR) % FAR) as u32
            } else {
                (self.tick % NEAR as u64) as u32
            });
        }
    }

    /// Empties one slot; false where the budget ran out first.
    fn drain(
        &mut self,
        slot: u32,
        budget: usize,
        used: &mut usize,
        fire: &mut impl FnMut(&mut Self, u32),
    ) -> bool {
        while self.heads[slot as usize] != NONE {
            if *used >= budget {
                return false;
            }
            *used += 1;
            let flow = self.heads[slot as usize];
            let tick = self.whole(self.nodes[flow as usize].tick);
            self.unlink(flow);
            if slot as usize >= NEAR && tick > self.tick {
                self.link(flow, tick);
            } else {
                fire(self, flow);
            }
        }
        true
    }

    /// The earliest time at which `advance` may have something to do; `None` with nothing filed. Exact within
    /// the present 64 ms, rounded down to 64 ms beyond.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.armed == 0 {
            return None;
        }
        let at = |tick: u64| Some(Instant::from_micros(self.start.micros() + tick * 1000));
        if self.draining.is_some() {
            return at(self.tick);
        }
        let end = (self.tick / NEAR as u64 + 1) * NEAR as u64;
        for tick in self.tick..end {
            if self.heads[tick as usize % NEAR] != NONE {
                return at(tick);
            }
        }
        // The slot of the present 64 ms has been poured unless its first tick is still to come.
        let first = self.tick.div_ceil(NEAR as u64);
        (first..first + FAR as u64)
            .find(|far| self.heads[NEAR + *far as usize % FAR] != NONE)
            .and_then(|far| at(far * NEAR as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn ms(n: u64) -> Instant {
        Instant::from_micros(n * 1000)
    }

    proptest! {
        /// Nothing fires early, nothing fires later than the step after its deadline, nothing is lost.
        #[test]
        fn fires_once_and_on_time(
            plan in proptest::collection::vec((0u32..40, 0u64..70_000, 0u64..3_000, any::<bool>()), 1..200)
        ) {
            let mut wheel = Wheel::new(64, ms(0));
            let mut model: HashMap<u32, u64> = HashMap::new();
            let mut now = 0;
            for (flow, delay, step, cancel) in plan {
                if cancel {
                    wheel.cancel(flow);
                    model.remove(&flow);
                } else {
                    // What is due at once goes with the next tick, so it is not asked for here.
                    let at = now + delay.clamp(1, HORIZON - 1);
                    wheel.set(flow, ms(at));
                    model.insert(flow, at);
                }
                prop_assert_eq!(wheel.armed(), model.len());
                if let (Some(next), Some(first)) = (wheel.next(), model.values().min()) {
                    prop_assert!(next <= ms((*first).max(now)), "next() may not sleep past a deadline");
                }
                now += step;
                let mut fired = Vec::new();
                wheel.advance(ms(now), usize::MAX, |_, f| fired.push(f));
                for f in fired {
                    let at = model.remove(&f);
                    prop_assert!(at.is_some_and(|at| at <= now), "{f} fired at {now}, due {at:?}");
                }
                prop_assert!(model.values().all(|&at| at > now), "late at {now}: {model:?}");
            }
        }
    }

    #[test]
    fn budget_spreads_the_work() {
        let mut wheel = Wheel::new(1000, ms(0));
        for flow in 0..1000 {
            wheel.set(flow, ms(100));
        }
        let mut fired = 0;
        let mut turns = 0;
        while wheel.armed() > 0 {
            wheel.advance(ms(500), 64, |_, _| fired += 1);
            turns += 1;
        }
        assert_eq!(fired, 1000);
        assert!(turns >= 1000 / 64, "{turns}");
    }

    #[test]
    fn runs_past_the_wrap_of_32_bits() {
        let mut wheel = Wheel::new(4, ms(0));
        let late = (1u64 << 32) - 10;
        wheel.advance(ms(late), 1, |_, _| {});
        wheel.set(1, ms(late + 20));
        assert_eq!(wheel.deadline(1), Some(ms(late + 20)));
        let mut fired = 0;
        wheel.advance(ms(late + 19), 100, |_, _| fired += 1);
        assert_eq!(fired, 0);
        wheel.advance(ms(late + 20), 100, |_, _| fired += 1);
        assert_eq!(fired, 1);
    }

    #[test]
    fn a_long_time_without_entries_is_skipped() {
        let mut wheel = Wheel::new(4, ms(0));
        let day = 86_400_000;
        assert!(!wheel.is_due(ms(day)));
        wheel.set(1, ms(day + 5));
        assert_eq!(wheel.next(), Some(ms(day + 5)));
        assert!(wheel.is_due(ms(day)), "the present tick has not been looked at");
        assert_eq!(wheel.advance(ms(day), 10, |_, _| ()), 0);
        assert!(!wheel.is_due(ms(day)) && wheel.is_due(ms(day + 1)));
    }

    #[test]
    fn rearming_while_firing_is_kept() {
        let mut wheel = Wheel::new(4, ms(0));
        wheel.set(1, ms(10));
        wheel.advance(ms(10), 100, |w, f| w.set(f, ms(20)));
        assert_eq!(wheel.deadline(1), Some(ms(20)));
        let mut fired = Vec::new();
        wheel.advance(ms(19), 100, |_, f| fired.push(f));
        assert!(fired.is_empty());
        wheel.advance(ms(20), 100, |_, f| fired.push(f));
        assert_eq!(fired, [1]);
    }
}
