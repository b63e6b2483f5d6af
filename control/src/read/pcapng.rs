//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, of which those with packets and what explains them are read.
//!
//! Invariant: one block is in memory at a time; a block that is not needed is passed over whatever its length. A section
//! has at most [`MOST_INTERFACES`].

use std::io::Read;

use dataplane::observe::LinkType;

use super::capture::{LONGEST_PACKET, Order, Packet, Source, Trouble, link};

/// Type of the block that begins a section, the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// More than any machine has; each is a few bytes.
const MOST_INTERFACES: usize = 65_536;
/// Bytes of a block that is read: the longest packet, its header, and options.
const LONGEST_BLOCK: u32 = LONGEST_PACKET + (1 << 20);

#[derive(Debug, Clone, Copy)]
struct Interface {
    /// `None` where it is not known: its packets are passed over.
    link: Option<LinkType>,
    snapshot: u32,
    resolution: u8,
    offset: i64,
}

impl Interface {
    /// Nanoseconds since 1970 of a timestamp in units of this interface.
    fn time(&self, stamp: u64) -> u64 {
        let power = u32::from(self.resolution & 0x7f);
        let units: Option<u128> = match self.resolution & 0x80 {
            0 => 10u128.checked_pow(power),
            _ => 1u128.checked_shl(power),
        };
        // Units too small to be counted are none.
        let nanoseconds = units.map_or(0, |units| u128::from(stamp) * 1_000_000_000 / units);
        let offset = i128::from(self.offset) * 1_000_000_000;
        let time = i128::try_from(nanoseconds).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(time.max(0)).unwrap_or(u64::MAX)
    }
}

/// A file in this format.
pub(super) struct Pcapng<R> {
    source: Source<R>,
    order: Order,
    interfaces: Vec<Interface>,
    block: Vec<u8>,
    /// Time of the last packet, for those that have none.
    time: u64,
    pub(super) unknown_links: u64,
}

/// Where a packet is in its block.
struct Found {
    link: LinkType,
    at: usize,
    captured: u32,
    length: u32,
}

impl<R: Read> Pcapng<R> {
    /// After the type of the first block.
    pub(super) fn open(source: Source<R>) -> Result<Self, Trouble> {
        let mut file = Self {
            source,
            order: Order::Big,
            interfaces: Vec::new(),
            block: Vec::new(),
            time: 0,
            unknown_links: 0,
        };
        file.section()?;
        Ok(file)
    }

    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, Trouble> {
        loop {
            let Some(kind) = self.source.array::<4>("a block")? else { return Ok(None) };
            if kind == SECTION_HEADER {
                self.section()?;
                continue;
            }
            let mut length = [0; 4];
            self.source.exactly(&mut length, "a block")?;
            let length = self.order.u32(length);
            if length < 12 || !length.is_multiple_of(4) {
                return Err(Trouble::Broken(format!("a block of {length} bytes is no block")));
            }
            match self.order.u32(kind) {
                INTERFACE => {
                    self.body(length)?;
                    self.interface()?;
                }
                ENHANCED_PACKET => {
                    self.body(length)?;
                    if let Some(found) = self.enhanced()? {
                        return self.packet(found).map(Some);
                    }
                }
                SIMPLE_PACKET => {
                    self.body(length)?;
                    if let Some(found) = self.simple()? {
                        return self.packet(found).map(Some);
                    }
                }
                // The head is read; the body and the length behind it are to come.
                _ => self.source.skip(u64::from(length) - 8, "a block")?,
            }
        }
    }

    /// A section begins: its byte order, and interfaces of its own.
    fn section(&mut self) -> Result<(), Trouble> {
        let mut head = [0; 8];
        self.source.exactly(&mut head, "a section's header")?;
        let [length @ .., a, b, c, d] = head;
        self.order = match [a, b, c, d] {
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            _ => return Err(Trouble::Unknown),
        };
        let length = self.order.u32(length);
        if length < 28 || !length.is_multiple_of(4) {
            return Err(Trouble::Broken(format!("a section's header of {length} bytes is none")));
        }
        self.interfaces.clear();
        self.source.skip(u64::from(length) - 12, "a section's header")
    }

