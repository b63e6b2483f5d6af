//! Metrics of workers: how busy they are and how long packets take.
//!
//! Invariant: busy and idle time together are the time since the worker began.

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::{LONGEST_SILENCE, Snapshot};

pub(super) const FAMILIES: &[Family] = &[
    family!(Counter "worker_busy_seconds_total" ["worker"] "seconds", "Time in turns of the loop that found packets.",
        |s, out| time(s, out, |r| r.counters.busy_cycles)),
    family!(Counter "worker_idle_seconds_total" ["worker"] "seconds",
        "Time in turns of the loop that found none, sleep included.",
        |s, out| time(s, out, |r| r.counters.idle_cycles)),
    family!(Counter "worker_turns_total" ["worker"] "", "Turns of the loop.",
        |s, out| out.workers(s, |r| r.counters.turns)),
    family!(Counter "worker_busy_turns_total" ["worker"] "", "Turns of the loop that found packets.",
        |s, out| out.workers(s, |r| r.counters.busy_turns)),
    family!(Counter "worker_sleeps_total" ["worker"] "", "Times the worker slept for want of packets.",
        |s, out| out.workers(s, |r| r.counters.sleeps)),
    family!(Gauge "worker_heartbeat_age_seconds" ["worker"] "seconds", "Time since the worker's last sign of life.",
    |s, out| for (number, worker) in s.workers.iter().enumerate() {
        out.put(&[&number.to_string()], worker.silent.as_secs_f64());
    }),
    family!(Gauge "worker_up" ["worker"] "", "1 while the worker gives signs of life, else 0.",
    |s, out| for (number, worker) in s.workers.iter().enumerate() {
        out.count(&[&number.to_string()], u64::from(worker.silent <= LONGEST_SILENCE));
    }),
    family!(Gauge "worker_info" ["worker", "cpu"] "", "Always 1; the label says which CPU the worker runs on.",
    |s, out| for (number, worker) in s.workers.iter().enumerate() {
        out.put(&[&number.to_string(), &worker.cpu.to_string()], 1.0);
    }),
    family!(Counter "worker_steered_out_total" ["worker"] "packets",
        "Packets handed to the worker that owns their flow.",
        |s, out| out.workers(s, |r| r.counters.steered_out)),
    family!(Counter "worker_steered_in_total" ["worker"] "packets", "Packets taken from other workers.",
        |s, out| out.workers(s, |r| r.counters.steered_in)),
    family!(Counter "worker_passed_on_total" ["worker"] "packets",
        "Packets of no flow on this worker, passed on to the next one to ask.",
        |s, out| out.workers(s, |r| r.counters.passed_on)),
    family!(Counter "worker_tx_nobuf_total" ["worker"] "", "Times no buffer was to be had for sending.",
        |s, out| out.workers(s, |r| r.counters.tx_nobuf + r.engine.tx_nobuf)),
    family!(Gauge "worker_services_version" ["worker"] "",
        "Version of the services in force on the worker; all workers agree soon after a reload.",
        |s, out| out.workers(s, |r| r.gauges.policy_version)),
    family!(Histogram "packet_latency_seconds" ["worker"] "seconds",
    "Time from a packet's arrival in a burst to the departure of what the burst caused.",
    |s, out| for (worker, report) in s.reports() {
        out.nanoseconds(&[&worker.to_string()], &report.latency_ns);
    }),
    family!(Histogram "turn_seconds" ["worker"] "seconds", "Duration of turns of the loop that found packets.",
    |s, out| for (worker, report) in s.reports() {
        out.nanoseconds(&[&worker.to_string()], &report.turn_ns);
    }),
    family!(Gauge "mempool_size" ["mempool"] "buffers", "Packet buffers of the pool.",
        |s, out| for pool in &s.mempools { out.count(&[&pool.name], pool.size); }),
    family!(Gauge "mempool_available" ["mempool"] "buffers", "Packet buffers of the pool that are free.",
        |s, out| for pool in &s.mempools { out.count(&[&pool.name], pool.available); }),
];

fn time(snapshot: &Snapshot<'_>, out: &mut Samples, cycles: fn(&dataplane::report::Report) -> u64) {
    for (worker, report) in snapshot.reports() {
        out.put(&[&worker.to_string()], snapshot.seconds(cycles(report)));
    }
}
