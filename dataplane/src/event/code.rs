//! Records as bytes: fields one after the other, little endian, the payload behind them.
//!
//! Invariant: [`read`] takes what [`write`] made and nothing else: bytes that are no record give `None`.

use super::record::{Flow, Framing, Message, Origin, Part, Record};
use arrayvec::ArrayVec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use reassembly::{Cause, Direction, End, Sent, State, Summary};

/// The most bytes that the fields of a record take.
pub(super) const MOST: usize = 320;

/// The fields of a record.
pub(super) type Fields = ArrayVec<u8, MOST>;

/// Puts values behind each other.
struct Writer(Fields);

impl Writer {
    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) {
        // The longest record fits (tested), so this never fails.
        let _ = self.0.try_extend_from_slice(bytes);
    }

    #[inline(always)]
    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline(always)]
    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    #[inline(always)]
    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    #[inline(always)]
    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    #[inline(always)]
    fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    fn address(&mut self, address: SocketAddr) {
        let (family, octets) = match address.ip() {
            IpAddr::V4(v4) => (4, v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        self.u8(family);
        self.bytes(&octets);
        self.u16(address.port());
    }

    fn message(&mut self, message: &Message) {
        self.u8(message.direction as u8);
        self.u32(message.exchange);
        self.u64(message.offset);
        self.u64(message.begin);
        self.u8(message.framing as u8);
        self.u32(message.head_length);
        self.u64(message.body_length);
        self.u64(message.body_lost);
        self.u64(message.body_missing);
        self.flag(message.complete);
        self.flag(message.resync);
        self.flag(message.upgrade);
        self.flag(message.request.is_some());
        let (begin, end) = message.request.unwrap_or_default();
        self.u64(begin);
        self.u64(end);
    }

    fn summary(&mut self, summary: &Summary) {
        self.u8(summary.end as u8);
        self.u8(summary.states[0] as u8);
        self.u8(summary.states[1] as u8);
        self.u64(summary.duration);
        self.flag(summary.handshake_rtt.is_some());
        self.u64(summary.handshake_rtt.unwrap_or_default());
        for sent in &summary.sent {
            for value in numbers(sent) {
                self.u64(value);
            }
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Open { midstream } => {
                self.u8(0);
                self.flag(*midstream);
            }
            Part::Data { direction, offset } => {
                self.u8(1);
                self.u8(*direction as u8);
                self.u64(*offset);
            }
            Part::Gap { direction, offset, length, cause } => {
                self.u8(2);
                self.u8(*direction as u8);
                self.u64(*offset);
                self.u64(*length);
                self.u8(*cause as u8);
            }
            Part::Whole(message) => {
                self.u8(3);
                self.message(message);
            }
            Part::Head(message) => {
                self.u8(4);
                self.message(message);
            }
            Part::Body(direction) => {
                self.u8(5);
                self.u8(*direction as u8);
            }
            Part::Hole(direction, length) => {
                self.u8(6);
                self.u8(*direction as u8);
                self.u64(*length);
            }
            Part::Trailers(direction) => {
                self.u8(7);
                self.u8(*direction as u8);
            }
            Part::End(message) => {
                self.u8(8);
                self.message(message);
            }
            Part::Close(summary) => {
                self.u8(9);
                self.summary(summary);
            }
        }
    }
}

fn numbers(sent: &Sent) -> [u64; 13] {
    let s = sent;
    [
        s.packets,
        s.bytes,
        s.retransmitted,
        s.out_of_order,
        s.conflicts,
        s.gaps,
        s.missing,
        s.zero_windows,
        s.zero_window_time,
        s.rtt_samples,
        s.rtt_min,
        s.rtt_max,
        s.rtt_sum,
    ]
}

/// The fields of a record as bytes.
pub(super) fn write(record: &Record) -> Fields {
    let mut w = Writer(Fields::new());
    w.u64(record.time);
    w.u64(record.sequence);
    w.u64(record.dropped);
    let flow = &record.flow;
    w.u64(flow.id);
    w.address(flow.client);
    w.address(flow.server);
    w.u16(flow.service);
    w.u16(flow.ingress);
    w.u16(flow.vlan);
    w.u8(flow.origin as u8);
    w.part(&record.part);
    w.0
}

/// Takes values off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest): (&'a [u8; N], _) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        self.u8().map(|byte| byte != 0)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(usize::from(self.u8()?)).copied()
    }

    fn direction(&mut self) -> Option<Direction> {
        self.one_of(&[Direction::Client, Direction::Server])
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let family = self.u8()?;
        let v6 = Ipv6Addr::from(self.array::<16>()?);
        let ip = if family == 4 { IpAddr::V4(v6.to_ipv4_mapped()?) } else { IpAddr::V6(v6) };
        Some(SocketAddr::new(ip, self.u16()?))
    }

    fn message(&mut self) -> Option<Message> {
        let mut message = Message {
            direction: self.direction()?,
            exchange: self.u32()?,
            offset: self.u64()?,
            begin: self.u64()?,
            framing: self.one_of(&Framing::ALL)?,
            head_length: self.u32()?,
            body_length: self.u64()?,
            body_lost: self.u64()?,
            body_missing: self.u64()?,
            complete: self.flag()?,
            resync: self.flag()?,
            upgrade: self.flag()?,
            request: None,
        };
        let there = self.flag()?;
        let times = (self.u64()?, self.u64()?);
        message.request = there.then_some(times);
        Some(message)
    }

    fn sent(&mut self) -> Option<Sent> {
        Some(Sent {
            packets: self.u64()?,
            bytes: self.u64()?,
            retransmitted: self.u64()?,
            out_of_order: self.u64()?,
            conflicts: self.u64()?,
            gaps: self.u64()?,
            missing: self.u64()?,
            zero_windows: self.u64()?,
            zero_window_time: self.u64()?,
            rtt_samples: self.u64()?,
            rtt_min: self.u64()?,
            rtt_max: self.u64()?,
            rtt_sum: self.u64()?,
        })
    }

    fn summary(&mut self) -> Option<Summary> {
        let end = self.one_of(&End::ALL)?;
        let states = [self.one_of(&State::ALL)?, self.one_of(&State::ALL)?];
        let duration = self.u64()?;
        let there = self.flag()?;
        let rtt = self.u64()?;
        let sent = [self.sent()?, self.sent()?];
        Some(Summary { end, states, duration, handshake_rtt: there.then_some(rtt), sent })
    }

    fn part(&mut self) -> Option<Part> {
        Some(match self.u8()? {
            0 => Part::Open { midstream: self.flag()? },
            1 => Part::Data { direction: self.direction()?, offset: self.u64()? },
            2 => Part::Gap {
                direction: self.direction()?,
                offset: self.u64()?,
                length: self.u64()?,
                cause: self.one_of(&Cause::ALL)?,
            },
            3 => Part::Whole(self.message()?),
            4 => Part::Head(self.message()?),
            5 => Part::Body(self.direction()?),
            6 => Part::Hole(self.direction()?, self.u64()?),
            7 => Part::Trailers(self.direction()?),
            8 => Part::End(self.message()?),
            9 => Part::Close(self.summary()?),
            _ => return None,
        })
    }
}

