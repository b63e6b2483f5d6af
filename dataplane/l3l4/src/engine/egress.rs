//! Packets out: what stacks have to send, and the answers the engine writes itself.

use super::recover::resend;
use super::{L3l4, LinkState};
use crate::builder::Link;
use crate::callbacks::{Callbacks, CloseReason, TxMeta};
use crate::compose::{self, Segment};
use crate::counters::Counters;
use crate::device::{Core, OnePacket, TxChecksum, reserve};
use crate::flow::note;
use crate::key::{FlowId, FlowKey, Protocol};
use crate::packet::{Headers, flags};
use crate::record::Kind;
use crate::reply::{self, Unreachable};
use crate::slots::socket;
use crate::time::Instant;
use smoltcp::iface::{Config, Interface, PollResult};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::State;
use smoltcp::wire::HardwareAddress;

/// Segments one flow may send in one turn; the rest goes at the next, so that one flow cannot starve others.
const SEGMENTS_PER_TURN: usize = 64;

/// How soon a stack with something outstanding is looked at: no timer of smoltcp runs shorter than this.
const SHORTEST_TIMER: core::time::Duration = core::time::Duration::from_secs(1);

/// What a flow waits for after its turn of sending.
enum Next {
    /// Nothing, or it is on the wheel for it already.
    Nothing,
    /// To be looked at then.
    Arm(Instant),
    /// The connection begins or ends: see [`L3l4::after_last_words`].
    LastWords,
}

