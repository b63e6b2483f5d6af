//! A connection: both directions, and what they say about the state of both ends.
//!
//! Invariant: a connection is told as opened once and as closed once; nothing is told of it before or after.

use crate::Direction;
use crate::segment::{Buffer, Endpoint, Key, Segment, Side, flags};
use crate::state::{self, Seen, State};
use crate::stream::{Shared, Stream, Told};
use crate::summary::{Cause, End, Summary};

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Counts up with every connection of the tracker.
    pub id: u64,
    /// Its two ends.
    pub key: Key,
    /// Which of them sent the SYN, or is taken to have.
    pub client: Side,
    /// Its beginning was not seen.
    pub midstream: bool,
}

impl Identity {
    /// Who is on this side.
    #[must_use]
    pub const fn direction(&self, from: Side) -> Direction {
        if from as u8 == self.client as u8 { Direction::Client } else { Direction::Server }
    }

    /// The end that sends in this direction.
    #[must_use]
    pub const fn end(&self, direction: Direction) -> Endpoint {
        match direction {
            Direction::Client => self.key.end(self.client),
            Direction::Server => self.key.end(self.client.other()),
        }
    }
}

/// What is told of connections; `T` is what whoever follows keeps for each. Times are in nanoseconds.
pub trait Sink<T> {
    /// A connection is seen for the first time.
    fn opened(&mut self, now: u64, flow: &Identity, kept: &mut T);
    /// The next bytes of a stream.
    fn data(
        &mut self,
        now: u64,
        flow: &Identity,
        kept: &mut T,
        direction: Direction,
        offset: u64,
        bytes: &[u8],
    );
    /// The next bytes of a stream are missing.
    fn gap(&mut self, now: u64, flow: &Identity, kept: &mut T, gap: Gap);
    /// A stream has come to its FIN.
    fn finished(&mut self, now: u64, flow: &Identity, kept: &mut T, direction: Direction);
    /// The connection is over.
    fn closed(&mut self, now: u64, flow: &Identity, kept: &mut T, summary: &Summary);
}

/// Bytes that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Who sent them.
    pub direction: Direction,
    /// Offset of the first.
    pub offset: u64,
    /// How many.
    pub length: u64,
    /// Why they are given up.
    pub cause: Cause,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It belongs to the connection.
    Taken,
    /// It begins another connection with the same ends.
    Another,
}

pub(crate) struct Connection<T> {
    pub(crate) identity: Identity,
    pub(crate) kept: T,
    pub(crate) streams: [Stream; 2],
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// When its place in the list of its timeout was taken.
    pub(crate) queued: u64,
    handshake_rtt: Option<u64>,
    /// A SYN that may begin another connection, if it is answered: its number and who sent it.
    challenger: Option<(u32, Side)>,
    /// Each has sent a SYN, or is taken to have.
    syn: [bool; 2],
    syn_acked: [bool; 2],
    fin_first: Option<Direction>,
    pub(crate) reset: bool,
    /// It has been told as closed, and is only remembered.
    pub(crate) closed: bool,
    pub(crate) stage: Stage,
}

/// Which timeout a connection is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    HalfOpen = 0,
    Open = 1,
    Closing = 2,
}

impl<T> Connection<T> {
    pub(crate) fn new(identity: Identity, now: u64, kept: T) -> Self {
        Self {
            identity,
            kept,
            streams: [Stream::default(), Stream::default()],
            first: now,
            last: now,
            queued: now,
            handshake_rtt: None,
            challenger: None,
            syn: [identity.midstream; 2],
            syn_acked: [identity.midstream; 2],
            fin_first: None,
            reset: false,
            closed: false,
            stage: if identity.midstream { Stage::Open } else { Stage::HalfOpen },
        }
    }

