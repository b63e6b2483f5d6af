//! The other end of the link, inside of the generator: what a server with no work to do would answer. Shows how fast
//! the generator is by itself.
//!
//! Invariant: no state. Every answer follows from the packet it answers, which becomes the answer in place.

use crate::checksum::Sum;
use crate::link::{Burst, Link, Queue};
use crate::wire::{ETHERNET, L4, TCP_PAYLOAD, UDP, be16, be32, flag};
use dpdk_ffi::mbuf::Mbuf;
use std::collections::VecDeque;

/// Packets on their way back; the length of a memif ring.
const DEPTH: usize = 1024;

/// Answers TCP requests, and echoes datagrams or swallows them.
pub(crate) struct Reflector {
    answer: Vec<u8>,
    /// Says goodbye with the answer.
    closes: bool,
    echoes: bool,
    back: VecDeque<Mbuf>,
}

impl Reflector {
    /// Answers every request with `answer`, and closes then if told to.
    pub(crate) fn http(answer: &[u8], closes: bool) -> Self {
        Self { answer: answer.to_vec(), closes, echoes: false, back: VecDeque::with_capacity(DEPTH) }
    }

    /// Sends datagrams back.
    pub(crate) fn echo() -> Self {
        Self { echoes: true, ..Self::mute() }
    }

    /// Answers no datagram.
    pub(crate) fn mute() -> Self {
        Self::http(&[], false)
    }

    /// Makes the answer of a packet; false when there is none.
    fn turn_round(&self, mbuf: &mut Mbuf) -> bool {
        let room = mbuf.room_mut();
        let Some((head, l4)) = room.split_first_chunk_mut::<L4>() else { return false };
        // Exchanging addresses and ports leaves the sums as they are.
        head[26..34].rotate_left(4);
        l4[..4].rotate_left(2);
        if head[23] == UDP {
            return self.echoes;
        }
        let (seq, ack, flags) = (be32(l4, 4), be32(l4, 8), l4[13]);
        let offset = usize::from(l4[12] >> 4) * 4;
        let request = usize::from(be16(head, 16)) - 20 - offset;
        let (flags, answer): (u8, &[u8]) = match flags {
            f if f & flag::RST != 0 => return false,
            f if f & flag::SYN != 0 => (flag::SYN | flag::ACK, &[]),
            f if f & flag::FIN != 0 => (flag::ACK, &[]),
            _ if request == 0 => return false,
            _ => (flag::ACK | if self.closes { flag::FIN } else { 0 }, &self.answer),
        };
        let taken = request as u32 + u32::from(flags & flag::SYN != 0 || (answer.is_empty() && request == 0));
        l4[4..8].copy_from_slice(&ack.to_be_bytes());
        l4[8..12].copy_from_slice(&seq.wrapping_add(taken).to_be_bytes());
        l4[12] = 5 << 4;
        l4[13] = flags;
        let length = 20 + answer.len();
        if l4.len() < length {
            return false;
        }
        l4[20..length].copy_from_slice(answer);
        l4[16..18].fill(0);
        let total = (20 + length) as u16;
        head[16..18].copy_from_slice(&total.to_be_bytes());
        head[24..26].fill(0);
        let field = Sum::of(&head[ETHERNET..]).field();
        head[24..26].copy_from_slice(&field);
        let field = Sum::of(&head[26..34]).word(6).word(length as u16).bytes(&l4[..length]).field();
        l4[16..18].copy_from_slice(&field);
        mbuf.set_len((TCP_PAYLOAD + answer.len()) as u16)
    }
}

impl Link for Reflector {
    fn receive(&mut self, burst: &mut Burst) {
        let n = self.back.len().min(burst.remaining_capacity());
        burst.extend(self.back.drain(..n));
    }

    fn send(&mut self, queue: &mut Queue) {
        let n = queue.len().min(DEPTH - self.back.len());
        for mut mbuf in queue.drain(..n) {
            if self.turn_round(&mut mbuf) {
                self.back.push_back(mbuf);
            }
        }
    }
}
