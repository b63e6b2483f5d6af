//! What the sender does when a timer runs out: the wait for what may only be late, the tail-loss probe, the
//! retransmission timeout.
//!
//! Invariant: afterwards the deadline lies ahead, and something is marked lost unless the wait was for nothing.

use super::scoreboard::News;
use super::{NEVER, Phase, Sender, Shared, Timer, after};
use crate::counters::Counters;
use crate::time::Instant;

impl Sender {
    /// A timer of this connection may have run out.
    pub(crate) fn expire(&mut self, shared: &mut Shared, counters: &mut Counters, now: Instant) {
        if now < self.deadline || self.board.is_empty() {
            return;
        }
        if now >= after(self.base, self.rtt.timeout()) {
            self.time_out(shared, counters, now);
        } else if self.timer == Timer::Reorder {
            let (lost, _) = self.detect(shared, now.micros() as u32);
            if lost > 0 && self.phase == Phase::Open {
                self.enter_recovery(shared, &News::default(), lost);
            }
        } else if self.timer == Timer::Probe {
            self.probe(shared);
        }
        self.arm_with_reorder(shared, now);
    }

    pub(super) fn arm_with_reorder(&mut self, shared: &mut Shared, now: Instant) {
        self.arm(now);
        if !self.sack || self.deadline == NEVER || self.board.sacked == 0 && self.phase == Phase::Open {
            return;
        }
        let (mut lost, wait) = self.detect(shared, now.micros() as u32);
        if lost > 0 && self.phase == Phase::Open {
            self.enter_recovery(shared, &News::default(), lost);
            lost = 0;
        }
        debug_assert!(lost == 0 || self.phase != Phase::Open);
        if let Some(wait) = wait {
            let at = after(now, u64::from(wait.max(1)));
            if at < self.deadline {
                (self.timer, self.deadline) = (Timer::Reorder, at);
            }
        }
    }

    /// The last segment is sent again, to make the peer say what it has.
    fn probe(&mut self, shared: &mut Shared) {
        self.probed = true;
        self.probing = true;
        self.probe_end = self.board.end;
        let len = self.board.flight().min(self.mss());
        self.lose(shared, (self.board.end.wrapping_sub(len), self.board.end));
        self.force = true;
    }

    /// RFC 6298 section 5.5 and RFC 5681 section 3.1.
    fn time_out(&mut self, shared: &mut Shared, counters: &mut Counters, now: Instant) {
        counters.tcp_timeouts += 1;
        let first = self.rtt.backoff == 0;
        let (flight, mss) = (self.board.flight(), self.mss());
        self.window.time_out(shared.kind, flight, self.board.end, mss, first);
        self.limit = self.board.end;
        self.board.lose_all(&mut shared.pool);
        self.rtt.back_off();
        (self.phase, self.recover, self.base) = (Phase::Loss, self.board.end, now);
        (self.hystart, self.phantom, self.dup_acks, self.probing) = (None, 0, 0, false);
        (self.force, self.rewind) = (true, true);
    }
}