    /// Takes a segment; gives the buffer back unless its payload is held.
    pub(crate) fn segment<B: Buffer>(
        &mut self,
        now: u64,
        segment: &Segment,
        buffer: B,
        shared: &mut Shared<B>,
        sink: &mut impl Sink<T>,
    ) -> (Turn, Option<B>) {
        let from = self.identity.direction(segment.from);
        if segment.has(flags::SYN) && self.syn(now, from, segment, shared, sink) == Turn::Another {
            return (Turn::Another, Some(buffer));
        }
        self.last = now;
        let d = from.index();
        self.streams[d].sent.packets += 1;
        if self.closed {
            return (Turn::Taken, Some(buffer));
        }
        if segment.has(flags::RST) {
            self.rst(from, segment);
            return (Turn::Taken, Some(buffer));
        }
        if segment.has(flags::ACK) {
            self.ack(now, from, segment, shared, sink);
        }
        let mut left = Some(buffer);
        if segment.len() > 0 || segment.has(flags::FIN) {
            let seq = segment.seq.wrapping_add(u32::from(segment.has(flags::SYN)));
            if self.identity.midstream {
                self.streams[d].begin(seq, shared);
            }
            let Self { identity, kept, streams, .. } = self;
            let was = streams[d].is_finished();
            left = left.and_then(|buffer| {
                let (range, fin) = ((segment.begin, segment.end.max(segment.begin)), segment.has(flags::FIN));
                streams[d].segment(
                    now,
                    seq,
                    range,
                    fin,
                    buffer,
                    shared,
                    &mut telling(now, identity, kept, from, sink),
                )
            });
            if !was {
                self.note_finished(now, from, sink);
            }
        }
        (Turn::Taken, left)
    }

    /// A stream may have come to its FIN.
    fn note_finished(&mut self, now: u64, from: Direction, sink: &mut impl Sink<T>) {
        if self.streams[from.index()].is_finished() {
            self.fin_first.get_or_insert(from);
            sink.finished(now, &self.identity, &mut self.kept, from);
        }
    }

    fn syn<B: Buffer>(
        &mut self,
        now: u64,
        from: Direction,
        segment: &Segment,
        shared: &mut Shared<B>,
        sink: &mut impl Sink<T>,
    ) -> Turn {
        let (d, first) = (from.index(), segment.seq.wrapping_add(1));
        let known = self.streams[d].is_known();
        if self.streams[d].begins_at(first) && !self.closed {
            return Turn::Taken;
        }
        let answers = segment.has(flags::ACK);
        if self.closed || self.reset || known && !answers && self.stage == Stage::HalfOpen {
            return Turn::Another;
        }
        if known {
            // Within a connection a SYN may be old, forged, or of a client that has forgotten it. It counts if it is answered.
            if !answers {
                self.challenger = Some((segment.seq, segment.from));
                return Turn::Taken;
            }
            let answered = self
                .challenger
                .is_some_and(|(seq, who)| who != segment.from && segment.ack == seq.wrapping_add(1));
            return if answered { Turn::Another } else { Turn::Taken };
        }
        self.syn[d] = true;
        let Self { identity, kept, streams, .. } = self;
        streams[d].begin(first, shared);
        streams[d].begun(now, shared, &mut telling(now, identity, kept, from, sink));
        self.note_finished(now, from, sink);
        if answers && !self.streams[from.other().index()].is_known() {
            // Its SYN was missed, but not its number.
            self.syn[from.other().index()] = true;
            self.streams[from.other().index()].begin(segment.ack, shared);
        }
        Turn::Taken
    }

    /// RFC 9293 section 3.5.2, as far as an observer can judge: an RST counts where its number is not old, or where it
    /// refuses a SYN.
    fn rst(&mut self, from: Direction, segment: &Segment) {
        let (own, other) = (&self.streams[from.index()], &self.streams[from.other().index()]);
        let refuses = !own.is_known() && segment.has(flags::ACK) && other.begins_at(segment.ack);
        self.reset |= refuses || own.takes_rst(segment.seq);
    }

