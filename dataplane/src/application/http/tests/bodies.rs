//! Bodies of requests: read to their end, within limits, so that the next request is found.

use super::*;

/// A request with a body, then a plain one: the body's status and whether the plain one was found.
fn with_next(fields: &str, body: &str) -> (Vec<u16>, String) {
    let next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{next}");
    let output = talk(&hello(), input.as_bytes()).output;
    (statuses(&output), output)
}

#[test]
fn a_body_of_known_length_is_read_to_its_end() {
    for len in [0, 1, 99, 100] {
        let (codes, _) = with_next(&format!("Content-Length: {len}"), &"x".repeat(len));
        assert_eq!(codes, [200, 200], "{len}");
    }
    let (codes, _) = with_next("Content-Length: 00000000000000000000000005", "12345");
    assert_eq!(codes, [200, 200]);
}

#[test]
fn a_body_that_looks_like_a_request_is_not_one() {
    let inner = "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (codes, _) = with_next(&format!("Content-Length: {}", inner.len()), inner);
    assert_eq!(codes, [200, 200]);
    let chunked = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    assert_eq!(with_next("Transfer-Encoding: chunked", &chunked).0, [200, 200]);
}

#[test]
fn chunked_bodies_are_decoded() {
    for body in [
        "0\r\n\r\n",
        "5\r\nabcde\r\n0\r\n\r\n",
        "0005;a=\"b;c\"\r\nabcde\r\nA ; x\r\n0123456789\r\n000\r\n\r\n",
        "1\r\na\r\n0\r\nTrailer: x\r\nContent-Length: 7\r\nHost: b\r\n\r\n",
        "64\r\n0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n0\r\n\r\n",
    ] {
        assert_eq!(with_next("Transfer-Encoding: Chunked", body).0, [200, 200], "{body:?}");
    }
}

#[test]
fn bad_chunks_are_refused() {
    for (body, status) in [
        ("\r\n", 400),
        ("g\r\n", 400),
        ("-1\r\n", 400),
        ("0x1\r\na\r\n0\r\n\r\n", 400),
        ("1 \r\na\r\n0\r\n\r\n", 400),
        (" 1\r\na\r\n0\r\n\r\n", 400),
        ("1\na\n0\n\n", 400),
        ("1\r\nab\r\n0\r\n\r\n", 400),
        ("1\r\na0\r\n\r\n", 400),
        ("1;\0\r\na\r\n0\r\n\r\n", 400),
        ("10000000000000000\r\n", 400),
        ("ffffffffffffffff\r\n", 413),
        ("65\r\n", 413),
        (
            "64\r\n0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n1\r\n",
            413,
        ),
        ("0\r\nbad trailer\r\n\r\n", 400),
        ("0\r\nA: b\r\n folded\r\n\r\n", 400),
    ] {
        assert_eq!(with_next("Transfer-Encoding: chunked", body).0, [status], "{body:?}");
    }
    let long = format!("1;{}\r\n", "x".repeat(300));
    assert_eq!(with_next("Transfer-Encoding: chunked", &long).0, [400]);
    let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(2000));
    assert_eq!(with_next("Transfer-Encoding: chunked", &trailers).0, [431]);
}

#[test]
fn an_expectation_is_met_before_the_body_and_only_then() {
    let (codes, output) = with_next("Content-Length: 2\r\nExpect: 100-Continue", "ab");
    assert_eq!(codes, [100, 200, 200]);
    assert!(output.starts_with(&[CONTINUE, OK].concat()));
    let (codes, _) = with_next("Transfer-Encoding: chunked\r\nExpect: 100-continue", "0\r\n\r\n");
    assert_eq!(codes, [100, 200, 200]);
    assert_eq!(with_next("Content-Length: 0\r\nExpect: 100-continue", "").0, [200, 200]);
    let old = talk(&hello(), b"GET / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\na");
    assert_eq!(old.output, OK_CLOSE);
}

#[test]
fn a_client_that_waits_for_the_interim_response_gets_it() {
    let http = Http::new(&hello()).unwrap();
    let (mut state, mut counters) = (FlowState::New, AppCounters::default());
    let mut mock = Mock::new(256, 256);
    mock.arrive(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    http.on_tcp(&mut state, &mut mock, &mut counters);
    mock.drain(256);
    assert_eq!(mock.sent, CONTINUE.as_bytes());
    mock.arrive(b"ab");
    http.on_tcp(&mut state, &mut mock, &mut counters);
    mock.drain(256);
    assert_eq!(statuses(&String::from_utf8(mock.sent).unwrap()), [100, 200]);
    assert_eq!(counters.http_responses, [1, 1, 0, 0, 0]);
}

#[test]
fn an_error_that_is_known_from_the_head_is_sent_instead_of_the_interim_response() {
    let next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let ask = |spec: &HttpSpec, start: &str, framing: &str, body: &str| {
        let head = format!("{start} HTTP/1.1\r\nHost: a\r\n{framing}\r\nExpect: 100-continue\r\n\r\n");
        talk(spec, format!("{head}{body}{next}").as_bytes())
    };
    let failing = HttpSpec { status: 503, ..hello() };
    for (spec, start, status) in
        [(&hello(), "POST /", 405), (&hello(), "PUT /", 405), (&failing, "GET /", 503)]
    {
        for (framing, body) in [
            ("Content-Length: 2", "ab"),
            ("Content-Length: 2", ""),
            ("Transfer-Encoding: chunked", "2\r\nab\r\n0\r\n\r\n"),
        ] {
            let outcome = ask(spec, start, framing, body);
            assert_eq!(statuses(&outcome.output), [status], "{start} {framing} {body:?}");
            assert!(outcome.output.contains("\r\nConnection: close\r\n"), "{}", outcome.output);
            assert_eq!((outcome.closes, outcome.aborts), (1, 0));
            assert_eq!((outcome.counters.http_requests, outcome.counters.http_bad_requests), (1, 0));
        }
    }
    // A body that is announced as empty is not waited for, so the connection can stay.
    let outcome = ask(&hello(), "POST /", "Content-Length: 0", "");
    assert_eq!(statuses(&outcome.output), [405, 200]);
    // HTTP/1.0 knows no expectations.
    let old = b"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\naGET / HTTP/1.0\r\n\r\n";
    assert_eq!(statuses(&talk(&hello(), old).output), [405, 200]);
}
