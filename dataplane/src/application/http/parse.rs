//! The lines of a request, read straight from the receive ring.
//!
//! Invariant: a line is judged only when its line feed is there (or its limit is reached), and the
//! verdict depends on the bytes alone. So the answer to a stream of requests is the same however
//! the stream was cut into segments. The one exception is decided by a single byte, so it keeps the
//! rule too: a request that cannot begin with its first byte (a TLS hello, say) is refused at once.
//!
//! Strict where leniency has let requests be smuggled past a neighbour (RFC 9112, section 11.2):
//! a line ends in CR LF and neither stands alone, no folded lines, no space before the colon, one
//! Content-Length, never one together with Transfer-Encoding.

use super::canned::Canned;
use super::fields;
use super::session::{Request, Stage};

/// The longest line that announces a chunk, in bytes with its extensions.
const MAX_CHUNK_LINE: usize = 256;

/// What came of reading lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The line at the front is not complete.
    More,
    /// The section of lines is complete.
    Done,
    /// Refused, for good.
    Refused(Canned),
}

/// What the request line asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Method {
    #[default]
    Get,
    Head,
    Options,
    /// Any other token: not allowed here.
    Other,
}

/// Finds the response for a method and a target.
pub(super) trait Resolve {
    fn resolve(&self, method: Method, target: &[u8]) -> Result<u32, Canned>;
}

pub(super) const TOKEN: u8 = 1;
pub(super) const TARGET: u8 = 2;
pub(super) const HOST: u8 = 4;

/// Which bytes may stand where (RFC 9110, section 5.6.2; RFC 3986, appendix A).
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut class = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let b = byte as u8;
        let mark = matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        if b.is_ascii_alphanumeric() || mark {
            class[byte] |= TOKEN;
        }
        if b != b'#' {
            class[byte] |= TARGET;
        }
        let host = matches!(
            b,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b';'
                | b'='
                | b':'
                | b'['
                | b']'
        );
        if b.is_ascii_alphanumeric() || host {
            class[byte] |= HOST;
        }
        byte += 1;
    }
    class
}

pub(super) fn is_token(byte: u8) -> bool {
    CLASS[usize::from(byte)] & TOKEN != 0
}

pub(super) fn is_host(value: &[u8]) -> bool {
    span::<HOST>(value) == value.len()
}

/// How many bytes at the front are of a class. Eight at a time, so that the compiler unrolls it.
#[inline(always)]
pub(super) fn span<const KIND: u8>(bytes: &[u8]) -> usize {
    let mut n = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        for (i, &byte) in word.iter().enumerate() {
            if CLASS[usize::from(byte)] & KIND == 0 {
                return n + i;
            }
        }
        n += 8;
    }
    for &byte in rest {
        if CLASS[usize::from(byte)] & KIND == 0 {
            return n;
        }
        n += 1;
    }
    n
}

/// How many bytes at the front are neither control characters nor DEL.
///
/// May stop early, at a byte after a 0xff: the caller looks at what it stopped at anyway.
#[inline(always)]
pub(super) fn plain_text(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut n = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let x = u64::from_le_bytes(*word);
        // High bit where a byte is below space or is DEL. The lowest one set is at most a false
        // alarm (a carry out of a 0xff), never late.
        let stops = (x.wrapping_sub(ONES * 0x20) | x.wrapping_add(ONES)) & !x & (ONES * 0x80);
        if stops != 0 {
            return n + (stops.trailing_zeros() / 8) as usize;
        }
        n += 8;
    }
    for &byte in rest {
        if byte < b' ' || byte == 0x7f {
            return n;
        }
        n += 1;
    }
    n
}

/// How many bytes at the front may stand in a field value: all but control characters, save tabs.
fn text(bytes: &[u8]) -> usize {
    let n = plain_text(bytes);
    let rest = bytes.get(n..).unwrap_or_default();
    n + rest.iter().take_while(|b| (**b >= b' ' && **b != 0x7f) || **b == b'\t').count()
}

/// Reads complete lines from the front of `front`; returns how many bytes they are, and what came
/// of it. Never looks further than the section's limit.
#[inline]
pub(super) fn advance(
    request: &mut Request,
    front: &[u8],
    max_head: usize,
    resolve: &impl Resolve,
) -> (usize, Step) {
    let view = front.get(..room(request, max_head)).unwrap_or(front);
    let mut taken = 0;
    loop {
        let rest = view.get(taken..).unwrap_or_default();
        let line = match request.stage {
            Stage::Fields | Stage::Trailers => field_line(request, rest),
            Stage::RequestLine => request_line(request, rest, resolve),
            Stage::ChunkSize => chunk_size(request, rest),
            Stage::ChunkEnd => chunk_end(rest),
            _ => Ok((0, true)),
        };
        match line {
            Ok((len, done)) => {
                taken += len;
                request.used += len as u32;
                if done {
                    return (taken, Step::Done);
                }
            }
            Err(canned) => return (taken, verdict(request.stage, rest, canned)),
        }
    }
}

