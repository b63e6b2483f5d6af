//! Two workers driven by hand, one turn at a time on one thread, each over its own queue of one port.
//!
//! Invariant: while one worker has its turn, everything that is not its own is locked: the other worker's memory and
//! buffers, what both share, rings, and the program's static data.

use super::appliance::Dataplane;
use super::guard::{self, Fault, Range};
use super::mailbox::{Command, FlowFilter, FlowView};
use super::memory::{self, Owner};
use super::report::Report;
use super::settings::Steering;
use super::support::wire::Sent;
use super::support::{Line, Scratch, settings};
use super::worker::Worker;
use super::zones;
use std::sync::mpsc::sync_channel;

/// Frames that a worker takes at once.
pub const BURST: usize = 32;

pub struct Pair {
    pub dataplane: Dataplane,
    /// Boxed where they are built: a worker itself lies in its own region too.
    workers: [Box<Worker>; 2],
    lines: Vec<Line>,
    /// The TSC as the workers are told: time passes as the test has it.
    tsc: u64,
    /// Turns, and allocations in them.
    pub turns: u64,
    pub allocations: usize,
}

impl Pair {
    pub fn new(scratch: &Scratch) -> Self {
        let (lines, queues): (Vec<Line>, Vec<String>) =
            ["a", "b"].iter().map(|name| Line::queues(scratch, name)).unzip();
        let (dataplane, kits) = memory::with(Owner::Both, || {
            let mut settings = settings(&[format!("net_pcap0,{}", queues.join(","))]);
            settings.cpus = vec![0, 1];
            Dataplane::prepare(settings).map_err(|error| error.to_string()).unwrap()
        });
        assert_eq!(dataplane.ports()[0].steering, Steering::Queue);
        let mut kits = kits.into_iter();
        let workers = [0, 1].map(|number| {
            let kit = kits.next().unwrap();
            memory::with(Owner::Worker(number), || Box::new(Worker::new(kit.build().unwrap())))
        });
        let tsc = dpdk_ffi::clock::tsc();
        Self { dataplane, workers, lines, tsc, turns: 0, allocations: 0 }
    }

    /// What worker `me` must not write, and what of DPDK's memory is its own.
    pub fn bounds(&self, me: usize) -> (Vec<Range>, Vec<Range>) {
        let (own, mut foreign): (Vec<Range>, Vec<Range>) =
            zones::all().into_iter().partition(|zone| zone.name().contains(&format!("MP_worker{me}")));
        foreign.extend([
            memory::region(Owner::Worker(1 - me)),
            memory::region(Owner::Both),
            guard::statics(),
        ]);
        (foreign, own)
    }

    /// One turn of worker `me` with at most [`BURST`] frames; what it sent, and where it wrote what is not its own.
    pub fn watched(&mut self, me: usize, frames: &[Vec<u8>]) -> (Vec<Sent>, Vec<Fault>) {
        assert!(frames.len() <= BURST);
        self.lines[me].send(frames);
        // A tenth of a millisecond a turn.
        self.tsc += dpdk_ffi::clock::tsc_hz() / 10_000;
        let (tsc, (foreign, own)) = (self.tsc, self.bounds(me));
        let worker = &mut self.workers[me];
        let (packets, faults, allocations) = memory::with(Owner::Worker(me), || {
            guard::locked(&foreign, &own, || {
                let packets = worker.turn(tsc);
                worker.account(packets, 1000);
                packets
            })
        });
        assert!(packets >= BURST as u64, "the burst and its padding, and what other workers hand over");
        self.turns += 1;
        self.allocations += allocations;
        (self.lines[me].new_frames(), faults)
    }

    /// Turns of worker `me` with any number of frames, in which it writes nothing that is not its own.
    pub fn turn(&mut self, me: usize, frames: &[Vec<u8>]) -> Vec<Sent> {
        let mut all = Vec::new();
        let none: &[Vec<u8>] = &[];
        for burst in frames.chunks(BURST).chain(frames.is_empty().then_some(none)) {
            let (sent, faults) = self.watched(me, burst);
            assert!(faults.is_empty(), "worker {me}: {faults:#?}");
            all.extend(sent);
        }
        all
    }

    /// Lets time pass before the next turn.
    pub fn wait(&mut self, seconds: u64) {
        self.tsc += dpdk_ffi::clock::tsc_hz() * seconds;
    }

    /// Buffers of `worker` that are free in its pool.
    pub fn free(&self, worker: usize) -> u32 {
        self.dataplane.mempools()[worker].available
    }

    /// What a worker does between turns, watched like a turn.
    pub fn housekeeping(&mut self, me: usize) -> Vec<Fault> {
        let (foreign, own) = self.bounds(me);
        let worker = &mut self.workers[me];
        memory::with(Owner::Worker(me), || guard::locked(&foreign, &own, || worker.housekeeping())).1
    }

    /// The flows of a worker.
    pub fn flows(&mut self, me: usize) -> Vec<FlowView> {
        let (answer, list) = sync_channel(1);
        let asked = Command::Flows { filter: FlowFilter::default(), most: usize::MAX, answer };
        assert!(self.dataplane.workers()[me].mailbox.send(asked).is_ok());
        loop {
            self.workers[me].housekeeping();
            if let Ok(flows) = list.try_recv() {
                return flows;
            }
        }
    }

    /// Ends it all: the last report of each worker, and how many frames it was sent and how many of them were padding.
    pub fn end(self) -> Vec<(Report, u64, u64)> {
        let Self { dataplane, workers, mut lines, .. } = self;
        let reports = workers.map(|worker| worker.finish());
        lines.iter_mut().for_each(Line::hang_up);
        assert_eq!(dataplane.stop().mbufs_in_use, 0, "buffers were lost");
        reports.into_iter().zip(&lines).map(|(report, line)| (report, line.written, line.padding)).collect()
    }
}
