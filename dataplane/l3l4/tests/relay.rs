//! Two connections joined: what comes on one leaves on the other, either way, to the last byte.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::PROXY;
use common::link::{Faults, Rng};
use common::{SERVER, World, builder};
use core::time::Duration;
use l3l4::{Builder, CloseReason};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::IpAddress;

const V4: IpAddress = IpAddress::v4(10, 0, 0, 2);

/// What one end of a relay does.
struct End {
    handle: SocketHandle,
    out: Vec<u8>,
    sent: usize,
    back: Vec<u8>,
    /// Reads nothing while set.
    stalled: bool,
}

impl End {
    fn new(handle: SocketHandle, out: Vec<u8>) -> Self {
        Self { handle, out, sent: 0, back: vec![], stalled: false }
    }

    /// Writes and reads what can be, and closes after its last byte; true when both directions are closed.
    fn pump(&mut self, world: &mut World) -> bool {
        let socket = world.socket(self.handle);
        if socket.may_send() {
            self.sent += socket.send_slice(&self.out[self.sent..]).unwrap();
            if self.sent == self.out.len() && socket.state() != State::SynSent {
                socket.close();
            }
        }
        while !self.stalled && socket.can_recv() {
            self.back.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
        }
        matches!(socket.state(), State::Closed | State::TimeWait) && self.sent == self.out.len()
    }
}

fn listen(world: &mut World, ring: usize) -> SocketHandle {
    let buffer = || SocketBuffer::new(vec![0; ring]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_ack_delay(None);
    socket.set_nagle_enabled(false);
    socket.listen(SERVER).unwrap();
    world.sockets.add(socket)
}

fn builders() -> Vec<Builder> {
    vec![builder(), builder().direct(false), builder().tcp_sleep_after(Some(Duration::from_millis(300)))]
}

fn both_ways(mut world: World, to: IpAddress, up: usize, down: usize, what: &str) -> World {
    let mut rng = Rng(up as u64 ^ 77);
    let (up, down) = (rng.bytes(up), rng.bytes(down));
    let server = listen(&mut world, 30_000);
    let client = world.connect(to, PROXY);
    let (mut client, mut server) = (End::new(client, up), End::new(server, down));
    world.run(Duration::from_secs(900), what, |world| {
        let done = client.pump(world);
        server.pump(world) && done
    });
    assert!(server.back == client.out && client.back == server.out, "{what}: what came is what was sent");
    world.pass(300_000_000);
    assert_eq!(world.engine.tcp_flow_count(), 0, "{what}");
    assert!(world.app.closed.iter().all(|(_, reason)| *reason == CloseReason::Finished), "{what}");
    world
}

#[test]
fn everything_arrives_both_ways() {
    for builder in builders() {
        for (up, down) in [(0, 0), (1, 1), (100, 3000), (5000, 10), (10, 50_000), (300_000, 200_000)] {
            both_ways(World::new(builder.clone()), V4, up, down, &format!("{up} up, {down} down"));
            let v6 = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2);
            both_ways(World::new(builder.clone()), v6, up, down, &format!("IPv6: {up} up, {down} down"));
        }
    }
}

#[test]
fn everything_arrives_over_bad_links() {
    let faults = Faults { loss: 30, duplicate: 30, corrupt: 10, reorder: 100, burst: 2, delay: 2000 };
    for (at, builder) in builders().into_iter().enumerate() {
        for seed in 1..8 {
            let world = World::new(builder.clone()).faults(faults, seed);
            both_ways(world, V4, 40_000, 60_000, &format!("builder {at}, seed {seed}"));
        }
    }
}

#[test]
fn short_exchanges_need_no_stack() {
    let world = both_ways(World::new(builder()), V4, 100, 1000, "short");
    let c = world.engine.counters();
    assert_eq!((c.tcp_woken, c.tcp_established, c.tcp_connects), (0, 2, 1));
}

/// A relay that has begun, both ends open.
fn begun(world: &mut World, up: &[u8], down: &[u8], ring: usize) -> (End, End) {
    let server = listen(world, ring);
    let client = world.connect_with(V4, PROXY, ring);
    let ends = (End::new(client, up.to_vec()), End::new(server, down.to_vec()));
    world.run(Duration::from_secs(5), "both open", |world| {
        world.socket(client).state() == State::Established
            && world.socket(server).state() == State::Established
    });
    ends
}

