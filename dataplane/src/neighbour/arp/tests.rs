//! Every named drop, every verdict, and replies as they go out.

use proptest::prelude::*;

use super::*;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 2]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn owned(any_ip: bool) -> Owned {
    Owned::new(vec![(Addr::v4([10, 0, 0, 2]), 24)], any_ip, vec![Addr::v4([10, 0, 0, 1])], vec![]).unwrap()
}

fn packet(operation: Operation, sender: [u8; 4], target: [u8; 4]) -> ArpPacket {
    ArpPacket {
        operation,
        sender_mac: PEER,
        sender_ip: sender.into(),
        target_mac: Mac::default(),
        target_ip: target.into(),
    }
}

fn request(sender: [u8; 4], target: [u8; 4]) -> ArpPacket {
    packet(Operation::Request, sender, target)
}

fn bytes(sender: [u8; 4]) -> [u8; ARP_LEN] {
    let mut buf = [0; ARP_LEN];
    write_request(&mut buf, PEER, sender.into(), [10, 0, 0, 2].into()).unwrap();
    buf
}

#[test]
fn written_packets_parse_back() {
    let mut buf = [0xee; 60];
    let asked = request([10, 0, 0, 9], [10, 0, 0, 2]);
    assert_eq!(ArpPacket::parse(&bytes([10, 0, 0, 9]), PEER), Ok(asked));
    assert_eq!(write_reply(&mut buf, OWN, &asked), Ok(28));
    let expected = "00010800060400020200000000020a0000020200000000090a000009";
    assert_eq!(buf[..28].iter().map(|b| format!("{b:02x}")).collect::<String>(), expected);
    assert_eq!(buf[28], 0xee);
    write_announcement(&mut buf, OWN, [10, 0, 0, 2].into()).unwrap();
    let announced = ArpPacket::parse(&buf, OWN).unwrap();
    assert_eq!((announced.sender_ip, announced.target_ip), ([10, 0, 0, 2].into(), [10, 0, 0, 2].into()));
    assert_eq!(write_reply(&mut buf[..27], OWN, &asked), Err(ShortBuffer { need: 28, have: 27 }));
}

#[test]
fn each_fault_has_its_name() {
    let good = bytes([10, 0, 0, 9]);
    for (at, value, drop) in [
        (1, 6, ArpDrop::HardwareType),
        (2, 0x86, ArpDrop::ProtocolType),
        (4, 8, ArpDrop::Lengths),
        (5, 16, ArpDrop::Lengths),
        (7, 3, ArpDrop::Operation),
        (6, 1, ArpDrop::Operation),
        (8, 3, ArpDrop::SenderMac),
        (13, 8, ArpDrop::SenderMismatch),
        (14, 224, ArpDrop::SenderAddress),
        (14, 127, ArpDrop::SenderAddress),
        (14, 0, ArpDrop::SenderAddress),
    ] {
        let mut bad = good;
        bad[at] = value;
        assert_eq!(ArpPacket::parse(&bad, PEER), Err(drop), "byte {at} = {value}");
    }
    assert_eq!(ArpPacket::parse(&good[..27], PEER), Err(ArpDrop::Truncated));
    assert_eq!(ArpPacket::parse(&bytes([255; 4]), PEER), Err(ArpDrop::SenderAddress));
    assert!(ArpPacket::parse(&bytes([0; 4]), PEER).is_ok(), "a probe");
    let mut reply = bytes([0; 4]);
    reply[7] = 2;
    assert_eq!(ArpPacket::parse(&reply, PEER), Err(ArpDrop::SenderAddress));
}

#[test]
fn requests_for_us_are_answered_and_their_senders_learned() {
    let verdict = request([10, 0, 0, 9], [10, 0, 0, 2]).decide(&owned(false), OWN, None).unwrap();
    let learn = verdict.learn.unwrap();
    assert!(verdict.reply && !verdict.conflict && learn.create && learn.replace);
    assert_eq!(
        (learn.address, learn.mac, learn.source),
        (Addr::v4([10, 0, 0, 9]), PEER, Learned::ArpRequest)
    );
}

