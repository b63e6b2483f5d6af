//! What a worker answers itself, without a flow: ARP, neighbour discovery, echo requests; and reassembly.
//!
//! Invariant: answers go into the packet they answer, so they need no buffer; a packet is answered only where its
//! target is ours, and never to a group.

use crate::drop::DropReason;
use crate::fragment::Outcome;
use crate::frame::{self, Frame, ethertype};
use crate::icmp::{self, Icmp};
use crate::neighbour::arp::{self, ArpPacket};
use crate::neighbour::ndp::{self, Ndp};
use crate::neighbour::{LearnOutcome, Mac, Verdict};
use crate::settings::Steering;
use crate::worker::Worker;
use dpdk_ffi::mbuf::Mbuf;
use l3l4::packet::{self, Headers, Parsed};
use l3l4::{Protocol, RxChecksum, Unreachable};

impl Worker {
    fn port_of(&self, mbuf: &Mbuf) -> usize {
        usize::from(self.port_numbers[usize::from(mbuf.port())])
    }

    /// Sends back the frame at hand with `len` bytes of new payload.
    fn send_back(&mut self, mut mbuf: Mbuf, frame: &Frame, len: usize, to: Mac, kind: u16) -> Option<Mbuf> {
        let port = self.port_of(&mbuf);
        let link = port as u32 | u32::from(frame.vlan) << 16;
        // The payload stays where it is; the old header goes, and one of the right length comes.
        if !mbuf.adj(frame.payload as u16) || !mbuf.set_len(len as u16) {
            self.dropped(DropReason::NoBuffer);
            return Some(mbuf);
        }
        mbuf.clear_offload();
        self.cx.send(mbuf, link, to, kind, None);
        self.cx.counters.delivered += 1;
        None
    }

    /// Carries out what a neighbour message asks for, short of the answer. False where it was dropped.
    fn learn(&mut self, port: usize, vlan: u16, verdict: &Verdict) -> bool {
        if verdict.conflict {
            self.dropped(DropReason::AddressConflict);
            return false;
        }
        if let Some(what) = &verdict.learn {
            let outcome = self.neighbours.apply(port as u16, vlan, what, self.now.micros());
            return verdict.reply || !matches!(outcome, LearnOutcome::Refused(_));
        }
        verdict.reply
    }

    pub(crate) fn arp(&mut self, mut mbuf: Mbuf, frame: &Frame) -> Option<Mbuf> {
        let port = self.port_of(&mbuf);
        let own = self.cx.sides[port].mac;
        let Some(segment) = self.cx.sides[port].segment(frame.vlan) else { return Some(mbuf) };
        let judged = ArpPacket::parse(&mbuf.data()[frame.payload..], frame.source).and_then(|request| {
            let known = self.neighbours.peek(port as u16, frame.vlan, request.target_ip.into());
            Ok((request, request.decide(&segment.owned, own, known)?))
        });
        match judged {
            Ok((request, verdict)) => {
                if !self.learn(port, frame.vlan, &verdict) {
                    if !verdict.conflict {
                        self.dropped(DropReason::ArpOther);
                    }
                } else if verdict.reply {
                    let written = arp::write_reply(&mut mbuf.data_mut()[frame.payload..], own, &request);
                    if let Ok(len) = written {
                        self.cx.counters.neighbour_replies += 1;
                        return self.send_back(mbuf, frame, len, request.sender_mac, ethertype::ARP);
                    }
                    self.dropped(DropReason::NoBuffer);
                } else {
                    self.cx.counters.delivered += 1;
                }
            }
            Err(why) => self.dropped(why.into()),
        }
        Some(mbuf)
    }

