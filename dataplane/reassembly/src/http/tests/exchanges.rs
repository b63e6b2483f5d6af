//! Which response answers which request (RFC 9112, section 9.3).

use super::*;

fn exchanges(bench: &Bench, direction: Direction) -> Vec<u32> {
    let all = bench.messages();
    all.iter().filter(|message| message.direction == direction).map(|message| message.exchange).collect()
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut bench = Bench::default();
    bench.client(format!("{GET}HEAD / HTTP/1.1\r\n\r\n{GET}")).client(GET);
    bench.server(OK).server(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{OK}{OK}")).close();
    assert_eq!(exchanges(&bench, Client), [0, 1, 2, 3]);
    assert_eq!(exchanges(&bench, Server), [0, 1, 2, 3]);
    let times = bench.messages().iter().map(|message| message.request).collect::<Vec<_>>();
    let first = Some(RequestTimes { begin: 0, end: 0 });
    assert_eq!(times[4..], [first, first, first, Some(RequestTimes { begin: 1, end: 1 })]);
}

#[test]
fn interim_responses_have_the_number_of_the_final_one() {
    let mut bench = Bench::default();
    bench.client("PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\n");
    bench.server("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    bench.client("ab").server(OK).client(GET).server(OK);
    assert_eq!(exchanges(&bench, Server), [0, 0, 0, 1]);
    assert_eq!((bench.counters().interim, bench.counters().responses), (2, 2));
    let messages = bench.messages();
    assert_eq!(messages[1].request, Some(RequestTimes { begin: 0, end: 0 }));
    assert_eq!(messages[3].request, Some(RequestTimes { begin: 0, end: 2 }));
}

#[test]
fn an_early_response_is_that_of_the_request_under_way() {
    let mut bench = Bench::default();
    bench.client("PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n").client("a");
    bench.server("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n").client("b").server("no");
    let early = bench.last().message();
    assert_eq!((early.exchange, early.complete), (0, true));
    assert_eq!(early.request, Some(RequestTimes { begin: 0, end: 3 }));
    bench.client("cd").client(GET).server(OK).close();
    let messages = bench.messages();
    assert_eq!(messages.iter().map(|message| message.exchange).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert!(messages[0].complete && messages[0].time == 5);
}

#[test]
fn a_response_shown_before_its_request_belongs_to_it() {
    let mut bench = Bench::default();
    bench.client(GET).server(OK).server(OK).client(GET).client(GET).server(OK);
    assert_eq!(exchanges(&bench, Client), [0, 1, 2]);
    assert_eq!(exchanges(&bench, Server), [0, 1, 2]);
    assert_eq!(bench.counters().unmatched, 1);
}

#[test]
fn responses_to_nothing_have_their_own_numbers() {
    let mut bench = Bench::default();
    bench.server(format!("{OK}HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{OK}{OK}"));
    bench.client(GET).server(OK);
    assert_eq!(exchanges(&bench, Server), [0, 1, 1, 1, 2, 3]);
    assert_eq!(exchanges(&bench, Client), [3]);
    assert_eq!(bench.counters().unmatched, 3);
    assert!(bench.messages()[0].request.is_none());
}

#[test]
fn an_upgrade_ends_http() {
    let mut bench = Bench::default();
    bench.client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    bench.server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02GET");
    assert!(bench.framer.ignores(Client) && bench.framer.ignores(Server));
    bench.client(GET).server(OK).gap(Client, 5).close();
    let messages = bench.messages();
    assert_eq!(messages.len(), 2);
    assert!(messages[1].upgrade && messages[1].complete && !messages[0].upgrade);
    assert_eq!((messages[1].framing, messages[1].exchange), (Framing::None, 0));
    assert_eq!(bench.counters().upgrades, 1);
    assert_eq!(bench.counters().unreadable, 0);
}

#[test]
fn a_tunnel_ends_http_whatever_the_client_did_not_wait_for() {
    let mut bench = Bench::default();
    bench.client("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").client("\x16\x03\x01 hello");
    bench.server("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\x16\x03\x03").client("more").close();
    let messages = bench.messages();
    assert_eq!((messages.len(), messages[1].upgrade, messages[1].framing), (2, true, Framing::None));
    assert_eq!((bench.counters().unreadable, bench.counters().incomplete), (0, 0));
}

#[test]
fn a_refused_tunnel_does_not() {
    for hasty in [false, true] {
        let mut bench = Bench::default();
        bench.client("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
        if hasty {
            bench.client("\x16\x03\x01 hello");
        }
        bench.server("HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx").client(GET).server(OK).close();
        let messages = bench.messages();
        assert_eq!(messages.len(), 4);
        assert_eq!((messages[1].upgrade, messages[1].body_length), (false, 1));
        assert_eq!((messages[2].resync, messages[3].exchange), (hasty, 1));
    }
}

#[test]
fn an_upgrade_cuts_the_request_under_way() {
    let mut bench = Bench::default();
    bench.client("PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\na").server("HTTP/1.1 101 X\r\n\r\n");
    let messages = bench.messages();
    assert_eq!((messages[0].complete, messages[1].complete), (false, true));
}

#[test]
fn the_client_may_end_first() {
    let mut bench = Bench::default();
    bench.client(GET).end(Client).server(OK).end(Server);
    assert_eq!(bench.messages()[1].exchange, 0);
    assert_eq!(bench.messages()[1].request, Some(RequestTimes { begin: 0, end: 0 }));
}
