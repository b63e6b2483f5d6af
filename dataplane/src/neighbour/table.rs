//! The neighbour table: bounded, shared by all workers, without locks. Readers are on the packet path.
//!
//! Invariants: a lookup never returns the MAC address of another neighbour; the table holds at most one entry per
//! slot and refuses what does not fit; gateways, permanent entries and neighbours that answered within
//! [`super::REACHABLE_US`] are never displaced. Times are microseconds of one clock shared by all callers.

use core::fmt;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::fence;

use l3l4::Addr;

use super::entry::{Entry, Key, within};
use super::slot::Slot;
use super::state::{LearnOutcome, Neighbour, NeighbourStats, Refusal, Resolution, State};
use super::{Learned, Learning, Mac};

/// A lookup is noted at most this often, so that readers rarely write.
const TOUCH_US: u64 = 1_000_000;
/// Slots an address may be in.
const WINDOW: usize = 16;
/// Attempts at a slot that others keep changing.
const RETRIES: usize = 8;

/// See the module.
pub struct NeighbourTable {
    slots: Box<[Slot]>,
    seed: u64,
    stats: NeighbourStats,
}

fn key(port: u16, vlan: u16, address: Addr) -> Key {
    Key { link: u32::from(vlan) << 16 | u32::from(port), address }
}

