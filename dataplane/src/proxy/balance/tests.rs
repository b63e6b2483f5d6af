//! Shares, states, maxima, retries, and a change of the roster.

mod properties;
mod update;

use super::super::roster::Member;
use super::*;

const CHOICES: [Choice; 3] = [Choice::RoundRobin, Choice::LeastConnections, Choice::Source];

fn roster(choice: Choice, servers: &[(&str, u16)]) -> Arc<Roster> {
    let member =
        |(name, weight): &(&str, u16)| Member { name: (*name).into(), weight: *weight, maximum: None };
    Arc::new(Roster::new(servers.iter().map(member).collect(), choice, [3; 16]).unwrap())
}

fn group(choice: Choice, servers: &[(&str, u16)]) -> Group {
    Group::new(roster(choice, servers), 0)
}

fn source(number: u32) -> Addr {
    Addr::v4(number.to_be_bytes())
}

/// The name of who takes the next flow.
fn next<'a>(group: &mut Group, names: &[&'a str]) -> &'a str {
    let server = group.pick(source(1), &ServerSet::EMPTY).unwrap();
    names.iter().find(|name| group.server(name) == Some(server)).unwrap()
}

/// How many of `flows` each server gets, in the order of the names; each flow is gone before the next comes.
fn shares(group: &mut Group, flows: u32) -> Vec<u32> {
    let mut counts = vec![0; group.servers().len()];
    for number in 0..flows {
        let server = group.pick(source(number), &ServerSet::EMPTY).unwrap();
        counts[group.servers().iter().position(|listed| *listed == server).unwrap()] += 1;
    }
    counts
}

#[test]
fn a_round_is_smooth() {
    // The example in nginx's own description of the method.
    let mut group = group(Choice::RoundRobin, &[("a", 5), ("b", 1), ("c", 1)]);
    let round: String = (0..14).map(|_| next(&mut group, &["a", "b", "c"])).collect();
    assert_eq!(round, "aabacaaaabacaa");
}

#[test]
fn shares_of_a_round_are_exact_wherever_it_begins() {
    let servers = [("a", 1), ("b", 2), ("c", 3), ("d", 10), ("e", 256), ("f", 0)];
    for worker in 0..20 {
        let mut group = Group::new(roster(Choice::RoundRobin, &servers), worker);
        for _ in 0..3 {
            assert_eq!(shares(&mut group, 272), [1, 2, 3, 10, 256, 0], "worker {worker}");
        }
    }
}

#[test]
fn workers_begin_with_different_servers() {
    let servers = [("a", 1), ("b", 1), ("c", 1), ("d", 1)];
    for choice in [Choice::RoundRobin, Choice::LeastConnections] {
        let first = |worker| next(&mut Group::new(roster(choice, &servers), worker), &["a", "b", "c", "d"]);
        assert_eq!([0, 1, 2, 3, 4].map(first), ["a", "b", "c", "d", "a"], "{choice:?}");
    }
}

#[test]
fn least_connections_fills_up_by_weight() {
    let mut group = group(Choice::LeastConnections, &[("a", 1), ("b", 2), ("c", 5)]);
    let mut taken = Vec::new();
    for number in 0..800 {
        let server = group.pick(source(number), &ServerSet::EMPTY).unwrap();
        group.opened(server);
        taken.push(server);
    }
    let open = |group: &Group| group.servers().iter().map(|server| group.open(*server)).collect::<Vec<_>>();
    assert_eq!(open(&group), [100, 200, 500]);
    // One loses half of its connections: all new ones are its own until it has as many for its weight.
    let b = group.server("b").unwrap();
    for _ in 0..100 {
        group.closed(b);
    }
    for number in 0..99 {
        assert_eq!(group.pick(source(number), &ServerSet::EMPTY), Some(b));
        group.opened(b);
    }
    assert_eq!(open(&group), [100, 199, 500]);
}

