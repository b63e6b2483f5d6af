//! Both directions of a connection.
//!
//! Invariant: after `end` or `abort`, nothing more is told of a direction. After `release`, nothing is held.

use super::half::{Half, State};
use super::turn::Turn;
use super::waiting::Waiting;
use super::{Shared, Sink};
use crate::Direction;

/// Cuts the two streams of one connection into messages. Offsets are positions in a stream, times nanoseconds.
///
/// What it holds is on the account of [`Shared`]; [`Framer::release`] has to be called before it is dropped.
#[derive(Debug, Default)]
pub struct Framer {
    pub(super) halves: [Half; 2],
    pub(super) waiting: Waiting,
    /// The number of the next request.
    pub(super) next: u32,
    /// Responses in a row that came before their requests, if any: how many, and the first.
    pub(super) early: Early,
    /// Requests behind those in `waiting` that found no place there.
    pub(super) overflowed: u32,
}

/// A response that came before its request: a mirror may show the two directions in the wrong order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Early {
    pub(super) count: u8,
    /// Its number, which its request is to have.
    pub(super) exchange: u32,
    pub(super) time: u64,
}

impl Framer {
    /// For a connection seen from its first bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For one that was picked up somewhere: both directions look for their first message.
    #[must_use]
    pub fn midstream() -> Self {
        let lost = || Half { state: State::Lost, readable: true, ..Half::default() };
        Self { halves: [lost(), lost()], ..Self::default() }
    }

    /// The next bytes of a direction, from `offset` in its stream.
    #[inline]
    pub fn data(
        &mut self,
        shared: &mut Shared,
        now: u64,
        direction: Direction,
        offset: u64,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) {
        if !self.ignores(direction) {
            Turn { framer: self, shared, sink, now, fresh: true }.data(direction, offset, bytes);
        }
    }

    /// The next `length` bytes of a direction were never seen.
    pub fn gap(
        &mut self,
        shared: &mut Shared,
        now: u64,
        direction: Direction,
        _offset: u64,
        length: u64,
        sink: &mut impl Sink,
    ) {
        if length > 0 && !self.ignores(direction) {
            // What was missing may have been the request.
            self.early = Early::default();
            Turn { framer: self, shared, sink, now, fresh: true }.gap(direction, length);
        }
    }

    /// A direction is at its end (FIN): a body that lasts until then is complete, any other is cut.
    pub fn end(&mut self, shared: &mut Shared, now: u64, direction: Direction, sink: &mut impl Sink) {
        Turn { framer: self, shared, sink, now, fresh: true }.close(direction, true);
    }

    /// The connection is broken off (RST, or no longer followed): nothing under way is complete.
    pub fn abort(&mut self, shared: &mut Shared, now: u64, sink: &mut impl Sink) {
        for direction in [Direction::Client, Direction::Server] {
            Turn { framer: self, shared, sink, now, fresh: true }.close(direction, false);
        }
    }

    /// Gives back all memory, when the flow is dropped; nothing more is told.
    pub fn release(&mut self, shared: &mut Shared) {
        for half in &mut self.halves {
            half.ignore(shared);
        }
        self.waiting = Waiting::default();
    }

    /// Nothing in this direction is of interest any more: it ended, left HTTP, or never was HTTP.
    #[must_use]
    pub fn ignores(&self, direction: Direction) -> bool {
        self.half(direction).state == State::Ignored
    }

    pub(super) const fn half(&self, direction: Direction) -> &Half {
        &self.halves[direction.index()]
    }
}