impl<B> L3l4<B> {
    /// Sends what the flows in the dirty list have to send.
    #[inline(never)]
    pub(super) fn flush<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant) {
        // Those marked meanwhile have their turn next time.
        let marked = self.dirty.len();
        let mut at = 0;
        while at < marked {
            let stack = self.dirty[at];
            at += 1;
            let (more, next) = self.send(cb, now, stack);
            if more {
                self.mark(stack);
            }
            match next {
                Next::Nothing => {}
                Next::Arm(at) => self.arm(stack, at),
                Next::LastWords => self.after_last_words(cb, now, stack),
            }
        }
        if self.dirty.len() == marked {
            self.dirty.clear();
        } else {
            self.dirty.drain(..marked);
        }
    }

    /// Lets one marked stack send. The first of what it returns says that there is more, for the next turn.
    fn send<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, stack: u32) -> (bool, Next) {
        let Self { flows, slots, links, spare, counters, recovery, .. } = self;
        let flow = &mut flows[stack as usize];
        if !flow.has(note::DIRTY) {
            return (false, Next::Nothing);
        }
        let touched = flow.has(note::TOUCHED);
        flow.notes &= !(note::DIRTY | note::TOUCHED);
        if flow.has(note::DONE) || flow.state == State::TimeWait as u8 && flow.acked == flow.rcv_nxt {
            // All is said. smoltcp's own TIME-WAIT timer would throw away what the application has not taken yet.
            return (false, Next::LastWords);
        }
        let link = &mut links[flow.path as usize];
        let id = flow.id;
        let on = flow.sender.is_on();
        if on {
            recovery.now = now;
            flow.sender.before(recovery, now);
        }
        let more = slots.with(stack, |set| {
            let (mtu, checksum) = (link.mtu, link.checksum);
            let core = Core { cb, spare, counters, recovery: &mut *recovery, flow, id, mtu, checksum };
            let mut device = OnePacket { core, packet: None };
            let mut left = SEGMENTS_PER_TURN;
            if on
                && device.core.flow.sender.has_lost()
                && resend(&mut link.interface, &mut device, set, now, &mut left)
            {
                return true;
            }
            if on && device.core.flow.may_wait(touched) {
                return false;
            }
            loop {
                // smoltcp forgets a fast retransmission, and with it its timer, where the buffer is found to be
                // lacking only then: it is not asked before there is one.
                if !device.stock() {
                    return true;
                }
                if link.interface.poll_egress(now.smoltcp(), &mut device, set) == PollResult::None {
                    return false;
                }
                if !device.core.flow.may_go_on() || on && device.core.flow.sender.has_lost() {
                    return false;
                }
                left = left.saturating_sub(1);
                if left == 0 {
                    return true;
                }
            }
        });
        if on {
            flow.note_sent(recovery, now);
        }
        if flow.state != State::Established as u8 {
            return (more, Next::LastWords);
        }
        (more, flow.waits_for_ack(now, now + SHORTEST_TIMER).map_or(Next::Nothing, Next::Arm))
    }

    /// After sending, where the connection begins or ends: a stack that is done gives way to a record.
    fn after_last_words<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, stack: u32) {
        let flow = &mut self.flows[stack as usize];
        if flow.has(note::GIVEN_UP) {
            if !flow.has(note::DIRTY) {
                let reason = flow.ending.unwrap_or(CloseReason::Aborted);
                self.close_stack(cb, stack, reason);
            }
            return;
        }
        if flow.has(note::DONE) {
            return self.finish(cb, stack);
        }
        if flow.state == State::TimeWait as u8
            && flow.acked == flow.rcv_nxt
            && self.slots.socket(stack, |s| s.recv_queue()) == 0
        {
            self.enter_time_wait(cb, now, stack);
            return;
        }
        let flow = &mut self.flows[stack as usize];
        if let Some(at) = flow.waits_for_ack(now, now + SHORTEST_TIMER) {
            self.arm(stack, at);
        }
    }

    /// Lets go of the stack and keeps the record for the length of TIME-WAIT.
    fn enter_time_wait<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, stack: u32) {
        let index = self.lay_down(stack, Kind::Direct);
        self.record_time_wait(cb, now, index);
    }

    /// The same for a connection that has no stack.
    pub(super) fn record_time_wait<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
    ) {
        self.direct_flows -= 1;
        let record = &mut self.records[index as usize];
        record.kind = Kind::TimeWait;
        record.last_rx = now;
        let (id, key, user) = (record.id(index), record.key, record.user);
        let (bytes_in, bytes_out) = (record.bytes_in, record.bytes_out);
        self.wheel.cancel(index);
        // Entries of records that ended early stay until their time; the bound keeps them few.
        while self.time_wait.len() >= 2 * self.limits.flows {
            self.evict_time_wait();
        }
        self.time_wait.push_back((id, now + self.timeouts.time_wait));
        self.counters.closed[CloseReason::Finished as usize] += 1;
        cb.l4_totals(id, user, bytes_in, bytes_out);
        cb.l4_closed(id, &key, user, CloseReason::Finished);
    }

    /// Answers a segment inside a connection with the numbers that hold (RFC 5961), if the limit allows.
    #[cold]
    pub(super) fn challenge<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, stack: u32) {
        if self.may_challenge(now) && self.acknowledge(cb, stack) {
            self.counters.challenge_acks += 1;
        }
    }

    /// The same for a connection that has no stack.
    #[cold]
    pub(super) fn challenge_record<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
    ) {
        if self.may_challenge(now) && self.acknowledge_record(cb, index) {
            self.counters.challenge_acks += 1;
        }
    }

    fn may_challenge(&mut self, now: Instant) -> bool {
        let may = self.challenge_limit.take(now);
        self.counters.rate_limited += u64::from(!may);
        may
    }

    /// Sends a bare ACK for a live connection; false where no buffer was left, or it is gone.
    #[cold]
    pub(super) fn acknowledge<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, stack: u32) -> bool {
        let flow = &self.flows[stack as usize];
        let record = self.records.get(flow.id.index());
        if record.is_none_or(|record| record.generation != flow.id.generation) {
            return false;
        }
        let (key, id, seq, ack) = (flow.key, flow.id, flow.bare_ack_seq(), flow.rcv_nxt);
        let window = (flow.edge.wrapping_sub(ack) >> flow.rcv_shift).min(0xffff) as u16;
        let bare = Segment { seq, ack, control: flags::ACK, window, ..Segment::default() };
        self.emit(cb, &key, Some(id), &bare)
    }

    /// Sends a bare ACK for a connection without a stack; false where no buffer was left.
    #[cold]
    pub(super) fn acknowledge_record<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, index: u32) -> bool {
        let record = &self.records[index as usize];
        let (key, seq, ack, window) = (record.key, record.snd_nxt, record.rcv_nxt, record.window);
        // It answers the packet at hand, so it goes back where that came from.
        let bare = Segment { seq, ack, control: flags::ACK, window, ..Segment::default() };
        self.emit(cb, &key, None, &bare)
    }

    /// Answers a segment that belongs to no connection with an RST, if the limit allows.
    #[cold]
    pub(super) fn answer_rst<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, h: &Headers) {
        if !self.rst_limit.take(now) {
            self.counters.rate_limited += 1;
            return;
        }
        let (seq, ack, control) = reply::rst_numbers(h);
        if self.emit(cb, &h.key, None, &Segment { seq, ack, control, ..Segment::default() }) {
            self.counters.rst_sent += 1;
        }
    }

    /// Answers a segment that met no flow with an RST, if the limit allows: for callers that know it to be of a connection
    /// that was opened from here, of which [`L3l4::rx`] says only that no service matches. None answers an RST.
    pub fn answer_stray<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, h: &Headers) {
        if h.key.protocol == Protocol::TCP && h.flags & flags::RST == 0 {
            self.answer_rst(cb, now, h);
        }
    }

    /// Answers a packet that nothing serves with an ICMP error, if the limit allows. The packet must be the
    /// one that `h` was read from, to one host, and no ICMP error itself.
    pub fn answer_unreachable<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &[u8],
        h: &Headers,
        why: Unreachable,
    ) {
        if !self.icmp_limit.take(now) {
            self.counters.rate_limited += 1;
            return;
        }
        let (mtu, _) = self.link_of(&h.key);
        let Some(mut buffer) = reserve(cb, &mut self.spare, &mut self.counters, mtu) else { return };
        let len = reply::unreachable(&mut cb.l3_tx_buffer_mut(&mut buffer)[..mtu], packet, h, why);
        let v4 = h.is_v4();
        let meta = TxMeta {
            flow: None,
            link: h.key.link,
            len,
            l3_len: if v4 { 20 } else { 40 },
            v4,
            protocol: if v4 { Protocol::ICMP } else { Protocol::ICMPV6 },
            checksum_pending: false,
        };
        self.counters.icmp_sent += 1;
        self.counters.tx_packets += 1;
        cb.l3_tx(buffer, &meta);
    }

    /// Writes a segment into a fresh buffer and sends it.
    pub(super) fn emit<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        key: &FlowKey,
        flow: Option<FlowId>,
        segment: &Segment<'_>,
    ) -> bool {
        let Self { links, spare, counters, .. } = self;
        let link = &links[key.port_index()];
        post(cb, Outlet { spare, counters, link, flow, key }, segment)
    }

    /// Ends a connection with an RST at the next turn.
    pub(super) fn give_up(&mut self, stack: u32, reason: CloseReason) {
        let flow = &mut self.flows[stack as usize];
        if flow.has(note::GIVEN_UP) {
            return;
        }
        flow.notes |= note::GIVEN_UP;
        flow.ending = Some(reason);
        flow.state = State::Closed as u8;
        self.slots.with(stack, |set| socket(set).abort());
        self.mark(stack);
    }
}

