//! Events out of records: messages that came in pieces put together, numbers replaced by names.
//!
//! Invariant: each record that completes an event gives exactly one event; no other record gives any. What is kept in
//! between is bounded.

use std::borrow::Cow;
use std::sync::Arc;

use dataplane::event::{Message, Part, Record, Topic};
use events::{Close, Data, Gap, Meta, Open, PerSide, RequestSeen, Sent, What};
use reassembly::{Direction, Summary};

use super::head::{self, Start};
use super::names::Names;
use super::pieces::{Losses, Messages, Pieces};
use super::requests::{Pending, Requests};

/// What may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a body in its event; what is more is left out.
    pub body: usize,
    /// Bytes of all messages in pieces, and of what is kept of requests until their responses come.
    pub memory: usize,
}

/// An event, complete but for its encoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// The first frame.
    pub topic: Topic,
    /// The second one.
    pub meta: Meta,
    /// The third one.
    pub payload: Cow<'a, [u8]>,
}

/// Makes events of the records of all workers.
pub struct Assembler {
    run: Arc<str>,
    names: Names,
    body: usize,
    messages: Messages,
    requests: Requests,
}

impl Assembler {
    /// For this start of the daemon.
    #[must_use]
    pub fn new(run: Arc<str>, names: Names, bounds: Bounds) -> Self {
        // Requests wait with a line each, messages with their bodies.
        let for_requests = bounds.memory / 8;
        Self {
            run,
            names,
            body: bounds.body,
            messages: Messages::new(bounds.memory - for_requests, bounds.body),
            requests: Requests::new(for_requests),
        }
    }

    /// From here on these names are used.
    pub fn rename(&mut self, names: Names) {
        self.names = names;
    }

    /// Messages in pieces, and bytes kept.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.messages.count(), self.messages.bytes() + self.requests.bytes())
    }

    /// What became of messages beside those that were told.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.messages.losses
    }

    /// Takes a record of a worker; gives the event that it completes.
    pub fn take<'a>(&mut self, worker: u16, record: &Record, payload: &'a [u8]) -> Option<Event<'a>> {
        let flow = (worker, record.flow.id);
        let (what, payload) = match &record.part {
            Part::Open { midstream } => (What::Open(Open { midstream: *midstream }), Cow::default()),
            Part::Data { direction, offset } => {
                let length = payload.len() as u64;
                let data = Data { direction: direction.name().into(), offset: *offset, length };
                (What::Data(data), Cow::Borrowed(payload))
            }
            Part::Gap { direction, offset, length, cause } => {
                let (direction, cause) = (direction.name().into(), cause.name().into());
                (What::Gap(Gap { direction, offset: *offset, length: *length, cause }), Cow::default())
            }
            Part::Whole(message) => self.whole(worker, record, message, payload),
            Part::Head(message) => {
                if message.direction == Direction::Client {
                    let (start, _) = head::request(payload);
                    self.requests.begin(flow, pending(record, message, &start));
                }
                self.messages.head((flow, message.direction), payload);
                return None;
            }
            Part::Body(direction) => {
                if *direction == Direction::Client {
                    self.requests.goes_on(flow, record.time);
                }
                self.messages.body((flow, *direction), payload);
                return None;
            }
            Part::Hole(direction, length) => {
                self.messages.hole((flow, *direction), *length);
                return None;
            }
            Part::Trailers(direction) => {
                self.messages.trailers((flow, *direction), payload);
                return None;
            }
            Part::End(message) => self.end(worker, record, message),
            Part::Close(summary) => {
                self.requests.forget(flow);
                self.messages.forget((flow, Direction::Client));
                self.messages.forget((flow, Direction::Server));
                (What::Close(Box::new(close(summary))), Cow::default())
            }
        };
        let topic = record.part.completes()?;
        Some(Event { topic, meta: self.meta(worker, record, what), payload })
    }

    fn meta(&self, worker: u16, record: &Record, what: What) -> Meta {
        let flow = &record.flow;
        Meta {
            v: events::VERSION,
            run: Arc::clone(&self.run),
            worker,
            seq: record.sequence,
            dropped: record.dropped,
            time: record.time,
            flow: format!("{worker}-{}", flow.id),
            service: self.names.service(flow.service),
            action: flow.origin.name().into(),
            ingress: self.names.port(flow.ingress),
            vlan: flow.vlan,
            protocol: "tcp".into(),
            client: flow.client.into(),
            server: flow.server.into(),
            what,
        }
    }

    /// A message of one record: its head, and its body behind it.
    fn whole<'a>(
        &mut self,
        worker: u16,
        record: &Record,
        message: &Message,
        payload: &'a [u8],
    ) -> (What, Cow<'a, [u8]>) {
        let key = (worker, record.flow.id);
        // A message in pieces that this one follows has no end.
        self.messages.forget((key, message.direction));
        let (head, body) = payload.split_at(payload.len().min(message.head_length as usize));
        let kept = &body[..body.len().min(self.body)];
        if message.direction == Direction::Client {
            let (start, headers) = head::request(head);
            self.requests.begin(key, pending(record, message, &start));
            return (self.count_cut(message, request(message, start, headers, kept.len())), kept.into());
        }
        let (start, headers) = head::response(head);
        let what = self.response(key, message, start, headers, kept.len());
        (self.count_cut(message, what), kept.into())
    }

    /// Counts a message whose body is not all there because of a limit or the ring.
    fn count_cut(&mut self, message: &Message, what: What) -> What {
        let losses = &mut self.messages.losses;
        match &what {
            What::Message(told) if told.body_left_out == 0 => {}
            _ if message.body_lost > 0 => losses.cut_ring += 1,
            _ => losses.cut_limit += 1,
        }
        what
    }

    /// The end of a message that came in pieces.
    fn end(&mut self, worker: u16, record: &Record, message: &Message) -> (What, Cow<'static, [u8]>) {
        let key = (worker, record.flow.id);
        let pieces = self.messages.end((key, message.direction));
        let known = pieces.is_some();
        let Pieces { head, body, holes, trailers, emptied, .. } = pieces.unwrap_or_default();
        let mut what = if message.direction == Direction::Client {
            let (start, headers) = if known { head::request(&head) } else { Default::default() };
            self.requests.goes_on(key, record.time);
            request(message, start, headers, body.len())
        } else {
            let (start, headers) = if known { head::response(&head) } else { Default::default() };
            self.response(key, message, start, headers, body.len())
        };
        if let What::Message(told) = &mut what {
            told.holes = holes;
            told.trailers = head::trailers(&trailers);
        }
        // What was given up for want of memory is counted already.
        let what = if known && !emptied { self.count_cut(message, what) } else { what };
        (what, Cow::Owned(body))
    }

    fn response(
        &mut self,
        key: super::FlowKey,
        message: &Message,
        start: Start,
        headers: Vec<events::Pair>,
        body: usize,
    ) -> What {
        // RFC 9110, section 15.2: 1xx are interim, but nothing follows 101.
        let is_final = !(100..200).contains(&start.status) || start.status == 101;
        let asked = self.requests.answered(key, message.exchange, is_final);
        let times = message.request.or(asked.as_ref().map(|request| (request.begin, request.end)));
        let request = times.map(|(begin, end)| {
            let (method, target) = asked.map(|asked| (asked.method, asked.target)).unwrap_or_default();
            RequestSeen { method, target, begin, end }
        });
        let told = told(message, start.version, headers, body);
        What::Message(Box::new(events::Message {
            status: Some(start.status),
            reason: Some(start.reason),
            upgrade: Some(message.upgrade),
            request,
            ..told
        }))
    }
}

