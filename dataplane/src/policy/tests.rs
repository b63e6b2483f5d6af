//! First match wins, with and without the index.

use l3l4::{Addr, Protocol};
use proptest::prelude::*;

use super::*;

fn rule(service: u16) -> Rule {
    Rule {
        service,
        ingress: None,
        vlan: None,
        protocol: None,
        source: vec![],
        destination: vec![],
        ports: vec![],
        action: Action::Terminate { application: service },
    }
}

fn key(protocol: Protocol, local_port: u16) -> FlowKey {
    FlowKey {
        remote: Addr::v4([192, 0, 2, 1]),
        local: Addr::v4([10, 0, 0, 1]),
        remote_port: 40000,
        local_port,
        protocol,
        link: 0,
    }
}

fn service(policy: &Policy, key: &FlowKey) -> Option<u16> {
    policy.lookup(key, 0, 0).map(|rule| rule.service)
}

#[test]
fn an_empty_policy_matches_nothing() {
    assert_eq!(service(&Policy::default(), &key(Protocol::TCP, 80)), None);
}

#[test]
fn a_general_rule_wins_only_where_it_comes_first() {
    let web = Rule { protocol: Some(6), ports: vec![80..=80], ..rule(1) };
    let office = Rule { source: vec!["192.0.2.0/24".parse().unwrap()], ..rule(2) };
    let policy = Policy::new(vec![web.clone(), office.clone()]);
    assert_eq!(service(&policy, &key(Protocol::TCP, 80)), Some(1));
    assert_eq!(service(&policy, &key(Protocol::TCP, 81)), Some(2));
    let policy = Policy::new(vec![office, web]);
    assert_eq!(service(&policy, &key(Protocol::TCP, 80)), Some(2));
}

#[test]
fn every_condition_counts() {
    let all = Rule {
        ingress: Some(1),
        vlan: Some(7),
        protocol: Some(17),
        source: vec!["192.0.2.0/24".parse().unwrap()],
        destination: vec!["10.0.0.0/8".parse().unwrap()],
        ports: vec![53..=53, 5353..=5353],
        ..rule(0)
    };
    let dns = key(Protocol::UDP, 53);
    let policy = Policy::new(vec![all]);
    assert!(policy.lookup(&dns, 1, 7).is_some());
    assert!(policy.lookup(&FlowKey { local_port: 5353, ..dns }, 1, 7).is_some());
    assert!(policy.lookup(&dns, 0, 7).is_none());
    assert!(policy.lookup(&dns, 1, 0).is_none());
    for other in [
        key(Protocol::TCP, 53),
        key(Protocol::UDP, 54),
        FlowKey { remote: Addr::v4([192, 0, 3, 1]), ..dns },
        FlowKey { local: Addr::v4([11, 0, 0, 1]), ..dns },
    ] {
        assert!(policy.lookup(&other, 1, 7).is_none(), "{other}");
    }
}

#[test]
fn a_thousand_services_on_their_own_ports_are_indexed() {
    let rules = (0..1000).map(|n| Rule { protocol: Some(6), ports: vec![1000 + n..=1000 + n], ..rule(n) });
    let policy = Policy::new(rules.collect());
    assert!(policy.general.is_empty() && policy.exact.len() == 1000);
    assert_eq!(service(&policy, &key(Protocol::TCP, 1999)), Some(999));
    assert_eq!(service(&policy, &key(Protocol::TCP, 2000)), None);
}

#[test]
fn a_wide_range_is_not_listed_and_an_impossible_one_never_matches() {
    let wide = Rule { protocol: Some(6), ports: vec![0..=u16::MAX], ..rule(1) };
    let empty = Rule { protocol: Some(6), ports: vec![RangeInclusive::new(2, 1)], ..rule(2) };
    let policy = Policy::new(vec![empty, wide]);
    assert_eq!((policy.exact.len(), policy.general.len()), (0, 1));
    assert_eq!(service(&policy, &key(Protocol::TCP, 1)), Some(1));
}

/// Few values everywhere, so that rules and keys often meet.
fn any_rule() -> impl Strategy<Value = Rule> {
    let prefix = prop_oneof!["10\\.0\\.0\\.[0-3]/3[0-2]", "fd00::[0-3]/12[6-8]", Just("::/0".to_owned())]
        .prop_map(|text| text.parse().unwrap());
    let prefixes = proptest::collection::vec(prefix, 0..3);
    let range = (0_u16..40, 0_u16..20).prop_map(|(first, more)| first..=first + more);
    let exact = (0_u16..40).prop_map(|port| port..=port);
    let ports = proptest::collection::vec(prop_oneof![4 => exact, 1 => range], 0..3);
    let protocol = proptest::option::weighted(0.8, prop_oneof![Just(6), Just(17)]);
    (
        proptest::option::weighted(0.2, 0_u16..2),
        proptest::option::weighted(0.2, 0_u16..2),
        protocol,
        prefixes.clone(),
        prefixes,
        ports,
    )
        .prop_map(|(ingress, vlan, protocol, source, destination, ports)| Rule {
            ingress,
            vlan,
            protocol,
            source,
            destination,
            ports,
            ..rule(0)
        })
}

fn any_addr() -> impl Strategy<Value = Addr> {
    prop_oneof![
        (0_u8..4).prop_map(|n| Addr::v4([10, 0, 0, n])),
        (0_u128..4).prop_map(|n| Addr(0xfd00 << 112 | n))
    ]
}

proptest! {
    #[test]
    fn the_index_finds_what_a_scan_finds(
        mut rules in proptest::collection::vec(any_rule(), 0..30),
        keys in proptest::collection::vec((any_addr(), any_addr(), 0_u16..45, 0_u8..2, 0_u16..2, 0_u16..2), 30),
    ) {
        for (service, rule) in (0..).zip(&mut rules) {
            rule.service = service;
        }
        let policy = Policy::new(rules.clone());
        for (remote, local, local_port, udp, ingress, vlan) in keys {
            let protocol = if udp == 1 { Protocol::UDP } else { Protocol::TCP };
            let key = FlowKey { remote, local, ..key(protocol, local_port) };
            let scan = rules.iter().find(|rule| rule.matches(&key, ingress, vlan));
            prop_assert_eq!(policy.lookup(&key, ingress, vlan), scan);
        }
    }
}
