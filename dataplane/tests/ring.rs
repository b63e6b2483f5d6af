//! A port that hears itself (net_ring), whose driver does not say by which port a packet came in, beside a port that
//! never takes a packet (net_memif without its other end).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use support::wire::{self, ACK, SYN, Segment, be32, four};
use support::{CHARGEN, Line, Scratch, addr, drops, end, settings};

#[test]
fn a_port_that_is_stuck_holds_back_no_other() {
    let scratch = Scratch::new();
    let (line, device) = Line::new(&scratch, "net_pcap0");
    let memif =
        format!("net_memif0,role=server,socket={},socket-abstract=no", scratch.path("memif").display());
    let mut settings = settings(&[device, "net_ring0".into(), memif]);
    for (number, port) in settings.ports.iter_mut().enumerate().skip(1) {
        port.networks[0].addresses = vec![(addr(&format!("10.6{number}.1.1")), 16)];
    }
    // More announcements than can wait at the port that takes none.
    settings.ports[2].networks[0].addresses =
        (0..300).map(|n| (addr(&format!("10.62.{}.{}", n / 200, 1 + n % 200)), 16)).collect();
    let (dataplane, mut line) = (Dataplane::start(settings).unwrap(), line);

    let base = Segment { from: 5001, to: CHARGEN, ..Segment::default() };
    let answer =
        line.ask(&[wire::frame(&wire::tcp(four(), Segment { seq: 9, flags: SYN, ..base }))]).remove(0);
    let ack = be32(answer.l4(), 4).wrapping_add(1);
    line.send(&[wire::frame(&wire::tcp(four(), Segment { seq: 10, ack, flags: ACK, ..base }))]);
    let mut received = 0;
    line.report_when(&dataplane, |report| report.ports[2].tx_dropped >= 40);
    line.send(&[wire::frame(&wire::tcp(four(), Segment { seq: 10, ack, flags: ACK, ..base }))]);
    let start = std::time::Instant::now();
    // A first flight, which nobody acknowledges.
    while received < 2000 {
        assert!(start.elapsed() < support::PATIENCE, "only {received} bytes came");
        line.send(&[]);
        received += line
            .new_frames()
            .iter()
            .filter(|s| s.protocol() == wire::TCP)
            .map(|s| s.data().len())
            .sum::<usize>();
    }
    line.report_when(&dataplane, |report| report.ports[1].rx_packets > 0);
    line.hang_up();
    let summary = end(dataplane);
    let report = &summary.reports[0];
    assert_eq!(drops(&summary)["arp_sender"], report.ports[1].rx_packets, "our own announcements");
    assert_eq!((report.ports[2].tx_packets, report.ports[2].tx_dropped), (0, 300));
}