    pub(crate) fn ndp(&mut self, mut mbuf: Mbuf, frame: &Frame) -> Option<Mbuf> {
        let port = self.port_of(&mbuf);
        let own = self.cx.sides[port].mac;
        let Some(segment) = self.cx.sides[port].segment(frame.vlan) else { return Some(mbuf) };
        let judged = ndp::parse(&mbuf.data()[frame.payload..], frame.source).and_then(|message| {
            let verdict = match &message {
                Ndp::Solicitation(asked) => {
                    let known = self.neighbours.peek(port as u16, frame.vlan, asked.target);
                    asked.decide(&segment.owned, own, known)?
                }
                Ndp::Advertisement(told) => told.decide(&segment.owned, own)?,
            };
            Ok((message, verdict))
        });
        match judged {
            Ok((message, verdict)) => {
                // The answer may be longer than the question, which need not name its sender.
                let owned = segment.owned.clone();
                if !self.learn(port, frame.vlan, &verdict) {
                    if !verdict.conflict {
                        self.dropped(DropReason::NdpOther);
                    }
                } else if let (true, Ndp::Solicitation(asked)) = (verdict.reply, message) {
                    let fits = mbuf.set_len((frame.payload + ndp::NDP_LEN) as u16);
                    if let (true, Ok(written)) =
                        (fits, ndp::write_reply(&mut mbuf.data_mut()[frame.payload..], own, &owned, &asked))
                    {
                        self.cx.counters.neighbour_replies += 1;
                        return self.send_back(
                            mbuf,
                            frame,
                            written.len,
                            written.destination,
                            ethertype::IPV6,
                        );
                    }
                    self.dropped(DropReason::NoBuffer);
                } else {
                    self.cx.counters.delivered += 1;
                }
            }
            Err(why) => self.dropped(why.into()),
        }
        Some(mbuf)
    }

    pub(crate) fn icmp(&mut self, mut mbuf: Mbuf, frame: &Frame, h: &Headers) -> Option<Mbuf> {
        if !self.is_ours(h) {
            self.dropped(DropReason::IcmpNotOurs);
            return Some(mbuf);
        }
        let port = h.key.port_index();
        let packet = &mut mbuf.data_mut()[frame.payload..];
        match icmp::parse(packet, usize::from(h.l4), h.key.link) {
            Ok(Icmp::EchoRequest) => {}
            Ok(Icmp::Error(_)) => {
                self.dropped(DropReason::IcmpError);
                return Some(mbuf);
            }
            Err(why) => {
                self.dropped(why.into());
                return Some(mbuf);
            }
        }
        let Some(segment) = self.cx.sides[port].segment(frame.vlan) else { return Some(mbuf) };
        match icmp::echo_reply(packet, usize::from(h.l4), &segment.owned) {
            Ok(len) => {
                self.cx.counters.icmp_echoes += 1;
                self.send_back(mbuf, frame, len, frame.source, frame.ethertype)
            }
            Err(why) => {
                self.dropped(why.into());
                Some(mbuf)
            }
        }
    }

    /// Keeps a fragment, and deals with the datagram that it completes.
    pub(crate) fn fragment(&mut self, mbuf: &Mbuf, frame: &Frame, h: &Headers) {
        if !self.is_ours(h) {
            let _ = self.engine.refuse(l3l4::DropReason::NotOurAddress);
            return;
        }
        let (now, link) = (self.now, h.key.link);
        let packet = &mbuf.data()[frame.payload..];
        // Taken out, so that the datagram in it and the rest of the worker can be borrowed at once.
        let Some(mut reassembler) = self.reassembler.take() else {
            let _ = self.engine.refuse(l3l4::DropReason::IpFragment);
            return;
        };
        match reassembler.push(now.micros(), link, packet) {
            Outcome::Complete { packet, fragments } => {
                self.cx.counters.reassembled += 1;
                self.reassembled(packet, frame, link, u64::from(fragments));
            }
            Outcome::Held => {}
            Outcome::Dropped { reason, fragments } => {
                self.drops[DropReason::from(reason).index()] += u64::from(fragments);
            }
        }
        self.reassembler = Some(reassembler);
    }

