//! The servers behind the appliance: the generator's other role. They take TCP connections, answer every request with the
//! fixed answer or send without end, echo datagrams, and say where they are.
//!
//! Invariant: what arrives is compared byte for byte and its checksums are verified. Nothing is received while there is no
//! room for what it may cause, so nothing is lost here; what the appliance lost is made again.

mod answers;
mod arp;
mod peer;
mod place;
mod shortcut;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use answers::Play;
pub(crate) use place::{FIRST_SOURCE, SERVERS, SOURCES, server};
pub(crate) use shortcut::Shortcut;

use crate::link::{Burst, Link};
use crate::outbox::Outbox;
use crate::template::Ends;
use crate::wire::{self, Packet, Segment};
use answers::Answers;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::mempool::Mempool;
use dpdk_ffi::queue::BURST;
use peer::{Peer, State, Step};
use stream::Streams;

/// Packets that one received packet causes at most: a request may complete one and hold others.
const MOST_ANSWERS: usize = 4;
/// How far apart the first sequence numbers of two connections are.
const ISN_STEP: u32 = 64 * 1024;

/// What the servers counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    /// Connections taken (or, of datagrams, echoes), by server.
    pub(crate) taken: [u64; SERVERS as usize],
    /// Requests answered.
    pub(crate) served: u64,
    /// Requests that were not what the client had sent.
    pub(crate) wrong: u64,
    /// New connections from an address and port whose last one was not over.
    pub(crate) clashes: u64,
    /// Segments that came again or out of order.
    pub(crate) repeated: u64,
    /// Connections the appliance reset.
    pub(crate) reset: u64,
    /// Packets that made no sense: bad checksum, not for us, or of no connection.
    pub(crate) stray: u64,
}

/// The servers.
pub(crate) struct Servers {
    answers: Answers,
    peers: Vec<Peer>,
    streams: Streams,
    isn: u32,
    out: Outbox,
    counts: Counts,
}

impl Servers {
    /// Servers that do nothing but `play`; `hz` is the rate of the clock.
    pub(crate) fn new(pool: Mempool, play: &Play, hz: u64) -> Self {
        let peers = if play.is_tcp() { place::PLACES as usize } else { 0 };
        Self {
            answers: Answers::new(play),
            peers: vec![Peer::default(); peers],
            streams: Streams::new(hz),
            isn: 1,
            out: Outbox::new(pool),
            counts: Counts::default(),
        }
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts { repeated: self.counts.repeated + self.streams.repeated, ..self.counts }
    }

    /// One turn on their link; returns how many packets moved.
    #[inline]
    pub(crate) fn turn(&mut self, link: &mut impl Link, now: u64) -> u64 {
        let mut burst = Burst::new();
        if self.out.takes(BURST * MOST_ANSWERS) {
            link.receive(&mut burst);
        }
        let received = burst.len() as u64;
        if self.answers.echoes {
            for mbuf in burst.drain(..) {
                self.pass(mbuf);
            }
        } else {
            for mbuf in &burst {
                self.packet(mbuf, now);
            }
            Mbuf::free_bulk(&mut burst);
            self.streams.send(&mut self.peers, &self.answers, &mut self.out, now);
        }
        received + self.out.flush(link)
    }

    /// Sends a datagram back where it came from, in its own buffer; or answers it otherwise.
    #[inline]
    fn pass(&mut self, mut mbuf: Mbuf) {
        let port = self.answers.port;
        let read = wire::read(mbuf.data(), true, |from, to| place::place(&Ends { from, to }, port));
        if let Some(Packet::Udp(place, _)) = read {
            self.counts.taken[place::server_of(place)] += 1;
            wire::turn_round(mbuf.data_mut());
            self.out.pass(mbuf);
        } else {
            self.other(&mbuf);
        }
    }

    #[inline]
    fn packet(&mut self, mbuf: &Mbuf, now: u64) {
        let (port, verify) = (self.answers.port, !self.answers.is_endless());
        let read = wire::read(mbuf.data(), verify, |from, to| place::place(&Ends { from, to }, port));
        match read {
            Some(Packet::Tcp(segment)) => self.segment(&segment, now),
            _ => self.other(mbuf),
        }
    }

    /// Neither ours nor nonsense, perhaps.
    #[cold]
    fn other(&mut self, mbuf: &Mbuf) {
        if !arp::is_arp(mbuf.data()) {
            self.counts.stray += 1;
        } else if let Some(answer) = arp::answer(mbuf.data()) {
            self.out.push(|room| arp::write(room, &answer));
        }
    }

    #[inline]
    fn segment(&mut self, segment: &Segment<'_>, now: u64) {
        let (place, answers, out) = (segment.slot, &self.answers, &mut self.out);
        let peer = &mut self.peers[place as usize];
        match peer.receive(segment) {
            Step::Nothing => {}
            Step::Progress { acked, finished } if answers.is_endless() => {
                if acked {
                    self.streams.progress(place, now);
                }
                if finished {
                    self.streams.end(place);
                    answers.finish(out, peer, place);
                } else if !segment.payload.is_empty() {
                    answers.acknowledge(out, peer, place);
                }
            }
            Step::Progress { finished, .. } => match answers.take(out, peer, segment, finished) {
                Some(served) => self.counts.served += served,
                None => {
                    self.counts.wrong += 1;
                    answers.reset(out, place, peer.nxt, peer.rcv);
                    peer.state = State::Free;
                }
            },
            Step::Greet => {
                self.counts.repeated += 1;
                answers.greet(out, peer, place);
            }
            Step::New => self.open(segment, now),
            Step::Repeat => {
                self.counts.repeated += 1;
                answers.repeat(out, peer, place);
            }
            Step::Over => {
                self.counts.reset += u64::from(segment.has(wire::flag::RST));
                self.streams.end(place);
            }
            Step::Farewell => {
                self.counts.repeated += 1;
                let (seq, ack) = (segment.ack, segment.seq.wrapping_add(segment.length()));
                answers.farewell(out, place, seq, ack);
            }
            Step::Stale => {
                self.counts.stray += 1;
                answers.reset(out, place, segment.ack, segment.seq);
            }
        }
    }

    /// A new connection, in the place of whatever was there.
    #[inline]
    fn open(&mut self, syn: &Segment<'_>, now: u64) {
        let place = syn.slot;
        let peer = &mut self.peers[place as usize];
        self.counts.clashes += u64::from(peer.state != State::Free);
        self.isn = self.isn.wrapping_add(ISN_STEP);
        *peer = Peer::greeting(syn, self.isn);
        if self.answers.is_endless() && !self.streams.begin(place, now) {
            peer.state = State::Free;
            self.counts.stray += 1;
            self.answers.refuse(&mut self.out, place, peer.rcv);
            return;
        }
        self.counts.taken[place::server_of(place)] += 1;
        self.answers.greet(&mut self.out, peer, place);
    }
}
