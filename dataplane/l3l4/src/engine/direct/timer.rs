//! A direct connection's time has come: to send again, to ask its application, or to end.
//!
//! Invariant: with something under way it is looked at when that is to be sent again, otherwise when it will have
//! been idle for too long; in any case when what its application waits for should have come.

use super::super::{KeepAlive, L3l4, NEVER};
use super::say::{LONGEST_RTO, timeout};
use crate::callbacks::{Callbacks, CloseReason};
use crate::compose::Segment;
use crate::pace::Seen;
use crate::packet::flags;
use crate::record::{NONE, note, option};
use crate::time::Instant;
use core::time::Duration;

/// How soon a probe is tried again for which there was no buffer.
const BUFFER_AGAIN: Duration = Duration::from_millis(100);

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
            if let Some(keepalive) = timeouts.keepalive.filter(|_| !closed) {
                return self.keep_alive(cb, now, index, keepalive, end.min(waits));
            }
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

    /// Probes a silent connection, and ends it where no probe was answered: any segment counts as an answer, because it
    /// moves the time that is counted from. `end` is when it is looked at in any case.
    fn keep_alive<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
        keepalive: KeepAlive,
        end: Instant,
    ) {
        let record = &mut self.records[index as usize];
        if now >= record.last_rx + self.timeouts.idle {
            return self.end(cb, index, CloseReason::Idle);
        }
        let KeepAlive { after, interval, probes } = keepalive;
        if now < record.last_rx + after {
            record.tries = 0;
        }
        let mut next = record.last_rx + after + interval * u32::from(record.tries);
        if now >= next {
            if record.tries >= probes {
                return self.end(cb, index, CloseReason::KeepAlive);
            }
            let (key, id) = (record.key, record.id(index));
            // RFC 1122 section 4.2.3.6: without data, numbered before what the peer expects.
            let probe = Segment {
                seq: record.snd_nxt.wrapping_sub(1),
                ack: record.rcv_nxt,
                control: flags::ACK,
                window: record.window,
                ..Segment::default()
            };
            next = now + BUFFER_AGAIN;
            if self.emit(cb, &key, Some(id), &probe) {
                // One that could not leave is not missed, and those behind it keep their distance.
                self.records[index as usize].tries += 1;
                self.counters.keepalives_sent += 1;
                next = now + interval;
            }
        }
        if self.records[index as usize].tries > 0 {
            // An answer is only known by the time that it came, which has to be seen before the next silence is over.
            next = next.min(now + after / 2);
        }
        self.wheel.set(index, next.min(end));
    }

    fn fire_half_open<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) {
        let record = &mut self.records[index as usize];
        let end = record.opened + self.timeouts.half_open;
        if now >= end {
            return self.close(cb, index, CloseReason::HalfOpen);
        }
        if record.options & option::HELD != 0 {
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
