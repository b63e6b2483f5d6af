//! Streams that are not HTTP, or not yet, or not any more.

use super::*;

#[test]
fn messages_are_found_in_the_middle_of_a_stream() {
    let mut bench = Bench::midstream();
    bench.client("some body\r\nPOST is not one\r\nGET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    bench.server("more of it").server("HTTP/1.1 204 No Content\r\n\r\n").server(OK).close();
    let messages = bench.messages();
    assert_eq!(bench.lines()[..2], ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
    assert_eq!(messages.iter().map(|message| message.resync).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(messages.iter().map(|message| message.exchange).collect::<Vec<_>>(), [0, 1, 0, 1]);
    assert_eq!((messages[0].offset, messages[2].offset), (28, 10));
    assert_eq!((bench.counters().resyncs, bench.counters().unreadable), (2, 0));
}

#[test]
fn a_message_that_is_found_may_come_in_pieces() {
    let found = "PUT /x HTTP/1.1\r\nContent-Length: 1\r\n\r\na";
    for piece in 1..found.len() {
        let mut bench = Bench::midstream();
        bench.client("rubbish, and\r\nmore of it");
        for bytes in found.as_bytes().chunks(piece) {
            bench.client(bytes);
        }
        bench.close();
        assert_eq!(
            (bench.lines(), bench.last().message().resync),
            (vec!["PUT /x HTTP/1.1"], true),
            "by {piece}"
        );
        assert!(bench.last().message().complete);
    }
}

#[test]
fn what_only_begins_like_a_message_is_passed_over() {
    let mut bench = Bench::midstream();
    for segment in ["x\nGET ", "it?\r\nGET /never HTTP/1.1\r\nno field\r\nPUT", " /2 HTTP/1.1\r\n\r\n"] {
        bench.client(segment);
    }
    for segment in ["HTTP/1.1", " 2x", "HTTP/1.1 200 \r\n", "HTTP/1.1 204 No\r\n\r\n"] {
        bench.server(segment);
    }
    bench.close();
    assert_eq!(bench.lines()[0], "PUT /2 HTTP/1.1");
    assert_eq!(bench.counters().unreadable, 0);
    // The response behind a head that is one so far belongs to it, for all that can be told.
    assert_eq!(bench.lines().len(), 1);
}

#[test]
fn a_stream_that_never_was_http_is_given_up() {
    let mut bench = Bench::default();
    bench.client([&b"\x16\x03\x01\x02\x00\x01"[..], &[0xab; 500]].concat());
    assert_eq!((bench.counters().unreadable, bench.counters().bad_heads), (1, 1));
    let segment = vec![b'\n'; 1460];
    for _ in 0..44 {
        bench.client(&segment);
    }
    assert!(!bench.framer.ignores(Client));
    for _ in 0..2 {
        bench.client(&segment);
    }
    assert!(bench.framer.ignores(Client) && !bench.framer.ignores(Server));
    bench.client(GET).server(OK);
    assert_eq!((bench.counters().unreadable, bench.counters().given_up), (1, 1));
    assert_eq!((bench.messages().len(), bench.shared.most_held()), (1, 0));
}

#[test]
fn text_without_lines_is_found_out_before_much_of_it_is_held() {
    let mut bench = Bench::default();
    for byte in "no HTTP, just words ".bytes().cycle().take(2000) {
        bench.client([byte]);
    }
    assert_eq!((bench.counters().unreadable, bench.shared.held()), (1, 0));
    assert!(bench.shared.most_held() <= 64, "{}", bench.shared.most_held());
}

#[test]
fn others_are_looked_at_where_segments_begin() {
    let segment = vec![b'\n'; 1460];
    let streams: [fn(&mut Bench) -> &mut Bench; 3] =
        [|bench| bench.client(GET).client("?"), |bench| bench.gap(Client, 1), |bench| bench];
    for (n, before) in streams.into_iter().enumerate() {
        let mut bench = if n == 2 { Bench::midstream() } else { Bench::default() };
        before(&mut bench);
        if n == 0 {
            bench.client(" ?\r\n");
        }
        for _ in 0..100 {
            bench.client(&segment);
        }
        let told = bench.messages().len();
        bench.client(format!("\r\n{GET}"));
        assert_eq!(bench.messages().len(), told, "{n}");
        bench.client(GET);
        assert_eq!(bench.messages().len(), told + 1, "{n}");
        assert!(bench.last().message().resync);
        // From there on, all is looked through again.
        bench.client("?? \r\nx\r\n").client(format!("\r\n{GET}"));
        assert_eq!(bench.messages().len(), told + 2, "{n}");
    }
}

#[test]
fn a_bad_head_costs_itself_only() {
    for bad in
        ["GET / HTTP/1.1\r\nno field\r\n\r\n", "GET / HTTP/1.7\r\nA: b\r\n\r\n", "GET /\r\n", "\u{1}x\n"]
    {
        for piece in 1..bad.len() {
            let mut bench = Bench::default();
            for bytes in bad.as_bytes().chunks(piece) {
                bench.client(bytes);
            }
            bench.client(GET).client(GET).close();
            let resyncs: Vec<_> = bench.messages().iter().map(|message| message.resync).collect();
            assert_eq!(resyncs, [true, false], "{bad:?} by {piece}");
            let counters = bench.counters();
            assert_eq!(
                (counters.unreadable, counters.bad_heads, counters.resyncs),
                (1, 1, 1),
                "{bad:?} by {piece}"
            );
        }
    }
}

#[test]
fn http_2_is_not_read() {
    let mut bench = Bench::default();
    bench
        .client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0")
        .server("\0\0\x06\x04\0\0\0\0\0")
        .close();
    assert_eq!((bench.messages(), bench.counters().unreadable), (vec![], 2));
}
