//! Recognises the head of a plain request: GET, HTTP/1.1, one Host, whole in one slice, no body. Nearly all requests are,
//! and this is their short way through.
//!
//! Invariant: what is recognised here, `parse` would accept with the same result; whatever is in
//! any doubt is left to it. Nothing is refused here.

use super::fields;
use super::parse::{HOST, TARGET, TOKEN, plain_text, span};

/// A recognised head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    pub(super) target: &'a [u8],
    /// Bytes of the whole head, its empty line included.
    pub(super) len: usize,
    /// It is to be the connection's last.
    pub(super) close: bool,
}

/// Recognises the head at the front, if it is a plain one.
#[inline]
pub(super) fn recognise(front: &[u8]) -> Option<Plain<'_>> {
    let (target, mut len) = if front.starts_with(b"GET / HTTP/1.1\r\n") {
        (front.get(4..5)?, 16)
    } else {
        let (target, rest) = {
            let after = front.strip_prefix(b"GET ")?;
            after.split_at_checked(span::<TARGET>(after))?
        };
        (target, rest.starts_with(b" HTTP/1.1\r\n").then_some(target.len() + 15)?)
    };
    let (mut host, mut close) = (false, false);
    loop {
        let line = front.get(len..)?;
        let end = match line.first()? {
            b'\r' => {
                let whole = host && line.starts_with(b"\r\n");
                return whole.then_some(Plain { target, len: len + 2, close });
            }
            b'H' if !host && line.starts_with(b"Host: ") => {
                host = true;
                6 + span::<HOST>(line.get(6..)?)
            }
            b'C' if line.starts_with(b"Connection: keep-alive\r\n") => 22,
            b'C' if line.starts_with(b"Connection: close\r\n") => {
                close = true;
                17
            }
            // The names nearly every client sends, to be spared the look at each of their bytes.
            b'U' if line.starts_with(b"User-Agent: ") => 12 + plain_text(line.get(12..)?),
            b'A' if line.starts_with(b"Accept: */*\r\n") => 11,
            b'A' if line.starts_with(b"Accept: ") => 8 + plain_text(line.get(8..)?),
            _ => other(line)?,
        };
        if !line.get(end..)?.starts_with(b"\r\n") {
            return None;
        }
        len += end + 2;
    }
}

/// The length of a line with any other field, unless it is one that frames or keeps.
#[inline(never)]
fn other(line: &[u8]) -> Option<usize> {
    let len = span::<TOKEN>(line);
    let (name, after) = line.split_at_checked(len)?;
    if name.is_empty() || fields::matters(name) || after.first() != Some(&b':') {
        return None;
    }
    Some(len + 1 + plain_text(after.get(1..)?))
}
