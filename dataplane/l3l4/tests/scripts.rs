//! Anything at all: random bytes, mutated segments, and random scripts of client, application and link.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{self, MANUAL};
use common::link::{Faults, Rng};
use common::wire::{ACK, FIN, RST, SYN, seg, udp};
use common::{World, builder};
use proptest::prelude::*;
use smoltcp::wire::IpAddress;

fn with(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What can be done to a packet.
#[derive(Clone, Debug)]
enum Mutation {
    Byte(usize, u8),
    Cut(usize),
    Grow(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (0usize..120, any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        1 => (0usize..120).prop_map(Mutation::Cut),
        1 => (0usize..60).prop_map(Mutation::Grow),
    ]
}

fn mutate(packet: &mut Vec<u8>, mutations: &[Mutation]) {
    for mutation in mutations {
        match *mutation {
            Mutation::Byte(at, byte) => {
                let len = packet.len();
                if len > 0 {
                    packet[at % len] = byte;
                }
            }
            Mutation::Cut(len) => packet.truncate(len),
            Mutation::Grow(by) => packet.extend(std::iter::repeat_n(0x5a, by)),
        }
    }
}

proptest! {
    #![proptest_config(with(512))]

    #[test]
    fn random_bytes(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..20)) {
        let mut world = World::new(builder().limits(common::limits(32)));
        for (n, mut packet) in packets.into_iter().enumerate() {
            // Half of them at least look like IP.
            if n % 2 == 0 && !packet.is_empty() {
                packet[0] = if n % 4 == 0 { 0x45 } else { 0x60 };
            }
            world.known = if n % 3 == 0 { l3l4::RxChecksum::default() } else { l3l4::RxChecksum::GOOD };
            let _ = world.give(packet);
            world.turn();
        }
    }

    /// Valid segments of a live connection, mutated, with checksums not looked at: all of the engine is reached.
    #[test]
    fn mutated_segments(
        script in prop::collection::vec(
            (0u8..8, 0u8..64, -3000i64..70_000, -3000i64..3000, 0usize..1400, any::<u16>(),
             prop::collection::vec(mutation(), 0..3), 0u64..2_000_000),
            1..40,
        ),
        v6: bool,
        buffer in prop::sample::select(vec![4096usize, 65_536, 200_000]),
        scale: bool,
    ) {
        let mut world = World::new(builder().limits(common::limits(32)).tcp_buffer_size(buffer));
        world.known = l3l4::RxChecksum::GOOD;
        world.app.quota = 5000;
        let ends = if v6 { ("fd00::1", "fd00::2") } else { ("10.0.0.1", "10.0.0.2") };
        let make = |port, flags, seq, ack| {
            let s = seg(port, flags, seq, ack).ends(ends.0, ends.1);
            if flags & SYN != 0 && scale { s.options(&[3, 3, 14, 0]) } else { s }
        };
        let mut numbers = (0u32, 0u32);
        for (kind, flags, seq, ack, len, window, mutations, pause) in script {
            let port = [app::ECHO, app::DISCARD, app::QUOTA, app::ANSWER, app::SHOUT, MANUAL][usize::from(kind) % 6];
            let at = |base: u32, by: i64| base.wrapping_add(by as u32);
            let mut packet = match kind {
                0 => udp(ends.0, ends.1, 5, port, &vec![7; len]),
                _ => make(port, flags | if flags & (SYN | RST | FIN) == 0 { ACK } else { 0 }, at(numbers.0, seq), at(numbers.1, ack))
                    .data(&vec![kind; if flags & SYN == 0 { len } else { 0 }])
                    .window(window)
                    .build(),
            };
            mutate(&mut packet, &mutations);
            let _ = world.give(packet);
            world.pass(pause.min(200_000));
            world.turn();
            if let Some(last) = world.app.take_out().last() {
                let l3 = if last[0] >> 4 == 4 { 20 } else { 40 };
                if last.len() >= l3 + 20 {
                    let word = |at: usize| u32::from_be_bytes(last[l3 + at..l3 + at + 4].try_into().unwrap());
                    numbers = (word(8), word(4).wrapping_add(1));
                }
            }
            if kind == 7 && !world.app.opened.is_empty() {
                let id = world.app.last_id();
                let _ = world.engine.l4_tx(id, &vec![1; len]);
                let _ = world.engine.with_conn(id, |conn| conn.take(len / 2));
            }
            if kind == 6 && !world.app.opened.is_empty() && len > 1000 {
                let _ = world.engine.close_flow(world.app.last_id());
            }
        }
        // Whatever happened, everything ends by itself.
        while world.engine.abort_some(&mut world.app, 100) {
            world.turn();
        }
        prop_assert_eq!(world.engine.flow_count(), 0);
        world.check();
    }
}

#[derive(Clone, Debug)]
enum Act {
    ClientSend(usize),
    ClientRead,
    AppSend(usize),
    AppTake(usize),
    Pass(u64),
    Dry(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1usize..40_000).prop_map(Act::ClientSend),
        2 => Just(Act::ClientRead),
        3 => (1usize..40_000).prop_map(Act::AppSend),
        2 => (1usize..40_000).prop_map(Act::AppTake),
        4 => (1u64..2_000_000).prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Dry),
    ]
}

