//! Responses, written out in full when the application is built.
//!
//! Invariant: a response is one block of bytes, ready to send as it is on a connection that stays.
//! What varies (an added Connection field, no content for HEAD) is a matter of which parts of the
//! block are sent around the end of its head, so nothing is ever composed on the packet path.
//!
//! There is no Date field: an origin server without a clock does not generate one
//! (RFC 9110, section 6.6.1), and the packet path reads no clock.

use super::super::{AppCounters, BuildError, Stream};

/// The longest head that configured headers may make, in bytes.
const MAX_HEADERS: usize = 16 * 1024;

/// Fields that say how the message is framed or kept alive: the server's own.
const RESERVED: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// What is said about the connection in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: it stays, which is HTTP/1.1's default.
    #[default]
    Keep,
    /// It stays, and HTTP/1.0 must be told so.
    SayKeep,
    /// It closes after this response.
    Close,
}

impl Ending {
    const fn field(self) -> &'static [u8] {
        match self {
            Ending::Keep => b"",
            Ending::SayKeep => b"Connection: keep-alive\r\n",
            Ending::Close => b"Connection: close\r\n",
        }
    }
}

/// Which response is due and in which form.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// Index into the application's responses.
    pub(super) index: u32,
    pub(super) ending: Ending,
    /// To a HEAD request: the same head, no content.
    pub(super) head_only: bool,
}

/// A response ready to send.
#[derive(Debug)]
pub(super) struct Response {
    bytes: Box<[u8]>,
    /// Where the empty line begins that ends the head; a field can be put in here.
    seam: usize,
    /// 0 for 1xx to 4 for 5xx.
    class: u8,
}

impl Response {
    /// Writes the head and the content. Statuses that have no content get no Content-Length
    /// (RFC 9110, section 8.6).
    pub(super) fn new(status: u16, headers: &[(&str, &str)], content: &[u8]) -> Response {
        let mut bytes = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if has_content(status) {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", content.len()).as_bytes());
        }
        let seam = bytes.len();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(content);
        Response { bytes: bytes.into_boxed_slice(), seam, class: (status / 100).clamp(1, 5) as u8 - 1 }
    }

    /// Whether it says that the request cannot be done (4xx, 5xx).
    pub(super) fn is_error(&self) -> bool {
        self.class >= 3
    }

    /// Counts it as begun.
    pub(super) fn count(&self, counters: &mut AppCounters) {
        if let Some(class) = counters.http_responses.get_mut(usize::from(self.class)) {
            *class += 1;
        }
    }

    /// Queues what fits from `*offset` on and moves it; true once everything is queued.
    #[inline]
    pub(super) fn push(
        &self,
        answer: Answer,
        offset: &mut u32,
        stream: &mut dyn Stream,
        counters: &mut AppCounters,
    ) -> bool {
        if answer.ending == Ending::Keep && !answer.head_only {
            let rest = self.bytes.get(*offset as usize..).unwrap_or_default();
            let sent = stream.send(rest);
            counters.tcp_bytes_out += sent as u64;
            *offset += sent as u32;
            return sent == rest.len();
        }
        self.push_parts(answer, offset, stream, counters)
    }

    #[inline(never)]
    fn push_parts(
        &self,
        answer: Answer,
        offset: &mut u32,
        stream: &mut dyn Stream,
        counters: &mut AppCounters,
    ) -> bool {
        let (head, mut tail) = self.bytes.split_at_checked(self.seam).unwrap_or_default();
        if answer.head_only {
            tail = tail.get(..2).unwrap_or_default();
        }
        let mut skip = *offset as usize;
        for part in [head, answer.ending.field(), tail] {
            let Some(rest) = part.get(skip..) else {
                skip -= part.len();
                continue;
            };
            skip = 0;
            if rest.is_empty() {
                continue;
            }
            let sent = stream.send(rest);
            counters.tcp_bytes_out += sent as u64;
            *offset += sent as u32;
            if sent < rest.len() {
                return false;
            }
        }
        true
    }
}

/// Whether responses with this status carry content at all (RFC 9110, section 6.4.1).
pub(super) const fn has_content(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Checks that configured headers can go into a response as they are.
pub(super) fn check_headers(headers: &[(String, String)]) -> Result<(), BuildError> {
    let mut len = 0;
    for (name, value) in headers {
        if name.is_empty() || !name.bytes().all(super::parse::is_token) {
            return Err(BuildError::HeaderName(name.clone()));
        }
        if RESERVED.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(BuildError::HeaderReserved(name.clone()));
        }
        let outer = value.trim_matches([' ', '\t']).len() != value.len();
        if outer || value.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
            return Err(BuildError::HeaderValue(name.clone()));
        }
        len += name.len() + value.len() + 4;
    }
    if len > MAX_HEADERS {
        return Err(BuildError::HeadersTooLong { len, max: MAX_HEADERS });
    }
    Ok(())
}

/// The reason phrase, empty for a status not in the registry of RFC 9110, section 15.
pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
