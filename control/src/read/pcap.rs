//! The pcap format (draft-ietf-opsawg-pcap): a header, then each packet behind its own.
//!
//! Invariant: one packet is in memory at a time.

use std::io::Read;

use dataplane::observe::LinkType;

use super::capture::{LONGEST_PACKET, Order, Packet, Source, Trouble, link};

/// A file in this format.
pub(super) struct Pcap<R> {
    source: Source<R>,
    order: Order,
    /// Nanoseconds of the smaller unit of time.
    unit: u64,
    link: LinkType,
    bytes: Vec<u8>,
}

impl<R: Read> Pcap<R> {
    /// After the magic number.
    pub(super) fn open(magic: [u8; 4], mut source: Source<R>) -> Result<Self, Trouble> {
        let (order, unit) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            _ => return Err(Trouble::Unknown),
        };
        // Versions, two reserved fields, the snapshot length, the link type.
        let mut header = [0; 20];
        source.exactly(&mut header, "its header")?;
        let [.., a, b, c, d] = header;
        // The upper bits say how long a frame check sequence is; it stands behind what IP says is its length.
        let number = order.u32([a, b, c, d]) & 0x0fff_ffff;
        let link = link(number).ok_or_else(|| {
            Trouble::Broken(format!("its packets are of link type {number}, which is not known here"))
        })?;
        Ok(Self { source, order, unit, link, bytes: Vec::new() })
    }

    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, Trouble> {
        let Some(header) = self.source.array::<16>("the header of a packet")? else { return Ok(None) };
        let (fields, _) = header.as_chunks::<4>();
        let [seconds, fraction, captured, length] = [0, 1, 2, 3].map(|at| self.order.u32(fields[at]));
        if captured > LONGEST_PACKET {
            return Err(Trouble::Broken(format!("a packet of {captured} bytes is no packet")));
        }
        self.bytes.resize(captured as usize, 0);
        self.source.exactly(&mut self.bytes, "a packet")?;
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit;
        Ok(Some(Packet { time, link: self.link, bytes: &self.bytes, cut: captured < length }))
    }
}
