//! Heads: the start line and the fields, as far as framing asks.
//!
//! Invariant: what is found whole or bad here is so with any bytes behind it. Memory is taken only for more fields than
//! nearly any head has, and given back at once.

use super::fields::{Fields, tunnel};
use super::message::Framing;
use super::waiting::Method;
use crate::Direction;
use httparse::{EMPTY_HEADER, Error, Header, ParserConfig, Status};

/// Fields that are read without taking memory.
const FEW: usize = 32;

/// What framing asks of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes, the blank line included.
    pub(super) length: usize,
    pub(super) minor: u8,
    /// Of requests.
    pub(super) method: Method,
    /// Of responses; 0 for requests.
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Bytes of the body, where its framing says.
    pub(super) declared: u64,
    pub(super) upgrade: bool,
}

/// Why a head is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    Fields,
    Length,
}

/// `None`: there has to be more of it.
pub(super) type Outcome = Result<Option<Head>, Fault>;

/// Reads the head at the front, a request's from the client, or a response's to a request with the method `asked`.
pub(super) fn read(direction: Direction, bytes: &[u8], asked: Method, most: usize) -> Outcome {
    let mut few = [EMPTY_HEADER; FEW];
    let room = few.get_mut(..most.min(FEW)).unwrap_or_default();
    match read_into(direction, bytes, asked, room) {
        Err(Fault::Fields) if most > FEW => read_many(direction, bytes, asked, most),
        outcome => outcome,
    }
}

#[cold]
fn read_many(direction: Direction, bytes: &[u8], asked: Method, most: usize) -> Outcome {
    // No more fields than lines, however high the limit is.
    let lines = memchr::memchr_iter(b'\n', bytes).count();
    let mut many = vec![EMPTY_HEADER; most.min(lines + 1)];
    read_into(direction, bytes, asked, &mut many)
}

#[inline(always)]
fn read_into<'b>(direction: Direction, bytes: &'b [u8], asked: Method, room: &mut [Header<'b>]) -> Outcome {
    match direction {
        Direction::Client => request(bytes, room),
        Direction::Server => response(bytes, asked, room),
    }
}

fn request<'b>(bytes: &'b [u8], room: &mut [Header<'b>]) -> Outcome {
    let mut request = httparse::Request::new(room);
    let Status::Complete(length) = request.parse(bytes).map_err(fault)? else { return Ok(None) };
    let (framing, declared) = Fields::read(request.headers).request().ok_or(Fault::Length)?;
    let method = match request.method {
        Some("HEAD") => Method::Head,
        Some("CONNECT") => Method::Connect,
        _ => Method::Other,
    };
    let minor = request.version.unwrap_or_default();
    Ok(Some(Head { length, minor, method, status: 0, framing, declared, upgrade: false }))
}

fn response<'b>(bytes: &'b [u8], asked: Method, room: &mut [Header<'b>]) -> Outcome {
    let mut response = httparse::Response::new(room);
    // What servers are forgiven by the clients that this is between (RFC 9112, sections 5.1 and 5.2).
    let mut config = ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.allow_spaces_after_header_name_in_responses(true);
    let parsed = config.parse_response(&mut response, bytes).map_err(fault)?;
    let Status::Complete(length) = parsed else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let (framing, declared) = Fields::read(response.headers).response(status, asked).ok_or(Fault::Length)?;
    let upgrade = status == 101 || tunnel(status, asked);
    let minor = response.version.unwrap_or_default();
    Ok(Some(Head { length, minor, method: Method::Other, status, framing, declared, upgrade }))
}

fn fault(error: Error) -> Fault {
    match error {
        Error::TooManyHeaders => Fault::Fields,
        _ => Fault::Syntax,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_fields(count: usize) -> Vec<u8> {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend((0..count).flat_map(|n| format!("F{n}: v\r\n").into_bytes()));
        head.extend(b"\r\n");
        head
    }

    fn outcome(count: usize, most: usize) -> Outcome {
        read(Direction::Client, &with_fields(count), Method::Other, most)
    }

    #[test]
    fn as_many_fields_as_the_limit_says() {
        for most in [0, 3, 31, 32, 33, 128, 1000] {
            assert!(outcome(most, most).is_ok_and(|head| head.is_some()), "{most}");
            assert_eq!(outcome(most + 1, most), Err(Fault::Fields), "{most}");
        }
        let many = with_fields(100);
        assert_eq!(read(Direction::Client, &many[..many.len() - 1], Method::Other, 128), Ok(None));
    }

    #[test]
    fn responses_may_be_written_as_of_old() {
        let folded = b"HTTP/1.0 200\nA : b\n c\nContent-Length: 3\n\nabc";
        let head = read(Direction::Server, folded, Method::Other, 8).unwrap().unwrap();
        assert_eq!((head.length, head.minor, head.status, head.declared), (41, 0, 200, 3));
        assert_eq!(head.framing, Framing::Length);
        let folded = b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n";
        assert_eq!(read(Direction::Client, folded, Method::Other, 8), Err(Fault::Syntax));
    }
}
