//! Tests of the capture file: it is read back with a reader of its own.

use serde_json::{Value, json};

use super::*;
use crate::event::tests::{event, meta};
use crate::store::{Bounds, Store};

/// A packet of a file: time, flags, sequence number, acknowledgment, payload, and whether its checksums are right.
struct Packet {
    time: u64,
    from_client: bool,
    flags: u8,
    number: u32,
    ack: u32,
    payload: Vec<u8>,
    sound: bool,
}

fn read(file: &[u8]) -> Vec<Packet> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (MAGIC, LINKTYPE_ETHERNET));
    let mut packets = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let time = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4));
        let length = word(at + 8) as usize;
        let frame = &file[at + 16..at + 16 + length];
        let from_client = frame[6..12] == MACS[0];
        let tagged = frame[12..14] == [0x81, 0];
        let packet = &frame[if tagged { 18 } else { 14 }..];
        let (tcp, pseudo, header) = if packet[0] == 0x45 {
            let pseudo = [&packet[12..20], &[0, 6], &((packet.len() - 20) as u16).to_be_bytes()].concat();
            (&packet[20..], pseudo, checksum(&[&packet[..20]]) == [0, 0])
        } else {
            let pseudo = [&packet[8..40], &[0, 6], &packet[4..6]].concat();
            (
                &packet[40..],
                pseudo,
                packet.len() - 40 == usize::from(u16::from_be_bytes([packet[4], packet[5]])),
            )
        };
        let number = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        packets.push(Packet {
            time,
            from_client,
            flags: tcp[13],
            number: number(4),
            ack: number(8),
            payload: tcp[20..].to_vec(),
            sound: header && checksum(&[&pseudo, tcp]) == [0, 0],
        });
        at += 16 + length;
    }
    packets
}

/// The file of a flow with these events.
fn file(events: &[(&str, Value, &[u8])], reveal: bool) -> Vec<u8> {
    let mut store = Store::new(Bounds { events: 1000, bytes: 64 << 20 });
    for (seq, (topic, more, bytes)) in events.iter().enumerate() {
        store.insert(event(topic, &meta(seq as u64 + 1, "a", more.clone()), bytes), 0);
    }
    Capture::new(store.flow(1).unwrap(), reveal).collect::<Vec<_>>().concat()
}

fn at(direction: &str, offset: u64) -> Value {
    json!({"direction": direction, "offset": offset, "length": 0})
}

fn closed() -> Value {
    let sent = json!({"packets": 1, "bytes": 1, "retransmitted": 0, "out_of_order": 0, "conflicts": 0, "gaps": 0,
        "missing": 0, "zero_windows": 0, "zero_window_time": 0, "rtt_min": null, "rtt_max": null, "rtt_mean": null,
        "rtt_samples": 0});
    json!({"reason": "fin", "state": {"client": "CLOSED", "server": "CLOSED"}, "duration": 5, "handshake_rtt": null,
        "sent": {"client": sent, "server": sent}})
}

/// The bytes of one direction with holes as zeros, as a reader of sequence numbers puts them together.
fn stream(packets: &[Packet], from_client: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in
        packets.iter().filter(|packet| packet.from_client == from_client && !packet.payload.is_empty())
    {
        let from = packet.number.wrapping_sub(FIRST[usize::from(!from_client)] + 1) as usize;
        bytes.resize(bytes.len().max(from + packet.payload.len()), 0);
        bytes[from..from + packet.payload.len()].copy_from_slice(&packet.payload);
    }
    bytes
}

#[test]
fn the_streams_come_back_byte_for_byte() {
    let long: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let events: [(&str, Value, &[u8]); 5] = [
        ("flow.open", json!({"midstream": false}), b""),
        ("tcp.data", at("client", 0), b"GET / HTTP/1.1\r\n\r\n"),
        ("tcp.data", at("server", 0), &long),
        ("tcp.data", at("client", 18), b"again"),
        ("flow.close", closed(), b""),
    ];
    let packets = read(&file(&events, true));
    assert!(packets.iter().all(|packet| packet.sound));
    assert_eq!(stream(&packets, true), b"GET / HTTP/1.1\r\n\r\nagain");
    assert_eq!(stream(&packets, false), long);
    let flags: Vec<u8> = packets.iter().map(|packet| packet.flags).collect();
    assert_eq!(flags[..3], [SYN, SYN | ACK, ACK]);
    assert_eq!(flags[flags.len() - 3..], [FIN | ACK, FIN | ACK, ACK]);
    assert_eq!(packets[3].time, 1_700_000_000_000_002_000);
    // What is acknowledged is what was there.
    let again = &packets[packets.len() - 4];
    assert_eq!(again.ack, FIRST[1] + 1 + 200_000);
}

#[test]
fn gaps_are_holes_in_the_sequence_numbers() {
    let gap = json!({"direction": "server", "offset": 3, "length": 5, "cause": "acked"});
    let events: [(&str, Value, &[u8]); 3] =
        [("tcp.data", at("server", 0), b"abc"), ("gap", gap, b""), ("tcp.data", at("server", 8), b"xyz")];
    let packets = read(&file(&events, true));
    assert_eq!(stream(&packets, false), b"abc\0\0\0\0\0xyz");
    // Without a SYN in the events there is none in the file.
    assert!(packets.iter().all(|packet| packet.flags & SYN == 0));
    // What is behind the gap is acknowledged, and the gap with it.
    assert!(packets[2].from_client && packets[2].payload.is_empty());
    assert_eq!((packets[2].flags, packets[2].ack), (ACK, FIRST[1] + 1 + 11));
}

#[test]
fn ipv6_vlan_tags_and_masks() {
    let six = json!({"client": {"address": "fd00::1", "port": 1}, "server": {"address": "fd00::2", "port": 2},
        "vlan": 7, "direction": "client", "offset": 0, "length": 0});
    let events: [(&str, Value, &[u8]); 1] = [("tcp.data", six, b"Cookie: a=b\r\n")];
    let packets = read(&file(&events, false));
    assert!(packets[0].sound);
    assert_eq!(packets[0].payload, b"Cookie: ***\r\n");
    assert_eq!(read(&file(&events, true))[0].payload, b"Cookie: a=b\r\n");
}

#[test]
fn sequence_numbers_wrap() {
    let far = (1_u64 << 33) - 2;
    let events: [(&str, Value, &[u8]); 2] =
        [("tcp.data", at("client", far), b"abcd"), ("tcp.data", at("client", far + 4), b"efgh")];
    let packets = read(&file(&events, true));
    assert_eq!(packets[1].number.wrapping_sub(packets[0].number), 4);
}
