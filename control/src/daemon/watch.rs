//! The watch over workers and ports: who fell silent, who died, whose link went away.
//!
//! Invariant: each change is said once, when it happens; the watchdog is fed only while all workers are well.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::notify::Notifier;
use super::state::Daemon;
use crate::snapshot::LONGEST_SILENCE;

/// How often neighbours age, links are read and the watchdog is fed.
const SLOW_TICK: Duration = Duration::from_secs(1);

/// How long a neighbour that is not heard of is remembered, in microseconds: 20 minutes.
const NEIGHBOUR_AGE_US: u64 = 1_200_000_000;

/// What was seen last.
pub(super) struct Watch {
    silent: Vec<bool>,
    links: Vec<Option<bool>>,
    next: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { silent: Vec::new(), links: Vec::new(), next: Instant::now() }
    }

    /// Looks after everything; returns a worker that ended by itself.
    pub(super) fn look(&mut self, daemon: &Daemon, notifier: &Notifier) -> Option<u16> {
        if let Some(worker) = daemon.dataplane.failed_worker() {
            return Some(worker);
        }
        let now = Instant::now();
        if now < self.next {
            return None;
        }
        self.next = now + SLOW_TICK;
        daemon.dataplane.neighbours().age(daemon.dataplane.uptime_us(), NEIGHBOUR_AGE_US);
        let well = self.heartbeats(daemon);
        self.links(daemon);
        if well {
            notifier.alive();
        }
        None
    }

    /// Whether all workers are well.
    fn heartbeats(&mut self, daemon: &Daemon) -> bool {
        let now_us = daemon.dataplane.uptime_us();
        let workers = daemon.dataplane.workers();
        self.silent.resize(workers.len(), false);
        for (number, (worker, was)) in workers.iter().zip(&mut self.silent).enumerate() {
            let silence = Duration::from_micros(now_us.saturating_sub(worker.outlook.heartbeat_us()));
            let silent = silence > LONGEST_SILENCE;
            if silent && !*was {
                let seconds = silence.as_secs_f64();
                error!(worker = number, cpu = worker.cpu, seconds, "a worker gives no sign of life");
            } else if *was && !silent {
                warn!(worker = number, cpu = worker.cpu, "a worker is back");
            }
            *was = silent;
        }
        !self.silent.contains(&true)
    }

    fn links(&mut self, daemon: &Daemon) {
        let ports = daemon.dataplane.ports();
        self.links.resize(ports.len(), None);
        for (port, was) in ports.iter().zip(&mut self.links) {
            let Ok(link) = port.handle.link() else { continue };
            if *was != Some(link.up) {
                match link.up {
                    true => info!(port = port.name, "link is up"),
                    false => warn!(port = port.name, "link is down"),
                }
            }
            *was = Some(link.up);
        }
    }
}
