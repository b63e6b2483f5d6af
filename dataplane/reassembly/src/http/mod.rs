//! HTTP/1.x framing (RFC 9112): where messages begin and end in the two streams of a connection.
//!
//! A [`Framer`] is fed the bytes of both streams in their order and tells a [`Sink`] of each message: its head, its
//! body piece by piece, its end. It watches; nothing is answered or refused, so it is as lenient as peers may be.
//!
//! Invariant: what is told depends on the bytes alone, not on how they were cut into segments (save where a message
//! begins while it is looking for one, which it also does at the beginning of a segment). Each `head` is followed by
//! exactly one `end`, and at most one message of a direction is under way.

mod chunk;
mod fields;
mod framer;
mod half;
mod head;
mod message;
mod partial;
mod shared;
mod start;
mod turn;
mod waiting;

#[cfg(test)]
mod tests;

pub use framer::Framer;
pub use message::{Framing, Message, RequestTimes, Sink};
pub use shared::{Counters, Limits, Shared};
