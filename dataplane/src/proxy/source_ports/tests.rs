//! Ports lead home, belong to one worker each, rest as long as they can, and run out with a word.

mod order;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use l3l4::{FlowKey, Protocol};
use proptest::prelude::*;

use super::*;
use crate::steer::tests::MICROSOFT;
use crate::steer::{Reta, SYMMETRIC_KEY, Toeplitz};

const SECRET: [u8; 16] = [9; 16];

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn endpoint(address: &str, port: u16) -> Endpoint {
    Endpoint { address: addr(address), port }
}

fn hashed(key: &[u8], workers: u16, worker: u16) -> Ownership {
    let (toeplitz, reta) = (Arc::new(Toeplitz::new(key).unwrap()), Arc::new(Reta::spread(workers)));
    Ownership::Hashed { toeplitz, reta, workers, worker }
}

fn limits(range: RangeInclusive<u16>) -> Limits {
    Limits { range, endpoints: 2, ..Limits::default() }
}

/// The reply to a connection from `source`, as received.
fn reply(upstream: Endpoint, (local, local_port): (Addr, u16)) -> FlowKey {
    let Endpoint { address: remote, port: remote_port } = upstream;
    FlowKey { remote, remote_port, local, local_port, protocol: Protocol::TCP, link: 0 }
}

fn all(ports: &mut SourcePorts, upstream: Endpoint) -> Vec<(Addr, u16)> {
    let taken = core::iter::from_fn(|| ports.take(upstream).ok()).collect();
    assert_eq!(ports.take(upstream), Err(TakeError::Exhausted));
    taken
}

#[test]
fn where_no_hash_decides_each_worker_has_its_share() {
    let (own, upstream) = (addr("10.1.0.1"), endpoint("10.1.0.80", 443));
    let mut seen = BTreeSet::new();
    for worker in 0..3 {
        let ownership = Ownership::Share { workers: 3, worker };
        let mut ports = SourcePorts::new(&[own], ownership, &limits(2000..=2999), SECRET).unwrap();
        let taken = all(&mut ports, upstream);
        assert!((333..=334).contains(&taken.len()));
        assert!(taken.iter().all(|(_, port)| seen.insert(*port)), "another worker has it");
    }
    assert_eq!(seen.len(), 1000);
}

#[test]
fn every_port_leads_home_and_each_worker_has_its_own() {
    let cases = [("10.1.0.1", "10.1.0.80"), ("2001:db8::1", "2001:db8:0:7::80")];
    for (key, workers) in [&MICROSOFT, &SYMMETRIC_KEY].into_iter().flat_map(|k| [1, 2, 3, 8].map(|n| (k, n)))
    {
        let toeplitz = Toeplitz::new(key).unwrap();
        let reta = Reta::spread(workers);
        for (own, upstream) in cases {
            let (own, upstream) = (addr(own), endpoint(upstream, 443));
            let mut seen = BTreeMap::new();
            for worker in 0..workers {
                let ownership = hashed(key, workers, worker);
                let mut ports = SourcePorts::new(&[own], ownership, &limits(1024..=65535), SECRET).unwrap();
                for (from, port) in all(&mut ports, upstream) {
                    let reply = reply(upstream, (from, port));
                    assert_eq!(reta.owner(toeplitz.hash(&reply), workers), worker, "{reply}");
                    assert_eq!(seen.insert(port, worker), None, "{reply} for two of {workers}");
                }
            }
            assert!(seen.keys().copied().eq(1024..=65535), "{} of {workers} workers", seen.len());
            // Nobody lives on crumbs: each has its share of the ports to within a tenth.
            for worker in 0..workers {
                let share = seen.values().filter(|of| **of == worker).count() * usize::from(workers);
                assert!((58_060..=70_964).contains(&share), "{worker} of {workers}: {share}");
            }
        }
    }
}

#[test]
fn without_hashing_every_port_is_ours() {
    let mut ports =
        SourcePorts::new(&[addr("10.0.0.1")], Ownership::All, &limits(2000..=2999), SECRET).unwrap();
    let taken: BTreeSet<u16> =
        all(&mut ports, endpoint("10.0.0.2", 80)).into_iter().map(|(_, port)| port).collect();
    assert!(taken.into_iter().eq(2000..=2999));
}

#[test]
fn lists_begin_where_nobody_can_guess() {
    let first = |upstream, secret| {
        let mut ports =
            SourcePorts::new(&[addr("10.0.0.1")], Ownership::All, &Limits::default(), secret).unwrap();
        ports.take(upstream).unwrap().1
    };
    let upstreams = (1..=20).map(|port| endpoint("10.0.0.2", port));
    let starts: BTreeSet<u16> = upstreams.clone().map(|upstream| first(upstream, SECRET)).collect();
    assert!(starts.len() >= 19, "{starts:?}");
    let same = upstreams.filter(|upstream| first(*upstream, SECRET) == first(*upstream, [1; 16])).count();
    assert!(same <= 1, "{same} of 20 begin alike under another secret");
}

