//! The ring of bytes between a worker and the exporter.
//!
//! Invariant: a record is in the ring as a whole or not at all; every event is counted as produced, and as dropped where
//! it did not get in. Pieces of messages leave an eighth of the ring to events, so that what was begun can be ended.

use super::code::{self, Fields};
use super::record::{Flow, Part, Record};
use reassembly::Direction;
use rtrb::{Consumer, Producer, RingBuffer};

/// What an event is about; see the schema in `docs/events.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A connection is seen for the first time.
    FlowOpen = 0,
    /// Bytes of a stream.
    TcpData = 1,
    /// A request.
    HttpRequest = 2,
    /// A response.
    HttpResponse = 3,
    /// Bytes that were never seen.
    Gap = 4,
    /// A connection is over.
    FlowClose = 5,
}

/// Kinds of events.
pub const TOPICS: usize = 6;

impl Topic {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; TOPICS] =
        [Self::FlowOpen, Self::TcpData, Self::HttpRequest, Self::HttpResponse, Self::Gap, Self::FlowClose];

    /// Its name: the first frame of the message.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlowOpen => "flow.open",
            Self::TcpData => "tcp.data",
            Self::HttpRequest => "http.request",
            Self::HttpResponse => "http.response",
            Self::Gap => "gap",
            Self::FlowClose => "flow.close",
        }
    }

    /// That of a message of HTTP.
    #[must_use]
    pub const fn of_message(direction: Direction) -> Self {
        match direction {
            Direction::Client => Self::HttpRequest,
            Direction::Server => Self::HttpResponse,
        }
    }
}

impl Part {
    /// The event that is complete with this record; `None` for pieces.
    #[must_use]
    pub const fn completes(&self) -> Option<Topic> {
        match self {
            Self::Open { .. } => Some(Topic::FlowOpen),
            Self::Data { .. } => Some(Topic::TcpData),
            Self::Gap { .. } => Some(Topic::Gap),
            Self::Whole(message) | Self::End(message) => Some(Topic::of_message(message.direction)),
            Self::Close(_) => Some(Topic::FlowClose),
            Self::Head(_) | Self::Body(_) | Self::Hole(..) | Self::Trailers(_) => None,
        }
    }
}

/// Counters of a worker's events, by [`Topic`]. All only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounters {
    /// Events produced.
    pub produced: [u64; TOPICS],
    /// Those of them that the ring had no room for.
    pub dropped: [u64; TOPICS],
    /// Bytes of payload that found no room, of messages that were sent without them.
    pub body_lost: u64,
}

/// Bytes in front of a record that say how long it is.
const LENGTH: usize = 4;

/// The worker's end of a ring.
pub struct Recorder {
    ring: Producer<u8>,
    counters: EventCounters,
    sequence: u64,
    dropped: u64,
    /// Room that pieces leave.
    reserve: usize,
}

/// The exporter's end of a ring.
pub struct Records {
    ring: Consumer<u8>,
    record: Vec<u8>,
}

/// A ring of so many bytes.
#[must_use]
pub fn channel(bytes: usize) -> (Recorder, Records) {
    let (producer, consumer) = RingBuffer::new(bytes);
    let recorder = Recorder {
        ring: producer,
        counters: EventCounters::default(),
        sequence: 0,
        dropped: 0,
        reserve: bytes / 8,
    };
    (recorder, Records { ring: consumer, record: Vec::new() })
}

impl Recorder {
    /// Produces the event that `part` is or completes; its payload is all of `payload`, one behind the other.
    #[inline]
    pub fn event(&mut self, flow: &Flow, time: u64, part: Part, payload: &[&[u8]]) {
        let Some(topic) = part.completes() else { return };
        self.sequence += 1;
        self.counters.produced[topic as usize] += 1;
        let record = Record { flow: *flow, time, sequence: self.sequence, dropped: self.dropped, part };
        if !self.put(&record, payload, 0) {
            self.counters.dropped[topic as usize] += 1;
            self.dropped += 1;
        }
    }

    /// An event is complete that cannot be told: its beginning found no room.
    pub fn lose(&mut self, topic: Topic) {
        self.sequence += 1;
        self.counters.produced[topic as usize] += 1;
        self.counters.dropped[topic as usize] += 1;
        self.dropped += 1;
    }

    /// Writes a piece of an event that is not complete yet; false where there is no room for it.
    #[must_use]
    pub fn piece(&mut self, flow: &Flow, time: u64, part: Part, payload: &[u8]) -> bool {
        let record = Record { flow: *flow, time, sequence: 0, dropped: self.dropped, part };
        self.put(&record, &[payload], self.reserve)
    }

