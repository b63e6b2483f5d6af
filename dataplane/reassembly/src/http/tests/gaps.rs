//! Bytes that were never seen.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_known_length_bridges_a_gap() {
    let mut bench = Bench::default();
    bench.client(POST).client("a").gap(Client, 2).client("d").client(POST).gap(Client, 4).client(GET);
    assert_eq!(bench.sink.told[0].body, b"a??d");
    let messages = bench.messages();
    assert_eq!((messages[0].missing, messages[0].body_length, messages[0].complete), (2, 4, true));
    assert_eq!((messages[1].missing, messages[1].complete, messages[1].time), (4, true, 5));
    assert_eq!((messages[2].resync, messages[2].exchange), (false, 2));
    assert_eq!(bench.counters().lost_in_gaps, 0);
}

#[test]
fn a_gap_beyond_a_body_is_one_in_a_head() {
    let mut bench = Bench::default();
    bench.client(POST).client("a").gap(Client, 5).client("ost: a\r\n\r\n").client(GET);
    let messages = bench.messages();
    assert_eq!((messages[0].missing, messages[0].body_length, messages[0].complete), (3, 4, true));
    assert_eq!((messages.len(), messages[1].resync), (2, true));
    assert_eq!(
        (bench.counters().lost_in_gaps, bench.counters().resyncs, bench.counters().unreadable),
        (1, 1, 0)
    );
}

#[test]
fn a_gap_in_a_head_costs_that_message() {
    let mut bench = Bench::default();
    bench.client("GET /1 HTTP/1.1\r\nHo");
    assert!(bench.shared.held() > 0);
    bench.gap(Client, 3);
    assert_eq!(bench.shared.held(), 0);
    bench.client("a\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    assert_eq!(bench.lines(), ["GET /2 HTTP/1.1", "GET /3 HTTP/1.1"]);
    let messages = bench.messages();
    assert_eq!((messages[0].resync, messages[1].resync), (true, false));
    assert_eq!(bench.counters().lost_in_gaps, 1);
}

#[test]
fn a_gap_inside_a_chunk_is_bridged() {
    for missing in 1..=5 {
        let mut bench = Bench::default();
        bench.client(CHUNKED).client("5\r\n").gap(Client, missing);
        bench.client(&"abcde\r\n0\r\n\r\n"[missing as usize..]).client(GET);
        let messages = bench.messages();
        assert_eq!((messages[0].missing, messages[0].body_length), (missing, 5));
        assert!(messages[0].complete && !messages[1].resync);
    }
}

#[test]
fn a_gap_in_what_is_between_chunks_is_not() {
    for (before, length, body, missing) in [
        ("5\r\nabc", 3, 5, 2),
        ("5\r\nabcde", 1, 5, 0),
        ("5", 1, 0, 0),
        ("", 9, 0, 0),
        ("1\r\na\r\n0\r\nA: b", 1, 1, 0),
    ] {
        let mut bench = Bench::default();
        bench.client(CHUNKED).client(before).gap(Client, length).client("\n0\r\n\r\n").client(GET);
        let messages = bench.messages();
        assert_eq!(
            (messages[0].body_length, messages[0].missing, messages[0].complete),
            (body, missing, false)
        );
        assert_eq!((messages.len(), messages[1].resync), (2, true), "{before:?}");
        assert_eq!((bench.counters().lost_in_gaps, bench.shared.held()), (1, 0));
    }
}

#[test]
fn a_lost_response_is_not_that_of_the_next_request() {
    let mut bench = Bench::default();
    bench.client("HEAD / HTTP/1.1\r\n\r\n").gap(Server, 40).client(GET).server(OK);
    let messages = bench.messages();
    assert_eq!((messages[2].exchange, messages[2].resync, messages[2].body_length), (1, true, 2));
    assert!(messages[2].request.is_some());
}

#[test]
fn a_lost_interim_response_leaves_the_request_under_way() {
    let mut bench = Bench::default();
    bench.client(POST).gap(Server, 25).client("abcd").server(OK);
    let messages = bench.messages();
    assert_eq!((messages[1].exchange, messages[1].request), (0, Some(RequestTimes { begin: 0, end: 2 })));
}

#[test]
fn a_lost_final_response_takes_the_number_of_its_interim_one_along() {
    let mut bench = Bench::default();
    bench.server("HTTP/1.1 100 Continue\r\n\r\n").gap(Server, 9).client(GET).server(OK);
    let messages = bench.messages();
    assert_eq!(messages.iter().map(|message| message.exchange).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn a_lost_request_leaves_its_response_without() {
    let mut bench = Bench::default();
    bench.client(GET).server(OK).gap(Client, 30).server(OK).client(GET).server(OK);
    let messages = bench.messages();
    assert_eq!(messages.iter().map(|message| message.exchange).collect::<Vec<_>>(), [0, 0, 1, 2, 2]);
    assert_eq!((messages[2].request, messages[3].resync), (None, true));
    assert!(messages[4].request.is_some());
}

#[test]
fn requests_seen_while_looking_for_a_response_are_matched() {
    let mut bench = Bench::default();
    bench.gap(Server, 10).server("HTTP/1.1 200").client(GET).server("x\r\n").server(OK);
    let messages = bench.messages();
    assert_eq!((messages.len(), messages[1].exchange, messages[1].resync), (2, 0, true));
    assert!(messages[1].request.is_some());
}

#[test]
fn a_gap_behind_connect_is_one_in_a_tunnel_or_loses_the_next_request() {
    let mut bench = Bench::default();
    bench
        .client("CONNECT a:1 HTTP/1.1\r\n\r\n")
        .gap(Client, 9)
        .server("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    bench.client("x\r\n").client(GET);
    assert!(bench.last().message().resync);
    assert_eq!(bench.messages().len(), 3);
    let mut bench = Bench::default();
    bench.client("CONNECT a:1 HTTP/1.1\r\n\r\n").gap(Server, 9).client(GET);
    assert_eq!(bench.messages().len(), 2);
}