    /// Reads what a block has between its lengths.
    fn body(&mut self, length: u32) -> Result<(), Trouble> {
        if length > LONGEST_BLOCK {
            return Err(Trouble::Broken(format!("a block of {length} bytes is too long")));
        }
        self.block.resize(length as usize - 12, 0);
        self.source.exactly(&mut self.block, "a block")?;
        self.source.skip(4, "a block")
    }

    /// The number at a place of the block.
    fn u32(&self, at: usize) -> Result<u32, Trouble> {
        let bytes = self.block.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = bytes.ok_or_else(|| Trouble::Broken("a block is too short for its kind".into()))?;
        Ok(self.order.u32(*bytes))
    }

    fn interface(&mut self) -> Result<(), Trouble> {
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(Trouble::Broken(format!("a section has more than {MOST_INTERFACES} interfaces")));
        }
        let snapshot = self.u32(4)?;
        let link = self.block.first_chunk().and_then(|bytes| link(self.order.u16(*bytes).into()));
        let mut interface = Interface { link, snapshot, resolution: 6, offset: 0 };
        let mut rest = self.block.get(8..).unwrap_or_default();
        while let Some(([a, b, c, d], more)) = rest.split_first_chunk() {
            let (code, length) = (self.order.u16([*a, *b]), usize::from(self.order.u16([*c, *d])));
            let Some(value) = more.get(..length) else { break };
            match (code, value) {
                (0, _) => break,
                (OPTION_RESOLUTION, [resolution]) => interface.resolution = *resolution,
                (OPTION_OFFSET, value) => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(value) {
                        interface.offset = match self.order {
                            Order::Little => i64::from_le_bytes(bytes),
                            Order::Big => i64::from_be_bytes(bytes),
                        };
                    }
                }
                _ => {}
            }
            rest = more.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// The place of a packet of an interface whose link is known.
    fn enhanced(&mut self) -> Result<Option<Found>, Trouble> {
        let [number, high, low] = [self.u32(0)?, self.u32(4)?, self.u32(8)?];
        let (captured, length) = (self.u32(12)?, self.u32(16)?);
        let interface = self.known(number)?;
        self.time = interface.time(u64::from(high) << 32 | u64::from(low));
        Ok(self.found(interface, 20, captured, length))
    }

    /// That of a packet of the first interface, without a time.
    fn simple(&mut self) -> Result<Option<Found>, Trouble> {
        let length = self.u32(0)?;
        let interface = self.known(0)?;
        let most = if interface.snapshot == 0 { u32::MAX } else { interface.snapshot };
        let there = u32::try_from(self.block.len() - 4).unwrap_or(u32::MAX);
        Ok(self.found(interface, 4, length.min(most).min(there), length))
    }

    fn found(&mut self, of: Interface, at: usize, captured: u32, length: u32) -> Option<Found> {
        self.unknown_links += u64::from(of.link.is_none());
        of.link.map(|link| Found { link, at, captured, length })
    }

    fn known(&self, number: u32) -> Result<Interface, Trouble> {
        let found = usize::try_from(number).ok().and_then(|number| self.interfaces.get(number)).copied();
        found.ok_or_else(|| {
            Trouble::Broken(format!("a packet is of interface {number}, which is not described"))
        })
    }

    fn packet(&self, found: Found) -> Result<Packet<'_>, Trouble> {
        let Found { link, at, captured, length } = found;
        let bytes = self.block.get(at..).and_then(|rest| rest.get(..captured as usize));
        let bytes = bytes.ok_or_else(|| Trouble::Broken("a packet is longer than its block".into()))?;
        Ok(Packet { time: self.time, link, bytes, cut: captured < length })
    }
}
