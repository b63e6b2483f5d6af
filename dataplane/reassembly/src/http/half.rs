//! One direction of a connection: where it is in which message.
//!
//! Invariant: `partial` is there in the states `Head` and `Trailers` only. What is told of a message is derived from
//! these few numbers, so that a connection that waits costs little.

use super::chunk::{Line, Phase};
use super::message::{Framing, Message};
use super::partial::Partial;
use super::{RequestTimes, Shared};
use crate::Direction;

/// What the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// The first of a message, or of an empty line before it.
    #[default]
    Start,
    /// In a head whose beginning is held.
    Head,
    /// In a body of `left` bytes more.
    Length,
    /// In a body that ends with the stream.
    Close,
    /// In a line that announces a chunk, of `left` bytes as far as read.
    ChunkLine,
    /// In a chunk of `left` bytes more.
    ChunkData,
    /// In the line end behind a chunk.
    ChunkEnd,
    /// Behind the last chunk.
    Trailers,
    /// Anything: a message is looked for. `left` counts the bytes looked through.
    Lost,
    /// Behind a CONNECT whose answer says what follows.
    Held,
    /// Of no interest, for good.
    Ignored,
}

/// Where the number of a response came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Match {
    /// A number of its own.
    #[default]
    None,
    /// The first of the requests that wait.
    Waiting,
    /// The first of those that found no place among them.
    Overflowed,
}

/// See the module. Fields of the message mean nothing while there is none.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) partial: Option<Box<Partial>>,
    pub(super) offset: u64,
    pub(super) begin: u64,
    pub(super) body: u64,
    pub(super) missing: u64,
    pub(super) left: u64,
    pub(super) exchange: u32,
    pub(super) head: u32,
    pub(super) status: u16,
    /// Bytes of the chunk's line so far.
    pub(super) line: u16,
    pub(super) phase: Phase,
    pub(super) state: State,
    pub(super) framing: Framing,
    pub(super) minor: u8,
    pub(super) matched: Match,
    /// The message under way, or the one that may begin here, is the first after some that were lost.
    pub(super) resync: bool,
    pub(super) upgrade: bool,
    /// It is a CONNECT that waits for its response.
    pub(super) connect: bool,
    /// There was an interim response to no request: `exchange` is that of the final one, too.
    pub(super) open: bool,
    /// There was a message, or the stream's beginning was not seen: one may be found yet, however far on.
    pub(super) readable: bool,
    /// In `Held`: bytes were passed over.
    pub(super) passed: bool,
}

impl Half {
    /// A head was told of, its end was not.
    pub(super) const fn in_message(&self) -> bool {
        match self.state {
            State::Length
            | State::Close
            | State::ChunkLine
            | State::ChunkData
            | State::ChunkEnd
            | State::Trailers => true,
            State::Start | State::Head | State::Lost | State::Held | State::Ignored => false,
        }
    }

    /// What is held, if anything, only may be a message: one is looked for.
    pub(super) const fn looking(&self) -> bool {
        self.resync && !self.in_message()
    }

    pub(super) fn line(&mut self) -> Line<'_> {
        Line { phase: &mut self.phase, length: &mut self.line }
    }

    /// Goes to a state at the beginning of a line of the chunked coding.
    pub(super) fn begin_line(&mut self, state: State) {
        (self.state, self.phase, self.line, self.left) = (state, Phase::Begin, 0, 0);
    }

    #[inline]
    pub(super) fn message(&self, direction: Direction, time: u64, request: Option<RequestTimes>) -> Message {
        Message {
            direction,
            exchange: self.exchange,
            offset: self.offset,
            begin: self.begin,
            time,
            status: self.status,
            framing: self.framing,
            declared: (self.framing == Framing::Length).then(|| self.body.saturating_add(self.left)),
            head_length: self.head,
            body_length: self.body,
            missing: self.missing,
            complete: false,
            resync: self.resync,
            upgrade: self.upgrade,
            minor_version: self.minor,
            request,
        }
    }

    /// Gives back what is held.
    pub(super) fn drop_partial(&mut self, shared: &mut Shared) {
        if let Some(partial) = self.partial.take() {
            partial.free(shared);
        }
    }

    pub(super) fn ignore(&mut self, shared: &mut Shared) {
        self.drop_partial(shared);
        self.state = State::Ignored;
    }
}
