//! A TCP load's share of a turn: packets in, operations begun, timers.
//!
//! Invariant: what a packet causes is decided by the connection (`conn`) and the plan; here it is only carried out.

use super::{Tcp, coarse};
use crate::conn::{State, Step};
use crate::load::{Load, Plan};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::wire::{MSS, Packet, flag, parse};

/// Connections that may be in the handshake while a load opens those it keeps.
const OPENING: u32 = 128;
/// Requests of a crowd that may be under way: far less than the stacks of any appliance.
const ABREAST: u64 = 256;
/// Full segments a connection sends before the next one's turn.
const UPLOAD_BURST: u32 = 8;
/// Connections whose timers are looked at in one turn.
const SWEPT: u64 = 16;

impl Load for Tcp<'_> {
    #[inline]
    fn packet(&mut self, out: &mut Outbox, frame: &[u8], now: u64) {
        self.tally.counts.received += 1;
        // Content of bulk is compared byte for byte; summing it up as well would make the generator the bottleneck.
        let Some(Packet::Tcp(segment)) = parse(frame, !self.script.plan.is_bulk()) else {
            self.tally.counts.stray += 1;
            return;
        };
        let slot = segment.slot;
        match self.table.conns[slot as usize].receive(&segment) {
            Step::Ignore => {}
            Step::Connected => self.connected(out, slot, now),
            Step::Progress { acked, finished } => self.progress(out, &segment, acked, finished, now),
            Step::Repeat => self.acknowledge(out, slot),
            Step::Refused => self.fail(out, slot, false),
            Step::Closed => {
                self.tally.done(self.table.conns[slot as usize].intended, now);
                self.table.free(slot);
            }
            Step::Stale => {
                self.tally.counts.stray += u64::from(!segment.has(flag::FIN));
                out.segment(&self.script.rst, slot, segment.ack, segment.seq);
            }
        }
    }

    #[inline]
    fn launch(&mut self, out: &mut Outbox, now: u64) {
        while let Some(slot) = self.dirty.pop() {
            if self.table.conns[slot as usize].owes_ack {
                self.acknowledge(out, slot);
            }
        }
        if self.begun < self.script.plan.connections() {
            self.keep(out, now);
        }
        let Some(pace) = &mut self.pace else { return };
        match self.script.plan {
            Plan::Upload { .. } => self.upload(out, now),
            Plan::Download { .. } => {}
            Plan::KeepAlive { .. } | Plan::Crowd { .. } => {
                let most = if let Plan::Crowd { .. } = self.script.plan { ABREAST } else { u64::MAX };
                while out.room() > 0 && !self.idle.is_empty() && self.outstanding() < most {
                    let Some(intended) = self.pace.as_mut().and_then(|pace| pace.take(now)) else { return };
                    let Some(slot) = self.idle.pop_front() else { return };
                    self.request(out, slot, intended, now);
                }
            }
            Plan::OneShot { most } => {
                let mut pace = *pace;
                while out.room() > 0 && self.table.live() < most {
                    let Some(intended) = pace.take(now) else { break };
                    if !self.connect(out, intended, now) {
                        break;
                    }
                    self.tally.counts.begun += 1;
                }
                self.pace = Some(pace);
            }
        }
    }

    #[inline]
    fn sweep(&mut self, out: &mut Outbox, now: u64) {
        let now_coarse = coarse(now);
        let (tail, head) = self.table.used(32);
        self.cursor = self.cursor.max(tail);
        if self.cursor >= head {
            if now_coarse.wrapping_sub(self.next_pass).cast_signed() >= 0 {
                self.cursor = tail;
                self.next_pass = now_coarse.wrapping_add(self.times.pass);
            }
            return;
        }
        let to = head.min(self.cursor + SWEPT);
        for place in self.cursor..to {
            let slot = self.table.at(place);
            let conn = self.table.conns[slot as usize];
            let quiet = now_coarse.wrapping_sub(conn.touched);
            if conn.state == State::Free || quiet < self.times.delay {
                continue;
            }
            if conn.in_flight() > 0 && quiet >= self.times.resend {
                self.resend(out, slot, now);
            } else if conn.intended != 0 && quiet >= self.times.resend * 5 {
                // Everything is acknowledged, and yet no answer comes.
                self.fail(out, slot, true);
            } else if conn.owes_ack {
                self.acknowledge(out, slot);
            }
        }
        self.cursor = to;
    }

    fn set_pace(&mut self, pace: Option<Pace>) {
        self.pace = pace;
    }

    fn ready(&self) -> bool {
        self.open >= self.script.plan.connections()
    }

    fn outstanding(&self) -> u64 {
        let counts = &self.tally.counts;
        counts.begun.saturating_sub(counts.done + counts.failed)
    }

    fn end(&mut self, out: &mut Outbox) -> bool {
        self.pace = None;
        let (from, to) = self.table.used(u32::MAX);
        for place in from..to {
            if out.room() == 0 {
                return false;
            }
            let slot = self.table.at(place);
            let conn = self.table.conns[slot as usize];
            if conn.state != State::Free {
                out.segment(&self.script.rst, slot, conn.nxt, conn.rcv);
                self.table.free(slot);
            }
        }
        self.table.used(u32::MAX);
        true
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl Tcp<'_> {
    /// Opens what is missing of the connections to keep.
    fn keep(&mut self, out: &mut Outbox, now: u64) {
        while self.begun < self.script.plan.connections()
            && self.begun - self.open < OPENING
            && self.outstanding() < ABREAST
            && out.room() > 0
            && self.connect(out, 0, now)
        {
            self.begun += 1;
        }
    }

    /// Sends what windows allow, each connection in its turn.
    fn upload(&mut self, out: &mut Outbox, now: u64) {
        for _ in 0..self.idle.len() {
            let Some(slot) = self.idle.pop_front() else { return };
            self.idle.push_back(slot);
            for _ in 0..UPLOAD_BURST {
                let conn = &self.table.conns[slot as usize];
                if conn.in_flight() + u32::from(MSS) > conn.window() {
                    break;
                }
                if out.room() == 0 {
                    return;
                }
                self.say(out, slot, now);
            }
        }
    }
}
