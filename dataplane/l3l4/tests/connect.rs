//! Connections opened from here: the handshake from its other side, and what comes instead of it.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, OURS};
use common::wire::{ACK, FIN, Got, PSH, RST, SYN, Seg, got, seg};
use common::{SERVER, World, builder};
use core::time::Duration;
use l3l4::{CloseReason, ConnectError, DropReason, FlowError, FlowId, FlowKey, PathMtu, TooBig};

const PATIENCE: Duration = Duration::from_secs(5);
/// Options of a Linux SYN-ACK, without timestamps.
const LINUX: [u8; 12] = [2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2];

fn all(packets: &[Vec<u8>]) -> Vec<Got> {
    packets.iter().map(|packet| got(packet)).collect()
}

/// What comes out `micros` later.
fn later(world: &mut World, micros: u64) -> Vec<Got> {
    world.now += micros;
    world.turn();
    all(&world.app.take_out())
}

/// Opens a connection whose application is an echo; returns its handle, its key and its SYN.
fn open(world: &mut World) -> (FlowId, FlowKey, Got) {
    let (key, now) = (world.server_key(true), world.time());
    let id = world.engine.connect(&mut world.app, now, &key, u64::from(ECHO), PATIENCE).unwrap();
    let out = later(world, 0);
    assert_eq!((out.len(), out[0].flags, out[0].ack), (1, SYN, 0));
    (id, key, out[0].clone())
}

/// A segment from the server.
fn from_server(key: &FlowKey, flags: u8, seq: u32, ack: u32) -> Seg {
    let mut segment = seg(key.local_port, flags, seq, ack).ends("10.0.0.1", "10.0.0.9").sport(SERVER);
    segment.window = 30_000;
    segment
}

#[test]
fn a_server_answers() {
    for options in [&LINUX[..], &[2, 4, 2, 0], &[]] {
        let mut world = World::new(builder());
        let (id, key, syn) = open(&mut world);
        assert_eq!(syn.options, [2, 4, 5, 180, 1, 3, 3, 0, 1, 1, 4, 2], "MSS, scale, SACK");
        assert_eq!((world.state(id), world.engine.connecting_count()), ("SYN-SENT", 1));
        let ours = syn.seq.wrapping_add(1);
        let answer = from_server(&key, SYN | ACK, u32::MAX, ours).options(options);
        let out = all(&world.exchange(answer.build()));
        assert_eq!((out.len(), out[0].flags, out[0].seq, out[0].ack), (1, ACK, ours, 0));
        assert_eq!((world.state(id), world.engine.connecting_count()), ("ESTABLISHED", 0));
        assert_eq!((world.engine.asleep_count(), world.app.calls), (1, 1), "it was told, and said nothing");
        let out = all(&world.exchange(from_server(&key, ACK | PSH, 0, ours).data(b"hello").build()));
        assert_eq!((out.len(), &out[0].data[..], out[0].seq), (1, &b"hello"[..], ours));
        let (theirs, ours) = (5, ours.wrapping_add(5));
        let out = all(&world.exchange(from_server(&key, FIN | ACK, theirs, ours).build()));
        assert_eq!((out.len(), out[0].flags), (1, FIN | ACK));
        world.exchange(from_server(&key, ACK, theirs + 1, ours.wrapping_add(1)).build());
        assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
        let c = world.engine.counters();
        assert_eq!((c.tcp_connects, c.tcp_opened, c.tcp_established, c.tcp_woken), (1, 1, 1, 0));
    }
}

#[test]
fn a_large_answer_and_a_stack() {
    let mut world = World::new(builder());
    let (id, key, syn) = open(&mut world);
    let ours = syn.seq.wrapping_add(1);
    world.exchange(from_server(&key, SYN | ACK, 0, ours).options(&LINUX).build());
    // A hole: a stack takes over, and the numbers still hold.
    let out = all(&world.exchange(from_server(&key, ACK, 1001, ours).data(&[2; 1000]).build()));
    assert_eq!((out[0].ack, world.engine.stack_count()), (1, 1));
    let out = all(&world.exchange(from_server(&key, ACK, 1, ours).data(&[1; 1000]).build()));
    assert_eq!(out.iter().map(|segment| segment.data.len()).sum::<usize>(), 2000, "echoed: {out:?}");
    assert_eq!((out[0].seq, out[0].ack), (ours, 2001));
    assert_eq!(world.state(id), "ESTABLISHED");
}

