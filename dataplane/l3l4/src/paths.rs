//! What is known of the paths to peers: the verdict on an ICMP error that says a packet was too big, what to make of a
//! router that does not say how big, and for a while what each path takes.
//!
//! Invariant: what is remembered is bounded ([`PLACES`] destinations, newer ones displace older ones), and forgotten
//! [`MEMORY`] after it was learned; where nothing is remembered, a look costs one comparison.

use crate::key::{Addr, FlowKey};
use crate::time::Instant;
use core::time::Duration;
use siphasher::sip::SipHasher24;

/// Destinations remembered at a time; a power of two.
const PLACES: usize = 1024;

/// For how long (RFC 1191 section 6.3, RFC 8201 section 5.3).
const MEMORY: Duration = Duration::from_secs(600);

/// No IPv6 link takes less (RFC 8200 section 5).
const LEAST_V6: u16 = 1280;

/// An ICMP error that says a segment of ours was too big for a link on its way.
#[derive(Clone, Copy, Debug)]
pub struct TooBig {
    /// The connection, as received packets name it.
    pub key: FlowKey,
    /// The sequence number of the segment that the error quotes.
    pub seq: u32,
    /// What the link takes, if the router says so (those older than RFC 1191 do not).
    pub mtu: Option<u32>,
    /// How long the quoted packet was, by its own header.
    pub len: u16,
}

/// What became of such an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PathMtu {
    /// The connection sends smaller segments from now on.
    Lowered,
    /// Path MTU discovery is switched off.
    Off,
    /// There is no such connection, or nothing more is sent for it.
    NoFlow,
    /// The handshake is not complete: nothing that was sent was big.
    HalfOpen,
    /// What it quotes is not under way: it comes late, or from somebody who guesses.
    OutOfWindow,
    /// It asks for less than is believed possible.
    BelowMinimum,
    /// The connection sends nothing as big as that.
    NotSmaller,
}

impl PathMtu {
    /// Every outcome, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Lowered,
        Self::Off,
        Self::NoFlow,
        Self::HalfOpen,
        Self::OutOfWindow,
        Self::BelowMinimum,
        Self::NotSmaller,
    ];

    /// The name used in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lowered => "lowered",
            Self::Off => "off",
            Self::NoFlow => "no_flow",
            Self::HalfOpen => "half_open",
            Self::OutOfWindow => "out_of_window",
            Self::BelowMinimum => "below_minimum",
            Self::NotSmaller => "not_smaller",
        }
    }
}

impl TooBig {
    /// The path MTU that a connection is to keep to which sends packets of `present` bytes, where those of less than
    /// `floor` (over IPv4) are not believed.
    pub(crate) fn wanted(&self, present: u16, floor: u16) -> Result<u16, PathMtu> {
        let floor = if self.key.remote.is_v4() { floor } else { floor.max(LEAST_V6) };
        let mtu = match self.mtu {
            Some(mtu) => u16::try_from(mtu).unwrap_or(u16::MAX),
            // Ours is the guess, so it is ours to end where belief ends.
            None => plateau(self.len).max(floor),
        };
        match mtu {
            _ if mtu < floor => Err(PathMtu::BelowMinimum),
            _ if mtu >= present => Err(PathMtu::NotSmaller),
            _ => Ok(step(mtu).max(floor)),
        }
    }
}

/// The largest common MTU below the length of a packet that was too big (RFC 1191 section 7.1). It goes by the packet,
/// not by what the connection sends now, or the errors for one flight would lead down the whole table.
fn plateau(len: u16) -> u16 {
    const COMMON: [u16; 10] = [68, 296, 508, 1006, 1492, 2002, 4352, 8166, 17_914, 32_000];
    COMMON.iter().rev().find(|&&mtu| mtu < len).copied().unwrap_or(COMMON[0])
}

/// Path MTUs are kept in steps, so that there are few different ones (see `L3l4::narrow_link`): any peer can name one
/// for a connection of its own.
const fn step(mtu: u16) -> u16 {
    match mtu {
        ..1500 => mtu - mtu % 4,
        1500..1536 => 1500,
        _ => mtu - mtu % 64,
    }
}

/// A destination, and what the path to it takes.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    remote: Addr,
    link: u32,
    mtu: u16,
    until: Instant,
}

/// The paths of one engine.
#[derive(Debug)]
pub(crate) struct Paths {
    entries: Vec<Entry>,
    hash: SipHasher24,
    /// Until when anything is remembered.
    until: Instant,
}