#[test]
fn own_addresses_take_turns_within_a_family() {
    // One is written twice, which gives it no second turn.
    let own = ["10.0.0.1", "2001:db8::1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "2001:db8::2"].map(addr);
    let mut ports = SourcePorts::new(&own, Ownership::All, &limits(5000..=5001), SECRET).unwrap();
    let taken = all(&mut ports, endpoint("192.0.2.1", 80));
    let used: Vec<String> = taken.iter().map(|(own, _)| own.to_string()).collect();
    assert_eq!(used, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 6);
    // One address that has ports left is found whoever's turn it is.
    for source in [taken[1], taken[4]] {
        ports.give_back(endpoint("192.0.2.1", 80), source);
    }
    assert_eq!(ports.take(endpoint("192.0.2.1", 80)), Ok(taken[1]));
    assert_eq!(ports.take(endpoint("192.0.2.1", 80)), Ok(taken[4]));
    let used: Vec<String> =
        all(&mut ports, endpoint("2001:db8::80", 80)).iter().map(|(own, _)| own.to_string()).collect();
    assert_eq!(used, ["2001:db8::1", "2001:db8::2", "2001:db8::1", "2001:db8::2"]);
}

#[test]
fn what_cannot_be_had_is_told_and_counted() {
    let own = [addr("10.0.0.1")];
    let mut ports = SourcePorts::new(&own, Ownership::All, &limits(5000..=5001), SECRET).unwrap();
    assert_eq!(ports.take(endpoint("2001:db8::1", 1)), Err(TakeError::NoAddress));
    let [one, two, three] = [1, 2, 3].map(|port| endpoint("10.0.0.2", port));
    let taken = all(&mut ports, one);
    assert_eq!(taken.len(), 2);
    ports.take(two).unwrap();
    assert_eq!(ports.take(three), Err(TakeError::Endpoints));
    assert_eq!(ports.refused(), Refused { no_address: 1, exhausted: 2, endpoints: 1, strays: 0 });
    // An endpoint makes room when nothing is out towards it.
    ports.give_back(one, taken[0]);
    assert_eq!((ports.out(one), ports.forget(one), ports.take(three)), (1, false, Err(TakeError::Endpoints)));
    ports.give_back(one, taken[1]);
    assert_eq!((ports.out(one), ports.forget(one)), (0, true));
    assert_eq!(all(&mut ports, three).len(), 2);
}

/// As with original destinations: each is used once, and there are more of them than there is room for.
#[test]
fn endpoints_that_are_not_used_any_more_make_room() {
    let limits = Limits { endpoints: 4, ..Limits::default() };
    let mut ports = SourcePorts::new(&[addr("10.0.0.1")], Ownership::All, &limits, SECRET).unwrap();
    let busy = endpoint("10.9.9.9", 443);
    let kept = ports.take(busy).unwrap();
    let mut first = BTreeSet::new();
    for round in 0..3 {
        for port in 1..=200 {
            let upstream = endpoint("10.0.0.2", port);
            let source = ports.take(upstream).unwrap();
            ports.give_back(upstream, source);
            if port == 7 {
                assert!(first.insert(source.1), "round {round} begins where an earlier one did");
            }
        }
    }
    assert_eq!(ports.out(busy), 1, "in use, it stays");
    assert_ne!(ports.take(busy).unwrap(), kept);
    assert_eq!(ports.refused(), Refused::default());
}

#[test]
fn a_range_without_a_port_is_refused() {
    for range in [RangeInclusive::new(2, 1), 0..=65535] {
        let made = SourcePorts::new(&[], Ownership::All, &limits(range.clone()), SECRET);
        assert_eq!(made.err(), Some(BadRange(range)));
    }
}

#[test]
fn what_was_not_taken_is_not_given_out() {
    let own = addr("10.0.0.1");
    let mut ports = SourcePorts::new(&[own], hashed(&MICROSOFT, 2, 0), &limits(5000..=5099), SECRET).unwrap();
    let upstream = endpoint("10.0.0.2", 80);
    ports.give_back(upstream, (own, 5000));
    let taken = all(&mut ports, upstream);
    let foreign = (5000..=5099).find(|port| taken.iter().all(|(_, home)| home != port)).unwrap();
    ports.give_back(upstream, (own, foreign));
    ports.give_back(upstream, (own, 4999));
    ports.give_back(upstream, (own, 5100));
    ports.give_back(upstream, (addr("10.0.0.9"), taken[0].1));
    assert_eq!(ports.refused().strays, 5);
    for source in &taken {
        ports.give_back(upstream, *source);
    }
    ports.give_back(upstream, taken[0]);
    assert_eq!(ports.refused().strays, 6);
    assert_eq!(all(&mut ports, upstream), taken);
}
