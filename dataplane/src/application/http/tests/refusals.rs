//! What is refused, and that a refusal is one error, a FIN and a bounded drain.

use super::super::session::MAX_DRAIN;
use super::*;

/// Each is refused with its status, once, whatever follows.
#[track_caller]
fn refused(status: u16, input: &[u8]) {
    let mut with_more = input.to_vec();
    with_more.extend(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
    for input in [input, &with_more] {
        let outcome = talk(&hello(), input);
        let shown = String::from_utf8_lossy(input);
        assert_eq!(statuses(&outcome.output), [status], "{shown:?}");
        assert!(outcome.output.contains("\r\nConnection: close\r\n"));
        assert_eq!((outcome.closes, outcome.aborts), (1, 0));
        assert_eq!(outcome.counters.http_bad_requests, 1);
    }
}

#[test]
fn bad_request_lines() {
    for line in [
        "garbage",
        "GET",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET / HTTP/1.1\t",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /#a HTTP/1.1",
        "POST  HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /\rHTTP/1.1",
    ] {
        refused(400, format!("{line}\r\nHost: a\r\n\r\n").as_bytes());
    }
    refused(400, b"GET / HTTP/1.1\nHost: a\n\n");
    refused(400, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn what_cannot_be_a_request_is_refused_at_its_first_byte() {
    refused(400, b"\x16\x03\x01\x02");
    refused(400, b"\0");
    refused(400, b"{");
    // Also where that byte is the first one past the receive ring's wrap, which is at 2 * k here.
    let http = Http::new(&hello()).unwrap();
    for k in 1..40 {
        let input = [&b"\r\n".repeat(k)[..], b"\x16\x03"].concat();
        let outcome = converse(&http, &input, 6 * k, 4096, 4096, 4096);
        assert_eq!(statuses(&outcome.output), [400], "{k}");
    }
}

#[test]
fn bad_fields() {
    for field in [
        "A : b",
        "A\t: b",
        ": b",
        "A",
        "A b: c",
        "A: \0",
        "A: b\x01",
        "A: b\x7f",
        "A: b\rC: d",
        "A(: b",
        " folded",
        "A: b\r\n folded",
        "A: b\r\n\tfolded",
        "A: b\nC: d",
        "\u{e9}: b",
    ] {
        refused(400, format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n").as_bytes());
        refused(400, format!("GET / HTTP/1.1\r\n{field}\r\nHost: a\r\n\r\n").as_bytes());
    }
}

#[test]
fn exactly_one_host() {
    refused(400, b"GET / HTTP/1.1\r\n\r\n");
    refused(400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    refused(400, b"GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n");
    refused(400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    refused(400, b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n");
    refused(400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
    refused(400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n");
    for fine in ["a.b:80", "[::1]:8080", "", "10.0.0.1"] {
        let input = format!("GET / HTTP/1.1\r\nHost: {fine}\r\n\r\n");
        assert_eq!(talk(&hello(), input.as_bytes()).output, OK);
    }
}

#[test]
fn versions() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1", "HTTP/9.9"] {
        refused(505, format!("GET / {version}\r\nHost: a\r\n\r\n").as_bytes());
    }
    refused(505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(talk(&hello(), b"GET / HTTP/1.7\r\nHost: a\r\n\r\n").output, OK);
}

#[test]
fn framing_that_two_readers_could_read_differently() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n");
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding: chunked\x0b",
        "X: y\rTransfer-Encoding: chunked",
    ] {
        refused(400, post(fields).as_bytes());
    }
    refused(400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    for coding in ["gzip", "identity", "gzip, chunked", "xchunked", "\"chunked\"", "chunked;a=b"] {
        refused(501, post(&format!("Transfer-Encoding: {coding}")).as_bytes());
    }
}

#[test]
fn limits() {
    let long = |n| "a".repeat(n);
    refused(414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(9000)).as_bytes());
    refused(414, long(9000).as_bytes());
    refused(431, format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", long(9000)).as_bytes());
    refused(431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(2000)).as_bytes());
    refused(413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
    refused(413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n");
    refused(413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n");
    refused(417, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: wonders\r\n\r\n");
}

#[test]
fn a_head_may_be_exactly_as_long_as_the_limit() {
    let head = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nA: ";
        format!("{start}{}\r\n\r\n", "b".repeat(len - start.len() - 4))
    };
    for (len, status) in [(8191, 200), (8192, 200), (8193, 431), (8194, 431)] {
        for step in [32 * 1024, 1] {
            let http = Http::new(&hello()).unwrap();
            let outcome = converse(&http, head(len).as_bytes(), 10_000, 100, step, 100);
            assert_eq!(statuses(&outcome.output), [status], "{len}");
        }
    }
}

#[test]
fn a_line_longer_than_the_receive_queue_is_refused_not_waited_for() {
    let http = Http::new(&hello()).unwrap();
    let input = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(500));
    let outcome = converse(&http, input.as_bytes(), 64, 100, 64, 100);
    assert_eq!(statuses(&outcome.output), [431]);
}

#[test]
fn an_error_to_head_has_no_content() {
    let outcome = talk(&hello(), b"HEAD / HTTP/1.1\r\n\r\n");
    assert!(outcome.output.starts_with("HTTP/1.1 400 "));
    assert!(outcome.output.ends_with("Connection: close\r\n\r\n"));
}

#[test]
fn a_peer_that_goes_on_after_a_refusal_is_reset() {
    let http = Http::new(&hello()).unwrap();
    let (mut state, mut counters) = (FlowState::New, AppCounters::default());
    let mut mock = Mock::new(4096, 4096);
    let mut sent = mock.arrive(b"\0");
    while mock.aborts == 0 {
        http.on_tcp(&mut state, &mut mock, &mut counters);
        mock.drain(4096);
        sent += mock.arrive(&[b'x'; 4096]);
        assert!(sent as u64 <= MAX_DRAIN + 3 * 4096, "not bounded");
    }
    http.on_tcp(&mut state, &mut mock, &mut counters);
    assert_eq!((mock.closes, mock.aborts, counters.http_drain_aborts), (1, 1, 1));
    assert_eq!(counters.tcp_bytes_in, MAX_DRAIN);
    assert_eq!(statuses(&String::from_utf8(mock.sent).unwrap()), [400]);
}
