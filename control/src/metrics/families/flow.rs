//! Metrics of packets and flows: what became of packets, which flows there are, what TCP had to do.
//!
//! Invariant: every drop reason and every close reason is there from the start, at 0.

use dataplane::drop::all_reasons;
use dataplane::report::Report;
use l3l4::{CloseReason, PathMtu};

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::Snapshot;

pub(super) const FAMILIES: &[Family] = &[
    family!(Counter "delivered_total" ["worker"] "packets",
        "Packets delivered: to flows, to neighbour discovery, to ICMP echo.",
        |s, out| out.workers(s, Report::delivered)),
    family!(Counter "drops_total" ["reason"] "packets", "Packets that went nowhere.",
    |s, out| for (index, (reason, _)) in all_reasons().enumerate() {
        out.count(&[reason], s.total(|r| r.drops.get(index).copied().unwrap_or(0)));
    }),
    family!(Gauge "flows" ["worker", "kind"] "flows",
    "Flows: `udp` and `tcp`, among the latter `half_open` and `connecting` in the handshake (that of a client, and that of an upstream leg), `stack` on a stack, `asleep` without one and with nothing under way.",
    |s, out| for (worker, report) in s.reports() {
        let (worker, gauges) = (worker.to_string(), &report.gauges);
        out.count(&[&worker, "tcp"], gauges.tcp_flows);
        out.count(&[&worker, "udp"], gauges.udp_flows);
        out.count(&[&worker, "half_open"], gauges.half_open);
        out.count(&[&worker, "connecting"], gauges.connecting);
        out.count(&[&worker, "stack"], gauges.stacks);
        out.count(&[&worker, "asleep"], gauges.asleep);
    }),
    family!(Gauge "flow_table_entries" ["worker"] "flows", "Places taken in the flow table, TIME-WAIT included.",
        |s, out| out.workers(s, |r| r.gauges.flows)),
    family!(Counter "flows_opened_total" ["protocol"] "flows", "Flows opened, by `tcp` and `udp`.",
    |s, out| {
        out.count(&["tcp"], s.total(|r| r.engine.tcp_opened));
        out.count(&["udp"], s.total(|r| r.engine.udp_opened));
    }),
    family!(Counter "flows_closed_total" ["reason"] "flows",
    "Flows ended: `finished`, `peer_reset`, `aborted`, `idle`, `user_timeout`, `half_open`, `evicted`, `slow_reader`, `slow_sender`, `keepalive` (no probe was answered), or of connections opened from here `refused` and `unanswered`.",
    |s, out| for (index, reason) in CloseReason::ALL.iter().enumerate() {
        out.count(&[reason.name()], s.total(|r| r.engine.closed.get(index).copied().unwrap_or(0)));
    }),
    family!(Counter "tcp_established_total" [] "flows", "TCP flows that finished their handshake.",
        |s, out| sum(s, out, |r| r.engine.tcp_established)),
    family!(Counter "tcp_connects_total" [] "flows", "TCP flows tried from here: upstream legs of proxies and health checks.",
        |s, out| sum(s, out, |r| r.engine.tcp_connects)),
    family!(Counter "tcp_keepalives_total" [] "segments", "Keepalive probes sent (`tcp.keepalive`).",
        |s, out| sum(s, out, |r| r.engine.keepalives_sent)),
    family!(Counter "udp_relay_refused_total" [] "packets",
        "Datagrams of proxied flows that could not be passed on: the other leg is gone, its link carries less, or no buffer.",
        |s, out| sum(s, out, |r| r.engine.udp_relay_refused)),
    family!(Counter "tcp_slept_total" [] "flows", "TCP flows that gave up their stack for having nothing to do.",
        |s, out| sum(s, out, |r| r.engine.tcp_slept)),
    family!(Counter "tcp_woken_total" [] "flows", "TCP flows without a stack that got one, for needing more than their record gives.",
        |s, out| sum(s, out, |r| r.engine.tcp_woken)),
    family!(Counter "syn_cookies_total" ["event"] "",
    "SYN cookies: `sent`, `accepted` (came back and opened a flow), `failed` (a segment of no flow that brought none back).",
    |s, out| {
        out.count(&["sent"], s.total(|r| r.engine.syn_cookies_sent));
        out.count(&["accepted"], s.total(|r| r.engine.syn_cookies_accepted));
        out.count(&["failed"], s.total(|r| r.engine.syn_cookies_failed));
    }),
    family!(Counter "tcp_retransmits_total" [] "segments", "TCP segments sent again.",
        |s, out| sum(s, out, |r| r.engine.tcp_retransmits)),
    family!(Counter "tcp_recovery_total" ["event"] "",
    "With `tcp.congestion` `cubic` or `reno`: segments sent again because acknowledgments showed their loss (`fast`), as a `probe` of the tail, and after a `timeout`; timeouts themselves (`expired`), retransmissions that proved needless (`spurious`), and flights too ragged to be remembered exactly (`short`).",
    |s, out| {
        out.count(&["fast"], s.total(|r| r.engine.tcp_fast_retransmits));
        out.count(&["probe"], s.total(|r| r.engine.tcp_tail_probes));
        out.count(&["timeout"], s.total(|r| r.engine.tcp_timeout_retransmits));
        out.count(&["expired"], s.total(|r| r.engine.tcp_timeouts));
        out.count(&["spurious"], s.total(|r| r.engine.tcp_spurious));
        out.count(&["short"], s.total(|r| r.engine.tcp_scoreboard_short));
    }),
    family!(Counter "tcp_path_mtu_errors_total" ["outcome"] "packets",
    "ICMP errors that said a TCP segment was too big for its path: `lowered` the segments of a flow; or were ignored: `off` (`tcp.path_mtu_discovery`), `no_flow`, `half_open`, `out_of_window` (what they quote is not under way), `below_minimum` (`tcp.min_path_mtu`), `not_smaller` than what the flow sends.",
    |s, out| for (index, outcome) in PathMtu::ALL.iter().enumerate() {
        out.count(&[outcome.name()], s.total(|r| r.engine.path_mtu.get(index).copied().unwrap_or(0)));
    }),
    family!(Counter "tcp_path_mtu_cache_total" ["event"] "",
    "Path MTUs kept for the next flow to the same peer: `used` by one, `displaced` by a newer one before their 10 minutes were over.",
    |s, out| {
        out.count(&["used"], s.total(|r| r.engine.path_mtu_remembered));
        out.count(&["displaced"], s.total(|r| r.engine.path_mtu_displaced));
    }),
    family!(Counter "tcp_rst_sent_total" [] "segments", "TCP resets sent.",
        |s, out| sum(s, out, |r| r.engine.rst_sent)),
    family!(Counter "tcp_challenge_acks_total" [] "segments", "Challenge ACKs sent (RFC 5961).",
        |s, out| sum(s, out, |r| r.engine.challenge_acks)),
    family!(Counter "tcp_fin_deferred_total" [] "segments",
        "FINs left for the peer to send again because they lay beyond the window.",
        |s, out| sum(s, out, |r| r.engine.fin_deferred)),
    family!(Counter "tcp_received_bytes_total" [] "bytes", "Payload received in order over TCP.",
        |s, out| sum(s, out, |r| r.engine.tcp_bytes_in)),
    family!(Counter "tcp_sent_bytes_total" [] "bytes", "Payload written by applications over TCP.",
        |s, out| sum(s, out, |r| r.engine.tcp_bytes_out)),
    family!(Counter "icmp_sent_total" [] "packets", "ICMP and ICMPv6 errors sent.",
        |s, out| sum(s, out, |r| r.engine.icmp_sent)),
    family!(Counter "icmp_echoes_total" [] "packets", "Echo requests answered.",
        |s, out| sum(s, out, |r| r.counters.icmp_echoes)),
    family!(Counter "rate_limited_total" [] "packets",
        "TCP resets, challenge ACKs and ICMP errors not sent because of their rate limits.",
        |s, out| sum(s, out, |r| r.engine.rate_limited)),
    family!(Counter "reassembled_total" [] "packets", "Datagrams put together from fragments.",
        |s, out| sum(s, out, |r| r.counters.reassembled)),
    family!(Gauge "fragments_held" ["worker"] "packets", "Fragments that wait for the rest of their datagram.",
        |s, out| out.workers(s, |r| r.gauges.fragments_held)),
    family!(Counter "neighbour_replies_total" [] "packets", "ARP requests and neighbour solicitations answered.",
        |s, out| sum(s, out, |r| r.counters.neighbour_replies)),
    family!(Counter "neighbour_probes_total" [] "packets", "ARP requests and neighbour solicitations sent.",
        |s, out| sum(s, out, |r| r.counters.neighbour_probes)),
    family!(Gauge "neighbours" ["state"] "neighbours",
    "Places in the neighbour table: `known`, `asking` (no answer yet) and `free`.",
    |s, out| {
        let numbers = &s.neighbours;
        out.count(&["known"], numbers.entries.saturating_sub(numbers.asking));
        out.count(&["asking"], numbers.asking);
        out.count(&["free"], numbers.capacity.saturating_sub(numbers.entries));
    }),
    family!(Counter "neighbour_events_total" ["event"] "",
    "What became of neighbours: `learned`, `changed` address, `challenged` (a different address not taken on trust), `refused` for want of room, `evicted` to make room, `expired`.",
    |s, out| {
        let numbers = &s.neighbours;
        out.count(&["learned"], numbers.learned);
        out.count(&["changed"], numbers.changed);
        out.count(&["challenged"], numbers.challenged);
        out.count(&["refused"], numbers.refused);
        out.count(&["evicted"], numbers.evicted);
        out.count(&["expired"], numbers.expired);
    }),
];

fn sum(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&Report) -> u64) {
    out.count(&[], snapshot.total(number));
}
