//! What a worker answers, byte for byte: neighbours, echo requests, datagrams, handshakes, fragments; on the
//! untagged side of a port and in a VLAN.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use support::wire::{self, ACK, FIN, PEER, SYN, Segment, Sent, US, be16, be32, ends, four, six};
use support::{CHARGEN, ECHO, Line, Scratch, WEB, drops, end, network, settings};

/// A port on the untagged network and on VLAN 7, asked by hand.
#[test]
fn every_question_has_its_answer() {
    let scratch = Scratch::new();
    let (line, device) = Line::new(&scratch, "net_pcap0");
    let mut settings = settings(&[device]);
    settings.ports[0].networks.push(network(7));
    // In this order, so that a failing test hangs up before it waits for the worker.
    let (dataplane, mut line) = (Dataplane::start(settings).unwrap(), line);
    for vlan in [0, 7] {
        neighbours(&mut line, vlan);
        pings(&mut line, vlan);
        datagrams(&mut line, vlan);
        handshake(&mut line, vlan);
    }
    fragments(&mut line);
    unreachable(&mut line);
    line.hang_up();
    let summary = end(dataplane);
    let report = &summary.reports[0];
    assert_eq!(report.ports[0].rx_packets, line.written);
    let expected =
        [("not_our_mac", line.padding), ("service_reject", 3), ("protocol", 1), ("tcp_no_flow", 1)];
    assert_eq!(drops(&summary), expected.into_iter().collect());
    assert_eq!((report.counters.icmp_echoes, report.counters.neighbour_replies), (8, 8));
    assert_eq!(report.counters.reassembled, 4);
}

/// Sends one packet in a VLAN and takes the one answer.
fn one(line: &mut Line, vlan: u16, frame: Vec<u8>) -> Sent {
    let sent = line.ask(&[frame]).remove(0);
    assert_eq!((sent.to, sent.vlan), (PEER, vlan));
    sent
}

fn neighbours(line: &mut Line, vlan: u16) {
    let asked = wire::arp(1, PEER, [10, 64, 0, 9], [10, 64, 0, 2]);
    for _ in 0..2 {
        let sent = one(line, vlan, wire::ether(vlan, 0x0806, &asked));
        let mut answer = wire::arp(2, US, [10, 64, 0, 2], [10, 64, 0, 9]);
        answer[18..24].copy_from_slice(&PEER);
        assert_eq!(sent.packet[..28], answer, "VLAN {vlan}");
    }
    // To the group of the solicited node, and, once it knows us, to ourselves.
    for group in ["ff02::1:ff00:2", "fd00:64::2"] {
        let asked = wire::ndp(ends("fd00:64::9", group), 135, 0, "fd00:64::2", 1, PEER);
        let mut frame = wire::tagged(vlan, &asked);
        if group.starts_with("ff") {
            frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, 2]);
        }
        let sent = one(line, vlan, frame);
        let answer = wire::ndp(ends("fd00:64::2", "fd00:64::9"), 136, 0x60, "fd00:64::2", 2, US);
        assert_eq!(sent.packet, answer, "solicited, override");
    }
}

fn pings(line: &mut Line, vlan: u16) {
    for ends in [four(), six()] {
        let rest = [&[0x12, 0x34, 0, 1][..], b"abcdefghijklmnopqrstuvw"].concat();
        let sent = one(line, vlan, wire::tagged(vlan, &wire::ping(ends, &rest)));
        assert_eq!(sent.ends(), wire::Ends { source: ends.destination, destination: ends.source });
        assert_eq!(sent.l4()[0], if ends.source.is_ipv4() { 0 } else { 129 });
        assert_eq!(sent.l4()[4..], rest);
    }
    // Options and extension headers are not sent back.
    let mut packet = wire::ping(four(), &[0, 1, 0, 2, 9, 9, 9]);
    packet[0] = 0x46;
    packet.splice(20..20, [1, 1, 1, 0]);
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    wire::seal_ip(&mut packet);
    let sent = one(line, vlan, wire::tagged(vlan, &packet));
    assert_eq!((sent.packet[0], &sent.l4()[4..]), (0x45, &[0, 1, 0, 2, 9, 9, 9][..]));
}

fn datagrams(line: &mut Line, vlan: u16) {
    for ends in [four(), six()] {
        for data in [&b"x"[..], b"an odd number of bytes.", &[0x5a; 1400]] {
            let sent = one(line, vlan, wire::tagged(vlan, &wire::udp(ends, 4000 + vlan, ECHO, data)));
            assert_eq!((sent.protocol(), sent.ports()), (wire::UDP, (ECHO, 4000 + vlan)));
            assert_eq!(sent.data(), data);
        }
        let sent = one(line, vlan, wire::tagged(vlan, &wire::udp(ends, 4001, CHARGEN, &[0; 40])));
        assert!(sent.data().len() <= 40, "no longer than what it answers");
    }
}

