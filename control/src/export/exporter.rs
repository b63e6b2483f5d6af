//! The exporter's thread: takes records out of the rings as they come, sends events.
//!
//! Invariant: it sleeps where there is nothing to do, and never for longer than [`LONGEST_SLEEP`]. Each event that it
//! takes is counted as sent or dropped.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use dataplane::event::Records;

use super::numbers::{Counters, ExportNumbers, WorkerTally};
use super::{Assembler, Bounds, Event, Names, SharedNames, Sockets, encode};
use crate::config::model::Export;

/// Of a thread that finds the rings empty; rings must hold what comes in that time.
const LONGEST_SLEEP: Duration = Duration::from_millis(5);
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);
/// Records taken from one worker before the next has its turn.
const RECORDS_A_TURN: usize = 256;
/// How long what is in the rings may take when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The running thread.
pub struct Exporter {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    names: Arc<SharedNames>,
}

impl Exporter {
    /// Starts it on the CPUs of the calling thread. `records` are those of the workers, in their order.
    ///
    /// # Errors
    /// One line, where there is no thread to be had.
    pub fn start(
        export: &Export,
        run: Arc<str>,
        names: Names,
        records: Vec<Records>,
        sockets: Sockets,
    ) -> Result<Self, String> {
        let bounds = Bounds {
            body: usize::try_from(export.body.bytes()).unwrap_or(usize::MAX),
            memory: usize::try_from(export.assembly.bytes()).unwrap_or(usize::MAX),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(Counters::new(records.len()));
        let names = Arc::new(SharedNames::new(names));
        let work = Work {
            assembler: Assembler::new(run, Names::default(), bounds),
            names: (Arc::clone(&names), 0),
            records,
            dropped: vec![0; counters.workers.len()],
            meta: Vec::new(),
            sockets,
            counters: Arc::clone(&counters),
            stop: Arc::clone(&stop),
        };
        let thread = thread::Builder::new().name("millrace-export".into()).spawn(|| work.run());
        let thread = thread.map_err(|error| format!("cannot start the exporter: {error}"))?;
        Ok(Self { thread: Some(thread), stop, counters, names })
    }

    /// What it counted so far.
    #[must_use]
    pub fn numbers(&self) -> ExportNumbers {
        self.counters.numbers()
    }

    /// From here on events have these names; call it before workers get the services that have them.
    pub fn rename(&self, names: Names) {
        self.names.set(names);
    }

    /// Sends what is in the rings, for a second at most, and closes the sockets. The workers should have stopped.
    pub fn stop(mut self) -> ExportNumbers {
        self.end();
        self.counters.numbers()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say but its end.
            let _ = thread.join();
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.end();
    }
}

struct Work {
    assembler: Assembler,
    /// And the version of those in use.
    names: (Arc<SharedNames>, u64),
    records: Vec<Records>,
    /// Events of each worker that were dropped here.
    dropped: Vec<u64>,
    /// The second frame.
    meta: Vec<u8>,
    sockets: Sockets,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self) {
        let mut sleep = SHORTEST_SLEEP;
        let mut until = None;
        loop {
            // Before the rings: what is in them when it is set is still sent.
            if self.stop.load(Ordering::Acquire) && until.is_none() {
                until = Some(Instant::now() + LAST_WORDS);
            }
            let taken = self.turn();
            match until {
                Some(until) if taken == 0 || Instant::now() >= until => return,
                Some(_) => {}
                None if taken > 0 => sleep = SHORTEST_SLEEP,
                None => {
                    thread::park_timeout(sleep);
                    sleep = (sleep * 2).min(LONGEST_SLEEP);
                }
            }
        }
    }

    /// Takes some records of each worker; returns how many there were.
    fn turn(&mut self) -> usize {
        let mut taken = 0;
        let (names, seen) = &mut self.names;
        if let Some(names) = names.newer(seen) {
            self.assembler.rename(names);
        }
        let counters = Arc::clone(&self.counters);
        let workers = self.records.iter_mut().zip(&mut self.dropped).zip(&counters.workers);
        for (worker, ((records, dropped), tally)) in (0..).zip(workers) {
            for _ in 0..RECORDS_A_TURN {
                let Some((record, payload)) = records.take() else { break };
                taken += 1;
                if let Some(event) = self.assembler.take(worker, &record, payload) {
                    hand_over(event, &self.sockets, &mut self.meta, dropped, tally);
                }
            }
        }
        if taken > 0 {
            self.counters.assembly(self.assembler.held(), self.assembler.losses());
        }
        taken
    }
}

/// Sends an event, or counts it as dropped.
fn hand_over(
    mut event: Event<'_>,
    sockets: &Sockets,
    buffer: &mut Vec<u8>,
    dropped: &mut u64,
    tally: &WorkerTally,
) {
    event.meta.dropped += *dropped;
    let topic = event.topic;
    let encoded = encode(&event.meta, buffer).is_ok();
    let frames = [topic.name().as_bytes(), buffer.as_slice(), &event.payload];
    let bytes = frames.iter().map(|frame| frame.len()).sum();
    let published = encoded && sockets.publish(frames);
    if published {
        tally.published(topic, bytes);
    }
    // Subscribers have no queue of their own here: where there are only these, what they were given is sent.
    let sent = if sockets.pushes() { encoded && sockets.push(frames) } else { published };
    if sent {
        tally.sent(topic, bytes);
    } else {
        tally.dropped(topic);
        *dropped += 1;
    }
}
