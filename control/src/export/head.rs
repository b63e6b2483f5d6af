//! Heads and trailers of messages, as names and values.
//!
//! Invariant: whatever a worker took for a head gives something: what the parser refuses is split at its line ends.

use std::borrow::Cow;

use events::{Pair, latin1};
use httparse::{EMPTY_HEADER, Header, ParserConfig, Request, Response, Status};

/// Fields that are parsed without a list on the heap.
const FEW: usize = 64;

/// The start line of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) version: Cow<'static, str>,
    /// Of a request.
    pub(super) method: String,
    /// Of a request.
    pub(super) target: String,
    /// Of a response.
    pub(super) status: u16,
    /// Of a response.
    pub(super) reason: String,
}

/// The start line and the fields of a request.
pub(super) fn request(head: &[u8]) -> (Start, Vec<Pair>) {
    let parsed = with_room(head, |fields| {
        let mut request = Request::new(fields);
        let done = lenient().parse_request(&mut request, head).is_ok_and(|status| status.is_complete());
        let start = Start {
            version: version(request.version),
            method: latin1(request.method?.as_bytes()),
            target: latin1(request.path?.as_bytes()),
            ..Start::default()
        };
        done.then(|| (start, pairs(request.headers)))
    });
    parsed.unwrap_or_else(|| {
        let (line, rest) = first_line(head);
        let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let mut word = || latin1(words.next().unwrap_or_default());
        let (method, target, last) = (word(), word(), word());
        let version = version_of(&last);
        (Start { version, method, target, ..Start::default() }, lines(rest))
    })
}

/// The start line and the fields of a response.
pub(super) fn response(head: &[u8]) -> (Start, Vec<Pair>) {
    let (line, rest) = first_line(head);
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut word = || latin1(words.next().unwrap_or_default());
    // The parser gives up a reason with bytes above 0x7f.
    let (first, second, reason) = (word(), word(), word());
    let parsed = with_room(head, |fields| {
        let mut response = Response::new(fields);
        let done = lenient().parse_response(&mut response, head).is_ok_and(|status| status.is_complete());
        let (version, status) = (version(response.version), response.code?);
        done.then(|| (version, status, pairs(response.headers)))
    });
    let (version, status, fields) =
        parsed.unwrap_or_else(|| (version_of(&first), second.parse().unwrap_or_default(), lines(rest)));
    (Start { version, status, reason, ..Start::default() }, fields)
}

/// The fields of a trailer section, with or without the blank line behind it.
pub(super) fn trailers(section: &[u8]) -> Vec<Pair> {
    if section.is_empty() {
        return Vec::new();
    }
    let parsed = with_room(section, |fields| match httparse::parse_headers(section, fields) {
        Ok(Status::Complete((_, fields))) => Some(pairs(fields)),
        Ok(Status::Partial) | Err(_) => None,
    });
    parsed.unwrap_or_else(|| lines(section))
}

/// What clients and servers get away with is read as well.
fn lenient() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    config
}

/// Parses with room for as many fields as there can be.
fn with_room<'b, T>(bytes: &'b [u8], parse: impl FnOnce(&mut [Header<'b>]) -> Option<T>) -> Option<T> {
    let most = bytes.iter().filter(|byte| **byte == b'\n').count();
    if most <= FEW { parse(&mut [EMPTY_HEADER; FEW]) } else { parse(&mut vec![EMPTY_HEADER; most]) }
}

fn pairs(fields: &[Header<'_>]) -> Vec<Pair> {
    let fields = fields.iter().filter(|field| !field.name.is_empty());
    fields.map(|field| (latin1(field.name.as_bytes()), latin1(field.value))).collect()
}

fn version(minor: Option<u8>) -> Cow<'static, str> {
    if minor == Some(0) { "1.0".into() } else { "1.1".into() }
}

fn version_of(word: &str) -> Cow<'static, str> {
    version((word == "HTTP/1.0").then_some(0))
}

/// The first line that is not blank, without its end, and what follows.
fn first_line(head: &[u8]) -> (&[u8], &[u8]) {
    let begin = head.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(head.len());
    let head = &head[begin..];
    let end = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
    let (line, rest) = head.split_at(end);
    (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
}

/// Fields, one a line, split at their first colon.
fn lines(bytes: &[u8]) -> Vec<Pair> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        (latin1(name.trim_ascii()), latin1(value.get(1..).unwrap_or_default().trim_ascii()))
    };
    lines.map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Pair {
        (name.into(), value.into())
    }

    #[test]
    fn heads_are_read_as_they_were_sent() {
        let (start, fields) =
            request(b"GET /a?b=%20 HTTP/1.1\r\nHost: x\r\nX-Y:  caf\xe9 \r\nhost: z\r\n\r\n");
        assert_eq!((start.method.as_str(), start.target.as_str()), ("GET", "/a?b=%20"));
        assert_eq!(start.version, "1.1");
        assert_eq!(fields, [pair("Host", "x"), pair("X-Y", "caf\u{e9}"), pair("host", "z")]);
        let (start, fields) = response(b"HTTP/1.0 404 Not \xfcber here\r\nA: 1\r\n\r\n");
        assert_eq!((start.status, start.reason.as_str()), (404, "Not \u{fc}ber here"));
        assert_eq!((start.version.as_ref(), fields), ("1.0", vec![pair("A", "1")]));
        let (start, _) = response(b"HTTP/1.1 200\r\n\r\n");
        assert_eq!((start.status, start.reason.as_str()), (200, ""));
    }

    #[test]
    fn a_hundred_fields_are_a_hundred_fields() {
        let many: String = (0..100).map(|n| format!("F{n}: {n}\r\n")).collect();
        let (_, fields) = request(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes());
        assert_eq!((fields.len(), &fields[99]), (100, &pair("F99", "99")));
    }

    #[test]
    fn what_the_parser_refuses_is_split_at_line_ends() {
        let (start, fields) = request(b"G\x01T  /x HTTP/1.0\nno colon\nB : 2\n\n");
        assert_eq!((start.method.as_str(), start.target.as_str()), ("G\u{1}T", "/x"));
        assert_eq!(start.version, "1.0");
        assert_eq!(fields, [pair("no colon", ""), pair("B", "2")]);
        let (start, fields) = response(b"HTTP/1.1 200 OK\nbad\x00name: 1\n\n");
        assert_eq!((start.status, fields), (200, vec![pair("bad\u{0}name", "1")]));
        assert_eq!(request(b"").0.method, "");
        assert_eq!(response(b"").0.status, 0);
    }

    #[test]
    fn trailers_end_with_a_blank_line_or_without() {
        let both = [pair("Expires", "0"), pair("X", "y")];
        assert_eq!(trailers(b"Expires: 0\r\nX: y\r\n\r\n"), both);
        assert_eq!(trailers(b"Expires: 0\r\nX: y\r\n"), both);
        assert_eq!(trailers(b"\r\n"), []);
        assert_eq!(trailers(b""), []);
    }
}