    fn ack<B: Buffer>(
        &mut self,
        now: u64,
        from: Direction,
        segment: &Segment,
        shared: &mut Shared<B>,
        sink: &mut impl Sink<T>,
    ) {
        let other = from.other();
        if !segment.has(flags::SYN) {
            self.streams[from.index()].window(now, segment.window);
        }
        let Self { identity, kept, streams, .. } = self;
        let stream = &mut streams[other.index()];
        if !self.syn_acked[other.index()] && stream.is_syn_acked(segment.ack) {
            self.syn_acked[other.index()] = true;
            if other == Direction::Server {
                self.handshake_rtt = Some(now - self.first);
            }
        }
        let was = stream.is_finished();
        stream.acknowledge(now, segment.ack, shared, &mut telling(now, identity, kept, other, sink));
        if !was {
            self.note_finished(now, other, sink);
        }
    }

    /// Gives up holes whose time has come; true while there are still some.
    pub(crate) fn resolve<B: Buffer>(
        &mut self,
        now: u64,
        shared: &mut Shared<B>,
        sink: &mut impl Sink<T>,
    ) -> bool {
        let mut holes = false;
        for direction in [Direction::Client, Direction::Server] {
            let Self { identity, kept, streams, .. } = self;
            let stream = &mut streams[direction.index()];
            let was = stream.is_finished();
            holes |= stream.resolve(now, shared, &mut telling(now, identity, kept, direction, sink));
            if !was {
                self.note_finished(now, direction, sink);
            }
        }
        holes
    }

    pub(crate) fn has_holes(&self) -> bool {
        self.streams.iter().any(Stream::has_hole)
    }

    /// The stage it has come to.
    pub(crate) fn due_stage(&self) -> Stage {
        if self.reset || self.closed || self.streams.iter().all(Stream::is_finished) {
            Stage::Closing
        } else if self.stage != Stage::HalfOpen || self.syn_acked == [true; 2] {
            Stage::Open
        } else {
            Stage::HalfOpen
        }
    }

    /// How it has ended, if everything that can be expected was seen.
    pub(crate) fn is_over(&self) -> Option<End> {
        if self.reset && !self.has_holes() {
            return Some(End::Reset);
        }
        self.streams.iter().all(Stream::is_fin_acked).then_some(End::Fin)
    }

    /// Tells what is left, and that it is over.
    pub(crate) fn close<B: Buffer>(
        &mut self,
        now: u64,
        end: End,
        shared: &mut Shared<B>,
        sink: &mut impl Sink<T>,
    ) {
        for direction in [Direction::Client, Direction::Server] {
            let Self { identity, kept, streams, .. } = self;
            let stream = &mut streams[direction.index()];
            let was = stream.is_finished();
            stream.close(now, shared, &mut telling(now, identity, kept, direction, sink));
            if !was {
                self.note_finished(now, direction, sink);
            }
        }
        let summary = self.summary(end);
        sink.closed(now, &self.identity, &mut self.kept, &summary);
        shared.counters.closed[end as usize] += 1;
        self.closed = true;
    }

    fn seen(&self, direction: Direction) -> Seen {
        let (d, stream) = (direction.index(), &self.streams[direction.index()]);
        Seen {
            syn: self.syn[d],
            syn_acked: self.syn_acked[d],
            fin: stream.is_finished(),
            fin_acked: stream.is_fin_acked(),
            fin_first: self.fin_first == Some(direction),
        }
    }

    /// The states of client and server.
    pub(crate) fn states(&self) -> [State; 2] {
        let (client, server) = (self.seen(Direction::Client), self.seen(Direction::Server));
        [state::infer(client, server, self.reset), state::infer(server, client, self.reset)]
    }

    fn summary(&self, end: End) -> Summary {
        Summary {
            end,
            states: self.states(),
            duration: self.last - self.first,
            handshake_rtt: self.handshake_rtt,
            sent: [self.streams[0].sent, self.streams[1].sent],
        }
    }
}

/// Tells a sink what a stream of a connection tells.
fn telling<T>(
    now: u64,
    identity: &Identity,
    kept: &mut T,
    direction: Direction,
    sink: &mut impl Sink<T>,
) -> impl FnMut(Told<'_>) {
    move |told| match told {
        Told::Data(offset, bytes) => sink.data(now, identity, kept, direction, offset, bytes),
        Told::Gap(offset, length, cause) => {
            sink.gap(now, identity, kept, Gap { direction, offset, length, cause });
        }
    }
}