/// An incomplete line looks wrong as well: it is only wrong once it is whole.
#[cold]
fn verdict(stage: Stage, rest: &[u8], canned: Canned) -> Step {
    let hopeless = match rest {
        [first, ..] => stage == Stage::RequestLine && *first != b'\r' && !is_token(*first),
        [] => false,
    };
    if hopeless || rest.contains(&b'\n') { Step::Refused(canned) } else { Step::More }
}

/// How many more bytes the section's lines may take, counted from the front.
pub(super) fn room(request: &Request, max_head: usize) -> usize {
    let limit = match request.stage {
        Stage::ChunkSize => MAX_CHUNK_LINE,
        Stage::ChunkEnd => 2,
        _ => max_head,
    };
    limit.saturating_sub(request.used as usize)
}

/// The refusal of a line that does not fit its section's limit.
pub(super) fn overflow(stage: Stage) -> Canned {
    match stage {
        Stage::RequestLine => Canned::TargetTooLong,
        Stage::Fields | Stage::Trailers => Canned::HeadTooLarge,
        _ => Canned::BadRequest,
    }
}

/// The bytes of a line, and whether it ends its section.
type Line = Result<(usize, bool), Canned>;

#[inline(always)]
fn request_line(request: &mut Request, rest: &[u8], resolve: &impl Resolve) -> Line {
    let (method, start) = match rest {
        [b'G', b'E', b'T', b' ', ..] => (Method::Get, 4),
        // An empty line before a request is ignored (RFC 9112, section 2.2).
        [b'\r', b'\n', ..] => return Ok((2, false)),
        _ => method(rest)?,
    };
    let after = rest.get(start..).unwrap_or_default();
    let len = span::<TARGET>(after);
    let (target, version) = after.split_at_checked(len).ok_or(Canned::BadRequest)?;
    match version {
        [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b'\r', b'\n', ..] => {}
        _ => request.old = old_version(version)?,
    }
    request.method = method;
    request.answer.head_only = method == Method::Head;
    request.answer.index = resolve.resolve(method, target)?;
    request.stage = Stage::Fields;
    Ok((start + len + 11, false))
}

#[cold]
fn method(rest: &[u8]) -> Result<(Method, usize), Canned> {
    let len = span::<TOKEN>(rest);
    let (name, after) = rest.split_at_checked(len).unwrap_or_default();
    if name.is_empty() || after.first() != Some(&b' ') {
        return Err(Canned::BadRequest);
    }
    let method = match name {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"OPTIONS" => Method::Options,
        _ => Method::Other,
    };
    Ok((method, len + 1))
}

/// Whether this is HTTP/1.0; a later 1.x is treated as 1.1 (RFC 9110, section 2.5).
#[cold]
fn old_version(rest: &[u8]) -> Result<bool, Canned> {
    match rest {
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n', ..]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major == b'1' {
                Ok(*minor == b'0')
            } else {
                Err(Canned::Version)
            }
        }
        _ => Err(Canned::BadRequest),
    }
}

#[inline(always)]
fn field_line(request: &mut Request, rest: &[u8]) -> Line {
    if let [b'\r', b'\n', ..] = rest {
        return Ok((2, true));
    }
    let len = span::<TOKEN>(rest);
    let (name, after) = rest.split_at_checked(len).ok_or(Canned::BadRequest)?;
    let (b':', false) = (*after.first().ok_or(Canned::BadRequest)?, name.is_empty()) else {
        return Err(Canned::BadRequest);
    };
    let raw = after.get(1..).unwrap_or_default();
    let end = text(raw);
    let (raw, after) = raw.split_at_checked(end).ok_or(Canned::BadRequest)?;
    let [b'\r', b'\n', ..] = after else {
        return Err(Canned::BadRequest);
    };
    // Fields of a trailer section are read for their syntax and have no say.
    if request.stage == Stage::Fields {
        fields::note(request, name, trim(raw))?;
    }
    Ok((len + 1 + end + 2, false))
}

/// Without optional white space around it (RFC 9110, section 5.6.3).
#[inline(always)]
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `chunk-size [ chunk-ext ] CRLF` (RFC 9112, section 7.1); extensions are ignored.
fn chunk_size(request: &mut Request, rest: &[u8]) -> Line {
    let mut size = 0u64;
    let mut digits = 0;
    for &byte in rest {
        let Some(digit) = char::from(byte).to_digit(16) else { break };
        if size >> 60 != 0 {
            return Err(Canned::BadRequest);
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    }
    let after = rest.get(digits..).unwrap_or_default();
    let end = text(after);
    let (extensions, after) = after.split_at_checked(end).unwrap_or_default();
    let [b'\r', b'\n', ..] = after else {
        return Err(Canned::BadRequest);
    };
    let extended = trim(extensions).starts_with(b";");
    if digits == 0 || !(extensions.is_empty() || extended) {
        return Err(Canned::BadRequest);
    }
    request.left = size;
    Ok((digits + end + 2, true))
}

/// The line end that follows a chunk's data.
fn chunk_end(rest: &[u8]) -> Line {
    match rest {
        [b'\r', b'\n', ..] => Ok((2, true)),
        _ => Err(Canned::BadRequest),
    }
}
