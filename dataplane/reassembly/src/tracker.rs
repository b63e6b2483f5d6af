//! All connections of one worker: found by their ends, bounded, and given up in time.
//!
//! Invariant: the table, the slots and the lists name the same connections. Nothing is allocated after the start but the
//! first use of a slot, which its room was reserved for.

use crate::connection::{Connection, Identity, Sink, Stage, Turn};
use crate::limits::{Counters, Limits};
use crate::lists::Lists;
use crate::pending::Pending;
use crate::segment::{Buffer, Key, Segment, Side, flags};
use crate::state::State;
use crate::stream::Shared;
use crate::summary::End;
use hashbrown::HashTable;

/// Connections looked at in one call of [`Tracker::expire`], for each thing that may be due.
const PER_CALL: usize = 64;
/// A connection's place in the list of its timeout is renewed no more often than this, in nanoseconds.
const RENEW: u64 = 500_000_000;

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It belongs to a connection that is followed.
    Followed,
    /// Nothing asked for its connection to be followed.
    NotAdmitted,
    /// It belongs to no connection, and begins none.
    Stray,
}

/// A connection as a listing shows it.
#[derive(Clone, Copy, Debug)]
pub struct FlowInfo<'a, T> {
    /// Which.
    pub identity: &'a Identity,
    /// What is kept for it.
    pub kept: &'a T,
    /// RFC 9293 states of client and server.
    pub states: [State; 2],
    /// Bytes delivered of what client and server sent.
    pub bytes: [u64; 2],
    /// Time of the first packet, in nanoseconds.
    pub first: u64,
    /// Time of the last packet, in nanoseconds.
    pub last: u64,
}

/// Follows connections. `B` is a packet's buffer, `T` what the caller keeps for each connection.
pub struct Tracker<B, T> {
    shared: Shared<B>,
    table: HashTable<u32>,
    slots: Vec<Option<Connection<T>>>,
    free: Vec<u32>,
    /// By [`Stage`].
    stages: Lists<3>,
    /// Those with holes.
    holes: Lists<1>,
    secret: [u64; 2],
    next_id: u64,
}

impl<B: Buffer, T> Tracker<B, T> {
    /// A tracker with these bounds; the secret keeps others from choosing what meets in its table.
    #[must_use]
    pub fn new(limits: Limits, secret: [u64; 2]) -> Self {
        let flows = limits.flows;
        Self {
            shared: Shared { limits, counters: Counters::default(), pending: Pending::new(limits.held) },
            table: HashTable::with_capacity(flows),
            slots: Vec::with_capacity(flows),
            free: Vec::with_capacity(flows),
            stages: Lists::new(flows),
            holes: Lists::new(flows),
            secret,
            next_id: 0,
        }
    }

    /// Takes a segment that came at time `now`, in nanoseconds; gives the buffer back unless it is held. `admit` is asked
    /// what to keep for a new connection, given its key, the client's side, and whether that is sure; it may name the other side
    /// where it is not. `None` if it is not to be followed.
    pub fn segment(
        &mut self,
        now: u64,
        segment: &Segment,
        buffer: B,
        admit: impl FnOnce(&Key, Side, bool) -> Option<(T, Side)>,
        sink: &mut impl Sink<T>,
    ) -> (Outcome, Option<B>) {
        let hash = segment.key.hash(self.secret);
        let slots = &self.slots;
        let is_it = |slot: &u32| matches!(slots.get(*slot as usize), Some(Some(flow)) if flow.identity.key == segment.key);
        if let Some(&slot) = self.table.find(hash, is_it)
            && let Some(flow) = self.slots.get_mut(slot as usize).and_then(Option::as_mut)
        {
            let (turn, left) = flow.segment(now, segment, buffer, &mut self.shared, sink);
            if turn == Turn::Taken {
                self.shared.counters.segments += 1;
                self.settle(now, slot, sink);
                return (Outcome::Followed, left);
            }
            self.end(now, slot, End::Reused, sink);
            return match left {
                Some(buffer) => self.open(now, segment, hash, buffer, admit, sink),
                None => (Outcome::Followed, None),
            };
        }
        self.open(now, segment, hash, buffer, admit, sink)
    }

