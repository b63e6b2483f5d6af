//! SACK blocks (RFC 2018, RFC 2883) in a segment's options, and the one option of a SYN that is rewritten.
//!
//! Invariant: blocks given out lie inside what is in flight; anything else a peer may write there is passed over.

use crate::flow::seq_lt;
use crate::packet::be32;

/// What the SACK option of a segment says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks {
    blocks: [(u32, u32); 4],
    len: u8,
    /// The first block reports something received twice (RFC 2883 section 4).
    pub(crate) duplicate: bool,
}

impl Blocks {
    pub(crate) fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.len)]
    }

    /// Reads `options` of a segment that acknowledges `ack`, with `ack..end` in flight.
    pub(crate) fn read(options: &[u8], ack: u32, end: u32) -> Self {
        let mut found = Self::default();
        let Some((at, len)) = option(options, 5) else { return found };
        let given = &options[at..at + len];
        for (n, block) in given.chunks_exact(8).take(4).enumerate() {
            let (from, to) = (be32(block, 0), be32(block, 4));
            if n == 0 {
                let inside = given.len() >= 16 && {
                    let (a, b) = (be32(given, 8), be32(given, 12));
                    !seq_lt(from, a) && !seq_lt(b, to)
                };
                if !seq_lt(ack, to) || inside {
                    found.duplicate = seq_lt(from, to);
                    continue;
                }
            }
            if seq_lt(from, to) && !seq_lt(from, ack) && !seq_lt(end, to) {
                found.blocks[usize::from(found.len)] = (from, to);
                found.len += 1;
            }
        }
        found
    }
}

/// Where the value of option `kind` lies, and its length. The options have been found well-formed before.
fn option(options: &[u8], kind: u8) -> Option<(usize, usize)> {
    let mut at = 0;
    while at + 1 < options.len() {
        match options[at] {
            0 => return None,
            1 => at += 1,
            found => {
                let len = usize::from(options[at + 1]);
                if len < 2 || at + len > options.len() {
                    return None;
                }
                if found == kind {
                    return Some((at + 2, len - 2));
                }
                at += len;
            }
        }
    }
    None
}

/// Rewrites the window scale of a SYN's options, if there is one; returns whether they permit SACK.
pub(crate) fn condition(options: &mut [u8], shift: u8) -> bool {
    let (mut at, mut permitted) = (0, false);
    while at + 1 < options.len() {
        let len = match options[at] {
            0 => break,
            1 => 1,
            kind => {
                let len = usize::from(options[at + 1]);
                match kind {
                    3 if len == 3 && at + 2 < options.len() => options[at + 2] = shift,
                    4 => permitted = true,
                    _ => {}
                }
                len.max(2)
            }
        };
        at += len;
    }
    permitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sack(blocks: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
        for (from, to) in blocks {
            bytes.extend(from.to_be_bytes());
            bytes.extend(to.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn blocks_in_flight() {
        let read = |blocks: &[_]| Blocks::read(&sack(blocks), 1000, 9000);
        let got = read(&[(3000, 4000), (5000, 9000)]);
        assert_eq!((got.as_slice(), got.duplicate), (&[(3000, 4000), (5000, 9000)][..], false));
        assert!(read(&[(3000, 3000), (8000, 9001), (4000, 3000)]).as_slice().is_empty());
        let got = read(&[(500, 1000), (2000, 3000)]);
        assert_eq!((got.as_slice(), got.duplicate), (&[(2000, 3000)][..], true), "below the ACK");
        let got = read(&[(2500, 2600), (2000, 3000)]);
        assert_eq!((got.as_slice(), got.duplicate), (&[(2000, 3000)][..], true), "inside the second");
    }

    #[test]
    fn options_of_a_syn() {
        let mut syn = [2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1];
        assert!(condition(&mut syn, 0));
        assert_eq!(syn, [2, 4, 5, 0xb4, 1, 3, 3, 0, 4, 2, 1, 1]);
        assert!(!condition(&mut syn[..8], 0));
    }

    proptest! {
        #[test]
        fn whatever_stands_there(bytes in proptest::collection::vec(any::<u8>(), 0..40), ack: u32, flight in 0u32..1_000_000) {
            let end = ack.wrapping_add(flight);
            for &(from, to) in Blocks::read(&bytes, ack, end).as_slice() {
                prop_assert!(seq_lt(from, to) && !seq_lt(from, ack) && !seq_lt(end, to));
            }
            let mut bytes = bytes;
            condition(&mut bytes, 1);
        }
    }
}
