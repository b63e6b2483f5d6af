//! What a worker answers itself, without a flow: ARP, neighbour discovery, echo requests; and reassembly.
//!
//! Invariant: answers go into the packet they answer, so they need no buffer; a packet is answered only where its
//! target is ours, and never to a group.

use crate::drop::DropReason;
use crate::fragment::Outcome;
use crate::frame::{self, Frame, ethertype};
use crate::icmp::{self, Icmp, IcmpDrop};
use crate::neighbour::arp::{self, ArpPacket};
use crate::neighbour::ndp::{self, Ndp, Solicitation, Written};
use crate::neighbour::{LearnOutcome, Mac, Verdict};
use crate::settings::Steering;
use crate::worker::Worker;
use crate::worker::ingress::{Job, Origin, Way};
use dpdk_ffi::mbuf::Mbuf;
use l3l4::packet::{self, Headers, Parsed, flags};
use l3l4::{PathMtu, Protocol, RxChecksum, TooBig, Unreachable};

/// Where a reassembled packet is dealt with.
enum Place {
    Here,
    /// Handed to another worker.
    Gone,
    /// It belongs to another worker, and no buffer takes it there.
    Nowhere,
}

impl Worker {
    /// Sends back the frame at hand, by the link it came in on, with `len` bytes of new payload.
    fn send_back(
        &mut self,
        mut mbuf: Mbuf,
        frame: &Frame,
        link: u32,
        len: usize,
        to: Mac,
        kind: u16,
    ) -> Option<Mbuf> {
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

    pub(crate) fn arp(&mut self, mut mbuf: Mbuf, job: &Job) -> Option<Mbuf> {
        let Job { frame, port, .. } = job;
        let port = *port;
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
                        let to = request.sender_mac;
                        return self.send_back(mbuf, frame, link_of(port, frame), len, to, ethertype::ARP);
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

    pub(crate) fn ndp(&mut self, mbuf: Mbuf, job: &Job) -> Option<Mbuf> {
        let Job { frame, port, .. } = job;
        let port = *port;
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
                if !self.learn(port, frame.vlan, &verdict) {
                    if !verdict.conflict {
                        self.dropped(DropReason::NdpOther);
                    }
                } else if let (true, Ndp::Solicitation(asked)) = (verdict.reply, message) {
                    return self.advertise(mbuf, job, &asked);
                } else {
                    self.cx.counters.delivered += 1;
                }
            }
            Err(why) => self.dropped(why.into()),
        }
        Some(mbuf)
    }

    /// Answers a solicitation in its own packet.
    fn advertise(&mut self, mut mbuf: Mbuf, job: &Job, asked: &Solicitation) -> Option<Mbuf> {
        let (frame, side) = (&job.frame, &self.cx.sides[job.port]);
        // The answer may be longer than the question, which need not name its sender.
        let fits = mbuf.set_len((frame.payload + ndp::NDP_LEN) as u16);
        let written = side.segment(frame.vlan).filter(|_| fits).and_then(|segment| {
            let packet = &mut mbuf.data_mut()[frame.payload..];
            ndp::write_reply(packet, side.mac, &segment.owned, asked).ok()
        });
        let Some(Written { len, destination }) = written else {
            self.dropped(DropReason::NoBuffer);
            return Some(mbuf);
        };
        self.cx.counters.neighbour_replies += 1;
        self.send_back(mbuf, frame, link_of(job.port, frame), len, destination, ethertype::IPV6)
    }

    pub(crate) fn icmp(&mut self, mut mbuf: Mbuf, job: &Job, origin: Origin) -> Option<Mbuf> {
        let Job { frame, headers: h, .. } = job;
        if !self.is_ours(h) {
            self.dropped(DropReason::IcmpNotOurs);
            return Some(mbuf);
        }
        let port = h.key.port_index();
        let packet = &mut mbuf.data_mut()[frame.payload..];
        match icmp::parse(packet, usize::from(h.l4), h.key.link) {
            Ok(Icmp::EchoRequest) => {}
            Ok(Icmp::Error(error)) => match error.too_big() {
                Some(too_big) => return self.too_big(mbuf, job, origin, &too_big),
                None => {
                    self.dropped(DropReason::IcmpError);
                    return Some(mbuf);
                }
            },
            Err(why) => {
                self.dropped(why.into());
                return Some(mbuf);
            }
        }
        let Some(segment) = self.cx.sides[port].segment(frame.vlan) else { return Some(mbuf) };
        match icmp::echo_reply(packet, usize::from(h.l4), &segment.owned) {
            Ok(len) => {
                self.cx.counters.icmp_echoes += 1;
                self.send_back(mbuf, frame, h.key.link, len, frame.source, frame.ethertype)
            }
            Err(why) => {
                self.dropped(why.into());
                Some(mbuf)
            }
        }
    }

