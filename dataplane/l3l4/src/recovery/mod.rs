//! Loss recovery and congestion control of the sending side, around a stack that has neither.
//!
//! The stack is made without congestion control and is told, by the window field of each acknowledgment it gets
//! to see, how much may be in flight: that is how the congestion window is kept. What is in flight is noted in a
//! [`Scoreboard`] beside it, by which acknowledgments, SACK blocks and timers say what is lost. To send that
//! again the stack is polled once with a clock far ahead: its retransmission timer runs out, it falls back to the
//! oldest byte and offers everything anew; of what it offers only what is lost leaves (see `crate::device`).
//!
//! Invariant: the window told to the stack is never less than what is in flight (or its zero-window timer would
//! take the place of its retransmission timer), never more than the peer's beyond that, and zero only with
//! nothing in flight. The clock ahead only ever grows over a connection's life. Where something is in flight a
//! deadline is set.

mod congestion;
mod cubic;
mod expire;
mod hear;
mod hystart;
mod pool;
mod rack;
mod rtt;
pub(crate) mod sack;
mod scoreboard;
mod speak;

pub use congestion::CongestionControl;
pub(crate) use hear::Ack;

use crate::time::Instant;
use congestion::Window;
use hystart::HyStart;
use pool::Pool;
use rack::Rack;
use rtt::Rtt;
use scoreboard::Scoreboard;

/// How far ahead the clock is set, in microseconds: more than the longest timeout the stack knows.
const AHEAD: u64 = 61_000_000;

const NEVER: Instant = Instant::from_micros(u64::MAX);

/// `micros` after `at`.
#[inline]
const fn after(at: Instant, micros: u64) -> Instant {
    Instant::from_micros(at.micros() + micros)
}

/// What all connections of an engine share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) kind: CongestionControl,
    /// Initial window in segments.
    pub(crate) initial: u32,
    /// The window scale under which stacks are told their windows: the least that covers the transmit ring.
    pub(crate) shift: u8,
    pub(crate) pool: Pool,
    /// The time of the turn, which is not always what a stack is told.
    pub(crate) now: Instant,
}

impl Shared {
    /// For connections with transmit rings of `ring` bytes, at most `boards` with more than a few ranges in flight.
    pub(crate) fn new(kind: CongestionControl, initial: u32, ring: usize, boards: usize) -> Self {
        let ranges = (ring / 1460).next_power_of_two().clamp(32, 1024);
        let boards = if kind.recovers() { boards } else { 0 };
        Self {
            kind,
            initial,
            shift: window_shift(ring),
            pool: Pool::new(boards, ranges),
            now: Instant::default(),
        }
    }
}

impl Shared {
    /// Whether connections are to have a sender.
    pub(crate) fn is_on(&self) -> bool {
        self.kind.recovers()
    }
}

/// The least shift under which a window field covers `ring` bytes (RFC 7323 section 2).
pub(crate) fn window_shift(ring: usize) -> u8 {
    (usize::BITS - ring.leading_zeros()).saturating_sub(16) as u8
}

/// What the sender is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    #[default]
    Open,
    /// Repairing a loss that acknowledgments showed (RFC 6675, RFC 6937).
    Recovery,
    /// Repairing after the retransmission timer ran out.
    Loss,
}

/// What the deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Timer {
    #[default]
    Timeout,
    /// Probe for the loss of the tail.
    Probe,
    /// What may only be late will be lost then.
    Reorder,
}

/// Why something is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    /// It was no loss: it was too big for the path, or found the window shrunk.
    Refit,
    Fast,
    Probe,
    Timeout,
}