    /// A datagram put together from `fragments` frames: what becomes of it is counted for each of them.
    fn reassembled(&mut self, packet: &mut [u8], frame: &Frame, link: u32, fragments: u64) {
        // The IP header was made here; the transport checksum is still the sender's.
        let known = RxChecksum { ip_good: true, l4_good: false };
        let outcome = match packet::parse(packet, link, known) {
            Ok(Parsed::Whole(h)) if matches!(h.key.protocol, Protocol::TCP | Protocol::UDP) => {
                if self.hand_over(packet, frame, &h) {
                    // One packet goes on, to be counted where it ends.
                    self.cx.counters.delivered += fragments - 1;
                    return;
                }
                let hash = self.engine.prepare(&h.key);
                self.engine.rx(&mut self.cx, self.now, packet, &h, hash)
            }
            Ok(Parsed::Whole(h)) => {
                self.echo_whole(packet, frame, &h, fragments);
                return;
            }
            Ok(Parsed::Other(h)) => {
                self.engine.answer_unreachable(&mut self.cx, self.now, packet, &h, Unreachable::Protocol);
                self.engine.refuse(l3l4::DropReason::Protocol)
            }
            Ok(Parsed::Fragment(_)) => self.engine.refuse(l3l4::DropReason::IpFragment),
            Err(reason) => self.engine.refuse(reason),
        };
        match outcome {
            Ok(()) => self.cx.counters.delivered += fragments - 1,
            Err(reason) => (1..fragments).for_each(|_| {
                let _ = self.engine.refuse(reason);
            }),
        }
    }

    /// Hands a reassembled packet to the worker that owns its flow, where that is another one and the packet fits
    /// one buffer. (A longer datagram is served where it was put together.)
    fn hand_over(&mut self, packet: &[u8], frame: &Frame, h: &Headers) -> bool {
        let side = &self.cx.sides[h.key.port_index()];
        if side.steering == Steering::Queue {
            return false;
        }
        let owner = self.reta.owner(self.toeplitz.hash(&h.key), self.workers);
        if owner == self.index || !matches!(self.rings.owners.get(usize::from(owner)), Some(Some(_))) {
            return false;
        }
        let mac = side.mac;
        let Some(mut copy) = self.cx.buffer() else { return false };
        let port = self.dpdk_ports[h.key.port_index()];
        let len = packet.len();
        let Some(room) = copy.room_mut().get_mut(..len) else { return false };
        room.copy_from_slice(packet);
        let kind = if h.is_v4() { ethertype::IPV4 } else { ethertype::IPV6 };
        let tagged = frame.vlan != 0;
        let head = if tagged { frame::HEADER + frame::TAG } else { frame::HEADER };
        if !copy.set_len(len as u16) {
            return false;
        }
        let Some(header) = copy.prepend(head as u16) else { return false };
        frame::write(header, mac, frame.source, frame.vlan, kind);
        copy.set_port(port);
        if let Some(Some(outlet)) = self.rings.owners.get_mut(usize::from(owner)) {
            outlet.push(copy);
        }
        true
    }

    /// Answers an echo request that came in fragments, where the answer fits one packet.
    fn echo_whole(&mut self, packet: &mut [u8], frame: &Frame, h: &Headers, fragments: u64) {
        let port = h.key.port_index();
        let owned = self.cx.sides[port].segment(frame.vlan).map(|segment| segment.owned.clone());
        let written = match owned {
            Some(owned) => icmp::parse(packet, usize::from(h.l4), h.key.link)
                .and_then(|_| icmp::echo_reply(packet, usize::from(h.l4), &owned)),
            None => return,
        };
        let fate = match written {
            Ok(len) if len <= usize::from(self.mtus[port]) => match self.cx.buffer() {
                // Every buffer holds the largest MTU.
                Some(mut buffer) => {
                    buffer.room_mut()[..len].copy_from_slice(&packet[..len]);
                    buffer.set_len(len as u16);
                    self.cx.send(buffer, h.key.link, frame.source, frame.ethertype, None);
                    None
                }
                None => Some(DropReason::NoBuffer),
            },
            Ok(_) => Some(DropReason::ReplyTooLong),
            Err(why) => Some(why.into()),
        };
        match fate {
            None => {
                self.cx.counters.icmp_echoes += 1;
                self.cx.counters.delivered += fragments;
            }
            Some(reason) => self.drops[reason.index()] += fragments,
        }
    }
}
