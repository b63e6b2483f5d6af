//! What control asks of a worker: lists of flows, other services, an orderly end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use dataplane::mailbox::{Command, FlowFilter, FlowView};
use dataplane::settings::Services;
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, sync_channel};
use support::wire::{self, ACK, RST, SYN, Segment, UDP, be32, four, six};
use support::{DISCARD, ECHO, Line, Scratch, WEB, addr, drops, end, rule, services, settings};

fn list(line: &mut Line, dataplane: &Dataplane, filter: FlowFilter, most: usize) -> Vec<FlowView> {
    let (answer, flows) = sync_channel(1);
    let asked = Command::Flows { filter, most, answer };
    assert!(dataplane.workers()[0].mailbox.send(asked).is_ok());
    let mut got = None;
    line.turn_until(|| {
        match flows.try_recv() {
            Ok(flows) => got = Some(flows),
            Err(why) => assert_eq!(why, TryRecvError::Empty, "the list was not dropped"),
        }
        got.is_some()
    });
    got.unwrap()
}

/// Opens a connection; returns our and the peer's next sequence number.
fn connect(line: &mut Line, from: u16, to: u16) -> (u32, u32) {
    let base = Segment { from, to, ..Segment::default() };
    let answer =
        line.ask(&[wire::frame(&wire::tcp(four(), Segment { seq: 9, flags: SYN, ..base }))]).remove(0);
    let isn = be32(answer.l4(), 4).wrapping_add(1);
    line.send(&[wire::frame(&wire::tcp(four(), Segment { seq: 10, ack: isn, flags: ACK, ..base }))]);
    (10, isn)
}

fn say(line: &mut Line, (from, to): (u16, u16), (seq, ack): (u32, u32), data: &[u8]) {
    let segment = Segment { from, to, seq, ack, flags: ACK, data, ..Segment::default() };
    line.send(&[wire::frame(&wire::tcp(four(), segment))]);
}

/// Services where what was echo discards.
fn exchanged() -> Services {
    let mut other = services(2);
    other.services[1] = other.services[3].clone();
    other.policy = dataplane::policy::Policy::new(vec![rule(
        1,
        None,
        ECHO,
        dataplane::policy::Action::Terminate { application: 1 },
    )]);
    other
}

#[test]
fn control_is_obeyed_and_running_flows_keep_their_service() {
    let scratch = Scratch::new();
    let (line, device) = Line::new(&scratch, "net_pcap0");
    let (dataplane, mut line) = (Dataplane::start(settings(&[device])).unwrap(), line);
    let send = |command| assert!(dataplane.workers()[0].mailbox.send(command).is_ok());

    let (mut seq, mut ack) = connect(&mut line, 5001, ECHO);
    connect(&mut line, 5002, WEB);
    line.ask(&[
        wire::frame(&wire::udp(four(), 4001, ECHO, b"x")),
        wire::frame(&wire::udp(six(), 4002, ECHO, b"x")),
    ]);
    line.send(&[wire::frame(&wire::udp(four(), 4003, DISCARD, b"lost"))]);

    let everything = FlowFilter::default;
    let mut count = |filter, most| list(&mut line, &dataplane, filter, most).len();
    assert_eq!((count(everything(), 100), count(everything(), 2), count(everything(), 0)), (5, 2, 0));
    assert_eq!(count(FlowFilter { protocol: Some(l3l4::Protocol(UDP)), ..everything() }, 9), 3);
    assert_eq!(count(FlowFilter { port: Some(5002), ..everything() }, 9), 1);
    assert_eq!(count(FlowFilter { address: Some(addr("fd00:64::9")), ..everything() }, 9), 1);
    assert_eq!(count(FlowFilter { service: Some(1), ..everything() }, 9), 3);
    assert_eq!(count(FlowFilter { state: Some("established".into()), ..everything() }, 9), 2);
    let echo = list(&mut line, &dataplane, FlowFilter { port: Some(4003), ..everything() }, 9).remove(0);
    assert_eq!((echo.bytes_in, echo.bytes_out, echo.service, echo.state), (4, 0, 3, "UDP"));
    // Two at once: both are answered.
    let (first, second) = (sync_channel(1), sync_channel(1));
    for (answer, _) in [&first, &second] {
        send(Command::Flows { filter: everything(), most: 9, answer: answer.clone() });
    }
    for (answer, flows) in [first, second] {
        drop(answer);
        let mut got = None;
        line.turn_until(|| {
            got = got.take().or(flows.try_recv().ok());
            got.is_some()
        });
        assert_eq!(got.unwrap().len(), 5);
    }

    for version in 2..5 {
        send(Command::Services(Arc::new(Services { version, ..exchanged() })));
        line.report_when(&dataplane, |report| report.gauges.policy_version == version);
        // Old flows echo still, over TCP and UDP; new ones are discarded, and the web is gone.
        say(&mut line, (5001, ECHO), (seq, ack), b"still there?");
        let answer = line.expect(1).remove(0);
        assert_eq!(answer.data(), b"still there?");
        (seq, ack) = (seq + 12, ack.wrapping_add(12));
        let old = line.ask(&[wire::frame(&wire::udp(four(), 4001, ECHO, b"old"))]).remove(0);
        assert_eq!(old.data(), b"old");
        line.send(&[wire::frame(&wire::udp(four(), 4100 + version as u16, ECHO, b"new"))]);
        let syn = Segment { from: 5003, to: WEB, seq: 9, flags: SYN, ..Segment::default() };
        line.send(&[wire::frame(&wire::tcp(four(), syn))]);
    }
    say(&mut line, (5001, ECHO), (seq, ack), b"");

    send(Command::Drain);
    line.report_when(&dataplane, |_| true);
    let syn = Segment { from: 5004, to: ECHO, seq: 9, flags: SYN, ..Segment::default() };
    line.send(&[wire::frame(&wire::udp(four(), 4200, ECHO, b"late")), wire::frame(&wire::tcp(four(), syn))]);
    let refused = line.expect(1).remove(0);
    assert_eq!((refused.flags() & RST, refused.ports().1), (RST, 5004));
    assert_eq!(line.ask(&[wire::frame(&wire::udp(four(), 4001, ECHO, b"old"))]).len(), 1, "old flows go on");

    send(Command::Abort);
    line.report_when(&dataplane, |report| report.gauges.flows == 0);
    let resets = line.expect(2);
    assert!(resets.iter().all(|sent| sent.flags() & RST != 0), "both connections are told");
    line.hang_up();
    let summary = end(dataplane);
    let got = drops(&summary);
    assert_eq!((got["draining"], got["no_service"]), (2, 3));
}
