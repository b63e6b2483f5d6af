//! The far end of one TCP connection.
//!
//! Invariant: it takes segments in order and without loss only, and says so where they are not.

use super::support::wire::{self, ACK, Ends, FIN, SYN, Segment, Sent, be32};

pub struct Client {
    pub ends: Ends,
    pub from: u16,
    pub to: u16,
    seq: u32,
    ack: u32,
    /// What came, and whether that was all.
    pub received: Vec<u8>,
    pub ended: bool,
}

impl Client {
    pub fn new(ends: Ends, from: u16, to: u16) -> Self {
        Self { ends, from, to, seq: u32::from(from) << 16, ack: 0, received: Vec::new(), ended: false }
    }

    fn frame(&self, flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
        let Self { from, to, seq, ack, .. } = *self;
        wire::frame(&wire::tcp(self.ends, Segment { from, to, seq, ack, flags, options, data }))
    }

    /// The first segment.
    pub fn syn(&mut self) -> Vec<u8> {
        let frame = self.frame(SYN, &[2, 4, 0x05, 0xb4, 1, 3, 3, 7], b"");
        self.seq = self.seq.wrapping_add(1);
        frame
    }

    /// An acknowledgement of all that came.
    pub fn ack(&self) -> Vec<u8> {
        self.frame(ACK, &[], b"")
    }

    /// A segment with data.
    pub fn send(&mut self, data: &[u8]) -> Vec<u8> {
        let frame = self.frame(ACK, &[], data);
        self.seq = self.seq.wrapping_add(data.len() as u32);
        frame
    }

    /// The last segment, in order or abruptly (`flags`: FIN or RST).
    pub fn end(&mut self, flags: u8) -> Vec<u8> {
        let frame = self.frame(flags | ACK, &[], b"");
        self.seq = self.seq.wrapping_add(u32::from(flags & FIN));
        frame
    }

    /// Takes what of `sent` is for this connection; what came before is passed over.
    pub fn take(&mut self, sent: &[Sent]) {
        let back = Ends { source: self.ends.destination, destination: self.ends.source };
        let mine = |sent: &&Sent| {
            sent.protocol() == wire::TCP && sent.ends() == back && sent.ports() == (self.to, self.from)
        };
        for segment in sent.iter().filter(mine) {
            let (flags, seq) = (segment.flags(), be32(segment.l4(), 4));
            assert_eq!(flags & wire::RST, 0, "{segment:x?}");
            if flags & SYN != 0 {
                self.ack = seq.wrapping_add(1);
            } else if seq == self.ack {
                self.received.extend_from_slice(segment.data());
                let fin = u32::from(flags & FIN);
                self.ack = seq.wrapping_add(segment.data().len() as u32 + fin);
                self.ended |= fin != 0;
            } else {
                assert!(self.ack.wrapping_sub(seq) < 1 << 20, "something is missing: {segment:x?}");
            }
        }
    }
}
