//! Path MTU discovery: what is too big for the path leaves again smaller, and nobody else can make it smaller.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{self, ECHO, FLOOD, MANUAL, QUOTA, SAY};
use common::link::Faults;
use common::transfer::Transfer;
use common::wire::{ACK, FIN, Got, SYN, Seg, got, seg};
use common::{World, builder};
use core::time::Duration;
use l3l4::{Addr, Builder, CongestionControl, FlowKey, PathMtu, Protocol, SynCookies, TooBig};
use proptest::prelude::*;
use smoltcp::wire::IpAddress;

const SECOND: u64 = 1_000_000;

/// Options of a Linux SYN, without timestamps.
const LINUX: [u8; 12] = [2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2];

/// SYNs of a client over IPv4, which would take 1460 bytes a segment, and over IPv6, which would take 1440.
fn syns(port: u16) -> [Seg; 2] {
    let v4 = seg(port, SYN, 1, 0).options(&LINUX);
    [v4.clone(), Seg { options: [&[2, 4, 5, 0xa0], &LINUX[4..]].concat(), ..v4.ends("fd00::1", "fd00::2") }]
}

fn header(syn: &Seg) -> usize {
    if syn.from.is_ipv4() { 40 } else { 60 }
}

/// The key of the latest connection, as the worker reads it from what an error quotes.
fn key(world: &World) -> FlowKey {
    world.app.opened.last().unwrap().1
}

fn tell(world: &mut World, error: &TooBig) -> PathMtu {
    let now = world.time();
    let outcome = world.engine.path_mtu(&mut world.app, now, error);
    world.check();
    outcome
}

/// An error about a segment of the latest connection.
fn too_big(world: &mut World, seq: u32, mtu: u32) -> PathMtu {
    let error = TooBig { key: key(world), seq, mtu: Some(mtu), len: 1500 };
    tell(world, &error)
}

fn turn(world: &mut World) -> Vec<Got> {
    world.turn();
    world.app.take_out().iter().map(|packet| got(packet)).collect()
}

/// A client, and the numbers of its connection: next from the engine, next from here.
struct Peer {
    syn: Seg,
    ours: u32,
    theirs: u32,
}

impl Peer {
    fn open(world: &mut World, syn: &Seg) -> Self {
        let (ours, theirs) = world.handshake(syn);
        Self { syn: syn.clone(), ours, theirs }
    }

    /// Has the application send `len` bytes; what leaves.
    fn ask(&mut self, world: &mut World, len: usize) -> Vec<Got> {
        world.app.flood = len;
        let request = self.ack(0).data(b"?");
        self.theirs = self.theirs.wrapping_add(1);
        world.give(request.build()).unwrap();
        turn(world)
    }

    /// An acknowledgment of so many bytes more.
    fn ack(&mut self, bytes: u32) -> Seg {
        self.ours = self.ours.wrapping_add(bytes);
        Seg { flags: ACK, seq: self.theirs, ack: self.ours, options: vec![], ..self.syn.clone() }
    }
}

/// Bytes that tell their place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(app::pattern).collect()
}

/// Puts together what left; segments must begin at `first`, follow each other, and have no more than `mss` bytes.
fn whole(out: &[Got], first: u32, mss: usize) -> Vec<u8> {
    let mut bytes = vec![];
    for segment in out {
        assert_eq!(segment.seq, first.wrapping_add(bytes.len() as u32), "segments follow each other");
        assert!(segment.data.len() <= mss, "{} bytes", segment.data.len());
        bytes.extend(&segment.data);
    }
    bytes
}

/// How a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Direct,
    Stack,
}

fn made(how: How) -> Builder {
    builder().direct(how == How::Direct)
}

