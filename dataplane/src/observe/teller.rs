//! Tells the exporter what is seen in a connection: its beginning and end, its bytes, the messages in it.
//!
//! Invariant: a message is counted as an event once, at its end. One that lies in one segment is one record; of any other
//! the head goes at once, then its body as it comes, so that nothing is kept here but what a segment held.

use super::{Level, ObserveSettings};
use crate::event::{self, EventCounters, Flow, Framing, Part, Recorder, Topic};
use reassembly::http::{self, Framer, Shared};
use reassembly::{Direction, Summary};

/// A head and the body behind it are told in one record if they are no longer, in bytes.
const WHOLE: usize = 16 << 10;

/// What is kept for each connection that is observed.
pub(crate) struct Observed {
    pub(crate) flow: Flow,
    pub(crate) level: Level,
    framer: Framer,
    messages: [Told; 2],
}

/// What of a message has been told.
#[derive(Clone, Copy, Default)]
struct Told {
    /// Its head found no room.
    lost: bool,
    /// Bytes of its body that found none.
    body_lost: u64,
    /// Bytes of its body that were told.
    body: u64,
}

impl Observed {
    pub(crate) fn new(flow: Flow, level: Level, midstream: bool) -> Self {
        let framer = if midstream { Framer::midstream() } else { Framer::default() };
        Self { flow, level, framer, messages: [Told::default(); 2] }
    }
}

/// One worker's way to tell.
pub(crate) struct Teller {
    recorder: Option<Recorder>,
    http: Shared,
    /// A message that may be whole in the segment at hand.
    scratch: Vec<u8>,
    body: u64,
}

impl Teller {
    pub(crate) fn new(settings: &ObserveSettings, recorder: Option<Recorder>) -> Self {
        let http = Shared::new(settings.http);
        Self { recorder, http, scratch: Vec::with_capacity(2 * WHOLE), body: settings.body }
    }

    pub(crate) fn http(&self) -> &Shared {
        &self.http
    }

    pub(crate) fn events(&self) -> EventCounters {
        self.recorder.as_ref().map(|recorder| *recorder.counters()).unwrap_or_default()
    }

    fn event(&mut self, time: u64, flow: &Flow, part: Part, payload: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(flow, time, part, &[payload]);
        }
    }

    pub(crate) fn opened(&mut self, time: u64, observed: &Observed, midstream: bool) {
        self.event(time, &observed.flow, Part::Open { midstream }, &[]);
    }

    #[inline]
    pub(crate) fn data(
        &mut self,
        time: u64,
        observed: &mut Observed,
        direction: Direction,
        offset: u64,
        bytes: &[u8],
    ) {
        if observed.level.data() {
            self.event(time, &observed.flow, Part::Data { direction, offset }, bytes);
        }
        if observed.level.http() {
            self.frame(time, observed, |framer, shared, messages| {
                framer.data(shared, time, direction, offset, bytes, messages);
            });
        }
    }

    pub(crate) fn gap(&mut self, time: u64, observed: &mut Observed, gap: reassembly::Gap) {
        let reassembly::Gap { direction, offset, length, cause } = gap;
        self.event(time, &observed.flow, Part::Gap { direction, offset, length, cause }, &[]);
        if observed.level.http() {
            self.frame(time, observed, |framer, shared, messages| {
                framer.gap(shared, time, direction, offset, length, messages);
            });
        }
    }

    pub(crate) fn finished(&mut self, time: u64, observed: &mut Observed, direction: Direction) {
        if observed.level.http() {
            self.frame(time, observed, |framer, shared, messages| {
                framer.end(shared, time, direction, messages)
            });
        }
    }

    pub(crate) fn closed(&mut self, time: u64, observed: &mut Observed, summary: &Summary) {
        if observed.level.http() {
            self.frame(time, observed, |framer, shared, messages| framer.abort(shared, time, messages));
            observed.framer.release(&mut self.http);
        }
        self.event(time, &observed.flow, Part::Close(*summary), &[]);
    }

    #[inline]
    fn frame(
        &mut self,
        time: u64,
        observed: &mut Observed,
        feed: impl FnOnce(&mut Framer, &mut Shared, &mut Messages<'_>),
    ) {
        let Self { recorder, http, scratch, body } = self;
        let Observed { flow, framer, messages, .. } = observed;
        let mut telling = Messages {
            recorder: recorder.as_mut(),
            flow,
            time,
            scratch,
            open: None,
            told: messages,
            most: *body,
        };
        feed(framer, http, &mut telling);
        telling.flush();
    }
}

