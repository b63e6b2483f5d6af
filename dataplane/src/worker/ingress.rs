//! Packets in: a burst is read in one pass and dealt with in a second.
//!
//! Invariant: every mbuf of a burst is counted once (delivered, dropped under a name, handed to another worker, or
//! held for reassembly) and leaves this module freed, sent or handed over.

use crate::drop::DropReason;
use crate::frame::{self, Frame, ethertype};
use crate::settings::Steering;
use crate::worker::Worker;
use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::{Mbuf, RxChecksum as NicChecksum};
use dpdk_ffi::prefetch::prefetch;
use dpdk_ffi::queue::BURST;
use l3l4::packet::{self, Class, Headers, flags};
use l3l4::{Callbacks, Protocol, RxChecksum, Unreachable, Verdict};

/// A burst of received packets.
pub(crate) type Burst = ArrayVec<Mbuf, BURST>;

/// What one frame turned out to be.
#[derive(Clone, Copy, Default)]
pub(crate) enum Kind {
    /// TCP or UDP.
    Flow,
    /// ICMP or ICMPv6 to this one host.
    Icmp,
    Arp,
    Ndp,
    Fragment,
    /// A protocol that is not served.
    Other,
    /// To be handed to the worker that owns it.
    Steer(u16),
    Drop(DropReason),
    EngineDrop(l3l4::DropReason),
    #[default]
    Unread,
}

/// One frame after the first pass.
#[derive(Clone, Copy, Default)]
pub(crate) struct Job {
    pub(crate) frame: Frame,
    pub(crate) kind: Kind,
    /// Of IP packets.
    pub(crate) headers: Headers,
    /// The flow table's hash, of TCP and UDP.
    pub(crate) hash: u32,
    /// Number of the port it came in on.
    pub(crate) port: usize,
}

/// Places for the jobs of one burst, used again for each.
pub(crate) fn jobs() -> Vec<Job> {
    vec![Job::default(); BURST]
}

/// Where a burst came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A queue of this port.
    Port(usize),
    /// Another worker; so many workers had no flow for these packets.
    Worker { asked: u16 },
}

/// The way to another worker.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// The owner of the flow.
    Owner(u16),
    /// The next one to ask, after so many.
    Next(usize),
}

impl Worker {
    /// Deals with a burst and leaves it empty.
    pub(crate) fn receive(&mut self, burst: &mut Burst, origin: Origin) {
        if let Origin::Port(port) = origin {
            let counters = &mut self.cx.ports[port];
            counters.rx_packets += burst.len() as u64;
            counters.rx_bytes += burst.iter().map(|mbuf| u64::from(mbuf.pkt_len())).sum::<u64>();
        }
        if self.cx.observer.follower.is_some() {
            match origin {
                Origin::Port(port) if self.cx.sides[port].mirror => return self.follow(burst, origin),
                Origin::Port(_) => {}
                Origin::Worker { .. } => self.follow_some(burst),
            }
        }
        // Taken out, so that the jobs and the rest of the worker can be borrowed at once.
        let mut jobs = std::mem::take(&mut self.jobs);
        for (mbuf, job) in burst.iter_mut().zip(&mut jobs) {
            job.port = match origin {
                Origin::Port(port) => port,
                Origin::Worker { .. } => usize::from(mbuf.port()),
            };
            job.kind = self.read(mbuf, origin, job);
        }
        let mut done: Burst = ArrayVec::new();
        for (mbuf, job) in burst.drain(..).zip(&jobs) {
            if let Some(mbuf) = self.deal(mbuf, job, origin) {
                done.push(mbuf);
            }
        }
        self.jobs = jobs;
        Mbuf::free_bulk(&mut done);
        self.flush_rings();
    }

    /// Sends what was handed on.
    pub(crate) fn flush_rings(&mut self) {
        for outlet in self.rings.owners.iter_mut().flatten().chain(&mut self.rings.next) {
            let (sent, refused) = outlet.flush();
            self.cx.counters.steered_out += sent;
            self.drops[DropReason::SteerFull.index()] += refused;
        }
    }