    /// Counts bytes of a body that found no room.
    pub fn lost_body(&mut self, bytes: u64) {
        self.counters.body_lost += bytes;
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &EventCounters {
        &self.counters
    }

    fn put(&mut self, record: &Record, payload: &[&[u8]], reserve: usize) -> bool {
        let length = payload.iter().map(|piece| piece.len()).sum::<usize>();
        let most = LENGTH + code::MOST + length + reserve;
        // What was seen of the consumer's progress last is enough nearly always; else look again.
        if self.ring.cached_slots() < most && self.ring.slots() < most {
            return false;
        }
        let fields: Fields = code::write(record);
        let total = (fields.len() + length) as u32;
        let mut head = [0; LENGTH + code::MOST];
        head[..LENGTH].copy_from_slice(&total.to_le_bytes());
        head[LENGTH..LENGTH + fields.len()].copy_from_slice(&fields);
        // There is room, so each of these succeeds.
        let mut whole = self.ring.push_entire_slice(&head[..LENGTH + fields.len()]).is_ok();
        for piece in payload {
            whole &= self.ring.push_entire_slice(piece).is_ok();
        }
        whole
    }
}

impl Records {
    /// The next record and its payload, if there is one.
    pub fn take(&mut self) -> Option<(Record, &[u8])> {
        loop {
            let mut length = [0; LENGTH];
            let peeked = self.ring.read_chunk(LENGTH).ok()?;
            let (first, second) = peeked.as_slices();
            length[..first.len()].copy_from_slice(first);
            length[first.len()..].copy_from_slice(second);
            // Until it is there as a whole.
            let chunk = self.ring.read_chunk(LENGTH + u32::from_le_bytes(length) as usize).ok()?;
            self.record.clear();
            let (first, second) = chunk.as_slices();
            self.record.extend_from_slice(first);
            self.record.extend_from_slice(second);
            chunk.commit_all();
            // Each is a record; were one not, the next would be tried.
            let Some((record, rest)) = code::read(&self.record[LENGTH..]) else { continue };
            let payload = self.record.len() - rest.len();
            return Some((record, &self.record[payload..]));
        }
    }

    /// Whether the worker is gone and everything was taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::tests::record;
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in_however_the_ring_wraps() {
        let (mut recorder, mut records) = channel(4096);
        for n in 0..1000u64 {
            let put = record(n as usize % 10, n, n % 2 == 0);
            let payload: Vec<u8> = (0..n % 700).map(|byte| byte as u8).collect();
            let (first, second) = payload.split_at(payload.len() / 2);
            assert!(recorder.put(&put, &[first, second], 0));
            let (got, rest) = records.take().expect("what was put");
            assert_eq!((got, rest), (put, &payload[..]));
            assert!(records.take().is_none());
        }
        assert!(!records.is_over());
        drop(recorder);
        assert!(records.is_over());
    }

    #[test]
    fn every_event_is_counted_and_those_without_room_are_told_of() {
        let (mut recorder, mut records) = channel(4096);
        let flow = record(0, 7, true).flow;
        let event = |recorder: &mut Recorder, length| {
            let payload = vec![1; length];
            recorder.event(&flow, 5, Part::Data { direction: Direction::Client, offset: 0 }, &[&payload]);
        };
        for _ in 0..10 {
            event(&mut recorder, 1000);
        }
        recorder.lose(Topic::HttpRequest);
        let counters = *recorder.counters();
        let dropped = counters.dropped[Topic::TcpData as usize];
        assert_eq!(counters.produced[Topic::TcpData as usize], 10);
        assert!((5..10).contains(&dropped), "{dropped}");
        assert_eq!(counters.dropped[Topic::HttpRequest as usize], 1);
        let mut sequences = Vec::new();
        while let Some((record, payload)) = records.take() {
            assert_eq!((record.dropped, payload.len()), (0, 1000));
            sequences.push(record.sequence);
        }
        assert_eq!(sequences, (1..=10 - dropped).collect::<Vec<_>>());
        event(&mut recorder, 0);
        let (record, _) = records.take().expect("room again");
        assert_eq!((record.sequence, record.dropped), (12, dropped + 1), "the hole shows, and is explained");
    }

    #[test]
    fn pieces_leave_room_to_end_what_was_begun() {
        let (mut recorder, mut records) = channel(8192);
        let Record { flow, part: end @ Part::End(_), .. } = record(8, 7, true) else { unreachable!() };
        let mut pieces = 0;
        while recorder.piece(&flow, 5, Part::Body(Direction::Client), &[0; 100]) {
            pieces += 1;
        }
        assert!(pieces > 20, "{pieces}");
        recorder.event(&flow, 6, end, &[]);
        assert_eq!(recorder.counters().dropped, [0; TOPICS]);
        let parts = std::iter::from_fn(|| records.take().map(|(record, _)| record.part)).collect::<Vec<_>>();
        assert_eq!((parts.len(), parts.last()), (pieces + 1, Some(&end)));
    }
}
