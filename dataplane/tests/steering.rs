//! Two workers over one queue: every packet finds the worker that owns its flow, by the Toeplitz hash, fragments
//! too, and nothing is lost on the way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use dataplane::mailbox::{Command, FlowFilter};
use dataplane::settings::Steering;
use dataplane::steer::{Reta, SYMMETRIC_KEY, Toeplitz};
use std::collections::HashSet;
use std::sync::mpsc::sync_channel;
use support::wire::{self, SYN, Segment, Sent, ends, four, six};
use support::{
    ECHO, PATIENCE, Scratch, WEB, end, is_announcement, read_capture, settings, watch, write_capture,
};

#[test]
fn every_flow_is_with_its_owner() {
    let scratch = Scratch::new();
    let (from, out) = (scratch.path("in.pcap"), scratch.path("out.pcap"));
    let mut frames = Vec::new();
    for n in 0..100u16 {
        for round in 0..3u8 {
            let ends = ends(&format!("10.64.0.{}", 10 + n % 50), "10.64.0.2");
            frames.push(wire::frame(&wire::udp(ends, 3000 + n, ECHO, &[round; 30])));
        }
        let syn = Segment { from: 9000 + n, to: WEB, seq: 1, flags: SYN, ..Segment::default() };
        frames.push(wire::frame(&wire::tcp(if n % 2 == 0 { four() } else { six() }, syn)));
    }
    // In fragments, from the ports of flows that are there already, and one too long for a buffer.
    let mut wholes = 0;
    for n in (0..100u16).step_by(7) {
        let ends = ends(&format!("10.64.0.{}", 10 + n % 50), "10.64.0.2");
        let datagram = wire::datagram(ends, 3000 + n, ECHO, &[9; 900]);
        frames.extend(wire::cut(ends, wire::UDP, &datagram, n, 504).iter().map(|piece| wire::frame(piece)));
        wholes += 1;
    }
    write_capture(&from, &frames);
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", from.display(), out.display());
    let mut settings = settings(&[device]);
    settings.cpus = vec![0, 1];
    settings.limits.half_open = 512;
    let dataplane = Dataplane::start(settings).unwrap();
    assert_eq!(dataplane.ports()[0].steering, Steering::Software);
    let answers = 100 * 3 + 100 + wholes;
    let start = std::time::Instant::now();
    let sent = loop {
        let sent: Vec<Sent> = read_capture(&out).iter().map(|frame| Sent::read(frame)).collect();
        let sent: Vec<Sent> = sent.into_iter().filter(|sent| !is_announcement(sent)).collect();
        if sent.len() >= answers {
            break sent;
        }
        assert!(start.elapsed() < PATIENCE, "{} of {answers} answers", sent.len());
    };
    assert_eq!(sent.len(), answers);
    let to: HashSet<_> = sent.iter().map(|sent| (sent.ends(), sent.ports(), sent.protocol())).collect();
    assert_eq!(to.len(), 200, "one flow for each");

    let (toeplitz, reta) = (Toeplitz::new(&SYMMETRIC_KEY).unwrap(), Reta::spread(2));
    let mut all = 0;
    for (number, worker) in (0u16..).zip(dataplane.workers()) {
        let (answer, list) = sync_channel(1);
        let asked = Command::Flows { filter: FlowFilter::default(), most: 1000, answer };
        assert!(worker.mailbox.send(asked).is_ok());
        let flows = list.recv_timeout(PATIENCE).unwrap();
        assert!(flows.len() > 50, "the hash spreads flows");
        all += flows.len();
        for flow in flows {
            assert_eq!(reta.owner(toeplitz.hash(&flow.key), 2), number, "{}", flow.key);
            assert_eq!(flow.worker, number);
        }
    }
    assert_eq!(all, 200);
    watch(&dataplane, 0, |report| report.rx_packets() == frames.len() as u64);
    let summary = end(dataplane);
    let [first, second] = &summary.reports[..] else { panic!("two workers") };
    assert_eq!(second.rx_packets(), 0, "there is one queue");
    assert!(first.counters.steered_out > 100);
    let counters = [first.counters, second.counters];
    assert_eq!(
        counters.iter().map(|c| c.steered_out).sum::<u64>(),
        counters.iter().map(|c| c.steered_in).sum::<u64>()
    );
    assert_eq!(counters.iter().map(|c| c.reassembled).sum::<u64>(), wholes as u64);
    assert_eq!(first.dropped() + second.dropped(), 0);
}
