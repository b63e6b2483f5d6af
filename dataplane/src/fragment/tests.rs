//! Any order of fragments gives the datagram, overlaps never do, and no fragment is lost from the count.

use core::net::IpAddr;

use proptest::prelude::*;

use super::*;
use l3l4::checksum;

const TIMEOUT: u64 = 30_000_000;

fn reassembler(limit: usize) -> Reassembler {
    Reassembler::new(limit, TIMEOUT, 65535)
}

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// A UDP datagram: eight bytes of header among the rest.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

fn v4(source: [u8; 4], id: u16, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
    let mut packet = vec![0x45, 0];
    packet.extend(((20 + payload.len()) as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(field.to_be_bytes());
    packet.extend([64, 17, 0, 0]);
    packet.extend(source);
    packet.extend([10, 0, 0, 2]);
    packet.extend(payload);
    let sum = checksum::header(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// With eight bytes of destination options before the fragment header.
fn v6(id: u32, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(((16 + payload.len()) as u16).to_be_bytes());
    packet.extend([60, 64]);
    packet.extend(addr("fd00::9").octets());
    packet.extend(addr("fd00::2").octets());
    packet.extend([44, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend([17, 0]);
    packet.extend((offset as u16 | u16::from(more)).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(payload);
    packet
}

fn whole(is_v4: bool, payload: &[u8]) -> Vec<u8> {
    if is_v4 {
        return v4([10, 0, 0, 9], 7, 0, false, payload);
    }
    let mut packet = v6(7, 0, false, payload);
    packet.drain(48..56);
    packet[40] = 17;
    let len = (packet.len() - 40) as u16;
    packet[4..6].copy_from_slice(&len.to_be_bytes());
    packet
}

fn cut(is_v4: bool, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    if is_v4 { v4([10, 0, 0, 9], 7, offset, more, payload) } else { v6(7, offset, more, payload) }
}

fn drop_of(outcome: Outcome<'_>) -> (FragmentDrop, u32) {
    match outcome {
        Outcome::Dropped { reason, fragments } => (reason, fragments),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_fragments_either_way_round() {
    for is_v4 in [true, false] {
        let body = body(100);
        let (a, b) = (cut(is_v4, 0, true, &body[..64]), cut(is_v4, 64, false, &body[64..]));
        for (first, second) in [(&a, &b), (&b, &a)] {
            let mut r = reassembler(4);
            assert_eq!(r.push(0, 0, first), Outcome::Held);
            assert_eq!((r.held(), r.datagrams()), (1, 1));
            let mut expected = whole(is_v4, &body);
            assert_eq!(r.push(0, 0, second), Outcome::Complete { packet: &mut expected, fragments: 2 });
            assert_eq!((r.held(), r.datagrams()), (0, 0));
        }
    }
}

#[test]
fn links_identifications_and_protocols_do_not_meet() {
    let mut r = reassembler(16);
    let last = v4([10, 0, 0, 9], 7, 64, false, &[1; 8]);
    let first = v4([10, 0, 0, 9], 7, 0, true, &body(64));
    assert_eq!(r.push(0, 0, &last), Outcome::Held);
    assert_eq!(r.push(0, 1, &first), Outcome::Held);
    assert_eq!(r.push(0, 0, &v4([10, 0, 0, 9], 8, 0, true, &body(64))), Outcome::Held);
    assert_eq!(r.push(0, 0, &v4([10, 0, 0, 8], 7, 0, true, &body(64))), Outcome::Held);
    let mut icmp = first.clone();
    icmp[9] = 1;
    assert_eq!(r.push(0, 0, &icmp), Outcome::Held);
    assert!(matches!(r.push(0, 0, &first), Outcome::Complete { fragments: 2, .. }));
}

#[test]
fn an_atomic_fragment_passes_and_leaves_others_alone() {
    let mut r = reassembler(1);
    let body = body(33);
    assert_eq!(r.push(0, 0, &v6(7, 64, false, &[1; 8])), Outcome::Held);
    let mut expected = whole(false, &body);
    assert_eq!(
        r.push(0, 0, &v6(7, 0, false, &body)),
        Outcome::Complete { packet: &mut expected, fragments: 1 }
    );
    assert_eq!(r.held(), 1);
}

#[test]
fn an_overlap_condemns_the_datagram_and_what_is_still_to_come() {
    let mut r = reassembler(4);
    let body = body(100);
    assert_eq!(r.push(0, 0, &cut(true, 0, true, &body[..64])), Outcome::Held);
    assert_eq!(drop_of(r.push(0, 0, &cut(true, 56, true, &body[56..80]))), (FragmentDrop::Overlap, 2));
    assert_eq!(drop_of(r.push(0, 0, &cut(true, 64, false, &body[64..]))), (FragmentDrop::Overlap, 1));
    assert_eq!((r.held(), r.datagrams()), (0, 1));
    assert_eq!((r.expire(TIMEOUT), r.datagrams()), (0, 0));
    assert_eq!(r.push(TIMEOUT, 0, &cut(true, 64, false, &body[64..])), Outcome::Held);
}

#[test]
fn the_same_fragment_again_is_harmless_and_a_different_one_is_not() {
    let body = body(200);
    let mut r = reassembler(4);
    let parts = [(0, 64), (64, 128), (128, 200)].map(|(from, to)| cut(true, from, to < 200, &body[from..to]));
    for part in [&parts[0], &parts[2]] {
        assert_eq!(r.push(0, 0, part), Outcome::Held);
        assert_eq!(drop_of(r.push(0, 0, part)), (FragmentDrop::Duplicate, 1));
    }
    let mut expected = whole(true, &body);
    assert_eq!(r.push(0, 0, &parts[1]), Outcome::Complete { packet: &mut expected, fragments: 3 });

    let mut other = parts[0].clone();
    other[40] ^= 1;
    let joined = cut(true, 0, true, &body[..128]);
    let halved = cut(true, 0, true, &body[..32]);
    let later_half = cut(true, 32, true, &body[32..64]);
    let ending = cut(true, 64, false, &body[64..128]);
    for bad in [other, joined, halved, later_half, ending] {
        let mut r = reassembler(4);
        assert_eq!(r.push(0, 0, &parts[0]), Outcome::Held);
        assert_eq!(r.push(0, 0, &parts[1]), Outcome::Held);
        assert_eq!(drop_of(r.push(0, 0, &bad)), (FragmentDrop::Overlap, 3));
    }
}

#[test]
fn lengths_that_contradict_one_another_condemn() {
    for parts in [
        [cut(true, 64, false, &[1; 8]), cut(true, 72, true, &[1; 8])],
        [cut(true, 64, false, &[1; 8]), cut(true, 80, false, &[1; 8])],
        [cut(true, 64, false, &[1; 8]), cut(true, 32, false, &[1; 8])],
        [cut(true, 64, true, &[1; 8]), cut(true, 32, false, &[1; 8])],
    ] {
        let mut r = reassembler(4);
        assert_eq!(r.push(0, 0, &parts[0]), Outcome::Held);
        assert_eq!(drop_of(r.push(0, 0, &parts[1])), (FragmentDrop::BadLength, 2));
    }
}

#[test]
fn each_fault_has_its_name() {
    let fault = |packet: &[u8]| {
        let mut r = reassembler(2);
        let (reason, fragments) = drop_of(r.push(0, 0, packet));
        assert_eq!((fragments, r.held(), r.datagrams()), (1, 0, 0));
        reason
    };
    for is_v4 in [true, false] {
        assert_eq!(fault(&cut(is_v4, 8, true, &[1; 9])), FragmentDrop::BadLength);
        assert_eq!(fault(&cut(is_v4, 8, false, &[])), FragmentDrop::BadLength);
        assert_eq!(fault(&cut(is_v4, 65528, false, &[1; 8])), FragmentDrop::TooLong);
        let packet = cut(is_v4, 8, true, &[1; 8]);
        assert_eq!(fault(&packet[..packet.len() - 1]), FragmentDrop::BadLength);
        assert_eq!(fault(&packet[..19]), FragmentDrop::NotFragment);
    }
    assert_eq!(fault(&[]), FragmentDrop::NotFragment);
    assert_eq!(fault(&whole(true, &[1; 8])), FragmentDrop::NotFragment);
    assert_eq!(fault(&whole(false, &[1; 8])), FragmentDrop::NotFragment);
    // Options that do not fit the fragment, then TCP with less than its header.
    let mut options = cut(false, 0, true, &[17, 1, 0, 0, 0, 0, 0, 0]);
    options[48] = 60;
    assert_eq!(fault(&options), FragmentDrop::TinyFirst);
    let mut tcp = cut(true, 0, true, &[0x60; 16]);
    tcp[9] = 6;
    assert_eq!(fault(&tcp), FragmentDrop::TinyFirst);
    let mut tcp = cut(true, 0, true, &[0x70; 24]);
    tcp[9] = 6;
    assert_eq!(fault(&tcp), FragmentDrop::TinyFirst);
    let mut r = Reassembler::new(1, TIMEOUT, 1500);
    assert_eq!(drop_of(r.push(0, 0, &cut(true, 1480, false, &[1; 1]))).0, FragmentDrop::TooLong);
}

#[test]
fn one_source_takes_half_and_all_together_take_all() {
    let mut r = reassembler(8);
    let part = |source: u8, id: u16| v4([10, 0, 0, source], id, 8, true, &[1; 8]);
    for id in 0..4 {
        assert_eq!(r.push(0, 0, &part(9, id)), Outcome::Held);
    }
    assert_eq!(drop_of(r.push(0, 0, &part(9, 4))).0, FragmentDrop::SourceLimit);
    for source in 20..24 {
        assert_eq!(r.push(0, 0, &part(source, 0)), Outcome::Held);
    }
    assert_eq!(drop_of(r.push(0, 0, &part(30, 0))).0, FragmentDrop::TooMany);
    // A condemned datagram gives way.
    assert_eq!(drop_of(r.push(0, 0, &v4([10, 0, 0, 20], 0, 8, true, &[2; 16]))), (FragmentDrop::Overlap, 2));
    assert_eq!(r.push(0, 0, &part(30, 0)), Outcome::Held);
    assert_eq!((r.held(), r.datagrams()), (8, 8));
}

#[test]
fn what_does_not_come_in_time_is_counted() {
    let mut r = reassembler(8);
    for n in 0..3 {
        r.push(n * 1_000_000, 0, &v4([10, 0, 0, 9], n as u16, 8, true, &[1; 8]));
    }
    r.push(2_500_000, 0, &v4([10, 0, 0, 9], 0, 16, true, &[1; 8]));
    assert_eq!(r.expire(TIMEOUT - 1), 0);
    assert_eq!(r.expire(TIMEOUT + 1_000_000), 3);
    assert_eq!((r.held(), r.datagrams()), (1, 1));
    assert_eq!(r.expire(2 * TIMEOUT), 1);
    assert_eq!(r.expire(u64::MAX), 0);
}

#[test]
fn the_longest_datagram_fits() {
    let body = body(65515);
    let mut r = reassembler(2);
    let mut done = false;
    for from in (0..body.len()).step_by(1480) {
        let to = (from + 1480).min(body.len());
        match r.push(0, 0, &cut(true, from, to < body.len(), &body[from..to])) {
            Outcome::Complete { packet, fragments } => {
                assert_eq!((packet.len(), fragments), (65535, 45));
                assert_eq!(packet[20..], body);
                done = true;
            }
            outcome => assert_eq!(outcome, Outcome::Held),
        }
    }
    assert!(done);
}

/// A datagram cut at multiples of eight, as (from, to).
fn cuts() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (17_usize..3000).prop_flat_map(|len| {
        proptest::collection::btree_set(1..len.div_ceil(8), 1..12).prop_map(move |cuts| {
            let edges: Vec<usize> =
                [0].into_iter().chain(cuts.into_iter().map(|c| c * 8)).chain([len]).collect();
            (len, edges.windows(2).map(|pair| (pair[0], pair[1])).collect())
        })
    })
}

fn shuffled() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    cuts().prop_flat_map(|(len, parts)| Just(parts).prop_shuffle().prop_map(move |parts| (len, parts)))
}

proptest! {
    #[test]
    fn any_order_gives_the_same_datagram(is_v4 in any::<bool>(), (len, parts) in shuffled()) {
        let body = body(len);
        let mut r = reassembler(2);
        // Twice, so that a used slot is as good as a new one.
        for _ in 0..2 {
            let count = parts.len();
            for (n, (from, to)) in parts.iter().enumerate() {
                let outcome = r.push(0, 0, &cut(is_v4, *from, *to < len, &body[*from..*to]));
                if n + 1 < count {
                    prop_assert_eq!(outcome, Outcome::Held);
                } else {
                    let mut expected = whole(is_v4, &body);
                    prop_assert_eq!(outcome, Outcome::Complete { packet: &mut expected, fragments: count as u32 });
                }
            }
        }
    }

    #[test]
    fn an_overlap_never_completes(
        is_v4 in any::<bool>(),
        (len, parts) in shuffled(),
        from in 0_usize..375,
        blocks in 1_usize..100,
        at in any::<proptest::sample::Index>(),
    ) {
        let body = body(len);
        let from = from % len.div_ceil(8) * 8;
        let to = (from + blocks * 8).min(len);
        let more = to < len;
        // An extra with both ends on edges of the others could stand in for them.
        let edge = |at: usize| parts.iter().any(|(from, to)| at == *from || at == *to);
        prop_assume!(!(edge(from) && edge(to)));
        let extra = cut(is_v4, from, more, &body[from..to]);
        let mut packets: Vec<_> =
            parts.iter().map(|(from, to)| cut(is_v4, *from, *to < len, &body[*from..*to])).collect();
        // Before the last of the datagram's own fragments: once whole, it is gone.
        packets.insert(at.index(packets.len()), extra);
        let mut r = reassembler(2);
        let mut dropped = 0;
        for packet in &packets {
            match r.push(0, 0, packet) {
                Outcome::Held => (),
                Outcome::Dropped { fragments, .. } => dropped += u64::from(fragments),
                Outcome::Complete { .. } => prop_assert!(false, "{:?}", packets),
            }
        }
        prop_assert_eq!((dropped, r.held()), (packets.len() as u64, 0));
    }

    #[test]
    fn every_fragment_is_counted_once(
        limit in 1_usize..6,
        pushes in proptest::collection::vec((0_u8..4, 0_u16..3, 0_usize..6, 1_usize..4, any::<bool>(), 0_u64..9), 0..200),
    ) {
        let mut r = Reassembler::new(limit, 40, 2000);
        let (mut now, mut pushed, mut gone) = (0, 0_u64, 0_u64);
        for (source, id, offset, len, more, wait) in pushes {
            now += wait;
            gone += r.expire(now);
            pushed += 1;
            let payload = vec![source; len * 8];
            let packet = if source == 3 {
                v6(u32::from(id), offset * 8, more, &payload)
            } else {
                v4([10, 0, 0, source], id, offset * 8, more, &payload)
            };
            gone += match r.push(now, 0, &packet) {
                Outcome::Complete { fragments, .. } | Outcome::Dropped { fragments, .. } => u64::from(fragments),
                Outcome::Held => 0,
            };
            prop_assert_eq!(pushed, gone + r.held());
            prop_assert!(r.datagrams() <= limit);
        }
        gone += r.expire(u64::MAX);
        prop_assert_eq!((pushed, 0, 0), (gone, r.held(), r.datagrams()));
    }

    #[test]
    fn nothing_panics(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
        shape in any::<bool>(),
    ) {
        let mut r = Reassembler::new(4, TIMEOUT, 9000);
        for mut packet in packets {
            if shape && packet.len() > 60 {
                // Close enough to a fragment to get past the first checks.
                packet[0] = if packet[1] & 1 == 0 { 0x45 | packet[0] & 7 } else { 0x60 };
                let len = packet.len() as u16;
                let (at, len) = if packet[0] >> 4 == 4 { (2, len) } else { (4, len - 40) };
                packet[at..at + 2].copy_from_slice(&len.to_be_bytes());
                if at == 4 {
                    packet[6] = 44;
                    packet[42] = 0;
                } else {
                    packet[6] &= 0x20;
                }
            }
            let _ = r.push(0, 0, &packet);
        }
    }
}
