//! IPv6 extension headers (RFC 8200 section 4): walked over, never obeyed.
//!
//! Invariant: the walk is bounded, stays inside the packet, and stops at a header that would change where the
//! packet goes (a routing header with segments left) or that only fits a router.

use crate::drop::DropReason;
use crate::packet::be16;

/// Most extension headers one packet may carry.
const MOST: usize = 8;

/// Where the walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The protocol of what follows.
    pub next: u8,
    /// Its offset; for a fragment, that of the fragment header.
    pub at: usize,
    /// The packet is a fragment: `next` is what the fragment header names.
    pub fragment: bool,
}

/// Walks the extension headers of `packet`, of which the fixed header names `first`.
///
/// # Errors
/// [`DropReason::Ipv6Extension`] where the chain is malformed or not allowed.
pub fn walk(packet: &[u8], first: u8) -> Result<Walked, DropReason> {
    let (mut next, mut at) = (first, 40);
    for index in 0..=MOST {
        let header = &packet[at..];
        match next {
            // Hop-by-hop options stand first or nowhere (section 4.1).
            0 if index == 0 => options(header)?,
            // Destination options.
            60 => options(header)?,
            43 => routing(header)?,
            44 => {
                let fixed = header.first_chunk::<8>().ok_or(DropReason::Ipv6Extension)?;
                // An atomic fragment (RFC 6946) is whole too, but leaves by the same door: it is rebuilt.
                return Ok(Walked { next: fixed[0], at, fragment: true });
            }
            // No next header: nothing to deliver. Hop-by-hop out of place, mobility, HIP, shim6 and others.
            0 | 51 | 59 | 135 | 139 | 140 => return Err(DropReason::Ipv6Extension),
            _ => return Ok(Walked { next, at, fragment: false }),
        }
        next = header[0];
        at += len(header)?;
    }
    Err(DropReason::Ipv6Extension)
}

fn len(header: &[u8]) -> Result<usize, DropReason> {
    let &[_, units, ..] = header else { return Err(DropReason::Ipv6Extension) };
    let len = (usize::from(units) + 1) * 8;
    if len > header.len() { Err(DropReason::Ipv6Extension) } else { Ok(len) }
}

/// Options are skipped where their type says so (two high bits zero); any other asks for the packet to be dropped.
fn options(header: &[u8]) -> Result<(), DropReason> {
    let mut options = &header[2..len(header)?];
    while let [kind, rest @ ..] = options {
        options = match (*kind, rest) {
            (0, _) => rest,
            (kind, [len, ..]) if kind >> 6 == 0 && usize::from(*len) < rest.len() => {
                &rest[usize::from(*len) + 1..]
            }
            _ => return Err(DropReason::Ipv6Extension),
        };
    }
    Ok(())
}

/// A routing header with no segments left is passed over; type 0 is refused in any case (RFC 5095).
fn routing(header: &[u8]) -> Result<(), DropReason> {
    let fixed = header.first_chunk::<4>().ok_or(DropReason::Ipv6Extension)?;
    if fixed[2] == 0 || fixed[3] != 0 { Err(DropReason::Ipv6Extension) } else { Ok(()) }
}

/// Moves the fixed header up against the transport header at `l4`, so that the extension headers are gone.
/// Returns the offset at which the packet now starts.
#[cold]
pub fn strip(packet: &mut [u8], l4: usize, end: usize, protocol: u8) -> usize {
    let start = l4 - 40;
    packet.copy_within(0..40, start);
    let len = (end - l4) as u16;
    packet[start + 4..start + 6].copy_from_slice(&len.to_be_bytes());
    packet[start + 6] = protocol;
    debug_assert_eq!(be16(packet, start + 4), len);
    start
}
