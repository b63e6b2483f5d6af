//! What servers say: every segment made beforehand but for its ends and its sequence numbers.
//!
//! Invariant: a request is answered once it is there whole, and not before.

use super::peer::{Peer, State};
use super::place;
use crate::outbox::Outbox;
use crate::template::Template;
use crate::wire::{MSS, Segment, flag};

/// What servers are for.
#[derive(Debug, Clone)]
pub(crate) enum Play {
    /// Answer each `request` on `port` with `answer`, and be done then if told to.
    Http { port: u16, request: Vec<u8>, answer: Vec<u8>, closes: bool },
    /// Send `pattern`, which begins again after `period` bytes, without end.
    Endless { port: u16, pattern: Vec<u8>, period: u16 },
    /// Send datagrams back.
    Echo { port: u16 },
}

impl Play {
    pub(super) fn is_tcp(&self) -> bool {
        !matches!(self, Self::Echo { .. })
    }
}

/// The segments of a play.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) port: u16,
    pub(super) echoes: bool,
    request: Vec<u8>,
    closes: bool,
    answer: Template,
    /// Of an endless one: full segments, each beginning where the one before it ends, around to the first.
    pub(super) segments: Vec<Template>,
    syn_ack: Template,
    ack: Template,
    fin: Template,
    rst: Template,
}

impl Answers {
    pub(super) fn new(play: &Play) -> Self {
        let (port, request, answer, closes, segments, echoes) = match play {
            Play::Http { port, request, answer, closes } => {
                (*port, request.clone(), answer.as_slice(), *closes, Vec::new(), false)
            }
            Play::Endless { port, pattern, period } => {
                (*port, Vec::new(), &[][..], false, endless(pattern, *period), false)
            }
            Play::Echo { port } => (*port, Vec::new(), &[][..], false, Vec::new(), true),
        };
        let last = if closes { flag::FIN } else { 0 };
        Self {
            port,
            echoes,
            request,
            closes,
            answer: Template::upstream(flag::ACK | flag::PSH | last, answer),
            segments,
            syn_ack: Template::upstream(flag::SYN | flag::ACK, b""),
            ack: Template::upstream(flag::ACK, b""),
            fin: Template::upstream(flag::ACK | flag::FIN, b""),
            rst: Template::upstream(flag::ACK | flag::RST, b""),
        }
    }

    pub(super) fn is_endless(&self) -> bool {
        !self.segments.is_empty()
    }

    #[inline]
    pub(super) fn say(&self, out: &mut Outbox, template: &Template, place: u32, seq: u32, ack: u32) {
        let ends = place::ends(place, self.port);
        out.push(|room| template.write_between(room, &ends, seq, ack));
    }

    #[inline]
    pub(super) fn greet(&self, out: &mut Outbox, peer: &Peer, place: u32) {
        self.say(out, &self.syn_ack, place, peer.una, peer.rcv);
    }

    #[inline]
    pub(super) fn acknowledge(&self, out: &mut Outbox, peer: &Peer, place: u32) {
        self.say(out, &self.ack, place, peer.nxt, peer.rcv);
    }

    /// Takes in what a segment brings of requests, and answers those that are complete; returns how many, none when they
    /// are not what they must be.
    #[inline]
    pub(super) fn take(
        &self,
        out: &mut Outbox,
        peer: &mut Peer,
        segment: &Segment<'_>,
        finished: bool,
    ) -> Option<u64> {
        let (place, mut rest, mut served) = (segment.slot, segment.payload, 0);
        while !rest.is_empty() {
            // Behind the last request nothing may come.
            let wanted = self.request.get(usize::from(peer.got)..).filter(|_| peer.state == State::Open)?;
            let n = rest.len().min(wanted.len());
            if rest[..n] != wanted[..n] {
                return None;
            }
            rest = &rest[n..];
            #[allow(clippy::cast_possible_truncation, reason = "shorter than a frame")]
            let n = n as u16;
            peer.got += n;
            if usize::from(peer.got) == self.request.len() {
                peer.got = 0;
                served += 1;
                self.say(out, &self.answer, place, peer.nxt, peer.rcv);
                peer.nxt = peer.nxt.wrapping_add(self.answered());
                if self.closes {
                    peer.ending(false);
                }
            }
        }
        if finished {
            self.finish(out, peer, place);
        } else if served == 0 && !segment.payload.is_empty() {
            self.acknowledge(out, peer, place);
        }
        Some(served)
    }

    /// The peer is done: so are we.
    #[inline]
    pub(super) fn finish(&self, out: &mut Outbox, peer: &mut Peer, place: u32) {
        if peer.state == State::Said {
            self.acknowledge(out, peer, place);
        } else {
            self.say(out, &self.fin, place, peer.nxt, peer.rcv);
            peer.nxt = peer.nxt.wrapping_add(1);
        }
        peer.ending(true);
    }

    /// Says again what was not acknowledged, where that is the answer or the FIN; else, what we have.
    #[cold]
    pub(super) fn repeat(&self, out: &mut Outbox, peer: &Peer, place: u32) {
        if peer.state == State::Greeted {
            self.greet(out, peer, place);
        } else if peer.in_flight() == self.answered() && !self.is_endless() {
            self.say(out, &self.answer, place, peer.una, peer.rcv);
        } else if peer.state == State::LastAck && peer.in_flight() == 1 {
            self.say(out, &self.fin, place, peer.una, peer.rcv);
        } else {
            self.acknowledge(out, peer, place);
        }
    }

    #[cold]
    pub(super) fn farewell(&self, out: &mut Outbox, place: u32, seq: u32, ack: u32) {
        self.say(out, &self.ack, place, seq, ack);
    }

    #[cold]
    pub(super) fn reset(&self, out: &mut Outbox, place: u32, seq: u32, ack: u32) {
        self.say(out, &self.rst, place, seq, ack);
    }

    /// Resets a connection whose SYN asks for it.
    #[cold]
    pub(super) fn refuse(&self, out: &mut Outbox, place: u32, ack: u32) {
        self.reset(out, place, 0, ack);
    }

    /// What an answer takes of the sequence space.
    fn answered(&self) -> u32 {
        self.answer.payload() + u32::from(self.closes)
    }
}

/// The segments of an endless answer: as many as it takes until one would begin where the first does.
fn endless(pattern: &[u8], period: u16) -> Vec<Template> {
    let around: Vec<u8> = pattern.iter().copied().take(usize::from(period)).collect();
    let mut segments = Vec::new();
    let mut at = 0;
    loop {
        let payload: Vec<u8> = around.iter().cycle().skip(at).take(usize::from(MSS)).copied().collect();
        segments.push(Template::upstream(flag::ACK | flag::PSH, &payload));
        at = (at + usize::from(MSS)) % around.len();
        if at == 0 {
            return segments;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segments_of_an_endless_answer_go_around() {
        assert_eq!(endless(b"0123456789", 10).len(), 1);
        // 1,460 and 7,030 have the factor 10 in common.
        assert_eq!(endless(&[b'x'; 7030], 7030).len(), 703);
        let segments = endless(&(0..=6).collect::<Vec<u8>>(), 7);
        assert_eq!(segments.len(), 7);
        let mut room = [0; 1600];
        for (n, segment) in segments.iter().enumerate() {
            let ends = place::ends(0, 19);
            let length = usize::from(segment.write_between(&mut room, &ends, 1, 2));
            let expected = (0..1460).map(|byte| ((n * 1460 + byte) % 7) as u8);
            assert!(room[54..length].iter().copied().eq(expected), "{n}");
        }
    }
}
