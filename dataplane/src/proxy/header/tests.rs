//! What is written is read again, what the protocol forbids is refused as soon as it shows, and no bytes lead astray.

mod properties;

use core::net::IpAddr;

use super::*;

fn end(address: &str, port: u16) -> (Addr, u16) {
    (address.parse::<IpAddr>().unwrap().into(), port)
}

fn tcp(source: (&str, u16), destination: (&str, u16)) -> Ends {
    Ends {
        source: end(source.0, source.1),
        destination: end(destination.0, destination.1),
        protocol: Protocol::TCP,
    }
}

fn v1(ends: &Ends) -> Vec<u8> {
    let mut room = [0xaa; MAX];
    let len = write_v1(ends, &mut room);
    room[..len].to_vec()
}

fn v2(ends: &Ends) -> Vec<u8> {
    let mut room = [0xaa; MAX];
    let len = write_v2(ends, &mut room);
    room[..len].to_vec()
}

/// A binary header of these parts.
fn binary(command: u8, family: u8, len: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend(len.to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// The verdict on a text header, which is the same with and without data behind it.
fn line(text: &str) -> Read {
    let alone = read(text.as_bytes());
    if alone != Read::Incomplete {
        assert_eq!(read(&[text.as_bytes(), b"GET /"].concat()), alone, "{text:?}");
    }
    alone
}

/// The text is refused with its last byte, and not sooner.
fn refused(text: &str, defect: Defect) {
    let bytes = text.as_bytes();
    assert_eq!(read(&bytes[..bytes.len() - 1]), Read::Incomplete, "{text:?} without its last byte");
    assert_eq!(read(bytes), Read::Invalid(defect), "{text:?}");
}

#[test]
fn text_is_as_the_protocol_has_it() {
    let ends = tcp(("192.168.0.1", 56324), ("192.168.0.11", 443));
    assert_eq!(v1(&ends), b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
    let ends = tcp(("2001:db8::1", 0), ("::", 65535));
    assert_eq!(v1(&ends), b"PROXY TCP6 2001:db8::1 :: 0 65535\r\n");
    // Of two families: no IPv6 address has points in it here.
    let ends = tcp(("10.1.2.3", 1), ("fd00::2", 2));
    assert_eq!(v1(&ends), b"PROXY TCP6 ::ffff:a01:203 fd00::2 1 2\r\n");
    assert_eq!(read(&v1(&ends)), Read::Proxied { len: v1(&ends).len(), ends });
    let udp = Ends { protocol: Protocol::UDP, ..ends };
    assert_eq!(v1(&udp), b"PROXY UNKNOWN\r\n");
}

#[test]
fn binary_is_as_the_protocol_has_it() {
    let ends = tcp(("10.0.0.1", 0x1234), ("10.0.0.2", 80));
    let body = [10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 80];
    assert_eq!(v2(&ends), binary(0x21, 0x11, 12, &body));
    let udp = Ends { protocol: Protocol::UDP, ..ends };
    assert_eq!(v2(&udp), binary(0x21, 0x12, 12, &body));
    let other = Ends { protocol: Protocol::ICMP, ..ends };
    assert_eq!(v2(&other), binary(0x21, 0, 0, &[]));

    let ends = tcp(("10.0.0.1", 1), ("fd00::2", 2));
    let mut body = [0; 36];
    body[10..16].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 1]);
    (body[16], body[31], body[33], body[35]) = (0xfd, 2, 1, 2);
    assert_eq!(v2(&ends), binary(0x21, 0x21, 36, &body));
    assert_eq!(v2(&Ends { protocol: Protocol::UDP, ..ends }), binary(0x21, 0x22, 36, &body));
}

#[test]
fn the_longest_text_fills_the_room_and_less_room_is_noticed() {
    let long = "1111:2222:3333:4444:5555:6666:7777:8888";
    let ends = tcp((long, 65535), (long, 65535));
    assert_eq!(v1(&ends).len(), MAX);
    let mut room = [0; MAX];
    assert_eq!(write_v1(&ends, &mut room[..MAX - 1]), 0);
    assert_eq!((write_v2(&ends, &mut room[..51]), write_v2(&ends, &mut room[..52])), (0, 52));
    assert_eq!((write_v1(&ends, &mut []), write_v2(&ends, &mut [])), (0, 0));
}

#[test]
fn neither_version_begins_with_anything_else() {
    for byte in 0..=255 {
        let expected = match byte {
            b'P' | b'\r' => Read::Incomplete,
            _ => Read::Invalid(Defect::Signature),
        };
        assert_eq!(read(&[byte]), expected);
    }
    for text in ["GET", "POST", "PRI", "PROXY\t", "\r\n\r\nG", "\r\n\r\n\0\r\nQUIT\r"] {
        assert_eq!(line(text), Read::Invalid(Defect::Signature), "{text:?}");
    }
}

#[test]
fn text_lines_that_are_accepted() {
    let ends = tcp(("2001:db8::a", 1), ("::ffff:10.0.0.9", 2));
    for text in [
        "PROXY TCP6 2001:db8::a ::ffff:a00:9 1 2\r\n",
        "PROXY TCP6 2001:DB8::A ::FFFF:10.0.0.9 1 2\r\n",
        "PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:000a 0:0:0:0:0:ffff:0a00:0009 1 2\r\n",
    ] {
        assert_eq!(line(text), Read::Proxied { len: text.len(), ends }, "{text:?}");
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
    assert_eq!(longest.len(), 107);
    for text in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN \n\r \u{ff}\r\n", &longest] {
        assert_eq!(line(text), Read::Local { len: text.len() }, "{text:?}");
    }
}

#[test]
fn text_is_refused_with_the_first_wrong_byte() {
    for (text, defect) in [
        ("PROXY  ", Defect::Protocol),
        ("PROXY t", Defect::Protocol),
        ("PROXY TCP5", Defect::Protocol),
        ("PROXY UD", Defect::Protocol),
        ("PROXY UNKNOWNS", Defect::Protocol),
        ("PROXY UNKNOWN\rx", Defect::Line),
        ("PROXY TCP4  ", Defect::Address),
        ("PROXY TCP4 256", Defect::Address),
        ("PROXY TCP4 01", Defect::Address),
        ("PROXY TCP4 1.2.3 ", Defect::Address),
        ("PROXY TCP4 1.2.3.4.", Defect::Address),
        ("PROXY TCP4 1.2..", Defect::Address),
        ("PROXY TCP4 f", Defect::Address),
        ("PROXY TCP4 1.2.3.4\t", Defect::Address),
        ("PROXY TCP4 1.2.3.4\r", Defect::Address),
        ("PROXY TCP4 1.2.3.4 :", Defect::Address),
        ("PROXY TCP6 1.", Defect::Address),
        ("PROXY TCP6 10000", Defect::Address),
        ("PROXY TCP6 1:2:3:4:5:6:7:8:", Defect::Address),
        ("PROXY TCP6 1:2:3:4:5:6:7 ", Defect::Address),
        ("PROXY TCP6 :::", Defect::Address),
        ("PROXY TCP6 1::2::", Defect::Address),
        ("PROXY TCP6 fe80::1%", Defect::Address),
        ("PROXY TCP6 [", Defect::Address),
        ("PROXY TCP6 ::1.2.3.256", Defect::Address),
        ("PROXY TCP4 1.2.3.4 5.6.7.8  ", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 +", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 -", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 00", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 01", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 65536", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 655350", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1\r", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 ", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 \r", Defect::Port),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r", Defect::Line),
    ] {
        refused(text, defect);
    }
    // A line of 107 bytes is the longest, and the byte that makes it too long is the 106th that is no CR.
    refused(&format!("PROXY UNKNOWN {}", "f".repeat(92)), Defect::Line);
    refused(&format!("PROXY UNKNOWN {}\r\r", "f".repeat(91)), Defect::Line);
}

#[test]
fn binary_headers_that_name_nobody() {
    // LOCAL: family and block are ignored, even if they are nonsense.
    for (family, body) in [(0, vec![]), (0x11, vec![1; 12]), (0x11, vec![9; 3]), (0xff, vec![0xff; 5])] {
        let bytes = binary(0x20, family, body.len() as u16, &body);
        assert_eq!(read(&bytes), Read::Local { len: bytes.len() }, "{bytes:x?}");
    }
    // PROXY for families and protocols that have no place here.
    for (family, len) in
        [(0, 0), (0, 7), (1, 12), (0x10, 12), (0x20, 36), (0x30, 216), (0x31, 216), (0x32, 216)]
    {
        let bytes = binary(0x21, family, len, &vec![0; usize::from(len)]);
        assert_eq!(read(&bytes), Read::Local { len: bytes.len() }, "{bytes:x?}");
    }
}

#[test]
fn binary_is_refused_with_the_first_wrong_byte() {
    let refused = |bytes: &[u8], at: usize, defect| {
        assert_eq!(read(&bytes[..at]), Read::Incomplete, "{bytes:x?}");
        assert_eq!(read(&bytes[..=at]), Read::Invalid(defect), "{bytes:x?}");
        assert_eq!(read(bytes), Read::Invalid(defect), "{bytes:x?}");
    };
    for command in (0..=255).filter(|byte| !matches!(byte, 0x20 | 0x21)) {
        let defect = if command >> 4 == 2 { Defect::Command } else { Defect::Version };
        refused(&binary(command, 0x11, 12, &[]), 12, defect);
    }
    for family in (0..=255).filter(|byte| byte >> 4 > 3 || byte & 15 > 2) {
        refused(&binary(0x21, family, 12, &[]), 13, Defect::Family);
    }
    for (family, least) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        refused(&binary(0x21, family, least - 1, &[]), 15, Defect::Length);
        assert_eq!(read(&binary(0x21, family, least, &[])), Read::Incomplete);
    }
    for command in [0x20, 0x21] {
        refused(&binary(command, 0x11, 0x300, &[]), 14, Defect::Length);
        refused(&binary(command, 0x11, 537, &[]), 15, Defect::Length);
        assert_eq!(read(&binary(command, 0x11, 536, &[])), Read::Incomplete);
    }
}

