//! A head or a trailer section that comes in pieces.
//!
//! Invariant: the room of `bytes` is on the account of `Shared` from its first byte until `free`. Each byte is looked at
//! once for the end, however small the pieces are.

use super::Shared;

/// Where a search for a blank line has got to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ends {
    /// Inside a line.
    #[default]
    Line,
    /// At the beginning of one.
    Begin,
    /// Behind a CR that begins one.
    Cr,
}

impl Ends {
    /// Goes through more bytes; how many there are up to the end of the blank line, if it is among them.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            match *self {
                Self::Line => {
                    at += memchr::memchr(b'\n', bytes.get(at..)?)? + 1;
                    *self = Self::Begin;
                }
                Self::Begin | Self::Cr => {
                    let byte = *bytes.get(at)?;
                    match (byte, *self) {
                        (b'\n', _) => return Some(at + 1),
                        (b'\r', Self::Begin) => *self = Self::Cr,
                        _ => *self = Self::Line,
                    }
                    at += 1;
                }
            }
        }
    }
}

/// What has come of it.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Ends,
    /// The start line was judged for good.
    pub(super) judged: bool,
    /// Bytes there were when the start line was looked at last.
    pub(super) looked: usize,
}

impl Partial {
    /// Adds bytes; `false` if there is no memory for them.
    #[must_use]
    pub(super) fn add(&mut self, shared: &mut Shared, bytes: &[u8]) -> bool {
        let (before, needed) = (self.bytes.capacity(), self.bytes.len() + bytes.len());
        if needed > before {
            let room = needed.next_power_of_two().min(shared.limits.head.max(needed));
            if !shared.has_room(room - before) {
                return false;
            }
            self.bytes.reserve_exact(room - self.bytes.len());
            shared.take(self.bytes.capacity() - before);
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Whether it is time to look at the start line again: at its end, and when twice as much is there, lest many
    /// small pieces cost the square of their number.
    pub(super) fn look(&mut self, piece: &[u8]) -> bool {
        let due = memchr::memchr(b'\n', piece).is_some() || self.bytes.len() >= self.looked * 2;
        if due {
            self.looked = self.bytes.len();
        }
        due
    }

    pub(super) fn free(self, shared: &mut Shared) {
        shared.give(self.bytes.capacity());
    }
}
