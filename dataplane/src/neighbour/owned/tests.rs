//! Whose address is it?

use core::net::IpAddr;

use super::*;

const OTHER: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn owned(any_ip: bool) -> Owned {
    Owned::new(
        vec![(addr("10.0.0.2"), 24), (addr("fd00::2"), 64), (addr("192.0.2.0"), 31)],
        any_ip,
        vec![addr("10.0.0.1")],
        vec!["10.0.0.64/28".parse().unwrap()],
    )
    .unwrap()
}

#[test]
fn configured_addresses_are_ours_and_others_are_not() {
    let owned = owned(false);
    for ours in ["10.0.0.2", "fd00::2", "192.0.2.0"] {
        assert!(owned.owns(addr(ours)) && owned.is_exact(addr(ours)), "{ours}");
    }
    for other in ["10.0.0.3", "fd00::3", "192.0.2.1", "10.0.0.255", "224.0.0.1"] {
        assert!(!owned.owns(addr(other)), "{other}");
    }
}

#[test]
fn any_ip_owns_its_subnets_with_the_named_exceptions() {
    let owned = owned(true);
    for ours in ["10.0.0.2", "10.0.0.3", "10.0.0.254", "fd00::1234", "192.0.2.1", "fd00::ffff:ffff:ffff:ffff"]
    {
        assert!(owned.owns(addr(ours)), "{ours}");
    }
    for other in [
        "10.0.0.0",
        "10.0.0.255",
        "10.0.0.1",
        "10.0.0.70",
        "10.0.1.1",
        "fd00::",
        "fd01::1",
        "fe80::1",
        "255.255.255.255",
    ] {
        assert!(!owned.owns(addr(other)), "{other}");
    }
}

#[test]
fn any_ip_on_everything_still_owns_no_group() {
    let owned = Owned::new(vec![(addr("1.0.0.1"), 0), (addr("::2"), 0)], true, vec![], vec![]).unwrap();
    assert!(owned.owns(addr("8.8.8.8")) && owned.owns(addr("2001:db8::1")));
    for other in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "::", "ff02::1"] {
        assert!(!owned.owns(addr(other)), "{other}");
    }
}

#[test]
fn an_answer_never_takes_an_address_from_another_station() {
    let owned = owned(true);
    let asker = Some(addr("10.0.0.9"));
    assert!(owned.answers(addr("10.0.0.2"), asker, None));
    assert!(owned.answers(addr("10.0.0.2"), None, Some(OTHER)), "an exact address is defended");
    assert!(owned.answers(addr("10.0.0.3"), asker, None));
    assert!(!owned.answers(addr("10.0.0.3"), asker, Some(OTHER)), "known to be held");
    assert!(!owned.answers(addr("10.0.0.3"), None, None), "a probe: about to be held");
    assert!(!owned.answers(addr("10.0.0.9"), asker, None), "held by the asker");
    assert!(!owned.answers(addr("10.0.0.2"), Some(addr("10.0.0.2")), None), "a conflict is no question");
    assert!(!owned.answers(addr("10.0.0.1"), asker, None), "the gateway's");
    assert!(!owned.answers(addr("10.0.0.65"), asker, None), "excepted");
}

#[test]
fn links_and_broadcasts() {
    let owned = owned(false);
    for near in ["10.0.0.77", "fd00::77", "fe80::1", "192.0.2.1"] {
        assert!(owned.on_link(addr(near)), "{near}");
    }
    assert!(!owned.on_link(addr("10.0.1.0")) && !owned.on_link(addr("fec0::1")));
    assert!(owned.is_subnet_broadcast(addr("10.0.0.255")) && owned.is_subnet_broadcast(addr("10.0.0.0")));
    assert!(!owned.is_subnet_broadcast(addr("192.0.2.1")) && !owned.is_subnet_broadcast(addr("fd00::")));
    assert!(owned.is_broadcast(addr("255.255.255.255")) && !owned.is_broadcast(addr("10.0.0.2")));
    assert_eq!(owned.source_for(addr("fd00::9")), Some(addr("fd00::2")));
    assert_eq!(owned.source_for(addr("192.0.2.1")), Some(addr("192.0.2.0")));
    assert_eq!(owned.source_for(addr("8.8.8.8")), Some(addr("10.0.0.2")));
    assert_eq!(Owned::default().source_for(addr("8.8.8.8")), None);
    assert_eq!(
        Owned::new(vec![(addr("10.0.0.1"), 33)], false, vec![], vec![]).err(),
        Some(PrefixError::Length)
    );
}

#[test]
fn groups() {
    assert_eq!(solicited_node(addr("4037::01:800:200e:8c6c")), addr("ff02::1:ff0e:8c6c"));
    assert_eq!(group_mac(addr("ff02::1:ff0e:8c6c")), Mac([0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]));
    assert_eq!(group_mac(addr("239.129.2.3")), Mac([1, 0, 0x5e, 1, 2, 3]));
    let (exact, any) = (owned(false), owned(true));
    for group in ["224.0.0.1", "ff02::1", "ff01::1", "ff02::1:ff00:2"] {
        assert!(exact.listens_to(addr(group)) && any.listens_to(addr(group)), "{group}");
    }
    assert!(!exact.listens_to(addr("ff02::1:ff00:3")) && any.listens_to(addr("ff02::1:ff00:3")));
    assert!(!any.listens_to(addr("ff02::2")) && !any.listens_to(addr("224.0.0.2")));
    assert!(!Owned::default().listens_to(addr("ff02::1")));
    let macs = exact.group_macs().unwrap();
    assert!(macs.contains(&Mac([0x33, 0x33, 0xff, 0, 0, 2])) && macs.len() == 3);
    assert_eq!(any.group_macs(), None);
}