impl Paths {
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self {
            entries: vec![Entry::default(); PLACES],
            hash: SipHasher24::new_with_key(&secret),
            until: Instant::default(),
        }
    }

    /// Whether there is anything to look up.
    #[inline]
    pub(crate) fn any(&self, now: Instant) -> bool {
        now < self.until
    }

    /// One place for each destination: strangers cannot choose whom they displace.
    fn place(&mut self, key: &FlowKey) -> &mut Entry {
        let mut name = [0; 20];
        name[..16].copy_from_slice(&key.remote.octets());
        name[16..].copy_from_slice(&key.link.to_ne_bytes());
        &mut self.entries[self.hash.hash(&name) as usize % PLACES]
    }

    /// What the path to a flow's peer takes, if that is remembered.
    #[cold]
    pub(crate) fn find(&mut self, key: &FlowKey, now: Instant) -> Option<u16> {
        let entry = self.place(key);
        (entry.is_for(key) && now < entry.until).then_some(entry.mtu)
    }

    /// Remembers what the path to a flow's peer takes; true where another had to be forgotten for it.
    pub(crate) fn note(&mut self, key: &FlowKey, mtu: u16, now: Instant) -> bool {
        let until = now + MEMORY;
        let entry = self.place(key);
        let known = now < entry.until;
        let displaced = known && !entry.is_for(key);
        if known && !displaced && entry.mtu <= mtu {
            // An older connection has learned of a wider part of the path.
            return false;
        }
        *entry = Entry { remote: key.remote, link: key.link, mtu, until };
        self.until = until;
        displaced
    }
}

impl Entry {
    fn is_for(&self, key: &FlowKey) -> bool {
        self.remote == key.remote && self.link == key.link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(host: u16, v4: bool) -> FlowKey {
        let [a, b] = host.to_be_bytes();
        let remote = if v4 {
            Addr::v4([10, 0, a, b])
        } else {
            Addr::v6([0xfd, a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        };
        FlowKey { remote, ..FlowKey::default() }
    }

    fn asks(v4: bool, mtu: Option<u32>, len: u16) -> Result<u16, PathMtu> {
        TooBig { key: key(1, v4), seq: 0, mtu, len }.wanted(9000, 552)
    }

    #[test]
    fn what_an_error_asks_for() {
        for (said, mtu) in [(1400, 1400), (1399, 1396), (552, 552), (1510, 1500), (1500, 1500), (8999, 8960)]
        {
            assert_eq!(asks(true, Some(said), 9000), Ok(mtu), "in steps");
        }
        assert_eq!(asks(true, Some(551), 9000), Err(PathMtu::BelowMinimum));
        assert_eq!(asks(false, Some(1280), 9000), Ok(1280));
        assert_eq!(asks(false, Some(1279), 9000), Err(PathMtu::BelowMinimum));
        for mtu in [9000, 9001, 70_000, u32::MAX] {
            assert_eq!(asks(true, Some(mtu), 9000), Err(PathMtu::NotSmaller));
        }
        let odd = TooBig { key: key(1, true), seq: 0, mtu: Some(1003), len: 1500 };
        assert_eq!(odd.wanted(1500, 1003), Ok(1003), "a step does not lead below the least");
    }

    #[test]
    fn a_router_that_names_none_leads_down_the_plateaus() {
        for (len, mtu) in [(9000, 8128), (1500, 1492), (1492, 1004), (1004, 552), (552, 552), (40, 552)] {
            assert_eq!(asks(true, None, len), Ok(mtu), "{len}");
        }
    }

    #[test]
    fn paths_are_forgotten_in_time_and_displaced_by_newer_ones() {
        let mut paths = Paths::new([3; 16]);
        let at = |s: u64| Instant::from_micros(s * 1_000_000);
        assert!(!paths.any(at(5)));
        assert!(!paths.note(&key(1, true), 1400, at(5)));
        assert!(!paths.note(&key(1, true), 1300, at(6)));
        assert!(!paths.note(&key(1, true), 1320, at(7)), "what is less is known already");
        assert_eq!(paths.find(&key(1, true), at(605)), Some(1300));
        assert_eq!(paths.find(&key(2, true), at(605)), None);
        assert_eq!(
            paths.find(&FlowKey { link: 1, ..key(1, true) }, at(605)),
            None,
            "another link, another path"
        );
        assert!(paths.any(at(605)) && !paths.any(at(606)));
        assert_eq!(paths.find(&key(1, true), at(606)), None);
        let displaced = (0..5000).filter(|&host| paths.note(&key(host, true), 1300, at(700))).count();
        assert!((5000 - PLACES..4500).contains(&displaced), "{displaced}");
        assert_eq!(paths.find(&key(4999, true), at(701)), Some(1300), "the newest is there");
        assert_eq!(paths.entries.len(), PLACES);
    }
}
