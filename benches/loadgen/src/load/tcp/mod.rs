//! A load of TCP connections.
//!
//! Invariant: every operation begun ends as done or failed: whatever stays unanswered is sent again a few times and then
//! given up. An ACK that is owed goes out with the next segment, or after the delay real clients allow themselves.

mod turn;

use super::{Plan, Random, Script, Table};
use crate::conn::{Conn, State};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::wire::Segment;
use std::collections::VecDeque;

/// Timeouts in a row after which a connection is given up.
const TRIES: u8 = 3;
/// Bits a coarse tick is longer than a tick of the clock.
const COARSE: u32 = 16;

/// Times in coarse ticks.
#[derive(Debug, Clone, Copy)]
struct Times {
    resend: u32,
    delay: u32,
    pass: u32,
}

/// A load of TCP connections, see [`Plan`].
#[derive(Debug)]
pub(crate) struct Tcp<'t> {
    table: &'t mut Table,
    script: Script,
    tally: Tally,
    pace: Option<Pace>,
    times: Times,
    /// Kept connections that are open or in the handshake.
    begun: u32,
    /// Of those, the open ones.
    open: u32,
    /// Open connections without a request under way, the longest idle first; of bulk loads, all.
    idle: VecDeque<u32>,
    /// Connections that owe an ACK for this burst.
    dirty: Vec<u32>,
    cursor: u64,
    next_pass: u32,
}

#[allow(clippy::cast_possible_truncation, reason = "coarse ticks wrap, and are compared as such")]
fn coarse(now: u64) -> u32 {
    (now >> COARSE) as u32
}

impl<'t> Tcp<'t> {
    /// A load that does nothing yet but open the connections it keeps; `hz` is the rate of the clock.
    pub(crate) fn new(table: &'t mut Table, script: Script, hz: u64) -> Self {
        let times = Times { resend: coarse(hz / 5), delay: coarse(hz / 25), pass: coarse(hz / 200) };
        let kept = script.plan.connections() as usize;
        Self {
            table,
            script,
            tally: Tally::new(),
            pace: None,
            times,
            begun: 0,
            open: 0,
            idle: VecDeque::with_capacity(kept),
            dirty: Vec::with_capacity(kept),
            cursor: 0,
            next_pass: 0,
        }
    }

    /// Opens a connection; false when the table is full.
    #[inline]
    fn connect(&mut self, out: &mut Outbox, intended: u64, now: u64) -> bool {
        let Some((slot, conn)) = self.table.claim(intended) else {
            return false;
        };
        conn.touched = coarse(now);
        out.segment(&self.script.syn, slot, conn.una, 0);
        true
    }

    /// Sends what the script has to say next.
    #[inline]
    fn say(&mut self, out: &mut Outbox, slot: u32, now: u64) {
        let conn = &mut self.table.conns[slot as usize];
        out.segment(&self.script.data, slot, conn.nxt, conn.rcv);
        conn.nxt = conn.nxt.wrapping_add(self.script.data.payload());
        conn.touched = coarse(now);
        conn.owes_ack = false;
    }

    /// Begins a request on a kept connection.
    #[inline]
    fn request(&mut self, out: &mut Outbox, slot: u32, intended: u64, now: u64) {
        self.tally.counts.begun += 1;
        self.table.conns[slot as usize].intended = intended;
        self.say(out, slot, now);
    }

    /// Puts `most` random idle connections in front, to be the next that speak.
    pub(crate) fn draw(&mut self, most: usize) {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let idle = self.idle.make_contiguous();
        for n in 0..most.min(idle.len()) {
            #[allow(clippy::cast_possible_truncation, reason = "an index")]
            let other = n + (random.next() >> 16) as usize % (idle.len() - n);
            idle.swap(n, other);
        }
    }

    fn acknowledge(&mut self, out: &mut Outbox, slot: u32) {
        let conn = &mut self.table.conns[slot as usize];
        conn.owes_ack = false;
        out.segment(&self.script.ack, slot, conn.nxt, conn.rcv);
    }