#[test]
fn one_side_closes_and_the_other_goes_on() {
    for builder in builders() {
        for client_first in [true, false] {
            let mut world = World::new(builder.clone());
            let (client, server) = begun(&mut world, &[], &[], 30_000);
            let (first, second) =
                if client_first { (client.handle, server.handle) } else { (server.handle, client.handle) };
            world.socket(first).send_slice(b"last words").unwrap();
            world.socket(first).close();
            world.run(Duration::from_secs(5), "the end arrives behind the data", |world| {
                let socket = world.socket(second);
                socket.state() == State::CloseWait && socket.recv_queue() == 10
            });
            // Long after.
            world.pass(30_000_000);
            world.socket(second).send_slice(&[7; 20_000]).unwrap();
            world.socket(second).close();
            let mut got = 0;
            world.run(Duration::from_secs(60), "and all that comes back", |world| {
                let socket = world.socket(first);
                while socket.can_recv() {
                    got += socket.recv(|part| (part.len(), part.len())).unwrap();
                }
                got == 20_000 && socket.state() == State::TimeWait
            });
            assert!(world.app.closed.iter().all(|(_, reason)| *reason == CloseReason::Finished));
        }
    }
}

#[test]
fn a_reset_is_passed_on() {
    for builder in builders() {
        for client_first in [true, false] {
            let mut world = World::new(builder.clone());
            let (client, server) = begun(&mut world, &[], &[], 30_000);
            let (first, second) =
                if client_first { (client.handle, server.handle) } else { (server.handle, client.handle) };
            world.socket(first).abort();
            world.run(Duration::from_secs(5), "both are gone", |world| {
                world.socket(second).state() == State::Closed && world.app.closed.len() == 2
            });
            assert_eq!(world.engine.flow_count(), 0);
        }
    }
}

#[test]
fn a_slow_reader_stops_the_sender_and_loses_nothing() {
    for builder in builders() {
        let mut rng = Rng(5);
        let body = rng.bytes(1_000_000);
        let mut world = World::new(builder);
        let (mut client, mut server) = begun(&mut world, b"", &body, 20_000);
        client.stalled = true;
        let deadline = world.now + 30_000_000;
        world.run(Duration::from_secs(40), "stalled", |world| {
            server.pump(world);
            world.now >= deadline
        });
        // Both rings of each connection here, both of the peer's.
        let most = 4 * 65_535 + 2 * 20_000;
        assert!(server.sent < most, "{} bytes were taken in for a reader that reads nothing", server.sent);
        client.stalled = false;
        world.run(Duration::from_secs(600), "all arrives", |world| {
            let done = client.pump(world);
            server.pump(world) && done
        });
        assert!(client.back == body);
    }
}

#[test]
fn what_the_client_said_early_reaches_the_server_that_answers() {
    let mut world = World::new(builder());
    // The first server does not listen; the second one does, a moment later.
    let key = world.server_key(true);
    world.app.others = vec![key];
    let client = world.connect(V4, PROXY);
    world.run(Duration::from_secs(5), "open", |world| world.socket(client).may_send());
    world.up.cut = true;
    world.step();
    world.up.cut = false;
    world.socket(client).send_slice(&[3; 3000]).unwrap();
    world.pass(400_000);
    let server = listen(&mut world, 30_000);
    world.run(Duration::from_secs(20), "all of it", |world| world.socket(server).recv_queue() == 3000);
    assert_eq!(world.engine.counters().tcp_bytes_out, 3000);
}

#[test]
fn a_slow_reader_that_has_closed_its_side() {
    for builder in builders() {
        let mut rng = Rng(6);
        let body = rng.bytes(400_000);
        let mut world = World::new(builder);
        let (mut client, mut server) = begun(&mut world, b"question", &[], 20_000);
        world.run(Duration::from_secs(5), "the client's end arrives", |world| {
            client.pump(world);
            world.socket(server.handle).state() == State::CloseWait
        });
        world.pass(2_000_000);
        (client.stalled, server.out) = (true, body.clone());
        world.run(Duration::from_secs(5), "the server sends", |world| {
            server.pump(world);
            server.sent > 100_000
        });
        world.pass(5_000_000);
        client.stalled = false;
        world.run(Duration::from_secs(60), "all arrives", |world| {
            let done = client.pump(world);
            server.pump(world) && done
        });
        assert!(client.back == body && server.back == b"question");
        assert_eq!(world.engine.counters().dropped_total(), 0);
    }
}