#[test]
fn a_syn_is_sent_again_until_patience_ends() {
    let mut world = World::new(builder());
    let (id, _, syn) = open(&mut world);
    let mut at = vec![];
    for tenth in 1..=60 {
        for again in later(&mut world, 100_000) {
            assert_eq!(again, syn, "the same SYN, and no RST at the end");
            at.push(tenth);
        }
    }
    assert_eq!(at, [10, 30], "after 1 s and 2 s more");
    assert_eq!(world.app.reason(id), Some(CloseReason::Unanswered));
    assert_eq!((world.engine.flow_count(), world.engine.connecting_count()), (0, 0));
}

#[test]
fn a_refusal_ends_it_and_a_forged_one_does_not() {
    let mut world = World::new(builder());
    let (id, key, syn) = open(&mut world);
    let ours = syn.seq.wrapping_add(1);
    for (flags, ack) in [(RST, 0), (RST | ACK, ours.wrapping_add(1)), (RST | ACK, syn.seq)] {
        assert_eq!(
            world.give(from_server(&key, flags, 9, ack).build()),
            Err(DropReason::TcpOutOfWindow),
            "flags {flags}"
        );
    }
    assert_eq!(world.state(id), "SYN-SENT");
    assert!(world.exchange(from_server(&key, RST | ACK, 0, ours).build()).is_empty());
    assert_eq!(world.app.reason(id), Some(CloseReason::Refused));
    assert_eq!((world.engine.flow_count(), world.engine.connecting_count()), (0, 0));
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let mut world = World::new(builder());
    let (id, key, syn) = open(&mut world);
    let ours = syn.seq.wrapping_add(1);
    // A peer that still has an older connection: it hears an RST with its own number.
    let out = all(&world.exchange(from_server(&key, ACK, 77, 4_000_000).build()));
    assert_eq!((out.len(), out[0].flags, out[0].seq), (1, RST, 4_000_000));
    // A SYN-ACK of another SYN.
    let out = all(&world.exchange(from_server(&key, SYN | ACK, 77, ours.wrapping_add(9)).build()));
    assert_eq!((out[0].flags, out[0].seq), (RST, ours.wrapping_add(9)));
    // A simultaneous open, data without a handshake, a FIN.
    for flags in [SYN, ACK, FIN | ACK] {
        assert!(world.exchange(from_server(&key, flags, 77, ours).data(b"x").build()).is_empty());
    }
    assert_eq!((world.state(id), world.app.calls), ("SYN-SENT", 0));
    let out = all(&world.exchange(from_server(&key, SYN | ACK, 500, ours).build()));
    assert_eq!((out[0].flags, out[0].ack, world.state(id)), (ACK, 501, "ESTABLISHED"));
    // The answer come again is acknowledged again.
    let out = all(&world.exchange(from_server(&key, SYN | ACK, 500, ours).build()));
    assert_eq!((out[0].flags, out[0].ack), (ACK, 501));
}

#[test]
fn another_peer_is_tried_under_the_same_handle() {
    let mut world = World::new(builder());
    let (id, first, syn) = open(&mut world);
    assert_eq!(world.engine.l4_tx(id, b"x"), Err(FlowError::Closed), "from outside not before it is open");
    let (second, third) = (world.server_key(true), world.server_key(true));
    // One that is in use is passed over.
    world.app.others = vec![third, second, first];
    let refusal = from_server(&first, RST | ACK, 0, syn.seq.wrapping_add(1)).build();
    let out = all(&world.exchange(refusal));
    assert_eq!((out.len(), out[0].flags), (1, SYN));
    assert_eq!(world.engine.flow(id, world.time()).unwrap().key, second);
    assert_eq!(world.app.in_use, [first], "which is no refusal");
    // The first one's answers are nobody's now.
    let late = all(&world.exchange(from_server(&first, SYN | ACK, 0, syn.seq.wrapping_add(1)).build()));
    assert_eq!((late.len(), late[0].flags), (1, RST));
    // The second does not answer at all.
    let mut seen = 0;
    for _ in 0..55 {
        seen += later(&mut world, 100_000).len();
    }
    assert_eq!((seen, world.engine.flow(id, world.time()).unwrap().key), (3, third));
    for _ in 0..55 {
        later(&mut world, 100_000);
    }
    assert_eq!(world.app.reason(id), Some(CloseReason::Unanswered));
    assert_eq!((world.engine.counters().tcp_connects, world.engine.counters().tcp_opened), (3, 1));
}