/// The record that these bytes are, and its payload.
pub(super) fn read(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let mut r = Reader(bytes);
    let (time, sequence, dropped) = (r.u64()?, r.u64()?, r.u64()?);
    let flow = Flow {
        id: r.u64()?,
        client: r.address()?,
        server: r.address()?,
        service: r.u16()?,
        ingress: r.u16()?,
        vlan: r.u16()?,
        origin: r.one_of(&Origin::ALL)?,
    };
    let part = r.part()?;
    Some((Record { flow, time, sequence, dropped, part }, r.0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record whose numbers are all made of `n`, with the part of number `part`.
    pub(crate) fn record(part: usize, n: u64, flag: bool) -> Record {
        let direction = if flag { Direction::Client } else { Direction::Server };
        let message = Message {
            direction,
            exchange: n as u32,
            offset: n.wrapping_mul(3),
            begin: n.wrapping_mul(5),
            framing: Framing::ALL[n as usize % 4],
            head_length: (n >> 8) as u32,
            body_length: n.wrapping_mul(7),
            body_lost: n.wrapping_mul(11),
            body_missing: n.wrapping_mul(13),
            complete: flag,
            resync: !flag,
            upgrade: n.is_multiple_of(3),
            request: flag.then_some((n, n.wrapping_add(1))),
        };
        let mut at = n;
        let mut next = || {
            at = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            at
        };
        let mut sent = || Sent {
            packets: next(),
            bytes: next(),
            retransmitted: next(),
            out_of_order: next(),
            conflicts: next(),
            gaps: next(),
            missing: next(),
            zero_windows: next(),
            zero_window_time: next(),
            rtt_samples: next(),
            rtt_min: next(),
            rtt_max: next(),
            rtt_sum: next(),
        };
        let summary = Summary {
            end: End::ALL[n as usize % 7],
            states: [State::ALL[n as usize % 11], State::ALL[n as usize % 5]],
            duration: n,
            handshake_rtt: flag.then_some(n),
            sent: [sent(), sent()],
        };
        let part = match part {
            0 => Part::Open { midstream: flag },
            1 => Part::Data { direction, offset: n },
            2 => Part::Gap { direction, offset: n, length: n >> 1, cause: Cause::ALL[n as usize % 4] },
            3 => Part::Whole(message),
            4 => Part::Head(message),
            5 => Part::Body(direction),
            6 => Part::Hole(direction, n),
            7 => Part::Trailers(direction),
            8 => Part::End(message),
            _ => Part::Close(summary),
        };
        let v4 = SocketAddr::from(([10, 0, 0, n as u8], n as u16));
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n as u16], 443));
        let flow = Flow {
            id: n,
            client: if flag { v4 } else { v6 },
            server: if flag { v4 } else { v6 },
            service: n as u16,
            ingress: (n >> 3) as u16,
            vlan: (n >> 5) as u16 & 0xfff,
            origin: Origin::ALL[n as usize % 3],
        };
        Record { flow, time: n, sequence: n >> 2, dropped: n >> 7, part }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(part in 0..10usize, n: u64, flag: bool, payload: Vec<u8>) {
            let record = record(part, n, flag);
            let mut bytes = write(&record).to_vec();
            prop_assert!(bytes.len() < MOST, "room for the longest");
            bytes.extend(&payload);
            let (read, rest) = read(&bytes).unwrap();
            prop_assert_eq!(read, record);
            prop_assert_eq!(rest, &payload[..]);
        }

        #[test]
        fn other_bytes_do_no_harm(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
