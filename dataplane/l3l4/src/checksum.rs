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
    // Summed in the machine's order; byte order only swaps the folded result (RFC 1071 section 2 (B)).
    u64::from(u16::from_be(fold(sum_native(data))))
}

#[inline]
fn sum_native(data: &[u8]) -> u64 {
    if data.len() <= SHORT { sum_short(data) } else { sum_long(data) }
}

#[inline]
fn sum_short(data: &[u8]) -> u64 {
    let mut total = 0u64;
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        total = carry(total, u64::from_ne_bytes(*word));
    }
    // By halves: a copy of an unknown number of bytes would be a call.
    let (words, rest) = rest.as_chunks::<4>();
    if let [word] = words {
        total = carry(total, u64::from(u32::from_ne_bytes(*word)));
    }
    let (words, rest) = rest.as_chunks::<2>();
    if let [word] = words {
        total = carry(total, u64::from(u16::from_ne_bytes(*word)));
    }
    if let [byte] = rest {
        total = carry(total, u64::from(u16::from_ne_bytes([*byte, 0])));
    }
    total
}

/// Adds in ones' complement.
#[inline(always)]
fn carry(a: u64, b: u64) -> u64 {
    let (sum, over) = a.overflowing_add(b);
    sum + u64::from(over)
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
pub const fn fold(total: u64) -> u16 {
    let (sum, over) = ((total >> 32) as u32).overflowing_add(total as u32);
    let sum = sum + over as u32;
    let (sum, over) = ((sum >> 16) as u16).overflowing_add(sum as u16);
    sum + over as u16
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

/// Whether an IPv4 header or ICMP message, its checksum field filled in, sums up right.
#[inline]
#[must_use]
pub fn is_intact(bytes: &[u8]) -> bool {
    fold(sum_native(bytes)) == 0xffff
}

/// Whether a segment with its checksum field filled in sums up right.
#[inline]
#[must_use]
pub fn verify(source: Addr, destination: Addr, protocol: Protocol, segment: &[u8]) -> bool {
    fold(pseudo(source, destination, protocol, segment.len()) + sum(segment)) == 0xffff
}

/// [`verify`] where both addresses stand in the bytes `ends`, as in the packet they came in.
#[inline]
#[must_use]
pub fn verify_between(ends: &[u8], protocol: Protocol, segment: &[u8]) -> bool {
    // All in the machine's order, as the byte order of 0xffff is no matter.
    let fixed = u64::from(u16::from(protocol.0).to_be()) + u64::from((segment.len() as u32).to_be());
    fold(carry(carry(sum_native(ends), sum_native(segment)), fixed)) == 0xffff
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

    proptest! {
        #[test]
        fn ends_in_a_packet_are_as_good_as_addresses(
            a: u32, b: u32, data in proptest::collection::vec(any::<u8>(), 2..200),
        ) {
            let (from, to) = (Addr::v4(a.to_be_bytes()), Addr::v4(b.to_be_bytes()));
            let mut data = data;
            data[0..2].fill(0);
            let value = segment(from, to, Protocol::UDP, &data);
            data[0..2].copy_from_slice(&value.to_be_bytes());
            let ends = [a.to_be_bytes(), b.to_be_bytes()].concat();
            prop_assert!(verify(from, to, Protocol::UDP, &data));
            prop_assert!(verify_between(&ends, Protocol::UDP, &data));
            data[0] ^= 1;
            prop_assert!(!verify_between(&ends, Protocol::UDP, &data));
        }

        #[test]
        fn folds_like_repeated_addition(total: u64) {
            let mut naive = total;
            while naive >> 16 != 0 {
                naive = (naive >> 16) + (naive & 0xffff);
            }
            prop_assert_eq!(u64::from(fold(total)), naive);
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
