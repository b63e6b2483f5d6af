//! What the exporter counts: written by its thread alone, read by whoever shows metrics.
//!
//! Invariant: all but the gauges only ever grow. An event is counted once it is sent or dropped, never before.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dataplane::event::{TOPICS, Topic};

use super::pieces::Losses;

/// A number of each topic.
pub type ByTopic = [u64; TOPICS];

/// Events of one worker, as they are counted.
#[derive(Debug, Default)]
pub(super) struct WorkerTally {
    sent: [AtomicU64; TOPICS],
    dropped: [AtomicU64; TOPICS],
    published: [AtomicU64; TOPICS],
    sent_bytes: AtomicU64,
    published_bytes: AtomicU64,
}

impl WorkerTally {
    pub(super) fn sent(&self, topic: Topic, bytes: usize) {
        add(&self.sent[topic as usize], 1);
        add(&self.sent_bytes, bytes as u64);
    }

    pub(super) fn dropped(&self, topic: Topic) {
        add(&self.dropped[topic as usize], 1);
    }

    pub(super) fn published(&self, topic: Topic, bytes: usize) {
        add(&self.published[topic as usize], 1);
        add(&self.published_bytes, bytes as u64);
    }
}

/// There is one writer.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}

/// Events of one worker that came out of its ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerNumbers {
    /// Sent: given to the PUSH sockets, or where there are none to the PUB sockets.
    pub sent: ByTopic,
    /// That found no room at the PUSH sockets.
    pub dropped: ByTopic,
    /// Given to the PUB sockets.
    pub published: ByTopic,
    /// Bytes of all frames of those sent.
    pub sent_bytes: u64,
    /// Bytes of all frames of those published.
    pub published_bytes: u64,
}

/// All numbers, as they are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) workers: Vec<WorkerTally>,
    held: AtomicU64,
    held_bytes: AtomicU64,
    cut_limit: AtomicU64,
    cut_memory: AtomicU64,
    cut_ring: AtomicU64,
    evicted: AtomicU64,
    endless: AtomicU64,
}

/// All numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportNumbers {
    /// By worker.
    pub workers: Vec<WorkerNumbers>,
    /// Messages in pieces that wait for their end.
    pub held: u64,
    /// Bytes of them, and of requests that wait for their response.
    pub held_bytes: u64,
    /// What became of messages.
    pub losses: Losses,
}

impl Counters {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| WorkerTally::default()).collect(), ..Self::default() }
    }

    pub(super) fn assembly(&self, (held, bytes): (usize, usize), losses: Losses) {
        self.held.store(held as u64, Relaxed);
        self.held_bytes.store(bytes as u64, Relaxed);
        self.cut_limit.store(losses.cut_limit, Relaxed);
        self.cut_memory.store(losses.cut_memory, Relaxed);
        self.cut_ring.store(losses.cut_ring, Relaxed);
        self.evicted.store(losses.evicted, Relaxed);
        self.endless.store(losses.endless, Relaxed);
    }

    pub(super) fn numbers(&self) -> ExportNumbers {
        let topics =
            |counters: &[AtomicU64; TOPICS]| std::array::from_fn(|topic| counters[topic].load(Relaxed));
        let worker = |tally: &WorkerTally| WorkerNumbers {
            sent: topics(&tally.sent),
            dropped: topics(&tally.dropped),
            published: topics(&tally.published),
            sent_bytes: tally.sent_bytes.load(Relaxed),
            published_bytes: tally.published_bytes.load(Relaxed),
        };
        ExportNumbers {
            workers: self.workers.iter().map(worker).collect(),
            held: self.held.load(Relaxed),
            held_bytes: self.held_bytes.load(Relaxed),
            losses: Losses {
                cut_limit: self.cut_limit.load(Relaxed),
                cut_memory: self.cut_memory.load(Relaxed),
                cut_ring: self.cut_ring.load(Relaxed),
                evicted: self.evicted.load(Relaxed),
                endless: self.endless.load(Relaxed),
            },
        }
    }
}
