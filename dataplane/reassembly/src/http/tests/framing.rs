//! Where bodies end (RFC 9112, sections 6 and 7).

use super::*;

#[test]
fn one_request_one_response() {
    let mut bench = Bench::default();
    bench.client(GET).server(OK).close();
    let [request, response] = bench.messages()[..] else { panic!("{:?}", bench.sink) };
    let expected = Message {
        direction: Client,
        exchange: 0,
        offset: 0,
        begin: 0,
        time: 0,
        status: 0,
        framing: Framing::None,
        declared: None,
        head_length: 27,
        body_length: 0,
        missing: 0,
        complete: true,
        resync: false,
        upgrade: false,
        minor_version: 1,
        request: None,
    };
    assert_eq!(request, expected);
    let expected = Message {
        direction: Server,
        begin: 1,
        time: 1,
        status: 200,
        framing: Framing::Length,
        declared: Some(2),
        head_length: 38,
        body_length: 2,
        request: Some(RequestTimes { begin: 0, end: 0 }),
        ..expected
    };
    assert_eq!(response, expected);
    assert_eq!(bench.last().body, b"ok");
    assert_eq!(bench.counters(), Counters { requests: 1, responses: 1, ..Counters::default() });
    assert_eq!(bench.shared.most_held(), 0);
}