/// The sending side of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender {
    board: Scoreboard,
    window: Window,
    rack: Rack,
    rtt: Rtt,
    hystart: Option<HyStart>,
    /// When the next timer runs out; `NEVER` with nothing in flight.
    deadline: Instant,
    /// Last sign of progress: the retransmission timeout counts from here.
    base: Instant,
    /// The clock last shown to the stack to make it fall back.
    ahead: Instant,
    /// Right edge of the window the stack was told last.
    told: u32,
    /// Up to here new data may be sent.
    limit: u32,
    /// Recovery ends when this is acknowledged.
    recover: u32,
    /// What a tail-loss probe sent again, up to here, waits to be acknowledged.
    probe_end: u32,
    /// Bytes that duplicate ACKs of a peer without SACK stand for.
    phantom: u32,
    /// Segment size; 0 where the stack is left alone.
    mss: u16,
    dup_acks: u8,
    phase: Phase,
    timer: Timer,
    sack: bool,
    /// A probe was sent since the last progress.
    probed: bool,
    /// A retransmitted probe is not accounted for yet.
    probing: bool,
    /// One segment may be sent again whatever the window says.
    force: bool,
    /// What is sent again next is the oldest.
    rewind: bool,
    /// The window scale under which the stack is told its window.
    shift: u8,
}

impl Sender {
    /// A connection begins; `mss` is the segment size the stack will use. The record is new.
    pub(crate) fn prepare(&mut self, shared: &Shared, mss: usize, scaled: bool, sack: bool) {
        self.rest();
        self.mss = mss as u16;
        self.shift = if scaled { shared.shift } else { 0 };
        self.sack = sack;
    }

    /// Nothing is in flight that it knows of.
    #[inline]
    pub(crate) fn rest(&mut self) {
        self.deadline = NEVER;
    }

    /// Whether losses are repaired here and not by the stack.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.mss != 0
    }

    #[inline]
    pub(crate) fn mss(&self) -> u32 {
        u32::from(self.mss)
    }

    /// When it is to be looked at; `None` where nothing is in flight that it knows of.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.deadline != NEVER).then_some(self.deadline)
    }

    /// Whether it is to be looked at before `due`.
    #[inline]
    pub(crate) fn is_due_before(&self, due: Instant) -> bool {
        self.deadline < due
    }

    /// Something in flight is lost and has not been sent again.
    #[inline]
    pub(crate) fn has_lost(&self) -> bool {
        self.board.lost > 0
    }

    /// Bytes believed to be underway.
    #[inline]
    fn pipe(&self) -> u32 {
        self.board.pipe().saturating_sub(self.phantom)
    }

    /// Up to where the stack may send now.
    #[inline]
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// The connection is over.
    pub(crate) fn release(&mut self, shared: &mut Shared) {
        if self.is_on() {
            self.board.clear(&mut shared.pool, 0);
            self.mss = 0;
            self.deadline = NEVER;
        }
    }

    /// Sets the deadline from what is in flight.
    #[inline]
    fn arm(&mut self, now: Instant) {
        if self.board.is_empty() {
            self.deadline = NEVER;
            return;
        }
        if self.base == now && self.phase == Phase::Open && !self.probed && self.board.sacked == 0 {
            // Nearly always: no timeout is so short that a probe would not come before it.
            let lone = self.board.flight() <= self.mss();
            if self.rtt.probes_first() {
                (self.timer, self.deadline) = (Timer::Probe, after(now, self.rtt.probe(lone)));
                return;
            }
        }
        self.arm_late(now);
    }

    #[inline(never)]
    fn arm_late(&mut self, now: Instant) {
        let timeout = after(self.base, self.rtt.timeout());
        (self.timer, self.deadline) = (Timer::Timeout, timeout);
        if self.phase == Phase::Open && !self.probed && self.board.sacked == 0 {
            let probe = after(now, self.rtt.probe(self.board.flight() <= self.mss()));
            if probe < timeout {
                (self.timer, self.deadline) = (Timer::Probe, probe);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every live connection has one; a change that makes it grow should be meant.
    #[test]
    fn size() {
        assert!(size_of::<Sender>() <= 256, "{}", size_of::<Sender>());
    }
}