    /// Gives a connection up.
    #[cold]
    fn fail(&mut self, out: &mut Outbox, slot: u32, tell: bool) {
        let conn = self.table.conns[slot as usize];
        if tell {
            out.segment(&self.script.rst, slot, conn.nxt, conn.rcv);
        }
        self.tally.counts.failed += 1;
        self.table.free(slot);
        if self.script.plan.connections() > 0 {
            self.begun -= 1;
            self.open -= u32::from(conn.state != State::SynSent);
            self.idle.retain(|other| *other != slot);
        }
    }

    #[inline]
    fn connected(&mut self, out: &mut Outbox, slot: u32, now: u64) {
        if let Plan::OneShot { .. } = self.script.plan {
            self.say(out, slot, now);
            return;
        }
        let conn = &mut self.table.conns[slot as usize];
        conn.touched = coarse(now);
        conn.owes_ack = true;
        self.open += 1;
        if let Plan::Crowd { .. } = self.script.plan {
            self.request(out, slot, now, now);
            return;
        }
        self.idle.push_back(slot);
        if self.script.plan.is_bulk() {
            self.dirty.push(slot);
        }
    }

    #[inline]
    fn progress(&mut self, out: &mut Outbox, segment: &Segment<'_>, acked: u32, finished: bool, now: u64) {
        let slot = segment.slot;
        let conn = &mut self.table.conns[slot as usize];
        conn.touched = coarse(now);
        let payload = segment.payload;
        if !payload.is_empty() {
            if !self.script.expects(conn.got, payload) {
                self.tally.counts.wrong += 1;
                self.fail(out, slot, true);
                return;
            }
            #[allow(clippy::cast_possible_truncation, reason = "shorter than a frame")]
            let length = payload.len() as u16;
            conn.got += length;
            self.tally.counts.bytes += u64::from(length);
        }
        let whole = usize::from(conn.got) == self.script.answer.len();
        match self.script.plan {
            Plan::OneShot { .. } if finished && whole => {
                out.segment(&self.script.fin, slot, conn.nxt, conn.rcv);
                conn.nxt = conn.nxt.wrapping_add(1);
                conn.state = State::Closing;
                conn.owes_ack = false;
            }
            // Nobody else is to close.
            _ if finished => self.fail(out, slot, true),
            Plan::KeepAlive { .. } | Plan::Crowd { .. } if whole && conn.intended != 0 => {
                self.tally.done(conn.intended, now);
                (conn.intended, conn.got) = (0, 0);
                self.idle.push_back(slot);
                if let Plan::Crowd { .. } = self.script.plan {
                    self.dirty.push(slot);
                }
            }
            Plan::Download { .. } => {
                if conn.got >= self.script.period {
                    conn.got -= self.script.period;
                }
                if self.dirty.last() != Some(&slot) && !payload.is_empty() {
                    self.dirty.push(slot);
                }
            }
            Plan::Upload { .. } => self.tally.counts.bytes += u64::from(acked),
            _ => {}
        }
    }

    /// Sends again what was not acknowledged in time.
    #[cold]
    fn resend(&mut self, out: &mut Outbox, slot: u32, now: u64) {
        let conn = &mut self.table.conns[slot as usize];
        conn.tries += 1;
        if conn.tries > TRIES {
            self.fail(out, slot, true);
            return;
        }
        self.tally.counts.resent += 1;
        conn.touched = coarse(now);
        let Conn { una, rcv, state, .. } = *conn;
        match (state, self.script.plan) {
            (State::SynSent, _) => out.segment(&self.script.syn, slot, una, 0),
            (State::Closing, _) => out.segment(&self.script.fin, slot, una, rcv),
            // From there on again, as the window allows.
            (_, Plan::Upload { .. }) => conn.nxt = una,
            _ => out.segment(&self.script.data, slot, una, rcv),
        }
    }
}
