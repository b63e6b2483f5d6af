//! The PROXY protocol's header, version 1 (text) and version 2 (binary): whom a connection is for, said in front of its
//! first byte.
//!
//! Invariant: the verdict depends on the bytes alone, however they were cut into segments. A beginning that can still
//! become a header is [`Read::Incomplete`], one that cannot is [`Read::Invalid`] at once, and a verdict stands whatever
//! follows. No header that is read is longer than [`MAX_READ`], so that many bytes always have one.
//!
//! Nothing is guessed: whoever expects a header and finds none gets [`Read::Invalid`], because a stranger could
//! otherwise choose whether to be believed.

mod binary;
#[cfg(test)]
mod tests;
mod text;

use l3l4::{Addr, Protocol};

/// The longest header that is written: TCP over IPv6 as text.
pub const MAX: usize = 104;

/// The longest header that is read: 16 bytes and as many as fit into the smallest segment that every host takes (536).
pub const MAX_READ: usize = 16 + 536;

/// Both ends of a proxied connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: (Addr, u16),
    /// Where the client was going.
    pub destination: (Addr, u16),
    /// TCP or UDP.
    pub protocol: Protocol,
}

impl Ends {
    /// Whether IPv4 can say it. Otherwise IPv4 addresses are written as IPv4-mapped IPv6 addresses.
    fn are_v4(&self) -> bool {
        self.source.0.is_v4() && self.destination.0.is_v4()
    }
}

/// What bytes from the beginning of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The beginning of a header.
    Incomplete,
    /// No header, whatever follows.
    Invalid(Defect),
    /// A header that names nobody: the connection is the sender's own, or for somebody it could not name. The
    /// connection's own addresses count.
    Local {
        /// Length of the header in bytes.
        len: usize,
    },
    /// A header, and whom it names.
    Proxied {
        /// Length of the header in bytes.
        len: usize,
        /// The client, and where it was going.
        ends: Ends,
    },
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Neither version begins like this.
    #[error("not the beginning of a PROXY protocol header")]
    Signature,
    /// Text: something else than `TCP4`, `TCP6` or `UNKNOWN`.
    #[error("PROXY protocol: neither TCP4 nor TCP6 nor UNKNOWN")]
    Protocol,
    /// Text: an address that is none, or not of the family announced.
    #[error("PROXY protocol: not an address of the family announced")]
    Address,
    /// Text: a port that is none.
    #[error("PROXY protocol: not a port")]
    Port,
    /// Text: the line does not end in CR LF, or not soon enough.
    #[error("PROXY protocol: the line does not end where it should")]
    Line,
    /// Binary: another version than 2.
    #[error("PROXY protocol: unknown version")]
    Version,
    /// Binary: neither LOCAL nor PROXY.
    #[error("PROXY protocol: unknown command")]
    Command,
    /// Binary: an address family or transport protocol that is not assigned.
    #[error("PROXY protocol: unknown address family or transport protocol")]
    Family,
    /// Binary: too short for its addresses, or longer than [`MAX_READ`].
    #[error("PROXY protocol: impossible length")]
    Length,
    /// Binary: what follows the addresses is not a sequence of TLVs.
    #[error("PROXY protocol: an extension does not fit")]
    Extension,
}

/// Why reading goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    More,
    Bad(Defect),
}

/// Reads the header at the beginning of `bytes`; what follows it is not looked at.
#[must_use]
pub fn read(bytes: &[u8]) -> Read {
    let outcome = match bytes.first() {
        None => Err(Stop::More),
        Some(b'P') => text::read(bytes),
        Some(b'\r') => binary::read(bytes),
        Some(_) => Err(Stop::Bad(Defect::Signature)),
    };
    match outcome {
        Ok(read) => read,
        Err(Stop::More) => Read::Incomplete,
        Err(Stop::Bad(defect)) => Read::Invalid(defect),
    }
}

/// Writes the header as text and gives its length; 0 where there is too little room. [`MAX`] bytes are always enough.
///
/// Text has words for TCP alone; anything else is written as `UNKNOWN`.
#[must_use]
pub fn write_v1(ends: &Ends, out: &mut [u8]) -> usize {
    let room = out.len();
    let mut rest = out;
    text::write(ends, &mut rest).map_or(0, |()| room - rest.len())
}

/// The same in binary form.
#[must_use]
pub fn write_v2(ends: &Ends, out: &mut [u8]) -> usize {
    let room = out.len();
    let mut rest = out;
    binary::write(ends, &mut rest).map_or(0, |()| room - rest.len())
}

/// Takes `expected` from the front of `bytes`; false where something else is there.
fn take(bytes: &mut &[u8], expected: &[u8]) -> Result<bool, Stop> {
    if let Some(rest) = bytes.strip_prefix(expected) {
        *bytes = rest;
        return Ok(true);
    }
    if expected.starts_with(bytes) { Err(Stop::More) } else { Ok(false) }
}
