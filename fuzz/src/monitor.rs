//! Packets that are followed: whatever comes, streams are told in order, each byte once or in a gap, messages begin and end, and
//! all that was opened is closed.
//!
//! Invariant: the input is a script: what the next segment is, and which of a few pieces of HTTP it carries. What the rules
//! of the script do not reach, whole random frames do.

use std::collections::HashMap;

use arbitrary::{Arbitrary, Unstructured};
use dataplane::event::{Part, Records};
use dataplane::observe::{FollowLimits, HttpLimits, Level, LinkType, ObserveSettings, Offline, Overlap};

/// What conversations are made of; numbers in them are small, so that bodies end.
const PIECES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\n\r\n",
    b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"X: y\r\n",
    b"\r\n",
    b"G",
    b"nothing of the kind",
];

#[derive(Arbitrary, Debug)]
struct Setup {
    held: u8,
    flows: u8,
    last: bool,
    midstream: bool,
    head: u8,
}

#[derive(Arbitrary, Debug)]
struct Step {
    client: bool,
    flags: u8,
    /// Ahead of, or behind, what this side should send next.
    slip: i8,
    /// The same of its acknowledgment.
    acked: i8,
    /// Which piece, and from where in it.
    piece: u8,
    cut: u8,
    connection: u8,
    /// Time that passes, as a power of two in microseconds.
    wait: u8,
}

/// A setup, then steps.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut input) else { return };
    let flows = usize::from(setup.flows % 4) + 1;
    let settings = ObserveSettings {
        follow: FollowLimits {
            flows,
            half_open: flows,
            held: usize::from(setup.held % 8) + 1,
            held_of_stream: 4,
            held_bytes_of_stream: 200,
            overlap: if setup.last { Overlap::Last } else { Overlap::First },
            midstream: setup.midstream,
            ..FollowLimits::default()
        },
        http: HttpLimits {
            head: 40 + usize::from(setup.head),
            headers: 4,
            pipeline: 3,
            held: 512,
            ..HttpLimits::default()
        },
        body: 64,
        ..ObserveSettings::default()
    };
    let (mut offline, mut records) = Offline::new(&settings, Level::All, 1 << 20);
    let mut told = Told::default();
    let mut time = 1_000_000_000;
    // What each side of each connection sends next.
    let mut next = [[1u32; 2]; 4];
    while let Ok(step) = Step::arbitrary(&mut input) {
        if input.is_empty() {
            break;
        }
        time += 1000u64 << (step.wait % 36);
        if step.flags & 0xc0 == 0xc0 {
            let length = usize::from(step.piece).min(input.len());
            let raw = input.bytes(length).unwrap_or_default();
            let links = [
                LinkType::Ethernet,
                LinkType::RawIp,
                LinkType::Loopback,
                LinkType::LinuxSll,
                LinkType::LinuxSll2,
            ];
            offline.packet(time, links[usize::from(step.cut) % 5], raw);
        } else {
            let numbers = &mut next[usize::from(step.connection) % 4];
            let (own, other) = if step.client { (0, 1) } else { (1, 0) };
            let piece = PIECES[usize::from(step.piece) % PIECES.len()];
            let payload = &piece[(usize::from(step.cut) % (piece.len() + 1))..];
            let seq = numbers[own].wrapping_add_signed(i32::from(step.slip / 8) * 7);
            let ack = numbers[other].wrapping_add_signed(i32::from(step.acked / 16) * 7);
            // Mostly what conversations consist of.
            let flags = if step.flags & 0x20 == 0 { 0x10 } else { step.flags & 0x1f };
            let payload = if flags & 2 != 0 { &[] } else { payload };
            let frame = frame(step.connection % 4, step.client, flags, (seq, ack), payload);
            if step.slip / 8 == 0 {
                numbers[own] = seq.wrapping_add(payload.len() as u32 + u32::from(flags & 3 != 0));
            }
            offline.packet(time, LinkType::RawIp, &frame);
        }
        told.take(&mut records);
    }
    while offline.finish(1) {
        told.take(&mut records);
    }
    told.take(&mut records);
    let observed = offline.counters().observed;
    assert!(told.flows.is_empty(), "opened and never closed: {:?}", told.flows);
    assert_eq!(observed.events.dropped.iter().sum::<u64>(), 0, "the ring is large enough");
    assert_eq!(observed.events.produced.iter().sum::<u64>(), told.sequence);
    assert_eq!(observed.follow.opened, observed.follow.closed.iter().sum::<u64>());
}

/// What was told of the flows that are open.
#[derive(Default)]
struct Told {
    sequence: u64,
    flows: HashMap<u64, [Stream; 2]>,
}

#[derive(Default, Debug, Clone, Copy)]
struct Stream {
    next: u64,
    in_message: bool,
}

impl Told {
    fn take(&mut self, records: &mut Records) {
        while let Some((record, payload)) = records.take() {
            if record.part.completes().is_some() {
                self.sequence += 1;
                assert_eq!(record.sequence, self.sequence);
            }
            let id = record.flow.id;
            if let Part::Open { .. } = record.part {
                assert!(self.flows.insert(id, [Stream::default(); 2]).is_none(), "opened twice");
                continue;
            }
            let Some(streams) = self.flows.get_mut(&id) else { panic!("{record:?} of no open flow") };
            match record.part {
                Part::Open { .. } => {}
                Part::Data { direction, offset } => {
                    assert_eq!(offset, streams[direction.index()].next, "in order, each once");
                    streams[direction.index()].next += payload.len() as u64;
                }
                Part::Gap { direction, offset, length, .. } => {
                    assert!(length > 0 && offset == streams[direction.index()].next);
                    streams[direction.index()].next += length;
                }
                Part::Head(message) => {
                    assert!(!std::mem::replace(&mut streams[message.direction.index()].in_message, true))
                }
                Part::Body(direction) | Part::Hole(direction, _) | Part::Trailers(direction) => {
                    assert!(streams[direction.index()].in_message, "of no message");
                }
                Part::Whole(message) => {
                    assert!(!streams[message.direction.index()].in_message);
                    assert!(
                        payload.len() as u64 >= u64::from(message.head_length) && message.head_length > 0
                    );
                }
                Part::End(message) => {
                    assert!(std::mem::replace(&mut streams[message.direction.index()].in_message, false));
                    assert!(message.body_missing <= message.body_length);
                }
                Part::Close(summary) => {
                    for (direction, sent) in summary.sent.iter().enumerate() {
                        assert_eq!(streams[direction].next, sent.bytes + sent.missing, "{summary:?}");
                        assert!(!streams[direction].in_message, "a message without an end");
                    }
                    self.flows.remove(&id);
                }
            }
        }
    }
}

/// An IPv4 packet of connection `connection`.
fn frame(connection: u8, client: bool, flags: u8, (seq, ack): (u32, u32), payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x45, 0];
    p.extend(((40 + payload.len()) as u16).to_be_bytes());
    p.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    let (ours, theirs) = ([10, 0, 0, connection + 1], [10, 0, 1, 1]);
    let (source, destination) = if client { (ours, theirs) } else { (theirs, ours) };
    p.extend([source, destination].concat());
    let (from, to) = if client { (4000u16, 80u16) } else { (80, 4000) };
    p.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
    p.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
    p.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    p.extend(payload);
    p
}
