//! Headers written in one go: put together in registers, with their checksums from the same words.
//!
//! Invariant: what is written here is what writing field by field and summing up afterwards would give (a test compares
//! the two), without reading back bytes that were just written in other sizes, which makes a CPU wait for its own
//! stores.

use crate::checksum;
use crate::device::{TxChecksum, finish};
use crate::key::{FlowKey, Protocol};
use crate::reply;

/// The parts of a TCP segment that are not its flow's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Segment<'a> {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) control: u8,
    pub(crate) window: u16,
    /// Options, whose length is a multiple of four.
    pub(crate) options: &'a [u8],
    pub(crate) data: &'a [u8],
}

/// Writes a whole packet from `key.local` to `key.remote`; returns its length and that of its IP header.
#[inline]
pub(crate) fn segment(buffer: &mut [u8], key: &FlowKey, s: &Segment<'_>, mode: TxChecksum) -> (usize, usize) {
    if !key.local.is_v4() {
        let (len, l3_len) = reply::segment(buffer, key, s);
        finish(&mut buffer[..len], l3_len, Protocol::TCP, mode);
        return (len, l3_len);
    }
    let header = 20 + s.options.len();
    let len = header + s.data.len();
    let numbers = u64::from(s.seq) << 32 | u64::from(s.ack);
    let rest = (header as u64) << 58 | u64::from(s.control) << 48 | u64::from(s.window) << 32;
    let mut sum = words(numbers) + words(rest);
    if mode == TxChecksum::Software {
        sum += if s.options.is_empty() { 0 } else { checksum::sum(s.options) } + checksum::sum(s.data);
    }
    let check = transport(key, Protocol::TCP, len, sum, mode);
    let (packet, _) = buffer.split_at_mut(20 + len);
    // One check of the length for all that is fixed.
    let Some(fixed) = packet.first_chunk_mut::<40>() else { return (0, 20) };
    ip(fixed, key, Protocol::TCP, 20 + len, mode);
    fixed[24..32].copy_from_slice(&numbers.to_be_bytes());
    fixed[32..40].copy_from_slice(&(rest | u64::from(check) << 16).to_be_bytes());
    if !s.options.is_empty() {
        packet[40..20 + header].copy_from_slice(s.options);
    }
    if !s.data.is_empty() {
        packet[20 + header..].copy_from_slice(s.data);
    }
    (20 + len, 20)
}

/// Writes the headers of a datagram whose `len` bytes are at their place already; returns the packet's length and that
/// of its IP header.
#[inline]
pub(crate) fn datagram(buffer: &mut [u8], key: &FlowKey, len: usize, mode: TxChecksum) -> (usize, usize) {
    if !key.local.is_v4() {
        let (end, l3_len) = reply::datagram(buffer, key, len);
        finish(&mut buffer[..end], l3_len, Protocol::UDP, mode);
        return (end, l3_len);
    }
    let sum = (8 + len) as u64
        + if mode == TxChecksum::Software { checksum::sum(&buffer[28..28 + len]) } else { 0 };
    let check = match transport(key, Protocol::UDP, 8 + len, sum, mode) {
        // RFC 768: zero means none, so a zero sum goes out as all ones.
        0 if mode == TxChecksum::Software => 0xffff,
        check => check,
    };
    let Some(fixed) = buffer.first_chunk_mut::<28>() else { return (0, 20) };
    let last = ((8 + len) as u32) << 16 | u32::from(check);
    fixed[24..28].copy_from_slice(&last.to_be_bytes());
    if let Some(fixed) = fixed.first_chunk_mut::<24>() {
        ip(fixed, key, Protocol::UDP, 28 + len, mode);
    }
    (28 + len, 20)
}

/// Both halves of eight bytes.
#[inline(always)]
fn words(both: u64) -> u64 {
    (both >> 32) + (both & 0xffff_ffff)
}

/// The transport checksum, where `sum` is that of all behind the ports.
#[inline(always)]
fn transport(key: &FlowKey, protocol: Protocol, len: usize, sum: u64, mode: TxChecksum) -> u16 {
    if mode == TxChecksum::None {
        return 0;
    }
    let pseudo = checksum::pseudo(key.local, key.remote, protocol, len);
    let ports = u64::from(key.local_port) + u64::from(key.remote_port);
    if mode == TxChecksum::Offload { checksum::fold(pseudo) } else { !checksum::fold(pseudo + ports + sum) }
}

/// The IPv4 header (no options, DF set, TTL 64) of a packet of `len` bytes, and the ports.
#[inline(always)]
fn ip<const N: usize>(fixed: &mut [u8; N], key: &FlowKey, protocol: Protocol, len: usize, mode: TxChecksum) {
    let (local, remote) = (key.local.0 as u32, key.remote.0 as u32);
    let first = 0x4500_0000_0000_4000 | (len as u64) << 32;
    let middle = 64 << 56 | u64::from(protocol.0) << 48 | u64::from(local);
    let check = match mode {
        TxChecksum::Software => !checksum::fold(words(first) + words(middle) + u64::from(remote)),
        _ => 0,
    };
    let last = u64::from(remote) << 32 | u64::from(key.local_port) << 16 | u64::from(key.remote_port);
    fixed[..8].copy_from_slice(&first.to_be_bytes());
    fixed[8..16].copy_from_slice(&(middle | u64::from(check) << 32).to_be_bytes());
    fixed[16..24].copy_from_slice(&last.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Addr;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_field_by_field(
            ends: (u32, u32, u16, u16),
            numbers: (u32, u32, u8, u16),
            options in 0usize..11,
            data in proptest::collection::vec(any::<u8>(), 0..200),
            mode in prop::sample::select(vec![TxChecksum::Software, TxChecksum::Offload, TxChecksum::None]),
        ) {
            let key = FlowKey {
                local: Addr::v4(ends.0.to_be_bytes()),
                remote: Addr::v4(ends.1.to_be_bytes()),
                local_port: ends.2,
                remote_port: ends.3,
                ..FlowKey::default()
            };
            let (seq, ack, control, window) = numbers;
            let options = &[7; 40][..4 * options];
            let s = Segment { seq, ack, control, window, options, data: &data };
            let (mut quick, mut slow) = ([0xa5; 300], [0xa5; 300]);
            let at = segment(&mut quick, &key, &s, mode);
            prop_assert_eq!(at, reply::segment(&mut slow, &key, &s));
            finish(&mut slow[..at.0], 20, Protocol::TCP, mode);
            prop_assert_eq!(&quick[..], &slow[..]);

            let (mut quick, mut slow) = ([0xa5; 300], [0xa5; 300]);
            quick[28..28 + data.len()].copy_from_slice(&data);
            slow[28..28 + data.len()].copy_from_slice(&data);
            let at = datagram(&mut quick, &key, data.len(), mode);
            prop_assert_eq!(at, reply::datagram(&mut slow, &key, data.len()));
            finish(&mut slow[..at.0], 20, Protocol::UDP, mode);
            prop_assert_eq!(&quick[..], &slow[..]);
        }
    }
}
