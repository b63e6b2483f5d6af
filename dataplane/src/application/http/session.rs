//! One connection: requests in, responses out, in order.
//!
//! Invariant: nothing is read while a response is not wholly queued, so responses never interleave
//! and a peer that does not read them is not read from either. After a refusal exactly one error is
//! sent, this side closes, and a bounded amount of what still comes is thrown away so that the
//! peer gets to see the error (RFC 9112, section 9.6).

use super::super::{AppCounters, Stream};
use super::canned::Canned;
use super::parse::{self, Method, Step};
use super::plain;
use super::response::{Answer, Ending, Response};
use super::waiting::Waiting;
use super::{Http, MAX_HEAD};

/// Bytes thrown away after the last response before the connection is reset.
pub(super) const MAX_DRAIN: u64 = 256 * 1024;

/// What is expected next from the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    RequestLine,
    Fields,
    Body,
    ChunkSize,
    ChunkData,
    ChunkEnd,
    Trailers,
    /// The last response is being queued.
    Last,
    /// Closed on this side; what comes is thrown away.
    Drain,
}

/// The request being read.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) stage: Stage,
    pub(super) method: Method,
    /// HTTP/1.0.
    pub(super) old: bool,
    pub(super) host: bool,
    pub(super) close: bool,
    pub(super) keep: bool,
    pub(super) expect: bool,
    pub(super) expect_other: bool,
    pub(super) length: bool,
    pub(super) chunked: bool,
    /// Bytes that the lines of this section took so far.
    pub(super) used: u32,
    /// Bytes of the body, or of its current chunk, still to come.
    pub(super) left: u64,
    /// What to answer once all of it has come.
    pub(super) answer: Answer,
}

/// The state of one HTTP connection.
#[derive(Debug, Default)]
pub struct Session {
    request: Request,
    /// Bytes at the front known to hold no line end: no need to look again.
    seen: u32,
    /// How much of the response under way is queued.
    offset: u32,
    /// Bytes that a chunked body, or a closed connection, may still bring.
    allowance: u64,
    sending: Option<Answer>,
    pub(super) waiting: Waiting,
    /// Bytes of the body since its time last began.
    pub(super) came: u32,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    Over,
}

impl Session {
    /// Does all that can be done now.
    #[inline]
    pub(super) fn run(&mut self, http: &Http, stream: &mut dyn Stream, counters: &mut AppCounters) -> Life {
        if self.between_requests() && http.keep_alive {
            loop {
                let front = stream.data();
                if front.is_empty() {
                    return if stream.peer_closed() { self.end(stream, counters) } else { Life::Open };
                }
                let Some(plain) = plain::recognise(front) else { break };
                let Ok(index) = http.content.find(plain.target) else { break };
                let (len, close) = (plain.len, plain.close);
                let Some(response) = http.responses.get(index as usize) else { break };
                if len > http.max_head {
                    break;
                }
                stream.take(len);
                counters.tcp_bytes_in += len as u64;
                counters.http_requests += 1;
                if close {
                    self.request.answer = Answer { index, ending: Ending::Close, head_only: false };
                    self.respond(http, counters);
                    break;
                }
                response.count(counters);
                let answer = Answer { index, ..Answer::default() };
                let mut offset = 0;
                if !response.push(answer, &mut offset, stream, counters) {
                    (self.sending, self.offset) = (Some(answer), offset);
                    return Life::Open;
                }
            }
        }
        self.step_by_step(http, stream, counters)
    }

    /// Nothing is half done: the next byte is the first one of a request, and a new session would do.
    #[inline]
    pub(in super::super) fn between_requests(&self) -> bool {
        let fresh = self.request.stage == Stage::RequestLine && self.request.used == 0;
        fresh && self.seen == 0 && self.sending.is_none() && self.waiting == Waiting::Nothing
    }

    /// The same for every request there can be, from wherever the last call stopped.
    #[inline(never)]
    pub(super) fn step_by_step(
        &mut self,
        http: &Http,
        stream: &mut dyn Stream,
        counters: &mut AppCounters,
    ) -> Life {
        let life = self.steps(http, stream, counters);
        self.await_more(http, stream, life);
        life
    }

    #[inline(always)]
    fn steps(&mut self, http: &Http, stream: &mut dyn Stream, counters: &mut AppCounters) -> Life {
        loop {
            if let Some(answer) = self.sending {
                let Some(response) = http.responses.get(answer.index as usize) else {
                    stream.abort();
                    return Life::Over;
                };
                if !response.push(answer, &mut self.offset, stream, counters) {
                    return Life::Open;
                }
                self.sending = None;
            }
            let step = match self.request.stage {
                Stage::Body | Stage::ChunkData => self.body(stream, counters),
                Stage::Last => {
                    self.close(stream);
                    continue;
                }
                Stage::Drain => return self.drain(stream, counters),
                _ => self.lines(http, stream, counters),
            };
            match step {
                Step::Done => self.section(http, counters),
                Step::Refused(canned) => self.refuse(http, canned, counters),
                Step::More => break,
            }
        }
        if stream.peer_closed() { self.end(stream, counters) } else { Life::Open }
    }