    /// First pass: what is this, whose is it, where in the flow table would it be?
    #[inline]
    fn read(&self, mbuf: &mut Mbuf, origin: Origin, job: &mut Job) -> Kind {
        if !mbuf.is_contiguous() && !mbuf.linearize() {
            return Kind::Drop(DropReason::NotContiguous);
        }
        let bytes = mbuf.data();
        match frame::parse(bytes, mbuf.vlan_stripped()) {
            Ok(frame) => job.frame = frame,
            Err(reason) => return Kind::Drop(reason),
        }
        let Job { port, frame, headers: h, .. } = job;
        let (port, side) = (*port, &self.cx.sides[*port]);
        let group = frame.destination.0[0] & 1 != 0;
        if !group && frame.destination != side.mac {
            return Kind::Drop(DropReason::NotOurMac);
        }
        if side.segment(frame.vlan).is_none() {
            return Kind::Drop(DropReason::VlanUnknown);
        }
        let packet = &bytes[frame.payload..];
        let version = match frame.ethertype {
            ethertype::IPV4 => 4,
            ethertype::IPV6 if is_ndp(packet) => return Kind::Ndp,
            ethertype::IPV6 => 6,
            ethertype::ARP => return Kind::Arp,
            _ => return Kind::Drop(DropReason::EtherType),
        };
        if group {
            return Kind::Drop(DropReason::Broadcast);
        }
        if packet.first().is_some_and(|first| first >> 4 != version) {
            return Kind::EngineDrop(l3l4::DropReason::IpVersion);
        }
        let link = port as u32 | u32::from(frame.vlan) << 16;
        match packet::read(packet, link, verified(mbuf), h) {
            Ok(Class::Whole) if matches!(h.key.protocol, Protocol::TCP | Protocol::UDP) => {
                if let Some(other) = self.owner(port, origin, h) {
                    return Kind::Steer(other);
                }
                job.hash = self.engine.prepare(&h.key);
                prefetch(self.engine.place(job.hash));
                Kind::Flow
            }
            Ok(Class::Whole) => Kind::Icmp,
            Ok(Class::Fragment) => match self.owner_by_address(port, origin, h) {
                Some(other) => Kind::Steer(other),
                None => Kind::Fragment,
            },
            Ok(Class::Other) => Kind::Other,
            Err(reason) => Kind::EngineDrop(reason),
        }
    }

    /// The other worker that owns this flow, where packets have to be steered in software.
    #[inline]
    pub(crate) fn owner(&self, port: usize, origin: Origin, h: &Headers) -> Option<u16> {
        if self.cx.sides[port].steering != Steering::Software || origin != Origin::Port(port) {
            return None;
        }
        let owner = self.reta.owner(self.toeplitz.hash(&h.key), self.workers);
        (owner != self.index).then_some(owner)
    }

    /// The same for fragments, which do not all tell their ports: those of one datagram meet somewhere.
    #[cold]
    fn owner_by_address(&self, port: usize, origin: Origin, h: &Headers) -> Option<u16> {
        if self.cx.sides[port].steering != Steering::Software || origin != Origin::Port(port) {
            return None;
        }
        let hash = self.toeplitz.hash_addresses(h.key.remote, h.key.local);
        let owner = self.reta.owner(hash, self.workers);
        (owner != self.index).then_some(owner)
    }

    /// Second pass: acts on one frame; gives the mbuf back where it has served and is to be freed.
    #[inline(always)]
    fn deal(&mut self, mut mbuf: Mbuf, job: &Job, origin: Origin) -> Option<Mbuf> {
        self.cx.sender = job.frame.source;
        let h = &job.headers;
        match job.kind {
            Kind::Flow => {
                if self.cx.may_loop(&h.key) {
                    self.dropped(DropReason::UdpLoopPort);
                    return Some(mbuf);
                }
                if let Some(asked) = self.ask_next(h, job.hash, origin) {
                    self.hand_on(mbuf, Way::Next(asked), job.port);
                    return None;
                }
                let packet = &mut mbuf.data_mut()[job.frame.payload..];
                // Counted by the engine, whatever comes of it.
                let outcome = self.engine.rx(&mut self.cx, self.now, packet, h, job.hash);
                if outcome.is_err() {
                    self.note_stray(h, outcome);
                }
                if self.cx.proxies.has_todo() {
                    self.proxy_todo();
                }
            }
            Kind::Icmp => return self.icmp(mbuf, job, origin),
            Kind::Arp => return self.arp(mbuf, job),
            Kind::Ndp => return self.ndp(mbuf, job),
            Kind::Fragment => self.fragment(&mbuf, &job.frame, h),
            Kind::Other => {
                if self.is_ours(h) {
                    let packet = &mbuf.data()[job.frame.payload..];
                    self.engine.answer_unreachable(&mut self.cx, self.now, packet, h, Unreachable::Protocol);
                }
                let _ = self.engine.refuse(l3l4::DropReason::Protocol);
            }
            Kind::Steer(owner) => {
                self.hand_on(mbuf, Way::Owner(owner), job.port);
                return None;
            }
            Kind::Drop(reason) => self.dropped(reason),
            Kind::Unread => {}
            Kind::EngineDrop(reason) => {
                let _ = self.engine.refuse(reason);
            }
        }
        Some(mbuf)
    }

