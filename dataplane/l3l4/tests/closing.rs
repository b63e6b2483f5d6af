//! Every way a connection can end.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ABORT, ANSWER, DISCARD, ECHO, MANUAL, SHOUT};
use common::link::Rng;
use common::transfer::{self, Transfer};
use common::wire::{ACK, FIN, RST, SYN, got, seg};
use common::{World, builder};
use core::time::Duration;
use l3l4::{CloseReason, DropReason, FlowError};
use smoltcp::socket::tcp::State;
use smoltcp::wire::IpAddress;

const LIMIT: Duration = Duration::from_secs(120);

fn to() -> IpAddress {
    IpAddress::v4(10, 0, 0, 2)
}

#[test]
fn the_peer_closes_first() {
    let mut world = World::new(builder());
    let handle = world.connect(to(), DISCARD);
    let mut all = [Transfer::new(handle, Rng(1).bytes(5000))];
    transfer::run(&mut world, &mut all, LIMIT, "peer closes");
    let id = world.app.last_id();
    assert_eq!(world.app.got[&id], all[0].out);
    assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
    assert_eq!(world.engine.flow_count(), 0, "the side that closes last does not wait");
}

#[test]
fn we_close_first_and_the_peer_goes_on_sending() {
    let mut world = World::new(builder());
    let handle = world.connect(to(), SHOUT);
    let data = Rng(2).bytes(200_000);
    let mut sent = 0;
    let mut back = vec![];
    world.run(LIMIT, "half-closed by us", |world| {
        let id = world.app.opened.first().map(|(id, _)| *id);
        let socket = world.socket(handle);
        while socket.can_recv() {
            back.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
        }
        // Only when our FIN is there does the peer begin.
        if socket.state() == State::CloseWait && sent < data.len() {
            sent += socket.send_slice(&data[sent..]).unwrap();
        }
        if sent == data.len() && socket.send_queue() == 0 {
            socket.close();
        }
        id.is_some_and(|id| world.app.reason(id).is_some())
    });
    let id = world.app.last_id();
    assert_eq!(back, [b'!'; 1000]);
    assert!(world.app.got[&id] == data);
    assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
    assert_eq!(world.engine.flow_count(), 1, "TIME-WAIT");
    world.run(LIMIT, "TIME-WAIT ends", |w| w.engine.flow_count() == 0);
}

#[test]
fn answer_and_close() {
    let mut world = World::new(builder());
    let handle = world.connect(to(), ANSWER);
    world.run(LIMIT, "established", |w| w.socket(handle).may_send());
    world.socket(handle).send_slice(b"GET").unwrap();
    world.run(LIMIT, "answered", |w| w.socket(handle).state() == State::CloseWait);
    assert_eq!(world.socket(handle).recv(|part| (part.len(), part.len())), Ok(200));
    world.socket(handle).close();
    world.run(LIMIT, "closed", |w| w.engine.flow_count() == 0);
}

#[test]
fn both_close_at_once() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    world.engine.close_flow(id).unwrap();
    world.turn();
    let fin = got(&world.app.take_out()[0]);
    assert_eq!((fin.flags, fin.seq), (FIN | ACK, ours));
    // The peer's FIN was sent before it saw ours.
    let out = world.exchange(seg(MANUAL, FIN | ACK, theirs, ours).build());
    assert_eq!(world.state(id), "CLOSING");
    assert_eq!(got(&out[0]).ack, theirs + 1);
    world.exchange(seg(MANUAL, ACK, theirs + 1, ours + 1).build());
    assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
    assert_eq!(world.engine.flow_count(), 1);
}

#[test]
fn the_application_aborts() {
    let mut world = World::new(builder());
    let handle = world.connect(to(), ABORT);
    world.run(LIMIT, "established", |w| w.socket(handle).may_send());
    world.socket(handle).send_slice(b"x").unwrap();
    world.run(LIMIT, "reset", |w| w.socket(handle).state() == State::Closed);
    let id = world.app.last_id();
    assert_eq!(world.app.reason(id), Some(CloseReason::Aborted));
    assert_eq!((world.engine.flow_count(), world.engine.counters().rst_sent), (0, 1));
}

#[test]
fn the_operator_aborts_without_a_buffer_at_first() {
    let mut world = World::new(builder());
    world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    world.app.dry = true;
    world.engine.release_spare();
    world.engine.abort_flow(id).unwrap();
    assert_eq!(world.engine.l4_tx(id, b"x"), Err(FlowError::Gone));
    assert_eq!(world.turn(), Some(world.time()), "it asks to be called again");
    assert_eq!(world.app.reason(id), None);
    let data = seg(MANUAL, ACK, 1001, 0).data(b"late").build();
    assert_eq!(world.give(data), Err(DropReason::TcpClosing));
    world.app.dry = false;
    world.turn();
    assert_eq!(got(&world.app.take_out()[0]).flags & RST, RST);
    assert_eq!(world.app.reason(id), Some(CloseReason::Aborted));
}

