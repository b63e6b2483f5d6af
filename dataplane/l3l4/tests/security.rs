//! What an attacker may send, and what it gets for it.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, MANUAL};
use common::link::Rng;
use common::wire::{ACK, FIN, RST, SYN, got, seg};
use common::{World, builder};
use l3l4::{Builder, DropReason};

fn isn(world: &mut World, port: u16) -> u32 {
    let out = world.exchange(seg(ECHO, SYN, 1, 0).sport(port).build());
    got(&out[0]).seq
}

#[test]
fn initial_sequence_numbers_follow_rfc_6528() {
    let mut world = World::new(builder());
    let first = isn(&mut world, 1000);
    // The same tuple, another engine with the same secret, 4 s later: a million further.
    let mut later = World::new(builder());
    later.now += 4_000_000;
    assert_eq!(isn(&mut later, 1000).wrapping_sub(first), 1_000_000);
    // Another secret: another number.
    let mut other = World::new(Builder::new([1; 32]));
    assert_ne!(isn(&mut other, 1000), first);
}

#[test]
fn initial_sequence_numbers_say_nothing_of_others() {
    let mut world = World::new(builder().limits(common::limits(1000)).tcp_buffer_size(2048));
    let numbers: Vec<u32> = (0..1000).map(|n| isn(&mut world, 2000 + n)).collect();
    // Neighbouring ports at one time: differences all over the place, in all bits.
    let mut bits = [0u32; 32];
    for pair in numbers.windows(2) {
        let difference = pair[1].wrapping_sub(pair[0]);
        bits.iter_mut().enumerate().for_each(|(n, count)| *count += difference >> n & 1);
    }
    assert!(bits.iter().all(|n| (400..600).contains(n)), "{bits:?}");
}

/// RFC 5961 on the wire: what comes back, and under which name the segment was dropped.
#[test]
fn rfc_5961_table() {
    // A stack has its own way of saying that data lies too far ahead.
    for (direct, far) in [(true, Err(DropReason::TcpOutOfWindow)), (false, Ok(()))] {
        rfc_5961_as(World::new(builder().direct(direct)), far);
    }
}

fn rfc_5961_as(mut world: World, far: Result<(), DropReason>) {
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    let drop = Err::<(), _>;
    for (what, packet, wanted, answered) in [
        ("SYN at the next byte", seg(MANUAL, SYN, theirs, 0), drop(DropReason::TcpChallenged), true),
        ("SYN anywhere", seg(MANUAL, SYN, theirs + 0x4000_0000, 0), drop(DropReason::TcpChallenged), true),
        ("SYN-ACK", seg(MANUAL, SYN | ACK, theirs, ours), drop(DropReason::TcpChallenged), true),
        ("RST in the window", seg(MANUAL, RST, theirs + 1, 0), drop(DropReason::TcpChallenged), true),
        ("RST at its last byte", seg(MANUAL, RST, theirs + 65_534, 0), drop(DropReason::TcpChallenged), true),
        ("RST beyond", seg(MANUAL, RST, theirs + 65_535, 0), drop(DropReason::TcpOutOfWindow), false),
        ("RST behind", seg(MANUAL, RST, theirs - 1, 0), drop(DropReason::TcpOutOfWindow), false),
        (
            "ACK of the future",
            seg(MANUAL, ACK, theirs, ours + 1).data(b"x"),
            drop(DropReason::TcpOutOfWindow),
            true,
        ),
        (
            "ACK of long ago",
            seg(MANUAL, ACK, theirs, ours - 70_000).data(b"x"),
            drop(DropReason::TcpOutOfWindow),
            true,
        ),
        ("FIN without ACK", seg(MANUAL, FIN, theirs, 0), drop(DropReason::TcpFlags), false),
        ("data far outside", seg(MANUAL, ACK, theirs + 100_000, ours).data(b"x"), far, true),
    ] {
        assert_eq!(world.give(packet.build()), wanted, "{what}");
        world.turn();
        let out = world.app.take_out();
        assert_eq!(out.len(), usize::from(answered), "{what}");
        for packet in out {
            let ack = got(&packet);
            assert_eq!((ack.flags, ack.seq, ack.ack, ack.window), (ACK, ours, theirs, 65_535), "{what}");
        }
    }
    assert_eq!(world.state(id), "ESTABLISHED");
    assert_eq!(world.engine.with_conn(id, |conn| conn.pending()).unwrap(), 0);
}

