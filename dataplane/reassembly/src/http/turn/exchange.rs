//! Which response answers which request (RFC 9112, section 9.3.2), and what follows from it.
//!
//! Invariant: numbers of exchanges rise by one with each request, and with each response to none. Requests that found
//! no place to wait are the latest ones, without a hole, so that their count says their numbers.

use super::Turn;
use crate::Direction;
use crate::http::framer::Early;
use crate::http::half::{Match, State};
use crate::http::head::Head;
use crate::http::message::{Message, interim};
use crate::http::waiting::{Asked, Method};
use crate::http::{Framer, Sink};

/// A request that comes so many nanoseconds behind a response to nothing is taken for the one that was answered.
const EARLY: u64 = 100_000_000;

impl Framer {
    /// The method of the request that the next response answers.
    pub(super) fn asked(&self, direction: Direction) -> Method {
        match self.waiting.front() {
            Some(asked) if direction == Direction::Server && !self.half(direction).open => asked.method,
            _ => Method::Other,
        }
    }

    fn take_number(&mut self) -> u32 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }
}

impl<S: Sink> Turn<'_, S> {
    /// Gives the message that begins its number.
    pub(super) fn number(&mut self, direction: Direction, head: &Head) {
        match direction {
            Direction::Client => self.number_request(head.method),
            Direction::Server => self.number_response(head.status),
        }
    }

    fn number_request(&mut self, method: Method) {
        self.shared.counters.requests += 1;
        let early = std::mem::take(&mut self.framer.early);
        if early.count == 1 && self.now.saturating_sub(early.time) < EARLY {
            // Its response is over, or under way.
            let half = &mut self.framer.halves[Direction::Client.index()];
            (half.exchange, half.connect) = (early.exchange, false);
            return;
        }
        let exchange = self.framer.take_number();
        let half = &mut self.framer.halves[Direction::Client.index()];
        half.exchange = exchange;
        let asked = Asked { begin: half.begin, end: self.now, exchange, method };
        let queued =
            self.framer.overflowed == 0 && self.framer.waiting.push(asked, self.shared.limits.pipeline);
        half.connect = queued && method == Method::Connect;
        if !queued {
            self.framer.overflowed = self.framer.overflowed.saturating_add(1);
            self.shared.counters.pipeline_overflows += 1;
        }
    }

    fn number_response(&mut self, status: u16) {
        let interim = interim(status);
        let counters = &mut self.shared.counters;
        *(if interim { &mut counters.interim } else { &mut counters.responses }) += 1;
        let framer = &mut *self.framer;
        let half = framer.half(Direction::Server);
        let open = half.open;
        let (exchange, matched) = if open {
            (half.exchange, Match::None)
        } else if let Some(asked) = framer.waiting.front() {
            (asked.exchange, Match::Waiting)
        } else if framer.overflowed > 0 {
            (framer.next.wrapping_sub(framer.overflowed), Match::Overflowed)
        } else {
            counters.unmatched += 1;
            let exchange = framer.take_number();
            let client = framer.half(Direction::Client);
            if !interim && client.state != State::Lost && !client.looking() {
                let early = &mut framer.early;
                *early = Early { count: early.count.saturating_add(1), exchange, time: self.now };
            }
            (exchange, Match::None)
        };
        let half = &mut framer.halves[Direction::Server.index()];
        (half.exchange, half.matched) = (exchange, matched);
        half.open = interim && matched == Match::None;
    }

    /// More was seen of a message.
    pub(super) fn touch(&mut self, direction: Direction) {
        if direction == Direction::Client {
            let exchange = self.framer.half(direction).exchange;
            self.framer.waiting.touch(exchange, self.now);
        }
    }

    /// A request is over.
    pub(super) fn request_over(&mut self) {
        let half = self.half(Direction::Client);
        if half.connect {
            (half.state, half.passed) = (State::Held, false);
        }
    }

    /// A response is over.
    pub(super) fn response_over(&mut self, message: &Message) {
        if message.upgrade {
            self.shared.counters.upgrades += 1;
            self.close(Direction::Client, false);
            self.close(Direction::Server, false);
        }
        if message.interim() {
            return;
        }
        match self.half(Direction::Server).matched {
            Match::None => {}
            Match::Waiting => {
                if self.framer.waiting.pop().is_some_and(|asked| asked.method == Method::Connect) {
                    self.refused();
                }
            }
            Match::Overflowed => self.framer.overflowed = self.framer.overflowed.saturating_sub(1),
        }
    }

    /// There is no tunnel behind a CONNECT: what follows it is a message again.
    fn refused(&mut self) {
        let half = self.half(Direction::Client);
        half.connect = false;
        if half.state == State::Held {
            half.state = if half.passed { State::Lost } else { State::Start };
            half.left = 0;
        }
    }

    /// Responses were lost, nobody knows how many. The requests that wait have had theirs, most likely; one that is
    /// under way has not.
    pub(super) fn forget(&mut self) {
        let half = self.framer.half(Direction::Client);
        let under_way = half.in_message().then_some(half.exchange);
        let kept = self.framer.waiting.keep(under_way);
        self.framer.overflowed = u32::from(under_way.is_some() && !kept && self.framer.overflowed > 0);
        let client = self.half(Direction::Client);
        if client.state == State::Held {
            // The tunnel may be open.
            client.passed = true;
            self.refused();
        }
    }
}
