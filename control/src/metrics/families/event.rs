//! Metrics of events: what workers produced, and what became of it on the way out.
//!
//! Invariant: for every worker and topic, produced = sent + dropped + on the way.

use dataplane::event::Topic;

use super::family;
use crate::export::{ByTopic, ExportNumbers, WorkerNumbers};
use crate::metrics::family::{Family, Samples};
use crate::snapshot::Snapshot;

pub(super) const FAMILIES: &[Family] = &[
    family!(Counter "events_produced_total" ["worker", "topic"] "events",
    "Events of observed flows, by the worker that saw them. All are sent, dropped or on the way.",
    |s, out| for (worker, report) in s.reports() {
        topics(out, worker, &report.observed.events.produced);
    }),
    family!(Counter "events_dropped_total" ["worker", "topic", "at"] "events",
    "Events dropped: the `ring` to the exporter was full, or the `socket` had no consumer with room.",
    |s, out| {
        for (worker, report) in s.reports() {
            dropped(out, worker, "ring", &report.observed.events.dropped);
        }
        for (worker, numbers) in exported(s) {
            dropped(out, worker, "socket", &numbers.dropped);
        }
    }),
    family!(Counter "events_sent_total" ["worker", "topic"] "events",
    "Events given to the PUSH socket, or where there is none to the PUB socket.",
    |s, out| for (worker, numbers) in exported(s) { topics(out, worker, &numbers.sent); }),
    family!(Counter "events_sent_bytes_total" ["worker"] "bytes", "All frames of events sent.",
    |s, out| for (worker, numbers) in exported(s) { out.count(&[&worker.to_string()], numbers.sent_bytes); }),
    family!(Counter "events_published_total" ["worker", "topic"] "events",
    "Events given to the PUB socket. What a subscriber has no room for is not counted here: it finds holes in `seq`.",
    |s, out| for (worker, numbers) in exported(s) { topics(out, worker, &numbers.published); }),
    family!(Counter "events_published_bytes_total" ["worker"] "bytes", "All frames of events published.",
    |s, out| for (worker, numbers) in exported(s) {
        out.count(&[&worker.to_string()], numbers.published_bytes);
    }),
    family!(Counter "event_body_lost_bytes_total" ["worker"] "bytes",
    "Bytes of HTTP bodies that found no room in the ring, of messages sent without them.",
        |s, out| out.workers(s, |r| r.observed.events.body_lost)),
    family!(Counter "event_bodies_cut_total" ["reason"] "",
    "HTTP bodies that are not all in their event: longer than the `limit` (export.body), left out for want of `memory` (export.assembly), or for want of room in the `ring` (export.ring).",
    |s, out| if let Some(export) = &s.export {
        out.count(&["limit"], export.losses.cut_limit);
        out.count(&["memory"], export.losses.cut_memory);
        out.count(&["ring"], export.losses.cut_ring);
    }),
    family!(Counter "event_messages_given_up_total" ["reason"] "",
    "HTTP messages in pieces that were not kept to their end: `memory`, the event has no head; `endless`, the end never came (a dropped event, counted as such).",
    |s, out| if let Some(export) = &s.export {
        out.count(&["memory"], export.losses.evicted);
        out.count(&["endless"], export.losses.endless);
    }),
    family!(Gauge "event_messages_held" [] "", "HTTP messages in pieces that wait for their end.",
        |s, out| held(s, out, |export| export.held)),
    family!(Gauge "event_held_bytes" [] "bytes",
        "Bytes of HTTP messages that wait for their end, and of requests that wait for their response.",
        |s, out| held(s, out, |export| export.held_bytes)),
];

fn exported<'a>(s: &'a Snapshot<'_>) -> impl Iterator<Item = (usize, &'a WorkerNumbers)> {
    s.export.iter().flat_map(|export| export.workers.iter().enumerate())
}

fn held(s: &Snapshot<'_>, out: &mut Samples, number: fn(&ExportNumbers) -> u64) {
    if let Some(export) = &s.export {
        out.count(&[], number(export));
    }
}

fn topics(out: &mut Samples, worker: usize, numbers: &ByTopic) {
    for topic in Topic::ALL {
        out.count(&[&worker.to_string(), topic.name()], numbers[topic as usize]);
    }
}

fn dropped(out: &mut Samples, worker: usize, at: &str, numbers: &ByTopic) {
    for topic in Topic::ALL {
        out.count(&[&worker.to_string(), topic.name(), at], numbers[topic as usize]);
    }
}
