//! What leaves carries right checksums, or the half that a NIC completes.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, REJECT};
use common::link::Rng;
use common::transfer::{self, Transfer};
use common::wire::{RST, SYN, got, seg, udp, verifies};
use common::{World, builder};
use core::time::Duration;
use l3l4::TxChecksum;
use l3l4::checksum::{fold, header, sum};
use smoltcp::wire::IpAddress;

const V4: (&str, &str) = ("10.0.0.1", "10.0.0.2");
const V6: (&str, &str) = ("fd00::1", "fd00::2");

/// A conversation of every kind of packet; returns what left.
fn everything(mode: TxChecksum, ends: (&str, &str)) -> Vec<Vec<u8>> {
    let mut world = World::new(builder().tx_checksum(mode));
    let mut all = vec![];
    let s = |port, flags, seq, ack| seg(port, flags, seq, ack).ends(ends.0, ends.1);
    all.extend(world.exchange(s(ECHO, SYN, 1, 0).build()));
    let head = if ends == V4 { 20 } else { 40 };
    let ours = u32::from_be_bytes(all[0][head + 4..head + 8].try_into().unwrap()).wrapping_add(1);
    all.extend(world.exchange(s(ECHO, 16, 2, ours).build()));
    for len in [1, 2, 3, 4, 5, 531, 532] {
        let data = s(ECHO, 16, 2, ours).data(&Rng(len).bytes(len as usize));
        all.extend(world.exchange(data.build()));
    }
    all.extend(world.exchange(s(ECHO, RST, 3, 0).build()));
    all.extend(world.exchange(s(ECHO, 16, 9, 9).sport(77).build()));
    all.extend(world.exchange(udp(ends.0, ends.1, 5, ECHO, b"odd")));
    all.extend(world.exchange(udp(ends.0, ends.1, 5, ECHO, b"even")));
    assert!(all.len() > 6, "{}", all.len());
    assert_eq!(world.app.metas.len(), all.len());
    for (packet, meta) in all.iter().zip(&world.app.metas) {
        assert_eq!((meta.len, meta.l3_len, meta.v4), (packet.len(), head, ends == V4));
        assert_eq!(meta.checksum_pending, mode == TxChecksum::Offload);
    }
    all
}

#[test]
fn in_software() {
    for ends in [V4, V6] {
        for packet in everything(TxChecksum::Software, ends) {
            assert!(verifies(&packet), "{packet:x?}");
        }
    }
}

#[test]
fn a_nic_completes_the_sum() {
    for ends in [V4, V6] {
        for mut packet in everything(TxChecksum::Offload, ends) {
            let v4 = ends == V4;
            let l3 = if v4 { 20 } else { 40 };
            if v4 {
                assert_eq!(packet[10..12], [0, 0]);
                let value = header(&packet[..20]);
                packet[10..12].copy_from_slice(&value.to_be_bytes());
            }
            let protocol = if v4 { packet[9] } else { packet[6] };
            let at = l3 + if protocol == 6 { 16 } else { 6 };
            // What the hardware does: sum from the transport header on, the field included, and complement.
            let value = !fold(sum(&packet[l3..]));
            packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
            assert!(verifies(&packet), "{packet:x?}");
        }
    }
}

#[test]
fn nobody() {
    for packet in everything(TxChecksum::None, V4) {
        // Nothing is promised but that the rest of the packet is as ever.
        assert_eq!(packet[0], 0x45);
    }
}

#[test]
fn icmp_errors() {
    for mode in [TxChecksum::Software, TxChecksum::Offload, TxChecksum::None] {
        let mut world = World::new(builder().tx_checksum(mode));
        let out = world.exchange(udp(V4.0, V4.1, 5, REJECT, b"x"));
        assert_eq!((fold(sum(&out[0][..20])), fold(sum(&out[0][20..]))), (0xffff, 0xffff));
        let out = world.exchange(udp(V6.0, V6.1, 5, REJECT, b"x"));
        let (from, to) =
            (V6.1.parse::<std::net::IpAddr>().unwrap(), V6.0.parse::<std::net::IpAddr>().unwrap());
        assert!(l3l4::checksum::verify(from.into(), to.into(), l3l4::Protocol::ICMPV6, &out[0][40..]));
        assert!(!world.app.metas[0].checksum_pending);
    }
}

#[test]
fn every_packet_of_a_transfer() {
    for to in [IpAddress::v4(10, 0, 0, 2), IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2)] {
        let mut world = World::new(builder());
        let handle = world.connect(to, ECHO);
        let mut all = [Transfer::new(handle, Rng(1).bytes(40_001))];
        world.pipe.record = true;
        transfer::run(&mut world, &mut all, Duration::from_secs(60), "transfer");
        assert!(all[0].back == all[0].out);
        assert!(world.pipe.seen.len() > 30);
        for packet in &world.pipe.seen {
            assert!(verifies(packet));
            got(packet);
        }
    }
}

#[test]
fn what_is_corrupted_is_dropped_by_name() {
    use l3l4::DropReason;
    let mut world = World::new(builder());
    let good = seg(ECHO, SYN, 1, 0).options(&[2, 4, 5, 0xb4]).data(b"some data").build();
    let mut reasons = std::collections::HashSet::new();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        reasons.insert(world.give(bad).expect_err("one bit was wrong"));
    }
    assert!(reasons.contains(&DropReason::IpChecksum) && reasons.contains(&DropReason::TcpChecksum));
    assert_eq!(world.engine.flow_count(), 0);
}