fn request(message: &Message, start: Start, headers: Vec<events::Pair>, kept: usize) -> What {
    let told = told(message, start.version, headers, kept);
    let (method, target) = (Some(start.method), Some(start.target));
    What::Message(Box::new(events::Message { method, target, ..told }))
}

/// What requests and responses have in common, with so many bytes of the body in the payload.
fn told(
    message: &Message,
    version: Cow<'static, str>,
    headers: Vec<events::Pair>,
    kept: usize,
) -> events::Message {
    let seen = message.body_length.saturating_sub(message.body_missing);
    events::Message {
        direction: message.direction.name().into(),
        exchange: message.exchange,
        offset: message.offset,
        begin: message.begin,
        version,
        headers,
        framing: message.framing.name().into(),
        head_length: message.head_length,
        body_length: message.body_length,
        // What found no room in the ring is among them.
        body_left_out: seen.saturating_sub(kept as u64),
        body_missing: message.body_missing,
        complete: message.complete,
        resync: message.resync,
        ..events::Message::default()
    }
}

fn pending(record: &Record, message: &Message, start: &Start) -> Pending {
    Pending {
        exchange: message.exchange,
        method: start.method.clone(),
        target: start.target.clone(),
        begin: message.begin,
        end: record.time,
    }
}

fn close(summary: &Summary) -> Close {
    let sent = |direction: Direction| {
        let sent = &summary.sent[direction.index()];
        let measured = sent.rtt_samples > 0;
        Sent {
            packets: sent.packets,
            bytes: sent.bytes,
            retransmitted: sent.retransmitted,
            out_of_order: sent.out_of_order,
            conflicts: sent.conflicts,
            gaps: sent.gaps,
            missing: sent.missing,
            zero_windows: sent.zero_windows,
            zero_window_time: sent.zero_window_time,
            rtt_samples: sent.rtt_samples,
            rtt_min: measured.then_some(sent.rtt_min),
            rtt_max: measured.then_some(sent.rtt_max),
            rtt_mean: sent.rtt_sum.checked_div(sent.rtt_samples),
        }
    };
    let state = |direction: Direction| Cow::from(summary.states[direction.index()].name());
    Close {
        reason: summary.end.name().into(),
        state: PerSide { client: state(Direction::Client), server: state(Direction::Server) },
        duration: summary.duration,
        handshake_rtt: summary.handshake_rtt,
        sent: PerSide { client: sent(Direction::Client), server: sent(Direction::Server) },
    }
}