#[test]
fn extensions_are_skipped_if_they_fit() {
    let ends = tcp(("10.0.0.1", 1), ("10.0.0.2", 2));
    let with = |extensions: &[u8]| {
        let body = [&v2(&ends)[16..], extensions].concat();
        binary(0x21, 0x11, body.len() as u16, &body)
    };
    let mut full = vec![4, 2, 9];
    full.resize(536 - 12, 0);
    for extensions in [&[4, 0, 0][..], &[1, 0, 2, b'h', b'2', 4, 0, 1, 0, 4, 0, 0], &full] {
        let bytes = with(extensions);
        assert_eq!(read(&bytes), Read::Proxied { len: bytes.len(), ends });
        assert_eq!(read(&[&bytes[..], b"\x01\xff\xff"].concat()), Read::Proxied { len: bytes.len(), ends });
    }
    for (extensions, known) in [
        // One or two bytes can be no extension, as their number shows.
        (&[4][..], 16),
        (&[4, 0], 16),
        (&[4, 0, 1], 31),
        (&[4, 1, 0, 0], 30),
        (&[4, 0, 0, 4, 0], 31),
        (&[4, 0, 0, 4, 0, 9, 0, 0, 0], 34),
    ] {
        let bytes = with(extensions);
        assert_eq!(read(&bytes[..known - 1]), Read::Incomplete, "{extensions:?}");
        assert_eq!(read(&bytes[..known]), Read::Invalid(Defect::Extension), "{extensions:?}");
    }
}
