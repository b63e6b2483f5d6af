//! A connection begins: with a SYN and a stack in SYN-RECEIVED, or under pressure with a cookie and nothing at all.
//!
//! Invariant: what is remembered of connections that are not established is bounded by `Limits::half_open`, and by
//! `Limits::half_open_per_source` for each source.

use super::direct::SHORTEST_RTO;
use super::sleep::{Ended, NO_STACK};
use super::user::FlowError;
use super::{L3l4, recover};
use crate::builder::SynCookies;
use crate::callbacks::{Callbacks, Verdict as Admission};
use crate::compose::Segment;
use crate::cookie::{EPOCH, Offer};
use crate::device::{Core, OnePacket};
use crate::drop::DropReason;
use crate::extension;
use crate::flow::{self, seq_lt};
use crate::isn;
use crate::key::{FlowId, Protocol};
use crate::packet::{Headers, flags};
use crate::record::{Kind, note, option};
use crate::recovery::window_shift;
use crate::reply;
use crate::slots::socket;
use crate::time::Instant;
use smoltcp::iface::{Config, Interface};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{HardwareAddress, IpListenEndpoint};

impl<B> L3l4<B> {
    /// A segment that belongs to no flow. Where an ACK opens a connection by its cookie, the stack comes back that it
    /// is to be fed to.
    pub(super) fn tcp_new<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        h: &Headers,
        hash: u32,
        floor: Option<u32>,
    ) -> Result<Option<u32>, DropReason> {
        if h.flags & flags::RST != 0 {
            return Err(DropReason::TcpRst);
        }
        let syn = h.flags & (flags::SYN | flags::ACK) == flags::SYN;
        let (user, hold) = match (cb.l4_verdict(&h.key), syn) {
            (Admission::Accept(user), true) => (user, false),
            (Admission::Hold(user), true) => (user, true),
            (Admission::Hold(_), false) => {
                self.answer_rst(cb, now, h);
                return Err(DropReason::TcpNoFlow);
            }
            (Admission::Accept(user), false) => {
                if let Some(offer) = self.cookie_of(h, now) {
                    return self.open_by_cookie(cb, now, packet, h, hash, (user, offer));
                }
                self.answer_rst(cb, now, h);
                return Err(DropReason::TcpNoFlow);
            }
            (Admission::Reject, _) => {
                self.answer_rst(cb, now, h);
                return Err(DropReason::ServiceReject);
            }
            (Admission::Drop, _) => return Err(DropReason::ServiceDrop),
            (Admission::NoService, _) => return Err(DropReason::NoService),
            (Admission::NotOurs, _) => return Err(DropReason::NotOurAddress),
        };
        if !self.accepting {
            self.answer_rst(cb, now, h);
            return Err(DropReason::Draining);
        }
        if h.mss.is_some_and(|mss| mss < self.min_mss) {
            return Err(DropReason::TcpTinyMss);
        }
        let pressed = self.half_open >= self.cookies_from || self.sources.is_full(&h.key);
        if pressed && !hold && self.syn_cookies != SynCookies::Off {
            return self.answer_by_cookie(cb, now, h).map(|()| None);
        }
        if pressed || self.half_open >= self.limits.half_open {
            return Err(DropReason::HalfOpenLimit);
        }
        if self.direct || hold {
            return self.open_direct(cb, now, h, hash, (user, hold), floor).map(|()| None);
        }
        // A record without a stack, until there is one.
        let index = self.make(&h.key, hash, Kind::TimeWait, now)?;
        let Some(stack) = self.enliven(index) else {
            self.unmake(index);
            return Err(NO_STACK);
        };
        let isn = self.number(h, now, floor);
        self.half_open += 1;
        self.sources.enter(&h.key);
        let path = self.note_offer(h, index, user);
        if let Some(mtu) = path {
            self.narrow(stack, mtu);
        }
        let record = &self.records[index as usize];
        let flow = &mut self.flows[stack as usize];
        let mtu = path.map_or(self.links[h.key.port_index()].mtu, usize::from);
        recover::prepare(&mut flow.sender, &self.recovery, packet, h, mtu);
        flow.notes = flow::note::HALF_OPEN;
        flow.user = user;
        flow.mss = record.mss;
        (flow.snd_shift, flow.rcv_shift, flow.options) = (record.snd_shift, record.rcv_shift, record.options);
        flow.begin(isn, h.seq, u32::from(h.window));
        flow.snd_nxt = isn;
        flow.pos = isn;
        flow.acked = h.seq;
        if !self.feed_syn(cb, now, packet, h, stack, isn) {
            self.unmake(index);
            return Err(DropReason::NoBuffer);
        }
        self.counters.tcp_opened += 1;
        let flow = &mut self.flows[stack as usize];
        flow.state = State::SynReceived as u8;
        cb.l4_opened(flow.id, &h.key, user);
        self.mark(stack);
        Ok(None)
    }

    /// Makes a half-open connection that is all in its record.
    fn open_direct<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        h: &Headers,
        hash: u32,
        (user, hold): (u64, bool),
        floor: Option<u32>,
    ) -> Result<(), DropReason> {
        let index = self.make(&h.key, hash, Kind::Direct, now)?;
        let isn = self.number(h, now, floor);
        self.half_open += 1;
        self.half_open_direct += 1;
        self.sources.enter(&h.key);
        self.note_offer(h, index, user);
        let record = &mut self.records[index as usize];
        record.notes = note::HALF_OPEN;
        (record.snd_una, record.snd_nxt) = (isn, isn.wrapping_add(1));
        record.rcv_nxt = h.seq.wrapping_add(1);
        // That of a SYN-ACK is never scaled (RFC 7323 section 2.2).
        record.window = self.rx_ring.min(0xffff) as u16;
        record.peer_window = h.window;
        record.options |= if hold { option::HELD } else { 0 };
        let id = record.id(index);
        self.counters.tcp_opened += 1;
        self.wheel.set_by(index, now, SHORTEST_RTO);
        cb.l4_opened(id, &h.key, user);
        if !hold {
            self.mark_direct(index);
        }
        Ok(())
    }

    /// Answers a SYN that was held back ([`Admission::Hold`]). To refuse it instead, [`L3l4::abort_flow`].
    ///
    /// # Errors
    /// Where the flow is gone, or its SYN was not held back.
    pub fn answer(&mut self, id: FlowId) -> Result<(), FlowError> {
        let index = self.live(id).ok_or(FlowError::Gone)?;
        let record = &mut self.records[index as usize];
        if record.kind != Kind::Direct || record.options & option::HELD == 0 {
            return Err(FlowError::Closed);
        }
        record.options &= !option::HELD;
        // The handshake's times count from here.
        record.opened = self.clock;
        self.wheel.set(index, self.clock + SHORTEST_RTO);
        self.mark_direct(index);
        Ok(())
    }

    /// The initial sequence number that answers a SYN.
    fn number(&self, h: &Headers, now: Instant, floor: Option<u32>) -> u32 {
        let isn = self.isn.number(&h.key, now);
        // RFC 9293 section 3.6.1: above the last number of the connection it follows.
        floor.filter(|&floor| seq_lt(isn, floor)).unwrap_or(isn)
    }

    /// Keeps what a SYN says of the connection to come; returns what the path takes where that is remembered.
    fn note_offer(&mut self, h: &Headers, index: u32, user: u64) -> Option<u16> {
        let record = &mut self.records[index as usize];
        record.user = user;
        record.mss = h.mss.unwrap_or(DEFAULT_MSS);
        record.snd_shift = h.window_scale.unwrap_or(0);
        record.rcv_shift = h.window_scale.map_or(0, |_| window_shift(self.rx_ring));
        record.options = if h.window_scale.is_some() { option::SCALE } else { 0 };
        record.options |= if h.sack { option::SACK } else { 0 };
        let now = record.opened;
        let mtu = self.remembered(&h.key, now)?;
        self.records[index as usize].narrow(mtu);
        Some(mtu)
    }

    /// Answers a SYN without remembering it.
    #[cold]
    fn answer_by_cookie<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        h: &Headers,
    ) -> Result<(), DropReason> {
        let offer = Offer { mss: h.mss.unwrap_or(DEFAULT_MSS), sack: h.sack };
        let isn = self.cookies.seal(&h.key, h.seq, offer, now);
        let (mtu, _) = self.link_of(&h.key);
        let mss = (mtu - if h.is_v4() { 40 } else { 60 }) as u16;
        let options = reply::SynOptions::new(if h.sack { option::SACK } else { 0 }, mss, 0);
        let (window, ack) = (self.rx_ring.min(0xffff) as u16, h.seq.wrapping_add(1));
        let control = flags::SYN | flags::ACK;
        let syn_ack = Segment { seq: isn, ack, control, window, options: options.bytes(), data: &[] };
        if !self.emit(cb, &h.key, None, &syn_ack) {
            return Err(DropReason::NoBuffer);
        }
        self.cookies_until = now + 2 * EPOCH;
        self.counters.syn_cookies_sent += 1;
        Ok(())
    }

    /// What a segment of no flow says of the SYN before it, if it acknowledges a cookie.
    fn cookie_of(&mut self, h: &Headers, now: Instant) -> Option<Offer> {
        if now >= self.cookies_until {
            return None;
        }
        let offer =
            self.cookies.open(&h.key, h.seq.wrapping_sub(1), h.ack.wrapping_sub(1), self.min_mss, now);
        self.counters.syn_cookies_failed += u64::from(offer.is_none());
        offer
    }

    /// Makes the connection that a cookie stands for, as one that has been asleep since, and wakes it.
    #[cold]
    fn open_by_cookie<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &[u8],
        h: &Headers,
        hash: u32,
        (user, offer): (u64, Offer),
    ) -> Result<Option<u32>, DropReason> {
        if !self.accepting {
            self.answer_rst(cb, now, h);
            return Err(DropReason::Draining);
        }
        let index = self.make(&h.key, hash, Kind::Direct, now)?;
        let record = &mut self.records[index as usize];
        record.user = user;
        (record.snd_una, record.snd_nxt, record.rcv_nxt) = (h.ack, h.ack, h.seq);
        (record.window, record.peer_window) = (self.rx_ring.min(0xffff) as u16, h.window);
        record.mss = offer.mss;
        record.options = if offer.sack { option::SACK } else { 0 };
        let id = record.id(index);
        if let Some(mtu) = self.remembered(&h.key, now) {
            self.records[index as usize].narrow(mtu);
        }
        let stack = if self.direct {
            self.wheel.set_by(index, now, SHORTEST_RTO);
            None
        } else {
            let Some(stack) = self.wake(index, Ended::Neither) else {
                self.unmake(index);
                return Err(NO_STACK);
            };
            // So that the application is told, when the segment is fed.
            let flow = &mut self.flows[stack as usize];
            flow.state = State::SynReceived as u8;
            // When the SYN-ACK left is not known, so its acknowledgment measures nothing.
            flow.syn_acks = 1;
            // And is asked soon how long it waits, as after a handshake that had a timer.
            self.arm(stack, now + SHORTEST_RTO);
            Some(stack)
        };
        self.counters.tcp_opened += 1;
        self.counters.tcp_established += 1;
        self.counters.syn_cookies_accepted += 1;
        cb.l4_opened(id, &h.key, user);
        match stack {
            Some(stack) => Ok(Some(stack)),
            None => self.accept(cb, now, packet, h, index, true),
        }
    }

    /// Feeds a SYN through an interface that will draw `isn`; false where no buffer was left.
    fn feed_syn<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        h: &Headers,
        stack: u32,
        isn: u32,
    ) -> bool {
        let Self { flows, slots, links, spare, counters, recovery, .. } = self;
        let flow = &mut flows[stack as usize];
        let link = &links[flow.key.port_index()];
        let start = if h.extensions {
            extension::strip(packet, usize::from(h.l4), usize::from(h.end), Protocol::TCP.0)
        } else {
            0
        };
        let id = flow.id;
        slots.with(stack, |set| {
            let port = h.key.local_port;
            // Cannot fail: the socket is new and the port is not 0.
            let _ = socket(set).listen(IpListenEndpoint { addr: None, port });
            let (mtu, checksum) = (link.mtu, link.checksum);
            let core = Core { cb, spare, counters, recovery, flow, id, mtu, checksum };
            let mut device = OnePacket { core, packet: Some(&packet[start..usize::from(h.end)]) };
            let mut config = Config::new(HardwareAddress::Ip);
            config.random_seed = isn::seed_for(isn);
            let mut interface = Interface::new(config, &mut device, now.smoltcp());
            interface.set_any_ip(true);
            interface.poll_ingress_single(now.smoltcp(), &mut device, set);
            socket(set).state() == State::SynReceived
        })
    }
}

/// The MSS of a peer that names none (RFC 9293 section 3.7.1, MUST-15).
pub(super) const DEFAULT_MSS: u16 = 536;
