//! Turns of one worker over a capture that is played without end, for counting instructions per packet: run under
//! callgrind twice, for different numbers of packets, and divide the differences (`scripts/bench-turn`).
//!
//! Usage: turn SCENARIO PACKETS. Prints how many packets were handled. Scenarios: `unmatched` (UDP and TCP SYN to
//! ports without a service), `echo` (UDP, with its answers), `flood` (SYNs, dropped at the half-open limit).
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use dataplane::appliance::Dataplane;
use dataplane::report::Report;
use std::time::Duration;
use support::wire::{self, SYN, Segment, ends};
use support::{ECHO, Scratch, WEB, settings, write_capture};

/// Frames of 60 bytes from 256 clients.
fn frames(scenario: &str) -> Vec<Vec<u8>> {
    let one = |n: u16| {
        let ends = ends(&format!("10.64.0.{}", 10 + n % 200), "10.64.0.2");
        let syn = |to| wire::tcp(ends, Segment { from: 1024 + n, to, flags: SYN, ..Segment::default() });
        wire::frame(&match (scenario, n % 2) {
            ("unmatched", 0) => syn(9998),
            ("unmatched", _) => wire::udp(ends, 1024 + n, 9999, &[b'x'; 18]),
            ("echo", _) => wire::udp(ends, 1024 + n, ECHO, &[b'x'; 18]),
            ("flood", _) => syn(WEB),
            _ => panic!("no scenario {scenario}: unmatched, echo or flood"),
        })
    };
    (0..256).map(one).collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let scenario = arguments.next().unwrap_or_else(|| "unmatched".into());
    let packets: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let scratch = Scratch::new();
    let from = scratch.path("in.pcap");
    write_capture(&from, &frames(&scenario));
    let mut settings = settings(&[format!("net_pcap0,rx_pcap={},infinite_rx=1", from.display())]);
    settings.limits.half_open = 1;
    settings.max_sleep = Duration::ZERO;
    let dataplane = Dataplane::start(settings).unwrap();
    let outlook = &dataplane.workers()[0].outlook;
    let mut held: Option<Box<Report>> = None;
    while held.as_ref().is_none_or(|report| report.rx_packets() < packets) {
        held = outlook.collect(held.take());
        std::thread::sleep(Duration::from_millis(2));
    }
    let summary = dataplane.stop();
    let report = &summary.reports[0];
    assert_eq!(report.rx_packets(), report.delivered() + report.dropped());
    println!("{} packets", report.rx_packets());
}
