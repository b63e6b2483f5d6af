//! Packets made beforehand: sending one is a copy, a few fields, and two sums of what is known already.
//!
//! Invariant: whatever fields are filled in, the checksums of the result are right.

use crate::checksum::Sum;
use crate::wire::{
    self, BACK_MAC, CLIENT_MAC, ETHERNET, L4, MSS, SERVER, SERVER_MAC, TCP, TCP_PAYLOAD, UDP, UDP_PAYLOAD,
    UPSTREAM_MAC, flag,
};

/// Shift of the window we announce.
const WINDOW_SCALE: u8 = 7;
/// What we announce, in units of the shift: 4 MiB, more than any sender here has in flight.
const WINDOW: u16 = 32768;
/// Payload of an echo datagram: stamp, the stamp inverted, two bytes. Makes a frame of 64 bytes with its FCS.
pub(crate) const DATAGRAM: usize = 18;

/// Stations of a frame, and the address it goes to.
struct Way {
    to: [u8; 6],
    from: [u8; 6],
    address: u32,
}

const TO_MILLRACE: Way = Way { to: SERVER_MAC, from: CLIENT_MAC, address: SERVER };
/// To whichever address.
const UPSTREAM: Way = Way { to: BACK_MAC, from: UPSTREAM_MAC, address: 0 };

/// Address and port of both ends of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) from: (u32, u16),
    pub(crate) to: (u32, u16),
}

/// A frame with its sums, source and sequence numbers left out.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    frame: Vec<u8>,
    ip: Sum,
    l4: Sum,
}

impl Template {
    /// A TCP segment to port `to` of Millrace.
    pub(crate) fn tcp(to: u16, flags: u8, payload: &[u8]) -> Self {
        Self::new(&TO_MILLRACE, TCP, &segment(to, flags, payload))
    }

    /// A TCP segment of a server, both its ends left to [`Self::write_between`].
    pub(crate) fn upstream(flags: u8, payload: &[u8]) -> Self {
        Self::new(&UPSTREAM, TCP, &segment(0, flags, payload))
    }

    /// A UDP datagram to port `to`, its payload left to [`Self::write_datagram`].
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn udp(to: u16) -> Self {
        let mut l4 = vec![0; 8 + DATAGRAM];
        l4[2..4].copy_from_slice(&to.to_be_bytes());
        l4[4..6].copy_from_slice(&(8 + DATAGRAM as u16).to_be_bytes());
        Self::new(&TO_MILLRACE, UDP, &l4)
    }

    #[allow(clippy::cast_possible_truncation, reason = "no frame is longer than 1514 bytes")]
    fn new(way: &Way, protocol: u8, l4: &[u8]) -> Self {
        let length = l4.len() as u16;
        let mut frame = Vec::with_capacity(L4 + l4.len());
        frame.extend_from_slice(&way.to);
        frame.extend_from_slice(&way.from);
        frame.extend_from_slice(&[8, 0, 0x45, 0]);
        frame.extend_from_slice(&(length + 20).to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(&way.address.to_be_bytes());
        let ip = Sum::of(&frame[ETHERNET..]);
        let l4_sum = Sum::of(l4).long(way.address).word(u16::from(protocol)).word(length);
        frame.extend_from_slice(l4);
        Self { frame, ip, l4: l4_sum }
    }

    /// Payload of a TCP segment made from this.
    #[allow(clippy::cast_possible_truncation, reason = "no frame is longer than 1514 bytes")]
    pub(crate) fn payload(&self) -> u32 {
        (self.frame.len() - TCP_PAYLOAD) as u32
    }

    /// Writes a segment to the front of `room` and returns its length; 0 when it does not fit.
    #[inline]
    pub(crate) fn write_segment(&self, room: &mut [u8], slot: u32, seq: u32, ack: u32) -> u16 {
        self.write_segment_of(room, wire::client(slot), seq, ack)
    }

    /// The same from any address and port.
    #[inline]
    pub(crate) fn write_segment_of(&self, room: &mut [u8], source: (u32, u16), seq: u32, ack: u32) -> u16 {
        let Some((frame, l4)) = self.start(room, source) else {
            return 0;
        };
        let l4 = l4.long(seq).long(ack);
        frame[L4 + 4..L4 + 8].copy_from_slice(&seq.to_be_bytes());
        frame[L4 + 8..L4 + 12].copy_from_slice(&ack.to_be_bytes());
        frame[L4 + 16..L4 + 18].copy_from_slice(&l4.field());
        self.length()
    }

    /// Writes a segment of [`Self::upstream`] from one end to the other and returns its length; 0 when it does not fit.
    #[inline]
    pub(crate) fn write_between(&self, room: &mut [u8], ends: &Ends, seq: u32, ack: u32) -> u16 {
        let Some((frame, l4)) = self.start(room, ends.from) else {
            return 0;
        };
        let (address, port) = ends.to;
        frame[24..26].copy_from_slice(&self.ip.long(ends.from.0).long(address).field());
        frame[30..34].copy_from_slice(&address.to_be_bytes());
        frame[L4 + 2..L4 + 4].copy_from_slice(&port.to_be_bytes());
        let l4 = l4.long(address).word(port).long(seq).long(ack);
        frame[L4 + 4..L4 + 8].copy_from_slice(&seq.to_be_bytes());
        frame[L4 + 8..L4 + 12].copy_from_slice(&ack.to_be_bytes());
        frame[L4 + 16..L4 + 18].copy_from_slice(&l4.field());
        self.length()
    }

    /// Writes a datagram that carries `stamp` to the front of `room` and returns its length; 0 when it does not fit.
    #[inline]
    pub(crate) fn write_datagram(&self, room: &mut [u8], slot: u32, stamp: u64) -> u16 {
        let Some((frame, l4)) = self.start(room, wire::client(slot)) else {
            return 0;
        };
        frame[UDP_PAYLOAD..UDP_PAYLOAD + 8].copy_from_slice(&stamp.to_be_bytes());
        frame[UDP_PAYLOAD + 8..UDP_PAYLOAD + 16].copy_from_slice(&(!stamp).to_be_bytes());
        let mut field = l4.quad(stamp).quad(!stamp).field();
        // Zero says that there is no checksum.
        if field == [0, 0] {
            field = [0xff, 0xff];
        }
        frame[L4 + 6..L4 + 8].copy_from_slice(&field);
        self.length()
    }

    /// What both have in common. Returns the frame and the sum of layer 4 so far.
    #[inline]
    fn start<'a>(&self, room: &'a mut [u8], source: (u32, u16)) -> Option<(&'a mut [u8], Sum)> {
        let frame = room.get_mut(..self.frame.len())?;
        frame.copy_from_slice(&self.frame);
        let (address, port) = source;
        frame[24..26].copy_from_slice(&self.ip.long(address).field());
        frame[26..30].copy_from_slice(&address.to_be_bytes());
        frame[L4..L4 + 2].copy_from_slice(&port.to_be_bytes());
        Some((frame, self.l4.long(address).word(port)))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "no frame is longer than 1514 bytes")]
    fn length(&self) -> u16 {
        self.frame.len() as u16
    }
}

