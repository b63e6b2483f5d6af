//! The viewer's own metrics, in the text format of Prometheus.
//!
//! Invariant: label values come from fixed lists and numbers, never from the wire.

use core::fmt::Write;
use std::collections::BTreeMap;

use crate::event::{Refusal, TOPICS};
use crate::shared::Shared;

/// All metrics.
pub(crate) fn text(shared: &Shared) -> String {
    let mut page = Page(String::new());
    let counts = &shared.counts;
    let (totals, len, bytes, bounds, objects, lost, earlier) = {
        let store = shared.store();
        let mut lost: BTreeMap<u32, u64> = BTreeMap::new();
        for (_, worker, loss) in store.losses.list() {
            *lost.entry(worker).or_default() += loss.lost();
        }
        let earlier = store.losses.earlier;
        (store.totals, store.len(), store.bytes(), store.bounds, store.objects(), lost, earlier)
    };
    page.family("events_received_total", "counter", "Events received, by topic.");
    for (topic, count) in TOPICS.iter().zip(totals.received) {
        page.labelled("events_received_total", "topic", topic, count);
    }
    page.one("payload_bytes_total", "counter", "Bytes of payload received.", totals.payload);
    page.family("messages_refused_total", "counter", "Messages that are no events, by reason.");
    for (refusal, count) in Refusal::ALL.iter().zip(&counts.refused) {
        page.labelled("messages_refused_total", "reason", refusal.name(), count.get());
    }
    page.family(
        "events_lost_total",
        "counter",
        "Events lost on the way here, by worker; `earlier`: of old runs.",
    );
    for (worker, count) in lost {
        page.labelled("events_lost_total", "worker", &worker.to_string(), count);
    }
    page.labelled("events_lost_total", "worker", "earlier", earlier);
    page.one("events_evicted_total", "counter", "Events evicted for newer ones.", totals.evicted);
    page.one("evicted_bytes_total", "counter", "Bytes of evicted events.", totals.evicted_bytes);
    page.one("gaps_total", "counter", "Gaps in streams.", totals.gaps);
    page.one("missing_bytes_total", "counter", "Bytes missing in gaps.", totals.missing);
    page.one("exchanges_total", "counter", "Exchanges begun.", totals.exchanges);
    page.one("store_events", "gauge", "Events kept.", len as u64);
    page.one("store_events_limit", "gauge", "The most events kept.", bounds.events as u64);
    page.one("store_bytes", "gauge", "Bytes kept.", bytes as u64);
    page.one("store_bytes_limit", "gauge", "The most bytes kept.", bounds.bytes as u64);
    page.one("store_flows", "gauge", "Flows kept.", objects.0 as u64);
    page.one("store_exchanges", "gauge", "Exchanges kept.", objects.1 as u64);
    page.one("clients", "gauge", "Connections of browsers.", counts.clients.get());
    page.one(
        "clients_refused_total",
        "counter",
        "Connections beyond the limit.",
        counts.clients_refused.get(),
    );
    page.one("live_streams", "gauge", "Live streams.", counts.live.get());
    page.one("resyncs_total", "counter", "Live streams that fell behind.", counts.resyncs.get());
    page.one("denied_total", "counter", "Requests with a wrong token or Host.", counts.denied.get());
    page.one(
        "decode_limit_total",
        "counter",
        "Bodies whose decoding the limit stopped.",
        shared.limits.hits(),
    );
    page.one("receive_errors_total", "counter", "Errors at ZeroMQ sockets.", counts.receive_errors.get());
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ =
            writeln!(self.0, "# HELP millrace_viewer_{name} {help}\n# TYPE millrace_viewer_{name} {kind}");
    }

    fn labelled(&mut self, name: &str, label: &str, value: &str, count: u64) {
        let _ = writeln!(self.0, "millrace_viewer_{name}{{{label}=\"{value}\"}} {count}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, count: u64) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "millrace_viewer_{name} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Limits;
    use crate::event::tests::{event, meta};
    use crate::store::Bounds;
    use serde_json::json;

    #[test]
    fn losses_are_summed_over_runs_by_worker() {
        let shared = Shared::new(Bounds { events: 100, bytes: 1 << 20 }, Limits::new(1), vec![]);
        for (run, worker, seq) in [("a", 0, 1), ("a", 0, 5), ("b", 0, 1), ("b", 0, 3), ("b", 1, 1)] {
            let more = json!({"run": run, "worker": worker, "midstream": false});
            shared.store().insert(event("flow.open", &meta(seq, "f", more), b""), 0);
        }
        let text = text(&shared);
        for line in [
            "millrace_viewer_events_received_total{topic=\"flow.open\"} 5",
            "millrace_viewer_events_lost_total{worker=\"0\"} 4",
            "millrace_viewer_events_lost_total{worker=\"1\"} 0",
            "millrace_viewer_store_events 5",
            "# TYPE millrace_viewer_clients gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
