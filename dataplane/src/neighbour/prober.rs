//! Whom to ask now: neighbours never answered for, gateways and neighbours in use whose answer grows old, and
//! entries for which somebody claims another MAC address.
//!
//! Invariant: an unanswered neighbour is asked after 1, 2, 4, ... and at most every 30 seconds, and one call returns
//! no more probes than its limit and looks at no more slots than are due for the time that passed.

use core::iter;

use l3l4::Addr;

use super::Mac;
use super::entry::Entry;
use super::table::NeighbourTable;

/// The whole table is looked through in this time, however often the prober is called.
const ROUND_US: u64 = 200_000;
const FIRST_WAIT_US: u64 = 1_000_000;
const LONGEST_WAIT_US: u64 = 30_000_000;
/// Questions to the known MAC address before everybody is asked.
const UNICAST_ATTEMPTS: u8 = 3;

/// An ARP request or a neighbour solicitation to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Out of this port...
    pub port: u16,
    /// ...in this VLAN...
    pub vlan: u16,
    /// ...for this address...
    pub addr: Addr,
    /// ...to this station, or to everybody.
    pub unicast: Option<Mac>,
}

/// Walks the table; one worker owns it.
#[derive(Debug)]
pub struct Prober {
    limit: usize,
    cursor: usize,
    last: Option<u64>,
}

impl Prober {
    /// A prober that asks for at most `limit` neighbours per call.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, cursor: 0, last: None }
    }

    /// The probes due. Each one taken counts as sent.
    pub fn due<'a>(&'a mut self, table: &'a NeighbourTable, now: u64) -> impl Iterator<Item = Probe> + 'a {
        let capacity = table.capacity() as u64;
        let elapsed = self.last.map_or(ROUND_US, |last| now.saturating_sub(last).min(ROUND_US));
        let mut slots = capacity * elapsed / ROUND_US;
        if slots > 0 {
            self.last = Some(now);
        }
        let mut probes = self.limit;
        iter::from_fn(move || {
            while slots > 0 && probes > 0 {
                slots -= 1;
                let index = self.cursor;
                self.cursor = self.cursor.wrapping_add(1);
                if let Some(probe) = ask(table, index, now) {
                    probes -= 1;
                    return Some(probe);
                }
            }
            None
        })
    }
}

fn ask(table: &NeighbourTable, index: usize, now: u64) -> Option<Probe> {
    let slot = table.slot(index);
    let (sequence, entry) = slot.read()?;
    let old = entry.filter(|entry| wanted(entry, now))?;
    let entry = Entry { probed: now.max(1), attempts: old.attempts.saturating_add(1), ..old };
    table.write(slot, sequence, Some(&old), Some(&entry)).then(|| Probe {
        port: old.key.link as u16,
        vlan: (old.key.link >> 16) as u16,
        addr: old.key.address,
        unicast: old.mac.filter(|_| !old.challenged && old.attempts < UNICAST_ATTEMPTS),
    })
}

fn wanted(entry: &Entry, now: u64) -> bool {
    let needed = entry.gateway || entry.in_use(now) || entry.challenged;
    let doubtful = !entry.reachable(now) || entry.challenged;
    let wait = match entry.attempts {
        0 => 0,
        attempts => (FIRST_WAIT_US << (attempts - 1).min(8)).min(LONGEST_WAIT_US),
    };
    !entry.permanent && needed && doubtful && now.saturating_sub(entry.probed) >= wait
}
