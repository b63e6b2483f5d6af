use super::*;
use crate::limits::Overlap;
use crate::{Direction, Endpoint, Gap, Summary};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// Where the client's numbers begin: they wrap within the first bytes.
const CLIENT: u32 = u32::MAX - 2;
const SERVER: u32 = 7000;

/// What is kept, and told, of each connection.
#[derive(Default, Debug, Clone, PartialEq, Eq)]
struct Story {
    streams: [Vec<u8>; 2],
    gaps: Vec<(Direction, u64, u64, &'static str)>,
    finished: Vec<Direction>,
    opened: bool,
    closed: Option<Summary>,
}

#[derive(Default)]
struct Stories(Vec<Story>);

impl Stories {
    fn of(&mut self, flow: &Identity) -> &mut Story {
        let at = flow.id as usize - 1;
        if self.0.len() <= at {
            self.0.resize(at + 1, Story::default());
        }
        let story = &mut self.0[at];
        assert!(story.closed.is_none(), "nothing is told after the end");
        story
    }
}

impl Sink<u8> for Stories {
    fn opened(&mut self, _now: u64, flow: &Identity, kept: &mut u8) {
        assert_eq!(*kept, 42);
        let story = self.of(flow);
        assert!(!std::mem::replace(&mut story.opened, true));
    }

    fn data(
        &mut self,
        _now: u64,
        flow: &Identity,
        _: &mut u8,
        direction: Direction,
        offset: u64,
        bytes: &[u8],
    ) {
        let story = self.of(flow);
        let d = direction as usize;
        let missing: u64 = story.gaps.iter().filter(|gap| gap.0 == direction).map(|gap| gap.2).sum();
        assert!(story.opened && !bytes.is_empty());
        assert_eq!(offset, story.streams[d].len() as u64 + missing, "in order, each once");
        story.streams[d].extend(bytes);
    }

    fn gap(&mut self, _now: u64, flow: &Identity, _: &mut u8, gap: Gap) {
        let story = self.of(flow);
        let d = gap.direction as usize;
        let missing: u64 = story.gaps.iter().filter(|g| g.0 == gap.direction).map(|g| g.2).sum();
        assert_eq!(gap.offset, story.streams[d].len() as u64 + missing);
        story.gaps.push((gap.direction, gap.offset, gap.length, gap.cause.name()));
    }

    fn finished(&mut self, _now: u64, flow: &Identity, _: &mut u8, direction: Direction) {
        let story = self.of(flow);
        assert!(!story.finished.contains(&direction));
        story.finished.push(direction);
    }

    fn closed(&mut self, _now: u64, flow: &Identity, _: &mut u8, summary: &Summary) {
        self.of(flow).closed = Some(*summary);
    }
}

struct World {
    tracker: Tracker<Vec<u8>, u8>,
    stories: Stories,
    now: u64,
}

/// A packet of a connection, by who sends it: flags, sequence and acknowledgment numbers relative to both first bytes.
#[derive(Clone, Debug)]
struct Packet(Direction, u8, i64, i64, Vec<u8>);

const SYN: u8 = flags::SYN;
const ACK: u8 = flags::ACK;
const FIN: u8 = flags::FIN | flags::ACK;
const RST: u8 = flags::RST;
use Direction::{Client as C, Server as S};

fn p(from: Direction, flags: u8, seq: i64, ack: i64, payload: &str) -> Packet {
    Packet(from, flags, seq, ack, payload.as_bytes().to_vec())
}

impl World {
    fn new(limits: Limits) -> Self {
        Self { tracker: Tracker::new(limits, [1, 2]), stories: Stories::default(), now: SECOND }
    }

    fn feed(&mut self, packet: &Packet) -> Outcome {
        self.feed_from(4000, packet)
    }

