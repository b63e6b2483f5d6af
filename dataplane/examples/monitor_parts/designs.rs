//! The designs, with the same follower in each.
//!
//! Invariant: every packet is followed to its end before a run is over, so that rates count work that was done.

use super::traffic::Traffic;
use dataplane::observe::{FollowLimits, HttpLimits, Level, ObserveSettings, Offline};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Design {
    ThreadPerStream,
    ThreadPool,
    PerCore,
    Alone,
}

impl Design {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ThreadPerStream => "thread per stream",
            Self::ThreadPool => "thread pool",
            Self::PerCore => "per core",
            Self::Alone => "alone",
        }
    }
}

pub(crate) struct Outcome {
    /// Packets a second.
    pub(crate) rate: f64,
    /// Nanoseconds from the feeder to being done.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    /// Bytes resident beyond what there was before.
    pub(crate) memory: u64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
}

/// Packets handed over at a time.
const BURST: usize = 32;
/// Nanoseconds from one round to the next: longer than any timeout.
const ROUND: u64 = 1_000_000_000_000;
/// Bursts that may wait.
const WAITING: usize = 64;

/// Numbers of packets of a round, the round's number, and when they were handed over.
struct Burst {
    packets: Vec<u32>,
    round: u64,
    since: Instant,
}

/// What a thread has found.
#[derive(Default)]
struct Found {
    requests: u64,
    bytes: u64,
    packets: u64,
    times: Vec<u64>,
}

impl Found {
    fn add(&mut self, mut other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.times.append(&mut other.times);
    }

    fn note(&mut self, burst: &Burst) {
        self.packets += burst.packets.len() as u64;
        if self.times.len() < 4 << 20 {
            self.times.push(burst.since.elapsed().as_nanos() as u64);
        }
    }

    fn take(&mut self, mut follower: Offline) {
        while follower.finish(1000) {}
        let observed = follower.counters().observed;
        self.requests += observed.http.requests;
        self.bytes += observed.follow.bytes;
    }
}

fn follower(flows: usize) -> Offline {
    let settings = ObserveSettings {
        follow: FollowLimits { flows, half_open: flows, held: 256, ..FollowLimits::default() },
        http: HttpLimits::default(),
        body: u64::MAX,
        ..ObserveSettings::default()
    };
    Offline::silent(&settings, Level::Http)
}

fn feed(follower: &mut Offline, traffic: &Traffic, burst: &Burst) {
    for &at in &burst.packets {
        // Time passes, so that what is over is forgotten, and all of one round before the next.
        let time = burst.round * ROUND + u64::from(at) * 10_000;
        follower.packet(time, traffic.link, &traffic.packets[at as usize]);
    }
}

/// Follows the traffic again and again for some seconds.
pub(crate) fn run(
    design: Design,
    traffic: &Traffic,
    seconds: f64,
    threads: usize,
) -> Result<Outcome, String> {
    let before = resident();
    let begun = Instant::now();
    let bursts = Bursts { traffic, at: 0, round: 1, begun, seconds };
    let (found, memory) = std::thread::scope(|_| match design {
        Design::Alone => alone(bursts),
        Design::ThreadPerStream => per_stream(bursts),
        Design::ThreadPool => pool(bursts, threads),
        Design::PerCore => per_core(bursts, threads),
    })?;
    let elapsed = begun.elapsed().as_secs_f64();
    let mut times = found.times;
    times.sort_unstable();
    let at =
        |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)));
    Ok(Outcome {
        rate: found.packets as f64 / elapsed,
        p50: at(0.5).copied().unwrap_or(0),
        p99: at(0.99).copied().unwrap_or(0),
        memory: memory.saturating_sub(before),
        requests: found.requests,
        bytes: found.bytes,
    })
}

/// Packets, round after round, until the time is over and a round as well.
struct Bursts<'a> {
    traffic: &'a Traffic,
    at: usize,
    round: u64,
    begun: Instant,
    seconds: f64,
}

impl Iterator for Bursts<'_> {
    type Item = Burst;

    fn next(&mut self) -> Option<Burst> {
        if self.at == self.traffic.packets.len() {
            if self.begun.elapsed().as_secs_f64() >= self.seconds {
                return None;
            }
            (self.at, self.round) = (0, self.round + 1);
        }
        let to = (self.at + BURST).min(self.traffic.packets.len());
        let packets = (self.at as u32..to as u32).collect();
        self.at = to;
        Some(Burst { packets, round: self.round, since: Instant::now() })
    }
}

type Ran = Result<(Found, u64), String>;