#[test]
fn what_is_under_way_leaves_again_smaller_at_once() {
    for how in [How::Direct, How::Stack] {
        for syn in syns(SAY) {
            let mut world = World::new(made(how));
            let mut peer = Peer::open(&mut world, &syn);
            let mss = 1300 - header(&syn);
            assert_eq!(whole(&peer.ask(&mut world, 4000), peer.ours, 1460), pattern(4000));
            assert_eq!(world.engine.stack_count(), usize::from(how == How::Stack));
            // No time passes.
            assert_eq!(too_big(&mut world, peer.ours, 1300), PathMtu::Lowered);
            let out = turn(&mut world);
            assert_eq!(whole(&out, peer.ours, mss), pattern(4000), "{how:?}");
            assert_eq!(out[0].data.len(), mss, "as much as the path takes");
            // The errors about the rest of the flight say nothing new.
            assert_eq!(too_big(&mut world, peer.ours + 1460, 1300), PathMtu::NotSmaller);
            assert!(turn(&mut world).is_empty());
            world.now += 20_000;
            assert!(world.exchange(peer.ack(4000).build()).is_empty());
            world.pass(3 * SECOND);
            assert!(world.app.take_out().is_empty(), "all is well");
            // What follows is small from the beginning.
            assert_eq!(whole(&peer.ask(&mut world, 4000), peer.ours, mss), pattern(4000));
            let c = world.engine.counters();
            assert_eq!((c.tcp_timeouts, c.tcp_tail_probes, c.tcp_fast_retransmits), (0, 0, 0), "{how:?}");
            assert_eq!((c.tcp_retransmits, c.tcp_woken), (4, 0));
            assert_eq!(c.path_mtu[PathMtu::Lowered as usize], 1);
        }
    }
}

#[test]
fn a_smaller_mtu_may_follow_and_the_router_may_not_say_which() {
    for how in [How::Direct, How::Stack] {
        let mut world = World::new(made(how));
        let mut peer = Peer::open(&mut world, &syns(SAY)[0]);
        peer.ask(&mut world, 3000);
        let key = key(&world);
        let mut say = |mtu, len, outcome, mss: usize| {
            assert_eq!(
                tell(&mut world, &TooBig { key, seq: peer.ours, mtu, len }),
                outcome,
                "{how:?} {mtu:?}"
            );
            let out = turn(&mut world);
            assert_eq!(out.iter().map(|s| s.data.len()).max().unwrap_or(0), mss, "{how:?} {mtu:?}");
            if mss > 0 {
                assert_eq!(whole(&out, peer.ours, mss), pattern(3000));
            }
        };
        say(Some(1400), 1500, PathMtu::Lowered, 1360);
        say(Some(1300), 1400, PathMtu::Lowered, 1260);
        say(None, 1500, PathMtu::NotSmaller, 0);
        say(None, 1300, PathMtu::Lowered, 964);
        say(None, 1300, PathMtu::NotSmaller, 0);
        say(None, 1004, PathMtu::Lowered, 512);
        say(None, 552, PathMtu::NotSmaller, 0);
    }
}

#[test]
fn the_window_keeps_its_count_of_segments() {
    for how in [How::Direct, How::Stack] {
        let mut world = World::new(made(how));
        let mut peer = Peer::open(&mut world, &syns(SAY)[0]);
        assert_eq!(world.engine.l4_tx(world.app.last_id(), &pattern(40_000)), Ok(40_000));
        assert_eq!(turn(&mut world).len(), 10);
        assert_eq!(too_big(&mut world, peer.ours, 1300), PathMtu::Lowered);
        let out = turn(&mut world);
        assert_eq!((out.len(), whole(&out, peer.ours, 1260).len()), (10, 12_600));
        world.now += 20_000;
        // Slow start goes on: for two that arrived four leave, of which the rest of the flight makes up the odd one.
        let first = peer.ours + 12_600;
        let out = world.exchange(peer.ack(2520).build());
        let out: Vec<_> = out.iter().map(|packet| got(packet)).collect();
        assert_eq!(out.iter().map(|s| s.data.len()).collect::<Vec<_>>(), [1260, 1260, 1260, 740], "{how:?}");
        whole(&out, first, 1260);
    }
}

