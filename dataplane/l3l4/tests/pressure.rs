//! Back-pressure: what an application does not take closes the window, and nothing is lost.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{MANUAL, QUOTA};
use common::link::{Faults, Rng};
use common::wire::{ACK, FIN, SYN, got, seg};
use common::{World, builder};
use core::time::Duration;
use smoltcp::wire::IpAddress;

const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn the_window_closes_by_what_is_left() {
    let mut world = World::new(builder());
    world.app.quota = 300;
    let (ours, theirs) = world.handshake(&seg(QUOTA, SYN, 1000, 0));
    // 1000 come, 300 are taken: 700 stay.
    let out = world.exchange(seg(QUOTA, ACK, theirs, ours).data(&[1; 1000]).build());
    let ack = got(&out[0]);
    assert_eq!((ack.ack, ack.window), (theirs + 1000, 65_535 - 700));
    // 1000 more, none taken.
    let out = world.exchange(seg(QUOTA, ACK, theirs + 1000, ours).data(&[2; 1000]).build());
    assert_eq!(got(&out[0]).window, 65_535 - 1700);
}

#[test]
fn a_paused_application_stops_the_peer_and_resumes() {
    for (seed, buffer) in [(0, 65_536), (1, 65_536), (2, 1 << 20), (3, 5000)] {
        let faults = if seed == 0 {
            Faults::default()
        } else {
            Faults { loss: 20, reorder: 20, delay: 300, ..Faults::default() }
        };
        let mut world = World::new(builder().tcp_buffer_size(buffer)).faults(faults, seed);
        let data = Rng(seed).bytes(3 << 20);
        let handle = world.connect_with(IpAddress::v4(10, 0, 0, 2), MANUAL, 100_000);
        world.run(LIMIT, "established", |w| w.socket(handle).may_send());
        let id = world.app.last_id();
        let (mut sent, mut taken) = (0, vec![]);
        while taken.len() < data.len() {
            assert!(world.now < 3_600_000_000, "seed {seed}: {} of {} taken", taken.len(), data.len());
            let socket = world.socket(handle);
            if socket.can_send() && sent < data.len() {
                sent += socket.send_slice(&data[sent..]).unwrap();
            }
            let pause = world.app.rng.below(20_000);
            world.pass(pause);
            // The application wakes up, and takes all, half or one byte.
            let n = world.app.rng.below(3) as usize;
            let part = world
                .engine
                .with_conn(id, |conn| {
                    let most = [conn.pending(), conn.pending() / 2, 1][n].min(conn.pending());
                    let mut bytes = vec![0; most];
                    conn.copy(&mut bytes);
                    conn.take(most);
                    bytes
                })
                .unwrap();
            taken.extend(part);
        }
        assert!(taken == data, "seed {seed}");
    }
}

#[test]
fn a_full_ring_says_zero_and_opens_again() {
    let mut world = World::new(builder().tcp_buffer_size(4096));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    let mut sent = 0;
    let mut window = 4096;
    while window > 0 {
        let n = window.min(1000);
        let out = world.exchange(seg(MANUAL, ACK, theirs + sent, ours).data(&vec![7; n as usize]).build());
        sent += n;
        window = u32::from(got(&out[0]).window);
    }
    assert_eq!(sent, 4096);
    // A probe is answered, and not taken.
    let out = world.exchange(seg(MANUAL, ACK, theirs + sent, ours).data(&[8]).build());
    assert_eq!((got(&out[0]).ack, got(&out[0]).window), (theirs + 4096, 0));
    world.engine.with_conn(id, |conn| conn.take(4096)).unwrap();
    world.turn();
    let out = world.app.take_out();
    assert_eq!((out.len(), got(&out[0]).window), (1, 4096), "the peer hears of the room");
}

#[test]
fn a_fin_beyond_the_window_is_not_believed() {
    let mut world = World::new(builder().tcp_buffer_size(4096));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    let out = world.exchange(seg(MANUAL, ACK, theirs, ours).data(&[1; 4000]).build());
    assert_eq!(got(&out[0]).window, 96);
    let tail = seg(MANUAL, FIN | ACK, theirs + 4000, ours).data(&[2; 200]);
    let out = world.exchange(tail.build());
    assert_eq!(got(&out[0]).ack, theirs + 4096, "neither the last 104 bytes nor the FIN");
    assert_eq!(world.state(id), "ESTABLISHED");
    assert_eq!(world.engine.counters().fin_deferred, 1);
    world.engine.with_conn(id, |conn| conn.take(4096)).unwrap();
    world.turn();
    world.app.take_out();
    let out = world.exchange(tail.build());
    assert_eq!(got(&out[0]).ack, theirs + 4201);
    assert_eq!(world.state(id), "CLOSE-WAIT");
    let rest = world.engine.with_conn(id, |conn| conn.pending()).unwrap();
    assert_eq!(rest, 104);
}

#[test]
fn bytes_beyond_a_scaled_window_never_become_data() {
    // The window of a SYN-ACK is not scaled on the wire; smoltcp believes it is, and its ring holds only 128 KiB.
    let mut world = World::with_mtu(builder().tcp_buffer_size(128 * 1024), 9000);
    let syn = seg(MANUAL, SYN, 1000, 0).options(&[3, 3, 7, 0]);
    let (ours, theirs) = world.handshake(&syn);
    let id = world.app.last_id();
    let far = world.give(seg(MANUAL, ACK, theirs + 140_000, ours).data(&[9; 1000]).build());
    assert_eq!(far, Err(l3l4::DropReason::TcpOutOfWindow));
    // The 65,535 of the SYN-ACK, rounded up to what a scaled window can say.
    let mut at = 0;
    while at < 65_536 {
        let n = (65_536 - at).min(8000);
        world.give(seg(MANUAL, ACK, theirs + at, ours).data(&vec![1; n as usize]).build()).unwrap();
        at += n;
    }
    assert!(world.give(seg(MANUAL, ACK, theirs + at, ours).data(&[2; 100]).build()).is_err());
    assert_eq!(world.engine.with_conn(id, |conn| conn.pending()).unwrap(), 65_536);
    world.turn();
    let ack = got(world.app.take_out().last().unwrap());
    assert_eq!(ack.ack, theirs + 65_536);
    assert_eq!(u32::from(ack.window) << 2, 128 * 1024 - 65_536);
}