    /// Reads lines from the front of the ring.
    #[inline]
    fn lines(&mut self, http: &Http, stream: &mut dyn Stream, counters: &mut AppCounters) -> Step {
        let mut left = 0;
        if self.seen == 0 {
            let front = stream.data();
            if front.is_empty() {
                return Step::More;
            }
            let available = front.len();
            let (taken, step) = parse::advance(&mut self.request, front, http.max_head, http);
            if taken > 0 {
                stream.take(taken);
                counters.tcp_bytes_in += taken as u64;
            }
            if step != Step::More {
                return step;
            }
            left = available - taken;
        }
        self.straddling(http, stream, counters, left)
    }

    /// The same where the line at the front is not whole in the ring's contiguous part: `looked` is
    /// how much of it was looked at already.
    #[cold]
    fn straddling(
        &mut self,
        http: &Http,
        stream: &mut dyn Stream,
        counters: &mut AppCounters,
        looked: usize,
    ) -> Step {
        let seen = looked.max(self.seen as usize);
        let mut have = stream.pending().min(parse::room(&self.request, http.max_head));
        let mut step = Step::More;
        if have > seen {
            let mut room = [0; MAX_HEAD];
            let (into, _) = room.split_at_mut(have.min(MAX_HEAD));
            let copied = stream.copy(into);
            let front = into.get(..copied).unwrap_or_default();
            // With a line end, or where a request begins past the ring's wrap: a first byte can be
            // enough to refuse it.
            if seen == 0 || front.get(seen..).unwrap_or_default().contains(&b'\n') {
                let taken;
                (taken, step) = parse::advance(&mut self.request, front, http.max_head, http);
                stream.take(taken);
                counters.tcp_bytes_in += taken as u64;
                have -= taken;
            }
        }
        self.seen = 0;
        if step == Step::More {
            self.seen = have as u32;
            if have == parse::room(&self.request, http.max_head) || stream.full() {
                return Step::Refused(parse::overflow(self.request.stage));
            }
        }
        step
    }

    /// Throws away what is there of a body, or of a chunk.
    fn body(&mut self, stream: &mut dyn Stream, counters: &mut AppCounters) -> Step {
        let left = &mut self.request.left;
        let taken = take_up_to(*left, stream, counters);
        *left -= taken;
        self.came = self.came.saturating_add(taken as u32);
        if *left == 0 { Step::Done } else { Step::More }
    }

    /// A section of the request is complete: on to the next one, or to the response.
    #[inline]
    fn section(&mut self, http: &Http, counters: &mut AppCounters) {
        let request = &mut self.request;
        let next = match request.stage {
            Stage::Fields => return self.head(http, counters),
            Stage::ChunkSize if request.left == 0 => Stage::Trailers,
            Stage::ChunkSize if request.left > self.allowance => {
                return self.refuse(http, Canned::ContentTooLarge, counters);
            }
            Stage::ChunkSize => {
                self.allowance -= request.left;
                Stage::ChunkData
            }
            Stage::ChunkData => Stage::ChunkEnd,
            Stage::ChunkEnd => Stage::ChunkSize,
            _ => return self.respond(http, counters),
        };
        request.stage = next;
        request.used = 0;
    }

    /// The head is complete: what follows it, and whether the connection stays (RFC 9112, sections 6.3 and 9.3).
    #[inline]
    fn head(&mut self, http: &Http, counters: &mut AppCounters) {
        let request = &mut self.request;
        request.answer.ending = match (request.old, request.keep) {
            _ if request.close || !http.keep_alive => Ending::Close,
            (false, _) => Ending::Keep,
            (true, true) => Ending::SayKeep,
            (true, false) => Ending::Close,
        };
        if !request.host && !request.old {
            return self.refuse(http, Canned::BadRequest, counters);
        }
        if !(request.length || request.chunked || request.expect) {
            counters.http_requests += 1;
            return self.respond(http, counters);
        }
        self.head_with_body(http, counters);
    }