impl NeighbourTable {
    /// A table of `capacity` slots (rounded up to a power of two, at least 16). `hash_seed` must be random, so that
    /// nobody can choose addresses that crowd one another out.
    #[must_use]
    pub fn new(capacity: usize, hash_seed: u64) -> Self {
        let slots = capacity.clamp(WINDOW, 1 << 20).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            seed: hash_seed,
            stats: NeighbourStats::default(),
        }
    }

    /// How many slots there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &NeighbourStats {
        &self.stats
    }

    /// The MAC address of a neighbour, reachable or stale; notes the use.
    #[inline]
    #[must_use]
    pub fn lookup(&self, port: u16, vlan: u16, addr: Addr, now: u64) -> Option<Mac> {
        let (slot, _, entry) = self.find(&key(port, vlan, addr))?;
        if now.saturating_sub(entry.used) > TOUCH_US {
            slot.touch(now.max(1));
        }
        entry.mac
    }

    /// The MAC address of a neighbour, without keeping it alive.
    #[must_use]
    pub fn peek(&self, port: u16, vlan: u16, addr: Addr) -> Option<Mac> {
        self.find(&key(port, vlan, addr))?.2.mac
    }

    /// [`NeighbourTable::lookup`], and if there is no entry makes one for the prober to ask about. At most a
    /// quarter of the table is spent on that.
    pub fn resolve(&self, port: u16, vlan: u16, addr: Addr, now: u64) -> Resolution {
        let key = key(port, vlan, addr);
        if let Some((slot, _, entry)) = self.find(&key) {
            slot.touch(now.max(1));
            return entry.mac.map_or(Resolution::Asking, Resolution::Known);
        }
        if self.stats.asking() >= self.slots.len() as u64 / 4 {
            self.stats.refused.fetch_add(1, Relaxed);
            return Resolution::Refused;
        }
        let fresh = Entry { key, seen: now.max(1), used: now.max(1), ..Entry::default() };
        let outcome = self.upsert(&key, now, |old| match old {
            Some(old) => (None, old.mac.map_or(LearnOutcome::New, |_| LearnOutcome::Refreshed)),
            None => (Some(fresh), LearnOutcome::New),
        });
        match (outcome, self.peek(port, vlan, addr)) {
            (_, Some(mac)) => Resolution::Known(mac),
            (LearnOutcome::Refused(_), None) => Resolution::Refused,
            (_, None) => Resolution::Asking,
        }
    }

    /// Enters what a message said. The caller has checked that `addr` is on the link. `replace`: the message may
    /// replace another MAC address (ARP always, an advertisement if its override flag is set).
    #[allow(clippy::too_many_arguments)] // the words of a message; `apply` takes them as one
    pub fn learn(
        &self,
        port: u16,
        vlan: u16,
        addr: Addr,
        mac: Mac,
        source: Learned,
        replace: bool,
        now: u64,
    ) -> LearnOutcome {
        self.apply(port, vlan, &Learning { address: addr, mac, source, replace, create: true }, now)
    }

    /// Enters what a [`super::Verdict`] says was learned.
    pub fn apply(&self, port: u16, vlan: u16, what: &Learning, now: u64) -> LearnOutcome {
        let (key, now) = (key(port, vlan, what.address), now.max(1));
        let ip = what.address.ip();
        let limited_broadcast = what.address == Addr::v4([255; 4]);
        if !what.mac.is_unicast() || ip.is_multicast() || ip.is_unspecified() || limited_broadcast {
            return LearnOutcome::Refused(Refusal::Invalid);
        }
        let outcome = self.upsert(&key, now, |old| match old {
            Some(old) => old.learn(what, now),
            None if !what.create => (None, LearnOutcome::Refused(Refusal::Unknown)),
            // Nobody was asked, so nobody vouches: stale from the start (RFC 4861, section 7.2.3).
            None => {
                (Some(Entry { key, mac: Some(what.mac), seen: now, ..Entry::default() }), LearnOutcome::New)
            }
        });
        match outcome {
            LearnOutcome::New => self.stats.learned.fetch_add(1, Relaxed),
            LearnOutcome::Changed => self.stats.changed.fetch_add(1, Relaxed),
            LearnOutcome::Refused(Refusal::Challenged) => self.stats.challenged.fetch_add(1, Relaxed),
            _ => 0,
        };
        outcome
    }

    /// Notes that traffic shows the neighbour answers (RFC 4861, section 7.3.1): at most one write a second.
    pub fn confirm(&self, port: u16, vlan: u16, addr: Addr, now: u64) {
        if let Some((slot, sequence, mut entry)) = self.find(&key(port, vlan, addr))
            && entry.mac.is_some()
            && !within(now, entry.confirmed, TOUCH_US)
        {
            entry.seen = now.max(1);
            entry.confirm(now.max(1));
            // Somebody else's write at the same moment is as good.
            slot.replace(sequence, Some(&entry));
        }
    }

    /// Marks an address as a configured gateway, which keeps its slot and is asked for until it answers.
    pub fn add_gateway(&self, port: u16, vlan: u16, addr: Addr, now: u64) -> LearnOutcome {
        let key = key(port, vlan, addr);
        self.upsert(&key, now, |old| match old {
            Some(old) => (Some(Entry { gateway: true, ..old }), LearnOutcome::Refreshed),
            None => {
                (Some(Entry { key, gateway: true, seen: now.max(1), ..Entry::default() }), LearnOutcome::New)
            }
        })
    }

    /// Enters a configured neighbour, which nothing learned replaces.
    pub fn add_permanent(&self, port: u16, vlan: u16, addr: Addr, mac: Mac, now: u64) -> LearnOutcome {
        let key = key(port, vlan, addr);
        let entry = Entry { key, mac: Some(mac), permanent: true, seen: now.max(1), ..Entry::default() };
        self.upsert(&key, now, |old| {
            let outcome = if old.is_some() { LearnOutcome::Changed } else { LearnOutcome::New };
            (Some(Entry { gateway: old.is_some_and(|old| old.gateway), ..entry }), outcome)
        })
    }

    /// Removes an entry of any kind; says whether there was one.
    pub fn forget(&self, port: u16, vlan: u16, addr: Addr) -> bool {
        let key = key(port, vlan, addr);
        (0..RETRIES).any(|_| {
            self.find(&key)
                .is_some_and(|(slot, sequence, entry)| self.write(slot, sequence, Some(&entry), None))
        })
    }

    /// Removes entries last heard of more than `max_age` microseconds ago; gateways and permanent entries stay.
    /// Returns how many.
    pub fn age(&self, now: u64, max_age: u64) -> usize {
        let removed = self
            .slots
            .iter()
            .filter(|slot| match slot.read() {
                Some((sequence, Some(entry))) => {
                    !entry.fixed()
                        && now.saturating_sub(entry.seen) > max_age
                        && self.write(slot, sequence, Some(&entry), None)
                }
                _ => false,
            })
            .count();
        self.stats.expired.fetch_add(removed as u64, Relaxed);
        removed
    }

    /// Every entry, for the admin socket. Allocates: not for the packet path.
    #[must_use]
    pub fn snapshot(&self, now: u64) -> Vec<Neighbour> {
        let entries = self.slots.iter().filter_map(|slot| slot.read()?.1);
        entries
            .map(|entry| Neighbour {
                port: entry.key.link as u16,
                vlan: (entry.key.link >> 16) as u16,
                addr: entry.key.address,
                mac: entry.mac,
                state: match entry.mac {
                    _ if entry.permanent => State::Permanent,
                    None => State::Asking,
                    Some(_) if entry.reachable(now) => State::Reachable,
                    Some(_) => State::Stale,
                },
                gateway: entry.gateway,
                age_s: now.saturating_sub(entry.seen) / 1_000_000,
            })
            .collect()
    }

    pub(super) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index & (self.slots.len() - 1)]
    }

    fn window(&self, key: &Key) -> impl Iterator<Item = &Slot> {
        let home = self.hash(key);
        (0..WINDOW).map(move |step| self.slot(home.wrapping_add(step)))
    }

    fn hash(&self, key: &Key) -> usize {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            product as u64 ^ (product >> 64) as u64
        };
        let low = fold(key.address.0 as u64 ^ self.seed, 0x9e37_79b9_7f4a_7c15 ^ self.seed.rotate_left(29));
        let high = (key.address.0 >> 64) as u64 ^ u64::from(key.link);
        fold(low ^ high, self.seed.rotate_left(47) | 1) as usize
    }

    #[inline]
    fn find(&self, key: &Key) -> Option<(&Slot, u64, Entry)> {
        self.window(key).filter(|slot| slot.may_hold(key)).find_map(|slot| match slot.read()? {
            (sequence, Some(entry)) if entry.key == *key => Some((slot, sequence, entry)),
            _ => None,
        })
    }

    /// Writes what `decide` makes of the present entry (None: there is none), in its slot or in a free or stale one.
    fn upsert(
        &self,
        key: &Key,
        now: u64,
        decide: impl Fn(Option<Entry>) -> (Option<Entry>, LearnOutcome),
    ) -> LearnOutcome {
        for _ in 0..RETRIES {
            if let Some((slot, sequence, old)) = self.find(key) {
                let (entry, outcome) = decide(Some(old));
                if entry.is_none_or(|entry| self.write(slot, sequence, Some(&old), Some(&entry))) {
                    return outcome;
                }
                continue;
            }
            let (entry, outcome) = decide(None);
            let Some(entry) = entry else { return outcome };
            let Some((slot, sequence, old)) = self.room(key, now) else {
                self.stats.refused.fetch_add(1, Relaxed);
                return LearnOutcome::Refused(Refusal::Full);
            };
            if self.write(slot, sequence, old.as_ref(), Some(&entry)) {
                self.stats.evicted.fetch_add(u64::from(old.is_some()), Relaxed);
                self.remove_duplicates(key);
                return outcome;
            }
        }
        self.stats.refused.fetch_add(1, Relaxed);
        LearnOutcome::Refused(Refusal::Busy)
    }

    /// The first free slot of the window, or the stale one idle for longest.
    fn room(&self, key: &Key, now: u64) -> Option<(&Slot, u64, Option<Entry>)> {
        let candidates =
            self.window(key).filter_map(|slot| slot.read().map(|(seq, entry)| (slot, seq, entry)));
        candidates
            .filter(|(_, _, entry)| entry.is_none_or(|entry| entry.displaceable(now)))
            .min_by_key(|(_, _, entry)| entry.map_or(0, |entry| entry.seen.max(entry.used).max(1)))
    }

    /// Two workers may enter one new neighbour at the same moment, in two slots: the first slot stays.
    fn remove_duplicates(&self, key: &Key) {
        // Our entry is visible before we look, so of two writers at least one sees both.
        fence(SeqCst);
        let same = self.window(key).filter_map(|slot| match slot.read()? {
            (sequence, Some(entry)) if entry.key == *key => Some((slot, sequence, entry)),
            _ => None,
        });
        for (slot, sequence, entry) in same.skip(1) {
            self.write(slot, sequence, Some(&entry), None);
        }
    }

    /// Replaces `old` with `new` if the slot still holds it, and keeps the gauges right.
    pub(super) fn write(&self, slot: &Slot, sequence: u64, old: Option<&Entry>, new: Option<&Entry>) -> bool {
        let done = slot.replace(sequence, new);
        if done {
            let asking = |entry: Option<&Entry>| u64::from(entry.is_some_and(|entry| entry.mac.is_none()));
            let entries = |entry: Option<&Entry>| u64::from(entry.is_some());
            // Wraps for a decrease: the sum over all writes is what counts.
            self.stats.entries.fetch_add(entries(new).wrapping_sub(entries(old)), Relaxed);
            self.stats.asking.fetch_add(asking(new).wrapping_sub(asking(old)), Relaxed);
        }
        done
    }
}

impl fmt::Debug for NeighbourTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NeighbourTable")
            .field("capacity", &self.slots.len())
            .field("stats", &self.stats)
            .finish()
    }
}

#[cfg(test)]
mod tests;
