//! Time: half-open connections, silent peers, idle flows, and what waiting costs.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, MANUAL};
use common::wire::{ACK, FIN, RST, SYN, got, seg, udp};
use common::{World, builder};
use core::time::Duration;
use l3l4::{CloseReason, CongestionControl, Limits};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets time pass in the engine alone, waking it exactly when it asks; returns what it sent, with the times.
fn alone(world: &mut World, until: u64) -> Vec<(u64, Vec<u8>)> {
    let mut sent = vec![];
    loop {
        let next = world.turn();
        let now = world.now;
        sent.extend(world.app.take_out().into_iter().map(|packet| (now, packet)));
        match next {
            Some(at) if at.micros() <= until => world.now = at.micros().max(world.now + 1),
            _ => break,
        }
    }
    world.now = until;
    sent
}

/// RFC 6298 section 2.5: the wait grows no further than a minute, or a handshake that loses ten takes half an hour.
#[test]
fn a_syn_ack_is_sent_again_each_minute_at_least() {
    for direct in [false, true] {
        let mut world = World::new(builder().tcp_synack_retries(9).direct(direct));
        world.give(seg(ECHO, SYN, 1, 0).build()).unwrap();
        let start = world.now;
        let sent = alone(&mut world, start + 900_000_000);
        let gaps: Vec<_> = sent.windows(2).map(|w| (w[1].0 - w[0].0) / 1_000_000).collect();
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60], "direct: {direct}");
        assert_eq!(world.engine.flow_count(), 0);
    }
}

#[test]
fn a_syn_ack_is_sent_again_and_given_up() {
    let mut world = World::new(builder().tcp_synack_retries(3));
    world.give(seg(ECHO, SYN, 1, 0).build()).unwrap();
    assert_eq!(world.engine.half_open_count(), 1);
    let start = world.now;
    let sent = alone(&mut world, start + 300_000_000);
    // The first and three more, further and further apart.
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert!(sent.iter().all(|(_, p)| got(p).flags == SYN | ACK && got(p).seq == got(&sent[0].1).seq));
    let gaps: Vec<_> = sent.windows(2).map(|w| (w[1].0 - w[0].0) / 1_000_000).collect();
    assert_eq!(gaps, [1, 2, 4]);
    let id = world.app.last_id();
    assert_eq!(world.app.reason(id), Some(CloseReason::HalfOpen));
    assert_eq!((world.engine.half_open_count(), world.engine.flow_count()), (0, 0));
    assert_eq!(world.engine.counters().tcp_retransmits, 3);
}

#[test]
fn half_open_timeout() {
    let mut world = World::new(builder().tcp_halfopen_idle_timeout(secs(2)));
    world.give(seg(ECHO, SYN, 1, 0).build()).unwrap();
    let start = world.now;
    alone(&mut world, start + 1_900_000);
    assert_eq!(world.engine.half_open_count(), 1);
    alone(&mut world, start + 2_100_000);
    assert_eq!(world.engine.half_open_count(), 0);
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::HalfOpen));
}

#[test]
fn a_reset_ends_a_half_open_connection() {
    let mut world = World::new(builder());
    world.exchange(seg(ECHO, SYN, 1, 0).build());
    assert!(world.exchange(seg(ECHO, RST, 3, 0).build()).len() == 1, "inexact: challenged");
    assert!(world.exchange(seg(ECHO, RST, 2, 0).build()).is_empty());
    assert_eq!((world.engine.half_open_count(), world.engine.flow_count()), (0, 0));
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::PeerReset));
    assert_eq!(world.engine.counters().tcp_established, 0);
}

#[test]
fn a_peer_that_falls_silent() {
    let mut world = World::new(builder().tcp_user_timeout(secs(20)));
    world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    let start = world.now;
    // Quiet with nothing outstanding is fine.
    alone(&mut world, start + 100_000_000);
    assert_eq!(world.state(id), "ESTABLISHED");
    world.engine.l4_tx(id, b"anybody there?").unwrap();
    let start = world.now;
    let sent = alone(&mut world, start + 19_000_000);
    assert!((4..=8).contains(&sent.len()), "sent and sent again: {sent:?}");
    assert_eq!(world.state(id), "ESTABLISHED");
    let sent = alone(&mut world, start + 21_000_000);
    assert_eq!(world.app.reason(id), Some(CloseReason::UserTimeout));
    assert_eq!(got(&sent.last().unwrap().1).flags & RST, RST);
}

#[test]
fn nobody_says_anything_for_the_idle_timeout() {
    let mut world = World::new(builder().tcp_idle_timeout(secs(7200)));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    let start = world.now;
    alone(&mut world, start + 7_000_000_000);
    // A keepalive is answered and counts as a sign of life.
    let out = world.exchange(seg(MANUAL, ACK, theirs - 1, ours).build());
    assert_eq!(got(&out[0]).ack, theirs);
    let start = world.now;
    alone(&mut world, start + 7_199_000_000);
    assert_eq!(world.state(id), "ESTABLISHED");
    let sent = alone(&mut world, start + 7_201_000_000);
    assert_eq!(world.app.reason(id), Some(CloseReason::Idle));
    assert_eq!((sent.len(), got(&sent[0].1).flags & RST), (1, RST));
}

#[test]
fn a_closed_connection_does_not_wait_for_ever_for_the_peers_fin() {
    let mut world = World::new(builder().tcp_fin_wait_timeout(secs(30)));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    world.engine.close_flow(id).unwrap();
    world.turn();
    assert_eq!(got(&world.app.take_out()[0]).flags, FIN | ACK);
    world.exchange(seg(MANUAL, ACK, theirs, ours + 1).build());
    let start = world.now;
    alone(&mut world, start + 29_000_000);
    assert_eq!(world.state(id), "FIN-WAIT-2");
    alone(&mut world, start + 31_000_000);
    assert_eq!(world.app.reason(id), Some(CloseReason::Idle));
}