#[test]
fn resets_from_the_peer() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    // Inside the window but not exact: challenged, not obeyed (RFC 5961 section 3).
    let out = world.exchange(seg(MANUAL, RST, theirs + 10, 0).build());
    assert_eq!((out.len(), got(&out[0]).flags, got(&out[0]).ack), (1, ACK, theirs));
    assert_eq!(world.engine.counters().challenge_acks, 1);
    // Outside: nothing at all.
    for seq in [theirs - 1, theirs + 70_000] {
        assert!(world.exchange(seg(MANUAL, RST, seq, 0).build()).is_empty());
    }
    assert_eq!(world.state(id), "ESTABLISHED");
    // Data in front of it moves the number that is exact.
    world.exchange(seg(MANUAL, ACK, theirs, ours).data(b"hello").build());
    world.exchange(seg(MANUAL, RST, theirs, 0).build());
    assert_eq!(world.state(id), "ESTABLISHED");
    assert!(world.exchange(seg(MANUAL, RST, theirs + 5, 0).build()).is_empty());
    assert_eq!(world.app.reason(id), Some(CloseReason::PeerReset));
    assert_eq!(world.engine.flow_count(), 0);
}

/// A connection that we closed and that the peer then closed: in TIME-WAIT.
fn in_time_wait(world: &mut World) -> (u32, u32) {
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    world.engine.close_flow(id).unwrap();
    world.turn();
    world.app.take_out();
    world.exchange(seg(MANUAL, ACK, theirs, ours + 1).build());
    assert_eq!(world.state(id), "FIN-WAIT-2");
    let out = world.exchange(seg(MANUAL, FIN | ACK, theirs, ours + 1).build());
    assert_eq!((out.len(), got(&out[0]).ack), (1, theirs + 1));
    assert_eq!((world.engine.flow_count(), world.engine.tcp_flow_count()), (1, 0));
    assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
    (ours + 1, theirs + 1)
}

#[test]
fn time_wait_answers_a_fin_come_again() {
    let mut world = World::new(builder());
    let (ours, theirs) = in_time_wait(&mut world);
    let out = world.exchange(seg(MANUAL, FIN | ACK, theirs - 1, ours).build());
    let ack = got(&out[0]);
    assert_eq!((ack.flags, ack.seq, ack.ack), (ACK, ours, theirs));
    // RFC 1337: an RST does not end it; a bare ACK of everything asks for nothing.
    assert!(world.exchange(seg(MANUAL, RST, theirs, 0).build()).is_empty());
    assert!(world.exchange(seg(MANUAL, ACK, theirs, ours).build()).is_empty());
    assert_eq!(world.engine.flow_count(), 1);
    assert_eq!(world.engine.counters().dropped[DropReason::TcpTimeWait.index()], 3);
}

#[test]
fn time_wait_ends_and_a_fin_prolongs_it() {
    let mut world = World::new(builder());
    let (ours, theirs) = in_time_wait(&mut world);
    world.pass(8_000_000);
    world.exchange(seg(MANUAL, FIN | ACK, theirs - 1, ours).build());
    world.pass(8_000_000);
    assert_eq!(world.engine.flow_count(), 1);
    world.pass(2_100_000);
    world.turn();
    assert_eq!(world.engine.flow_count(), 0);
    let out = world.exchange(seg(MANUAL, FIN | ACK, theirs - 1, ours).build());
    assert_eq!((got(&out[0]).flags, got(&out[0]).seq), (RST, ours));
}

#[test]
fn time_wait_gives_way_to_a_higher_syn_only() {
    let mut world = World::new(builder());
    let (ours, theirs) = in_time_wait(&mut world);
    let old = world.app.last_id();
    let out = world.exchange(seg(MANUAL, SYN, theirs - 1, 0).build());
    assert_eq!(got(&out[0]).flags, ACK, "an old SYN gets an ACK");
    let out = world.exchange(seg(MANUAL, SYN, theirs + 1, 0).build());
    let answer = got(&out[0]);
    assert_eq!((answer.flags, answer.ack), (SYN | ACK, theirs + 2));
    assert!((answer.seq.wrapping_sub(ours) as i32) > 0, "above the last number of the old one");
    assert_ne!(world.app.last_id(), old);
    assert_eq!(world.engine.flow_count(), 1);
    world.exchange(seg(MANUAL, ACK, theirs + 2, answer.seq.wrapping_add(1)).build());
    let id = world.app.last_id();
    assert_eq!(world.state(id), "ESTABLISHED");
    // The stale entry in the TIME-WAIT queue does not touch the new flow.
    world.pass(30_000_000);
    assert_eq!(world.state(id), "ESTABLISHED");
}

#[test]
fn untaken_data_outlives_the_closing_handshake() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    world.engine.close_flow(id).unwrap();
    world.turn();
    world.exchange(seg(MANUAL, FIN | ACK, theirs, ours + 1).data(b"last words").build());
    world.pass(60_000_000);
    assert_eq!(world.app.reason(id), None, "not closed while the application has not read it");
    let mut bytes = [0; 10];
    let n = world
        .engine
        .with_conn(id, |conn| {
            let n = conn.copy(&mut bytes);
            conn.take(n);
            n
        })
        .unwrap();
    assert_eq!((n, &bytes), (10, b"last words"));
    world.turn();
    assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
}