/// What it takes to send a segment that no stack has written.
pub(super) struct Outlet<'a, B> {
    pub(super) spare: &'a mut Option<B>,
    pub(super) counters: &'a mut Counters,
    pub(super) link: &'a LinkState,
    /// Whose it is; without, it goes back where the packet at hand came from.
    pub(super) flow: Option<FlowId>,
    pub(super) key: &'a FlowKey,
}

/// Writes a segment into a fresh buffer and sends it; false where no buffer was left.
#[inline]
pub(super) fn post<C: Callbacks>(cb: &mut C, outlet: Outlet<'_, C::Buffer>, segment: &Segment<'_>) -> bool {
    let Outlet { spare, counters, link, flow, key } = outlet;
    let Some(mut buffer) = reserve(cb, spare, counters, link.mtu) else { return false };
    let (len, l3_len) = compose::segment(cb.l3_tx_buffer_mut(&mut buffer), key, segment, link.checksum);
    counters.tx_packets += 1;
    let meta = TxMeta {
        flow,
        link: key.link,
        len,
        l3_len,
        v4: l3_len == 20,
        protocol: Protocol::TCP,
        checksum_pending: link.checksum == TxChecksum::Offload,
    };
    cb.l3_tx(buffer, &meta);
    true
}

/// Makes the shared interface of a link. It owns no address: any destination is served.
pub(super) fn link_state(link: &Link, now: Instant) -> LinkState {
    LinkState { interface: interface(link.mtu, now), mtu: link.mtu, checksum: link.tx_checksum }
}

impl LinkState {
    /// The same link, for stacks whose packets may have no more than `mtu` bytes.
    pub(super) fn narrowed(&self, mtu: u16, now: Instant) -> Self {
        Self { interface: interface(usize::from(mtu), now), ..*self }
    }
}

fn interface(mtu: usize, now: Instant) -> Interface {
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut Caps(mtu), now.smoltcp());
    interface.set_any_ip(true);
    interface
}

/// A device that only says what it can do.
struct Caps(usize);

impl Device for Caps {
    type RxToken<'a> = crate::device::Rx<'a>;
    type TxToken<'a> = NoToken;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Self::RxToken<'_>, NoToken)> {
        None
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<NoToken> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = self.0;
        caps.checksum = ChecksumCapabilities::ignored();
        caps
    }
}

/// Never made.
enum NoToken {}

impl smoltcp::phy::TxToken for NoToken {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}
