//! Validation of RFC 4861, section 7.1, verdicts, and messages as they go out.

use core::net::IpAddr;

use proptest::prelude::*;

use super::*;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 2]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn owned(any_ip: bool) -> Owned {
    let addresses = vec![(addr("fd00::2"), 64), (link_local(OWN), 64)];
    Owned::new(addresses, any_ip, vec![addr("fd00::1")], vec![]).unwrap()
}

/// A message with any source, destination, flags and body after the target.
fn packet(kind: u8, flags: u8, source: &str, destination: &str, target: &str, options: &[u8]) -> Vec<u8> {
    let (source, destination) = (addr(source), addr(destination));
    let length = MESSAGE + options.len();
    let mut packet = vec![0x60, 0, 0, 0, 0, length as u8, 58, 255];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend([kind, 0, 0, 0, flags, 0, 0, 0]);
    packet.extend(addr(target).octets());
    packet.extend(options);
    seal(&mut packet);
    packet
}

fn seal(packet: &mut [u8]) {
    let (source, destination) = (read_addr(&packet[8..24]), read_addr(&packet[24..40]));
    packet[42..44].fill(0);
    let sum = checksum::segment(source, destination, Protocol::ICMPV6, &packet[40..]);
    packet[42..44].copy_from_slice(&sum.to_be_bytes());
}

const SOURCE_OPTION: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 9];
const TARGET_OPTION: [u8; 8] = [2, 1, 2, 0, 0, 0, 0, 9];

fn solicitation() -> Vec<u8> {
    packet(135, 0, "fd00::9", "ff02::1:ff00:2", "fd00::2", &SOURCE_OPTION)
}

