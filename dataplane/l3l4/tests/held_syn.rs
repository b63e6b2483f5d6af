//! A SYN whose answer waits for a word of the application.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, HOLD};
use common::wire::{ACK, PSH, RST, SYN, got, seg};
use common::{World, builder, limits};
use core::time::Duration;
use l3l4::{Builder, CloseReason, DropReason, FlowError, SynCookies};

fn builders() -> [Builder; 2] {
    [builder(), builder().direct(false)]
}

#[test]
fn the_answer_comes_when_the_application_says_so() {
    for builder in builders() {
        let mut world = World::new(builder);
        let syn = seg(HOLD, SYN, 1000, 0).options(&[2, 4, 5, 0xb4, 1, 3, 3, 7]);
        assert!(world.exchange(syn.build()).is_empty());
        let id = world.app.last_id();
        assert_eq!((world.state(id), world.engine.half_open_count()), ("SYN-RECEIVED", 1));
        // Neither time nor the same SYN again bring one.
        for _ in 0..5 {
            assert!(world.exchange(syn.build()).is_empty());
            world.pass(3_000_000);
            assert!(world.app.take_out().is_empty());
        }
        assert_eq!(world.engine.counters().tcp_retransmits, 0);
        world.engine.answer(id).unwrap();
        world.turn();
        let out = world.app.take_out();
        let answer = got(&out[0]);
        assert_eq!((out.len(), answer.flags, answer.ack), (1, SYN | ACK, 1001));
        assert_eq!(answer.options, [2, 4, 5, 180, 1, 3, 3, 0], "as if it had come at once");
        assert_eq!(world.engine.answer(id), Err(FlowError::Closed), "once");
        let ours = answer.seq.wrapping_add(1);
        world.exchange(seg(HOLD, ACK, 1001, ours).build());
        let out = world.exchange(seg(HOLD, ACK | PSH, 1001, ours).data(b"hello").build());
        assert_eq!((world.state(id), got(&out[0]).data), ("ESTABLISHED", b"hello".to_vec()));
        assert_eq!(world.engine.half_open_count(), 0);
    }
}

#[test]
fn a_lost_answer_comes_again() {
    let mut world = World::new(builder());
    world.exchange(seg(HOLD, SYN, 1000, 0).build());
    world.pass(60_000_000);
    let id = world.app.last_id();
    world.engine.answer(id).unwrap();
    world.turn();
    assert_eq!(world.app.take_out().len(), 1);
    world.now += 1_100_000;
    world.turn();
    let out = world.app.take_out();
    assert_eq!((out.len(), got(&out[0]).flags), (1, SYN | ACK), "a second later, however long it was held");
}

#[test]
fn a_refusal_is_an_rst_that_the_client_believes() {
    for builder in builders() {
        let mut world = World::new(builder);
        world.exchange(seg(HOLD, SYN, 1000, 0).build());
        let id = world.app.last_id();
        world.engine.abort_flow(id).unwrap();
        world.turn();
        let out = world.app.take_out();
        let rst = got(&out[0]);
        assert_eq!((out.len(), rst.flags, rst.ack), (1, RST | ACK, 1001));
        assert_eq!((world.app.reason(id), world.engine.half_open_count()), (Some(CloseReason::Aborted), 0));
        assert_eq!(world.engine.answer(id), Err(FlowError::Gone));
    }
}

#[test]
fn one_that_is_never_answered_ends_by_itself() {
    let mut world = World::new(builder().tcp_halfopen_idle_timeout(Duration::from_secs(30)));
    world.exchange(seg(HOLD, SYN, 1000, 0).build());
    let id = world.app.last_id();
    world.pass(29_000_000);
    assert_eq!(world.app.reason(id), None);
    world.pass(2_000_000);
    assert_eq!(world.app.reason(id), Some(CloseReason::HalfOpen));
    assert!(world.app.take_out().is_empty());
    assert_eq!(world.engine.counters().tcp_retransmits, 0);
}

/// An answer to any of these would tell our number, by which the client could go on without the word.
#[test]
fn no_other_segment_brings_an_answer_about() {
    for direct in [true, false] {
        let world = || World::new(builder().direct(direct));
        // What our number will be, the clock being the same.
        let mut other = world();
        other.exchange(seg(HOLD, SYN, 1000, 0).build());
        other.engine.answer(other.app.last_id()).unwrap();
        other.turn();
        let ours = got(&other.app.take_out()[0]).seq.wrapping_add(1);

        let mut world = world();
        world.exchange(seg(HOLD, SYN, 1000, 0).build());
        let id = world.app.last_id();
        for (what, segment, reason) in [
            ("another SYN", seg(HOLD, SYN, 5000, 0), DropReason::TcpOutOfWindow),
            ("a SYN-ACK", seg(HOLD, SYN | ACK, 1000, ours), DropReason::TcpOutOfWindow),
            ("an RST that misses", seg(HOLD, RST, 1002, 0), DropReason::TcpOutOfWindow),
            ("no ACK", seg(HOLD, PSH, 1001, 0).data(b"x"), DropReason::TcpFlags),
        ] {
            assert_eq!(world.give(segment.build()), Err(reason), "{what}");
            world.turn();
            assert!(world.app.take_out().is_empty(), "{what}");
        }
        for (ack, data) in [(ours, &b""[..]), (ours, b"hello"), (77, b"")] {
            let out = world.exchange(seg(HOLD, ACK, 1001, ack).data(data).build());
            let rst = got(&out[0]);
            assert_eq!((out.len(), rst.flags, rst.seq), (1, RST, ack), "what is quoted says nothing");
        }
        assert_eq!((world.state(id), world.app.calls), ("SYN-RECEIVED", 0));
        world.engine.answer(id).unwrap();
        world.turn();
        assert_eq!(got(&world.app.take_out()[0]).flags, SYN | ACK);
        // And the client may think better of it.
        let mut world = World::new(builder().direct(direct));
        world.exchange(seg(HOLD, SYN, 1000, 0).build());
        let id = world.app.last_id();
        assert!(world.exchange(seg(HOLD, RST, 1001, 0).build()).is_empty());
        assert_eq!((world.app.reason(id), world.engine.half_open_count()), (Some(CloseReason::PeerReset), 0));
    }
}

#[test]
fn one_that_is_held_is_not_asleep() {
    for builder in builders() {
        let mut world = World::new(builder);
        world.exchange(seg(HOLD, SYN, 1000, 0).build());
        assert_eq!((world.engine.tcp_flow_count(), world.engine.asleep_count()), (1, 0));
    }
}

/// A cookie would be the answer that is to wait.
#[test]
fn under_pressure_it_is_dropped_where_others_get_cookies() {
    let mut world = World::new(builder().syn_cookies(SynCookies::Always).limits(limits(16)));
    assert_eq!(world.exchange(seg(ECHO, SYN, 1000, 0).build()).len(), 1);
    assert_eq!(world.give(seg(HOLD, SYN, 1000, 0).build()), Err(DropReason::HalfOpenLimit));
    assert_eq!((world.engine.flow_count(), world.engine.counters().syn_cookies_sent), (0, 1));
    // An ACK brings no connection about, whatever number it guesses.
    let out = world.exchange(seg(HOLD, ACK, 1001, 77).build());
    assert_eq!((got(&out[0]).flags, world.engine.flow_count()), (RST, 0));
}
