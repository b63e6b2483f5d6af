//! Version 2: sixteen bytes that say how long it is, two addresses, and extensions, which are skipped.
//!
//! Invariant: no byte beyond the length is looked at, and a length beyond [`MAX_READ`] is refused.

use std::io::{self, Write};

use l3l4::{Addr, Protocol};

use super::{Defect, Ends, MAX_READ, Read, Stop, take};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length of the rest.
const FIXED: usize = 16;

const VERSION: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;

const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// What the addresses are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    V4(Protocol),
    V6(Protocol),
    Unix,
    /// Nothing that is known, up to the end.
    Opaque,
}

impl Block {
    fn from_byte(byte: u8) -> Result<Self, Stop> {
        let protocol = match byte & 15 {
            0 => None,
            STREAM => Some(Protocol::TCP),
            DATAGRAM => Some(Protocol::UDP),
            _ => return Err(Stop::Bad(Defect::Family)),
        };
        match (byte >> 4, protocol) {
            (INET, Some(protocol)) => Ok(Self::V4(protocol)),
            (INET6, Some(protocol)) => Ok(Self::V6(protocol)),
            (UNIX, Some(_)) => Ok(Self::Unix),
            (0..=UNIX, _) => Ok(Self::Opaque),
            _ => Err(Stop::Bad(Defect::Family)),
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::V4(_) => 2 * (4 + 2),
            Self::V6(_) => 2 * (16 + 2),
            Self::Unix => 2 * 108,
            Self::Opaque => 0,
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Read, Stop> {
    let mut rest = bytes;
    if !take(&mut rest, &SIGNATURE)? {
        return Err(Stop::Bad(Defect::Signature));
    }
    let byte = |at: usize| rest.get(at).copied().ok_or(Stop::More);
    let command = match byte(0)? {
        command if command >> 4 != VERSION => return Err(Stop::Bad(Defect::Version)),
        command => command & 15,
    };
    let block = match command {
        // The family is ignored, whatever it is, and so are addresses.
        LOCAL => byte(1).map(|_| Block::Opaque)?,
        PROXY => Block::from_byte(byte(1)?)?,
        _ => return Err(Stop::Bad(Defect::Command)),
    };
    // The higher half alone may be too much.
    let high = usize::from(byte(2)?) << 8;
    let too_long = |len| FIXED + len > MAX_READ;
    if too_long(high) {
        return Err(Stop::Bad(Defect::Length));
    }
    let len = high + usize::from(byte(3)?);
    if too_long(len) || len < block.len() {
        return Err(Stop::Bad(Defect::Length));
    }
    let here = &bytes[FIXED..bytes.len().min(FIXED + len)];
    if block != Block::Opaque {
        check_extensions(here, block.len(), len)?;
    }
    if here.len() < len {
        return Err(Stop::More);
    }
    let len = FIXED + len;
    Ok(match ends(block, here) {
        Some(ends) => Read::Proxied { len, ends },
        None => Read::Local { len },
    })
}

/// Each is a type, a length in two bytes, and so many bytes; the last one ends with the header.
fn check_extensions(here: &[u8], mut at: usize, len: usize) -> Result<(), Stop> {
    while at < len {
        let body = at + 3;
        let known = here.get(at + 1..).unwrap_or_default();
        // At least so much, where its second half is still to come.
        let (size, whole) = match *known {
            [high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), true),
            [high] => (usize::from(high) << 8, false),
            [] => (0, false),
        };
        if body + size > len {
            return Err(Stop::Bad(Defect::Extension));
        }
        if !whole {
            break;
        }
        at = body + size;
    }
    Ok(())
}

fn ends(block: Block, bytes: &[u8]) -> Option<Ends> {
    let (source, destination, ports, protocol) = match block {
        Block::V4(protocol) => {
            let (from, rest) = bytes.split_first_chunk()?;
            let (to, rest) = rest.split_first_chunk()?;
            (Addr::v4(*from), Addr::v4(*to), rest, protocol)
        }
        Block::V6(protocol) => {
            let (from, rest) = bytes.split_first_chunk()?;
            let (to, rest) = rest.split_first_chunk()?;
            (Addr::v6(*from), Addr::v6(*to), rest, protocol)
        }
        Block::Unix | Block::Opaque => return None,
    };
    let [a, b, c, d, ..] = *ports else { return None };
    let (from_port, to_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Some(Ends { source: (source, from_port), destination: (destination, to_port), protocol })
}

pub(super) fn write(ends: &Ends, out: &mut &mut [u8]) -> io::Result<()> {
    let ((from, from_port), (to, to_port)) = (ends.source, ends.destination);
    let transport = match ends.protocol {
        Protocol::TCP => STREAM,
        Protocol::UDP => DATAGRAM,
        // Unspecified, with no addresses.
        _ => {
            out.write_all(&SIGNATURE)?;
            return out.write_all(&[VERSION << 4 | PROXY, 0, 0, 0]);
        }
    };
    let (family, block) = match ends.are_v4() {
        true => (INET, Block::V4(ends.protocol)),
        false => (INET6, Block::V6(ends.protocol)),
    };
    out.write_all(&SIGNATURE)?;
    out.write_all(&[VERSION << 4 | PROXY, family << 4 | transport, 0, block.len() as u8])?;
    for address in [from, to] {
        match block {
            Block::V4(_) => out.write_all(&address.v4_octets())?,
            _ => out.write_all(&address.octets())?,
        }
    }
    out.write_all(&from_port.to_be_bytes())?;
    out.write_all(&to_port.to_be_bytes())
}
