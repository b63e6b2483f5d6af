//! One datagram on its way to being whole.
//!
//! Invariant: the set bits of `filled` are the eight-byte blocks received, each from exactly one fragment; the
//! bits of `starts` say where those fragments begin. The header lies right before the payload, so a whole datagram
//! is one slice.

use super::FragmentDrop;
use super::header::{Fragment, HEADROOM, Key, V6_HEADER};
use l3l4::checksum;

const BLOCK: usize = 8;

/// A bit per block.
struct Blocks(Box<[u64]>);

impl Blocks {
    fn new(blocks: usize) -> Self {
        Self(vec![0; blocks.div_ceil(64)].into_boxed_slice())
    }

    fn get(&self, block: usize) -> bool {
        self.0.get(block / 64).is_some_and(|word| word >> (block % 64) & 1 != 0)
    }

    fn set(&mut self, from: usize, to: usize) {
        for (word, mask) in Self::words(from, to) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= mask;
            }
        }
    }

    fn count(&self, from: usize, to: usize) -> usize {
        let ones = |(word, mask): (usize, u64)| self.0.get(word).map_or(0, |word| (word & mask).count_ones());
        Self::words(from, to).map(|word| ones(word) as usize).sum()
    }

    fn clear(&mut self, blocks: usize) {
        self.0.iter_mut().take(blocks.div_ceil(64)).for_each(|word| *word = 0);
    }

    /// The words that `from..to` touches, with the mask of its bits in each.
    fn words(from: usize, to: usize) -> impl Iterator<Item = (usize, u64)> {
        (from / 64..to.div_ceil(64)).map(move |word| {
            let low = from.saturating_sub(word * 64);
            let high = (to - word * 64).min(64);
            (word, u64::MAX << low & u64::MAX >> (64 - high))
        })
    }
}

pub(super) struct Datagram {
    pub(super) key: Key,
    pub(super) open: bool,
    /// When the first fragment came.
    pub(super) opened: u64,
    /// Fragments held.
    pub(super) fragments: u32,
    /// Discarded: fragments that still come are dropped for this.
    pub(super) condemned: Option<FragmentDrop>,
    /// [`HEADROOM`] for the header, then the payload.
    buffer: Box<[u8]>,
    filled: Blocks,
    starts: Blocks,
    blocks: usize,
    /// 0: the first fragment has not come.
    header_len: usize,
    /// The end of the last fragment.
    total: Option<usize>,
    /// The end of the furthest fragment.
    end: usize,
}

impl Datagram {
    pub(super) fn new(max_len: usize) -> Self {
        let blocks = max_len.div_ceil(BLOCK);
        Self {
            key: Key::default(),
            open: false,
            opened: 0,
            fragments: 0,
            condemned: None,
            buffer: vec![0; HEADROOM + max_len].into_boxed_slice(),
            filled: Blocks::new(blocks),
            starts: Blocks::new(blocks),
            blocks: 0,
            header_len: 0,
            total: None,
            end: 0,
        }
    }

    pub(super) fn open(&mut self, key: Key, now: u64) {
        let dirty = self.end.div_ceil(BLOCK);
        self.filled.clear(dirty);
        self.starts.clear(dirty);
        (self.key, self.open, self.opened) = (key, true, now);
        (self.fragments, self.blocks, self.header_len, self.end) = (0, 0, 0, 0);
        (self.condemned, self.total) = (None, None);
    }

    /// Discards the datagram for a reason; returns how many fragments it held.
    pub(super) fn condemn(&mut self, reason: FragmentDrop) -> u32 {
        self.condemned = Some(reason);
        core::mem::take(&mut self.fragments)
    }

    /// Enters a fragment; says whether the datagram is whole. After an error other than
    /// [`FragmentDrop::Duplicate`] the datagram must be condemned.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>, max_len: usize) -> Result<bool, FragmentDrop> {
        let end = fragment.end();
        let (from, to) = (fragment.offset / BLOCK, end.div_ceil(BLOCK));
        let place = HEADROOM + fragment.offset..HEADROOM + end;
        let room = self.buffer.get_mut(place).ok_or(FragmentDrop::TooLong)?;
        if self.filled.count(from, to) != 0 {
            let same_place = self.filled.count(from, to) == to - from
                && self.starts.get(from)
                && self.starts.count(from, to) == 1
                && (self.starts.get(to) || !self.filled.get(to))
                && (self.total == Some(end)) != fragment.more;
            let same = same_place && *room == *fragment.payload;
            return Err(if same { FragmentDrop::Duplicate } else { FragmentDrop::Overlap });
        }
        let beyond = self.total.is_some_and(|total| end > total || !fragment.more);
        if beyond || (!fragment.more && end < self.end) {
            return Err(FragmentDrop::BadLength);
        }
        room.copy_from_slice(fragment.payload);
        if fragment.offset == 0 {
            self.keep_header(fragment)?;
        }
        self.filled.set(from, to);
        self.starts.set(from, from + 1);
        self.blocks += to - from;
        self.end = self.end.max(end);
        self.fragments += 1;
        if !fragment.more {
            self.total = Some(end);
        }
        match self.total {
            Some(total) if self.blocks == total.div_ceil(BLOCK) => self.finish(total, max_len).map(|()| true),
            _ => Ok(false),
        }
    }

    fn keep_header(&mut self, fragment: &Fragment<'_>) -> Result<(), FragmentDrop> {
        let len = fragment.header.len();
        let start = HEADROOM.checked_sub(len).ok_or(FragmentDrop::TooLong)?;
        let header = self.buffer.get_mut(start..HEADROOM).ok_or(FragmentDrop::TooLong)?;
        header.copy_from_slice(fragment.header);
        let (next, at) = fragment.next;
        if let Some(byte) = header.get_mut(at) {
            *byte = next;
        }
        self.header_len = len;
        Ok(())
    }

    /// Makes the header that of an unfragmented packet.
    fn finish(&mut self, total: usize, max_len: usize) -> Result<(), FragmentDrop> {
        let v4 = self.key.source.is_v4();
        let len = self.header_len + total;
        // The fragments passed this test each with a header of its own, which may have been shorter.
        let field =
            u16::try_from(if v4 { len } else { len - V6_HEADER }).map_err(|_| FragmentDrop::TooLong)?;
        if len > max_len {
            return Err(FragmentDrop::TooLong);
        }
        let header = &mut self.buffer[HEADROOM - self.header_len..HEADROOM];
        if v4 {
            header[2..4].copy_from_slice(&field.to_be_bytes());
            header[6..8].fill(0);
            header[10..12].fill(0);
            let sum = checksum::header(header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            header[4..6].copy_from_slice(&field.to_be_bytes());
        }
        Ok(())
    }

    /// The packet, after [`Datagram::add`] returned true.
    pub(super) fn packet(&mut self) -> &mut [u8] {
        let total = self.total.unwrap_or(0);
        &mut self.buffer[HEADROOM - self.header_len..HEADROOM + total]
    }
}