/// A TCP header to port `to` and what it carries.
fn segment(to: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let options: &[u8] = if flags & flag::SYN == 0 {
        &[]
    } else {
        let [high, low] = MSS.to_be_bytes();
        &[2, 4, high, low, 1, 3, 3, WINDOW_SCALE]
    };
    // The window of a SYN is not scaled.
    let window = if flags & flag::SYN == 0 { WINDOW } else { u16::MAX };
    let mut l4 = vec![0; 20];
    l4[2..4].copy_from_slice(&to.to_be_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "28 bytes at most")]
    let words = ((20 + options.len()) / 4) as u8;
    l4[12] = words << 4;
    l4[13] = flags;
    l4[14..16].copy_from_slice(&window.to_be_bytes());
    l4.extend_from_slice(options);
    l4.extend_from_slice(payload);
    l4
}

/// The stamp of a datagram that came back; none when its content is not what was sent.
#[inline]
pub(crate) fn stamp(payload: &[u8]) -> Option<u64> {
    let (stamp, rest) = payload.split_first_chunk::<8>()?;
    let (inverted, rest) = rest.split_first_chunk::<8>()?;
    let stamp = u64::from_be_bytes(*stamp);
    (u64::from_be_bytes(*inverted) == !stamp && rest == [0, 0]).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Packet, parse};

    /// The same packet as seen from the other side: addresses and ports exchanged, which leaves the sums as they are.
    fn back(mut frame: Vec<u8>) -> Vec<u8> {
        let (mut ips, mut ports) = ([0; 8], [0; 4]);
        ips.copy_from_slice(&frame[26..34]);
        ports.copy_from_slice(&frame[L4..L4 + 4]);
        ips.rotate_left(4);
        ports.rotate_left(2);
        frame[26..34].copy_from_slice(&ips);
        frame[L4..L4 + 4].copy_from_slice(&ports);
        frame
    }

    #[test]
    fn segments_carry_right_checksums_and_their_fields() {
        for (flags, payload) in
            [(flag::SYN, &b""[..]), (flag::ACK, b""), (flag::ACK | flag::PSH, b"GET / odd")]
        {
            let template = Template::tcp(80, flags, payload);
            let mut room = [0xee; 200];
            let n = usize::from(template.write_segment(&mut room, 70_000, 0xfedc_ba98, 0x8000_0001));
            let frame = back(room[..n].to_vec());
            let Some(Packet::Tcp(segment)) = parse(&frame, true) else {
                panic!("not a sound segment: {frame:02x?}");
            };
            assert_eq!((segment.slot, segment.seq, segment.ack), (70_000, 0xfedc_ba98, 0x8000_0001));
            assert_eq!((segment.flags, segment.payload), (flags, payload));
            assert_eq!(segment.window_scale(), if flags == flag::SYN { WINDOW_SCALE } else { 0 });
        }
    }

    #[test]
    fn datagrams_are_frames_of_sixty_bytes_with_their_stamp() {
        let template = Template::udp(7);
        for sent in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let mut room = [0; 64];
            assert_eq!(template.write_datagram(&mut room, 5, sent), 60);
            let mut frame = back(room[..60].to_vec());
            assert!(
                matches!(parse(&frame, true), Some(Packet::Udp(5, payload)) if stamp(payload) == Some(sent))
            );
            frame[UDP_PAYLOAD + 3] ^= 1;
            assert_eq!(parse(&frame, true), None);
            assert_eq!(stamp(&frame[UDP_PAYLOAD..]), None);
        }
    }

    #[test]
    fn too_little_room_writes_nothing() {
        let mut room = [0; 53];
        assert_eq!(Template::tcp(80, flag::ACK, b"").write_segment(&mut room, 0, 0, 0), 0);
        assert_eq!(room, [0; 53]);
    }
}