#[test]
fn lengths_of_requests() {
    let mut bench = Bench::default();
    bench
        .client("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        .client("ab")
        .client("cPUT / HTTP/1.0\r\n\r\n");
    bench.client("POST /2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n").client("\r\n\r\n\n").client(GET);
    assert_eq!(bench.sink.told[0].body, b"abc");
    let messages = bench.messages();
    assert_eq!((messages[0].begin, messages[0].time), (0, 2));
    assert_eq!((messages[1].minor_version, messages[1].offset, messages[1].exchange), (0, 41, 1));
    assert_eq!((messages[2].framing, messages[2].declared), (Framing::Length, Some(0)));
    // Empty lines before a request belong to none.
    assert_eq!((messages[3].begin, messages[3].offset), (5, 41 + 18 + 39 + 5));
    assert!(messages.iter().all(|message| message.complete));
}

#[test]
fn a_body_of_10_gib_costs_nothing() {
    let mut bench = Bench::default();
    bench.client("PUT / HTTP/1.1\r\nContent-Length: 10737418240\r\n\r\n");
    let piece = vec![b'x'; 1 << 20];
    bench.client(&piece).gap(Client, (10 << 30) - (1 << 20) - 3).client("abc").client(GET);
    let [put, get] = bench.messages()[..] else { panic!() };
    assert_eq!((put.body_length, put.missing, put.complete), (10 << 30, (10 << 30) - (1 << 20) - 3, true));
    assert_eq!((get.offset, get.resync), ((10 << 30) + 47, false));
    assert_eq!(bench.shared.most_held(), 0);
}

#[test]
fn the_greatest_length_there_is_does_not_overflow() {
    let mut bench = Bench::default();
    bench.server("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n").server("abc").close();
    let message = bench.messages()[0];
    assert_eq!((message.declared, message.body_length, message.complete), (Some(u64::MAX), 3, false));
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn chunks_are_taken_off() {
    let mut bench = Bench::default();
    bench.client(GET).server(CHUNKED).server("3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n000\r\n\r\n").server(OK);
    let told = &bench.sink.told[1];
    assert_eq!((&told.body[..], &told.trailers[..]), (&b"abc0123456789"[..], &b""[..]));
    let message = told.message();
    assert_eq!((message.framing, message.body_length, message.declared), (Framing::Chunked, 13, None));
    assert!(message.complete && bench.last().message().complete);
    assert!(!bench.last().message().resync);
}

#[test]
fn trailers_are_told_whole() {
    for piece in 1..40 {
        let mut bench = Bench::default();
        for bytes in format!("{CHUNKED}1\nx\n0\r\nDigest: abc\r\nB: c\r\n\r\n{OK}").as_bytes().chunks(piece) {
            bench.server(bytes);
        }
        assert_eq!(bench.sink.told[0].trailers, b"Digest: abc\r\nB: c\r\n\r\n");
        assert_eq!((&bench.sink.told[0].body[..], bench.messages()[0].body_length), (&b"x"[..], 1));
        assert_eq!(bench.last().body, b"ok");
        assert_eq!(bench.shared.held(), 0);
    }
}

#[test]
fn chunked_goes_before_a_length() {
    let mut bench = Bench::default();
    bench.client(
        "POST / HTTP/1.1\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    );
    bench.client(GET);
    assert_eq!(bench.sink.told[0].body, b"a");
    assert_eq!(bench.messages().len(), 2);
}

#[test]
fn a_chunk_of_any_size_costs_nothing() {
    let mut bench = Bench::default();
    bench.server(CHUNKED).server("ffffffffffffffff\r\nabc").gap(Server, 1 << 62).server("def").close();
    let message = bench.messages()[0];
    assert_eq!((message.body_length, message.missing, message.complete), ((1 << 62) + 6, 1 << 62, false));
    assert_eq!(bench.shared.most_held(), 0);
}

#[test]
fn bad_chunks_end_the_message_and_it_goes_on_with_the_next() {
    for bad in
        ["x\r\n", "11111111111111111\r\n", "-1\r\n", "\r\n\r\n", "2\r\nabc\r\n", "1\r\na\rb\r\n", "1 2\r\n"]
    {
        let mut bench = Bench::default();
        bench.client(GET).server(CHUNKED).server(bad).client(GET).server(OK).close();
        let messages = bench.messages();
        assert_eq!((messages[1].complete, messages[1].resync), (false, false), "{bad:?}");
        assert_eq!(
            (messages[3].complete, messages[3].resync, messages[3].exchange),
            (true, true, 1),
            "{bad:?}"
        );
        let counters = bench.counters();
        assert_eq!((counters.bad_chunks, counters.unreadable, counters.resyncs), (1, 1, 1), "{bad:?}");
        assert_eq!((counters.incomplete, counters.unmatched), (1, 0));
    }
}

#[test]
fn responses_without_a_body() {
    let mut bench = Bench::default();
    bench
        .client("HEAD / HTTP/1.1\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        .server(CHUNKED);
    assert_eq!(bench.sink.told[1].message().framing, Framing::None);
    // That was to HEAD; this is the next response, which has one.
    assert_eq!(bench.sink.told[2].end, None);
    for status in ["204 No Content", "304 Not Modified", "100 Continue", "199 X"] {
        let mut bench = Bench::default();
        bench.client(GET).server(format!("HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\n{OK}"));
        let messages = bench.messages();
        assert_eq!(
            (messages[1].framing, messages[1].complete, messages[1].declared),
            (Framing::None, true, None)
        );
        assert_eq!(messages[2].status, 200);
    }
}

#[test]
fn what_has_no_length_lasts_until_the_end() {
    let mut bench = Bench::default();
    bench.client(GET).server("HTTP/1.0 200 OK\r\n\r\nabc").gap(Server, 2).server("f").close();
    let told = bench.last();
    assert_eq!(told.body, b"abc??f");
    let message = told.message();
    assert_eq!((message.framing, message.complete, message.missing), (Framing::Close, true, 2));
    let mut bench = Bench::default();
    bench.client(GET).server("HTTP/1.0 200 OK\r\n\r\nabc").abort();
    assert!(!bench.last().message().complete);
    bench.server("more").gap(Server, 3).client(GET).close();
    assert_eq!(bench.messages().len(), 2);
}

#[test]
fn ends_cut_what_has_a_length() {
    for (bytes, direction) in [
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", Client),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Server),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", Server),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n", Server),
    ] {
        let mut bench = Bench::default();
        bench.data(direction, bytes).close();
        let message = bench.last().message();
        assert_eq!((message.complete, message.body_length), (false, 2));
        assert_eq!(bench.counters().incomplete, 1);
    }
    let mut bench = Bench::default();
    bench.client("GET / HT").close();
    assert_eq!(bench.messages(), []);
}

#[test]
fn bad_lengths_are_unreadable() {
    for fields in [
        "Content-Length: x",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 2",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip",
    ] {
        let mut bench = Bench::default();
        bench.client(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n{GET}"));
        assert_eq!(bench.lines(), ["GET / HTTP/1.1"], "{fields}");
        assert!(bench.messages()[0].resync);
        let counters = bench.counters();
        assert_eq!((counters.bad_lengths, counters.unreadable, counters.resyncs), (1, 1, 1));
    }
    let mut bench = Bench::default();
    bench.client("PUT / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2, 2\r\n\r\nab");
    assert!(bench.last().message().complete);
}
