//! Loss recovery end to end: thousands of short random connections over links that do their worst, and each gets its
//! bytes. `RECOVERY_RUNS` asks for more of them.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{self, ECHO, FLOOD, MANUAL};
use common::link::{Faults, Rng};
use common::transfer::{self, Transfer};
use common::wire::{ACK, FIN, SYN, got, seg};
use common::{World, builder};
use core::time::Duration;
use l3l4::{Builder, CongestionControl};
use proptest::prelude::*;
use smoltcp::wire::IpAddress;

fn config() -> ProptestConfig {
    let cases = std::env::var("RECOVERY_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// One side of a link, and what it does to acknowledgments.
fn faults() -> impl Strategy<Value = (Faults, Faults)> {
    let chance = |most: u64| prop_oneof![2 => Just(0), 3 => 0..=most];
    (chance(150), chance(300), chance(200), chance(30), 100u64..40_000, chance(15), chance(20)).prop_map(
        |(loss, ack_loss, reorder, duplicate, delay, burst, corrupt)| {
            let down = Faults { loss, reorder, duplicate, delay, burst, corrupt };
            (Faults { loss: ack_loss, burst: 0, ..down }, down)
        },
    )
}

fn engines() -> impl Strategy<Value = Builder> {
    (
        prop::sample::select(vec![4096usize, 20_000, 65_536, 65_536, 200_000]),
        prop::sample::select(vec![
            CongestionControl::Reno,
            CongestionControl::Cubic,
            CongestionControl::Cubic,
        ]),
        prop::sample::select(vec![0usize, 1, 64]),
        1u32..20,
        any::<bool>(),
    )
        .prop_map(|(buffer, congestion, boards, initial, direct)| {
            builder()
                .direct(direct)
                .limits(common::limits(8))
                .tcp_buffer_size(buffer)
                // A peer that backs off to a minute and loses twice is silent for longer than the default.
                .tcp_user_timeout(Duration::from_secs(3000))
                // A run of losses can take ten SYN-ACKs.
                .tcp_synack_retries(15)
                .congestion(congestion)
                .tcp_scoreboards(boards)
                .tcp_initial_window(initial)
        })
}

/// Options of a SYN: 1460 bytes a segment, and SACK.
const SACK_OK: [u8; 8] = [2, 4, 5, 0xb4, 1, 1, 4, 2];

/// A connection that has been told to send `len` bytes; its numbers, and what left at once.
fn sending(options: &[u8], len: usize) -> (World, u32, u32, Vec<Vec<u8>>) {
    let mut world = World::new(builder().congestion(CongestionControl::Cubic));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0).options(options));
    world.now += 10_000;
    assert_eq!(world.engine.l4_tx(world.app.last_id(), &vec![7; len]), Ok(len));
    world.turn();
    let out = world.app.take_out();
    (world, ours, theirs, out)
}

/// Where segments start, counted in segments from `first`.
fn starts(out: &[Vec<u8>], first: u32) -> Vec<u32> {
    out.iter().map(|p| got(p).seq.wrapping_sub(first) / 1460).collect()
}

fn sack(ours: u32, blocks: &[(u32, u32)]) -> Vec<u8> {
    let mut options = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
    for (from, to) in blocks {
        options.extend((ours + from * 1460).to_be_bytes());
        options.extend((ours + to * 1460).to_be_bytes());
    }
    options
}

#[test]
fn ten_segments_before_the_first_acknowledgment() {
    let (mut world, ours, theirs, out) = sending(&SACK_OK, 40_000);
    assert_eq!(starts(&out, ours), (0..10).collect::<Vec<_>>());
    world.now += 10_000;
    // Two arrived: slow start sends four.
    let out = world.exchange(seg(MANUAL, ACK, theirs, ours + 2920).build());
    assert_eq!(starts(&out, ours), [10, 11, 12, 13]);
}

