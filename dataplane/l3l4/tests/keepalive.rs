//! Keepalives: a silent peer is asked whether it is there (RFC 9293 section 3.8.4, RFC 1122 section 4.2.3.6).

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::MANUAL;
use common::wire::{ACK, Got, RST, SYN, got, seg};
use common::{World, builder};
use core::time::Duration;
use l3l4::{Builder, CloseReason};

fn keepalive() -> Builder {
    let seconds = Duration::from_secs;
    builder().tcp_keepalive(Some(seconds(60))).tcp_keepalive_interval(seconds(10)).tcp_keepalive_probes(3)
}

/// Both kinds of connections, and with stacks that never sleep otherwise.
fn builders() -> [Builder; 3] {
    [keepalive(), keepalive().direct(false), keepalive().direct(false).tcp_sleep_after(None)]
}

/// What leaves within `seconds`, and after how many of them.
fn sent_within(world: &mut World, seconds: u64) -> Vec<(u64, Got)> {
    let mut all = vec![];
    for second in 1..=seconds {
        world.now += 1_000_000;
        world.turn();
        all.extend(world.app.take_out().iter().map(|packet| (second, got(packet))));
    }
    all
}

#[test]
fn a_peer_that_answers_is_asked_again_and_again() {
    for builder in builders() {
        let mut world = World::new(builder);
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
        let id = world.app.last_id();
        for _ in 0..4 {
            let sent = sent_within(&mut world, 61);
            let [(second, probe)] = &sent[..] else { panic!("{sent:?}") };
            assert!((60..=61).contains(second), "{second}");
            assert_eq!((probe.flags, probe.seq, probe.ack), (ACK, ours.wrapping_sub(1), theirs));
            assert!(probe.data.is_empty());
            world.exchange(seg(MANUAL, ACK, theirs, ours).build());
        }
        assert_eq!((world.state(id), world.engine.counters().keepalives_sent), ("ESTABLISHED", 4));
    }
}

#[test]
fn a_peer_that_is_gone_is_noticed() {
    for builder in builders() {
        let mut world = World::new(builder);
        world.handshake(&seg(MANUAL, SYN, 1000, 0));
        let id = world.app.last_id();
        let sent = sent_within(&mut world, 100);
        let flags: Vec<u8> = sent.iter().map(|(_, segment)| segment.flags & (ACK | RST)).collect();
        assert_eq!(flags, [ACK, ACK, ACK, RST | ACK], "{sent:?}");
        let times: Vec<u64> = sent.iter().map(|(second, _)| *second).collect();
        assert!(
            times.iter().zip([60, 70, 80, 90]).all(|(at, due)| (due..=due + 1).contains(at)),
            "{times:?}"
        );
        assert_eq!(world.app.reason(id), Some(CloseReason::KeepAlive));
    }
}

#[test]
fn one_answer_in_three_is_enough_and_traffic_needs_none() {
    let mut world = World::new(keepalive());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    for _ in 0..5 {
        // Two go unanswered, the third does not.
        assert_eq!(sent_within(&mut world, 81).len(), 3);
        world.exchange(seg(MANUAL, ACK, theirs, ours).build());
    }
    for second in 0..10 {
        assert!(sent_within(&mut world, 50).is_empty());
        world.exchange(seg(MANUAL, ACK, theirs + second, ours).data(b"x").build());
    }
    assert_eq!(world.state(world.app.last_id()), "ESTABLISHED");
}

/// A probe that never left is not one that was not answered.
#[test]
fn a_lack_of_buffers_is_not_the_peers_silence() {
    let mut world = World::new(keepalive());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    world.engine.release_spare();
    world.app.dry = true;
    assert!(sent_within(&mut world, 300).is_empty());
    assert_eq!((world.state(id), world.engine.counters().keepalives_sent), ("ESTABLISHED", 0));
    world.app.dry = false;
    let sent = sent_within(&mut world, 25);
    let times: Vec<u64> = sent.iter().map(|(second, _)| *second).collect();
    assert!(matches!(times[..], [1, 11 | 12, 21..=23]), "not all at once: {times:?}");
    world.exchange(seg(MANUAL, ACK, theirs, ours).build());
    assert!(sent_within(&mut world, 59).is_empty());
}

/// How often the silence was probed says nothing of how often the data behind it was sent.
#[test]
fn data_behind_a_silence_is_sent_again_as_soon_as_ever() {
    let mut world = World::new(keepalive());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    assert_eq!(sent_within(&mut world, 81).len(), 3);
    world.exchange(seg(MANUAL, ACK, theirs, ours).build());
    assert_eq!(world.engine.give(world.app.last_id(), b"x", false), 1);
    world.turn();
    world.app.take_out();
    world.now += 300_000;
    world.turn();
    let out = world.app.take_out();
    assert_eq!((out.len(), got(&out[0]).data), (1, b"x".to_vec()));
}

#[test]
fn without_the_option_nothing_is_asked() {
    let mut world = World::new(builder());
    world.handshake(&seg(MANUAL, SYN, 1000, 0));
    assert!(sent_within(&mut world, 7000).is_empty());
    assert_eq!(world.engine.counters().keepalives_sent, 0);
}

/// Whatever the two times are to each other, and however far the peer is.
#[test]
fn a_peer_that_answers_stays_where_probes_are_further_apart_than_the_silence() {
    for (after, interval, probes, delay) in [(10, 15, 3, 0), (10, 10, 1, 0), (10, 15, 1, 0), (10, 60, 2, 7)] {
        let seconds = Duration::from_secs;
        let builder = builder()
            .tcp_keepalive(Some(seconds(after)))
            .tcp_keepalive_interval(seconds(interval))
            .tcp_keepalive_probes(probes);
        let mut world = World::new(builder);
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
        let id = world.app.last_id();
        let mut due = None;
        for second in 0..600 {
            if !sent_within(&mut world, 1).is_empty() {
                due = Some(second + delay);
            }
            if due == Some(second) {
                world.exchange(seg(MANUAL, ACK, theirs, ours).build());
            }
        }
        assert_eq!(world.app.reason(id), None, "{after} {interval} {probes} {delay}");
        assert!(world.engine.counters().keepalives_sent >= 600 / (after + delay + 2), "asked each time");
    }
}
