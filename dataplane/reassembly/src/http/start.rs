//! Start lines (RFC 9112, sections 3 and 4): whether bytes can be one, and where the next is.
//!
//! Invariant: every line that the parser of heads accepts is found possible here. What is found impossible stays so,
//! whatever follows.

use crate::Direction;

/// Methods that are believed in while looking for a message: the registered ones, and some that are about. What a gap
/// left of a method would pass for another, if any did.
#[rustfmt::skip]
static METHODS: [&[u8]; 44] = [
    b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"PROPFIND", b"PROPPATCH",
    b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"REPORT", b"SEARCH", b"QUERY", b"ACL", b"BASELINE-CONTROL",
    b"BIND", b"CHECKIN", b"CHECKOUT", b"LABEL", b"LINK", b"MERGE", b"MKACTIVITY", b"MKCALENDAR", b"MKREDIRECTREF",
    b"MKWORKSPACE", b"ORDERPATCH", b"REBIND", b"UNBIND", b"UNCHECKOUT", b"UNLINK", b"UPDATE", b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL", b"PURGE", b"M-SEARCH", b"NOTIFY", b"SUBSCRIBE", b"UNSUBSCRIBE",
];

/// Whether bytes begin a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    /// So far yes, but the line is not whole.
    Maybe,
    Yes,
}

/// Judges the bytes at the front. `strict` asks for what is usual, where anything may stand there.
pub(super) fn judge(direction: Direction, bytes: &[u8], strict: bool) -> Verdict {
    match direction {
        Direction::Client => request(bytes, strict),
        Direction::Server => status(bytes),
    }
}

/// Where in these bytes a message may begin: at the beginnings of lines behind the first.
pub(super) fn find(direction: Direction, bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).find(|begin| {
        let line = bytes.get(*begin..).unwrap_or_default();
        !line.is_empty() && judge(direction, line, true) != Verdict::No
    })
}

/// `method SP request-target SP HTTP-version`
fn request(bytes: &[u8], strict: bool) -> Verdict {
    let method =
        if strict { usual_method(bytes) } else { bytes.iter().take_while(|b| b.is_ascii_graphic()).count() };
    let target = match bytes.get(method..) {
        Some([b' ', target @ ..]) if method > 0 => target,
        Some([]) | None => return Verdict::Maybe,
        _ => return Verdict::No,
    };
    let length = target.iter().take_while(|byte| **byte > b' ' && **byte != 0x7f).count();
    match target.get(length..) {
        Some([b' ', version @ ..]) if length > 0 => pattern(version, b"HTTP/1.0\n"),
        Some([]) | None => Verdict::Maybe,
        _ => Verdict::No,
    }
}

/// Bytes of the method at the front, or of the beginning of one where there are no more; 0 if it is none of those.
fn usual_method(bytes: &[u8]) -> usize {
    let fits = |method: &&[u8]| match bytes.strip_prefix(*method) {
        Some(rest) => rest.first().is_none_or(|byte| *byte == b' '),
        None => method.starts_with(bytes),
    };
    METHODS.into_iter().find(fits).map_or(0, |method| method.len().min(bytes.len()))
}

/// `HTTP-version SP status-code`, and what ends it
fn status(bytes: &[u8]) -> Verdict {
    pattern(bytes, b"HTTP/1.0 000_")
}

/// In a pattern `0` is any digit, `\n` an end of a line, `_` a space or an end of a line.
fn pattern(bytes: &[u8], pattern: &[u8]) -> Verdict {
    let mut rest = bytes;
    for &want in pattern {
        rest = match (want, rest) {
            (_, []) => return Verdict::Maybe,
            (b'\n' | b'_', [b'\r']) => return Verdict::Maybe,
            (b'\n' | b'_', [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..]) => rest,
            (b'_', [b' ', rest @ ..]) => rest,
            (b'0', [byte, rest @ ..]) if byte.is_ascii_digit() => rest,
            (b'\n' | b'_' | b'0', _) => return Verdict::No,
            (_, [byte, rest @ ..]) if *byte == want => rest,
            _ => return Verdict::No,
        };
    }
    Verdict::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_a_start_line_may_be_one() {
        for (direction, line) in [
            (Direction::Client, "GET /a?b=c HTTP/1.1\r\n"),
            (Direction::Client, "M-SEARCH * HTTP/1.0\n"),
            (Direction::Server, "HTTP/1.1 200 "),
            (Direction::Server, "HTTP/1.0 404\r\n"),
        ] {
            let line = line.as_bytes();
            for length in 1..line.len() {
                assert_eq!(judge(direction, &line[..length], true), Verdict::Maybe, "{length}");
            }
            assert_eq!(judge(direction, line, true), Verdict::Yes);
            assert_eq!(judge(direction, line, false), Verdict::Yes);
        }
    }

    #[test]
    fn others_are_not() {
        for line in
            ["\u{16}", "GET  /", "GET / HTTP/2", "GET / HTTP/1.1 ", "GET /\r\n", " GET", "get\n", "GET / X"]
        {
            assert_eq!(judge(Direction::Client, line.as_bytes(), false), Verdict::No, "{line:?}");
        }
        for line in ["HTTP/2", "HTTP/1.1 20x", "HTTP/1.1  200", "HTTP/1.1 2000", "SSH-2.0"] {
            assert_eq!(judge(Direction::Server, line.as_bytes(), false), Verdict::No, "{line:?}");
        }
    }

    #[test]
    fn looking_for_one_asks_for_a_usual_method() {
        for line in
            ["get / HTTP/1.1\r\n", "OST / HTTP/1.1\r\n", "GETS / HTTP/1.1\r\n", "GETS", "X", "ABRACADABRA"]
        {
            assert_eq!(judge(Direction::Client, line.as_bytes(), true), Verdict::No, "{line:?}");
            assert_ne!(judge(Direction::Client, line.as_bytes(), false), Verdict::No, "{line:?}");
        }
        assert_eq!(find(Direction::Client, b"GET / HTTP/1.1\r\nPUT /x HTTP/1.1\r\n"), Some(16));
        assert_eq!(find(Direction::Server, b"some text\nHTTP/1.1 200 OK\r\n"), Some(10));
        assert_eq!(find(Direction::Server, b"some text\n"), None);
    }
}