#[test]
fn every_hole_is_filled_at_once_and_nothing_else() {
    let (mut world, ours, theirs, _) = sending(&SACK_OK, 14_600);
    world.now += 10_000;
    // 0, 3 and 4 are lost.
    let mut out = vec![];
    for blocks in [&[(1, 2)][..], &[(1, 3)], &[(5, 6), (1, 3)], &[(5, 7), (1, 3)], &[(5, 10), (1, 3)]] {
        world.now += 100;
        out.extend(world.exchange(seg(MANUAL, ACK, theirs, ours).options(&sack(ours, blocks)).build()));
    }
    assert_eq!(starts(&out, ours), [0, 3, 4]);
    let c = world.engine.counters();
    assert_eq!((c.tcp_fast_retransmits, c.tcp_timeouts, c.tcp_tail_probes), (3, 0, 0));
    // A SACK option that says it came twice is counted, and the rest is acknowledged.
    world.now += 10_000;
    let twice = sack(ours, &[(0, 1)]);
    assert!(world.exchange(seg(MANUAL, ACK, theirs, ours + 14_600).options(&twice).build()).is_empty());
    assert_eq!(world.engine.counters().tcp_spurious, 1);
}

#[test]
fn a_peer_without_sack_shows_losses_by_duplicates() {
    let (mut world, ours, theirs, _) = sending(&[2, 4, 5, 0xb4], 14_600);
    world.now += 10_000;
    let ack = |n: u32| seg(MANUAL, ACK, theirs, ours + n * 1460).build();
    let duplicates: Vec<_> = (0..3).flat_map(|_| world.exchange(ack(0))).collect();
    assert_eq!(starts(&duplicates, ours), [0]);
    // A partial acknowledgment shows the next.
    assert_eq!(starts(&world.exchange(ack(4)), ours), [4]);
    assert!(world.exchange(ack(10)).is_empty());
    assert_eq!(world.engine.counters().tcp_timeouts, 0);
}

#[test]
fn an_acknowledgment_without_a_buffer_is_as_good_as_lost() {
    let (mut world, ours, theirs, out) = sending(&SACK_OK, 4380);
    assert_eq!(starts(&out, ours), [0, 1, 2]);
    world.app.dry = true;
    world.engine.release_spare();
    let ack = seg(MANUAL, ACK, theirs, ours + 4380).build();
    assert_eq!(world.give(ack.clone()), Err(l3l4::DropReason::NoBuffer));
    world.app.dry = false;
    world.now += 1_000_000;
    world.turn();
    assert!(!world.app.take_out().is_empty(), "it is probed for what was sent");
    assert_eq!(world.give(ack), Ok(()));
    world.now += 10_000_000;
    world.turn();
    assert!(world.app.take_out().is_empty());
}

#[test]
fn a_lost_tail_is_probed_for() {
    let (mut world, ours, theirs, out) = sending(&SACK_OK, 4380);
    assert_eq!(starts(&out, ours), [0, 1, 2]);
    let start = world.now;
    let at = world.turn().unwrap();
    assert!(at.micros() - start <= 4_000, "two round trips and a little: {}", at.micros() - start);
    world.now = at.micros();
    world.turn();
    assert_eq!(starts(&world.app.take_out(), ours), [2]);
    // It arrives alone, so the two before it are missing.
    world.now += 1000;
    let out = world.exchange(seg(MANUAL, ACK, theirs, ours).options(&sack(ours, &[(2, 3)])).build());
    assert_eq!(starts(&out, ours), [0], "as much leaves as has arrived");
    let out = world.exchange(seg(MANUAL, ACK, theirs, ours + 1460).options(&sack(ours, &[(2, 3)])).build());
    assert_eq!(starts(&out, ours), [1]);
    assert_eq!(world.engine.counters().tcp_tail_probes, 1);
}

/// RFC 9293 section 3.10.7.4: where the window is closed no data is taken, but what it acknowledges counts. A peer
/// whose ACK was lost has nothing but probes to say it again with.
#[test]
fn a_probe_of_our_closed_window_acknowledges() {
    for fin in [0, FIN] {
        let mut world = World::new(builder().tcp_buffer_size(4096).direct(false));
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
        let out = world.exchange(seg(MANUAL, ACK, theirs, ours).data(&[7; 4096]).build());
        assert_eq!(got(&out[0]).window, 0);
        let id = world.app.last_id();
        let room = world.engine.with_conn(id, |conn| conn.room()).unwrap();
        assert_eq!(world.engine.l4_tx(id, &[8; 500]), Ok(500));
        world.turn();
        assert_eq!(world.app.take_out().len(), 1);
        let probe = seg(MANUAL, fin | ACK, theirs + 4096, ours + 500).data(&[9]);
        let out = world.exchange(probe.build());
        assert_eq!((out.len(), got(&out[0]).ack, got(&out[0]).window), (1, theirs + 4096, 0));
        assert_eq!(world.engine.with_conn(id, |conn| conn.room()), Ok(room));
    }
}