    fn feed_from(&mut self, port: u16, Packet(from, flags, seq, ack, payload): &Packet) -> Outcome {
        let client = Endpoint { address: 10, port };
        let server = Endpoint { address: 5, port: 80 };
        let (source, destination) = if *from == C { (client, server) } else { (server, client) };
        let (key, side) = Key::of(source, destination, 0);
        let (own, other) = if *from == C { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let mut buffer = vec![0; 3];
        buffer.extend(payload);
        let segment = Segment {
            key,
            from: side,
            seq: own.wrapping_add(*seq as u32),
            ack: if flags & ACK != 0 { other.wrapping_add(*ack as u32) } else { 0 },
            flags: *flags,
            window: if payload.is_empty() && *ack < 0 { 0 } else { 1000 },
            begin: 3,
            end: buffer.len() as u16,
        };
        let (outcome, _) = self.tracker.segment(
            self.now,
            &segment,
            buffer,
            |_, client, _| Some((42, client)),
            &mut self.stories,
        );
        outcome
    }

    fn all(&mut self, packets: &[Packet]) {
        for packet in packets {
            self.now += MS;
            self.feed(packet);
        }
    }

    fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + time / 50 + 1);
            self.tracker.expire(self.now, &mut self.stories);
        }
    }

    fn story(&self, at: usize) -> &Story {
        &self.stories.0[at]
    }

    fn streams(&self) -> (String, String) {
        let text = |d: usize| String::from_utf8(self.story(0).streams[d].clone()).unwrap();
        (text(0), text(1))
    }
}

/// Numbers of the first byte are 0; the SYN's is -1.
fn handshake() -> Vec<Packet> {
    vec![p(C, SYN, -1, 0, ""), p(S, SYN | ACK, -1, 0, ""), p(C, ACK, 0, 0, "")]
}

fn conversation() -> Vec<Packet> {
    let mut packets = handshake();
    packets.extend([
        p(C, ACK, 0, 0, "GET / "),
        p(C, ACK, 6, 0, "HTTP/1.1\r\n"),
        p(S, ACK, 0, 16, "200 "),
        p(S, ACK, 4, 16, "OK and more"),
        p(C, ACK, 16, 15, ""),
        p(S, FIN, 15, 16, ""),
        p(C, FIN, 16, 16, ""),
        p(S, ACK, 16, 17, ""),
    ]);
    packets
}

#[test]
fn a_connection_from_its_first_packet_to_its_last() {
    let mut world = World::new(Limits::default());
    world.all(&conversation());
    assert_eq!(world.streams(), ("GET / HTTP/1.1\r\n".into(), "200 OK and more".into()));
    let story = world.story(0);
    assert_eq!((&story.gaps[..], &story.finished[..]), (&[][..], &[S, C][..]));
    let summary = story.closed.unwrap();
    assert_eq!((summary.end, summary.states), (End::Fin, [State::Closed, State::TimeWait]));
    assert_eq!((summary.handshake_rtt, summary.duration), (Some(2 * MS), 10 * MS));
    let [client, server] = summary.sent;
    assert_eq!((client.packets, client.bytes, server.packets, server.bytes), (6, 16, 5, 15));
    assert_eq!((client.rtt_samples, client.rtt_min, server.rtt_samples), (1, 2 * MS, 1));
    // It is remembered: a late packet is none of a new connection.
    assert_eq!(world.feed(&p(C, FIN, 16, 16, "")), Outcome::Followed);
    assert_eq!((world.tracker.len(), world.stories.0.len()), (1, 1));
    world.wait(6 * SECOND);
    assert!(world.tracker.is_empty());
    assert_eq!(world.feed(&p(C, FIN, 16, 16, "")), Outcome::Stray);
}

#[test]
fn what_is_lost_is_named_when_it_was_acknowledged() {
    let mut world = World::new(Limits::default());
    world.all(&handshake());
    world.all(&[p(C, ACK, 0, 0, "abc"), p(C, ACK, 7, 0, "hij"), p(S, ACK, 0, 10, "")]);
    assert_eq!(world.streams().0, "abc", "the mirror may be late");
    world.wait(300 * MS);
    assert_eq!(world.streams().0, "abchij");
    assert_eq!(world.story(0).gaps, [(C, 3, 4, "acked")]);
    // Lost at the end, with nothing behind it.
    world.all(&[p(S, ACK, 0, 50, "")]);
    world.wait(300 * MS);
    assert_eq!(world.story(0).gaps[1..], [(C, 10, 40, "acked")]);
    assert_eq!(world.tracker.counters().gap_bytes, 44);
}

