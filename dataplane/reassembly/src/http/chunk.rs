//! Lines between chunks (RFC 9112, section 7.1), byte by byte as they come.
//!
//! Invariant: a size never overflows, a line never costs memory, and the verdict on it falls at the same byte however
//! it comes in pieces.

/// Where in a line we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// At its beginning.
    #[default]
    Begin,
    /// Behind a digit of the size.
    Size,
    /// Behind white space that follows the size (some senders pad it).
    Blank,
    Extension,
    /// Behind a CR that only a LF may follow.
    Cr,
}

/// What has come of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Done,
    Bad,
}

/// A line under way.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) phase: &'a mut Phase,
    /// Its bytes so far.
    pub(super) length: &'a mut u16,
}

impl Line<'_> {
    /// Reads on in the line that announces a chunk, of at most `limit` bytes; how many of the bytes it took.
    pub(super) fn announce(&mut self, size: &mut u64, bytes: &[u8], limit: usize) -> (usize, Step) {
        let room = limit.min(usize::from(u16::MAX)).saturating_sub(usize::from(*self.length));
        let view = bytes.get(..room).unwrap_or(bytes);
        let (taken, step) = self.scan(size, view);
        *self.length = self.length.saturating_add(u16::try_from(taken).unwrap_or(u16::MAX));
        match step {
            Step::More if view.len() == room => (taken, Step::Bad),
            step => (taken, step),
        }
    }

    fn scan(&mut self, size: &mut u64, view: &[u8]) -> (usize, Step) {
        let mut at = 0;
        while let Some(&byte) = view.get(at) {
            if *self.phase == Phase::Extension {
                let rest = view.get(at..).unwrap_or_default();
                return match memchr::memchr(b'\n', rest) {
                    Some(end) => (at + end + 1, Step::Done),
                    None => (view.len(), Step::More),
                };
            }
            at += 1;
            *self.phase = match (*self.phase, byte) {
                (Phase::Size | Phase::Blank | Phase::Cr, b'\n') => return (at, Step::Done),
                (Phase::Size | Phase::Blank, b'\r') => Phase::Cr,
                (Phase::Size | Phase::Blank, b' ' | b'\t') => Phase::Blank,
                (Phase::Size | Phase::Blank, b';') => Phase::Extension,
                (Phase::Begin | Phase::Size, _) => {
                    let Some(digit) = char::from(byte).to_digit(16).filter(|_| *size >> 60 == 0) else {
                        return (at, Step::Bad);
                    };
                    *size = *size << 4 | u64::from(digit);
                    Phase::Size
                }
                _ => return (at, Step::Bad),
            };
        }
        (at, Step::More)
    }

    /// Reads the line end behind a chunk's data.
    pub(super) fn close(&mut self, bytes: &[u8]) -> (usize, Step) {
        match (*self.phase, bytes) {
            (Phase::Begin, [b'\r', b'\n', ..]) => (2, Step::Done),
            (_, [b'\n', ..]) => (1, Step::Done),
            (Phase::Begin, [b'\r']) => {
                *self.phase = Phase::Cr;
                (1, Step::More)
            }
            (Phase::Begin, [b'\r', ..]) => (2, Step::Bad),
            (_, []) => (0, Step::More),
            _ => (1, Step::Bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size, and how many bytes were taken with which verdict; in pieces of `piece` bytes.
    fn announce(line: &str, piece: usize, limit: usize) -> (u64, usize, Step) {
        let (mut phase, mut length, mut size, mut taken) = (Phase::Begin, 0, 0, 0);
        for bytes in line.as_bytes().chunks(piece) {
            let mut line = Line { phase: &mut phase, length: &mut length };
            let (took, step) = line.announce(&mut size, bytes, limit);
            taken += took;
            if step != Step::More {
                return (size, taken, step);
            }
            assert_eq!(took, bytes.len());
        }
        (size, taken, Step::More)
    }

    #[test]
    fn sizes_are_hexadecimal() {
        for (line, size, taken, step) in [
            ("5\r\nabcde", 5, 3, Step::Done),
            ("aF\nx", 0xaf, 3, Step::Done),
            ("0010 \t\r\n", 16, 8, Step::Done),
            ("1;name=\"v;\r\"\r\n", 1, 14, Step::Done),
            ("2 ; x\r\n", 2, 7, Step::Done),
            ("ffffffffffffffff\r\n", u64::MAX, 18, Step::Done),
            ("10000000000000000\r\n", 1 << 60, 17, Step::Bad),
            ("\r\n", 0, 1, Step::Bad),
            ("-1\r\n", 0, 1, Step::Bad),
            (";x\r\n", 0, 1, Step::Bad),
            ("5x\r\n", 5, 2, Step::Bad),
            ("5 6\r\n", 5, 3, Step::Bad),
            ("5\rx", 5, 3, Step::Bad),
            ("5;abc", 5, 5, Step::More),
        ] {
            for piece in 1..=line.len() {
                assert_eq!(announce(line, piece, 256), (size, taken, step), "{line:?} by {piece}");
            }
        }
    }

    #[test]
    fn lines_have_a_limit() {
        for piece in 1..12 {
            assert_eq!(announce("1;23456\r\n", piece, 9), (1, 9, Step::Done));
            assert_eq!(announce("1;234567\r\n", piece, 9), (1, 9, Step::Bad));
            assert_eq!(announce("000000000001\r\n", piece, 9), (0, 9, Step::Bad));
        }
    }

    #[test]
    fn data_end_in_a_line_end() {
        let close = |bytes: &[u8]| {
            let (mut phase, mut length) = (Phase::Begin, 0);
            Line { phase: &mut phase, length: &mut length }.close(bytes)
        };
        assert_eq!(close(b"\r\n5"), (2, Step::Done));
        assert_eq!(close(b"\n5"), (1, Step::Done));
        assert_eq!(close(b"x"), (1, Step::Bad));
        assert_eq!(close(b"\rx"), (2, Step::Bad));
        let (mut phase, mut length) = (Phase::Begin, 0);
        let mut line = Line { phase: &mut phase, length: &mut length };
        assert_eq!(line.close(b"\r"), (1, Step::More));
        assert_eq!(line.close(b"\r"), (1, Step::Bad));
        assert_eq!(line.close(b"\n"), (1, Step::Done));
    }
}