#[test]
fn more_segments_than_may_leave_at_once_need_a_stack() {
    for congestion in [CongestionControl::Cubic, CongestionControl::None] {
        let mut world = World::new(builder().tcp_min_path_mtu(296).congestion(congestion));
        let mut peer = Peer::open(&mut world, &syns(SAY)[0]);
        peer.ask(&mut world, 4000);
        assert_eq!(world.engine.stack_count(), 0);
        assert_eq!(too_big(&mut world, peer.ours, 296), PathMtu::Lowered);
        let out = turn(&mut world);
        let at_once = if congestion == CongestionControl::Cubic { 2560 } else { 4000 };
        assert_eq!((world.engine.stack_count(), whole(&out, peer.ours, 256).len()), (1, at_once));
        world.now += 20_000;
        let out = world.exchange(peer.ack(2560).build());
        let out: Vec<_> = out.iter().map(|packet| got(packet)).collect();
        assert_eq!(whole(&out, peer.ours, 256).len(), 4000 - at_once);
        assert_eq!(world.engine.counters().tcp_timeouts, 0);
    }
}

#[test]
fn a_lowered_size_outlasts_sleep_and_promotion() {
    for how in [How::Direct, How::Stack] {
        for syn in syns(SAY) {
            let mut world = World::new(made(how));
            let mut peer = Peer::open(&mut world, &syn);
            let (id, mss) = (world.app.last_id(), 1300 - header(&syn));
            peer.ask(&mut world, 2000);
            assert_eq!(
                too_big(&mut world, peer.ours + 1999, 1300),
                PathMtu::Lowered,
                "the last byte under way"
            );
            turn(&mut world);
            assert!(world.exchange(peer.ack(2000).build()).is_empty());
            world.pass(6 * SECOND);
            assert_eq!((world.engine.asleep_count(), world.engine.stack_count()), (1, 0));
            // Too much for a record.
            assert_eq!(world.engine.l4_tx(id, &pattern(9000)), Ok(9000));
            let out = turn(&mut world);
            assert_eq!(world.engine.stack_count(), 1);
            assert_eq!((whole(&out, peer.ours, mss), out[0].data.len()), (pattern(9000), mss), "{how:?}");
            // And can be lowered again there.
            if header(&syn) == 40 {
                assert_eq!(too_big(&mut world, peer.ours, 1100), PathMtu::Lowered);
                assert!(whole(&turn(&mut world), peer.ours, 1060).len() >= 7 * 1060);
            }
        }
    }
}

#[test]
fn what_came_is_not_lost() {
    let mut world = World::new(builder().direct(false));
    let (ours, theirs) = world.handshake(&syns(QUOTA)[0]);
    let id = world.app.last_id();
    let part = |from: usize, len: usize| {
        seg(QUOTA, ACK, theirs + from as u32, ours).data(&pattern(3000)[from..from + len]).build()
    };
    // Not taken by the application, and behind a hole.
    world.exchange(part(0, 1000));
    world.exchange(part(2000, 1000));
    assert_eq!(world.engine.l4_tx(id, &pattern(5000)), Ok(5000));
    turn(&mut world);
    assert_eq!(too_big(&mut world, ours, 1300), PathMtu::Lowered);
    assert_eq!(whole(&turn(&mut world), ours, 1260), pattern(5000));
    world.app.quota = usize::MAX;
    let out = world.exchange(part(1000, 1000));
    assert_eq!(got(&out[0]).ack, theirs + 3000, "what lay behind the hole is still there");
    assert_eq!(world.app.got[&id], pattern(3000));
}

#[test]
fn a_closing_connection_gets_its_last_words_through() {
    for how in [How::Direct, How::Stack] {
        let mut world = World::new(made(how));
        world.app.flood = 3000;
        let syn = syns(FLOOD)[0].clone();
        let answer = got(&world.exchange(syn.build())[0]);
        let (ours, theirs) = (answer.seq + 1, syn.seq + 1);
        let out = world.exchange(seg(FLOOD, ACK, theirs, ours).build());
        let id = world.app.last_id();
        assert_eq!((out.len(), world.state(id)), (3, "FIN-WAIT-1"));
        assert_eq!(too_big(&mut world, ours, 1300), PathMtu::Lowered);
        let out = turn(&mut world);
        assert_eq!(whole(&out, ours, 1260), pattern(3000));
        assert_eq!(out.last().unwrap().flags & FIN, FIN, "{how:?}");
        // Of the rest of an end nothing is big.
        world.exchange(seg(FLOOD, ACK, theirs, ours + 3001).build());
        assert_eq!(world.state(id), "FIN-WAIT-2");
        for seq in [ours, ours + 3000, ours + 3001] {
            assert_eq!(too_big(&mut world, seq, 1000), PathMtu::OutOfWindow);
        }
        world.exchange(seg(FLOOD, ACK | FIN, theirs, ours + 3001).build());
        assert_eq!((world.engine.flow_count(), world.engine.tcp_flow_count()), (1, 0), "TIME-WAIT");
        assert_eq!(too_big(&mut world, ours + 3000, 1000), PathMtu::NoFlow);
    }
}

