//! Nothing is written across workers on the packet path: shown by the processor's own protection of memory.
//!
//! Two workers are made as the appliance makes them, each over a receive and a transmit queue of one port, and driven
//! by hand, one turn at a time. All that is made for a worker lies in pages of its own (`memory`). While one has its
//! turn, everything else that the two could meet in is read-only (`pair`): the other's memory, what was made before
//! there were workers (settings, services, neighbour table, mailboxes, outlooks), the program's static data, the
//! other's packet buffers, the rings between them and DPDK's table of devices. A write there is noted and fails the test.
//!
//! Not locked: the C library's heap and static data and DPDK's own, in which drivers keep what belongs to their
//! queues (none of it is written in this repository), and the first and last page of a pool or ring where a worker's own
//! buffers reach into it.
//!
//! With a queue for each worker, what is written together on the path is exactly this, and shown here as well: the
//! neighbour table by ARP and neighbour discovery; a ring by a segment that no flow is found for; the sender's pool by
//! the worker that took a packet out of a ring. Housekeeping, between turns, writes the heartbeat and reports. Nor does
//! a turn allocate.
//!
//! The crate's sources are compiled into this program once more: it needs what the crate keeps to itself, and an
//! allocator, which the crate, free of unsafe code as it is, cannot have. EAL starts once per process, so this is one
//! program without a harness.
#![allow(dead_code, unused_imports, missing_docs, unreachable_pub)] // the crate's sources, of which this is a part
#![allow(clippy::unwrap_used, clippy::expect_used)]

extern crate self as dataplane;

mod client;
mod guard;
mod memory;
mod pair;
#[path = "../../src/lib.rs"]
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
mod zones;

use guard::Fault;
use pair::Pair;
// Where the sources look for one another.
use sources::*;
use std::collections::BTreeSet;
use support::wire::{self, PEER, Segment, four};
use support::{Scratch, WEB, is_announcement};

#[global_allocator]
static ALLOCATOR: memory::Regions = memory::Regions;

fn main() {
    memory::reserve();
    guard::install();
    let scratch = Scratch::new();
    let mut pair = Pair::new(&scratch);
    zones::registered(|| {
        let staying = [0, 1].map(|me| {
            pair.turn(me, &[]);
            every_lock_holds(&pair, me);
            let before = pair.free(1 - me);
            let staying = traffic::all(&mut pair, me);
            assert_eq!(pair.free(1 - me), before, "buffers of worker {}", 1 - me);
            staying
        });
        println!("{} turns wrote nothing across workers, {} allocations", pair.turns, pair.allocations);
        assert_eq!(pair.allocations, 0, "the packet path allocates");
        for me in [0, 1] {
            let flows: BTreeSet<u16> = pair.flows(me).iter().map(|flow| flow.key.remote_port).collect();
            let own: BTreeSet<u16> = staying[me].iter().copied().collect();
            assert_eq!(flows, own, "worker {me} has the flows of its own packets, and no other's");
        }
        exceptions(&mut pair);
    });
    for (me, (report, written, padding)) in pair.end().into_iter().enumerate() {
        let c = report.counters;
        assert_eq!(report.rx_packets(), written);
        let strays = (c.steered_out, c.steered_in, c.passed_on);
        assert_eq!(strays, if me == 0 { (1, 0, 1) } else { (0, 1, 0) }, "the one of `exceptions`");
        let fates = report.delivered() + report.dropped() + report.gauges.fragments_held;
        assert_eq!(fates, written + c.steered_in - c.steered_out, "every packet has one fate at worker {me}");
        let (delivered, dropped) = (report.delivered(), report.dropped() - padding);
        println!("worker {me}: {delivered} packets delivered, {dropped} dropped, {padding} of padding");
    }
}

fn names(faults: &[Fault]) -> BTreeSet<&str> {
    faults.iter().map(|fault| fault.range.name()).collect()
}

/// A write to anything that is locked while `me` has its turn is seen: what the turns did not write they could not.
fn every_lock_holds(pair: &Pair, me: usize) {
    let (foreign, own) = pair.bounds(me);
    let other = 1 - me;
    let pool = [format!("MP_worker{other}"), format!("MP_worker{other}_0"), format!("RG_MP_worker{other}")];
    let rings = ["RG_ask_0_0", "RG_ask_1_0", "rte_eth_dev_data"].map(str::to_owned);
    let memory = [format!("memory of worker {other}"), "memory of both workers".into(), "static data".into()];
    for name in pool.iter().chain(&rings).chain(&memory) {
        assert!(foreign.iter().any(|range| range.name() == name), "{name} is not locked for worker {me}");
    }
    for range in &foreign {
        let place = std::ptr::with_exposed_provenance_mut::<u8>(range.start + range.len / 2);
        // SAFETY: a byte of live, readable memory that no other thread writes; it is left as it was.
        let write = || unsafe { place.write_volatile(place.read_volatile()) };
        let ((), faults, _) = guard::locked(&foreign, &own, write);
        assert_eq!(names(&faults), [range.name()].into());
    }
}

/// What is written together, by the packets that do it, and nothing more.
fn exceptions(pair: &mut Pair) {
    let asked = wire::ether(0, 0x0806, &wire::arp(1, PEER, [10, 64, 0, 9], [10, 64, 0, 2]));
    let (sent, faults) = pair.watched(0, &[asked]);
    let answers = sent.iter().filter(|sent| !is_announcement(sent)).count();
    assert_eq!((answers, names(&faults)), (1, ["memory of both workers"].into()), "the neighbour table");
    let known = pair.dataplane.neighbours().snapshot(pair.dataplane.uptime_us());
    assert_eq!(known.len(), 1);

    let stray = Segment { from: 1, to: WEB, seq: 5, ack: 77, flags: wire::ACK, ..Segment::default() };
    let (sent, faults) = pair.watched(0, &[wire::frame(&wire::tcp(four(), stray))]);
    assert_eq!((sent.len(), names(&faults)), (0, ["RG_ask_0_0"].into()), "the ring to the other worker");
    let (sent, faults) = pair.watched(1, &[]);
    assert_eq!((sent.len(), sent[0].flags()), (1, wire::RST));
    let written = names(&faults);
    assert!(written.contains("RG_ask_0_0"));
    let pool = |name: &&str| name.contains("MP_worker0");
    assert!(
        written.iter().all(|name| *name == "RG_ask_0_0" || pool(name)),
        "and the sender's pool: {written:?}"
    );
    assert!(written.iter().any(pool), "the buffer went home");

    for me in [0, 1] {
        let faults = pair.housekeeping(me);
        assert_eq!(names(&faults), ["memory of both workers"].into(), "the heartbeat of worker {me}");
    }
}