#[test]
fn a_hole_that_is_never_acknowledged_ages_or_meets_a_limit() {
    let mut world = World::new(Limits { held_of_stream: 3, held_bytes_of_stream: 100, ..Limits::default() });
    world.all(&handshake());
    world.all(&[p(S, ACK, 5, 0, "fg")]);
    world.wait(9 * SECOND);
    assert_eq!(world.streams().1, "");
    world.wait(2 * SECOND);
    assert_eq!((world.streams().1.as_str(), &world.story(0).gaps[..]), ("fg", &[(S, 0, 5, "age")][..]));
    for at in [20, 22, 24] {
        world.all(&[p(S, ACK, at, 0, "x")]);
    }
    assert_eq!(world.tracker.held(), 3);
    world.all(&[p(S, ACK, 26, 0, "y")]);
    assert_eq!(world.story(0).gaps[1..], [(S, 7, 13, "limit")], "one had to go");
    world.all(&[p(S, ACK, 9, 0, "late")]);
    assert_eq!(world.tracker.held(), 3);
    world.all(&[p(S, ACK, 28, 0, &"z".repeat(99))]);
    world.wait(11 * SECOND);
    let story = world.story(0);
    assert_eq!(story.streams[1].len() as u64 + story.gaps.iter().map(|gap| gap.2).sum::<u64>(), 127);
    assert!(world.tracker.counters().held_limit > 1);
    assert_eq!((world.tracker.held(), world.tracker.counters().gaps[1] > 1), (0, true));
}

#[test]
fn places_taken_by_others_cost_no_stream_its_order() {
    let mut world = World::new(Limits { held: 2, ..Limits::default() });
    for port in [1000, 1001] {
        for packet in handshake() {
            world.feed_from(port, &packet);
        }
    }
    for at in [5, 9] {
        world.feed_from(1000, &p(C, ACK, at, 0, "x"));
    }
    world.feed_from(1001, &p(C, ACK, 3, 0, "defg"));
    world.feed_from(1001, &p(C, ACK, 7, 0, "h"));
    assert_eq!(world.stories.0[1].streams[0], b"defgh");
    assert_eq!(world.stories.0[1].gaps, [(C, 0, 3, "limit")]);
    world.feed_from(1000, &p(C, ACK, 0, 0, "abcde"));
    assert_eq!(world.stories.0[0].streams[0], b"abcdex");
}

#[test]
fn sent_again_overlapping_and_probes() {
    let mut world = World::new(Limits::default());
    world.all(&handshake());
    world.all(&[
        p(C, ACK, 0, 0, "abcdef"),
        p(C, ACK, 0, 0, "abc"),
        p(C, ACK, 3, 0, "defghi"),
        p(S, ACK, 0, 9, ""),
        p(C, ACK, 8, 0, "i"),
        p(C, ACK, 12, 0, "mn"),
        p(C, ACK, 12, 0, "mX"),
        p(C, ACK, 9, 0, "jklm"),
    ]);
    assert_eq!(world.streams().0, "abcdefghijklmn");
    let counters = world.tracker.counters();
    assert_eq!((counters.keepalives, counters.conflicts), (1, 1));
    // The last one overlaps two that were held.
    assert_eq!(counters.retransmitted, 3 + 3 + 2 + 2);
    let mut world = World::new(Limits { overlap: Overlap::Last, ..Limits::default() });
    world.all(&handshake());
    world.all(&[p(C, ACK, 2, 0, "cd"), p(C, ACK, 2, 0, "CD"), p(C, ACK, 0, 0, "ab")]);
    assert_eq!(world.streams().0, "abCD");
}

#[test]
fn windows_that_close_and_resets() {
    let mut world = World::new(Limits::default());
    world.all(&handshake());
    // A negative acknowledgment stands for a window of zero here.
    world.all(&[p(C, ACK, 0, 0, "abc"), p(S, ACK, 0, -1, ""), p(S, ACK, 0, 3, "")]);
    world.all(&[p(C, RST, 90_000_000, 0, "")]);
    assert!(world.story(0).closed.is_none(), "an RST from nowhere");
    world.all(&[p(C, RST, 3, 0, "")]);
    let summary = world.story(0).closed.unwrap();
    assert_eq!((summary.end, summary.states[0]), (End::Reset, State::Closed));
    assert_eq!((summary.sent[1].zero_windows, summary.sent[1].zero_window_time), (1, MS));
    // Refused at once.
    let mut world = World::new(Limits::default());
    world.all(&[p(C, SYN, -1, 0, ""), Packet(S, RST | ACK, -7000, 0, vec![])]);
    assert_eq!(world.story(0).closed.unwrap().end, End::Reset);
}