#[test]
fn what_cannot_be_believed_is_ignored_and_counted() {
    for how in [How::Direct, How::Stack] {
        for syn in syns(SAY) {
            let mut world = World::new(made(how));
            let answer = got(&world.exchange(syn.build())[0]);
            let mut peer = Peer { syn: syn.clone(), ours: answer.seq.wrapping_add(1), theirs: syn.seq + 1 };
            let least = if header(&syn) == 40 { 552 } else { 1280 };
            for seq in [answer.seq, peer.ours] {
                assert_eq!(too_big(&mut world, seq, 1300), PathMtu::HalfOpen);
            }
            world.exchange(peer.ack(0).build());
            assert_eq!(too_big(&mut world, peer.ours, 1300), PathMtu::OutOfWindow, "nothing is under way");
            peer.ask(&mut world, 3000);
            world.exchange(peer.ack(1000).build());
            let (id, key, una, nxt) = (world.app.last_id(), key(&world), peer.ours, peer.ours + 2000);
            let (ahead, behind) = (una.wrapping_add(1 << 31), una.wrapping_sub(1 << 30));
            for seq in [una - 1, una - 1000, nxt, nxt + 1, ahead, behind] {
                assert_eq!(too_big(&mut world, seq, 1300), PathMtu::OutOfWindow, "{}", seq.wrapping_sub(una));
            }
            assert_eq!(too_big(&mut world, una, least - 1), PathMtu::BelowMinimum);
            assert_eq!(too_big(&mut world, una, 0), PathMtu::BelowMinimum);
            for mtu in [1500, 1501, 9000, u32::MAX] {
                assert_eq!(too_big(&mut world, una, mtu), PathMtu::NotSmaller, "{mtu}");
            }
            for other in [
                FlowKey { remote_port: key.remote_port + 1, ..key },
                FlowKey { local_port: key.local_port + 1, ..key },
                FlowKey { remote: Addr::v4([10, 0, 0, 9]), ..key },
                FlowKey { link: 1 << 16, ..key },
                FlowKey { protocol: Protocol::UDP, ..key },
            ] {
                let error = TooBig { key: other, seq: una, mtu: Some(1300), len: 1500 };
                assert_eq!(tell(&mut world, &error), PathMtu::NoFlow, "{other:?}");
            }
            assert!(turn(&mut world).is_empty(), "{how:?}: none of it made a difference");
            let counted = world.engine.counters().path_mtu;
            for (outcome, count) in [
                (PathMtu::HalfOpen, 2),
                (PathMtu::OutOfWindow, 7),
                (PathMtu::BelowMinimum, 2),
                (PathMtu::NotSmaller, 4),
                (PathMtu::NoFlow, 5),
            ] {
                assert_eq!(counted[outcome as usize], count, "{}", outcome.name());
            }
            assert_eq!(counted.iter().sum::<u64>(), 20);
            // The least that is believed is believed, at the first byte of what is under way.
            assert_eq!(too_big(&mut world, una, least), PathMtu::Lowered);
            assert_eq!(whole(&turn(&mut world), una, least as usize - header(&syn)).len(), 2000);
            // What is over is over.
            world.engine.abort_flow(id).unwrap();
            assert_eq!(too_big(&mut world, una, 1000), PathMtu::NoFlow);
        }
    }
}

#[test]
fn it_can_be_switched_off() {
    let mut world = World::new(builder().tcp_path_mtu_discovery(false));
    let mut peer = Peer::open(&mut world, &syns(SAY)[0]);
    assert_eq!(whole(&peer.ask(&mut world, 3000), peer.ours, 1460).len(), 3000);
    assert_eq!(too_big(&mut world, peer.ours, 1300), PathMtu::Off);
    assert!(turn(&mut world).is_empty());
}

