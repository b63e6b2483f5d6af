//! A follower without ports: packets come from a file, with their times.
//!
//! Invariant: the same code sees them as on a worker; every packet is counted as followed or under a drop reason.

use super::follower::{Follower, Packet};
use super::{Level, ObserveCounters, ObserveGauges, ObserveSettings, Teller};
use crate::drop::DropReason;
use crate::event::{Recorder, Records, channel};
use crate::frame::{self, ethertype};
use l3l4::RxChecksum;
use std::collections::BTreeMap;

/// What the packets of a file begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// An Ethernet header.
    Ethernet,
    /// The IP header.
    RawIp,
    /// Four bytes that name the address family, in the byte order of whoever captured them.
    Loopback,
    /// A Linux "cooked" header of 16 bytes.
    LinuxSll,
    /// A Linux "cooked" header of 20 bytes.
    LinuxSll2,
}

/// What became of the packets of a file.
#[derive(Clone, Debug, Default)]
pub struct OfflineCounters {
    /// Packets.
    pub packets: u64,
    /// Those of them that were followed.
    pub followed: u64,
    /// The others, by drop reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// What was seen in them.
    pub observed: ObserveCounters,
}

/// Follows the packets of a file.
pub struct Offline {
    pub(super) follower: Follower<Vec<u8>>,
    pub(super) teller: Teller,
    now: u64,
    expired: u64,
    counters: OfflineCounters,
    level: Level,
}

/// Time of packets between two looks for what has waited too long, in nanoseconds.
const EXPIRE_EVERY: u64 = 1_000_000;

impl Offline {
    /// A follower, and the records it will make: to be taken out after every packet, since what finds no room in the ring of
    /// `ring` bytes is dropped.
    #[must_use]
    pub fn new(settings: &ObserveSettings, level: Level, ring: usize) -> (Self, Records) {
        let (recorder, records) = channel(ring);
        (Self::with(settings, level, Some(recorder)), records)
    }

    /// A follower that only counts.
    #[must_use]
    pub fn silent(settings: &ObserveSettings, level: Level) -> Self {
        Self::with(settings, level, None)
    }

    fn with(settings: &ObserveSettings, level: Level, recorder: Option<Recorder>) -> Self {
        Self {
            follower: Follower::new(settings, &[7; 32]),
            teller: Teller::new(settings, recorder),
            now: 0,
            expired: 0,
            counters: OfflineCounters::default(),
            level,
        }
    }

    /// Takes a packet that was captured at `time`, in nanoseconds since 1970.
    pub fn packet(&mut self, time: u64, link: LinkType, bytes: &[u8]) {
        self.counters.packets += 1;
        // Times may go back a little in a file that was put together of several; timeouts need a clock that does not.
        self.now = self.now.max(time);
        if self.now - self.expired >= EXPIRE_EVERY {
            self.expired = self.now;
            self.follower.expire(self.now, &mut self.teller);
        }
        let reason = match start(link, bytes) {
            Ok((at, vlan)) => {
                // A file may hold packets of this machine's own, from its own addresses.
                let known = RxChecksum { any_address: true, ..RxChecksum::default() };
                let packet = Packet { at: 0, link: u32::from(vlan) << 16, known };
                let level = self.level;
                let admit = |_: &_| Some((0, level));
                let buffer = bytes[at..].to_vec();
                let (result, _) = self.follower.packet(self.now, packet, buffer, admit, &mut self.teller);
                match result {
                    Ok(()) => {
                        self.counters.followed += 1;
                        return;
                    }
                    Err(reason) => reason.name(),
                }
            }
            Err(reason) => reason.name(),
        };
        *self.counters.dropped.entry(reason).or_default() += 1;
    }

    /// The file is at its end: so are all connections. Up to `most` of them are ended; true while there are more.
    pub fn finish(&mut self, most: usize) -> bool {
        self.follower.shut_down(self.now, most, &mut self.teller)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> OfflineCounters {
        let mut counters = self.counters.clone();
        self.follower.fill(&mut counters.observed, &mut ObserveGauges::default());
        counters.observed.http = self.teller.http().counters;
        counters.observed.events = self.teller.events();
        counters
    }
}

/// Where the IP packet begins, and its VLAN.
fn start(link: LinkType, bytes: &[u8]) -> Result<(usize, u16), DropReason> {
    let is_ip = |at: usize| bytes.get(at).is_some_and(|first| matches!(first >> 4, 4 | 6));
    let at = match link {
        LinkType::Ethernet => {
            let frame = frame::parse(bytes, None)?;
            if !matches!(frame.ethertype, ethertype::IPV4 | ethertype::IPV6) {
                return Err(DropReason::EtherType);
            }
            return Ok((frame.payload, frame.vlan));
        }
        LinkType::RawIp => 0,
        LinkType::Loopback => 4,
        LinkType::LinuxSll => 16,
        LinkType::LinuxSll2 => 20,
    };
    if is_ip(at) { Ok((at, 0)) } else { Err(DropReason::EtherType) }
}
