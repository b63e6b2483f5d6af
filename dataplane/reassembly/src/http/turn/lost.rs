//! A direction that cannot be read: looking for the next message.
//!
//! Invariant: what is looked through costs one pass over its bytes at most, up to a limit; then a glance at the
//! beginning of each segment, or nothing any more where no message ever was.

use super::Turn;
use crate::Direction;
use crate::http::Sink;
use crate::http::half::State;
use crate::http::start::{self, Verdict};

impl<S: Sink> Turn<'_, S> {
    /// Bytes are not what they have to be. One that was only looked at as a possible message was not readable before.
    pub(super) fn unreadable(&mut self, direction: Direction) {
        self.shared.counters.unreadable += u64::from(!self.half(direction).looking());
        self.lose(direction);
    }

    /// Ends what is under way, and looks for the next message from here on.
    pub(super) fn lose(&mut self, direction: Direction) {
        let looking = self.half(direction).looking();
        if self.half(direction).in_message() {
            self.finish(direction, false);
        }
        let half = &mut self.framer.halves[direction.index()];
        if half.state == State::Ignored {
            return;
        }
        let held = half.partial.as_ref().map_or(0, |partial| partial.bytes.len() as u64);
        half.left = if looking { half.left.saturating_add(held) } else { 0 };
        half.drop_partial(self.shared);
        half.state = State::Lost;
        half.resync = false;
        half.open = false;
        self.fresh = false;
        if direction == Direction::Server && !looking {
            self.forget();
        }
    }

    /// Looks for a message; how many bytes are none.
    pub(super) fn look(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        let over = self.shared.limits.rubbish as u64;
        let fresh = std::mem::replace(&mut self.fresh, false);
        let half = &mut self.framer.halves[direction.index()];
        let over = half.left >= over;
        if over && !half.readable {
            self.shared.counters.given_up += 1;
            half.ignore(self.shared);
            return bytes.len();
        }
        let found = if fresh && start::judge(direction, bytes, true) != Verdict::No {
            Some(0)
        } else if over {
            None
        } else {
            start::find(direction, bytes)
        };
        if found.is_some() {
            half.state = State::Start;
            half.resync = true;
        }
        let passed = found.unwrap_or(bytes.len());
        half.left = half.left.saturating_add(passed as u64);
        passed
    }
}