#[test]
fn close_waits_for_what_is_queued() {
    let mut world = World::new(builder());
    let handle = world.connect(to(), MANUAL);
    world.run(LIMIT, "established", |w| w.socket(handle).may_send());
    let id = world.app.last_id();
    let data = Rng(4).bytes(50_000);
    assert_eq!(world.engine.l4_tx(id, &data), Ok(50_000));
    world.engine.close_flow(id).unwrap();
    assert_eq!(world.engine.l4_tx(id, b"more"), Err(FlowError::Closed));
    let mut back = vec![];
    world.run(LIMIT, "all there", |w| {
        let socket = w.socket(handle);
        while socket.can_recv() {
            back.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
        }
        socket.state() == State::CloseWait && !socket.can_recv()
    });
    assert!(back == data);
}

#[test]
fn a_stale_handle_never_reaches_a_later_flow() {
    let mut world = World::new(builder());
    let mut handles = vec![];
    for n in 0..50u16 {
        let (_, theirs) = world.handshake(&seg(ECHO, SYN, 1000, 0).sport(30_000 + n));
        let id = world.app.last_id();
        assert_eq!(id.index(), 0, "the slot is used again");
        for stale in &handles {
            assert_eq!(world.engine.l4_tx(*stale, b"x"), Err(FlowError::Gone));
            assert_eq!(world.engine.abort_flow(*stale), Err(FlowError::Gone));
            assert_eq!(world.engine.close_flow(*stale), Err(FlowError::Gone));
            assert!(world.engine.flow(*stale, world.time()).is_none());
        }
        assert_eq!(world.state(id), "ESTABLISHED");
        world.exchange(seg(ECHO, RST, theirs, 0).sport(30_000 + n).build());
        handles.push(id);
    }
}

#[test]
fn a_fin_that_the_peer_says_it_lacks_is_sent_again() {
    use l3l4::CongestionControl::{Cubic, None, Reno, Stack};
    for congestion in [Cubic, Reno, Stack, None] {
        let mut world = World::new(builder().direct(false).congestion(congestion));
        let (ours, theirs) = world.handshake(&seg(ANSWER, SYN, 1000, 0));
        let out = world.exchange(seg(ANSWER, ACK, theirs, ours).data(b"GET").build());
        let last = got(out.last().unwrap());
        assert_eq!(last.flags & FIN, FIN);
        // It was cut off on the way, as was the peer's own, and whatever the peer hears makes it say so.
        for _ in 0..6 {
            world.exchange(seg(ANSWER, ACK, theirs + 4, ours + 200).build());
        }
        let mut again = 0;
        for _ in 0..100 {
            world.now += 100_000;
            world.turn();
            again += world.app.take_out().iter().filter(|packet| got(packet).flags & FIN != 0).count();
        }
        assert!(again >= 2, "{congestion:?}: {again} times in ten seconds");
        world.exchange(seg(ANSWER, FIN | ACK, theirs + 3, ours + 201).build());
        assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::Finished));
    }
}

#[test]
fn untaken_data_outlives_the_last_acknowledgment() {
    for direct in [true, false] {
        let mut world = World::new(builder().direct(direct));
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
        let id = world.app.last_id();
        world.exchange(seg(MANUAL, FIN | ACK, theirs, ours).data(b"last words").build());
        world.engine.close_flow(id).unwrap();
        let fin = world.turn();
        assert!(fin.is_some() && got(&world.app.take_out()[0]).flags & FIN != 0);
        world.exchange(seg(MANUAL, ACK, theirs + 11, ours + 1).build());
        world.pass(300_000_000);
        assert_eq!(world.app.take_out().len(), 0, "there is nothing to say any more");
        let mut bytes = [0; 10];
        let taken = world.engine.with_conn(id, |conn| {
            let len = conn.copy(&mut bytes);
            conn.take(len);
            (len, conn.at_end())
        });
        assert_eq!((taken, &bytes), (Ok((10, true)), b"last words"));
        world.turn();
        assert_eq!((world.app.reason(id), world.engine.flow_count()), (Some(CloseReason::Finished), 0));
    }
}

/// The peer's FIN is no byte, whoever breaks off behind it.
#[test]
fn totals_of_one_that_is_aborted_behind_a_fin() {
    for builder in [builder(), builder().direct(false)] {
        let mut world = World::new(builder);
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
        let id = world.app.last_id();
        world.exchange(seg(MANUAL, ACK | FIN, theirs, ours).data(b"hello").build());
        assert_eq!(world.state(id), "CLOSE-WAIT");
        world.engine.with_conn(id, |conn| conn.abort()).unwrap();
        assert_eq!(world.engine.flow(id, world.time()).unwrap().bytes_in, 5);
        world.turn();
        assert_eq!(world.app.reason(id), Some(CloseReason::Aborted));
        assert_eq!(world.app.totals, [(id, 5, 0)]);
    }
}