#[test]
fn requests_for_others_only_update() {
    let verdict = request([10, 0, 0, 9], [10, 0, 0, 3]).decide(&owned(false), OWN, None).unwrap();
    assert!(!verdict.reply && !verdict.learn.unwrap().create);
}

#[test]
fn any_ip_answers_for_addresses_nobody_holds() {
    let owned = owned(true);
    let decide = |packet: ArpPacket, known| packet.decide(&owned, OWN, known).unwrap();
    assert!(decide(request([10, 0, 0, 9], [10, 0, 0, 3]), None).reply);
    assert!(!decide(request([10, 0, 0, 9], [10, 0, 0, 3]), Some(PEER)).reply);
    assert!(!decide(request([10, 0, 0, 9], [10, 0, 0, 1]), None).reply, "gateway");
    assert!(!decide(request([10, 0, 0, 9], [10, 0, 0, 255]), None).reply, "broadcast");
    assert!(!decide(request([0; 4], [10, 0, 0, 3]), None).reply, "probe");
    let gratuitous = decide(request([10, 0, 0, 9], [10, 0, 0, 9]), None);
    let learn = gratuitous.learn.unwrap();
    assert!(!gratuitous.reply && learn.create, "a holder is remembered");
    assert_eq!(learn.source, Learned::Announcement);
}

#[test]
fn probes_for_an_exact_address_are_answered_without_learning() {
    let verdict = request([0; 4], [10, 0, 0, 2]).decide(&owned(false), OWN, None).unwrap();
    assert_eq!(verdict, Verdict { reply: true, learn: None, conflict: false });
    assert!(!request([0; 4], [10, 0, 0, 3]).decide(&owned(false), OWN, None).unwrap().reply);
}

#[test]
fn another_user_of_our_address_is_a_conflict() {
    for operation in [Operation::Request, Operation::Reply] {
        for target in [[10, 0, 0, 2], [10, 0, 0, 9]] {
            let verdict = packet(operation, [10, 0, 0, 2], target).decide(&owned(true), OWN, None).unwrap();
            assert_eq!(verdict, Verdict { reply: false, learn: None, conflict: true });
        }
    }
}

#[test]
fn replies_update_and_strangers_are_dropped() {
    let owned = owned(false);
    let verdict = packet(Operation::Reply, [10, 0, 0, 1], [10, 0, 0, 2]).decide(&owned, OWN, None).unwrap();
    let learn = verdict.learn.unwrap();
    assert!(!verdict.reply && !learn.create && learn.source == Learned::ArpReply);
    assert_eq!(request([10, 0, 1, 9], [10, 0, 0, 2]).decide(&owned, OWN, None), Err(ArpDrop::OffLink));
    assert_eq!(
        request([10, 0, 0, 255], [10, 0, 0, 2]).decide(&owned, OWN, None),
        Err(ArpDrop::SenderAddress)
    );
    let own = ArpPacket { sender_mac: OWN, ..request([10, 0, 0, 2], [10, 0, 0, 2]) };
    assert_eq!(own.decide(&owned, OWN, None), Err(ArpDrop::Own));
}

proptest! {
    #[test]
    fn parse_never_panics(mut data in proptest::collection::vec(any::<u8>(), 0..64), arp in any::<bool>()) {
        if arp {
            for (to, from) in data.iter_mut().zip(PREAMBLE.iter().chain(&[0, 1])) {
                *to = *from;
            }
        }
        let source = Mac::read(data.get(8..14).unwrap_or_default());
        if let Ok(packet) = ArpPacket::parse(&data, source) {
            prop_assert!(packet.sender_mac.is_unicast());
            let _ = packet.decide(&owned(true), OWN, None);
        }
    }
}
