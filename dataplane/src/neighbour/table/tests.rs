//! Learning, trust, floods, ageing, and four threads at once.

use core::sync::atomic::AtomicBool;
use std::thread;

use super::super::{Probe, Prober, REACHABLE_US};
use super::*;

const S: u64 = 1_000_000;
const M1: Mac = Mac([2, 0, 0, 0, 0, 1]);
const M2: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn host(n: u32) -> Addr {
    let [_, b, c, d] = n.to_be_bytes();
    Addr::v4([10, b, c, d])
}

fn table() -> NeighbourTable {
    NeighbourTable::new(256, 0x1234_5678_9abc_def1)
}

fn learn(table: &NeighbourTable, n: u32, mac: Mac, source: Learned, now: u64) -> LearnOutcome {
    table.learn(0, 0, host(n), mac, source, true, now)
}

fn due(prober: &mut Prober, table: &NeighbourTable, now: u64) -> Vec<Probe> {
    prober.due(table, now).collect()
}

fn state(table: &NeighbourTable, n: u32, now: u64) -> State {
    table.snapshot(now).iter().find(|entry| entry.addr == host(n)).unwrap().state
}

/// Asks for a host and has it answer.
fn resolve(table: &NeighbourTable, n: u32, mac: Mac, now: u64) {
    assert_eq!(table.resolve(0, 0, host(n), now), Resolution::Asking);
    assert!(due(&mut Prober::new(1000), table, now).iter().any(|probe| probe.addr == host(n)));
    assert_eq!(learn(table, n, mac, Learned::ArpReply, now), LearnOutcome::New);
    assert_eq!(state(table, n, now), State::Reachable);
}

#[test]
fn learned_refreshed_changed_and_kept_apart_by_link() {
    let table = table();
    assert_eq!(learn(&table, 1, M1, Learned::ArpRequest, S), LearnOutcome::New);
    assert_eq!(learn(&table, 1, M1, Learned::ArpRequest, S), LearnOutcome::Refreshed);
    assert_eq!(learn(&table, 1, M2, Learned::ArpRequest, S), LearnOutcome::Changed);
    assert_eq!(table.lookup(0, 0, host(1), S), Some(M2));
    assert_eq!(table.lookup(1, 0, host(1), S), None);
    assert_eq!(table.lookup(0, 1, host(1), S), None);
    assert_eq!(
        table.learn(0, 0, host(1), M1, Learned::Advertisement, false, S),
        LearnOutcome::Refused(Refusal::NotReplaced)
    );
    let stats = table.stats();
    assert_eq!((stats.entries(), stats.learned.load(Relaxed), stats.changed.load(Relaxed)), (1, 1, 1));
    assert!(table.forget(0, 0, host(1)) && !table.forget(0, 0, host(1)));
    assert_eq!((table.peek(0, 0, host(1)), stats.entries()), (None, 0));
}

#[test]
fn groups_are_never_learned() {
    let table = table();
    let refused = LearnOutcome::Refused(Refusal::Invalid);
    for mac in [Mac::BROADCAST, Mac::default(), Mac([1, 0, 0x5e, 0, 0, 1])] {
        assert_eq!(learn(&table, 1, mac, Learned::Traffic, S), refused);
    }
    for addr in
        [Addr::v4([224, 0, 0, 1]), Addr::v4([255; 4]), Addr::v4([0; 4]), Addr(0), Addr(0xff02 << 112 | 1)]
    {
        assert_eq!(table.learn(0, 0, addr, M1, Learned::Traffic, true, S), refused);
    }
    assert_eq!(table.stats().entries(), 0);
}

#[test]
fn a_message_that_may_not_create_only_updates() {
    let table = table();
    let what =
        Learning { address: host(1), mac: M1, source: Learned::ArpReply, replace: true, create: false };
    assert_eq!(table.apply(0, 0, &what, S), LearnOutcome::Refused(Refusal::Unknown));
    assert_eq!(table.resolve(0, 0, host(1), S), Resolution::Asking);
    assert_eq!(table.apply(0, 0, &what, S), LearnOutcome::New);
    assert_eq!(table.resolve(0, 0, host(1), S), Resolution::Known(M1));
}