/// Takes the messages found in one segment.
struct Messages<'a> {
    recorder: Option<&'a mut Recorder>,
    flow: &'a Flow,
    time: u64,
    scratch: &'a mut Vec<u8>,
    /// The message of which all there is so far lies in `scratch`.
    open: Option<http::Message>,
    told: &'a mut [Told; 2],
    most: u64,
}

impl Messages<'_> {
    fn message(message: &http::Message, told: &Told) -> event::Message {
        event::Message {
            direction: message.direction,
            exchange: message.exchange,
            offset: message.offset,
            begin: message.begin,
            framing: match message.framing {
                http::Framing::None => Framing::None,
                http::Framing::Length => Framing::Length,
                http::Framing::Chunked => Framing::Chunked,
                http::Framing::Close => Framing::Close,
            },
            head_length: message.head_length,
            body_length: message.body_length,
            body_lost: told.body_lost,
            body_missing: message.missing,
            complete: message.complete,
            resync: message.resync,
            upgrade: message.upgrade,
            request: message.request.map(|times| (times.begin, times.end)),
        }
    }

    /// Tells what is there of a message that is not over.
    fn flush(&mut self) {
        let Some(message) = self.open.take() else { return };
        let told = &mut self.told[message.direction.index()];
        let Some(recorder) = &mut self.recorder else { return };
        let at = (message.head_length as usize).min(self.scratch.len());
        let (head, body) = self.scratch.split_at(at);
        told.lost = !recorder.piece(self.flow, self.time, Part::Head(Self::message(&message, told)), head);
        if !body.is_empty() {
            told.piece(recorder, self.flow, self.time, Part::Body(message.direction), body);
        }
    }
}

impl Told {
    /// Tells a piece of the body; what finds no room is counted.
    fn piece(&mut self, recorder: &mut Recorder, flow: &Flow, time: u64, part: Part, bytes: &[u8]) {
        // What is behind a piece that was lost would move to its place.
        if self.lost || self.body_lost > 0 || !recorder.piece(flow, time, part, bytes) {
            self.body_lost += bytes.len() as u64;
            recorder.lost_body(bytes.len() as u64);
        }
    }
}

impl http::Sink for Messages<'_> {
    fn head(&mut self, message: &http::Message, head: &[u8]) {
        if self.recorder.is_none() {
            return;
        }
        self.flush();
        self.told[message.direction.index()] = Told::default();
        self.scratch.clear();
        self.scratch.extend_from_slice(head);
        self.open = Some(*message);
    }

    fn body(&mut self, message: &http::Message, bytes: &[u8]) {
        let told = &mut self.told[message.direction.index()];
        let room = self.most.saturating_sub(told.body).min(bytes.len() as u64) as usize;
        let bytes = &bytes[..room];
        if bytes.is_empty() || self.recorder.is_none() {
            return;
        }
        told.body += room as u64;
        if self.open.is_some() {
            if self.scratch.len() + room <= WHOLE {
                self.scratch.extend_from_slice(bytes);
                return;
            }
            self.flush();
        }
        if let Some(recorder) = &mut self.recorder {
            let told = &mut self.told[message.direction.index()];
            told.piece(recorder, self.flow, self.time, Part::Body(message.direction), bytes);
        }
    }

    fn missing(&mut self, message: &http::Message, length: u64) {
        self.flush();
        if let Some(recorder) = &mut self.recorder
            && !self.told[message.direction.index()].lost
        {
            // Without room its place is not told; how much is missing is told at the end.
            let _ = recorder.piece(self.flow, self.time, Part::Hole(message.direction, length), &[]);
        }
    }

    fn trailers(&mut self, message: &http::Message, bytes: &[u8]) {
        self.flush();
        if let Some(recorder) = &mut self.recorder
            && !self.told[message.direction.index()].lost
        {
            let _ = recorder.piece(self.flow, self.time, Part::Trailers(message.direction), bytes);
        }
    }

    fn end(&mut self, message: &http::Message) {
        let Some(recorder) = &mut self.recorder else { return };
        let told = core::mem::take(&mut self.told[message.direction.index()]);
        let ended = Self::message(message, &told);
        if self.open.take().is_some() {
            recorder.event(self.flow, self.time, Part::Whole(ended), &[self.scratch]);
        } else if told.lost {
            recorder.lose(Topic::of_message(message.direction));
        } else {
            recorder.event(self.flow, self.time, Part::End(ended), &[]);
        }
    }
}
