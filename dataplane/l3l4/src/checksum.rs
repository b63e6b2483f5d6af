//! The Internet checksum (RFC 1071) and its pseudo-headers (RFC 9293 section 3.1, RFC 8200 section 8.1).
//!
//! Invariant: sums are kept in 64 bits and folded once at the end, so the inner loop has no carry to chase and
//! the compiler turns it into vector code.

use crate::key::{Addr, Protocol};

/// Up to this many bytes, one register beats what vectors cost to set up.
const SHORT: usize = 96;

/// The ones' complement sum of `data` read as big-endian 16-bit words, unfolded.
#[inline]
#[must_use]
pub fn sum(data: &[u8]) -> u64 {
    let total = if data.len() <= SHORT { sum_short(data) } else { sum_long(data) };
    // Summed in the machine's order; byte order only swaps the folded result (RFC 1071 section 2 (B)).
    u64::from(u16::from_be(fold(total)))
}

#[inline]
fn sum_short(data: &[u8]) -> u64 {
    let mut total = 0u64;
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        let (next, carry) = total.overflowing_add(u64::from_ne_bytes(*word));
        total = next + u64::from(carry);
    }
    if !rest.is_empty() {
        let mut tail = [0u8; 8];
        tail[..rest.len()].copy_from_slice(rest);
        let (next, carry) = total.overflowing_add(u64::from_ne_bytes(tail));
        total = next + u64::from(carry);
    }
    total
}

fn sum_long(data: &[u8]) -> u64 {
    let mut total = 0u64;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    let mut tail = [0u8; 4];
    tail[..rest.len()].copy_from_slice(rest);
    total + u64::from(u32::from_ne_bytes(tail))
}

/// Folds a sum to 16 bits.
#[inline]
#[must_use]
pub const fn fold(mut total: u64) -> u16 {
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 16) + (total & 0xffff);
    total = (total >> 16) + (total & 0xffff);
    total = (total >> 16) + (total & 0xffff);
    total as u16
}

/// The sum of the pseudo-header of a segment of `len` bytes, unfolded.
#[inline]
#[must_use]
pub fn pseudo(source: Addr, destination: Addr, protocol: Protocol, len: usize) -> u64 {
    // Words of 32 bits add up to the same as words of 16 once folded: 2^16 counts as 1.
    let words = |addr: Addr| {
        if addr.is_v4() {
            return u64::from(addr.0 as u32);
        }
        let (high, low) = ((addr.0 >> 64) as u64, addr.0 as u64);
        (high >> 32) + (high & 0xffff_ffff) + (low >> 32) + (low & 0xffff_ffff)
    };
    let ends = words(source) + words(destination);
    ends + u64::from(protocol.0) + len as u64
}

/// Whether a segment with its checksum field filled in sums up right.
#[inline]
#[must_use]
pub fn verify(source: Addr, destination: Addr, protocol: Protocol, segment: &[u8]) -> bool {
    fold(pseudo(source, destination, protocol, segment.len()) + sum(segment)) == 0xffff
}

/// The checksum to write for a segment whose checksum field is zero.
#[inline]
#[must_use]
pub fn segment(source: Addr, destination: Addr, protocol: Protocol, segment: &[u8]) -> u16 {
    !fold(pseudo(source, destination, protocol, segment.len()) + sum(segment))
}

/// The checksum to write into an IPv4 or ICMP header whose checksum field is zero.
#[inline]
#[must_use]
pub fn header(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_the_book(data: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in data.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total >> 16) + (total & 0xffff);
        }
        total as u16
    }

    proptest! {
        #[test]
        fn agrees_with_the_book(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            // 0 and 0xffff are one value in ones' complement; only all-zero data gives 0.
            prop_assert_eq!(fold(sum(&data)), by_the_book(&data));
        }
    }

    #[test]
    fn rfc_1071_example() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }

    #[test]
    fn long_data_does_not_overflow() {
        assert_eq!(fold(sum(&[0xff; 65535])), by_the_book(&[0xff; 65535]));
    }
}
