//! Packets in: to a stack, to a direct connection or one in TIME-WAIT, to a new flow, or to a named drop.

use super::{L3l4, recover};
use crate::callbacks::{Callbacks, CloseReason};
use crate::conn::Conn;
use crate::device::{Core, OnePacket, TxChecksum, reserve};
use crate::drop::DropReason;
use crate::extension;
use crate::flow::{Flow, note, seq_lt};
use crate::guard::{self, Verdict};
use crate::key::{FlowKey, Protocol};
use crate::packet::{self, Class, Headers, RxChecksum, flags};
use crate::record::Kind;
use crate::reply::Unreachable;
use crate::slots::socket;
use crate::time::Instant;
use smoltcp::iface::PollIngressSingleResult;
use smoltcp::socket::tcp::State;

impl<B> L3l4<B> {
    /// Takes in one IP packet that came by `link` (see [`FlowKey::link`]). Fragments and protocols other than
    /// TCP and UDP are dropped; a caller that serves them parses first and uses [`L3l4::rx`].
    ///
    /// # Errors
    /// The reason for which it was dropped (counted already).
    pub fn l3_rx<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        link: u32,
        known: RxChecksum,
    ) -> Result<(), DropReason> {
        let mut h = Headers::default();
        match packet::read(packet, link, known, &mut h) {
            Ok(Class::Whole) => {
                let hash = self.hash.hash(&h.key);
                self.rx(cb, now, packet, &h, hash)
            }
            Ok(Class::Fragment) => self.refuse(DropReason::IpFragment),
            Ok(Class::Other) => {
                self.answer_unreachable(cb, now, packet, &h, Unreachable::Protocol);
                self.refuse(DropReason::Protocol)
            }
            Err(reason) => self.refuse(reason),
        }
    }

    /// Counts a packet that the caller drops on the engine's behalf.
    ///
    /// # Errors
    /// Always, with the reason given.
    pub fn refuse(&mut self, reason: DropReason) -> Result<(), DropReason> {
        self.counters.drop(reason);
        Err(reason)
    }

    /// Takes in one parsed packet; `hash` is what [`L3l4::prepare`] gave for its key. The packet may be changed.
    ///
    /// # Errors
    /// The reason for which it was dropped (counted already).
    #[inline]
    pub fn rx<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        h: &Headers,
        hash: u32,
    ) -> Result<(), DropReason> {
        // What comes back is the stack that is to be fed, where one is.
        let stack = match (h.key.protocol, self.find(hash, &h.key)) {
            (Protocol::TCP, Some(index)) => {
                let record = &self.records[index as usize];
                match record.kind {
                    Kind::Tcp => Ok(Some(record.stack)),
                    Kind::Direct => self.tcp_direct(cb, now, packet, h, index),
                    _ => self.tcp_time_wait(cb, now, packet, h, index),
                }
            }
            (Protocol::TCP, None) => self.tcp_new(cb, now, packet, h, hash, None),
            (Protocol::UDP, found) => self.udp(cb, now, packet, h, hash, found).map(|()| None),
            _ => Err(DropReason::Protocol),
        };
        let outcome = match stack {
            Ok(Some(stack)) => self.tcp_known(cb, now, packet, h, stack),
            Ok(None) => Ok(()),
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(()) => self.counters.delivered += 1,
            Err(reason) => self.counters.drop(reason),
        }
        outcome
    }

    #[inline]
    fn tcp_known<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        h: &Headers,
        stack: u32,
    ) -> Result<(), DropReason> {
        let Self { flows, slots, links, spare, counters, dirty, rx_ring, recovery, .. } = self;
        let flow = &mut flows[stack as usize];
        if flow.state != State::Established as u8 {
            if flow.has(note::GIVEN_UP | note::DONE) {
                return Err(DropReason::TcpClosing);
            }
            if flow.state == State::LastAck as u8 && closes_last_ack(flow, h) {
                // RFC 9293 section 3.10.7.4: both sides have closed and all is acknowledged. There is nothing left
                // that the stack could do or say.
                self.finish(cb, stack);
                return Ok(());
            }
            if lacks_fin_only(flow, h) {
                // Three of these, and smoltcp forgets the FIN's timer: it has no data to send again at once.
                flow.last_rx = now;
                return Ok(());
            }
        }
        let mut end = usize::from(h.end);
        let mut owes_ack = false;
        let mut fed_ack = h.ack;
        let mut window = u32::from(h.window) << flow.snd_shift;
        match guard::inbound(flow, h) {
            Verdict::Feed => {}
            Verdict::FeedWith { ack, clear_fin, cut } => {
                counters.fin_deferred += u64::from(clear_fin);
                end = guard::correct(packet, h, ack, clear_fin, cut);
                if ack != h.ack {
                    // An old acknowledgment says nothing of the window (RFC 9293 section 3.10.7.4).
                    fed_ack = ack;
                    window = (flow.snd_edge.wrapping_sub(ack) as i32).max(0) as u32;
                }
            }
            Verdict::FeedAck => {
                end = guard::reduce(packet, h, flow.rcv_nxt);
                // But no ACK for an ACK: two that stand at each other's edge would never end.
                owes_ack = h.segment_len() > 0 || seq_lt(h.seq, flow.rcv_nxt);
            }
            Verdict::Stale => return Ok(()),
            Verdict::Drop(reason) => return Err(reason),
            Verdict::Challenge(reason) => {
                self.challenge(cb, now, stack);
                return Err(reason);
            }
            Verdict::Reset(reason) => {
                self.answer_rst(cb, now, h);
                return Err(reason);
            }
        }
        let link = &mut links[flow.path as usize];
        if flow.sender.is_on() {
            // What the sender has heard the stack must hear, too: first the buffer without which it takes nothing.
            if spare.is_none() {
                *spare = reserve(cb, spare, counters, link.mtu);
            }
            if spare.is_none() {
                return Err(DropReason::NoBuffer);
            }
            if !recover::hear(flow, recovery, counters, now, packet, h, (fed_ack, window)) {
                flow.last_rx = now;
                self.heard(stack);
                return Ok(());
            }
        }
        let start =
            if h.extensions { extension::strip(packet, usize::from(h.l4), end, Protocol::TCP.0) } else { 0 };
        let before = (flow.snd_una, flow.rcv_nxt, counters.tx_packets, flow.state);
        let bytes = (flow.bytes_in, flow.bytes_out);
        let id = flow.id;
        let mut peer = None;
        let fed = slots.with(stack, |set| {
            let (mtu, checksum) = (link.mtu, link.checksum);
            let core = Core { cb, spare, counters, recovery, flow, id, mtu, checksum };
            let mut device = OnePacket { core, packet: Some(&packet[start..end]) };
            let result = link.interface.poll_ingress_single(now.smoltcp(), &mut device, set);
            let Core { cb, flow, .. } = device.core;
            if result == PollIngressSingleResult::None {
                return false;
            }
            let socket = socket(set);
            let pending = socket.recv_queue() > 0;
            if !pending || socket.state() != State::Established {
                // Else the application is called in any case, and what it does changes nothing of what is seen.
                flow.sync(socket);
            }
            if pending || wants_to_know(flow, before.0, before.3) {
                flow.notes &= !note::WANTS_ROOM;
                let mut conn = Conn::on_stack(id, flow, socket);
                cb.l4_rx(&mut conn);
                peer = conn.peer;
                flow.sync(socket);
                if socket.send_queue() > socket.send_capacity() / 2 {
                    flow.notes |= note::WANTS_ROOM;
                }
                if flow.state != State::Established as u8 && flow.fin_received() && socket.recv_queue() == 0 {
                    flow.notes |= note::TOLD_END;
                }
            }
            true
        });
        if !fed {
            return Err(DropReason::NoBuffer);
        }
        flow.last_rx = now;
        flow.snd_edge = fed_ack.wrapping_add(window);
        flow.max_window = flow.max_window.max(window);
        counters.tcp_bytes_in += flow.bytes_in - bytes.0;
        counters.tcp_bytes_out += flow.bytes_out - bytes.1;
        let answered = counters.tx_packets != before.2;
        // A stack that repairs losses itself, or probes a closed window, has to hear of this one.
        let duplicate = h.ack == before.0 && h.segment_len() == 0 && flow.is_busy() && !flow.sender.judges()
            || flow.sender.has_lost();
        let early = flow.sender.is_due_before(flow.due);
        // smoltcp drops what finds no place in its list of holes without a word; the sender needs one.
        owes_ack |= seq_lt(before.1, h.seq) && h.payload_len() > 0;
        if flow.state == State::Established as u8 && !flow.has(note::HALF_OPEN | note::SPOKEN) {
            if !flow.is_busy() {
                flow.notes &= !note::BUSY;
            }
            if (duplicate || needs_egress(flow, *rx_ring)) && !flow.has(note::DIRTY) {
                flow.notes |= note::DIRTY;
                dirty.push(stack);
            }
        } else {
            self.settle(cb, now, stack, h, duplicate);
        }
        if owes_ack && !answered {
            self.acknowledge(cb, stack);
        }
        if early {
            self.arm_sender(stack);
        }
        if let Some(peer) = peer {
            self.joined.push((id, peer));
        }
        Ok(())
    }

    /// After a segment that the stack did not get to see.
    #[cold]
    fn heard(&mut self, stack: u32) {
        if self.flows[stack as usize].sender.has_lost() {
            self.mark(stack);
        }
        self.arm_sender(stack);
    }

    /// Files a flow for its sender's deadline where it is filed for later.
    #[inline]
    pub(super) fn arm_sender(&mut self, stack: u32) {
        let flow = &self.flows[stack as usize];
        if flow.sender.is_due_before(flow.due)
            && let Some(at) = flow.sender.deadline()
        {
            self.arm(stack, at);
        }
    }

    /// After a segment, where the connection begins or ends, or its application said how long it waits: ends what has
    /// ended, counts what has opened, marks what has something to send.
    fn settle<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        stack: u32,
        h: &Headers,
        duplicate: bool,
    ) {
        let flow = &mut self.flows[stack as usize];
        if flow.has(note::SPOKEN) {
            self.heed(stack, now);
        }
        let flow = &mut self.flows[stack as usize];
        if flow.has(note::HALF_OPEN) && !flow.is_half_open() {
            flow.notes &= !note::HALF_OPEN;
            self.half_open -= 1;
            self.sources.leave(&flow.key);
            if flow.state != State::Closed as u8 && flow.state != State::Listen as u8 {
                self.counters.tcp_established += 1;
            }
        }
        if (flow.state == State::Closed as u8 && !flow.has(note::GIVEN_UP))
            || flow.state == State::Listen as u8
        {
            if h.flags & flags::RST != 0 {
                self.close_stack(cb, stack, CloseReason::PeerReset);
            } else {
                self.finish(cb, stack);
            }
            return;
        }
        if !flow.is_busy() {
            flow.notes &= !note::BUSY;
        }
        if duplicate
            || needs_egress(flow, self.rx_ring)
            || flow.has(note::GIVEN_UP)
            || flow.state == State::TimeWait as u8
        {
            self.mark(stack);
        }
        // Whatever it is filed for lies before the idle timeout's end, and files it anew.
        if !self.wheel.is_filed(self.flows[stack as usize].id.index) {
            self.arm(stack, now + self.timeouts.idle.min(self.timeouts.sleep.unwrap_or(self.timeouts.idle)));
        }
    }

    /// Ends a connection both of whose sides have closed, when the application has taken all that came.
    pub(super) fn finish<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, stack: u32) {
        if self.slots.socket(stack, |socket| socket.recv_queue()) == 0 {
            return self.close_stack(cb, stack, CloseReason::Finished);
        }
        let flow = &mut self.flows[stack as usize];
        flow.notes = flow.notes & !note::BUSY | note::DONE;
        flow.snd_una = flow.goal();
        flow.sender.release(&mut self.recovery);
        self.arm(stack, self.clock + self.timeouts.idle);
    }

    fn tcp_time_wait<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        h: &Headers,
        index: u32,
    ) -> Result<Option<u32>, DropReason> {
        let record = &mut self.records[index as usize];
        if h.flags & (flags::SYN | flags::ACK) == flags::SYN && seq_lt(record.rcv_nxt, h.seq) {
            // RFC 1122 section 4.2.2.13: a new incarnation, above all of the old one's numbers.
            let (hash, floor) = (record.hash, record.snd_nxt.wrapping_add(1));
            self.unmake(index);
            return self.tcp_new(cb, now, packet, h, hash, Some(floor));
        }
        // RFC 1337: an RST does not end TIME-WAIT.
        if h.flags & flags::RST == 0 && (h.segment_len() > 0 || h.seq != record.rcv_nxt) {
            if h.flags & flags::FIN != 0 {
                record.last_rx = now;
            }
            self.challenge_record(cb, now, index);
        }
        Err(DropReason::TcpTimeWait)
    }

    /// The interface and MTU an answer to `key` leaves by.
    pub(super) fn link_of(&self, key: &FlowKey) -> (usize, TxChecksum) {
        let link = &self.links[key.port_index()];
        (link.mtu, link.checksum)
    }
}

