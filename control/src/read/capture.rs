//! Packets out of a capture file: pcap or pcapng, whichever it is.
//!
//! Invariant: memory is bounded by one block of the file, whatever it says; what was read before the file went wrong has
//! been given out.

use std::io::{self, BufReader, ErrorKind, Read};

use dataplane::observe::LinkType;

use super::{pcap::Pcap, pcapng::Pcapng};

/// Bytes of a packet: what libpcap calls the maximum snapshot length for most links.
pub(super) const LONGEST_PACKET: u32 = 262_144;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// It ends where more was announced.
    #[error("it ends in the middle of {0}; what comes before was read")]
    Cut(&'static str),
    /// It is something else.
    #[error("it is neither pcap nor pcapng")]
    Unknown,
    /// It is not as it should be.
    #[error("{0}; what comes before was read")]
    Broken(String),
}

/// A packet as it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    pub(super) link: LinkType,
    pub(super) bytes: &'a [u8],
    /// It was longer when it passed by.
    pub(super) cut: bool,
}

/// Numbers in the byte order of the machine that wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The bytes of the file.
pub(super) struct Source<R>(BufReader<R>);

impl<R: Read> Source<R> {
    /// The next bytes; `None` where the file ends in front of them.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<Option<[u8; N]>, Trouble> {
        let mut bytes = [0; N];
        Ok(self.fill(&mut bytes, what)?.then_some(bytes))
    }

    /// The next bytes, which must be there.
    pub(super) fn exactly(&mut self, bytes: &mut [u8], what: &'static str) -> Result<(), Trouble> {
        if self.fill(bytes, what)? || bytes.is_empty() { Ok(()) } else { Err(Trouble::Cut(what)) }
    }

    fn fill(&mut self, bytes: &mut [u8], what: &'static str) -> Result<bool, Trouble> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Trouble::Cut(what)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Io(error)),
            }
        }
        Ok(filled > 0)
    }

    /// Passes over bytes, which must be there.
    pub(super) fn skip(&mut self, bytes: u64, what: &'static str) -> Result<(), Trouble> {
        let passed = io::copy(&mut (&mut self.0).take(bytes), &mut io::sink()).map_err(Trouble::Io)?;
        if passed == bytes { Ok(()) } else { Err(Trouble::Cut(what)) }
    }
}

/// A file of packets.
pub(super) enum Capture<R> {
    Pcap(Pcap<R>),
    Pcapng(Pcapng<R>),
}

impl<R: Read> Capture<R> {
    pub(super) fn open(file: R) -> Result<Self, Trouble> {
        let mut source = Source(BufReader::with_capacity(1 << 16, file));
        let magic: [u8; 4] = match source.array("its first bytes") {
            Ok(Some(magic)) => magic,
            Ok(None) | Err(Trouble::Cut(_)) => return Err(Trouble::Unknown),
            Err(other) => return Err(other),
        };
        if magic == super::pcapng::SECTION_HEADER {
            return Pcapng::open(source).map(Self::Pcapng);
        }
        Pcap::open(magic, source).map(Self::Pcap)
    }

    /// Packets passed over because their interface's link is not known here.
    pub(super) fn unknown_links(&self) -> u64 {
        match self {
            Self::Pcap(_) => 0,
            Self::Pcapng(pcapng) => pcapng.unknown_links,
        }
    }

    /// The next packet; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, Trouble> {
        match self {
            Self::Pcap(pcap) => pcap.next(),
            Self::Pcapng(pcapng) => pcapng.next(),
        }
    }
}

/// The link of a LINKTYPE_ number (<https://www.tcpdump.org/linktypes.html>).
pub(super) fn link(number: u32) -> Option<LinkType> {
    Some(match number {
        1 => LinkType::Ethernet,
        // NULL, LOOP
        0 | 108 => LinkType::Loopback,
        // RAW as some systems number it, RAW, IPV4, IPV6
        12 | 14 | 101 | 228 | 229 => LinkType::RawIp,
        113 => LinkType::LinuxSll,
        276 => LinkType::LinuxSll2,
        _ => return None,
    })
}