    /// Hands a packet to another worker at the end of the burst.
    pub(crate) fn hand_on(&mut self, mbuf: Mbuf, way: Way, port: usize) {
        let outlet = match way {
            Way::Owner(owner) => self.rings.owners.get_mut(usize::from(owner)).and_then(Option::as_mut),
            Way::Next(asked) => {
                self.cx.counters.passed_on += 1;
                self.rings.next.get_mut(asked)
            }
        };
        if !outlet.is_some_and(|outlet| outlet.push(mbuf, port)) {
            self.dropped(DropReason::SteerFull);
        }
    }

    /// Whether the next worker is to be asked for this packet's flow, and how many have been asked before: the port
    /// spreads flows as it likes, and under pressure may put a packet into another queue than its flow's.
    #[inline(always)]
    pub(crate) fn ask_next(&mut self, h: &Headers, hash: u32, origin: Origin) -> Option<usize> {
        if self.rings.next.is_empty() { None } else { self.next_to_ask(h, hash, origin) }
    }

    fn next_to_ask(&mut self, h: &Headers, hash: u32, origin: Origin) -> Option<usize> {
        let crossing = self.cx.proxies.crossing();
        let asked = match origin {
            // Its hash has brought it here, but the other leg of its session may live elsewhere.
            Origin::Worker { asked: u16::MAX } if crossing => 0,
            Origin::Worker { asked } => usize::from(asked),
            Origin::Port(_) => 0,
        };
        let spread = self.cx.sides[h.key.port_index()].steering == Steering::Queue;
        let may_be_lost = match h.key.protocol {
            Protocol::TCP => (crossing || spread) && h.flags & (flags::SYN | flags::ACK) != flags::SYN,
            // A datagram that a service takes opens a flow where it arrives.
            _ => crossing && matches!(self.cx.l4_verdict(&h.key), Verdict::NotOurs | Verdict::NoService),
        };
        let lost = may_be_lost && asked < self.rings.next.len() && !self.engine.contains(&h.key, hash);
        lost.then_some(asked)
    }

    /// Counts an answer to a connection of ours that met no flow: it came too late, or to the wrong worker. A server
    /// hears that nothing is there any more.
    #[cold]
    fn note_stray(&mut self, h: &Headers, outcome: Result<(), l3l4::DropReason>) {
        let answer =
            h.key.protocol == Protocol::TCP && h.flags & (flags::SYN | flags::ACK) == flags::SYN | flags::ACK;
        let nowhere = matches!(
            outcome,
            Err(l3l4::DropReason::TcpNoFlow
                | l3l4::DropReason::NoService
                | l3l4::DropReason::NotOurAddress
                | l3l4::DropReason::ServiceReject
                | l3l4::DropReason::ServiceDrop)
        );
        self.cx.counters.stray_answers += u64::from(answer && nowhere);
        let syn = h.flags & (flags::SYN | flags::ACK) == flags::SYN;
        if outcome == Err(l3l4::DropReason::NoService) && !syn && self.cx.proxies.goes_to(&h.key) {
            // Of a leg that is gone: else its server would send it again and again.
            self.engine.answer_stray(&mut self.cx, self.now, h);
        }
    }

    /// Whether a packet's destination is ours.
    pub(crate) fn is_ours(&self, h: &Headers) -> bool {
        let side = &self.cx.sides[h.key.port_index()];
        side.segment(h.key.vlan()).is_some_and(|segment| segment.takes(h.key.local))
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) {
        self.drops[reason.index()] += 1;
    }
}

/// What the NIC has verified. A bad or unknown checksum is computed anew: some NICs call an absent one bad.
#[inline]
pub(crate) fn verified(mbuf: &Mbuf) -> RxChecksum {
    let good = |sum| matches!(sum, NicChecksum::Good | NicChecksum::None);
    RxChecksum {
        ip_good: mbuf.rx_ip_checksum() == NicChecksum::Good,
        l4_good: good(mbuf.rx_l4_checksum()),
        ..RxChecksum::default()
    }
}

/// Whether an IP packet is a neighbour discovery message (types 133 to 137 right behind the IPv6 header). They go
/// to groups, so they are taken off the path before addresses are judged.
#[inline]
fn is_ndp(packet: &[u8]) -> bool {
    packet.len() > 40
        && packet[0] >> 4 == 6
        && packet[6] == Protocol::ICMPV6.0
        && (133..=137).contains(&packet[40])
}