#[test]
fn only_an_answer_vouches_and_only_for_a_while() {
    let table = table();
    learn(&table, 1, M1, Learned::ArpReply, S);
    assert_eq!(state(&table, 1, S), State::Stale, "an answer nobody asked for");
    table.confirm(0, 0, host(1), S);
    assert_eq!(state(&table, 1, S), State::Reachable);
    assert_eq!(state(&table, 1, S + REACHABLE_US + 1), State::Stale);
    resolve(&table, 2, M2, S);
}

#[test]
fn another_mac_for_a_vouched_neighbour_must_answer_a_question() {
    let table = table();
    resolve(&table, 1, M1, S);
    let challenged = LearnOutcome::Refused(Refusal::Challenged);
    assert_eq!(learn(&table, 1, M2, Learned::Announcement, 5 * S), challenged);
    assert_eq!(learn(&table, 1, M2, Learned::ArpReply, 5 * S), challenged);
    assert_eq!(table.lookup(0, 0, host(1), 5 * S), Some(M1));
    let probes = due(&mut Prober::new(10), &table, 5 * S);
    assert_eq!(probes, [Probe { port: 0, vlan: 0, addr: host(1), unicast: None }]);
    assert_eq!(learn(&table, 1, M2, Learned::ArpReply, 5 * S + 1), LearnOutcome::Changed);
    assert_eq!(table.lookup(0, 0, host(1), 5 * S), Some(M2));
    assert_eq!(due(&mut Prober::new(10), &table, 6 * S), []);
}

#[test]
fn a_flood_takes_stale_room_only() {
    let table = table();
    for n in 1..=20 {
        resolve(&table, n, M1, S);
    }
    table.add_gateway(0, 0, host(21), S);
    table.add_permanent(0, 0, host(22), M2, S);
    for n in 1000..20_000 {
        learn(&table, n, M2, Learned::ArpRequest, 2 * S + u64::from(n));
        assert!(table.stats().entries() <= 256);
    }
    for n in 1..=20 {
        assert_eq!(table.lookup(0, 0, host(n), 3 * S), Some(M1));
    }
    assert_eq!(table.lookup(0, 0, host(22), 3 * S), Some(M2));
    assert_eq!(learn(&table, 22, M1, Learned::ArpReply, 3 * S), LearnOutcome::Refused(Refusal::Permanent));
    let stats = table.stats();
    assert!(stats.evicted.load(Relaxed) > 10_000, "{stats:?}");
    assert_eq!(stats.entries(), table.snapshot(S).len() as u64);
    assert_eq!(table.snapshot(S).iter().filter(|entry| entry.gateway).count(), 1);
}

#[test]
fn a_full_table_of_vouched_neighbours_refuses() {
    let table = NeighbourTable::new(1, 7);
    for n in 0..16 {
        learn(&table, n, M1, Learned::Traffic, S);
        table.confirm(0, 0, host(n), S);
    }
    assert_eq!(learn(&table, 99, M2, Learned::ArpRequest, S), LearnOutcome::Refused(Refusal::Full));
    assert_eq!(table.stats().refused.load(Relaxed), 1);
    let later = 2 * S + REACHABLE_US;
    assert_eq!(learn(&table, 99, M2, Learned::ArpRequest, later), LearnOutcome::New);
}

#[test]
fn asking_is_bounded() {
    let table = table();
    let asked = (0..1000).filter(|n| table.resolve(0, 0, host(*n), S) == Resolution::Asking).count();
    assert_eq!((asked, table.stats().asking()), (64, 64));
    assert_eq!(due(&mut Prober::new(10), &table, S).len(), 10);
}

#[test]
fn age_removes_the_silent() {
    let table = table();
    learn(&table, 1, M1, Learned::Traffic, S);
    learn(&table, 2, M1, Learned::Traffic, 50 * S);
    table.add_gateway(0, 0, host(3), S);
    table.add_permanent(0, 0, host(4), M1, S);
    assert_eq!(table.age(61 * S, 60 * S), 0);
    assert_eq!(table.age(62 * S, 60 * S), 1);
    assert_eq!(table.peek(0, 0, host(1)), None);
    assert_eq!(table.age(1000 * S, 60 * S), 1);
    assert_eq!((table.stats().entries(), table.stats().expired.load(Relaxed)), (2, 2));
}

