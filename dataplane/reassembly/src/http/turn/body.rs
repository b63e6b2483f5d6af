//! Bodies, piece by piece as they lie in segments, and what stands between chunks.
//!
//! Invariant: nothing of a body is held or copied. Each byte of it is told once, or named as missing.

use super::Turn;
use crate::Direction;
use crate::http::Sink;
use crate::http::chunk::Step;
use crate::http::half::{Half, State};
use crate::http::message::Framing;
use crate::http::partial::{Ends, Partial};

impl Half {
    /// Goes to the state that the framing asks for; `true` if there is no body.
    #[inline]
    pub(in crate::http) fn begin_body(&mut self) -> bool {
        match self.framing {
            Framing::None => return true,
            Framing::Length if self.left == 0 => return true,
            Framing::Length => self.state = State::Length,
            Framing::Close => self.state = State::Close,
            Framing::Chunked => self.begin_line(State::ChunkLine),
        }
        false
    }

    fn advance(&mut self, bytes: u64) {
        self.body = self.body.saturating_add(bytes);
        if self.state != State::Close {
            self.left -= bytes.min(self.left);
        }
    }
}

impl<S: Sink> Turn<'_, S> {
    /// Bytes of a body or chunk whose length is known.
    pub(super) fn counted(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        let left = usize::try_from(self.half(direction).left).unwrap_or(usize::MAX);
        let piece = bytes.get(..left).unwrap_or(bytes);
        self.uncounted(direction, piece);
        self.past(direction);
        piece.len()
    }

    /// Bytes of a body that go on until the stream's end, or are known to be in it.
    pub(super) fn uncounted(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        self.touch(direction);
        let message = self.message(direction);
        self.sink.body(&message, bytes);
        self.half(direction).advance(bytes.len() as u64);
        bytes.len()
    }

    /// Bytes of a body that were never seen.
    pub(super) fn missing(&mut self, direction: Direction, length: u64) {
        self.touch(direction);
        let message = self.message(direction);
        self.sink.missing(&message, length);
        let half = self.half(direction);
        half.missing = half.missing.saturating_add(length);
        half.advance(length);
        self.past(direction);
    }

    /// Looks whether a body or chunk is over.
    fn past(&mut self, direction: Direction) {
        let half = self.half(direction);
        match half.state {
            State::Length if half.left == 0 => self.finish(direction, true),
            State::ChunkData if half.left == 0 => half.begin_line(State::ChunkEnd),
            _ => {}
        }
    }

    pub(super) fn chunk_line(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        let limit = self.shared.limits.chunk_line;
        self.touch(direction);
        let half = self.half(direction);
        let mut size = half.left;
        let (taken, step) = half.line().announce(&mut size, bytes, limit);
        half.left = size;
        match step {
            Step::More => {}
            Step::Done if size > 0 => half.state = State::ChunkData,
            Step::Done => half.state = State::Trailers,
            Step::Bad => self.bad_chunk(direction),
        }
        taken
    }

    pub(super) fn chunk_end(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        self.touch(direction);
        let half = self.half(direction);
        let (taken, step) = half.line().close(bytes);
        match step {
            Step::More => {}
            Step::Done => half.begin_line(State::ChunkLine),
            Step::Bad => self.bad_chunk(direction),
        }
        taken
    }

    fn bad_chunk(&mut self, direction: Direction) {
        self.shared.counters.bad_chunks += 1;
        self.unreadable(direction);
    }

    /// Behind the last chunk: nothing but a blank line, mostly.
    pub(super) fn trailers(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        self.touch(direction);
        let half = self.half(direction);
        if half.partial.is_none() {
            let mut ends = Ends::Begin;
            if let Some(end) = ends.find(bytes) {
                return self.trailing(direction, bytes.get(..end).unwrap_or(bytes));
            }
            half.partial = Some(Box::new(Partial { ends: Ends::Begin, ..Partial::default() }));
        }
        let most = self.shared.limits.head;
        let Some(partial) = &mut self.half(direction).partial else { return 0 };
        let view = bytes.get(..most.saturating_sub(partial.bytes.len())).unwrap_or(bytes);
        let end = partial.ends.find(view);
        let full = end.is_none() && partial.bytes.len() + view.len() >= most;
        let piece = end.and_then(|end| view.get(..end)).unwrap_or(view);
        if full || !self.hold(direction, piece) {
            self.shared.counters.heads_too_long += u64::from(full);
            self.unreadable(direction);
        } else if end.is_some()
            && let Some(partial) = self.half(direction).partial.take()
        {
            self.trailing(direction, &partial.bytes);
            partial.free(self.shared);
        }
        piece.len()
    }

    /// The section is whole.
    fn trailing(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        if bytes.len() > self.shared.limits.head {
            self.shared.counters.heads_too_long += 1;
            self.unreadable(direction);
            return self.shared.limits.head;
        }
        if !matches!(bytes, b"\r\n" | b"\n") {
            let message = self.message(direction);
            self.sink.trailers(&message, bytes);
        }
        self.finish(direction, true);
        bytes.len()
    }
}
