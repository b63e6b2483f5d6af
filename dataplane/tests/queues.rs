//! A port with a queue for each worker that spreads flows as it likes: a segment of no flow here is passed round
//! once, whole or put together from fragments; and long frames.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use dataplane::settings::Steering;
use support::wire::{self, ACK, RST, Segment, Sent, ends, four, six};
use support::{
    ECHO, PATIENCE, Scratch, WEB, drops, end, is_announcement, read_capture, settings, write_capture,
};

#[test]
fn strays_are_passed_round_once_and_long_frames_are_served() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    let stray = |from, flags, data| {
        let segment = Segment { from, to: WEB, seq: 5, ack: 77, flags, data, ..Segment::default() };
        wire::tcp(ends("10.64.0.9", "10.64.0.2"), segment)
    };
    let first = vec![wire::frame(&stray(1, ACK, b"")), wire::frame(&stray(2, RST, b""))];
    // A segment in three fragments, with a VLAN-free header to be written anew.
    let whole = stray(3, ACK, &[7; 1000]);
    let mut second: Vec<_> =
        wire::cut(four(), wire::TCP, &whole[20..], 9, 400).iter().map(|piece| wire::frame(piece)).collect();
    let long: Vec<u8> = (0..8900u32).map(|i| (i % 253) as u8).collect();
    second.push(wire::frame(&wire::udp(four(), 4000, ECHO, &long)));
    second.push(wire::frame(&wire::udp(six(), 4000, ECHO, &long)));
    write_capture(&path("a"), &first);
    write_capture(&path("b"), &second);
    let device = format!(
        "net_pcap0,rx_pcap={},rx_pcap={},tx_pcap={},tx_pcap={}",
        path("a").display(),
        path("b").display(),
        path("c").display(),
        path("d").display()
    );
    let mut settings = settings(&[device]);
    settings.cpus = vec![0, 1];
    settings.ports[0].mtu = 9000;
    let dataplane = Dataplane::start(settings).unwrap();
    assert_eq!(dataplane.ports()[0].steering, Steering::Queue);
    let start = std::time::Instant::now();
    let answers = loop {
        let frames = [read_capture(&path("c")), read_capture(&path("d"))].concat();
        let sent = frames.iter().map(|frame| Sent::read(frame)).filter(|sent| !is_announcement(sent));
        let sent: Vec<_> = sent.collect();
        if sent.len() >= 4 {
            break sent;
        }
        assert!(start.elapsed() < PATIENCE, "{sent:?}");
    };
    let (resets, echoes): (Vec<_>, Vec<_>) = answers.iter().partition(|sent| sent.protocol() == wire::TCP);
    assert!(resets.iter().all(|sent| sent.flags() == RST) && resets.len() == 2);
    assert!(echoes.iter().all(|sent| sent.data() == long) && echoes.len() == 2);
    let summary = end(dataplane);
    let [a, b] = [0, 1].map(|n| summary.reports[n].counters);
    assert_eq!((a.passed_on, b.passed_on), (2, 1));
    assert_eq!((a.steered_in, b.steered_in), (1, 2), "and no further");
    assert_eq!(drops(&summary), [("tcp_no_flow", 2), ("tcp_rst_no_flow", 1)].into_iter().collect());
}