/// A whole connection: SYN to FIN, a request and its response between.
fn handshake(line: &mut Line, vlan: u16) {
    for ends in [four(), six()] {
        let options = [2, 4, 0x05, 0xb4, 1, 3, 3, 7];
        let base = Segment { from: 5000 + vlan, to: WEB, ..Segment::default() };
        let mut say = |s: Segment<'_>, answers| {
            line.send(&[wire::tagged(vlan, &wire::tcp(ends, s))]);
            let sent = line.expect(answers);
            assert!(sent.iter().all(|s| s.ports() == (base.to, base.from) && s.vlan == vlan && s.to == PEER));
            sent
        };
        let syn = Segment { seq: 999, flags: SYN, options: &options, ..base };
        let answer = say(syn, 1).remove(0);
        assert_eq!((answer.flags(), be32(answer.l4(), 8)), (SYN | ACK, 1000));
        assert_eq!(
            answer.l4()[20..24],
            [2, 4, 5, if ends.source.is_ipv4() { 0xb4 } else { 0xa0 }],
            "our MSS"
        );
        let isn = be32(answer.l4(), 4);
        assert_ne!(isn, 0);
        assert!(say(syn, 0).is_empty(), "the SYN-ACK's own timer answers the same SYN");
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let established = Segment { seq: 1000, ack: isn.wrapping_add(1), flags: ACK, data: request, ..base };
        let mut body = Vec::new();
        let mut fin = false;
        line.send(&[wire::tagged(vlan, &wire::tcp(ends, established))]);
        let start = std::time::Instant::now();
        while !fin {
            assert!(start.elapsed() < support::PATIENCE);
            for sent in line.new_frames() {
                body.extend_from_slice(sent.data());
                fin |= sent.flags() & FIN != 0;
            }
        }
        let text = String::from_utf8(body.clone()).unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\nhello\n"), "{text}");
        let last = Segment {
            seq: 1000 + request.len() as u32,
            ack: isn.wrapping_add(2 + body.len() as u32),
            flags: FIN | ACK,
            ..base
        };
        line.send(&[wire::tagged(vlan, &wire::tcp(ends, last))]);
        let sent = line.expect(1);
        assert_eq!((sent[0].flags(), be32(sent[0].l4(), 8)), (ACK, last.seq + 1));
    }
}

/// Datagrams and echo requests in fragments, in and out of order, are answered once they are whole.
fn fragments(line: &mut Line) {
    let data: Vec<u8> = (0..1400u32).map(|i| (i % 251) as u8).collect();
    for (id, ends) in [(1, four()), (2, six())] {
        let mut pieces = wire::cut(ends, wire::UDP, &wire::datagram(ends, 4100, ECHO, &data), id, 512);
        assert_eq!(pieces.len(), 3);
        pieces.swap(0, 2);
        line.send(&pieces.iter().map(|piece| wire::frame(piece)).collect::<Vec<_>>());
        assert_eq!(line.expect(1)[0].data(), data);
        let kind = if ends.source.is_ipv4() { (8, wire::ICMP) } else { (128, wire::ICMPV6) };
        let message = wire::message(ends, kind.0, 0, &data);
        let pieces = wire::cut(ends, kind.1, &message, id + 10, 1024);
        line.send(&pieces.iter().map(|piece| wire::frame(piece)).collect::<Vec<_>>());
        assert_eq!(line.expect(1)[0].l4()[4..], data);
    }
}

/// What is refused aloud: a rejected service over TCP and UDP, a segment to nobody, an unknown protocol.
fn unreachable(line: &mut Line) {
    let syn = Segment { from: 6000, to: support::REJECTED, seq: 5, flags: SYN, ..Segment::default() };
    let sent = one(line, 0, wire::frame(&wire::tcp(four(), syn)));
    assert_eq!((sent.flags(), be32(sent.l4(), 8)), (wire::RST | ACK, 6));
    let stray = Segment { to: WEB, seq: 77, ack: 1234, flags: ACK, ..syn };
    let sent = one(line, 0, wire::frame(&wire::tcp(four(), stray)));
    assert_eq!((sent.flags(), be32(sent.l4(), 4)), (wire::RST, 1234));
    for ends in [four(), six()] {
        let asked = wire::udp(ends, 6000, support::REJECTED, b"anybody?");
        let sent = one(line, 0, wire::frame(&asked));
        assert_eq!(sent.l4()[..2], if ends.source.is_ipv4() { [3, 3] } else { [1, 4] });
        assert_eq!(sent.l4()[8..], asked, "it quotes the packet");
    }
    let asked = wire::ip(four(), 47, &[0; 12]);
    let sent = one(line, 0, wire::frame(&asked));
    assert_eq!((&sent.l4()[..2], be16(sent.l4(), 8 + 2)), (&[3, 2][..], 32));
}
