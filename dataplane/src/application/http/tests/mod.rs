//! The http application through a stream: what is answered, and that how it arrives does not matter.

mod bodies;
mod files;
mod refusals;
mod splits;
mod times;

use super::super::testing::Mock;
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const OK_CLOSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// What came of a conversation.
struct Outcome {
    output: String,
    closes: usize,
    aborts: usize,
    counters: AppCounters,
}

fn hello() -> HttpSpec {
    HttpSpec { body: Body::Bytes(b"hello".to_vec()), max_body: 100, ..HttpSpec::default() }
}

fn talk(spec: &HttpSpec, input: &[u8]) -> Outcome {
    converse(&Http::new(spec).unwrap(), input, 32 * 1024, 4096, 32 * 1024, 4096)
}

fn converse(http: &Http, input: &[u8], ring: usize, room: usize, step: usize, ack: usize) -> Outcome {
    let mut mock = Mock::new(ring, room);
    let (mut state, mut counters) = (FlowState::New, AppCounters::default());
    mock.play(http, &mut state, &mut counters, input, step, ack);
    assert!(matches!(state, FlowState::Done), "still open: {state:?}");
    assert_eq!(counters.tcp_bytes_out, mock.sent.len() as u64 + mock.queued() as u64);
    let output = String::from_utf8(mock.sent).unwrap();
    Outcome { output, closes: mock.closes, aborts: mock.aborts, counters }
}

/// The final status of every response in a conversation of responses without content or with short ones.
fn statuses(output: &str) -> Vec<u16> {
    let starts = output.match_indices("HTTP/1.1 ");
    starts.map(|(at, start)| output[at + start.len()..][..3].parse().unwrap()).collect()
}

#[test]
fn a_plain_request_gets_the_fixed_response_and_the_connection_stays() {
    let outcome = talk(&hello(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((outcome.output.as_str(), outcome.closes, outcome.aborts), (OK, 1, 0));
    assert_eq!(outcome.counters.http_requests, 1);
    assert_eq!(outcome.counters.http_responses, [0, 1, 0, 0, 0]);
    assert_eq!(outcome.counters.http_bad_requests + outcome.counters.http_truncated_requests, 0);
}

#[test]
fn the_configured_status_and_headers_are_what_is_sent() {
    let header = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let spec =
        HttpSpec { status: 503, headers: vec![header("Retry-After", "5"), header("X-A", "b c")], ..hello() };
    let outcome = talk(&spec, b"GET /any HTTP/1.1\r\nHost: a\r\n\r\n");
    let expected =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nX-A: b c\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(outcome.output, expected);
    assert_eq!(outcome.counters.http_responses, [0, 0, 0, 0, 1]);

    let spec = HttpSpec { status: 204, body: Body::Bytes(Vec::new()), ..hello() };
    let outcome = talk(&spec, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(outcome.output, "HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        HEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
        PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
        \r\nOPTIONS * HTTP/1.1\r\nhost:a\r\n\r\n\
        GET http://b/c HTTP/1.1\r\nHOST:\ta \r\nX:\t1\t2\xff\r\n\r\n";
    let outcome = talk(&hello(), input);
    assert_eq!(statuses(&outcome.output), [200, 200, 405, 204, 200]);
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert!(outcome.output.starts_with(&[OK, head, "HTTP/1.1 405"].concat()));
    assert_eq!(outcome.output.matches("Allow: GET, HEAD, OPTIONS\r\n").count(), 2);
    assert!(outcome.output.ends_with(OK));
    assert_eq!((outcome.closes, outcome.counters.http_requests), (1, 5));
}

#[test]
fn a_connection_stays_or_closes_as_both_sides_say() {
    let twice = |request: &str| talk(&hello(), request.repeat(2).as_bytes()).output;
    assert_eq!(twice("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"), OK_CLOSE);
    assert_eq!(twice("GET / HTTP/1.0\r\n\r\n"), OK_CLOSE);
    assert_eq!(twice("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), OK_CLOSE);
    let stays = OK_CLOSE.replace("close", "keep-alive");
    assert_eq!(twice("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), stays.repeat(2));
    assert_eq!(twice("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"), OK.repeat(2));
    let spec = HttpSpec { keep_alive: false, ..hello() };
    let outcome = talk(&spec, &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    assert_eq!((outcome.output.as_str(), outcome.closes), (OK_CLOSE, 1));
}

#[test]
fn a_peer_that_ends_in_mid_request_is_closed_without_an_answer() {
    let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 1..whole.len() {
        let input = [whole, &whole[..cut]].concat();
        let outcome = talk(&hello(), input.as_bytes());
        assert_eq!((outcome.output.as_str(), outcome.closes), (OK, 1), "cut at {cut}");
        assert_eq!(outcome.counters.http_truncated_requests, 1);
    }
    let outcome = talk(&hello(), b"");
    assert_eq!((outcome.closes, outcome.counters.http_truncated_requests), (1, 0));
}

#[test]
fn a_large_body_goes_through_little_room() {
    let body: Vec<u8> = (0..100_000u32).map(|n| b'a' + (n % 23) as u8).collect();
    let spec = HttpSpec { body: Body::Bytes(body.clone()), ..hello() };
    let http = Http::new(&spec).unwrap();
    let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    let outcome = converse(&http, &input, 64, 1000, 10, 999);
    let response =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", String::from_utf8(body).unwrap());
    assert!(outcome.output == response.repeat(2));
}

#[test]
fn nothing_is_read_while_a_response_waits_for_room() {
    let http = Http::new(&hello()).unwrap();
    let (mut state, mut counters) = (FlowState::New, AppCounters::default());
    let mut mock = Mock::new(1024, 10);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    mock.arrive(&request.repeat(3));
    for _ in 0..5 {
        http.on_tcp(&mut state, &mut mock, &mut counters);
        assert_eq!((mock.pending(), mock.queued()), (request.len() * 2, 10));
    }
}

#[test]
fn what_cannot_be_served_is_refused_at_build() {
    let error = |spec: HttpSpec| Http::new(&spec).unwrap_err().to_string();
    let with = |n: &str, v: &str| HttpSpec { headers: vec![(n.into(), v.into())], ..hello() };
    for (spec, says) in [
        (HttpSpec { status: 100, ..hello() }, "status 100"),
        (HttpSpec { status: 600, ..hello() }, "status 600"),
        (HttpSpec { status: 304, ..hello() }, "has no body"),
        (HttpSpec { max_head: 255, ..hello() }, "from 256 to 16384"),
        (HttpSpec { max_head: 16385, ..hello() }, "from 256 to 16384"),
        (with("", "x"), "not an HTTP token"),
        (with("A b", "x"), "not an HTTP token"),
        (with("A", "x\r\nB: y"), "control characters"),
        (with("A", " x"), "outer spaces"),
        (with("content-length", "5"), "written by the server"),
        (with("A", &"x".repeat(17_000)), "shorten them"),
        (HttpSpec { body: Body::Bytes(vec![0; (16 << 20) + 1]), ..hello() }, "longer than"),
    ] {
        let message = error(spec);
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn datagrams_are_counted_and_not_answered() {
    use super::super::testing::Answer;
    let (mut answer, mut counters) = (Answer::new(100), AppCounters::default());
    Http::new(&hello()).unwrap().on_udp(b"GET / HTTP/1.1\r\n\r\n", &mut answer, &mut counters);
    assert_eq!((answer.sent.len(), counters.udp_datagrams_in), (0, 1));
}
