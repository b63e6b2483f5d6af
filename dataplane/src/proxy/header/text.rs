//! Version 1: one line of text.
//!
//! Invariant: no line is longer than [`MAX_LINE`] bytes, its end among them.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use std::io::{self, Write};

use l3l4::{Addr, Protocol};

use super::{Defect, Ends, Read, Stop, take};

const MAX_LINE: usize = 107;

/// The longest IPv6 address: eight groups of four digits.
const MAX_ADDRESS: usize = 39;

/// An address that has begun can go on if one of these ends it.
const ENDINGS: [&str; 10] = ["", "0", ":", "::", ".0", ".0.0", ".0.0.0", "0.0", "0.0.0", "0.0.0.0"];

const MAX_ENDING: usize = 7;

pub(super) fn read(bytes: &[u8]) -> Result<Read, Stop> {
    let mut rest = bytes;
    if !take(&mut rest, b"PROXY ")? {
        return Err(Stop::Bad(Defect::Signature));
    }
    let address = if take(&mut rest, b"TCP4 ")? {
        address::<Ipv4Addr>
    } else if take(&mut rest, b"TCP6 ")? {
        address::<Ipv6Addr>
    } else if take(&mut rest, b"UNKNOWN")? {
        return unknown(bytes, rest);
    } else {
        return Err(Stop::Bad(Defect::Protocol));
    };
    let (from, to) = (address(&mut rest)?, address(&mut rest)?);
    let (from_port, to_port) = (port(&mut rest, b' ')?, port(&mut rest, b'\r')?);
    if !take(&mut rest, b"\n")? {
        return Err(Stop::Bad(Defect::Line));
    }
    let ends = Ends { source: (from, from_port), destination: (to, to_port), protocol: Protocol::TCP };
    Ok(Read::Proxied { len: bytes.len() - rest.len(), ends })
}

/// The rest of the line says nothing, whatever it says.
fn unknown(bytes: &[u8], rest: &[u8]) -> Result<Read, Stop> {
    let at = bytes.len() - rest.len();
    match rest {
        [] | [b'\r'] => return Err(Stop::More),
        [b' ', ..] | [b'\r', b'\n', ..] => {}
        [b'\r', ..] => return Err(Stop::Bad(Defect::Line)),
        _ => return Err(Stop::Bad(Defect::Protocol)),
    }
    let line = &bytes[..bytes.len().min(MAX_LINE)];
    if let Some(end) = line[at..].windows(2).position(|pair| pair == b"\r\n") {
        return Ok(Read::Local { len: at + end + 2 });
    }
    let missing = if line.ends_with(b"\r") { 1 } else { 2 };
    if line.len() + missing <= MAX_LINE { Err(Stop::More) } else { Err(Stop::Bad(Defect::Line)) }
}

/// An address and the space behind it.
fn address<A: FromStr + Into<Addr>>(rest: &mut &[u8]) -> Result<Addr, Stop> {
    match rest.iter().take(MAX_ADDRESS + 1).position(|byte| *byte == b' ') {
        Some(end) => {
            let address = parse::<A>(&rest[..end]).ok_or(Stop::Bad(Defect::Address))?;
            *rest = &rest[end + 1..];
            Ok(address)
        }
        None if can_end::<A>(rest) => Err(Stop::More),
        None => Err(Stop::Bad(Defect::Address)),
    }
}

fn parse<A: FromStr + Into<Addr>>(text: &[u8]) -> Option<Addr> {
    core::str::from_utf8(text).ok()?.parse::<A>().ok().map(Into::into)
}

/// Whether what has come of an address can be the beginning of one.
fn can_end<A: FromStr + Into<Addr>>(begun: &[u8]) -> bool {
    let mut text = [0; MAX_ADDRESS + MAX_ENDING];
    let Some(front) = text[..MAX_ADDRESS].get_mut(..begun.len()) else { return false };
    front.copy_from_slice(begun);
    ENDINGS.iter().any(|ending| {
        let len = begun.len() + ending.len();
        text[begun.len()..len].copy_from_slice(ending.as_bytes());
        len <= MAX_ADDRESS && parse::<A>(&text[..len]).is_some()
    })
}

/// A port and the byte behind it.
fn port(rest: &mut &[u8], end: u8) -> Result<u16, Stop> {
    let mut port: Option<u16> = None;
    for (at, byte) in rest.iter().enumerate() {
        port = match (byte, port) {
            (byte, Some(port)) if *byte == end => {
                *rest = &rest[at + 1..];
                return Ok(port);
            }
            (b'0'..=b'9', None) => Some(u16::from(byte - b'0')),
            // A zero in front of others might be read as octal by somebody.
            (b'0'..=b'9', Some(port @ 1..)) => {
                let port = port.checked_mul(10).and_then(|tens| tens.checked_add(u16::from(byte - b'0')));
                Some(port.ok_or(Stop::Bad(Defect::Port))?)
            }
            _ => return Err(Stop::Bad(Defect::Port)),
        };
    }
    Err(Stop::More)
}

pub(super) fn write(ends: &Ends, out: &mut &mut [u8]) -> io::Result<()> {
    let ((from, from_port), (to, to_port)) = (ends.source, ends.destination);
    if ends.protocol != Protocol::TCP {
        out.write_all(b"PROXY UNKNOWN\r\n")
    } else if ends.are_v4() {
        write!(out, "PROXY TCP4 {from} {to} {from_port} {to_port}\r\n")
    } else {
        write!(out, "PROXY TCP6 {} {} {from_port} {to_port}\r\n", V6(from), V6(to))
    }
}

/// Hexadecimal also for an IPv4-mapped address: the protocol knows no other IPv6 address.
struct V6(Addr);

impl fmt::Display for V6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_v4() {
            return Ipv6Addr::from(self.0.octets()).fmt(f);
        }
        let [a, b, c, d] = self.0.v4_octets();
        write!(f, "::ffff:{:x}:{:x}", u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }
}