/// Without buffers nothing can leave; it does as soon as there are some.
#[test]
fn what_finds_no_buffer_leaves_later() {
    for how in [How::Direct, How::Stack] {
        let mut world = World::new(made(how));
        let mut peer = Peer::open(&mut world, &syns(SAY)[0]);
        peer.ask(&mut world, 3000);
        world.app.dry = true;
        world.engine.release_spare();
        assert_eq!(too_big(&mut world, peer.ours, 1300), PathMtu::Lowered);
        assert!(turn(&mut world).is_empty());
        world.app.dry = false;
        assert_eq!(whole(&turn(&mut world), peer.ours, 1260), pattern(3000), "{how:?}");
    }
}

#[test]
fn the_next_connection_of_the_same_peer_begins_with_what_the_last_one_learned() {
    for builder in [made(How::Direct), made(How::Stack), builder().syn_cookies(SynCookies::Always)] {
        for syn in syns(SAY) {
            let mut world = World::new(builder.clone());
            // The largest packet of a connection, which is over then, and how many have used what others learned.
            let largest = |world: &mut World, syn: Seg, error: Option<u32>| {
                let mut peer = Peer::open(world, &syn);
                let out = peer.ask(world, 3000);
                assert_eq!(whole(&out, peer.ours, 1460), pattern(3000));
                if let Some(mtu) = error {
                    assert_eq!(too_big(world, peer.ours, mtu), PathMtu::Lowered);
                }
                world.engine.abort_flow(world.app.last_id()).unwrap();
                turn(world);
                (out[0].data.len() + header(&syn), world.engine.counters().path_mtu_remembered)
            };
            // A cookie says of the segment size what is in its table.
            let first = largest(&mut world, syn.clone(), Some(1300));
            assert!(first.0 >= 1460 && first.1 == 0, "{first:?}");
            world.now += SECOND;
            assert_eq!(largest(&mut world, syn.clone().sport(41_000), None), (1300, 1));
            let other = if header(&syn) == 40 { "10.0.0.3" } else { "fd00::3" };
            let stranger = syn.clone().ends(other, &syn.to.to_string());
            assert_eq!(largest(&mut world, stranger, None), (first.0, 1));
            world.now += 598 * SECOND;
            assert_eq!(largest(&mut world, syn.clone().sport(41_001), None), (1300, 2));
            world.now += SECOND;
            assert_eq!(largest(&mut world, syn.clone().sport(41_002), None), (first.0, 2), "forgotten");
        }
    }
}

/// A download over a path whose middle takes less than both ends; errors come back `delay` later. Returns how long it
/// took, in microseconds.
fn download(builder: Builder, v6: bool, narrow: usize, len: usize, delay: u64) -> (World, u64) {
    let mut world = World::new(builder).faults(Faults { delay, ..Faults::default() }, 7);
    (world.app.flood, world.down.mtu) = (len, narrow);
    let to: IpAddress =
        if v6 { IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2) } else { IpAddress::v4(10, 0, 0, 2) };
    let handle = world.connect(to, FLOOD);
    let (mut transfer, begin) = (Transfer::new(handle, vec![]), world.now);
    let mut errors: Vec<(u64, u32)> = vec![];
    world.run(Duration::from_secs(3600), "a download", |world| {
        for packet in core::mem::take(&mut world.down.refused) {
            errors.push((world.now + delay, got(&packet).seq));
        }
        while let Some(&(at, seq)) = errors.first()
            && at <= world.now
        {
            errors.remove(0);
            let error = TooBig { key: key(world), seq, mtu: Some(narrow as u32), len: 1500 };
            tell(world, &error);
        }
        if let Some(&(at, _)) = errors.first() {
            // Nobody but the router knows of it.
            world.now = world.now.min(at);
        }
        transfer.pump(world)
    });
    assert!(transfer.back.iter().enumerate().all(|(n, &byte)| byte == app::pattern(n)));
    assert_eq!(transfer.back.len(), len);
    let took = world.now - begin;
    (world, took)
}