proptest! {
    #![proptest_config(with(192))]

    /// Both sides write, read and pause as they like over a bad link; then both close. Each gets exactly what the
    /// other wrote.
    #[test]
    fn two_way_scripts(
        acts in prop::collection::vec(act(), 1..40),
        seed: u64,
        loss in 0u64..50, duplicate in 0u64..50, corrupt in 0u64..20, reorder in 0u64..100, delay in 0u64..20_000,
        buffer in prop::sample::select(vec![4096usize, 20_000, 65_536, 100_000]),
        v6: bool,
        app_first: bool,
    ) {
        let faults = Faults { loss, duplicate, corrupt, reorder, delay, burst: 0 };
        let mut world = World::new(builder().limits(common::limits(32)).tcp_buffer_size(buffer)).faults(faults, seed);
        let to: IpAddress = if v6 { IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2) } else { IpAddress::v4(10, 0, 0, 2) };
        let handle = world.connect_with(to, MANUAL, 30_000);
        // The peer's smoltcp forgets its timer where it runs out against a closed window (the engine mends that).
        world.socket(handle).set_keep_alive(Some(smoltcp::time::Duration::from_secs(20)));
        let limit = std::time::Duration::from_secs(3600);
        world.run(limit, "established", |w| w.socket(handle).may_send() && !w.app.opened.is_empty());
        let id = world.app.last_id();
        let mut rng = Rng(seed);
        let (mut up, mut up_got, mut down, mut down_got): (Vec<u8>, _, Vec<u8>, Vec<u8>) =
(vec![], vec![], vec![], vec![]);
        for act in acts {
            match act {
                Act::ClientSend(n) => {
                    let data = rng.bytes(n);
                    let sent = world.socket(handle).send_slice(&data).unwrap();
                    up.extend(&data[..sent]);
                }
                Act::ClientRead => {
                    let socket = world.socket(handle);
                    while socket.can_recv() {
                        down_got.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
                    }
                }
                Act::AppSend(n) => {
                    let data = rng.bytes(n);
                    // The handshake's last ACK may still be on its way.
                    let sent = world.engine.l4_tx(id, &data).unwrap_or(0);
                    down.extend(&data[..sent]);
                }
                Act::AppTake(n) => take(&mut world, id, n, &mut up_got),
                Act::Pass(micros) => world.pass(micros),
                Act::Dry(dry) => world.app.dry = dry,
            }
            world.turn();
        }
        world.app.dry = false;
        let (mut client_closed, mut app_closed) = (false, false);
        world.run(limit, "to the end", |world| {
            let done = {
                let socket = world.socket(handle);
                while socket.can_recv() {
                    down_got.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
                }
                if !client_closed && (!app_first || !socket.may_recv()) {
                    socket.close();
                    client_closed = true;
                }
                !socket.may_recv()
            };
            take(world, id, usize::MAX, &mut up_got);
            let end = world.engine.with_conn(id, |conn| conn.at_end()).unwrap_or(true);
            if !app_closed && (app_first || end) {
                // Refused while the handshake's last ACK is on its way.
                app_closed = world.engine.close_flow(id) != Err(l3l4::FlowError::Closed);
            }
            done && world.app.reason(id).is_some()
        });
        prop_assert_eq!(world.app.reason(id), Some(l3l4::CloseReason::Finished));
        prop_assert!(up == up_got, "{} of {} bytes up", up_got.len(), up.len());
        prop_assert!(down == down_got, "{} of {} bytes down", down_got.len(), down.len());
    }
}

fn take(world: &mut World, id: l3l4::FlowId, most: usize, got: &mut Vec<u8>) {
    let part = world.engine.with_conn(id, |conn| {
        let mut bytes = vec![0; conn.pending().min(most)];
        conn.copy(&mut bytes);
        conn.take(bytes.len());
        bytes
    });
    got.extend(part.unwrap_or_default());
}
