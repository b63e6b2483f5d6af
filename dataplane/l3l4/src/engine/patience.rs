//! How long applications wait for their peers: what they said is kept, and they are asked when the time is over.
//!
//! Invariant: a connection with a deadline is filed for it or for something earlier, on a stack, direct or asleep. How
//! long one may be silent of which nothing is kept is asked when its timer fires, which it does soon after it has fallen
//! quiet.

use super::{L3l4, NEVER};
use crate::callbacks::{Callbacks, CloseReason};
use crate::flow::note;
use crate::key::FlowId;
use crate::record::{self, Kind, NONE};
use crate::time::Instant;
use core::time::Duration;
use smoltcp::socket::tcp::State;

/// How soon an application is asked that could not be for want of a slot.
const AGAIN: Duration = Duration::from_millis(100);
/// How soon one is asked again about a silence that it did not mind.
const ASKED: Duration = Duration::from_secs(60);

impl<B> L3l4<B> {
    /// Keeps what the application of a connection on a stack said of its waiting, if it said anything.
    #[cold]
    pub(super) fn heed(&mut self, stack: u32, now: Instant) {
        let flow = &mut self.flows[stack as usize];
        if !flow.has(note::SPOKEN) {
            return;
        }
        flow.notes &= !note::SPOKEN;
        if let Some(at) = self.waits.take(flow.id, flow.word, now)
            && at < flow.due
        {
            self.arm(stack, at);
        }
    }

    /// The same for a direct connection, whose application has `spoken`; it has just been called, and its slot may have been released since. True where
    /// it is to be aborted. `now` is the time, where that is not the last packet's.
    #[cold]
    #[inline(never)]
    pub(super) fn heed_direct(&mut self, index: u32, spoken: bool, now: Option<Instant>) -> bool {
        let record = &self.records[index as usize];
        let slot = if record.stack == NONE { self.held.last_released() } else { Some(record.stack) };
        if let Some(slot) = slot.filter(|_| spoken) {
            let now = now.unwrap_or(record.last_rx);
            let word = self.held.under(slot).word;
            if let Some(at) = self.waits.take(record.id(index), word, now) {
                self.wheel.set_by(index, now, at.since(now));
            }
        }
        let abort = self.records[index as usize].has(record::note::ABORT);
        if abort {
            self.mark_direct(index);
        }
        abort
    }

    /// Asks the application of a connection on a stack if it has waited long enough; returns when it is to be asked
    /// next.
    pub(super) fn be_patient<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        stack: u32,
    ) -> Instant {
        let flow = &self.flows[stack as usize];
        if flow.is_half_open() || flow.has(note::GIVEN_UP) {
            return NEVER;
        }
        let quiet = flow.state == State::Established as u8 && !flow.is_busy();
        let silence = quiet.then_some((flow.user, flow.bytes_in, flow.last_rx));
        let id = flow.id;
        let at = self.patience(cb, id, silence);
        if now < at {
            return at;
        }
        self.call_at_deadline(now, id, silence, |this| {
            this.call_on_stack(cb, now, stack, C::l4_deadline);
        });
        let flow = &mut self.flows[stack as usize];
        if flow.has(note::GIVEN_UP) {
            flow.ending = Some(CloseReason::SlowSender);
        }
        self.waits.deadline(id).unwrap_or(NEVER)
    }

    /// The same for a direct connection; `None` where it is none any more.
    pub(super) fn be_patient_direct<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
    ) -> Option<Instant> {
        let record = &self.records[index as usize];
        if record.has(record::note::ABORT) {
            return Some(NEVER);
        }
        let quiet = record.stack == NONE && record.notes & record::note::STATE == 0;
        let silence = quiet.then_some((record.user, record.bytes_in, record.last_rx));
        let id = record.id(index);
        let at = self.patience(cb, id, silence);
        if now < at {
            return Some(at);
        }
        if self.records[index as usize].stack == NONE && !self.held.has_room() {
            return Some(now + AGAIN);
        }
        self.call_at_deadline(now, id, silence, |this| {
            // There is a slot, so nothing can be refused.
            let _ = this.ask_direct(cb, now, index);
        });
        let record = &self.records[index as usize];
        if record.generation != id.generation || record.kind != Kind::Direct {
            return None;
        }
        if record.has(record::note::ABORT) {
            self.end(cb, index, CloseReason::SlowSender);
            return None;
        }
        Some(self.waits.deadline(id).unwrap_or(NEVER))
    }

    /// When an application is to be asked. `silence` is of a connection with nothing under way: the caller's word, bytes
    /// received, and since when.
    fn patience<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, id: FlowId, silence: Silence) -> Instant {
        if let Some(at) = self.waits.deadline(id) {
            return at;
        }
        let Some((user, bytes, since)) = silence else { return NEVER };
        let Some(patience) = cb.l4_idle(id, user) else { return NEVER };
        self.waits.silence(id, bytes, since, patience)
    }

    /// Asks an application whose deadline is over, but not again for the same one.
    fn call_at_deadline(&mut self, now: Instant, id: FlowId, silence: Silence, ask: impl FnOnce(&mut Self)) {
        match silence.filter(|_| self.waits.deadline(id).is_none()) {
            Some((_, bytes, _)) => _ = self.waits.renew(id, bytes, now + ASKED),
            None => self.waits.clear(id),
        }
        ask(self);
    }
}

/// See [`L3l4::patience`].
type Silence = Option<(u64, u64, Instant)>;
