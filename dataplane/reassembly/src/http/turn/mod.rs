//! One call of a framer: the steps through the bytes it brings.
//!
//! Invariant: each step takes bytes, or leaves for a state that does.

mod body;
mod exchange;
mod lost;
mod start;

use super::half::{Half, State};
use super::message::{Framing, Message};
use super::{Framer, RequestTimes, Shared, Sink};
use crate::Direction;

/// What a call has at hand.
pub(super) struct Turn<'a, S> {
    pub(super) framer: &'a mut Framer,
    pub(super) shared: &'a mut Shared,
    pub(super) sink: &'a mut S,
    pub(super) now: u64,
    /// The next byte begins a segment or a line: a message that is looked for may begin with it.
    pub(super) fresh: bool,
}

impl<S: Sink> Turn<'_, S> {
    pub(super) fn data(&mut self, direction: Direction, offset: u64, bytes: &[u8]) {
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let taken = match self.half(direction).state {
                State::Start => self.start(direction, at, rest),
                State::Head => self.head(direction, rest),
                State::Length | State::ChunkData => self.counted(direction, rest),
                State::Close => self.uncounted(direction, rest),
                State::ChunkLine => self.chunk_line(direction, rest),
                State::ChunkEnd => self.chunk_end(direction, rest),
                State::Trailers => self.trailers(direction, rest),
                State::Lost => self.look(direction, rest),
                State::Held => {
                    self.half(direction).passed = true;
                    return;
                }
                State::Ignored => return,
            };
            at += taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    pub(super) fn gap(&mut self, direction: Direction, length: u64) {
        let half = self.half(direction);
        let known = match half.state {
            State::Length | State::ChunkData => half.left.min(length),
            State::Close => length,
            _ => 0,
        };
        if known > 0 {
            self.missing(direction, known);
        }
        if known == length {
            return;
        }
        // The rest hits what cannot be done without.
        let half = &mut self.framer.halves[direction.index()];
        match half.state {
            State::Lost | State::Ignored => {}
            State::Held => half.passed = true,
            _ => {
                self.shared.counters.lost_in_gaps += u64::from(!half.looking());
                half.readable = true;
                self.lose(direction);
            }
        }
    }

    /// The stream is over.
    pub(super) fn close(&mut self, direction: Direction, regularly: bool) {
        let half = self.half(direction);
        if half.in_message() {
            let complete = regularly && half.framing == Framing::Close;
            self.finish(direction, complete);
        }
        let half = &mut self.framer.halves[direction.index()];
        half.ignore(self.shared);
    }

    #[inline(always)]
    fn half(&mut self, direction: Direction) -> &mut Half {
        &mut self.framer.halves[direction.index()]
    }

    fn message(&self, direction: Direction) -> Message {
        let half = self.framer.half(direction);
        let request = match half.matched {
            super::half::Match::Waiting if direction == Direction::Server => self.framer.waiting.front(),
            _ => None,
        };
        let times = request.map(|asked| RequestTimes { begin: asked.begin, end: asked.end });
        half.message(direction, self.now, times)
    }

    /// The message under way is over; the next may begin.
    fn finish(&mut self, direction: Direction, complete: bool) {
        let message = Message { complete, ..self.message(direction) };
        self.shared.counters.incomplete += u64::from(!complete);
        let half = &mut self.framer.halves[direction.index()];
        half.drop_partial(self.shared);
        half.state = State::Start;
        half.resync = false;
        self.sink.end(&message);
        match direction {
            Direction::Client => self.request_over(),
            Direction::Server => self.response_over(&message),
        }
    }
}