#[test]
fn least_connections_among_equals_goes_by_turns() {
    let mut idle = group(Choice::LeastConnections, &[("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(shares(&mut idle, 300), [100, 100, 100]);
    let mut idle = group(Choice::LeastConnections, &[("a", 1), ("b", 2), ("c", 5)]);
    assert_eq!(shares(&mut idle, 800), [100, 200, 500]);
    // One that is busy is left out, and the turns of the others are not disturbed.
    let mut busy = group(Choice::LeastConnections, &[("a", 1), ("b", 1), ("c", 1)]);
    busy.opened(busy.server("b").unwrap());
    assert_eq!(shares(&mut busy, 300), [150, 0, 150]);
}

#[test]
fn a_source_keeps_its_server_while_others_come_and_go() {
    let servers = [("a", 1), ("b", 1), ("c", 1), ("d", 1)];
    let mut group = group(Choice::Source, &servers);
    let b = group.server("b").unwrap();
    let usual: Vec<_> = (0..4000).map(|n| group.pick(source(n), &ServerSet::EMPTY).unwrap()).collect();
    let disable: [fn(&mut Group, Server); 3] = [
        |group, server| group.set_state(server, State::Out),
        |group, server| group.set_state(server, State::Draining),
        |group, server| group.slots[server.index()].maximum = 0,
    ];
    for disable in disable {
        let mut group = group.clone();
        disable(&mut group, b);
        let now: Vec<_> = (0..4000).map(|n| group.pick(source(n), &ServerSet::EMPTY).unwrap()).collect();
        assert!(usual.iter().zip(&now).all(|(before, after)| if *before == b {
            *after != b
        } else {
            before == after
        }));
        assert_eq!(
            usual.iter().zip(&now).filter(|(a, b)| a != b).count(),
            usual.iter().filter(|s| **s == b).count()
        );
    }
    group.set_state(b, State::Out);
    group.set_state(b, State::InService);
    let again: Vec<_> = (0..4000).map(|n| group.pick(source(n), &ServerSet::EMPTY).unwrap()).collect();
    assert_eq!(usual, again);
}

#[test]
fn two_workers_agree_on_the_server_of_a_source() {
    let one = &mut Group::new(roster(Choice::Source, &[("a", 1), ("b", 2), ("c", 3)]), 0);
    let other = &mut Group::new(roster(Choice::Source, &[("c", 3), ("a", 1), ("b", 2)]), 1);
    for number in 0..1000 {
        let [one, other] = [&mut *one, &mut *other].map(|g| g.pick(source(number), &ServerSet::EMPTY));
        assert_eq!(one, other);
    }
}

#[test]
fn draining_out_and_weightless_servers_take_nothing_and_others_share() {
    for choice in CHOICES {
        let mut group = group(choice, &[("a", 1), ("b", 1), ("c", 0), ("d", 1), ("e", 1)]);
        let [a, b] = ["a", "b"].map(|name| group.server(name).unwrap());
        group.set_state(a, State::Draining);
        group.set_state(b, State::Out);
        assert_eq!((group.state(a), group.state(b)), (Some(State::Draining), Some(State::Out)));
        let counts = shares(&mut group, 2000);
        assert_eq!(counts[..3], [0, 0, 0], "{choice:?}");
        // Exact, but for sources: four standard deviations are 90.
        let slack = if choice == Choice::Source { 90 } else { 0 };
        assert!(counts[3].abs_diff(1000) <= slack, "{choice:?}: {counts:?}");
    }
}

#[test]
fn nobody_gets_more_than_its_maximum() {
    for choice in CHOICES {
        let member = |name: &str, maximum| Member { name: name.into(), weight: 1, maximum };
        let members = vec![member("a", Some(2)), member("b", Some(3))];
        let mut group = Group::new(Arc::new(Roster::new(members, choice, [0; 16]).unwrap()), 0);
        for number in 0..5 {
            let server = group.pick(source(number), &ServerSet::EMPTY).unwrap();
            group.opened(server);
        }
        let [a, b] = ["a", "b"].map(|name| group.server(name).unwrap());
        assert_eq!((group.open(a), group.open(b)), (2, 3), "{choice:?}");
        assert_eq!(group.pick(source(9), &ServerSet::EMPTY), None, "{choice:?}");
        group.closed(a);
        assert_eq!(group.pick(source(9), &ServerSet::EMPTY), Some(a), "{choice:?}");
    }
}

#[test]
fn retries_meet_every_server_once() {
    for choice in CHOICES {
        let mut group = group(choice, &[("a", 1), ("b", 200), ("c", 7)]);
        let mut tried = ServerSet::EMPTY;
        for _ in 0..3 {
            let server = group.pick(source(5), &tried).unwrap();
            assert!(!tried.contains(server), "{choice:?}");
            tried.insert(server);
        }
        assert_eq!(group.pick(source(5), &tried), None, "{choice:?}");
    }
}
