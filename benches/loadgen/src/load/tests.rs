//! Loads against the reflector, also over a link that loses packets and with answers that are wrong.

use super::{Datagrams, Flood, Load, Plan, Script, Table, Tcp};
use crate::link::{Burst, Link, Queue};
use crate::outbox::Outbox;
use crate::reflector::Reflector;
use crate::run::{Rig, Times};
use crate::tally::Counts;
use crate::upstream;
use dpdk_ffi::clock::tsc_hz;
use dpdk_ffi::eal::{Eal, EalOptions};
use dpdk_ffi::mempool::{Mempool, MempoolOptions};
use std::time::Duration;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
const CLOSING: Plan = Plan::OneShot { most: 64 };
const KEPT: Plan = Plan::KeepAlive { connections: 16 };

/// Loses every n-th packet, whichever way it goes.
pub(crate) struct Lossy<L> {
    pub(crate) inner: L,
    pub(crate) every: usize,
    pub(crate) seen: usize,
}

impl<L: Link> Link for Lossy<L> {
    fn receive(&mut self, burst: &mut Burst) {
        self.inner.receive(burst);
        burst.retain(|_| self.is_kept());
    }

    fn send(&mut self, queue: &mut Queue) {
        queue.retain(|_| self.is_kept());
        self.inner.send(queue);
    }

    fn pump(&mut self, now: u64) -> u64 {
        self.inner.pump(now)
    }
}

impl<L> Lossy<L> {
    fn is_kept(&mut self) -> bool {
        self.seen += 1;
        !self.seen.is_multiple_of(self.every)
    }
}

fn times(interval: u64) -> Times {
    let (warm_up, grace) = (Duration::from_millis(5), Duration::from_millis(5));
    Times { warm_up, interval: Duration::from_millis(interval), grace }
}

fn run(pool: &Mempool, link: impl Link, load: &mut impl Load, rate: f64, interval: u64) -> Counts {
    run_on(&mut Rig { link, out: Outbox::new(pool.clone()), hz: tsc_hz() }, load, rate, interval)
}

/// Loads a link for so many milliseconds, and lets what is under way end.
pub(crate) fn run_on(rig: &mut Rig<impl Link>, load: &mut impl Load, rate: f64, interval: u64) -> Counts {
    assert!(rig.until(load, Duration::from_secs(10), |load| load.ready()));
    let outcome = rig.measure(load, rate, times(interval));
    rig.until(load, Duration::from_secs(10), |load| load.outstanding() == 0);
    rig.end(load);
    assert!(outcome.seconds > 0.0 && outcome.busy <= 1.01);
    load.tally().counts
}

/// One test, because DPDK starts once in a process.
#[test]
fn loads_on_the_reflector() {
    let eal = Eal::init(&EalOptions { memory_mb: 64, ..EalOptions::default() }).unwrap();
    let pool = Mempool::new(&eal, "test", &MempoolOptions { mbufs: 4095, ..Default::default() }).unwrap();
    let hz = tsc_hz();
    let mut table = Table::new();
    let script = |plan| Script::new(80, plan, b"GET", ANSWER);

    for (plan, closes) in [(CLOSING, true), (KEPT, false)] {
        let mut load = Tcp::new(&mut table, script(plan), hz);
        let counts = run(&pool, Reflector::http(ANSWER, closes), &mut load, 20_000.0, 50);
        assert!(counts.done >= 200 && counts.done == counts.begun, "{plan:?} {counts:?}");
        assert_eq!((counts.failed, counts.wrong), (0, 0), "{plan:?} {counts:?}");
        assert_eq!(table.live(), 0);
    }

    for (plan, closes) in [(CLOSING, true), (KEPT, false)] {
        let mut load = Tcp::new(&mut table, script(plan), hz);
        let link = Lossy { inner: Reflector::http(ANSWER, closes), every: 23, seen: 0 };
        let counts = run(&pool, link, &mut load, 1000.0, 50);
        assert!(counts.resent > 0 && counts.done == counts.begun, "{plan:?} {counts:?}");
        assert_eq!((counts.failed, counts.wrong), (0, 0), "{plan:?} {counts:?}");
    }

    // A crowd has spoken once when it is open, and whoever is drawn speaks again.
    let mut load = Tcp::new(&mut table, script(Plan::Crowd { connections: 500 }), hz);
    let mut rig = Rig { link: Reflector::http(ANSWER, false), out: Outbox::new(pool.clone()), hz };
    assert!(rig.until(&mut load, Duration::from_secs(10), |load| load.ready() && load.outstanding() == 0));
    assert_eq!((load.tally().counts.done, load.tally().counts.resent), (500, 0));
    load.draw(50);
    rig.measure(&mut load, 5000.0, times(10));
    let counts = load.tally().counts;
    assert!(counts.done > 500 && counts.done == counts.begun && counts.failed == 0, "{counts:?}");
    rig.end(&mut load);
    drop(rig);

    // A flood leaves the load inside alone, and ends with it.
    let mut load = Flood::new(Tcp::new(&mut table, script(CLOSING), hz), 80);
    let mut rig = Rig { link: Reflector::http(ANSWER, true), out: Outbox::new(pool.clone()), hz };
    rig.measure(&mut load, 20_000.0, times(50));
    let (counts, filled) = (load.tally().counts, rig.out.filled);
    assert!(counts.done >= 200 && counts.done == counts.begun && counts.stray == 0, "{counts:?}");
    // How much depends on how often this thread had a CPU.
    assert!(filled > 0 && load.lasted() > hz / 20, "{filled}");
    load.calm(true);
    rig.measure(&mut load, 20_000.0, times(5));
    assert_eq!(rig.out.filled, filled);
    rig.end(&mut load);
    drop(rig);

    let mut load = Tcp::new(&mut table, script(CLOSING), hz);
    let counts = run(&pool, Reflector::http(b"HTTP/1.1 500 No\r\n\r\n", true), &mut load, 1000.0, 20);
    assert!(counts.done == 0 && counts.wrong > 0 && counts.wrong == counts.failed, "{counts:?}");
    assert_eq!(table.live(), 0);

    let counts = run(&pool, Reflector::echo(), &mut Datagrams::new(7, true, hz), 20_000.0, 50);
    assert!(counts.done >= 200 && counts.done == counts.begun && counts.stray == 0, "{counts:?}");
    let counts = run(&pool, Reflector::mute(), &mut Datagrams::new(9, false, hz), f64::INFINITY, 5);
    assert!(counts.done > 0 && counts.received == 0, "{counts:?}");
    upstream::tests::servers_behind_a_shortcut(&pool, &mut table);
    assert_eq!(pool.in_use(), 0);
}
