//! Tests of the store.

use serde_json::json;

use super::*;
use crate::event::tests::{event, message, meta};

fn store(events: usize, bytes: usize) -> Store {
    Store::new(Bounds { events, bytes })
}

fn request(store: &mut Store, seq: u64, flow: &str, number: u64) {
    let more = json!({"method": "GET", "target": format!("/{number}")});
    store.insert(event("http.request", &message(seq, flow, number, more), b""), 0);
}

fn response(store: &mut Store, seq: u64, flow: &str, number: u64, status: u16) {
    let more = json!({"status": status, "reason": "", "direction": "server",
        "request": {"method": "GET", "target": format!("/{number}"), "begin": 1, "end": 2}});
    store.insert(event("http.response", &message(seq, flow, number, more), b"body"), 0);
}

fn data(store: &mut Store, seq: u64, flow: &str, offset: u64, bytes: &[u8]) {
    let more = json!({"direction": "client", "offset": offset, "length": bytes.len()});
    store.insert(event("tcp.data", &meta(seq, flow, more), bytes), 0);
}

#[test]
fn responses_join_their_requests_in_a_pipeline() {
    let mut store = store(100, 1 << 20);
    for number in 0..3 {
        request(&mut store, number + 1, "a", number);
    }
    request(&mut store, 4, "b", 1);
    for number in 0..3 {
        response(&mut store, 5 + number, "a", number, 200 + number as u16);
    }
    let all = store.exchanges(u64::MAX, 10);
    let seen: Vec<_> = all.iter().map(|exchange| (exchange.target(), exchange.status())).collect();
    assert_eq!(seen, [("/1", None), ("/2", Some(202)), ("/1", Some(201)), ("/0", Some(200))]);
    assert_eq!(store.totals.exchanges, 4);
}

#[test]
fn the_same_flow_of_another_run_is_another() {
    let mut store = store(100, 1 << 20);
    request(&mut store, 1, "a", 0);
    let more = json!({"run": "ffffffffffffffff", "status": 200, "reason": "OK", "direction": "server"});
    store.insert(event("http.response", &message(1, "a", 0, more), b""), 0);
    assert_eq!(store.objects(), (2, 2));
}

#[test]
fn interim_responses_leave_room_for_the_last_one() {
    let mut store = store(100, 1 << 20);
    request(&mut store, 1, "a", 0);
    response(&mut store, 2, "a", 0, 100);
    response(&mut store, 3, "a", 0, 103);
    assert_eq!(store.exchange(1).unwrap().status(), Some(103));
    response(&mut store, 4, "a", 0, 201);
    let exchange = store.exchange(1).unwrap();
    assert_eq!((exchange.status(), exchange.interim.len(), store.objects().1), (Some(201), 2, 1));
    // Switching protocols is the last one (RFC 9110, section 15.2.2).
    request(&mut store, 5, "a", 1);
    response(&mut store, 6, "a", 1, 101);
    assert!(store.exchange(2).unwrap().response.is_some());
}

#[test]
fn a_response_may_come_before_its_request_is_complete() {
    let mut store = store(100, 1 << 20);
    response(&mut store, 1, "a", 0, 413);
    request(&mut store, 2, "a", 0);
    let exchange = store.exchange(1).unwrap();
    assert!(exchange.request.is_some() && exchange.response.is_some());
    assert_eq!(store.objects().1, 1);
    // A number that comes again, after a resync, is not joined to what is whole.
    response(&mut store, 3, "a", 0, 200);
    request(&mut store, 4, "a", 0);
    assert_eq!(store.objects().1, 2);
    assert_eq!(store.exchange(1).unwrap().status(), Some(413));
}

#[test]
fn the_bound_of_events_holds_and_the_oldest_go() {
    let mut store = store(10, 1 << 30);
    for number in 0..50 {
        request(&mut store, 2 * number + 1, "a", number);
        response(&mut store, 2 * number + 2, "a", number, 200);
        assert!(store.len() <= 10);
    }
    assert_eq!((store.len(), store.totals.evicted), (10, 90));
    assert_eq!((store.objects(), store.oldest()), ((1, 5), Some(46)));
    assert_eq!((store.joins.len(), store.exchange(45).is_none()), (5, true));
}

#[test]
fn the_bound_of_bytes_holds_and_nothing_is_left_of_flows_that_went() {
    let mut store = store(1000, 64 << 10);
    for flow in 0..100_u64 {
        data(&mut store, flow + 1, &format!("f{flow}"), 0, &[0; 4096]);
        assert!(store.bytes() <= 64 << 10);
    }
    let (flows, _) = store.objects();
    assert_eq!((flows, store.flow_ids.len()), (store.len(), store.len()));
    assert_eq!(store.len() as u64 + store.totals.evicted, 100);
    assert!(flows >= 12, "{flows}");
    // One that is larger than all of the room is not kept at all.
    data(&mut store, 101, "big", 0, &[0; 65 << 10]);
    assert_eq!((store.len(), store.bytes(), store.objects()), (0, 0, (0, 0)));
}

#[test]
fn a_half_evicted_exchange_still_says_what_was_asked() {
    let mut store = store(2, 1 << 20);
    request(&mut store, 1, "a", 7);
    data(&mut store, 2, "a", 0, b"x");
    response(&mut store, 3, "a", 7, 404);
    let exchange = store.exchange(1).unwrap();
    assert!(exchange.request.is_none());
    assert_eq!((exchange.method(), exchange.target(), exchange.status()), ("GET", "/7", Some(404)));
    assert_eq!(exchange.host(), "10.0.0.2:80");
}

#[test]
fn streams_keep_gaps_in_place_and_count_what_went() {
    let mut store = store(3, 1 << 20);
    data(&mut store, 1, "a", 0, b"first");
    data(&mut store, 2, "a", 5, b"second");
    let more = json!({"direction": "client", "offset": 11, "length": 1448, "cause": "acked"});
    store.insert(event("gap", &meta(3, "a", more), b""), 0);
    data(&mut store, 4, "a", 1459, b"third");
    let flow = store.flow(1).unwrap();
    let side = flow.sides[0];
    assert_eq!((side.bytes, side.gaps, side.missing, side.evicted), (16, 1, 1448, 5));
    assert_eq!((flow.first_piece, flow.pieces.len()), (1, 3));
    assert!(matches!(flow.pieces[1].kind, PieceKind::Gap(1448, _)));
    assert_eq!((store.totals.gaps, store.totals.missing), (1, 1448));
}

#[test]
fn changes_lead_to_exchanges() {
    let mut store = store(100, 1 << 20);
    request(&mut store, 1, "a", 0);
    let (changed, cursor) = store.changed(0, 10).unwrap();
    assert_eq!((changed.len(), cursor), (1, 1));
    response(&mut store, 2, "a", 0, 500);
    let (changed, _) = store.changed(cursor, 10).unwrap();
    assert_eq!(changed[0].status(), Some(500));
    assert_eq!(store.rates.list(1).1[0], Sample { events: 2, exchanges: 1, bytes: 4, errors: 1 });
}
