//! Two UDP flows joined: what comes on one leaves on the other.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::PASS;
use common::wire::{udp, verifies};
use common::{World, builder, limits};
use core::time::Duration;
use l3l4::{CloseReason, ConnectError, DatagramError, FlowId, FlowKey, Protocol};

fn server_key(v4: bool) -> FlowKey {
    let (server, ours): (std::net::IpAddr, std::net::IpAddr) = if v4 {
        ([10, 0, 0, 1].into(), [10, 0, 0, 9].into())
    } else {
        ("fd00::1".parse().unwrap(), "fd00::9".parse().unwrap())
    };
    FlowKey {
        remote: server.into(),
        local: ours.into(),
        remote_port: 53,
        local_port: 50_001,
        protocol: Protocol::UDP,
        link: 0,
    }
}

/// A client's flow and the one to its server.
fn joined(world: &mut World, v4: bool) -> (FlowId, FlowId) {
    assert!(world.exchange(udp("10.0.0.7", "192.0.2.9", 5, PASS, b"first")).is_empty());
    let (client, now) = (world.app.last_id(), world.time());
    let server = world.engine.open_udp(&mut world.app, now, &server_key(v4), u64::from(PASS)).unwrap();
    world.app.pairs.insert(client, server);
    world.app.pairs.insert(server, client);
    (client, server)
}

#[test]
fn datagrams_pass_both_ways_whole() {
    for (v4, head) in [(true, 28), (false, 48)] {
        let mut world = World::new(builder());
        let (client, server) = joined(&mut world, v4);
        let now = world.time();
        world.engine.send_datagram(&mut world.app, now, server, b"first").unwrap();
        let mut out = world.app.take_out();
        out.extend(world.exchange(udp("10.0.0.7", "192.0.2.9", 5, PASS, b"question")));
        assert_eq!(out.len(), 2);
        for (packet, data) in out.iter().zip([&b"first"[..], b"question"]) {
            assert!(verifies(packet));
            assert_eq!(packet[head..], *data);
            assert_eq!(packet[head - 8..head - 4], [0xc3, 0x51, 0, 53], "from our port to the server's");
        }
        let (from, to) = if v4 { ("10.0.0.1", "10.0.0.9") } else { ("fd00::1", "fd00::9") };
        let out = world.exchange(udp(from, to, 53, 50_001, b"answer"));
        assert_eq!((out.len(), &out[0][28..]), (1, &b"answer"[..]));
        assert_eq!(out[0][20..24], [0, 21, 0, 5], "the client sees the port that it asked");
        let info = |id| world.engine.flow(id, world.time()).unwrap();
        assert_eq!((info(client).bytes_in, info(client).bytes_out), (13, 6));
        assert_eq!((info(server).bytes_in, info(server).bytes_out), (6, 13));
        assert_eq!(world.engine.counters().udp_relay_refused, 0);
    }
}

#[test]
fn one_way_traffic_keeps_both_alive_and_silence_ends_both() {
    let mut world = World::new(builder().udp_idle_timeout(Duration::from_secs(10)));
    let (client, server) = joined(&mut world, true);
    for _ in 0..10 {
        world.pass(6_000_000);
        assert_eq!(world.exchange(udp("10.0.0.7", "192.0.2.9", 5, PASS, b"tick")).len(), 1);
    }
    assert!(world.app.closed.is_empty());
    world.pass(11_000_000);
    let idle = Some(CloseReason::Idle);
    assert_eq!((world.app.reason(client), world.app.reason(server)), (idle, idle));
    assert_eq!(world.app.totals.iter().find(|(id, ..)| *id == server).unwrap().2, 40);
}

#[test]
fn what_cannot_be_passed_on_is_counted_and_delivered_all_the_same() {
    let mut world = World::new(builder());
    let (client, server) = joined(&mut world, false);
    // IPv6 needs 20 bytes more than the packet it came in.
    assert!(world.exchange(udp("10.0.0.7", "192.0.2.9", 5, PASS, &[1; 1472])).is_empty());
    assert_eq!(world.engine.counters().udp_relay_refused, 1);
    let now = world.time();
    let mut send = |data: &[u8]| world.engine.send_datagram(&mut world.app, now, server, data);
    assert_eq!(send(&[0; 1453]), Err(DatagramError::TooLong));
    assert_eq!(send(&[0; 1452]), Ok(()));
    world.app.take_out();
    world.engine.release_spare();
    world.app.dry = true;
    assert_eq!(world.engine.send_datagram(&mut world.app, now, server, b"x"), Err(DatagramError::NoBuffer));
    world.app.dry = false;
    world.engine.abort_flow(server).unwrap();
    world.now += 1_000;
    world.turn();
    assert_eq!(world.app.reason(server), Some(CloseReason::Aborted));
    assert!(world.app.take_out().is_empty(), "UDP has no word for it");
    assert_eq!(world.engine.send_datagram(&mut world.app, now, server, b"x"), Err(DatagramError::Gone));
    world.app.pairs.insert(client, server);
    assert!(world.exchange(udp("10.0.0.7", "192.0.2.9", 5, PASS, b"late")).is_empty());
    assert_eq!(world.engine.counters().udp_relay_refused, 2);
}

#[test]
fn flows_from_here_are_bounded_like_others() {
    let mut world = World::new(builder().limits(limits(2)));
    let (_, _) = joined(&mut world, true);
    let now = world.time();
    let mut open = |key: &FlowKey| world.engine.open_udp(&mut world.app, now, key, u64::from(PASS));
    assert_eq!(open(&server_key(true)), Err(ConnectError::InUse));
    let other = FlowKey { local_port: 50_002, ..server_key(true) };
    assert_eq!(open(&other), Err(ConnectError::Full));
    assert_eq!(open(&FlowKey { protocol: Protocol::TCP, ..other }), Err(ConnectError::InUse), "not for TCP");
    world.engine.set_accepting(false);
    let draining = world.engine.open_udp(&mut world.app, now, &other, u64::from(PASS));
    assert_eq!(draining, Err(ConnectError::Draining));
}