#[test]
fn a_download_over_a_narrow_path_takes_no_longer_than_over_a_wide_one() {
    for how in [How::Direct, How::Stack] {
        for (v6, congestion) in [
            (false, CongestionControl::Cubic),
            (true, CongestionControl::Cubic),
            (false, CongestionControl::Reno),
            (true, CongestionControl::Reno),
        ] {
            let with = || made(how).congestion(congestion);
            let (_, wide) = download(with(), v6, 1500, 200_000, 10_000);
            let (world, narrow) = download(with(), v6, 1300, 200_000, 10_000);
            let c = world.engine.counters();
            assert_eq!(c.path_mtu[PathMtu::Lowered as usize], 1);
            assert_eq!((c.tcp_timeouts, c.tcp_fast_retransmits, c.tcp_tail_probes), (0, 0, 0));
            assert!(
                narrow <= wide + 60_000,
                "{how:?} {congestion:?}: {narrow} us, {wide} us over a wide path"
            );
        }
    }
}

/// A stack that repairs losses itself takes it for one, but does not wait for its timer.
#[test]
fn stacks_that_repair_losses_themselves_do_not_wait_either() {
    for how in [How::Direct, How::Stack] {
        for congestion in [CongestionControl::None, CongestionControl::Stack] {
            let mut world = World::new(made(how).congestion(congestion));
            let (ours, theirs) = world.handshake(&syns(MANUAL)[0]);
            assert_eq!(world.engine.l4_tx(world.app.last_id(), &pattern(20_000)), Ok(20_000));
            turn(&mut world);
            assert_eq!(too_big(&mut world, ours, 1300), PathMtu::Lowered);
            let mut bytes = vec![];
            while bytes.len() < 20_000 {
                let out = turn(&mut world);
                assert!(!out.is_empty(), "{how:?} {congestion:?}: {} bytes", bytes.len());
                bytes.extend(whole(&out, ours + bytes.len() as u32, 1260));
                world.now += 1000;
                let ack = seg(MANUAL, ACK, theirs, ours + bytes.len() as u32).window(470);
                world.give(ack.build()).unwrap();
            }
            assert_eq!(bytes, pattern(20_000));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over a path that also loses and reorders, with errors true and false at any time, everything arrives.
    #[test]
    fn everything_arrives(
        seed: u64,
        loss in 0u64..60,
        direct: bool,
        both: bool,
        congestion in prop::sample::select(vec![
            CongestionControl::None, CongestionControl::Stack, CongestionControl::Reno, CongestionControl::Cubic,
        ]),
        len in 1usize..60_000,
        mtus in prop::collection::vec(500usize..1600, 1..6),
    ) {
        let builder = builder().direct(direct).congestion(congestion).tcp_user_timeout(Duration::from_secs(3000));
        let faults = Faults { loss, reorder: loss, delay: 5000, ..Faults::default() };
        let mut world = World::new(builder.tcp_min_path_mtu(552).tcp_synack_retries(15)).faults(faults, seed);
        world.app.flood = len;
        let handle = world.connect(IpAddress::v4(10, 0, 0, 2), if both { ECHO } else { FLOOD });
        world.socket(handle).set_keep_alive(Some(smoltcp::time::Duration::from_secs(20)));
        let out = if both { pattern(len) } else { vec![] };
        let mut transfers = [Transfer::new(handle, out)];
        let mut mtus = mtus.into_iter();
        let mut steps = 0;
        world.run(Duration::from_secs(3600), "an exchange", |world| {
            steps += 1;
            if steps % 40 == 0 && let Some(mtu) = mtus.next() {
                world.down.mtu = mtu.max(552);
            }
            for packet in core::mem::take(&mut world.down.refused) {
                let segment = got(&packet);
                let (mtu, key) = (world.down.mtu as u32, key(world));
                // Before and behind the true one somebody guesses.
                for seq in [segment.seq.wrapping_sub(1 << 20), segment.seq, segment.seq.wrapping_add(1 << 20)] {
                    tell(world, &TooBig { key, seq, mtu: Some(mtu), len: packet.len() as u16 });
                }
            }
            transfers[0].pump(world)
        });
        prop_assert_eq!(transfers[0].back.len(), len);
        prop_assert!(transfers[0].back == pattern(len));
    }
}