    #[cold]
    fn head_with_body(&mut self, http: &Http, counters: &mut AppCounters) {
        let request = &mut self.request;
        // A request with both, or an unknown expectation, is refused before any of its body.
        let refusal = if request.length && request.chunked {
            Some(Canned::BadRequest)
        } else if request.length && request.left > http.max_body {
            Some(Canned::ContentTooLarge)
        } else if request.expect_other && !request.old {
            Some(Canned::ExpectationFailed)
        } else {
            None
        };
        if let Some(canned) = refusal {
            return self.refuse(http, canned, counters);
        }
        counters.http_requests += 1;
        if !request.chunked && request.left == 0 {
            return self.respond(http, counters);
        }
        // Both are for HTTP/1.1 only: an older client would not know what a 100 is (RFC 9110, section 10.1.1).
        let expect = request.expect && !request.old;
        let answer = http.responses.get(request.answer.index as usize);
        if expect && answer.is_some_and(Response::is_error) {
            // The body would change nothing, so it is not asked for: the client gets its answer instead. Whether it
            // sends the body all the same cannot be known, so no other request can follow: what comes is thrown away.
            request.answer.ending = Ending::Close;
            return self.respond(http, counters);
        }
        request.used = 0;
        request.stage = if request.chunked { Stage::ChunkSize } else { Stage::Body };
        self.allowance = http.max_body;
        // Sent even if some of the body is here already: the same bytes get the same answer.
        if expect {
            let index = Canned::Continue.index();
            self.send(http, Answer { index, ..Answer::default() }, counters);
        }
    }

    /// The request is complete: its response is due.
    #[inline]
    fn respond(&mut self, http: &Http, counters: &mut AppCounters) {
        let answer = self.request.answer;
        self.request = Request::default();
        self.waiting.renew();
        if answer.ending == Ending::Close {
            self.request.stage = Stage::Last;
        }
        self.send(http, answer, counters);
    }

    /// The one error of a connection, then its end.
    #[cold]
    pub(super) fn refuse(&mut self, http: &Http, canned: Canned, counters: &mut AppCounters) {
        counters.http_bad_requests += 1;
        let head_only = self.request.answer.head_only;
        self.request = Request { stage: Stage::Last, ..Request::default() };
        let answer = Answer { index: canned.index(), ending: Ending::Close, head_only };
        self.send(http, answer, counters);
    }

    #[inline]
    fn send(&mut self, http: &Http, answer: Answer, counters: &mut AppCounters) {
        if let Some(response) = http.responses.get(answer.index as usize) {
            response.count(counters);
        }
        self.offset = 0;
        self.sending = Some(answer);
    }

    /// Closes this side.
    pub(super) fn close(&mut self, stream: &mut dyn Stream) {
        stream.close();
        self.allowance = MAX_DRAIN;
        self.request.stage = Stage::Drain;
    }

    /// What the peer is to send next, and is waited for.
    pub(super) fn awaited(&self) -> Waiting {
        match self.request.stage {
            _ if self.sending.is_some() => Waiting::Nothing,
            Stage::RequestLine if self.request.used == 0 && self.seen == 0 => Waiting::Nothing,
            Stage::RequestLine | Stage::Fields => Waiting::Head,
            Stage::Body | Stage::ChunkSize | Stage::ChunkData | Stage::ChunkEnd | Stage::Trailers => {
                Waiting::Body
            }
            // Who says nothing any more is the engine's to end.
            Stage::Drain if self.allowance < MAX_DRAIN => Waiting::End,
            Stage::Last | Stage::Drain => Waiting::Nothing,
        }
    }

    /// This side is closed: nothing that comes matters, but it must not come for ever.
    #[cold]
    fn drain(&mut self, stream: &mut dyn Stream, counters: &mut AppCounters) -> Life {
        self.allowance -= take_up_to(self.allowance, stream, counters);
        if stream.at_end() {
            return Life::Over;
        }
        if self.allowance == 0 {
            stream.abort();
            counters.http_drain_aborts += 1;
            return Life::Over;
        }
        Life::Open
    }

    /// The peer has closed, and all its requests that are complete are answered.
    #[cold]
    fn end(&mut self, stream: &mut dyn Stream, counters: &mut AppCounters) -> Life {
        let pending = stream.pending();
        if pending > 0 || self.request.stage != Stage::RequestLine {
            counters.http_truncated_requests += 1;
        }
        stream.take(pending);
        counters.tcp_bytes_in += pending as u64;
        stream.close();
        Life::Over
    }
}

/// Takes what is pending, at most `limit` bytes of it.
fn take_up_to(limit: u64, stream: &mut dyn Stream, counters: &mut AppCounters) -> u64 {
    let taken = (stream.pending() as u64).min(limit);
    if taken > 0 {
        stream.take(taken as usize);
        counters.tcp_bytes_in += taken;
    }
    taken
}
