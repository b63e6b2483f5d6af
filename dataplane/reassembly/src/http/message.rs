//! What is told of messages, and to whom.
//!
//! Invariant: a `Message` is a view of the moment; nothing keeps one between two calls.

use crate::Direction;

/// What ends a body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// Content-Length.
    Length,
    /// The last chunk.
    Chunked,
    /// The end of the stream; only responses.
    Close,
}

/// When the request that a response answers was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimes {
    /// Its first byte, in nanoseconds.
    pub begin: u64,
    /// Its last byte, in nanoseconds; of those seen until now, where the response came before it was whole.
    pub end: u64,
}

/// A message as far as it is known at the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The client for requests, the server for responses.
    pub direction: Direction,
    /// Number of the request in its connection, from 0; that of the response to it, too.
    pub exchange: u32,
    /// Position of its first byte in its stream.
    pub offset: u64,
    /// When its first byte was seen, in nanoseconds.
    pub begin: u64,
    /// When the latest thing about it was seen, in nanoseconds: its last byte, at its end.
    pub time: u64,
    /// 0 for requests.
    pub status: u16,
    /// What ends the body.
    pub framing: Framing,
    /// Bytes the body was said to have, with [`Framing::Length`] only.
    pub declared: Option<u64>,
    /// Bytes of the head, blank line included.
    pub head_length: u32,
    /// Bytes of the body before this call, without chunked coding, missing ones included: the position of what `body`
    /// or `missing` tells of.
    pub body_length: u64,
    /// Those of them that were never seen.
    pub missing: u64,
    /// The message came to its end. Valid at `end`.
    pub complete: bool,
    /// The first message after bytes that could not be read, or were not seen: `exchange` may be wrong from here on.
    pub resync: bool,
    /// The connection leaves HTTP behind this message (RFC 9110, sections 7.8 and 9.3.6); only responses.
    pub upgrade: bool,
    /// 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Of the request this answers, where it is known; only responses.
    pub request: Option<RequestTimes>,
}

impl Message {
    /// A response that is not the last one to its request (RFC 9110, section 15.2).
    #[must_use]
    pub const fn interim(&self) -> bool {
        interim(self.status)
    }
}

/// 101 is the last response in HTTP, whatever its class says.
pub(super) const fn interim(status: u16) -> bool {
    status / 100 == 1 && status != 101
}

/// Takes what a framer tells. Bytes are slices of what was fed, or of what was held of a head that came in pieces.
pub trait Sink {
    /// A message begins. The whole head, its blank line included.
    fn head(&mut self, message: &Message, head: &[u8]);
    /// More of its body, chunked coding taken off.
    fn body(&mut self, message: &Message, bytes: &[u8]);
    /// So many bytes of its body were never seen.
    fn missing(&mut self, message: &Message, length: u64);
    /// The fields behind a chunked body, the blank line behind them included (as parsers of fields want it); once, and
    /// only if there are some.
    fn trailers(&mut self, message: &Message, bytes: &[u8]);
    /// It is over. Once for each `head`.
    fn end(&mut self, message: &Message);
}