    /// A segment of a connection that is not known.
    fn open(
        &mut self,
        now: u64,
        segment: &Segment,
        hash: u64,
        buffer: B,
        admit: impl FnOnce(&Key, Side, bool) -> Option<(T, Side)>,
        sink: &mut impl Sink<T>,
    ) -> (Outcome, Option<B>) {
        let syn = segment.has(flags::SYN);
        let joins = segment.len() > 0 && !segment.has(flags::RST) && self.shared.limits.midstream;
        if !syn && !joins {
            self.shared.counters.stray += 1;
            return (Outcome::Stray, Some(buffer));
        }
        let client = match (syn, segment.has(flags::ACK)) {
            (true, false) => segment.from,
            (true, true) => segment.from.other(),
            // Servers are known by their low ports.
            _ if segment.key.end(Side::Low).port > segment.key.end(Side::High).port => Side::Low,
            _ => Side::High,
        };
        let Some((kept, client)) = admit(&segment.key, client, syn) else {
            self.shared.counters.not_admitted += 1;
            return (Outcome::NotAdmitted, Some(buffer));
        };
        self.make_room(now, !syn, sink);
        self.next_id += 1;
        let identity = Identity { id: self.next_id, key: segment.key, client, midstream: !syn };
        let flow = Connection::new(identity, now, kept);
        let stage = flow.stage;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(flow);
                slot
            }
            None => {
                self.slots.push(Some(flow));
                self.slots.len() as u32 - 1
            }
        };
        self.insert(hash, slot);
        self.stages.append(stage as usize, slot);
        self.shared.counters.opened += 1;
        self.shared.counters.midstream += u64::from(!syn);
        self.shared.counters.segments += 1;
        let Some(flow) = self.slots[slot as usize].as_mut() else { return (Outcome::Followed, Some(buffer)) };
        sink.opened(now, &flow.identity, &mut flow.kept);
        let (_, left) = flow.segment(now, segment, buffer, &mut self.shared, sink);
        self.settle(now, slot, sink);
        (Outcome::Followed, left)
    }

    fn insert(&mut self, hash: u64, slot: u32) {
        let Self { table, slots, secret, .. } = self;
        table.insert_unique(hash, slot, |slot| match slots.get(*slot as usize) {
            Some(Some(flow)) => flow.identity.key.hash(*secret),
            _ => 0,
        });
    }

    /// Makes room for one more connection, which is open from the start if its beginning was missed.
    fn make_room(&mut self, now: u64, open: bool, sink: &mut impl Sink<T>) {
        let limits = &self.shared.limits;
        if !open
            && self.stages.len(Stage::HalfOpen as usize) >= limits.half_open
            && let Some(oldest) = self.stages.first(Stage::HalfOpen as usize)
        {
            self.shared.counters.evicted_half_open += 1;
            self.end(now, oldest, End::Evicted, sink);
        }
        if self.len() >= self.shared.limits.flows {
            // Those that are over first, then those that have not begun.
            let order = [Stage::Closing, Stage::HalfOpen, Stage::Open];
            let oldest = order.into_iter().find_map(|stage| self.stages.first(stage as usize));
            if let Some(oldest) = oldest {
                let closed = self.slots[oldest as usize].as_ref().is_some_and(|flow| flow.closed);
                self.shared.counters.evicted_flows += u64::from(!closed);
                self.end(now, oldest, End::Evicted, sink);
            }
        }
    }

    /// After something happened to a connection: is it over, has it holes, which timeout is it under?
    fn settle(&mut self, now: u64, slot: u32, sink: &mut impl Sink<T>) {
        let Some(flow) = self.slots[slot as usize].as_mut() else { return };
        if !flow.closed
            && let Some(end) = flow.is_over()
        {
            flow.close(now, end, &mut self.shared, sink);
            self.holes.remove(slot);
        } else if flow.has_holes() && !self.holes.holds(slot) {
            self.holes.append(0, slot);
        }
        let stage = flow.due_stage();
        if stage != flow.stage || now.saturating_sub(flow.queued) >= RENEW {
            (flow.stage, flow.queued) = (stage, now);
            self.stages.append(stage as usize, slot);
        }
    }

    /// Gives up what has waited too long; to be called about once a millisecond. Looks at a bounded number of connections.
    pub fn expire(&mut self, now: u64, sink: &mut impl Sink<T>) {
        for _ in 0..self.holes.len(0).min(PER_CALL) {
            let Some(slot) = self.holes.first(0) else { break };
            let Some(flow) = self.slots[slot as usize].as_mut() else { break };
            if flow.resolve(now, &mut self.shared, sink) {
                self.holes.append(0, slot);
            } else {
                self.holes.remove(slot);
                self.settle(now, slot, sink);
            }
        }
        let limits = self.shared.limits;
        let stages = [
            (Stage::HalfOpen, limits.half_open_idle, End::HalfOpen),
            (Stage::Open, limits.idle, End::Idle),
            (Stage::Closing, limits.linger, End::Fin),
        ];
        for (stage, timeout, end) in stages {
            for _ in 0..PER_CALL {
                let Some(slot) = self.stages.first(stage as usize) else { break };
                let Some(flow) = self.slots[slot as usize].as_mut() else { break };
                if now < flow.queued.saturating_add(timeout) {
                    break;
                }
                // Its place is renewed now and then only: this one has a little time left, and those behind have more.
                if now < flow.last.saturating_add(timeout) && !flow.closed {
                    break;
                }
                let end = if flow.reset { End::Reset } else { end };
                self.end(now, slot, end, sink);
            }
        }
    }

    /// Ends a connection and forgets it.
    fn end(&mut self, now: u64, slot: u32, end: End, sink: &mut impl Sink<T>) {
        let Some(mut flow) = self.slots[slot as usize].take() else { return };
        if !flow.closed {
            flow.close(now, end, &mut self.shared, sink);
        }
        let hash = flow.identity.key.hash(self.secret);
        if let Ok(entry) = self.table.find_entry(hash, |at| *at == slot) {
            entry.remove();
        }
        self.stages.remove(slot);
        self.holes.remove(slot);
        self.free.push(slot);
    }

    /// Ends up to `most` connections, because whoever follows stops; false when there are none left.
    pub fn shut_down(&mut self, now: u64, most: usize, sink: &mut impl Sink<T>) -> bool {
        for _ in 0..most {
            let all = [Stage::Open, Stage::HalfOpen, Stage::Closing];
            let Some(slot) = all.into_iter().find_map(|stage| self.stages.first(stage as usize)) else {
                return false;
            };
            self.end(now, slot, End::Shutdown, sink);
        }
        !self.is_empty()
    }

    /// Shows `each` connection of up to `most` slots from slot `from` on; returns where to go on, `None` at the end.
    pub fn scan(&self, from: usize, most: usize, mut each: impl FnMut(FlowInfo<'_, T>)) -> Option<usize> {
        let to = from.saturating_add(most).min(self.slots.len());
        for flow in self.slots.get(from..to).unwrap_or_default().iter().flatten().filter(|flow| !flow.closed)
        {
            each(FlowInfo {
                identity: &flow.identity,
                kept: &flow.kept,
                states: flow.states(),
                bytes: [flow.streams[0].sent.bytes, flow.streams[1].sent.bytes],
                first: flow.first,
                last: flow.last,
            });
        }
        (to < self.slots.len()).then_some(to)
    }

    /// Connections, those remembered after their end included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Connections whose handshake is not complete.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.stages.len(Stage::HalfOpen as usize)
    }

    /// Connections that are over and only remembered, or about to be.
    #[must_use]
    pub fn closing(&self) -> usize {
        self.stages.len(Stage::Closing as usize)
    }

    /// Segments held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.pending.in_use()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

#[cfg(test)]
mod tests;
