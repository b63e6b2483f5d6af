//! Until when connections wait for what their peers are to send.
//!
//! Invariant: an entry is looked at only when its connection's timer fires, and holds for the generation of the record
//! it was made for; so none has to be removed, and a packet never comes by here. An entry is 16 bytes, and only
//! connections that were given one, and those numbered below them, have any.

use crate::key::FlowId;
use crate::time::Instant;
use core::time::Duration;

/// What a connection may be told in one word: nothing, milliseconds, or that it waits no more.
const NOTHING: u32 = 0;
const NO_MORE: u32 = u32::MAX;
/// A week.
const LONGEST: u128 = 7 * 86_400 * 1000;

/// [`Wait::seen`] of a deadline that the application set.
const SET: u32 = u32::MAX;

/// A deadline as it is kept until the call is over in which it was set.
#[inline]
pub(crate) fn word(after: Option<Duration>) -> u32 {
    after.map_or(NO_MORE, |after| after.as_millis().clamp(1, LONGEST) as u32)
}

#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// Zero: none.
    at: Instant,
    generation: u32,
    /// Bytes received when this silence was first seen, low bits; or [`SET`].
    seen: u32,
}

/// The deadlines of connections, by record.
#[derive(Debug)]
pub(crate) struct Waits {
    entries: Vec<Wait>,
}

impl Waits {
    /// For at most `limit` connections; untouched pages of it cost nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: Vec::with_capacity(limit) }
    }

    fn entry(&self, id: FlowId) -> Option<&Wait> {
        let entry = self.entries.get(id.index())?;
        (entry.generation == id.generation && entry.at != Instant::default()).then_some(entry)
    }

    fn put(&mut self, id: FlowId, at: Instant, seen: u32) {
        if self.entries.len() <= id.index() {
            self.entries.resize(id.index() + 1, Wait::default());
        }
        self.entries[id.index()] = Wait { at, generation: id.generation, seen };
    }

    /// Takes a word that was said at `now`; returns the deadline there is then.
    pub(crate) fn take(&mut self, id: FlowId, word: u32, now: Instant) -> Option<Instant> {
        match word {
            NOTHING => {}
            NO_MORE => self.clear(id),
            millis => self.put(id, now + Duration::from_millis(u64::from(millis)), SET),
        }
        self.deadline(id)
    }

    /// The deadline that the application set.
    pub(crate) fn deadline(&self, id: FlowId) -> Option<Instant> {
        self.entry(id).filter(|entry| entry.seen == SET).map(|entry| entry.at)
    }

    pub(crate) fn clear(&mut self, id: FlowId) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            *entry = Wait::default();
        }
    }

    /// Until when a connection may be silent that has received `bytes`: `patience` from `since` on, where more has come
    /// than when it was asked for last; else what was said then. So keepalives do not count.
    pub(crate) fn silence(&mut self, id: FlowId, bytes: u64, since: Instant, patience: Duration) -> Instant {
        match self.entry(id) {
            Some(entry) if entry.seen == low(bytes) => entry.at,
            _ => self.renew(id, bytes, since + patience),
        }
    }

    /// The same, whatever was said before.
    pub(crate) fn renew(&mut self, id: FlowId, bytes: u64, at: Instant) -> Instant {
        self.put(id, at, low(bytes));
        at
    }
}

/// Never [`SET`].
fn low(bytes: u64) -> u32 {
    bytes as u32 & (u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(index: u32, generation: u32) -> FlowId {
        FlowId { index, generation }
    }

    #[test]
    fn a_deadline_is_its_generation_s() {
        let mut waits = Waits::new(8);
        let (now, ten) = (Instant::from_millis(5), Duration::from_secs(10));
        assert_eq!(waits.take(id(3, 1), word(None), now), None);
        assert_eq!(waits.take(id(3, 1), word(Some(ten)), now), Some(now + ten));
        assert_eq!(waits.take(id(3, 1), NOTHING, now + ten), Some(now + ten), "it stays");
        assert_eq!(
            (waits.deadline(id(3, 2)), waits.deadline(id(2, 1)), waits.deadline(id(7, 1))),
            (None, None, None)
        );
        assert_eq!(waits.take(id(3, 1), word(None), now), None);
        assert_eq!(
            waits.take(id(3, 1), word(Some(Duration::ZERO)), now),
            Some(now + Duration::from_millis(1))
        );
        assert_eq!(word(Some(Duration::MAX)), 604_800_000);
    }

    #[test]
    fn silence_begins_anew_with_every_byte_and_with_nothing_else() {
        let mut waits = Waits::new(8);
        let at = Instant::from_millis;
        let minute = Duration::from_secs(60);
        assert_eq!(waits.silence(id(0, 1), 0, at(1000), minute), at(61_000));
        assert_eq!(waits.silence(id(0, 1), 0, at(30_000), minute), at(61_000), "a keepalive");
        assert_eq!(waits.silence(id(0, 1), 1, at(31_000), minute), at(91_000));
        assert_eq!(waits.deadline(id(0, 1)), None, "nobody set it");
        assert_eq!(waits.silence(id(0, 2), 1, at(40_000), minute), at(100_000), "another connection");
        assert_eq!(waits.take(id(0, 2), word(Some(minute)), at(41_000)), Some(at(101_000)));
        assert_eq!(waits.silence(id(0, 2), u64::from(u32::MAX), at(42_000), minute), at(102_000));
        assert_eq!(waits.deadline(id(0, 2)), None);
    }
}