fn alone(bursts: Bursts<'_>) -> Ran {
    let traffic = bursts.traffic;
    let mut follower = follower(traffic.count * 2 + 16);
    let mut found = Found::default();
    for burst in bursts {
        feed(&mut follower, traffic, &burst);
        found.note(&burst);
    }
    let memory = resident();
    found.take(follower);
    Ok((found, memory))
}

/// Each thread has its own table; the feeder hands every packet to the owner of its connection.
fn per_core(bursts: Bursts<'_>, threads: usize) -> Ran {
    let traffic = bursts.traffic;
    std::thread::scope(|scope| {
        let mut ways = Vec::new();
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (sender, receiver): (SyncSender<Burst>, Receiver<Burst>) = sync_channel(WAITING);
            ways.push(sender);
            workers.push(scope.spawn(move || {
                let mut follower = follower(traffic.count * 2 + 16);
                let mut found = Found::default();
                for burst in receiver {
                    feed(&mut follower, traffic, &burst);
                    found.note(&burst);
                }
                found.take(follower);
                found
            }));
        }
        for burst in bursts {
            let mut shares = vec![Vec::new(); threads];
            for at in burst.packets {
                let stream = traffic.streams[at as usize].wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                shares[stream as usize % threads].push(at);
            }
            for (way, packets) in ways.iter().zip(shares).filter(|(_, packets)| !packets.is_empty()) {
                let share = Burst { packets, round: burst.round, since: burst.since };
                way.send(share).map_err(|_| "a thread is gone")?;
            }
        }
        let memory = resident();
        drop(ways);
        let mut found = Found::default();
        for worker in workers {
            found.add(worker.join().map_err(|_| "a thread failed")?);
        }
        Ok((found, memory))
    })
}

/// One table, locked for each packet; the threads take bursts as they come.
fn pool(bursts: Bursts<'_>, threads: usize) -> Ran {
    let traffic = bursts.traffic;
    let shared = Mutex::new(follower(traffic.count * 2 + 16));
    let (sender, receiver) = sync_channel::<Burst>(WAITING);
    let receiver = Mutex::new(receiver);
    let mut found = Found::default();
    let mut memory = 0;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut found = Found::default();
                    loop {
                        let next = receiver.lock().map(|receiver| receiver.recv());
                        let Ok(Ok(burst)) = next else { return found };
                        for &at in &burst.packets {
                            let one = Burst { packets: vec![at], ..burst };
                            if let Ok(mut follower) = shared.lock() {
                                feed(&mut follower, traffic, &one);
                            }
                        }
                        found.note(&burst);
                    }
                })
            })
            .collect();
        for burst in bursts {
            sender.send(burst).map_err(|_| "all threads are gone")?;
        }
        memory = resident();
        drop(sender);
        for worker in workers {
            found.add(worker.join().map_err(|_| "a thread failed")?);
        }
        Ok::<(), String>(())
    })?;
    found.take(shared.into_inner().map_err(|_| "a thread failed")?);
    Ok((found, memory))
}

/// One map of all connections, locked for each packet; every connection has a thread, with a follower of its own.
fn per_stream(bursts: Bursts<'_>) -> Ran {
    let traffic = bursts.traffic;
    std::thread::scope(|scope| {
        type Way = SyncSender<Burst>;
        let map: Arc<Mutex<HashMap<u64, Way>>> = Arc::default();
        let mut workers = Vec::new();
        for burst in bursts {
            for &at in &burst.packets {
                let mut map = map.lock().map_err(|_| "a thread failed")?;
                let stream = traffic.streams[at as usize];
                if let Entry::Vacant(place) = map.entry(stream) {
                    let (sender, receiver) = sync_channel::<Burst>(WAITING);
                    place.insert(sender);
                    let work = move || {
                        let mut follower = follower(4);
                        let mut found = Found::default();
                        for burst in receiver {
                            feed(&mut follower, traffic, &burst);
                            found.note(&burst);
                        }
                        found.take(follower);
                        found
                    };
                    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, work);
                    workers.push(thread.map_err(|why| format!("no more threads: {why}"))?);
                }
                let way = map.get(&stream).cloned();
                drop(map);
                if let Some(way) = way {
                    let one = Burst { packets: vec![at], round: burst.round, since: burst.since };
                    way.send(one).map_err(|_| "a thread is gone")?;
                }
            }
        }
        let memory = resident();
        if let Ok(mut map) = map.lock() {
            map.clear();
        }
        let mut found = Found::default();
        for worker in workers {
            found.add(worker.join().map_err(|_| "a thread failed")?);
        }
        Ok((found, memory))
    })
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
