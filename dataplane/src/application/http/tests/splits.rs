//! The answer depends on the bytes alone: not on segments, on room, on the ring, nor on the short way.

use proptest::prelude::*;

use super::super::parse::{self, Step};
use super::super::plain;
use super::super::session::Request;
use super::*;

/// Longer than any line below, shorter than what is sent in all.
const RING: usize = 160;

/// Requests and what looks like some, one after the other.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x?y HTTP/1.1\r\nHost: 10.0.0.1:80\r\nUser-Agent: some/1.0 (thing)\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
        "HEAD /a HTTP/1.1\r\nhost: a\r\nX-Long-Name-Of-A-Field: value with words\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nGET / H",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nabcd",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n11\r\n0123456789abcdef0\r\n0\r\nA: b\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nBad Field\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: \u{ff}\u{80}\u{0}\r\n\r\n",
        "GET /ends/in/the/middle HTTP/1.1\r\nHo",
        "\u{16}\u{3}\u{1}",
    ]);
    let altered = (fixed.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
        let mut bytes = text.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![6 => fixed.prop_map(|text| text.as_bytes().to_vec()), 1 => altered]
}

/// Everything a peer can tell of a conversation, with a schedule of arrivals and of room.
fn scheduled(
    http: &Http,
    input: &[u8],
    ring: usize,
    room: usize,
    schedule: &[(usize, usize)],
) -> (Vec<u8>, usize, usize, [u64; 5]) {
    let mut mock = Mock::new(ring, room);
    let (mut state, mut counters) = (FlowState::New, AppCounters::default());
    let mut rest = input;
    let mut turns = schedule.iter().cycle();
    let mut idle = 0;
    while idle < schedule.len() + 1 {
        let &(step, ack) = turns.next().unwrap();
        let took = mock.arrive(&rest[..rest.len().min(step)]);
        rest = &rest[took..];
        http.on_tcp(&mut state, &mut mock, &mut counters);
        idle = if took + mock.drain(ack) > 0 { 0 } else { idle + 1 };
    }
    assert!(rest.is_empty(), "stuck with {} bytes to come", rest.len());
    mock.fin();
    loop {
        http.on_tcp(&mut state, &mut mock, &mut counters);
        if mock.drain(usize::MAX) == 0 {
            break;
        }
    }
    assert!(matches!(state, FlowState::Done));
    let seen = [
        counters.http_requests,
        counters.http_bad_requests,
        counters.http_truncated_requests,
        counters.tcp_bytes_in,
        counters.tcp_bytes_out,
    ];
    (mock.sent, mock.closes, mock.aborts, seen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_and_any_room_give_the_same_answer(
        pieces in prop::collection::vec(piece(), 1..8),
        schedule in prop::collection::vec((1usize..200, 1usize..300), 1..6),
        room in 1usize..300,
        spare in 0usize..200,
    ) {
        let http = Http::new(&hello()).unwrap();
        let input = pieces.concat();
        let whole = scheduled(&http, &input, 8192, 16384, &[(8192, 16384)]);
        let ring = RING + spare;
        prop_assert_eq!(&scheduled(&http, &input, ring, room, &schedule), &whole);
        prop_assert_eq!(&scheduled(&http, &input, ring, 1, &[(1, 1)]), &whole);
    }

    #[test]
    fn the_short_way_leads_where_the_long_one_does(input in piece()) {
        let http = Http::new(&hello()).unwrap();
        if let Some(plain) = plain::recognise(&input) {
            let mut request = Request::default();
            let (taken, step) = parse::advance(&mut request, &input, http.max_head, &http);
            let index = http.content.find(plain.target);
            match step {
                Step::Refused(canned) => prop_assert_eq!(index, Err(canned)),
                _ => {
                    prop_assert_eq!((taken, step), (plain.len, Step::Done));
                    prop_assert_eq!(index, Ok(request.answer.index));
                    prop_assert_eq!(request.close, plain.close);
                    let other = request.old || request.length || request.chunked;
                    prop_assert!(request.host && !other && !request.expect);
                }
            }
        }
    }

    #[test]
    fn nothing_that_can_be_sent_panics_or_hangs(
        input in prop::collection::vec(any::<u8>(), 0..600),
        prefix in piece(),
    ) {
        let http = Http::new(&hello()).unwrap();
        let input = [prefix, input].concat();
        let (_, closes, aborts, _) = scheduled(&http, &input, 4096, 64, &[(33, 64)]);
        prop_assert_eq!((closes, aborts), (1, 0));
    }
}
