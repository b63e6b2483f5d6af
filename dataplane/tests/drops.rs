//! Every reason to drop a packet, raised by the packets made for it, and by no others.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use dataplane::drop::{DropReason, all_reasons};
use dataplane::settings::SynCookies;
use std::collections::BTreeMap;
use std::time::Duration;
use support::cases::{self, Case};
use support::wire::{self, SYN, Segment, ends, six};
use support::{ECHO, Line, Scratch, WEB, drops, end, settings};

/// Limits of the engine: of two half-open connections and two UDP flows, the third is refused.
fn limit_cases() -> Vec<Case> {
    let syn =
        |from| wire::frame(&wire::tcp(six(), Segment { from, to: WEB, flags: SYN, ..Segment::default() }));
    let udp = |from| wire::frame(&wire::udp(six(), from, ECHO, b"x"));
    vec![
        ("half_open_limit", vec![syn(2001), syn(2002), syn(2003)]),
        ("flow_limit", vec![udp(2001), udp(2002), udp(2003)]),
    ]
}

#[test]
fn every_packet_is_dropped_under_its_own_name() {
    let scratch = Scratch::new();
    let (line, device) = Line::new(&scratch, "net_pcap0");
    let mut settings = settings(&[device]);
    settings.limits.half_open = 2;
    settings.syn_cookies = SynCookies::Off;
    settings.limits.udp_flows = 2;
    settings.fragment_timeout = Duration::from_millis(200);
    let (dataplane, mut line) = (Dataplane::start(settings).unwrap(), line);
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    let mut delivered = 0;
    for (name, frames) in cases::all() {
        *expected.entry(name).or_default() += frames.len() as u64;
        line.send(&frames);
    }
    for (name, frames) in limit_cases() {
        *expected.entry(name).or_default() += 1;
        delivered += frames.len() as u64 - 1;
        line.send(&frames);
    }
    // Five datagrams of one source that never end: half of the places are for one source.
    let open =
        |id| wire::frame(&wire::fragment(ends("10.64.0.33", "10.64.0.2"), wire::UDP, &[0; 16], id, 0, true));
    line.report_when(&dataplane, |report| report.gauges.fragments_held == 0);
    line.send(&[open(100), open(101), open(102), open(103), open(104)]);
    expected.insert("fragment_limit", 1);
    expected.insert("fragment_timeout", 4);
    line.report_when(&dataplane, |report| report.drops[DropReason::FragmentTimeout.index()] == 4);
    *expected.entry("not_our_mac").or_default() += line.padding;
    line.hang_up();
    let summary = end(dataplane);
    let got = drops(&summary);
    for (name, _) in all_reasons() {
        assert_eq!(got.get(name), expected.get(name), "{name}");
    }
    assert_eq!(summary.reports[0].delivered(), delivered);
    assert_eq!(summary.reports[0].ports[0].rx_packets, line.written);
}
