//! The Internet checksum (RFC 1071) for the packets built outside a flow: ARP's
//! neighbours, ICMP and reassembled datagrams.
//!
//! Invariant: a [`Sum`] holds the one's complement sum of everything added, whatever the order of the pieces, as
//! long as every piece but the last has an even length.

use l3l4::Addr;

/// A running one's complement sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last byte counts as the high half of a word.
    #[must_use]
    pub fn bytes(self, data: &[u8]) -> Self {
        let mut sum = self.0;
        let mut words = data.chunks_exact(4);
        for word in &mut words {
            sum += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        }
        let mut tail = [0; 4];
        for (to, from) in tail.iter_mut().zip(words.remainder()) {
            *to = *from;
        }
        Self(sum + u64::from(u32::from_be_bytes(tail)))
    }

    /// Adds the IPv6 pseudo-header (RFC 8200, section 8.1).
    #[must_use]
    pub fn pseudo_v6(self, source: Addr, destination: Addr, length: u32, next_header: u8) -> Self {
        let sum = self.bytes(&source.octets()).bytes(&destination.octets());
        Self(sum.0 + u64::from(length) + u64::from(next_header))
    }

    /// The checksum to write: the complement of the folded sum.
    #[must_use]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// Whether data that includes its own checksum is intact.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }

    const fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn example_of_rfc_1071() {
        assert_eq!(Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).finish(), !0xddf2);
    }

    proptest! {
        #[test]
        fn equals_the_word_by_word_definition(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut naive = 0_u32;
            for pair in data.chunks(2) {
                naive += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
                naive = (naive & 0xffff) + (naive >> 16);
            }
            prop_assert_eq!(Sum::default().bytes(&data).finish(), !(naive as u16));
        }
    }
}