/// A peer that has filled our window numbers its ACKs by the window's edge, also while we miss some of it.
#[test]
fn an_acknowledgment_at_the_edge_of_our_window_counts() {
    let mut world = World::new(builder().tcp_buffer_size(4096).direct(false));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    let room = world.engine.with_conn(id, |conn| conn.room()).unwrap();
    assert_eq!(world.engine.l4_tx(id, &[8; 500]), Ok(500));
    world.turn();
    world.app.take_out();
    world.exchange(seg(MANUAL, ACK, theirs + 1000, ours).data(&[7; 3096]).build());
    let out = world.exchange(seg(MANUAL, ACK, theirs + 4096, ours + 500).build());
    assert!(out.is_empty(), "no ACK for an ACK");
    assert_eq!(world.engine.with_conn(id, |conn| conn.room()), Ok(room));
}

/// What the stack refuses must not be heard by the sender alone: nobody would send again what was lost.
#[test]
fn an_acknowledgment_beyond_our_window_does_not_count() {
    let (mut world, ours, theirs, out) = sending(&SACK_OK, 14_600);
    assert_eq!(starts(&out, ours), (0..10).collect::<Vec<_>>());
    let far = world.give(seg(MANUAL, ACK, theirs + 100_000, ours + 14_600).build());
    assert_eq!(far, Err(l3l4::DropReason::TcpOutOfWindow));
    let at = world.turn().unwrap();
    assert!(at.micros() - world.now < 300_000, "the retransmission timer still runs");
    world.now = at.micros();
    world.turn();
    assert_eq!(world.engine.counters().tcp_retransmits, 1);
}

proptest! {
    #![proptest_config(config())]

    /// One or two ways, with peers that know SACK or not, and scale windows or not, and queues that overflow.
    #[test]
    fn every_run_ends_with_the_right_bytes(
        (up, down) in faults(),
        engine in engines(),
        seed: u64,
        len in prop_oneof![1usize..3000, 1usize..60_000, 1usize..200_000],
        ring in prop::sample::select(vec![3000usize, 20_000, 65_535, 150_000]),
        queue in prop_oneof![Just(0usize), 3usize..40],
        without_sack: bool,
        both: bool,
        v6: bool,
        mtu in prop::sample::select(vec![600usize, 1500, 1500]),
    ) {
        let mut world = World::with_mtu(engine, mtu).faults(Faults::default(), seed);
        (world.up.faults, world.down.faults) = (up, down);
        (world.up.queue, world.down.queue) = (0, queue);
        world.without_sack = without_sack;
        world.app.flood = len;
        let to: IpAddress = if v6 { IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2) } else { IpAddress::v4(10, 0, 0, 2) };
        let handle = world.connect_with(to, if both { ECHO } else { FLOOD }, ring);
        // The peer's smoltcp forgets its timer where it runs out against a closed window.
        world.socket(handle).set_keep_alive(Some(smoltcp::time::Duration::from_secs(20)));
        let mut all = [Transfer::new(handle, if both { Rng(seed).bytes(len) } else { vec![] })];
        transfer::run(&mut world, &mut all, Duration::from_secs(3600), "to the end");
        let ended = world.app.closed.first().map(|(_, reason)| *reason);
        prop_assert_eq!(all[0].back.len(), len, "{:?} at {}: {:?}", ended, world.now, world.engine.counters());
        if both {
            prop_assert!(all[0].back == all[0].out);
        } else {
            prop_assert!(all[0].back.iter().enumerate().all(|(i, &b)| b == app::pattern(i)));
        }
        let c = world.engine.counters();
        prop_assert!(c.tcp_retransmits >= c.tcp_fast_retransmits + c.tcp_tail_probes + c.tcp_timeout_retransmits);
    }
}
