//! The turn: timers that have come due, then everything that is ready to leave.

use super::{L3l4, NEVER};
use crate::callbacks::{Callbacks, CloseReason};
use crate::flow::{note, seq_lt};
use crate::pace::Seen;
use crate::record::{self, Kind};
use crate::time::Instant;
use core::time::Duration;
use smoltcp::socket::tcp::State;

/// Wheel entries looked at in one turn.
const TIMERS_PER_TURN: usize = 128;

impl<B> L3l4<B> {
    /// One turn: fires timers that are due (a bounded number) and sends what is ready. To be called after each
    /// burst of packets, after writing data, and at the time it returns: `None` means that nothing is waited
    /// for; a time that has passed means that there is more to do at once.
    pub fn l4_poll<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant) -> Option<Instant> {
        self.turn(cb, now);
        if !self.dirty.is_empty() || !self.dirty_direct.is_empty() {
            return Some(now);
        }
        let waiting = self.time_wait.front().map(|&(_, at)| at);
        match (self.wheel.next(), waiting) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// [`L3l4::l4_poll`] for a caller that polls all the time and need not know when to come back.
    #[inline(always)]
    pub fn turn<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant) {
        self.clock = now;
        if self.wheel.is_due(now) || !self.time_wait.is_empty() {
            self.run_timers(cb, now);
        }
        if !self.joined.is_empty() {
            self.join_all();
        }
        if !self.dirty_direct.is_empty() {
            self.flush_direct(cb, now);
        }
        if !self.dirty.is_empty() {
            self.flush(cb, now);
        }
    }

    #[inline(never)]
    fn run_timers<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant) {
        let mut due = core::mem::take(&mut self.due);
        self.wheel.advance(now, TIMERS_PER_TURN, |_, index| due.push(index));
        for index in due.drain(..) {
            self.fire(cb, now, index);
        }
        self.due = due;
        self.expire_time_wait(now);
    }

    /// A flow's time has come, or it was only due to be looked at.
    fn fire<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) {
        let record = &self.records[index as usize];
        match record.kind {
            Kind::Udp if record.has(record::note::ABORT) => self.close(cb, index, CloseReason::Aborted),
            Kind::Udp => self.expire(cb, now, index, self.timeouts.udp_idle),
            Kind::Direct => self.fire_direct(cb, now, index),
            Kind::Tcp => {
                let stack = record.stack;
                let waits = self.be_patient(cb, now, stack);
                if !self.flows[stack as usize].has(note::GIVEN_UP) {
                    self.fire_tcp(cb, now, stack, waits);
                }
            }
            Kind::Free | Kind::TimeWait => {}
        }
    }

    /// Ends a flow if it has been idle for so long, or looks again when it will have been.
    fn expire<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32, idle: Duration) {
        let record = &self.records[index as usize];
        let end = record.last_rx + idle;
        if now < end {
            self.wheel.set(index, end);
            return;
        }
        self.close(cb, index, CloseReason::Idle);
    }

    /// `waits` is when its application wants to be asked.
    fn fire_tcp<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, stack: u32, waits: Instant) {
        let timeouts = self.timeouts;
        let Self { flows, records, .. } = self;
        let flow = &flows[stack as usize];
        let (end, reason) = if flow.is_half_open() {
            (records[flow.id.index()].opened + timeouts.half_open, CloseReason::HalfOpen)
        } else if flow.has(note::BUSY) {
            let quiet = flow.last_rx.max(flow.busy_since);
            (quiet + timeouts.user.min(timeouts.idle), CloseReason::UserTimeout)
        } else if flow.state == State::FinWait2 as u8 {
            (flow.last_rx + timeouts.fin_wait.min(timeouts.idle), CloseReason::Idle)
        } else {
            (flow.last_rx + timeouts.idle, CloseReason::Idle)
        };
        if now >= end {
            if reason == CloseReason::HalfOpen {
                self.close_stack(cb, stack, reason);
            } else {
                self.give_up(stack, reason);
            }
            return;
        }
        if flow.has(note::DONE) {
            return self.arm(stack, end.min(waits));
        }
        let Some(judged) = self.judge_reader(now, stack) else {
            self.give_up(stack, CloseReason::SlowReader);
            return;
        };
        let end = end.min(judged).min(waits);
        if let Some(at) = self.expire_sender(now, stack) {
            self.arm(stack, at.min(end));
            return;
        }
        let Self { flows, slots, links, .. } = self;
        let flow = &flows[stack as usize];
        let interface = &mut links[flow.path as usize].interface;
        let at = slots.with(stack, |set| interface.poll_at(now.smoltcp(), set));
        let next = match at.map(|at| Instant::from_micros(at.total_micros().max(0) as u64)) {
            Some(at) if at <= now => {
                if flow.is_half_open() && flow.syn_acks >= self.synack_retries {
                    self.close_stack(cb, stack, CloseReason::HalfOpen);
                    return;
                }
                // Its retransmission timer ran out, or it has something to say that was held back.
                self.mark(stack);
                now + Duration::from_secs(1)
            }
            Some(at) => at,
            None if flow.is_busy() => {
                // smoltcp drops its retransmission timer where it runs out against a closed window (one that
                // shrank, or a late segment that says so), and would wait for ever. One keepalive asks the peer
                // how things stand; from its answer smoltcp goes on by itself.
                slots.socket(stack, |socket| {
                    socket.set_keep_alive(Some(smoltcp::time::Duration::from_secs(1)));
                    socket.set_keep_alive(None);
                });
                self.mark(stack);
                now + Duration::from_secs(1)
            }
            None => match timeouts.sleep.map(|after| flow.last_rx + after) {
                Some(at) if at > now => at,
                Some(_) if self.lull(now, stack) => return,
                // It cannot sleep as it is; perhaps later.
                Some(_) => now + timeouts.sleep.unwrap_or(timeouts.idle),
                None => end,
            },
        };
        self.arm(stack, next.min(end));
    }

    /// Looks at whether the peer takes what waits for it: when to look again, or `None` where it is too slow.
    fn judge_reader(&mut self, now: Instant, stack: u32) -> Option<Instant> {
        let flow = &mut self.flows[stack as usize];
        let Some(pace) = self.timeouts.pace else { return Some(NEVER) };
        if !flow.has(note::BUSY) || flow.is_half_open() {
            flow.target = 0;
            return Some(NEVER);
        }
        let waiting = flow.goal().wrapping_sub(flow.snd_una);
        let closed = !seq_lt(flow.snd_una, flow.snd_edge);
        let seen = Seen { last_rx: flow.last_rx, una: flow.snd_una, waiting, closed };
        pace.judge(now, seen, &mut flow.busy_since, &mut flow.target)
    }

    /// Files a live connection to be looked at.
    pub(super) fn arm(&mut self, stack: u32, at: Instant) {
        let flow = &mut self.flows[stack as usize];
        flow.due = at;
        self.wheel.set(flow.id.index, at);
    }

    /// Forgets finished connections whose time is over.
    fn expire_time_wait(&mut self, now: Instant) {
        for _ in 0..TIMERS_PER_TURN {
            match self.time_wait.front() {
                Some(&(_, at)) if at <= now => {}
                _ => return,
            }
            let Some((id, _)) = self.time_wait.pop_front() else { return };
            let record = &self.records[id.index()];
            if record.generation != id.generation || record.kind != Kind::TimeWait {
                continue;
            }
            let end = record.last_rx + self.timeouts.time_wait;
            if now < end {
                // The peer sent its FIN again, so the wait began anew.
                self.time_wait.push_back((id, end));
            } else {
                self.unmake(id.index);
            }
        }
    }

    /// Makes room by forgetting the finished connection that has waited longest; false where there is none.
    pub(super) fn evict_time_wait(&mut self) -> bool {
        while let Some((id, _)) = self.time_wait.pop_front() {
            let record = &self.records[id.index()];
            if record.generation == id.generation && record.kind == Kind::TimeWait {
                self.unmake(id.index);
                self.counters.closed[CloseReason::Evicted as usize] += 1;
                return true;
            }
        }
        false
    }
}
