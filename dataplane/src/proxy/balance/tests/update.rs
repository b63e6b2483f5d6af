//! Another roster while there are connections.

use super::super::super::server_set::SLOTS;
use super::*;

#[test]
fn who_stays_keeps_name_state_and_connections() {
    let mut group = group(Choice::RoundRobin, &[("b", 1), ("c", 1), ("d", 1)]);
    let [b, c, d] = ["b", "c", "d"].map(|name| group.server(name).unwrap());
    group.opened(b);
    group.opened(c);
    group.set_state(c, State::Draining);
    group.update(roster(Choice::RoundRobin, &[("a", 1), ("c", 2), ("e", 3)])).unwrap();
    assert_eq!(group.server("c"), Some(c));
    assert_eq!((group.state(c), group.open(c)), (Some(State::Draining), 1));
    // The former b still has a connection, so nobody else is called by its name; d had none.
    assert_eq!((group.server("b"), group.state(b), group.open(b)), (None, None, 1));
    assert_eq!(group.server("a"), Some(d));
    assert_ne!(group.server("e"), Some(b));
    group.set_state(c, State::InService);
    assert_eq!(shares(&mut group, 600), [100, 200, 300]);
}

#[test]
fn who_returns_finds_its_connections_and_is_in_service() {
    let mut group = group(Choice::RoundRobin, &[("a", 1), ("b", 1)]);
    let b = group.server("b").unwrap();
    group.opened(b);
    group.set_state(b, State::Out);
    group.update(roster(Choice::RoundRobin, &[("a", 1)])).unwrap();
    assert_eq!(shares(&mut group, 10), [10]);
    group.update(roster(Choice::RoundRobin, &[("a", 1), ("b", 1)])).unwrap();
    assert_eq!((group.server("b"), group.state(b), group.open(b)), (Some(b), Some(State::InService), 1));
    assert_eq!(shares(&mut group, 10), [5, 5]);
}

#[test]
fn a_new_weight_counts_from_the_next_round() {
    let mut group = group(Choice::RoundRobin, &[("a", 1), ("b", 1)]);
    shares(&mut group, 7);
    group.update(roster(Choice::RoundRobin, &[("a", 3), ("b", 1)])).unwrap();
    assert_eq!(shares(&mut group, 4), [3, 1]);
}

#[test]
fn a_roster_without_room_changes_nothing() {
    let names = |first: usize| (first..first + 256).map(|n| format!("{n}")).collect::<Vec<_>>();
    let listed = |first| {
        let names = names(first);
        roster(Choice::RoundRobin, &names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>())
    };
    let mut group = Group::new(listed(0), 0);
    for first in [256, 512] {
        for server in group.servers().to_vec() {
            group.opened(server);
        }
        let before = group.servers().to_vec();
        let updated = group.update(listed(first));
        assert_eq!(updated, if first == 256 { Ok(()) } else { Err(NoRoom) });
        assert_eq!(group.servers() == before, first == 512);
    }
    assert_eq!(group.slots.len(), SLOTS);
    assert_eq!(shares(&mut group, 256), [1; 256]);
    // One connection less makes room for one server more.
    let former = Server::new(7).unwrap();
    group.closed(former);
    let mut kept = names(256);
    kept.push("new".into());
    kept.remove(0);
    let kept: Vec<_> = kept.iter().map(|name| (name.as_str(), 1)).collect();
    group.update(roster(Choice::RoundRobin, &kept)).unwrap();
    assert_eq!(group.server("new"), Some(former));
}
