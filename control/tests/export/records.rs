//! Records as workers write them.

use std::net::SocketAddr;
use std::sync::Arc;

use control::export::{Assembler, Bounds, Event, Names};
use dataplane::event::{Flow, Framing, Message, Origin, Part, Record};
use reassembly::{Direction, End, Sent, State, Summary};

pub(crate) use Direction::{Client, Server};

/// A flow of its service and port number 0.
pub(crate) fn flow(id: u64) -> Flow {
    Flow {
        id,
        client: SocketAddr::from(([10, 0, 0, 1], 4242)),
        server: SocketAddr::from(([10, 0, 0, 2], 80)),
        service: 0,
        ingress: 0,
        vlan: 0,
        origin: Origin::Monitor,
    }
}

/// A message with a body of so many bytes, all there.
pub(crate) fn message(direction: Direction, exchange: u32, head: usize, body: usize) -> Message {
    Message {
        direction,
        exchange,
        offset: 0,
        begin: 100,
        framing: if body == 0 { Framing::None } else { Framing::Length },
        head_length: head as u32,
        body_length: body as u64,
        body_lost: 0,
        body_missing: 0,
        complete: true,
        resync: false,
        upgrade: false,
        request: None,
    }
}

pub(crate) fn summary(end: End, samples: u64) -> Summary {
    let sent =
        Sent { packets: 4, bytes: 1000, rtt_samples: samples, rtt_sum: 9 * samples, ..Sent::default() };
    Summary {
        end,
        states: [State::TimeWait, State::Closed],
        duration: 1_000_000,
        handshake_rtt: (samples > 0).then_some(500),
        sent: [sent, sent],
    }
}

pub(crate) fn record(id: u64, time: u64, part: Part) -> Record {
    let sequence = u64::from(part.completes().is_some()) * time;
    Record { flow: flow(id), time, sequence, dropped: 3, part }
}

pub(crate) fn assembler(body: usize, memory: usize) -> Assembler {
    let names = Names::new(["web"], ["lan"]);
    Assembler::new(Arc::from("0123456789abcdef"), names, Bounds { body, memory })
}

/// The event of a record that completes one.
pub(crate) fn event(assembler: &mut Assembler, id: u64, part: Part, payload: &[u8]) -> Event<'static> {
    let Event { topic, meta, payload } =
        assembler.take(0, &record(id, 200, part), payload).expect("a record that completes an event");
    Event { topic, meta, payload: payload.into_owned().into() }
}

/// A record that completes no event.
pub(crate) fn piece(assembler: &mut Assembler, id: u64, part: Part, payload: &[u8]) {
    assert!(assembler.take(0, &record(id, 150, part), payload).is_none());
}
