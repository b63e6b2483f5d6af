//! The status of an HTTP/1 response, from bytes that come in pieces.
//!
//! Invariant: the verdict depends on the bytes alone, however they were cut, and stands whatever follows. No more than
//! [`MOST`] bytes are looked at before there is one.

/// Interim responses are skipped, within reason.
const MOST: usize = 8192;

/// How every status line begins that is accepted; a digit follows.
const VERSION: &[u8] = b"HTTP/1.";

/// Where the status ends in its line.
const END: usize = VERSION.len() + 5;

/// How far [`HttpStatus`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpProgress {
    /// It takes more bytes. If none come, there was no response.
    Pending,
    /// The status of the response, 100 to 999; of interim responses only 101 is told.
    Status(u16),
    /// This is no response of HTTP/1, or too much came before one.
    Invalid,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// So many bytes into a status line.
    Line(usize),
    /// Within an interim response; whether its present line has no byte yet.
    Interim(bool),
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct HttpStatus {
    place: Place,
    status: u16,
    seen: usize,
    progress: HttpProgress,
}

impl Default for HttpStatus {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpStatus {
    /// At the beginning of what a server sends.
    #[must_use]
    pub const fn new() -> Self {
        Self { place: Place::Line(0), status: 0, seen: 0, progress: HttpProgress::Pending }
    }

    /// Reads the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> HttpProgress {
        for byte in bytes {
            if self.progress != HttpProgress::Pending {
                break;
            }
            self.seen += 1;
            self.progress = match self.place {
                _ if self.seen > MOST => HttpProgress::Invalid,
                Place::Line(at) => self.line(at, *byte),
                Place::Interim(empty) => {
                    self.place = match *byte {
                        b'\n' if empty => Place::Line(0),
                        b'\n' => Place::Interim(true),
                        b'\r' => Place::Interim(empty),
                        _ => Place::Interim(false),
                    };
                    HttpProgress::Pending
                }
            };
        }
        self.progress
    }

    /// `version SP status SP reason CR LF`; some servers leave out the space with the reason.
    fn line(&mut self, at: usize, byte: u8) -> HttpProgress {
        self.place = Place::Line(at + 1);
        let digit = u16::from(byte.wrapping_sub(b'0'));
        let right = match at.checked_sub(VERSION.len()) {
            None => byte == VERSION[at],
            Some(0) => digit <= 9,
            Some(1) => byte == b' ',
            Some(2) => {
                self.status = digit;
                (1..=9).contains(&digit)
            }
            Some(3 | 4) => {
                self.status = self.status.wrapping_mul(10).wrapping_add(digit);
                digit <= 9
            }
            Some(_) => matches!(byte, b' ' | b'\r' | b'\n'),
        };
        if !right {
            return HttpProgress::Invalid;
        }
        if at < END {
            return HttpProgress::Pending;
        }
        // Interim responses come before the one that counts (RFC 9110, 15.2); 101 is the last in HTTP.
        if matches!(self.status, 100 | 102..=199) {
            self.place = Place::Interim(byte == b'\n');
            return HttpProgress::Pending;
        }
        HttpProgress::Status(self.status)
    }
}
