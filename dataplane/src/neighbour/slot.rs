//! One slot of the neighbour table: a sequence lock made of atomics only.
//!
//! Invariant: [`Slot::read`] returns words that were all written by one [`Slot::replace`], or nothing; a reader
//! never waits for a writer longer than [`SPINS`] looks. The exception is the time of last use, a hint that stands
//! alone.

use core::hint::spin_loop;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64, fence};

use l3l4::Addr;

use super::Mac;
use super::entry::{Entry, Key};

/// Looks at a slot that is being written before it counts as unreadable. A write takes a few nanoseconds.
const SPINS: usize = 256;

const OCCUPIED: u64 = 1 << 48;
const KNOWN: u64 = 1 << 49;
const GATEWAY: u64 = 1 << 50;
const PERMANENT: u64 = 1 << 51;
const CHALLENGED: u64 = 1 << 52;

#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Odd while being written.
    sequence: AtomicU64,
    high: AtomicU64,
    low: AtomicU64,
    /// MAC address in the low 48 bits, flags above.
    mac: AtomicU64,
    seen: AtomicU64,
    confirmed: AtomicU64,
    used: AtomicU64,
    /// Time of the last question, and the number of them in the low 8 bits.
    probe: AtomicU64,
    link: AtomicU32,
}

impl Slot {
    /// Whether a full read is worthwhile: one load that rules out most slots.
    #[inline]
    pub(super) fn may_hold(&self, key: &Key) -> bool {
        self.low.load(Relaxed) == key.address.0 as u64
    }

    /// The sequence to hand to [`Slot::replace`] and the entry, `Some(None)` if the slot is free.
    #[inline]
    pub(super) fn read(&self) -> Option<(u64, Option<Entry>)> {
        for _ in 0..SPINS {
            let sequence = self.sequence.load(Acquire);
            if sequence & 1 == 0 {
                let entry = self.load();
                // Orders the loads above before the second look at the sequence.
                fence(Acquire);
                if self.sequence.load(Relaxed) == sequence {
                    return Some((sequence, entry));
                }
            }
            spin_loop();
        }
        None
    }

    fn load(&self) -> Option<Entry> {
        let mac = self.mac.load(Relaxed);
        let high = u128::from(self.high.load(Relaxed));
        let probe = self.probe.load(Relaxed);
        (mac & OCCUPIED != 0).then(|| Entry {
            key: Key {
                link: self.link.load(Relaxed),
                address: Addr(high << 64 | u128::from(self.low.load(Relaxed))),
            },
            mac: (mac & KNOWN != 0).then(|| Mac::from_bits(mac)),
            gateway: mac & GATEWAY != 0,
            permanent: mac & PERMANENT != 0,
            challenged: mac & CHALLENGED != 0,
            seen: self.seen.load(Relaxed),
            confirmed: self.confirmed.load(Relaxed),
            used: self.used.load(Relaxed),
            probed: probe >> 8,
            attempts: probe as u8,
        })
    }

    /// Writes an entry (None frees the slot) unless the slot changed since it was read; says whether it did.
    pub(super) fn replace(&self, sequence: u64, entry: Option<&Entry>) -> bool {
        if self.sequence.compare_exchange(sequence, sequence.wrapping_add(1), Acquire, Relaxed).is_err() {
            return false;
        }
        // A reader that sees any store below also sees the odd sequence.
        fence(Release);
        let free = Entry::default();
        let e = entry.unwrap_or(&free);
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let mac = e.mac.map_or(0, |mac| mac.to_bits() | KNOWN)
            | flag(entry.is_some(), OCCUPIED)
            | flag(e.gateway, GATEWAY)
            | flag(e.permanent, PERMANENT)
            | flag(e.challenged, CHALLENGED);
        self.high.store((e.key.address.0 >> 64) as u64, Relaxed);
        self.low.store(e.key.address.0 as u64, Relaxed);
        self.link.store(e.key.link, Relaxed);
        self.mac.store(mac, Relaxed);
        self.seen.store(e.seen, Relaxed);
        self.confirmed.store(e.confirmed, Relaxed);
        self.used.store(e.used, Relaxed);
        self.probe.store(e.probed << 8 | u64::from(e.attempts), Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Release);
        true
    }

    /// Notes a use. Losing one to a concurrent writer costs nothing but a hint.
    #[inline]
    pub(super) fn touch(&self, now: u64) {
        self.used.store(now, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    /// An entry all of whose words say `n`.
    fn stamped(n: u64) -> Entry {
        Entry {
            key: Key { link: n as u32, address: Addr(u128::from(n) << 64 | u128::from(n)) },
            mac: Some(Mac::from_bits(n)),
            seen: n,
            confirmed: n,
            used: n,
            probed: n,
            attempts: n as u8,
            ..Entry::default()
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let slot = Slot::default();
        assert_eq!(slot.read(), Some((0, None)));
        let flags = Entry { gateway: true, challenged: true, mac: None, ..stamped(7) };
        for (sequence, entry) in [(0, Some(stamped(3))), (2, Some(flags)), (4, None)] {
            assert!(slot.replace(sequence, entry.as_ref()));
            assert_eq!(slot.read(), Some((sequence + 2, entry)));
            assert!(!slot.replace(sequence, None), "a stale sequence");
        }
    }

    #[test]
    fn a_reader_sees_one_write_or_nothing() {
        let (slot, stop) = (&Slot::default(), &AtomicBool::new(false));
        slot.replace(0, Some(&stamped(1)));
        thread::scope(|scope| {
            let writers = [1_000_u64, 2_000_000].map(|base| {
                scope.spawn(move || {
                    for n in base..base + 300_000 {
                        if let Some((sequence, _)) = slot.read() {
                            slot.replace(sequence, Some(&stamped(n)));
                        }
                    }
                })
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Relaxed) {
                        if let Some((_, entry)) = slot.read() {
                            let entry = entry.unwrap();
                            assert_eq!(entry, stamped(entry.seen));
                        }
                    }
                });
            }
            for writer in writers {
                writer.join().unwrap();
            }
            stop.store(true, Relaxed);
        });
    }
}
