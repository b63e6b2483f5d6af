//! Heads: whole ones where they lie, others piece by piece.
//!
//! Invariant: a head is judged at its blank line, or at the limit of its length, wherever segments end; only a start
//! line that cannot be one is found out before.

use super::Turn;
use crate::Direction;
use crate::http::Sink;
use crate::http::half::State;
use crate::http::head::{self, Fault, Head};
use crate::http::partial::{Ends, Partial};
use crate::http::start::{self, Verdict};

impl<S: Sink> Turn<'_, S> {
    /// At the beginning of a message; how many bytes were taken.
    pub(super) fn start(&mut self, direction: Direction, at: u64, bytes: &[u8]) -> usize {
        // Empty lines before a message do not count (RFC 9112, section 2.2).
        let empty = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let bytes = bytes.get(empty..).unwrap_or_default();
        if bytes.is_empty() {
            return empty;
        }
        let now = self.now;
        let half = self.half(direction);
        (half.offset, half.begin) = (at + empty as u64, now);
        let outcome = self.read(direction, bytes);
        empty
            + match outcome {
                Ok(Some(head)) if head.length <= self.shared.limits.head => {
                    self.accept(direction, &head, bytes.get(..head.length).unwrap_or_default());
                    head.length
                }
                outcome => self.not_whole(direction, bytes, outcome.err()),
            }
    }

    fn read(&self, direction: Direction, bytes: &[u8]) -> head::Outcome {
        let method = self.framer.asked(direction);
        head::read(direction, bytes, method, self.shared.limits.headers)
    }

    /// A head that is not all there, or is none.
    #[cold]
    fn not_whole(&mut self, direction: Direction, bytes: &[u8], fault: Option<Fault>) -> usize {
        let strict = self.half(direction).resync;
        let verdict = start::judge(direction, bytes, strict);
        // What was only looked at need not be read to its end to know that it is none.
        if verdict == Verdict::No || (strict && fault.is_some()) {
            self.shared.counters.bad_heads += u64::from(!strict);
            self.unreadable(direction);
            return 0;
        }
        let most = self.shared.limits.head;
        let view = bytes.get(..most).unwrap_or(bytes);
        let mut ends = Ends::Line;
        if let Some(end) = ends.find(view) {
            self.fault(direction, fault);
            self.fresh = true;
            return end;
        }
        if view.len() == most {
            self.too_long(direction);
            return most;
        }
        let partial =
            Partial { ends, judged: verdict == Verdict::Yes, looked: view.len(), ..Partial::default() };
        let half = self.half(direction);
        half.partial = Some(Box::new(partial));
        half.state = State::Head;
        if !self.hold(direction, view) {
            self.unreadable(direction);
        }
        view.len()
    }

    /// More of a head whose beginning is held.
    pub(super) fn head(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        let most = self.shared.limits.head;
        let half = self.half(direction);
        let strict = half.resync;
        let Some(partial) = &mut half.partial else {
            self.lose(direction);
            return 0;
        };
        let view = bytes.get(..most.saturating_sub(partial.bytes.len())).unwrap_or(bytes);
        let end = partial.ends.find(view);
        let piece = end.and_then(|end| view.get(..end)).unwrap_or(view);
        if !self.hold(direction, piece) {
            self.unreadable(direction);
            return piece.len();
        }
        let Some(partial) = self.half(direction).partial.as_mut() else { return piece.len() };
        if !partial.judged && partial.look(piece) {
            match start::judge(direction, &partial.bytes, strict) {
                Verdict::No => {
                    self.shared.counters.bad_heads += u64::from(!strict);
                    self.unreadable(direction);
                    // What looked like a message was none; one may begin with this segment.
                    self.fresh = strict;
                    return 0;
                }
                verdict => partial.judged = verdict == Verdict::Yes,
            }
        }
        if end.is_some() {
            self.whole(direction);
        } else if partial_len(self.half(direction).partial.as_deref()) >= most {
            self.too_long(direction);
        }
        piece.len()
    }

    /// All of a head is held.
    fn whole(&mut self, direction: Direction) {
        let Some(partial) = self.half(direction).partial.take() else { return };
        match self.read(direction, &partial.bytes) {
            Ok(Some(head)) => self.accept(direction, &head, &partial.bytes),
            outcome => {
                self.fault(direction, outcome.err());
                self.fresh = true;
            }
        }
        partial.free(self.shared);
    }

    /// Holds bytes; `false` if there is no memory for them.
    pub(super) fn hold(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let half = &mut self.framer.halves[direction.index()];
        let held = half.partial.as_mut().is_some_and(|partial| partial.add(self.shared, bytes));
        self.shared.counters.refused_memory += u64::from(!held);
        held
    }

    /// A head that is none, at its end.
    fn fault(&mut self, direction: Direction, fault: Option<Fault>) {
        let counters = &mut self.shared.counters;
        match fault {
            Some(Fault::Fields) => counters.too_many_headers += 1,
            Some(Fault::Length) => counters.bad_lengths += 1,
            Some(Fault::Syntax) | None => counters.bad_heads += 1,
        }
        self.unreadable(direction);
    }

    fn too_long(&mut self, direction: Direction) {
        self.shared.counters.heads_too_long += 1;
        self.unreadable(direction);
    }

    /// A message begins: its head is told, and what follows is its body.
    fn accept(&mut self, direction: Direction, head: &Head, bytes: &[u8]) {
        self.shared.counters.resyncs += u64::from(self.half(direction).resync);
        self.number(direction, head);
        let half = self.half(direction);
        half.readable = true;
        half.head = u32::try_from(head.length).unwrap_or(u32::MAX);
        (half.status, half.minor, half.upgrade) = (head.status, head.minor, head.upgrade);
        (half.framing, half.left) = (head.framing, head.declared);
        (half.body, half.missing) = (0, 0);
        let bodiless = half.begin_body();
        let message = self.message(direction);
        self.sink.head(&message, bytes);
        if bodiless {
            self.finish(direction, true);
        }
    }
}

fn partial_len(partial: Option<&Partial>) -> usize {
    partial.map_or(0, |partial| partial.bytes.len())
}
