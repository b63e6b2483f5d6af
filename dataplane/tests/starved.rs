//! A flood and a pool far too small: packets are lost under a name, nothing crashes, every buffer comes back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use dataplane::settings::SynCookies;
use support::wire::{self, SYN, Segment, four, six};
use support::{ECHO, Scratch, WEB, drops, end, settings, watch, write_capture};

#[test]
fn a_flood_into_a_small_pool_loses_packets_and_nothing_else() {
    let scratch = Scratch::new();
    let from = scratch.path("flood.pcap");
    let frames: Vec<Vec<u8>> = (0..64u16)
        .flat_map(|n| {
            let syn = Segment { from: 1000 + n, to: WEB, seq: 9, flags: SYN, ..Segment::default() };
            let piece = wire::fragment(four(), wire::UDP, &[0; 64], n, 0, true);
            [wire::tcp(four(), syn), wire::udp(six(), 1000 + n, ECHO, &[1; 200]), piece]
        })
        .map(|packet| wire::frame(&packet))
        .collect();
    write_capture(&from, &frames);
    let mut settings = settings(&[format!("net_pcap0,rx_pcap={},infinite_rx=1", from.display())]);
    // The playing port keeps one for each frame of its capture; a burst leaves 8 to answer with.
    settings.mbufs = frames.len() as u32 + 32 + 8;
    settings.mbuf_cache = 0;
    settings.limits.half_open = 8;
    settings.syn_cookies = SynCookies::Off;
    settings.fragments = 4;
    let dataplane = Dataplane::start(settings).unwrap();
    watch(&dataplane, 0, |report| report.rx_packets() > 1_000_000);
    let stats = dataplane.ports()[0].handle.stats().unwrap();
    let summary = end(dataplane);
    let report = &summary.reports[0];
    assert!(report.rx_packets() > 1_000_000 && report.delivered() > 0);
    assert!(
        stats.rx_nombuf + report.counters.tx_nobuf > 0,
        "the playing port alone takes more buffers than there are"
    );
    assert!(drops(&summary)["half_open_limit"] > 0);
}