#[test]
fn one_byte_acknowledged_in_a_hole() {
    let mut world = World::new(Limits::default());
    world.all(&handshake());
    world.all(&[p(C, ACK, 5, 0, "later"), p(S, ACK, 0, 1, "")]);
    world.wait(SECOND);
    assert_eq!(world.story(0).gaps, [(C, 0, 1, "acked")]);
    world.wait(10 * SECOND);
    assert_eq!(world.story(0).gaps[1..], [(C, 1, 4, "age")]);
    assert_eq!(world.streams().0, "later");
}

#[test]
fn numbers_out_of_the_blue_are_not_believed() {
    let mut world = World::new(Limits::default());
    world.all(&handshake());
    world.all(&[
        p(C, ACK, 0, 0, "one"),
        p(S, ACK, 0, 500_000_000, ""),
        p(C, FIN, 400_000_000, 0, ""),
        p(C, ACK, 3, 0, "two"),
        p(S, ACK, 0, 6, ""),
        p(C, FIN, 6, 0, ""),
    ]);
    world.wait(SECOND);
    let story = world.story(0);
    assert_eq!(
        (world.streams().0.as_str(), &story.gaps[..], &story.finished[..]),
        ("onetwo", &[][..], &[C][..])
    );
    assert_eq!(world.tracker.counters().out_of_window, 1);
}

#[test]
fn the_same_ends_again_are_another_connection() {
    let mut world = World::new(Limits::default());
    world.all(&conversation());
    world.all(&[p(C, SYN, 4999, 0, ""), p(S, SYN | ACK, 900, 5000, ""), p(C, ACK, 5000, 901, "new")]);
    assert_eq!((world.stories.0.len(), &world.story(1).streams[0][..]), (2, &b"new"[..]));
    // Without the end of the first: it counts when it is answered, and not before.
    world.all(&[p(C, SYN, 999_999, 0, ""), p(C, ACK, 5003, 901, "er")]);
    assert_eq!(world.story(1).streams[0], b"newer");
    world.all(&[p(S, SYN | ACK, 77, 1_000_000, "")]);
    assert_eq!(world.story(1).closed.unwrap().end, End::Reused);
    world.all(&[p(C, SYN, 999_999, 0, ""), p(C, ACK, 1_000_000, 78, "third")]);
    assert_eq!(world.story(2).streams[0], b"third");
}

#[test]
fn joined_in_the_middle() {
    let mut world = World::new(Limits::default());
    assert_eq!(world.feed(&p(S, ACK, 5000, 100, "")), Outcome::Stray, "nothing to tell");
    world.all(&[p(S, ACK, 5000, 100, "hello"), p(C, ACK, 100, 5005, "there"), p(S, FIN, 5005, 105, "")]);
    assert_eq!(world.streams(), ("there".into(), "hello".into()));
    assert_eq!(world.tracker.counters().midstream, 1);
    let mut world = World::new(Limits { midstream: false, ..Limits::default() });
    assert_eq!(world.feed(&p(S, ACK, 5000, 100, "hello")), Outcome::Stray);
    // The SYN was missed, its answer was not.
    world.all(&[
        p(S, SYN | ACK, -1, 0, ""),
        p(C, ACK, 0, 0, ""),
        p(C, ACK, 2, 0, "c"),
        p(C, ACK, 0, 0, "ab"),
    ]);
    assert_eq!(world.streams().0, "abc");
}