fn solicited(packet: &[u8]) -> Solicitation {
    match parse(packet, PEER) {
        Ok(Ndp::Solicitation(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn advertised(packet: &[u8]) -> Advertisement {
    match parse(packet, PEER) {
        Ok(Ndp::Advertisement(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_solicitation_is_answered_and_its_sender_learned() {
    let asked = solicited(&solicitation());
    let verdict = asked.decide(&owned(false), OWN, None).unwrap();
    let learn = verdict.learn.unwrap();
    assert!(verdict.reply && learn.create);
    assert_eq!((learn.address, learn.mac), (addr("fd00::9"), PEER));
    let mut buf = [0; 80];
    let written = write_reply(&mut buf, OWN, &owned(false), &asked).unwrap();
    assert_eq!(written, Written { len: NDP_LEN, destination: PEER });
    let told = advertised(&buf[..written.len]);
    assert_eq!((told.target, told.target_link), (addr("fd00::2"), Some(OWN)));
    assert!(told.solicited && told.replace);
    assert_eq!((read_addr(&buf[8..24]), read_addr(&buf[24..40])), (addr("fd00::2"), addr("fd00::9")));
    assert!(write_reply(&mut buf[..71], OWN, &owned(false), &asked).is_err());
}

#[test]
fn a_duplicate_address_probe_is_answered_to_all_nodes() {
    let asked = solicited(&packet(135, 0, "::", "ff02::1:ff00:2", "fd00::2", &[]));
    let verdict = asked.decide(&owned(false), OWN, None).unwrap();
    assert_eq!(verdict, Verdict { reply: true, learn: None, conflict: false });
    let mut buf = [0; NDP_LEN];
    let written = write_reply(&mut buf, OWN, &owned(false), &asked).unwrap();
    assert_eq!(written.destination, Mac([0x33, 0x33, 0, 0, 0, 1]));
    assert_eq!(read_addr(&buf[24..40]), ALL_NODES);
    let told = advertised(&buf);
    assert!(!told.solicited && told.replace);
}

#[test]
fn any_ip_answers_for_what_nobody_holds_and_yields() {
    let owned = owned(true);
    let ask = |source: &str, target: &str| {
        let group = solicited_node(addr(target)).to_string();
        let option: &[u8] = if source == "::" { &[] } else { &SOURCE_OPTION };
        solicited(&packet(135, 0, source, &group, target, option))
    };
    let answered = |asked: &Solicitation, known| asked.decide(&owned, OWN, known).unwrap().reply;
    let asked = ask("fd00::9", "fd00::77");
    assert!(answered(&asked, None) && !answered(&asked, Some(PEER)));
    assert!(!answered(&ask("::", "fd00::77"), None), "about to be held");
    assert!(!answered(&ask("fd00::9", "fd00::1"), None), "the gateway's");
    assert!(!answered(&ask("fd00::9", "fd00::9"), None), "the asker's");
    let mut buf = [0; NDP_LEN];
    write_reply(&mut buf, OWN, &owned, &asked).unwrap();
    assert!(!advertised(&buf).replace, "without override");
}

#[test]
fn advertisements_update_and_reveal_conflicts() {
    let decide = |target: &str, flags, options: &[u8]| {
        advertised(&packet(136, flags, "fd00::9", "fd00::2", target, options)).decide(&owned(false), OWN)
    };
    let learn = decide("fd00::1", 0x60, &TARGET_OPTION).unwrap().learn.unwrap();
    assert_eq!((learn.mac, learn.source), (PEER, Learned::Advertisement));
    assert!(learn.replace && !learn.create);
    let learn = decide("fd00::1", 0x20, &TARGET_OPTION).unwrap().learn.unwrap();
    assert_eq!(learn.source, Learned::Announcement);
    let learn = decide("fd00::1", 0x60, &[]).unwrap().learn.unwrap();
    assert!(!learn.replace && learn.mac == PEER, "without the option nothing is replaced");
    assert!(decide("fd00::2", 0x20, &TARGET_OPTION).unwrap().conflict);
    assert_eq!(decide("fd01::1", 0x60, &TARGET_OPTION), Err(NdpDrop::OffLink));
    let mut own = TARGET_OPTION;
    own[2..].copy_from_slice(&OWN.0);
    assert_eq!(decide("fd00::2", 0x20, &own), Err(NdpDrop::Own));
}

#[test]
fn solicitations_that_conflict_or_come_from_afar() {
    let conflict = solicited(&packet(135, 0, "fd00::2", "ff02::1:ff00:5", "fd00::5", &SOURCE_OPTION));
    assert!(conflict.decide(&owned(false), OWN, None).unwrap().conflict);
    let far = solicited(&packet(135, 0, "fd01::9", "ff02::1:ff00:2", "fd00::2", &SOURCE_OPTION));
    assert_eq!(far.decide(&owned(false), OWN, None), Err(NdpDrop::OffLink));
    let bare = solicited(&packet(135, 0, "fe80::9", "fd00::2", "fd00::2", &[]));
    let verdict = bare.decide(&owned(false), OWN, None).unwrap();
    assert!(verdict.reply && verdict.learn.is_none() && bare.reply_to == PEER);
}

#[test]
fn each_fault_has_its_name() {
    let fault = |packet: &[u8]| parse(packet, PEER).unwrap_err();
    let with = |at: usize, value: u8, sealed: bool| {
        let mut bad = solicitation();
        bad[at] = value;
        if sealed {
            seal(&mut bad);
        }
        fault(&bad)
    };
    assert_eq!(with(7, 254, true), NdpDrop::HopLimit);
    assert_eq!(with(43, 1, false), NdpDrop::Checksum);
    assert_eq!(with(41, 1, true), NdpDrop::Code);
    assert_eq!(with(65, 0, true), NdpDrop::OptionLength);
    assert_eq!(with(65, 2, true), NdpDrop::OptionLength);
    assert_eq!(with(66, 3, true), NdpDrop::LinkAddress);
    assert_eq!(with(48, 0xff, true), NdpDrop::Target);
    assert_eq!(with(8, 0xff, true), NdpDrop::Source);
    assert_eq!(with(6, 17, true), NdpDrop::NotNdp);
    assert_eq!(with(5, 200, false), NdpDrop::Truncated);
    assert_eq!(with(40, 133, true), NdpDrop::RouterSolicitation);
    assert_eq!(with(40, 134, true), NdpDrop::RouterAdvertisement);
    assert_eq!(with(40, 137, true), NdpDrop::Redirect);
    assert_eq!(with(40, 128, true), NdpDrop::NotNdp);
    assert_eq!(fault(&solicitation()[..39]), NdpDrop::Truncated);
    assert_eq!(fault(&packet(135, 0, "::", "fd00::2", "fd00::2", &[])), NdpDrop::Destination);
    assert_eq!(
        fault(&packet(135, 0, "::", "ff02::1:ff00:2", "fd00::2", &SOURCE_OPTION)),
        NdpDrop::LinkAddress
    );
    assert_eq!(
        fault(&packet(136, 0x60, "fd00::9", "ff02::1", "fd00::9", &TARGET_OPTION)),
        NdpDrop::SolicitedGroup
    );
    assert_eq!(fault(&packet(136, 0, "::", "ff02::1", "fd00::9", &TARGET_OPTION)), NdpDrop::Source);
    assert_eq!(fault(&packet(136, 0, "fd00::9", "fd00::2", "::ffff:1.2.3.4", &[])), NdpDrop::Target);
    assert_eq!(fault(&packet(135, 0, "fd00::9", "fd00::2", "fd00::2", &[1])), NdpDrop::OptionLength);
}

#[test]
fn padding_of_the_frame_is_ignored() {
    let mut padded = solicitation();
    padded.extend([0xee; 20]);
    assert_eq!(solicited(&padded), solicited(&solicitation()));
}

#[test]
fn our_solicitations_and_announcements() {
    let mut buf = [0; NDP_LEN];
    let written = write_solicitation(&mut buf, OWN, addr("fd00::2"), addr("fd00::12:3456"), None).unwrap();
    assert_eq!(written.destination, Mac([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]));
    let asked = solicited(&buf);
    assert_eq!((asked.source, asked.target), (Some(addr("fd00::2")), addr("fd00::12:3456")));
    assert_eq!(asked.decide(&owned(false), OWN, None), Err(NdpDrop::Own));
    let written = write_solicitation(&mut buf, OWN, addr("fd00::2"), addr("fd00::9"), Some(PEER)).unwrap();
    assert_eq!((written.destination, read_addr(&buf[24..40])), (PEER, addr("fd00::9")));
    write_announcement(&mut buf, OWN, addr("fd00::2")).unwrap();
    let told = advertised(&buf);
    assert!(told.replace && !told.solicited && told.target == addr("fd00::2"));
    assert_eq!(link_local(Mac([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde])), addr("fe80::3656:78ff:fe9a:bcde"));
}

proptest! {
    #[test]
    fn parse_never_panics(mut data in proptest::collection::vec(any::<u8>(), 0..120), kind in 133_u8..138) {
        let _ = parse(&data, PEER);
        // The same bytes with a header that lets them past the first checks.
        if data.len() > 44 {
            data[0] = 0x60;
            data[4] = 0;
            data[5] = (data.len() - 40) as u8;
            data[6..8].copy_from_slice(&[58, 255]);
            data[40..42].copy_from_slice(&[kind, 0]);
            seal(&mut data);
            if let Ok(Ndp::Solicitation(message)) = parse(&data, PEER) {
                let _ = message.decide(&owned(true), OWN, None);
            }
        }
    }
}
