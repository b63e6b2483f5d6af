//! Packets that are dropped, for every reason that a packet by itself can give; by the name of the reason.
//!
//! Invariant: a packet is dropped for the reason it stands under, and where no more than all of these have been seen
//! before, for no limit.

use super::wire::{self, ACK, BROADCAST, FIN, PEER, RST, SYN, Segment, US, ends, four, six};
use super::{CHARGEN, DROPPED, ECHO, REJECTED, WEB};

pub type Case = (&'static str, Vec<Vec<u8>>);

fn changed(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

/// Below IP: frames, tags, ARP and neighbour discovery.
fn link_cases() -> Vec<Case> {
    let arp = |operation, mac, from, to| wire::ether(0, 0x0806, &wire::arp(operation, mac, from, to));
    let us = [10, 64, 0, 2];
    let request = arp(1, PEER, [10, 64, 0, 9], us);
    let ns = |from: &str, target: &str| {
        wire::frame(&wire::ndp(ends(from, "ff02::1:ff00:2"), 135, 0, target, 1, PEER))
    };
    let good = ns("fd00:64::9", "fd00:64::2");
    vec![
        ("ethernet_truncated", vec![US.to_vec(), wire::ether(5, 0x0800, &[])[..17].to_vec()]),
        ("not_our_mac", vec![changed(request.clone(), 5, 0x77)]),
        (
            "vlan_unknown",
            vec![wire::ether(9, 0x0800, &[]), wire::ether(0, 0x88a8, &[]), wire::ether(9, 0x8100, &[])],
        ),
        ("ethertype", vec![wire::ether(0, 0x88cc, &[]), wire::ether(0, 46, &[])]),
        (
            "broadcast",
            vec![
                [&BROADCAST, &wire::frame(&wire::udp(four(), 9, ECHO, b"x"))[6..]].concat(),
                changed(wire::frame(&wire::ping(six(), &[0; 4])), 0, 0x33),
            ],
        ),
        (
            "address_conflict",
            vec![arp(1, PEER, us, [10, 64, 0, 9]), arp(2, PEER, us, us), ns("fd00:64::2", "fd00:64::2")],
        ),
        ("arp_malformed", [15, 16, 18, 20, 21].map(|at| changed(request.clone(), at, 0x55)).into()),
        (
            "arp_sender",
            vec![
                changed(request.clone(), 27, 0x55),
                arp(1, [1; 6], [10, 64, 0, 9], us),
                arp(1, PEER, [10, 64, 0, 255], us),
                arp(1, PEER, [127, 0, 0, 1], us),
                arp(2, PEER, [0; 4], us),
            ],
        ),
        ("arp_off_link", vec![arp(1, PEER, [192, 0, 2, 1], us)]),
        (
            "arp_other",
            vec![arp(1, PEER, [10, 64, 0, 9], [10, 64, 0, 3]), arp(1, PEER, [0; 4], [10, 64, 0, 3])],
        ),
        (
            "ndp_malformed",
            vec![changed(good.clone(), 21, 64), changed(good.clone(), 56, good[56] ^ 1), good[..70].to_vec()],
        ),
        ("ndp_sender", vec![ns("fd00:64::9", "ff02::5"), ns("ff02::7", "fd00:64::2")]),
        ("ndp_off_link", vec![ns("2001:db8::1", "fd00:64::2")]),
        (
            "ndp_router",
            [133, 134, 137]
                .map(|kind| {
                    let mut packet = wire::icmp(ends("fe80::9", "ff02::1"), kind, 0, &[0; 36]);
                    packet[7] = 255;
                    wire::frame(&packet)
                })
                .into(),
        ),
        ("ndp_other", vec![ns("fd00:64::9", "fd00:64::3")]),
    ]
}

/// IP, ICMP and fragments.
fn ip_cases() -> Vec<Case> {
    let udp = wire::udp(four(), 4000, ECHO, b"data");
    let options = |bytes: [u8; 4]| {
        let mut packet = udp.clone();
        packet[0] = 0x46;
        packet.splice(20..20, bytes);
        let len = packet.len() as u16;
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        wire::seal_ip(&mut packet);
        wire::frame(&packet)
    };
    let between = |from: &str, to: &str| wire::frame(&wire::udp(ends(from, to), 4000, ECHO, b"x"));
    let icmp = |kind| wire::frame(&wire::icmp(four(), kind, 0, &[0; 4]));
    let mut long_header = udp.clone();
    long_header[0] = 0x44;
    let piece = |id, offset, len: usize, more| {
        wire::frame(&wire::fragment(four(), wire::UDP, &vec![0; len], id, offset, more))
    };
    let mut of_others = wire::fragment(ends("10.64.0.9", "10.64.0.7"), wire::UDP, &[0; 16], 70, 0, true);
    wire::seal_ip(&mut of_others);
    let six_udp = wire::udp(six(), 4000, ECHO, b"x");
    let mut routed = six_udp.clone();
    (routed[6], routed[5]) = (43, routed[5] + 8);
    routed.splice(40..40, [17, 0, 0, 1, 0, 0, 0, 0]);
    vec![
        (
            "ip_truncated",
            vec![
                wire::frame(&changed(udp.clone(), 2, 3)),
                [&wire::frame(&udp)[..14], &udp[..19]].concat(),
                wire::frame(&changed(six_udp.clone(), 4, 9)),
            ],
        ),
        (
            "ip_version",
            vec![wire::frame(&long_header), wire::ether(0, 0x0800, &six_udp), wire::ether(0, 0x86dd, &udp)],
        ),
        ("ip_checksum", vec![wire::frame(&changed(udp.clone(), 8, 63))]),
        ("ip_options", vec![options([131, 4, 4, 0]), options([7, 1, 0, 0]), options([7, 9, 0, 0])]),
        ("ipv6_extension", vec![wire::frame(&routed)]),
        (
            "martian",
            vec![
                between("127.0.0.1", "10.64.0.2"),
                between("224.0.0.5", "10.64.0.2"),
                between("0.0.0.0", "10.64.0.2"),
                between("10.64.0.2", "10.64.0.2"),
                between("::1", "fd00:64::2"),
                between("ff02::1", "fd00:64::2"),
            ],
        ),
        ("protocol", vec![wire::frame(&wire::ip(ends("10.64.0.9", "10.64.0.7"), 50, &[0; 8]))]),
        ("icmp_not_ours", vec![wire::frame(&wire::ping(ends("10.64.0.9", "10.64.0.7"), &[0; 4]))]),
        (
            "icmp_malformed",
            vec![
                wire::frame(&wire::ip(four(), wire::ICMP, &[8, 0, 0, 0, 0, 0, 0, 0])),
                wire::frame(&wire::ip(four(), wire::ICMP, &[8, 0])),
            ],
        ),
        ("icmp_type", vec![icmp(0), icmp(5), icmp(13), icmp(4)]),
        (
            "icmp_error",
            // No host, and too big, which nothing but TCP follows.
            [1, 4]
                .map(|code| {
                    let quote = wire::udp(ends("10.64.0.2", "10.64.0.9"), ECHO, 9, b"");
                    wire::frame(&wire::icmp(four(), 3, code, &[&[0, 0, 5, 20][..], &quote].concat()))
                })
                .to_vec(),
        ),
        // Overlap takes the first piece with it; the exact repetition of a piece takes none.
        ("fragment_overlap", vec![piece(20, 8, 16, true), piece(20, 16, 16, true), piece(20, 40, 8, false)]),
        (
            "fragment_malformed",
            vec![
                piece(21, 0, 7, true),
                piece(22, 65528, 64, false),
                wire::frame(&wire::fragment(four(), wire::TCP, &[0; 16], 23, 0, true)),
            ],
        ),
        // One source has half of eight places; the others are taken by the overlap and by what follows.
        (
            "not_our_address",
            vec![
                wire::frame(&of_others),
                between("10.64.0.9", "10.64.0.7"),
                between("fd00:64::9", "2001:db8::7"),
            ],
        ),
    ]
}

/// TCP, UDP and the verdicts on new flows.
fn transport_cases() -> Vec<Case> {
    let base = Segment { from: 7000, to: WEB, seq: 100, flags: SYN, ..Segment::default() };
    let seg = |s: Segment<'_>| wire::frame(&wire::tcp(four(), s));
    let syn = wire::tcp(four(), base);
    let udp = wire::udp(four(), 4000, ECHO, b"data");
    let loops = [7, 11, 13, 17, 19, 37, 53, 69, 123];
    let mut answers: Vec<_> = loops.map(|from| wire::frame(&wire::udp(four(), from, ECHO, b"x"))).into();
    answers.push(wire::frame(&wire::udp(six(), 19, CHARGEN, b"x")));
    let whole = wire::datagram(four(), 7, ECHO, &[1; 64]);
    answers.extend(wire::cut(four(), wire::UDP, &whole, 90, 40).iter().map(|piece| wire::frame(piece)));
    vec![
        (
            "tcp_truncated",
            vec![
                wire::frame(&wire::ip(four(), wire::TCP, &[0; 19])),
                wire::frame(&changed(syn.clone(), 32, 0xf0)),
                wire::frame(&changed(syn.clone(), 32, 0x40)),
            ],
        ),
        ("tcp_checksum", vec![wire::frame(&changed(syn.clone(), 24, 1))]),
        (
            "tcp_flags",
            [SYN | FIN, SYN | RST, FIN | RST, 0, 8].map(|flags| seg(Segment { flags, ..base })).into(),
        ),
        ("tcp_options", vec![seg(Segment { options: &[2, 9, 0, 0], ..base })]),
        ("tcp_tiny_mss", vec![seg(Segment { options: &[2, 4, 0, 20], ..base })]),
        ("port_zero", vec![seg(Segment { from: 0, ..base }), wire::frame(&wire::udp(four(), 4000, 0, b""))]),
        ("tcp_no_flow", vec![seg(Segment { flags: ACK, ..base })]),
        ("tcp_rst_no_flow", vec![seg(Segment { flags: RST, ..base })]),
        (
            "udp_truncated",
            vec![wire::frame(&changed(udp.clone(), 24, 1)), wire::frame(&changed(udp.clone(), 25, 7))],
        ),
        (
            "udp_checksum",
            vec![
                wire::frame(&changed(udp.clone(), 29, 0)),
                wire::frame(&changed(changed(wire::udp(six(), 4000, ECHO, b""), 46, 0), 47, 0)),
            ],
        ),
        ("no_service", vec![seg(Segment { to: 12, ..base }), wire::frame(&wire::udp(four(), 4000, 12, b""))]),
        (
            "service_drop",
            vec![seg(Segment { to: DROPPED, ..base }), wire::frame(&wire::udp(six(), 4000, DROPPED, b""))],
        ),
        ("service_reject", vec![seg(Segment { to: REJECTED, ..base })]),
        ("udp_loop_port", answers),
    ]
}

/// All of them.
pub fn all() -> Vec<Case> {
    [link_cases(), ip_cases(), transport_cases()].concat()
}
