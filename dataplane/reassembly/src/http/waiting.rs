//! Requests that wait for their responses (RFC 9112, section 9.3.2), in their order.
//!
//! Invariant: there is something in `more` only when there is something in `front`, so that a connection without
//! pipelining takes no memory. Numbers rise from the front to the back.

use std::collections::VecDeque;

/// What is special about the answer to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Method {
    /// Nothing.
    #[default]
    Other,
    /// It has no body.
    Head,
    /// It may open a tunnel.
    Connect,
}

/// A request as its response wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) begin: u64,
    /// When its latest byte was seen.
    pub(super) end: u64,
    pub(super) exchange: u32,
    pub(super) method: Method,
}

#[derive(Debug, Default)]
struct More(VecDeque<Asked>);

/// The queue of them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    front: Option<Asked>,
    more: Option<Box<More>>,
}

impl Waiting {
    pub(super) const fn front(&self) -> Option<&Asked> {
        self.front.as_ref()
    }

    fn back_mut(&mut self) -> Option<&mut Asked> {
        match &mut self.more {
            Some(more) => more.0.back_mut(),
            None => self.front.as_mut(),
        }
    }

    /// Adds one; `false` if as many wait as may.
    #[must_use]
    pub(super) fn push(&mut self, asked: Asked, limit: usize) -> bool {
        let waiting = usize::from(self.front.is_some()) + self.more.as_ref().map_or(0, |more| more.0.len());
        if waiting >= limit {
            return false;
        }
        if self.front.is_none() {
            self.front = Some(asked);
        } else {
            self.more.get_or_insert_default().0.push_back(asked);
        }
        true
    }

    pub(super) fn pop(&mut self) -> Option<Asked> {
        let next = self.more.as_mut().and_then(|more| more.0.pop_front());
        if self.more.as_ref().is_some_and(|more| more.0.is_empty()) {
            self.more = None;
        }
        std::mem::replace(&mut self.front, next)
    }

    /// More was seen of the latest request.
    pub(super) fn touch(&mut self, exchange: u32, now: u64) {
        if let Some(asked) = self.back_mut().filter(|asked| asked.exchange == exchange) {
            asked.end = now;
        }
    }

    /// Forgets all, save the latest if it has this number; whether it is there.
    pub(super) fn keep(&mut self, exchange: Option<u32>) -> bool {
        let kept = self.back_mut().copied().filter(|asked| Some(asked.exchange) == exchange);
        *self = Self { front: kept, more: None };
        kept.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(exchange: u32) -> Asked {
        Asked { begin: 0, end: 0, exchange, method: Method::Other }
    }

    #[test]
    fn first_come_first_served_up_to_the_limit() {
        let mut waiting = Waiting::default();
        for n in 0..3 {
            assert!(waiting.push(asked(n), 3));
        }
        assert!(!waiting.push(asked(3), 3));
        assert_eq!(waiting.pop(), Some(asked(0)));
        assert!(waiting.push(asked(4), 3));
        assert_eq!(waiting.front(), Some(&asked(1)));
        let rest: Vec<_> = std::iter::from_fn(|| waiting.pop()).map(|asked| asked.exchange).collect();
        assert_eq!(rest, [1, 2, 4]);
        assert!(waiting.more.is_none());
    }

    #[test]
    fn only_the_latest_changes_or_is_kept() {
        let mut waiting = Waiting::default();
        for n in 0..3 {
            assert!(waiting.push(asked(n), 3));
        }
        waiting.touch(1, 5);
        waiting.touch(2, 7);
        assert!(waiting.keep(Some(2)));
        assert_eq!(waiting.front(), Some(&Asked { end: 7, ..asked(2) }));
        assert!(!waiting.keep(None));
        assert_eq!(waiting.pop(), None);
    }
}
