//! Any ends, any damage, any header.

use proptest::prelude::*;

use super::*;

fn address() -> impl Strategy<Value = Addr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(Addr::v4),
        any::<[u8; 16]>().prop_map(Addr::v6),
        // Many zeroes, so that there are double colons.
        any::<[bool; 16]>().prop_map(|bits| Addr::v6(bits.map(u8::from))),
    ]
}

fn any_ends() -> impl Strategy<Value = Ends> {
    let protocol = prop_oneof![Just(Protocol::TCP), Just(Protocol::UDP)];
    (address(), any::<u16>(), address(), any::<u16>(), protocol).prop_map(|(from, a, to, b, protocol)| Ends {
        source: (from, a),
        destination: (to, b),
        protocol,
    })
}

/// The verdict on all of it, after a look at every shorter beginning: one that has a verdict has the last one.
/// Of text others have to say the same.
fn steady(bytes: &[u8]) -> Read {
    let mut last = Read::Incomplete;
    for len in 0..=bytes.len() {
        let verdict = read(&bytes[..len]);
        match last {
            Read::Incomplete => last = verdict,
            _ => assert_eq!(verdict, last, "{:x?}", &bytes[..len]),
        }
        if let Read::Local { len: header } | Read::Proxied { len: header, .. } = verdict {
            assert!(header <= len && header <= MAX_READ);
        }
        assert!(len < MAX_READ || verdict != Read::Incomplete);
    }
    if bytes.first() == Some(&b'P') {
        match last {
            Read::Proxied { len, ends } => assert_eq!(by_splitting(&bytes[..len]), Some(ends)),
            Read::Invalid(_) => assert_eq!(by_splitting(bytes), None),
            Read::Local { .. } | Read::Incomplete => {}
        }
    }
    last
}

/// A whole header byte by byte: each is any of those that the reader would go on with.
fn walk(begin: &[u8], choices: &[u8]) -> Vec<u8> {
    let mut bytes = begin.to_vec();
    let mut choices = choices.iter().cycle();
    while read(&bytes) == Read::Incomplete {
        assert!(bytes.len() < MAX_READ, "no verdict");
        let next = |byte: &u8| !matches!(read(&[&bytes[..], &[*byte]].concat()), Read::Invalid(_));
        let possible: Vec<u8> = (0..=255).filter(next).collect();
        assert!(!possible.is_empty(), "nothing can follow {:?}", String::from_utf8_lossy(&bytes));
        let choice = usize::from(*choices.next().unwrap());
        bytes.push(possible[choice % possible.len()]);
    }
    bytes
}

/// A line with addresses, read by other means.
fn by_splitting(text: &[u8]) -> Option<Ends> {
    let text = core::str::from_utf8(text).ok()?.strip_suffix("\r\n")?;
    let ["PROXY", family, from, to, from_port, to_port] = text.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let address = |text: &str| match family {
        "TCP4" => Some(IpAddr::V4(text.parse().ok()?)),
        "TCP6" => Some(IpAddr::V6(text.parse().ok()?)),
        _ => None,
    };
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| port.to_string() == text);
    Some(Ends {
        source: (address(from)?.into(), port(from_port)?),
        destination: (address(to)?.into(), port(to_port)?),
        protocol: Protocol::TCP,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_every_beginning_of_it_is_incomplete(ends in any_ends(), data: Vec<u8>) {
        let (text, binary) = (v1(&ends), v2(&ends));
        prop_assert!(text.len() <= MAX && binary.len() <= MAX);
        let len = text.len();
        let said = match ends.protocol {
            Protocol::TCP => Read::Proxied { len, ends },
            _ => Read::Local { len },
        };
        for (header, expected) in [(text, said), (binary.clone(), Read::Proxied { len: binary.len(), ends })] {
            for len in 0..header.len() {
                prop_assert_eq!(read(&header[..len]), Read::Incomplete);
            }
            prop_assert_eq!(read(&[&header[..], &data].concat()), expected);
        }
    }

    #[test]
    fn damage_is_judged_steadily(
        ends in any_ends(), binary: bool, flips in prop::collection::vec((any::<usize>(), 1u8..), 1..4), cut: usize,
    ) {
        let mut bytes = if binary { v2(&ends) } else { v1(&ends) };
        for (at, mask) in flips {
            let at = at % bytes.len();
            bytes[at] ^= mask;
        }
        steady(&bytes);
        bytes.truncate(cut % (bytes.len() + 1));
        bytes.extend(b"\r\n 1.2.3.4 ::1 65535 0\r\n");
        steady(&bytes);
    }

    #[test]
    fn any_bytes_are_judged_steadily(
        begin in prop::sample::select(vec![&b""[..], b"\r\n\r\n\0\r\nQUIT\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        steady(&[begin, &rest].concat());
    }

    #[test]
    fn text_is_read_as_others_read_it(rest in "TCP[46]( [0-9a-f.:]{1,16}){2}( [0-9]{1,6}){2}\r\n") {
        let text = [b"PROXY ", rest.as_bytes()].concat();
        let valid = by_splitting(&text).is_some();
        prop_assert_eq!(matches!(steady(&text), Read::Proxied { len, .. } if len == text.len()), valid);
    }

    /// So no byte is refused too late: what cannot lead to a header is never incomplete.
    #[test]
    fn whatever_is_incomplete_can_be_completed(
        begin in prop::sample::select(vec![
            &b""[..], b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY TCP6 1:2:3:4:5:6:", b"PROXY TCP6 0000:0000:0000:",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0", b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x01",
        ]),
        choices in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let header = walk(begin, &choices);
        match steady(&header) {
            Read::Proxied { len, .. } | Read::Local { len } => prop_assert_eq!(len, header.len()),
            verdict => prop_assert!(false, "{:?}", verdict),
        }
    }
}