#[test]
fn time_ends_what_nobody_else_does() {
    let mut world = World::new(Limits::default());
    world.all(&[p(C, SYN, -1, 0, "")]);
    world.wait(31 * SECOND);
    assert_eq!(world.story(0).closed.unwrap().end, End::HalfOpen);
    assert_eq!(world.story(0).closed.unwrap().states, [State::SynSent, State::Listen]);
    world.all(&handshake());
    for _ in 0..10 {
        world.wait(100 * SECOND);
        world.all(&[p(C, ACK, 0, 0, "")]);
    }
    assert_eq!(world.tracker.len(), 1, "it speaks");
    world.wait(302 * SECOND);
    assert_eq!(world.story(1).closed.unwrap().end, End::Idle);
    assert!(world.tracker.is_empty());
    world.all(&handshake());
    assert!(!world.tracker.shut_down(world.now, 10, &mut world.stories));
    assert_eq!(world.story(2).closed.unwrap().end, End::Shutdown);
}

#[test]
fn limits_evict_the_oldest_and_count() {
    let mut world = World::new(Limits { flows: 4, half_open: 2, ..Limits::default() });
    for port in 1..=5 {
        world.feed_from(port, &p(C, SYN, -1, 0, ""));
    }
    assert_eq!((world.tracker.len(), world.tracker.half_open()), (2, 2));
    assert_eq!(world.tracker.counters().evicted_half_open, 3);
    for port in 10..=15 {
        for packet in handshake() {
            world.feed_from(port, &packet);
        }
    }
    assert_eq!(world.tracker.len(), 4);
    let counters = world.tracker.counters();
    assert_eq!((counters.opened, counters.closed[End::Evicted as usize]), (11, 7));
    assert_eq!(counters.evicted_half_open + counters.evicted_flows, 7);
    let mut listed = Vec::new();
    assert_eq!(world.tracker.scan(0, 100, |flow| listed.push(flow.identity.id)), None);
    listed.sort_unstable();
    assert_eq!(listed, [8, 9, 10, 11]);
}

proptest! {
    /// Whatever the order of what follows the SYN, the streams are the same.
    #[test]
    fn any_order_gives_the_same_streams(
        packets in Just(conversation()[1..].to_vec()).prop_shuffle(),
        again in proptest::collection::vec(0..10usize, 0..5),
    ) {
        let mut world = World::new(Limits::default());
        world.feed(&conversation()[0]);
        for (at, packet) in packets.iter().enumerate() {
            world.feed(packet);
            // Some come twice.
            if again.contains(&at) {
                world.feed(packet);
            }
        }
        world.wait(6 * SECOND);
        prop_assert_eq!(world.streams(), ("GET / HTTP/1.1\r\n".into(), "200 OK and more".into()));
        prop_assert_eq!(&world.story(0).gaps[..], &[][..]);
        prop_assert_eq!(world.tracker.held(), 0);
        prop_assert!(world.story(0).closed.is_some());
        prop_assert_eq!(world.stories.0.len(), 1);
    }

    /// Anything at all: bounds hold, offsets are in order (the sink looks), every connection ends once.
    #[test]
    fn whatever_comes(
        packets in proptest::collection::vec(
            (any::<bool>(), 0..64u8, -40..400i64, -40..400i64, 0..60usize, 1..4u16, 0..3000u64), 0..300),
        held in 1..6usize,
        of_stream in 1..4u32,
        last: bool,
    ) {
        let limits = Limits {
            flows: 2,
            half_open: 1,
            held,
            held_of_stream: of_stream,
            held_bytes_of_stream: 120,
            overlap: if last { Overlap::Last } else { Overlap::First },
            ..Limits::default()
        };
        let mut world = World::new(limits);
        for (client, flags, seq, ack, length, port, wait) in packets {
            let payload = (0..length).map(|at| (seq + at as i64) as u8).collect();
            world.feed_from(port, &Packet(if client { C } else { S }, flags, seq, ack, payload));
            prop_assert!(world.tracker.held() <= held && world.tracker.len() <= 2);
            world.now += wait * MS;
            world.tracker.expire(world.now, &mut world.stories);
        }
        while world.tracker.shut_down(world.now, 1, &mut world.stories) {}
        prop_assert!(world.tracker.is_empty());
        prop_assert_eq!(world.tracker.held(), 0);
        prop_assert!(world.stories.0.iter().all(|story| story.closed.is_some()));
        let counters = world.tracker.counters();
        prop_assert_eq!(counters.opened, counters.closed.iter().sum::<u64>());
    }
}
