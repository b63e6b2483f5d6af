//! Echo in place, errors parsed, every drop by its name.

use core::net::IpAddr;

use l3l4::FlowKey;
use proptest::prelude::*;

use super::*;

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn owned() -> Owned {
    Owned::new(vec![(addr("10.0.0.2"), 24), (addr("fd00::2"), 64)], false, vec![], vec![]).unwrap()
}

/// A packet of either family around an ICMP message, whose checksum is filled in.
fn packet(source: &str, destination: &str, between: &[u8], message: &[u8]) -> Vec<u8> {
    let (source, destination) = (addr(source), addr(destination));
    let mut message = message.to_vec();
    let length = between.len() + message.len();
    let mut packet = if source.is_v4() {
        let ihl = 5 + between.len() as u8 / 4;
        let mut header = vec![0x40 | ihl, 0xbb, 0, (20 + length) as u8, 1, 2, 0x40, 0, 9, 1, 0xde, 0xad];
        header.extend(source.v4_octets());
        header.extend(destination.v4_octets());
        header
    } else {
        let next = if between.is_empty() { 58 } else { 60 };
        let mut header = vec![0x6b, 0xb1, 2, 3, 0, length as u8, next, 9];
        header.extend(source.octets());
        header.extend(destination.octets());
        header
    };
    let sum = if source.is_v4() {
        checksum::header(&message)
    } else {
        checksum::segment(source, destination, Protocol::ICMPV6, &message)
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    packet.extend(between);
    packet.extend(message);
    packet
}

const ECHO_V4: [u8; 13] = [8, 0, 0, 0, 1, 2, 3, 4, b'h', b'e', b'l', b'l', b'o'];
const ECHO_V6: [u8; 13] = [128, 0, 0, 0, 1, 2, 3, 4, b'h', b'e', b'l', b'l', b'o'];

fn ping(source: &str, destination: &str) -> Result<Vec<u8>, IcmpDrop> {
    let v4 = addr(source).is_v4();
    let mut packet = packet(source, destination, &[], if v4 { &ECHO_V4 } else { &ECHO_V6 });
    let len = echo_reply(&mut packet, if v4 { 20 } else { 40 }, &owned())?;
    packet.truncate(len);
    Ok(packet)
}

#[test]
fn echo_v4_is_answered_in_place() {
    let reply = ping("10.0.0.9", "10.0.0.2").unwrap();
    assert_eq!(reply.len(), 33);
    assert!(checksum::is_intact(&reply[..20]) && checksum::is_intact(&reply[20..]));
    assert_eq!(reply[12..20], [10, 0, 0, 2, 10, 0, 0, 9]);
    assert_eq!((reply[0], reply[1], reply[6], reply[8], reply[20]), (0x45, 0xb8, 0, 64, 0));
    assert_eq!(reply[24..], ECHO_V4[4..]);
    assert_eq!(parse(&reply, 20, 0), Err(IcmpDrop::EchoReply));
}

#[test]
fn echo_v6_is_answered_in_place() {
    let reply = ping("fd00::9", "fd00::2").unwrap();
    assert_eq!(reply.len(), 53);
    assert_eq!(parse(&reply, 40, 0), Err(IcmpDrop::EchoReply), "its checksum is right");
    assert_eq!((reply[0], reply[1], reply[2], reply[7], reply[40]), (0x6b, 0x80, 0, 64, 129));
    assert_eq!(error::addresses(&reply), Some((addr("fd00::2"), addr("fd00::9"))));
    assert_eq!(reply[44..], ECHO_V6[4..]);
}

#[test]
fn options_and_extension_headers_are_not_reflected() {
    let mut asked = packet("10.0.0.9", "10.0.0.2", &[7, 7, 4, 0, 0, 0, 0, 0], &ECHO_V4);
    let len = echo_reply(&mut asked, 28, &owned()).unwrap();
    assert_eq!(asked[..len], ping("10.0.0.9", "10.0.0.2").unwrap());
    let mut asked = packet("fd00::9", "fd00::2", &[58, 0, 1, 4, 0, 0, 0, 0], &ECHO_V6);
    let len = echo_reply(&mut asked, 48, &owned()).unwrap();
    assert_eq!(asked[..len], ping("fd00::9", "fd00::2").unwrap());
}

#[test]
fn a_reply_of_nothing_but_zeros_has_a_right_checksum() {
    let mut asked = packet("10.0.0.9", "10.0.0.2", &[], &[8, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(echo_reply(&mut asked, 20, &owned()), Ok(28));
    assert_eq!(asked[20..], [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
}

#[test]
fn padding_is_cut_off() {
    let mut padded = packet("10.0.0.9", "10.0.0.2", &[], &ECHO_V4);
    padded.extend([0xee; 13]);
    assert_eq!(echo_reply(&mut padded, 20, &owned()), Ok(33));
}

#[test]
fn groups_are_never_answered() {
    for group in ["10.0.0.255", "10.0.0.0", "255.255.255.255", "224.0.0.1"] {
        assert_eq!(ping("10.0.0.9", group), Err(IcmpDrop::GroupDestination), "{group}");
        assert_eq!(ping(group, "10.0.0.2"), Err(IcmpDrop::Source), "{group}");
    }
    assert_eq!(ping("fd00::9", "ff02::1"), Err(IcmpDrop::GroupDestination));
    for source in ["ff02::1", "::", "::1"] {
        assert_eq!(ping(source, "fd00::2"), Err(IcmpDrop::Source), "{source}");
    }
    assert_eq!(ping("127.0.0.1", "10.0.0.2"), Err(IcmpDrop::Source));
}

#[test]
fn each_fault_has_its_name() {
    let v4 = |message: &[u8]| parse(&packet("10.0.0.9", "10.0.0.2", &[], message), 20, 0).unwrap_err();
    let v6 = |message: &[u8]| parse(&packet("fd00::9", "fd00::2", &[], message), 40, 0).unwrap_err();
    let of = |kind: u8, code: u8| [kind, code, 0, 0, 0, 0, 0, 0];
    assert_eq!(v4(&of(0, 0)), IcmpDrop::EchoReply);
    assert_eq!(v6(&of(129, 0)), IcmpDrop::EchoReply);
    assert_eq!(v4(&of(4, 0)), IcmpDrop::SourceQuench);
    assert_eq!(v4(&of(5, 1)), IcmpDrop::Redirect);
    assert_eq!(v6(&of(137, 0)), IcmpDrop::Redirect);
    assert_eq!(v6(&of(143, 0)), IcmpDrop::ListenerDiscovery);
    assert_eq!(v4(&of(13, 0)), IcmpDrop::Unsupported);
    assert_eq!(v4(&of(8, 1)), IcmpDrop::Unsupported);
    assert_eq!(v6(&of(8, 0)), IcmpDrop::Unsupported);
    assert_eq!(v4(&of(3, 1)), IcmpDrop::Quote);
    assert_eq!(v4(&[3, 4, 0, 0, 0, 0, 0, 67]), IcmpDrop::Mtu);
    assert_eq!(v6(&[2, 0, 0, 0, 0, 0, 4, 255]), IcmpDrop::Mtu);
    assert_eq!(v4(&[8, 0, 0, 0]), IcmpDrop::Truncated);
    let mut bad = packet("10.0.0.9", "10.0.0.2", &[], &ECHO_V4);
    bad[30] ^= 1;
    assert_eq!(echo_reply(&mut bad, 20, &owned()), Err(IcmpDrop::Checksum));
    assert_eq!(echo_reply(&mut bad[..32], 20, &owned()), Err(IcmpDrop::Truncated));
    assert_eq!(echo_reply(&mut [], 20, &owned()), Err(IcmpDrop::Truncated));
}

/// The start of a TCP segment or UDP datagram that we sent, in its IP header.
fn quote(source: &str, destination: &str, protocol: u8, fragment: u16) -> Vec<u8> {
    let (source, destination) = (addr(source), addr(destination));
    let l4 = [0, 80, 0x9c, 0x40, 1, 2, 3, 4];
    let mut quote = if source.is_v4() {
        let [high, low] = fragment.to_be_bytes();
        let mut header = vec![0x45, 0, 5, 220, 0, 0, high, low, 64, protocol, 0, 0];
        header.extend(source.v4_octets());
        header.extend(destination.v4_octets());
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0, 5, 200, 44, 64];
        header.extend(source.octets());
        header.extend(destination.octets());
        header.extend([protocol, 0]);
        header.extend((fragment << 3 | 1).to_be_bytes());
        header.extend([0, 0, 0, 1]);
        header
    };
    quote.extend(l4);
    quote
}

fn error(router: &str, us: &str, head: [u8; 8], quote: &[u8]) -> Result<IcmpError, IcmpDrop> {
    let offset = if addr(us).is_v4() { 20 } else { 40 };
    match parse(&packet(router, us, &[], &[&head, quote].concat()), offset, 5)? {
        Icmp::Error(error) => Ok(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_name_the_flow_as_we_receive_it() {
    let too_big = [3, 4, 0, 0, 0, 0, 5, 120];
    let told = error("192.0.2.1", "10.0.0.2", too_big, &quote("10.0.0.2", "198.51.100.7", 6, 0)).unwrap();
    let key = FlowKey {
        remote: addr("198.51.100.7"),
        local: addr("10.0.0.2"),
        remote_port: 40000,
        local_port: 80,
        protocol: Protocol::TCP,
        link: 5,
    };
    assert_eq!(told.embedded, Some(key));
    assert_eq!((told.kind, told.code, told.mtu), (ErrorKind::TooBig, 4, Some(1400)));
    assert_eq!(told.embedded_seq, Some(0x0102_0304));
    let too_big = told.too_big().unwrap();
    assert_eq!((too_big.key, too_big.seq, too_big.mtu, too_big.len), (key, 0x0102_0304, Some(1400), 1500));
    let older =
        error("192.0.2.1", "10.0.0.2", [3, 4, 0, 0, 0, 0, 0, 0], &quote("10.0.0.2", "198.51.100.7", 6, 0));
    assert_eq!(older.unwrap().too_big().unwrap().mtu, None, "a router that names no MTU");
    let other =
        error("192.0.2.1", "10.0.0.2", [3, 1, 0, 0, 0, 0, 5, 120], &quote("10.0.0.2", "198.51.100.7", 6, 0));
    assert!(other.unwrap().too_big().is_none(), "another kind of error");
    let told =
        error("fd01::1", "fd00::2", [2, 0, 0, 0, 0, 0, 5, 0], &quote("fd00::2", "fd02::7", 17, 0)).unwrap();
    let key = FlowKey { remote: addr("fd02::7"), local: addr("fd00::2"), protocol: Protocol::UDP, ..key };
    assert_eq!((told.embedded, told.embedded_seq, told.mtu), (Some(key), None, Some(1280)));
    assert!(told.too_big().is_none(), "UDP");
    assert_eq!(told.embedded_len, 1520);
}

#[test]
fn kinds_of_errors() {
    for (kind, code, expected) in [
        (3, 3, ErrorKind::Unreachable),
        (3, 4, ErrorKind::TooBig),
        (11, 0, ErrorKind::TimeExceeded),
        (12, 0, ErrorKind::ParameterProblem),
    ] {
        let quote = quote("10.0.0.2", "198.51.100.7", 6, 0);
        let told = error("192.0.2.1", "10.0.0.2", [kind, code, 0, 0, 0, 0, 0, 0], &quote).unwrap();
        assert_eq!((told.kind, told.code, told.mtu), (expected, code, None));
    }
    for (kind, expected) in
        [(1, ErrorKind::Unreachable), (3, ErrorKind::TimeExceeded), (4, ErrorKind::ParameterProblem)]
    {
        let quote = quote("fd00::2", "fd02::7", 6, 0);
        assert_eq!(error("fd01::1", "fd00::2", [kind, 0, 0, 0, 0, 0, 0, 0], &quote).unwrap().kind, expected);
    }
}

#[test]
fn quotes_are_checked() {
    let unreachable = [3, 1, 0, 0, 0, 0, 0, 0];
    let judge = |quote: &[u8]| error("192.0.2.1", "10.0.0.2", unreachable, quote);
    let good = quote("10.0.0.2", "198.51.100.7", 6, 0);
    assert_eq!(judge(&quote("10.0.0.3", "198.51.100.7", 6, 0)), Err(IcmpDrop::NotOurs));
    assert_eq!(judge(&quote("fd00::2", "fd02::7", 6, 0)), Err(IcmpDrop::Quote));
    assert_eq!(judge(&good[..19]), Err(IcmpDrop::Quote));
    let embedded = |quote: &[u8]| judge(quote).unwrap().embedded;
    assert_eq!(embedded(&good[..27]), None, "ports and sequence must be whole");
    assert_eq!(embedded(&quote("10.0.0.2", "198.51.100.7", 6, 10)), None, "a later fragment");
    assert_eq!(embedded(&quote("10.0.0.2", "198.51.100.7", 1, 0)), None, "no ports");
    let mut short = good;
    short[0] = 0x44;
    assert_eq!(judge(&short), Err(IcmpDrop::Quote));
    let later = quote("fd00::2", "fd02::7", 6, 10);
    assert_eq!(error("fd01::1", "fd00::2", [1, 0, 0, 0, 0, 0, 0, 0], &later).unwrap().embedded, None);
}

proptest! {
    #[test]
    fn nothing_panics(mut data in proptest::collection::vec(any::<u8>(), 0..150), offset in 0_usize..80, v4 in any::<bool>()) {
        let _ = echo_reply(&mut data.clone(), offset, &owned());
        let _ = parse(&data, offset, 0);
        // The same bytes as the message of a well-formed packet.
        data.resize(data.len().max(8), 0);
        data[2..4].fill(0);
        let (mut whole, offset) =
            if v4 { (packet("10.0.0.9", "10.0.0.2", &[], &data), 20) } else { (packet("fd00::9", "fd00::2", &[], &data), 40) };
        prop_assert_ne!(parse(&whole, offset, 0), Err(IcmpDrop::Checksum));
        let _ = echo_reply(&mut whole, offset, &owned());
    }

    #[test]
    fn a_reply_has_right_checksums_whatever_was_sent(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
        let message: Vec<u8> = [8, 0, 0, 0].into_iter().chain([0; 4]).chain(payload).collect();
        let mut asked = packet("10.0.0.9", "10.0.0.2", &[], &message);
        let len = echo_reply(&mut asked, 20, &owned()).unwrap();
        prop_assert!(checksum::is_intact(&asked[..20]));
        prop_assert!(checksum::is_intact(&asked[20..len]));
    }
}