#[test]
fn udp_flows_are_forgotten() {
    let mut world = World::new(builder().udp_idle_timeout(secs(30)));
    let packet = || udp("10.0.0.1", "10.0.0.2", 5, ECHO, b"hi");
    world.give(packet()).unwrap();
    let id = world.app.last_id();
    let start = world.now;
    alone(&mut world, start + 20_000_000);
    world.give(packet()).unwrap();
    alone(&mut world, start + 49_000_000);
    assert_eq!(world.engine.udp_flow_count(), 1);
    alone(&mut world, start + 51_000_000);
    assert_eq!((world.engine.udp_flow_count(), world.engine.flow_count()), (0, 0));
    assert_eq!(world.app.reason(id), Some(CloseReason::Idle));
}

#[test]
fn a_zero_window_is_probed_until_it_opens() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0).window(100));
    let id = world.app.last_id();
    world.engine.l4_tx(id, &[7; 300]).unwrap();
    world.turn();
    assert_eq!(got(&world.app.take_out()[0]).data.len(), 100);
    world.exchange(seg(MANUAL, ACK, theirs, ours + 100).window(0).build());
    let start = world.now;
    let sent = alone(&mut world, start + 10_000_000);
    assert!((2..=5).contains(&sent.len()), "{sent:?}");
    assert!(sent.iter().all(|(_, p)| got(p).data.len() == 1 && got(p).seq == ours + 100));
    // What we say meanwhile is numbered inside the closed window, or the peer would not look at it.
    let out = world.exchange(seg(MANUAL, ACK, theirs, ours + 100).window(0).data(b"x").build());
    assert_eq!(got(&out[0]).seq, ours + 100);
    // The probe was taken and the window opened.
    let out = world.exchange(seg(MANUAL, ACK, theirs + 1, ours + 101).window(500).build());
    assert_eq!((got(&out[0]).seq, got(&out[0]).data.len()), (ours + 101, 199));
}

#[test]
fn a_window_that_shrinks_under_what_was_sent() {
    // The stack asks with a byte from before; recovery sends again what was sent.
    for (congestion, before, len) in [(CongestionControl::Stack, 1, 1), (CongestionControl::Cubic, 0, 500)] {
        let mut world = World::new(builder().congestion(congestion));
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0).window(1000));
        let id = world.app.last_id();
        world.engine.l4_tx(id, &[7; 500]).unwrap();
        world.turn();
        assert_eq!(got(&world.app.take_out()[0]).data.len(), 500);
        // Lost on its way, and the window closes.
        world.exchange(seg(MANUAL, ACK, theirs, ours).window(0).build());
        let start = world.now;
        let sent = alone(&mut world, start + 5_000_000);
        assert!(!sent.is_empty(), "the peer is asked all the same");
        let fits = |p: &[u8]| got(p).seq == ours - before && got(p).data.len() == len;
        assert!(sent.iter().all(|(_, p)| fits(p)), "{sent:?}");
        let out = world.exchange(seg(MANUAL, ACK, theirs, ours).window(1000).build());
        assert_eq!((got(&out[0]).seq, got(&out[0]).data.len()), (ours, 500));
    }
}

/// A turn without the world's checks.
fn poll(world: &mut World) -> Option<l3l4::Instant> {
    let now = world.time();
    world.engine.l4_poll(&mut world.app, now)
}

#[test]
fn idle_flows_cost_nothing() {
    let limits = Limits { flows: 20_000, udp_flows: 10_000, half_open: 20_000, ..Limits::default() };
    let mut world = World::new(builder().limits(limits).tcp_buffer_size(2048));
    for n in 0..10_000u32 {
        let syn = seg(MANUAL, SYN, 1, 0).ends(&format!("10.1.{}.{}", n >> 8, n & 255), "10.0.0.2");
        // The world's own bookkeeping is quadratic; this goes by it.
        let now = world.time();
        let known = l3l4::RxChecksum::default();
        world.engine.l3_rx(&mut world.app, now, &mut syn.build(), 0, known).unwrap();
        world.engine.turn(&mut world.app, now);
        let answer = got(&world.app.take_out()[0]);
        let mut ack = syn;
        (ack.flags, ack.seq, ack.ack) = (ACK, 2, answer.seq.wrapping_add(1));
        world.engine.l3_rx(&mut world.app, now, &mut ack.build(), 0, known).unwrap();
        world.engine.turn(&mut world.app, now);
    }
    assert_eq!(world.engine.tcp_flow_count(), 10_000);
    // Each is looked at once more, one second after its SYN-ACK, and then not for two hours.
    let mut wakes = 0;
    let end = world.now + 7_000_000_000;
    let (sent, calls) = (world.app.sent, world.app.calls);
    while let Some(at) = poll(&mut world) {
        if at.micros() > end {
            break;
        }
        world.now = at.micros().max(world.now + 1);
        wakes += 1;
    }
    // 7,000 s are 107 horizons of the wheel (65 s), each with 10,000 entries poured and looked at, 128 a turn.
    assert!(wakes < 110 * (2 * 10_000 / 128 + 2), "{wakes}");
    assert_eq!((world.app.sent, world.app.calls), (sent, calls), "no packet, no callback");
    // Between those times a turn fires nothing: what it would have fired is still there.
    let armed = poll(&mut world);
    for _ in 0..1000 {
        assert_eq!(poll(&mut world), armed);
    }
}