    /// An error about a segment that was too big goes to the worker that has the connection: where ports spread packets
    /// by their own addresses, it need not have come there.
    fn too_big(&mut self, mbuf: Mbuf, job: &Job, origin: Origin, error: &TooBig) -> Option<Mbuf> {
        let quoted = Headers { key: error.key, flags: flags::ACK, ..Headers::default() };
        let hash = self.engine.prepare(&error.key);
        let asked = self.ask_next(&quoted, hash, origin).map(Way::Next);
        if let Some(way) = asked.or_else(|| self.owner(job.port, origin, &quoted).map(Way::Owner)) {
            self.hand_on(mbuf, way, job.port);
            return None;
        }
        if self.engine.path_mtu(&mut self.cx, self.now, error) == PathMtu::Lowered {
            self.cx.counters.delivered += 1;
        } else {
            self.dropped(DropReason::IcmpError);
        }
        Some(mbuf)
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
        let known = RxChecksum { ip_good: true, ..RxChecksum::default() };
        let outcome = match packet::parse(packet, link, known) {
            Ok(Parsed::Whole(h)) if matches!(h.key.protocol, Protocol::TCP | Protocol::UDP) => {
                let hash = self.engine.prepare(&h.key);
                if self.cx.may_loop(&h.key) {
                    self.drops[DropReason::UdpLoopPort.index()] += fragments;
                    return;
                }
                match self.hand_over(packet, frame, &h, hash) {
                    Place::Here => {
                        let outcome = self.engine.rx(&mut self.cx, self.now, packet, &h, hash);
                        if self.cx.proxies.has_todo() {
                            self.proxy_todo();
                        }
                        outcome
                    }
                    Place::Gone => {
                        // One packet goes on, to be counted where it ends.
                        self.cx.counters.delivered += fragments - 1;
                        return;
                    }
                    Place::Nowhere => {
                        self.drops[DropReason::NoBuffer.index()] += fragments;
                        return;
                    }
                }
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

    /// Hands a reassembled packet to the worker that owns its flow, or may, where that is another one. A datagram
    /// longer than one buffer is served where it was put together; a segment must not meet another worker's RST.
    fn hand_over(&mut self, packet: &[u8], frame: &Frame, h: &Headers, hash: u32) -> Place {
        let port = h.key.port_index();
        let way = if self.cx.sides[port].steering == Steering::Queue {
            self.ask_next(h, hash, Origin::Port(port)).map(Way::Next)
        } else {
            let owner = self.reta.owner(self.toeplitz.hash(&h.key), self.workers);
            (owner != self.index).then_some(Way::Owner(owner))
        };
        let Some(way) = way else { return Place::Here };
        match self.framed(packet, frame, h) {
            Some(copy) => {
                self.hand_on(copy, way, port);
                Place::Gone
            }
            None if h.key.protocol == Protocol::UDP => Place::Here,
            None => Place::Nowhere,
        }
    }

    /// A packet in a buffer of its own, behind the header of the frame its last part came in.
    fn framed(&mut self, packet: &[u8], frame: &Frame, h: &Headers) -> Option<Mbuf> {
        let mut copy = self.cx.buffer()?;
        copy.room_mut().get_mut(..packet.len())?.copy_from_slice(packet);
        if !copy.set_len(packet.len() as u16) {
            return None;
        }
        let kind = if h.is_v4() { ethertype::IPV4 } else { ethertype::IPV6 };
        let head = if frame.vlan != 0 { frame::HEADER + frame::TAG } else { frame::HEADER };
        frame::write(copy.prepend(head as u16)?, frame.destination, frame.source, frame.vlan, kind);
        Some(copy)
    }

    /// Answers an echo request that came in fragments, where the answer fits one packet.
    fn echo_whole(&mut self, packet: &mut [u8], frame: &Frame, h: &Headers, fragments: u64) {
        let port = h.key.port_index();
        let segment = self.cx.sides[port].segment(frame.vlan);
        let written = match (icmp::parse(packet, usize::from(h.l4), h.key.link), segment) {
            (Ok(Icmp::EchoRequest), Some(segment)) => {
                icmp::echo_reply(packet, usize::from(h.l4), &segment.owned)
            }
            (Ok(_), _) => Err(IcmpDrop::NotOurs),
            (Err(why), _) => Err(why),
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

/// The link of a frame: port and VLAN.
fn link_of(port: usize, frame: &Frame) -> u32 {
    port as u32 | u32::from(frame.vlan) << 16
}