#[test]
fn unanswered_questions_back_off() {
    let table = table();
    let mut prober = Prober::new(10);
    table.add_gateway(3, 5, host(1), S);
    let asked: Vec<u64> = (0..1000)
        .map(|tick| S + tick * 200_000)
        .filter(|now| !due(&mut prober, &table, *now).is_empty())
        .map(|now| (now - S) / S)
        .collect();
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181]);
}

#[test]
fn a_neighbour_in_use_is_asked_before_it_is_lost_and_an_idle_one_is_not() {
    let table = table();
    resolve(&table, 1, M1, S);
    resolve(&table, 2, M2, S);
    let later = 2 * S + REACHABLE_US;
    assert_eq!(table.lookup(0, 0, host(1), later), Some(M1));
    let mut prober = Prober::new(10);
    let ask = |prober: &mut Prober, at: u64| {
        due(prober, &table, at).first().map(|probe| (probe.addr, probe.unicast))
    };
    assert_eq!(ask(&mut prober, later), Some((host(1), Some(M1))));
    assert_eq!(ask(&mut prober, later + S / 2), None);
    assert_eq!(ask(&mut prober, later + S), Some((host(1), Some(M1))));
    assert_eq!(ask(&mut prober, later + 3 * S), Some((host(1), Some(M1))));
    assert_eq!(ask(&mut prober, later + 7 * S), Some((host(1), None)));
    learn(&table, 1, M1, Learned::ArpReply, later + 8 * S);
    assert_eq!(ask(&mut prober, later + 60 * S), None);
}

#[test]
fn the_prober_covers_the_table_however_often_it_is_called() {
    for step in [1_000, 10_000, 200_000, 5 * S] {
        let table = table();
        let mut prober = Prober::new(1000);
        assert_eq!(due(&mut prober, &table, S), []);
        for n in 0..60 {
            table.resolve(0, 0, host(n), S);
        }
        let probes: usize =
            (1..=300_000_u64.div_ceil(step)).map(|k| due(&mut prober, &table, S + k * step).len()).sum();
        assert_eq!(probes, 60, "every {step} us");
    }
}

/// The only MAC addresses ever written for host `n`: a torn or misplaced one does not fit.
fn stamped(n: u32, version: u8) -> Mac {
    let [_, _, c, d] = n.to_be_bytes();
    Mac([2, c, d, version, !version, c ^ d ^ version])
}

#[test]
fn readers_under_writers_never_see_a_torn_or_foreign_mac() {
    let table = NeighbourTable::new(16, 99);
    let stop = AtomicBool::new(false);
    let (stop, table) = (&stop, &table);
    thread::scope(|scope| {
        // 48 hosts in 16 slots: entries are evicted, changed and removed all the time.
        let writers: Vec<_> = [11_u32, 17]
            .into_iter()
            .map(|stride| {
                scope.spawn(move || {
                    for round in 0..60_000_u32 {
                        let n = (round * stride) % 48;
                        learn(table, n, stamped(n, round as u8), Learned::ArpRequest, u64::from(round) + 1);
                        if round % 7 == 0 {
                            table.forget(0, 0, host(n));
                        }
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut hits = 0_u64;
                    while !stop.load(Relaxed) || hits == 0 {
                        for n in 0..48 {
                            if let Some(mac) = table.lookup(0, 0, host(n), 1) {
                                assert_eq!(mac, stamped(n, mac.0[3]), "host {n}");
                                hits += 1;
                            }
                        }
                    }
                    hits
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        learn(table, 1, stamped(1, 1), Learned::ArpRequest, 70_000);
        stop.store(true, Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    let entries = table.snapshot(1);
    let mut seen: Vec<Addr> = entries.iter().map(|entry| entry.addr).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), entries.len(), "no host twice");
    assert_eq!(table.stats().entries(), entries.len() as u64);
}
