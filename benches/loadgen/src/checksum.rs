//! Internet checksums (RFC 1071) in the machine's own byte order: sums are never swapped, only what is added to them.
//!
//! Invariant: a [`Sum`] may be taken in pieces, each at an even offset, and in any order; folding it gives the same
//! sixteen bits.

/// A one's-complement sum that is not folded yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The sum over `bytes`.
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::default().bytes(bytes)
    }

    /// Adds `bytes`, which begin at an even offset.
    #[inline]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let mut sum = self.0;
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// Adds a 16-bit field.
    #[inline]
    pub(crate) fn word(self, value: u16) -> Self {
        Self(self.0 + u64::from(value.to_be()))
    }

    /// Adds a 32-bit field.
    #[inline]
    pub(crate) fn long(self, value: u32) -> Self {
        Self(self.0 + u64::from(value.to_be()))
    }

    /// Adds a 64-bit field.
    #[inline]
    pub(crate) fn quad(self, value: u64) -> Self {
        let value = value.to_be();
        Self(self.0 + (value & 0xffff_ffff) + (value >> 32))
    }

    /// The sixteen bits a receiver finds: all ones over a packet whose checksum is right.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "what is above sixteen bits has been folded in")]
    fn folded(self) -> u16 {
        let mut sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }

    /// The two bytes of the checksum field.
    #[inline]
    pub(crate) fn field(self) -> [u8; 2] {
        (!self.folded()).to_ne_bytes()
    }

    /// Whether the sum over a packet, checksum included, says that it is sound.
    #[inline]
    pub(crate) fn is_sound(self) -> bool {
        self.folded() == 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071, section 3.
    const RFC: [u8; 8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(Sum::of(&RFC).field(), [0x22, 0x0d]);
    }

    #[test]
    fn pieces_and_fields_give_the_same_as_the_whole() {
        let whole = Sum::of(&RFC).field();
        assert_eq!(Sum::of(&RFC[..2]).bytes(&RFC[2..]).field(), whole);
        assert_eq!(Sum::default().word(0x0001).word(0xf203).long(0xf4f5_f6f7).field(), whole);
        assert_eq!(Sum::default().quad(0x0001_f203_f4f5_f6f7).field(), whole);
    }

    #[test]
    fn odd_ends_count_as_padded_with_zero() {
        assert_eq!(Sum::of(&[1, 2, 3]).field(), Sum::of(&[1, 2, 3, 0]).field());
    }

    #[test]
    fn a_packet_with_its_checksum_is_sound_and_a_flipped_bit_is_not() {
        let mut packet = [0x45, 0, 0, 20, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let field = Sum::of(&packet).field();
        packet[10..12].copy_from_slice(&field);
        assert!(Sum::of(&packet).is_sound());
        packet[3] ^= 1;
        assert!(!Sum::of(&packet).is_sound());
    }
}
