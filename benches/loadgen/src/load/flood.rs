//! A SYN flood beside another load: from random addresses and ports, as much as the link takes when the other load has
//! sent what it has.
//!
//! Invariant: the flood costs the other load nothing on this side of the link. Its frames go out behind all of the
//! others', and none are added while there may be frames to receive, so answers never wait for a generator that sends.

use super::Load;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::template::Template;
use crate::wire::{destination, flag, is_client};
use dpdk_ffi::clock::tsc;
use dpdk_ffi::queue::BURST;

/// A load with a flood around it.
#[derive(Debug)]
pub(crate) struct Flood<L> {
    inner: L,
    syn: Template,
    random: Random,
    /// Whether there is load, and so a flood.
    on: bool,
    calm: bool,
    /// Of the last flood, in ticks.
    began: u64,
    ended: u64,
    /// Frames received in this turn.
    seen: usize,
}

impl<L> Flood<L> {
    /// A flood of port `to`.
    pub(crate) fn new(inner: L, to: u16) -> Self {
        let syn = Template::tcp(to, flag::SYN, b"");
        Self {
            inner,
            syn,
            random: Random(0x9e37_79b9_7f4a_7c15),
            on: false,
            calm: false,
            began: 0,
            ended: 0,
            seen: 0,
        }
    }

    /// Whether the load goes without its flood.
    pub(crate) fn calm(&mut self, calm: bool) {
        self.calm = calm;
    }

    /// How long the last flood went on, in ticks.
    pub(crate) fn lasted(&self) -> u64 {
        self.ended.saturating_sub(self.began).max(1)
    }
}

impl<L: Load> Load for Flood<L> {
    #[inline]
    fn packet(&mut self, out: &mut Outbox, frame: &[u8], now: u64) {
        self.seen += 1;
        if destination(frame).is_none_or(is_client) {
            self.inner.packet(out, frame, now);
        }
    }

    #[inline]
    fn launch(&mut self, out: &mut Outbox, now: u64) {
        self.inner.launch(out, now);
        if self.on {
            self.ended = now;
        }
        if self.on && self.seen < BURST {
            for _ in 0..out.unfilled() {
                let (source, seq) = self.random.source();
                out.fill(&self.syn, source, seq);
            }
        }
        self.seen = 0;
    }

    #[inline]
    fn sweep(&mut self, out: &mut Outbox, now: u64) {
        self.inner.sweep(out, now);
        if !self.on {
            out.empty();
        }
    }

    fn set_pace(&mut self, pace: Option<Pace>) {
        self.on = pace.is_some() && !self.calm;
        if self.on {
            self.began = tsc();
        }
        self.inner.set_pace(pace);
    }

    fn ready(&self) -> bool {
        self.inner.ready()
    }

    fn outstanding(&self) -> u64 {
        self.inner.outstanding()
    }

    fn end(&mut self, out: &mut Outbox) -> bool {
        self.inner.end(out)
    }

    fn tally(&mut self) -> &mut Tally {
        self.inner.tally()
    }
}

/// Xorshift: every 64 bits but zero, in an order nobody recognises without looking.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An address that a packet may come from and that no client has, a port, and a sequence number.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn source(&mut self) -> ((u32, u16), u32) {
        loop {
            let (address, rest) = ((self.next() >> 16) as u32, self.next());
            // The network of the link is in 10.0.0.0/8.
            if (1..224).contains(&(address >> 24)) && !matches!(address >> 24, 10 | 127) {
                return ((address, (rest >> 48) as u16 | 1), rest as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_unicast_and_nobodys() {
        let mut random = Random(1);
        let sources: Vec<_> = (0..10_000).map(|_| random.source().0).collect();
        for (address, port) in &sources {
            let first = address >> 24;
            assert!((1..224).contains(&first) && first != 127 && !is_client(*address) && *port > 0);
        }
        let distinct: std::collections::BTreeSet<_> = sources.iter().collect();
        assert!(distinct.len() > 9_990, "{}", distinct.len());
    }
}
