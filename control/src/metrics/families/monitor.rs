//! Metrics of observation: connections followed, messages read in them.
//!
//! Invariant: every byte of a stream that was seen is counted as delivered, sent again, or thrown away under a name;
//! nothing is labelled with an address.

use dataplane::observe::{FollowCounters, HttpCounters};
use reassembly::{Cause, End};

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::Snapshot;

pub(super) const FAMILIES: &[Family] = &[
    family!(Gauge "monitor_flows" ["worker"] "connections",
        "Connections followed, those remembered for a while after their end among them.",
        |s, out| out.workers(s, |r| r.observing.flows)),
    family!(Gauge "monitor_half_open" ["worker"] "connections", "Those of them whose handshake is not complete.",
        |s, out| out.workers(s, |r| r.observing.half_open)),
    family!(Gauge "monitor_observed" ["worker"] "connections",
        "Connections that end here and are observed (`observe`).", |s, out| out.workers(s, |r| r.observing.taps)),
    family!(Counter "monitor_observe_refused_total" ["worker"] "",
        "Times a connection that ends here was not observed because `monitor.flows` were already.",
        |s, out| out.workers(s, |r| r.observed.taps_refused)),
    family!(Gauge "monitor_held" ["worker"] "segments", "Segments held because something before them is missing.",
        |s, out| out.workers(s, |r| r.observing.held)),
    family!(Counter "monitor_segments_total" ["worker"] "segments", "Segments of connections that are followed.",
        |s, out| follow(s, out, |c| c.segments)),
    family!(Counter "monitor_bytes_total" ["worker"] "bytes", "Bytes of streams put together.",
        |s, out| follow(s, out, |c| c.bytes)),
    family!(Counter "monitor_opened_total" ["worker"] "connections", "Connections seen for the first time.",
        |s, out| follow(s, out, |c| c.opened)),
    family!(Counter "monitor_midstream_total" ["worker"] "connections",
        "Those of them whose beginning was not seen.", |s, out| follow(s, out, |c| c.midstream)),
    family!(Counter "monitor_closed_total" ["worker", "reason"] "connections",
    "Connections followed no longer: `fin`, `reset`, `idle`, `half_open` (the handshake was not completed in time), `reused` (their addresses and ports), `evicted` (a limit), `shutdown`.",
    |s, out| for (worker, report) in s.reports() {
        for end in End::ALL {
            out.count(&[&worker.to_string(), end.name()], report.observed.follow.closed[end as usize]);
        }
    }),
    family!(Counter "monitor_evicted_total" ["worker", "limit"] "connections",
    "Connections given up for `monitor.flows` or `monitor.half_open`.",
    |s, out| for (worker, report) in s.reports() {
        let follow = &report.observed.follow;
        out.count(&[&worker.to_string(), "flows"], follow.evicted_flows);
        out.count(&[&worker.to_string(), "half_open"], follow.evicted_half_open);
    }),
    family!(Counter "monitor_gaps_total" ["worker", "cause"] "gaps",
    "Gaps in streams: the other side acknowledged what was not seen (`acked`), too much waited behind the hole (`limit`), it was open for too long (`age`), the connection ended (`close`).",
    |s, out| for (worker, report) in s.reports() {
        for cause in Cause::ALL {
            out.count(&[&worker.to_string(), cause.name()], report.observed.follow.gaps[cause as usize]);
        }
    }),
    family!(Counter "monitor_gap_bytes_total" ["worker"] "bytes", "Bytes in gaps.",
        |s, out| follow(s, out, |c| c.gap_bytes)),
    family!(Counter "monitor_out_of_order_total" ["worker"] "segments", "Segments that came before their turn.",
        |s, out| follow(s, out, |c| c.out_of_order)),
    family!(Counter "monitor_retransmitted_bytes_total" ["worker"] "bytes", "Payload that had been seen before.",
        |s, out| follow(s, out, |c| c.retransmitted)),
    family!(Counter "monitor_conflict_bytes_total" ["worker"] "bytes",
        "Bytes in which overlapping segments differed while both were at hand: a sign of tampering.",
        |s, out| follow(s, out, |c| c.conflicts)),
    family!(Counter "monitor_keepalives_total" ["worker"] "segments", "Keepalive probes.",
        |s, out| follow(s, out, |c| c.keepalives)),
    family!(Counter "monitor_held_limit_total" ["worker"] "",
        "Times a hole was given up because too many segments were held.", |s, out| follow(s, out, |c| c.held_limit)),
    family!(Counter "monitor_out_of_window_total" ["worker"] "segments",
        "Segments whose numbers cannot belong to their connection.", |s, out| follow(s, out, |c| c.out_of_window)),
    family!(Counter "monitor_http_messages_total" ["worker", "kind"] "messages",
    "Heads of HTTP messages: `request`, `response`, `interim` (1xx).",
    |s, out| for (worker, report) in s.reports() {
        let http = &report.observed.http;
        for (kind, count) in [("request", http.requests), ("response", http.responses), ("interim", http.interim)] {
            out.count(&[&worker.to_string(), kind], count);
        }
    }),
    family!(Counter "monitor_http_incomplete_total" ["worker"] "messages",
        "Messages that ended before they were complete.", |s, out| http(s, out, |c| c.incomplete)),
    family!(Counter "monitor_http_unmatched_total" ["worker"] "messages", "Responses to no request that was seen.",
        |s, out| http(s, out, |c| c.unmatched)),
    family!(Counter "monitor_http_upgrades_total" ["worker"] "connections",
        "Connections that left HTTP by an upgrade or a tunnel.", |s, out| http(s, out, |c| c.upgrades)),
    family!(Counter "monitor_http_unreadable_total" ["worker", "reason"] "",
    "Times a stream could not be read as HTTP any more: `gap`, `head` (not well-formed), `head_length`, `headers` (too many fields), `length` (of the body cannot be told), `chunk` (not well-formed), `memory` (`monitor.http_memory`), `not_http` (given up for good).",
    |s, out| for (worker, report) in s.reports() {
        let http = &report.observed.http;
        let reasons = [
            ("gap", http.lost_in_gaps),
            ("head", http.bad_heads),
            ("head_length", http.heads_too_long),
            ("headers", http.too_many_headers),
            ("length", http.bad_lengths),
            ("chunk", http.bad_chunks),
            ("memory", http.refused_memory),
            ("not_http", http.given_up),
        ];
        for (reason, count) in reasons {
            out.count(&[&worker.to_string(), reason], count);
        }
    }),
    family!(Counter "monitor_http_resyncs_total" ["worker"] "messages",
        "Messages found after looking for one.", |s, out| http(s, out, |c| c.resyncs)),
    family!(Counter "monitor_http_pipeline_overflows_total" ["worker"] "messages",
        "Requests beyond `monitor.http_pipeline` waiting for their responses.",
        |s, out| http(s, out, |c| c.pipeline_overflows)),
    family!(Gauge "monitor_http_held_bytes" ["worker"] "bytes", "Memory of heads that came in pieces.",
        |s, out| out.workers(s, |r| r.observing.http_held)),
];

fn follow(snapshot: &Snapshot, out: &mut Samples, counter: fn(&FollowCounters) -> u64) {
    for (worker, report) in snapshot.reports() {
        out.count(&[&worker.to_string()], counter(&report.observed.follow));
    }
}

fn http(snapshot: &Snapshot, out: &mut Samples, counter: fn(&HttpCounters) -> u64) {
    for (worker, report) in snapshot.reports() {
        out.count(&[&worker.to_string()], counter(&report.observed.http));
    }
}
