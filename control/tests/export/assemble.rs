//! Messages put together.

use control::export::{Event, Losses};
use dataplane::event::{Framing, Message, Part, Topic};
use events::{Message as Told, What};
use reassembly::End;

use crate::records::{Client, Server, assembler, event, message, piece, summary};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";

fn told<'a>(event: &'a Event<'_>) -> &'a Told {
    let What::Message(told) = &event.meta.what else { panic!("{event:?}") };
    told
}

/// `body_length` = bytes of the payload + `body_left_out` + `body_missing`.
fn adds_up(event: &Event<'_>) {
    let told = told(event);
    let sum = event.payload.len() as u64 + told.body_left_out + told.body_missing;
    assert_eq!(told.body_length, sum, "{told:?}");
}

#[test]
fn an_exchange_of_whole_messages() {
    let mut all = assembler(1000, 1 << 20);
    let request = event(&mut all, 5, Part::Whole(message(Client, 0, GET.len(), 0)), GET);
    assert_eq!((request.topic, request.payload.len()), (Topic::HttpRequest, 0));
    let meta = &request.meta;
    assert_eq!((&*meta.service, &*meta.ingress, meta.flow.as_str()), ("web", "lan", "0-5"));
    assert_eq!((meta.seq, meta.dropped, meta.time), (200, 3, 200));
    let asked = told(&request);
    assert_eq!((asked.method.as_deref(), asked.target.as_deref()), (Some("GET"), Some("/a")));
    assert_eq!((asked.status, &asked.request, asked.upgrade), (None, &None, None));
    assert_eq!(asked.headers, [("Host".to_owned(), "x".to_owned())]);

    let answer = [OK, b"0123456789"].concat();
    let response = event(&mut all, 5, Part::Whole(message(Server, 0, OK.len(), 10)), &answer);
    assert_eq!((response.topic, &*response.payload), (Topic::HttpResponse, &b"0123456789"[..]));
    adds_up(&response);
    let answered = told(&response);
    assert_eq!((answered.status, answered.reason.as_deref()), (Some(200), Some("OK")));
    assert_eq!((&answered.method, answered.upgrade), (&None, Some(false)));
    let seen = answered.request.as_ref().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.begin, seen.end), ("GET", "/a", 100, 200));
    assert_eq!(all.held(), (0, 0), "nothing is left behind");
}

#[test]
fn a_message_in_pieces_with_holes_and_trailers() {
    let mut all = assembler(1000, 1 << 20);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    piece(&mut all, 5, Part::Head(message(Server, 2, head.len(), 0)), head);
    piece(&mut all, 5, Part::Body(Server), b"abc");
    // The other direction, and another flow, do not disturb it.
    piece(&mut all, 5, Part::Head(message(Client, 3, GET.len(), 0)), GET);
    piece(&mut all, 6, Part::Head(message(Server, 0, OK.len(), 0)), OK);
    piece(&mut all, 5, Part::Hole(Server, 7), b"");
    piece(&mut all, 5, Part::Body(Server), b"def");
    piece(&mut all, 5, Part::Trailers(Server), b"X-Sum: 1\r\n\r\n");
    let end = Message {
        body_missing: 7,
        framing: Framing::Chunked,
        request: Some((1, 2)),
        ..message(Server, 2, head.len(), 13)
    };
    let response = event(&mut all, 5, Part::End(end), b"");
    adds_up(&response);
    assert_eq!(&*response.payload, b"abcdef");
    let answered = told(&response);
    assert_eq!(answered.holes, [(3, 7)]);
    assert_eq!(answered.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
    assert_eq!((answered.framing.as_ref(), answered.body_missing), ("chunked", 7));
    // Its request was never seen here, only by the worker.
    let seen = answered.request.as_ref().unwrap();
    assert_eq!((seen.method.as_str(), seen.begin, seen.end), ("", 1, 2));
    assert_eq!(all.held().0, 2);
    event(&mut all, 5, Part::Close(summary(End::Fin, 0)), b"");
    event(&mut all, 6, Part::Close(summary(End::Fin, 0)), b"");
    assert_eq!((all.held(), all.losses()), ((0, 0), Losses { endless: 2, ..Losses::default() }));
}

#[test]
fn an_early_response_and_an_interim_one() {
    let mut all = assembler(1000, 1 << 20);
    piece(&mut all, 5, Part::Head(message(Client, 0, GET.len(), 0)), GET);
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let first = event(&mut all, 5, Part::Whole(message(Server, 0, interim.len(), 0)), interim);
    assert_eq!(told(&first).request.as_ref().unwrap().target, "/a");
    let refused = b"HTTP/1.1 413 No\r\n\r\n";
    let second = event(&mut all, 5, Part::Whole(message(Server, 0, refused.len(), 0)), refused);
    let seen = told(&second).request.clone().unwrap();
    assert_eq!((seen.target.as_str(), seen.end), ("/a", 150), "the last that was seen of it");
    let late = event(&mut all, 5, Part::End(message(Client, 0, GET.len(), 0)), b"");
    assert_eq!(told(&late).target.as_deref(), Some("/a"));
    assert_eq!(all.held(), (0, 0));
}

#[test]
fn bodies_end_at_the_limit_whichever_way_they_come() {
    let mut all = assembler(4, 1 << 20);
    let whole =
        event(&mut all, 5, Part::Whole(message(Server, 0, OK.len(), 10)), &[OK, b"0123456789"].concat());
    adds_up(&whole);
    assert_eq!((&*whole.payload, told(&whole).body_left_out), (&b"0123"[..], 6));
    piece(&mut all, 5, Part::Head(message(Server, 1, OK.len(), 0)), OK);
    for byte in [b"0", b"1", b"2", b"3", b"4"] {
        piece(&mut all, 5, Part::Body(Server), byte);
    }
    // Some found no room in the ring either.
    let end = Message { body_lost: 5, ..message(Server, 1, OK.len(), 10) };
    let pieces = event(&mut all, 5, Part::End(end), b"");
    adds_up(&pieces);
    assert_eq!((&*pieces.payload, told(&pieces).body_left_out), (&b"0123"[..], 6));
    // A worker that knows the limit does not even send what is beyond it.
    piece(&mut all, 5, Part::Head(message(Server, 2, OK.len(), 0)), OK);
    piece(&mut all, 5, Part::Body(Server), b"0123");
    let known = event(&mut all, 5, Part::End(message(Server, 2, OK.len(), 10)), b"");
    assert_eq!(told(&known).body_left_out, 6);
    assert_eq!(all.losses(), Losses { cut_limit: 2, cut_ring: 1, ..Losses::default() });
}

#[test]
fn an_end_is_an_event_even_where_its_head_was_given_up() {
    let mut all = assembler(1000, 8_000);
    for id in 0..100 {
        piece(&mut all, id, Part::Head(message(Server, 0, OK.len(), 0)), OK);
        piece(&mut all, id, Part::Body(Server), &[7; 900]);
        assert!(all.held().1 <= 8_000);
    }
    let oldest = event(&mut all, 0, Part::End(message(Server, 0, OK.len(), 900)), b"");
    adds_up(&oldest);
    let lost = told(&oldest);
    assert_eq!((lost.status, lost.version.as_ref(), lost.body_left_out), (Some(0), "", 900));
    let newest = event(&mut all, 99, Part::End(message(Server, 0, OK.len(), 900)), b"");
    assert_eq!((newest.payload.len(), told(&newest).status), (900, Some(200)));
    let losses = all.losses();
    assert_eq!((losses.evicted, losses.cut_limit), (1, 0));
    assert!(losses.cut_memory > 50, "{losses:?}");
}