/// Whether a segment is the in-window acknowledgment of our FIN and nothing else.
#[inline]
fn closes_last_ack(flow: &Flow, h: &Headers) -> bool {
    h.flags & (flags::SYN | flags::RST | flags::FIN | flags::ACK) == flags::ACK
        && h.ack == flow.goal()
        && h.ack == flow.snd_nxt
        && h.seq == flow.rcv_nxt
        && h.payload_len() == 0
}

/// Whether a segment says nothing but that all of ours has arrived except for the FIN, and has said so before.
#[inline]
fn lacks_fin_only(flow: &Flow, h: &Headers) -> bool {
    flow.has(note::FIN)
        && h.flags & (flags::SYN | flags::RST | flags::FIN | flags::ACK) == flags::ACK
        && h.ack == flow.snd_end
        && flow.snd_una == flow.snd_end
        && flow.snd_nxt == flow.goal()
        // The peer may be ahead by a FIN of its own that was lost.
        && h.seq.wrapping_sub(flow.rcv_nxt) <= flow.edge.wrapping_sub(flow.rcv_nxt)
        && h.payload_len() == 0
}

/// Whether there is something to acknowledge or to send, or the application took so much that a closed window is
/// worth a word.
#[inline]
fn needs_egress(flow: &Flow, ring: usize) -> bool {
    flow.acked != flow.rcv_nxt
        || flow.may_go_on()
        || flow.has(note::TOUCHED) && flow.edge.wrapping_sub(flow.rcv_nxt) < (ring / 2) as u32
}

/// Whether the application has something to hear about, beside data, after a segment was fed.
#[inline]
fn wants_to_know(flow: &Flow, una_before: u32, state_before: u8) -> bool {
    flow.has(note::WANTS_ROOM) && flow.snd_una != una_before
        || state_before == State::SynReceived as u8
            && flow.state != State::Listen as u8
            && !flow.is_half_open()
        || flow.state != State::Established as u8 && flow.fin_received() && !flow.has(note::TOLD_END)
}