#[test]
fn what_cannot_be_opened() {
    let mut world = World::new(builder());
    let (id, key, _) = open(&mut world);
    let now = world.time();
    assert_eq!(world.engine.connect(&mut world.app, now, &key, 7, PATIENCE), Err(ConnectError::InUse));
    assert!(key.local_port > OURS);
    // Aborted, it is gone without a word.
    world.engine.abort_flow(id).unwrap();
    assert!(later(&mut world, 0).is_empty());
    assert_eq!((world.app.reason(id), world.engine.connecting_count()), (Some(CloseReason::Aborted), 0));
    world.engine.set_accepting(false);
    assert_eq!(world.engine.connect(&mut world.app, now, &key, 7, PATIENCE), Err(ConnectError::Draining));
    world.engine.set_accepting(true);
    for _ in 0..128 {
        let key = world.server_key(true);
        world.engine.connect(&mut world.app, now, &key, u64::from(ECHO), PATIENCE).unwrap();
    }
    let key = world.server_key(true);
    assert_eq!(world.engine.connect(&mut world.app, now, &key, 7, PATIENCE), Err(ConnectError::Full));
    // And without buffers nothing is lost.
    world.app.dry = true;
    world.turn();
    world.app.dry = false;
    assert_eq!(later(&mut world, 0).len(), 128);
}

#[test]
fn what_is_known_of_the_path_holds_for_both_directions_of_opening() {
    let mut world = World::new(builder());
    let (first, key, syn) = open(&mut world);
    let ours = syn.seq.wrapping_add(1);
    world.exchange(from_server(&key, SYN | ACK, 0, ours).options(&LINUX).build());
    let echo = |world: &mut World, key: &FlowKey, ours: u32| {
        let out = all(&world.exchange(from_server(key, ACK, 1, ours).data(&[4; 1400]).build()));
        out.iter().map(|segment| segment.data.len()).collect::<Vec<_>>()
    };
    assert_eq!(echo(&mut world, &key, ours), [1400]);
    let error = TooBig { key, seq: ours, mtu: Some(1000), len: 1440 };
    let now = world.time();
    assert_eq!(world.engine.path_mtu(&mut world.app, now, &error), PathMtu::Lowered);
    assert_eq!(later(&mut world, 0).iter().map(|segment| segment.data.len()).collect::<Vec<_>>(), [960, 440]);
    assert_eq!(world.state(first), "ESTABLISHED");
    // The next one begins with it, whatever its peer's SYN-ACK offers.
    let (_, key, syn) = open(&mut world);
    let ours = syn.seq.wrapping_add(1);
    world.exchange(from_server(&key, SYN | ACK, 0, ours).options(&LINUX).build());
    assert_eq!(echo(&mut world, &key, ours), [960, 440]);
}

#[test]
fn what_is_given_before_the_answer_leaves_with_the_handshakes_end() {
    let mut world = World::new(builder());
    let (id, key, syn) = open(&mut world);
    assert_eq!(world.engine.give(id, b"early", false), 5);
    assert_eq!(world.engine.give(id, b"bird", true), 4);
    assert_eq!(world.engine.give(id, b"late", false), 0, "it is closed behind that");
    assert!(later(&mut world, 0).is_empty());
    let ours = syn.seq.wrapping_add(1);
    let out = all(&world.exchange(from_server(&key, SYN | ACK, 77, ours).options(&LINUX).build()));
    let data: Vec<u8> = out.iter().flat_map(|segment| segment.data.clone()).collect();
    assert_eq!((data, out.last().unwrap().flags & FIN), (b"earlybird".to_vec(), FIN));
    // No more than what can be held.
    let (id, _, _) = open(&mut world);
    assert_eq!(world.engine.give(id, &[1; 5000], true), 4096);
    assert_eq!(world.engine.give(id, b"x", false), 0);
    let now = world.time();
    assert_eq!(world.engine.flow(id, now).unwrap().bytes_out, 4096);
}

#[test]
fn what_is_held_early_does_not_count_twice() {
    let mut world = World::new(builder());
    world.handshake(&seg(ECHO, SYN, 1000, 0));
    let (id, key, syn) = open(&mut world);
    assert_eq!(world.engine.asleep_count(), 1, "the client's");
    world.engine.give(id, b"early", false);
    assert_eq!(world.engine.asleep_count(), 1);
    let (closed, _, _) = open(&mut world);
    world.engine.close_flow(closed).unwrap();
    assert_eq!(world.engine.asleep_count(), 1);
    world.engine.abort_flow(closed).unwrap();
    let ours = syn.seq.wrapping_add(1);
    world.exchange(from_server(&key, SYN | ACK, 77, ours).options(&LINUX).build());
    assert_eq!(world.engine.asleep_count(), 1, "it is under way");
    world.exchange(from_server(&key, ACK, 78, ours.wrapping_add(5)).build());
    assert_eq!((world.engine.asleep_count(), world.engine.tcp_flow_count()), (2, 2));
}