#[test]
fn a_wrong_ack_of_the_handshake_is_reset() {
    let mut world = World::new(builder());
    let ours = isn(&mut world, 1000);
    let out = world.exchange(seg(ECHO, ACK, 2, ours.wrapping_add(2)).sport(1000).build());
    assert_eq!((got(&out[0]).flags, got(&out[0]).seq), (RST, ours.wrapping_add(2)));
    // The right one still opens the connection.
    world.exchange(seg(ECHO, ACK, 2, ours.wrapping_add(1)).sport(1000).build());
    assert_eq!(world.state(world.app.last_id()), "ESTABLISHED");
}

#[test]
fn martians() {
    let mut world = World::new(builder());
    for (from, to) in [
        ("10.0.0.1", "10.0.0.1"),
        ("127.0.0.1", "10.0.0.2"),
        ("10.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "224.0.0.1"),
        ("10.0.0.1", "255.255.255.255"),
        ("0.0.0.0", "10.0.0.2"),
        ("::1", "fd00::2"),
        ("fd00::1", "ff02::1"),
        ("::", "fd00::2"),
    ] {
        let why = world.give(seg(ECHO, SYN, 1, 0).ends(from, to).build());
        assert_eq!(why, Err(DropReason::Martian), "{from} -> {to}");
    }
    world.turn();
    assert_eq!((world.app.sent, world.engine.flow_count()), (0, 0));
}

#[test]
fn extension_headers_are_walked_over() {
    // Hop-by-hop with padding, then destination options, in front of every segment of a connection.
    let mut world = World::new(builder());
    let ends = |s: common::wire::Seg| s.ends("2001:db8::1", "2001:db8::2");
    let wrap = |packet: Vec<u8>| {
        let mut out = packet[..40].to_vec();
        out[6] = 0;
        out.extend([60, 0, 1, 4, 0, 0, 0, 0]);
        out.extend([6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(&packet[40..]);
        let len = (out.len() - 40) as u16;
        out[4..6].copy_from_slice(&len.to_be_bytes());
        out
    };
    let out = world.exchange(wrap(ends(seg(ECHO, SYN, 1, 0).options(&[2, 4, 5, 0xa0])).build()));
    let ours = got(&out[0]).seq.wrapping_add(1);
    world.exchange(wrap(ends(seg(ECHO, ACK, 2, ours)).build()));
    let data = Rng(5).bytes(1200);
    let out = world.exchange(wrap(ends(seg(ECHO, ACK, 2, ours).data(&data)).build()));
    assert_eq!(got(&out[0]).data, data);
    // An acknowledgment so old that it is rewritten, with data behind extension headers.
    let out = world.exchange(wrap(ends(seg(ECHO, ACK, 1202, ours.wrapping_add(1200))).build()));
    assert!(out.is_empty());
    let out = world.exchange(wrap(ends(seg(ECHO, ACK, 1202, ours).data(b"late")).build()));
    assert_eq!(got(&out[0]).data, b"late");
}

#[test]
fn fragments_and_unserved_protocols() {
    let mut world = World::new(builder());
    let mut packet = seg(ECHO, SYN, 1, 0).build();
    packet[6] = 0x20;
    let sum = l3l4::checksum::header(&{
        let mut header = packet[..20].to_vec();
        header[10..12].fill(0);
        header
    });
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(world.give(packet), Err(DropReason::IpFragment));
    let gre = common::wire::ip(
        "10.0.0.1".parse().unwrap(),
        "10.0.0.2".parse().unwrap(),
        l3l4::Protocol(47),
        vec![0; 20],
        0,
    );
    assert_eq!(world.give(gre), Err(DropReason::Protocol));
    let answer = world.app.take_out();
    assert_eq!((answer.len(), &answer[0][20..22]), (1, &[3, 2][..]));
    let ping = common::wire::ip(
        "10.0.0.1".parse().unwrap(),
        "10.0.0.2".parse().unwrap(),
        l3l4::Protocol::ICMP,
        vec![8; 20],
        2,
    );
    assert_eq!(world.give(ping), Err(DropReason::Protocol));
    assert!(world.app.take_out().is_empty(), "no error about ICMP");
}

#[test]
fn holes_beyond_count_are_answered_and_cost_nothing() {
    // More holes than the stack keeps: every segment still gets its duplicate ACK.
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    for n in 1..40u32 {
        let out = world.exchange(seg(MANUAL, ACK, theirs + n * 100, ours).data(&[n as u8; 10]).build());
        assert_eq!((out.len(), got(&out[0]).ack), (1, theirs), "hole {n}");
    }
    let whole: Vec<u8> = (0..4000u32).map(|n| (n / 100) as u8).collect();
    for (n, part) in whole.chunks(1000).enumerate() {
        world.exchange(seg(MANUAL, ACK, theirs + n as u32 * 1000, ours).data(part).build());
    }
    let id = world.app.last_id();
    assert_eq!(world.engine.with_conn(id, |conn| conn.pending()).unwrap(), 4000);
}
