//! The headers of one fragment.
//!
//! Invariant: a [`Fragment`] has a payload that fits the longest packet allowed; all but the last are multiples of
//! eight bytes; the first holds every header up to the transport's.

use l3l4::{Addr, Protocol};

use super::FragmentDrop;

/// The longest IP packet: an IPv6 header and the most its length field can say.
pub(super) const LONGEST: usize = V6_HEADER + 65535;
/// The longest part before the fragment's payload that is kept: an IPv6 header with extension headers.
pub(super) const HEADROOM: usize = 256;
pub(super) const V6_HEADER: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) link: u32,
    pub(super) source: Addr,
    pub(super) destination: Addr,
    pub(super) identification: u32,
    /// IPv4 only: IPv6 goes without (RFC 8200, section 4.5).
    pub(super) protocol: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    /// The IP header with its options, or with the extension headers before the fragment header.
    pub(super) header: &'a [u8],
    /// IPv6: the header the payload starts with, and where in `header` that is to be written.
    pub(super) next: (u8, usize),
    pub(super) payload: &'a [u8],
    /// In bytes.
    pub(super) offset: usize,
    pub(super) more: bool,
}

impl Fragment<'_> {
    pub(super) fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    pub(super) fn end(&self) -> usize {
        self.offset + self.payload.len()
    }
}

pub(super) fn parse(packet: &[u8], link: u32, max_len: usize) -> Result<Fragment<'_>, FragmentDrop> {
    let (fragment, longest) = match packet.first().map(|byte| byte >> 4) {
        Some(4) => (parse_v4(packet, link)?, 65535),
        Some(6) => (parse_v6(packet, link)?, LONGEST),
        _ => return Err(FragmentDrop::NotFragment),
    };
    let len = fragment.payload.len();
    if len == 0 || (fragment.more && len % 8 != 0) {
        return Err(FragmentDrop::BadLength);
    }
    if fragment.header.len() + fragment.end() > longest.min(max_len) {
        return Err(FragmentDrop::TooLong);
    }
    let v4 = fragment.key.source.is_v4();
    if fragment.offset == 0 && !headers_are_whole(v4, fragment.next.0, fragment.payload) {
        return Err(FragmentDrop::TinyFirst);
    }
    Ok(fragment)
}

fn parse_v4(packet: &[u8], link: u32) -> Result<Fragment<'_>, FragmentDrop> {
    let h = packet.first_chunk::<20>().ok_or(FragmentDrop::NotFragment)?;
    let header_len = usize::from(h[0] & 15) * 4;
    let end = usize::from(u16::from_be_bytes([h[2], h[3]]));
    let field = u16::from_be_bytes([h[6], h[7]]);
    if header_len < 20 || field & 0x3fff == 0 {
        return Err(FragmentDrop::NotFragment);
    }
    let (header, payload) =
        packet.get(..end).and_then(|p| p.split_at_checked(header_len)).ok_or(FragmentDrop::BadLength)?;
    let key = Key {
        link,
        source: Addr::v4([h[12], h[13], h[14], h[15]]),
        destination: Addr::v4([h[16], h[17], h[18], h[19]]),
        identification: u32::from(u16::from_be_bytes([h[4], h[5]])),
        protocol: h[9],
    };
    let offset = usize::from(field & 0x1fff) * 8;
    Ok(Fragment { key, header, next: (h[9], 9), payload, offset, more: field & 0x2000 != 0 })
}

fn parse_v6(packet: &[u8], link: u32) -> Result<Fragment<'_>, FragmentDrop> {
    let h = packet.first_chunk::<V6_HEADER>().ok_or(FragmentDrop::NotFragment)?;
    let end = V6_HEADER + usize::from(u16::from_be_bytes([h[4], h[5]]));
    let packet = packet.get(..end).ok_or(FragmentDrop::BadLength)?;
    let (mut next, mut next_at, mut at) = (h[6], 6, V6_HEADER);
    while next != FRAGMENT {
        let &[following, units, ..] = &packet[at.min(end)..] else { return Err(FragmentDrop::NotFragment) };
        if !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
            return Err(FragmentDrop::NotFragment);
        }
        (next, next_at) = (following, at);
        at += (usize::from(units) + 1) * 8;
        if at > HEADROOM {
            return Err(FragmentDrop::NotFragment);
        }
    }
    let (header, rest) = packet.split_at_checked(at).ok_or(FragmentDrop::NotFragment)?;
    let (f, payload) = rest.split_first_chunk::<8>().ok_or(FragmentDrop::BadLength)?;
    let field = u16::from_be_bytes([f[2], f[3]]);
    let address = |at: usize| Addr::v6(h[at..].first_chunk().copied().unwrap_or_default());
    let (source, destination) = (address(8), address(24));
    if source.is_v4() || destination.is_v4() {
        // IPv4 addresses do not travel in IPv6 headers; they would pass for an IPv4 datagram here.
        return Err(FragmentDrop::NotFragment);
    }
    let identification = u32::from_be_bytes([f[4], f[5], f[6], f[7]]);
    let key = Key { link, source, destination, identification, protocol: 0 };
    let offset = usize::from(field & 0xfff8);
    Ok(Fragment { key, header, next: (f[0], next_at), payload, offset, more: field & 1 != 0 })
}

/// Whether the first fragment's payload holds the transport header and all before it.
fn headers_are_whole(v4: bool, mut next: u8, mut payload: &[u8]) -> bool {
    loop {
        let needed = match (Protocol(next), payload) {
            (Protocol::TCP, [_, _, _, _, _, _, _, _, _, _, _, _, offset, ..]) => {
                (usize::from(offset >> 4) * 4).max(20)
            }
            (Protocol::TCP, _) => return false,
            (Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6, _) => 8,
            _ => 1,
        };
        if payload.len() < needed {
            return false;
        }
        let &[following, units, ..] = payload else { return true };
        let skip = match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS if !v4 => (usize::from(units) + 1) * 8,
            AUTHENTICATION if !v4 => (usize::from(units) + 2) * 4,
            // A fragment within a fragment serves to hide what follows.
            FRAGMENT if !v4 => return false,
            _ => return true,
        };
        match payload.get(skip..) {
            Some(rest) => (next, payload) = (following, rest),
            None => return false,
        }
    }
}
