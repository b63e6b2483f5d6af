//! A direct connection's time has come: to send again, to ask its application, or to end.
//!
//! Invariant: with something under way it is looked at when that is to be sent again, otherwise when it will have
//! been idle for too long; in any case when what its application waits for should have come.

use super::super::{L3l4, NEVER};
use super::say::{LONGEST_RTO, timeout};
use crate::callbacks::{Callbacks, CloseReason};
use crate::pace::Seen;
use crate::record::{NONE, note, option};
use crate::time::Instant;
use core::time::Duration;

impl<B> L3l4<B> {
    pub(in super::super) fn fire_direct<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
    ) {
        let timeouts = self.timeouts;
        if self.records[index as usize].has(note::HALF_OPEN) {
            return self.fire_half_open(cb, now, index);
        }
        if self.records[index as usize].has(note::SYN_SENT) {
            return self.fire_connecting(cb, now, index);
        }
        let Some(waits) = self.be_patient_direct(cb, now, index) else { return };
        let record = &mut self.records[index as usize];
        if record.stack == NONE {
            let closed = record.has(note::FIN_OUT) && !record.has(note::FIN_IN);
            let idle = if closed { timeouts.fin_wait.min(timeouts.idle) } else { timeouts.idle };
            let end = record.last_rx + idle;
            return self.end_or_wait(cb, now, index, end, end.min(waits), CloseReason::Idle);
        }
        let under = self.held.under(record.stack);
        let mut judged = NEVER;
        if let Some(pace) = timeouts.pace.filter(|_| under.busy_since != Instant::default()) {
            let waiting = u32::from(under.len) + u32::from(record.has(note::FIN_OUT));
            let closed = record.peer_window == 0;
            let seen = Seen { last_rx: record.last_rx, una: record.snd_una, waiting, closed };
            let Some(at) = pace.judge(now, seen, &mut under.busy_since, &mut under.target) else {
                return self.end(cb, index, CloseReason::SlowReader);
            };
            judged = at;
        }
        // What has not left yet waits for nobody, however long the silence was before it.
        let since = if under.busy_since == Instant::default() { now } else { under.busy_since };
        let end = record.last_rx.max(since) + timeouts.user.min(timeouts.idle);
        let mut again = under.sent_at + timeout(record);
        if under.sent == 0 {
            // It waits for a buffer, not for an answer.
            again = now + timeout(record);
        } else if now >= again {
            under.sent = 0;
            under.sent_at = now;
            record.tries = record.tries.saturating_add(1);
            again = now + timeout(record);
            self.mark_direct(index);
        }
        let again = again.min(judged).min(waits);
        self.end_or_wait(cb, now, index, end, again, CloseReason::UserTimeout);
    }

    fn fire_half_open<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) {
        let record = &mut self.records[index as usize];
        let end = record.opened + self.timeouts.half_open;
        if record.options & option::HELD != 0 && now < end {
            return self.wheel.set(index, end);
        }
        // One second after the first, two after the second, up to 32 after the sixth; then each minute.
        let due = |tries: u8| {
            Duration::from_secs((2 << tries.min(5)) - 1) + LONGEST_RTO * u32::from(tries.saturating_sub(5))
        };
        let mut again = record.opened + due(record.tries);
        if now >= again {
            if record.tries >= self.synack_retries {
                return self.close(cb, index, CloseReason::HalfOpen);
            }
            record.tries += 1;
            again = record.opened + due(record.tries);
            self.counters.tcp_retransmits += 1;
            self.mark_direct(index);
        }
        if now >= end {
            return self.close(cb, index, CloseReason::HalfOpen);
        }
        self.wheel.set(index, again.min(end));
    }

    /// Ends a connection whose time is up with an RST, or has it looked at when there is something to do.
    fn end_or_wait<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
        end: Instant,
        next: Instant,
        reason: CloseReason,
    ) {
        if now < end {
            self.wheel.set(index, next.min(end));
            return;
        }
        self.end(cb, index, reason);
    }

    /// Ends a connection with an RST.
    pub(in super::super) fn end<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        index: u32,
        reason: CloseReason,
    ) {
        self.reset_record(cb, index);
        self.close(cb, index, reason);
    }
}
