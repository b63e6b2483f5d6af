//! Sleep: an established connection with nothing under way gives up its stack and its buffers, and is built again
//! from its record when there is something to do.
//!
//! smoltcp cannot be asked to take up a connection in the middle, but a handshake with chosen numbers leads to the
//! same place: a SYN one before what the peer sends next, answered by a SYN-ACK one before what we send next
//! (see `isn`), which goes nowhere, and the ACK of it.
//!
//! Invariant: only a connection in ESTABLISHED falls asleep, with both queues empty, everything acknowledged both
//! ways and no timer running; so the record says all that the peer could notice. What is lost is the congestion
//! window (which an idle connection must forget anyway: RFC 5681 section 4.1) and the round-trip estimate.

use super::{L3l4, recover};
use crate::callbacks::Callbacks;
use crate::compose::Segment;
use crate::drop::DropReason;
use crate::flow::note;
use crate::isn;
use crate::key::FlowKey;
use crate::packet::flags;
use crate::record::{self, Kind, Record};
use crate::reply;
use crate::slots::socket;
use crate::time::Instant;
use smoltcp::iface::{Config, Interface};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{HardwareAddress, IpListenEndpoint};

/// Live connections looked at for one that can make room.
const LOOKED_AT: usize = 64;

/// Room for the longest segment of the handshake: IPv6, and options of both sides.
const SCRATCH: usize = 128;

/// What no stack can be: live connections have not so many slots.
pub(super) const NO_STACK: DropReason = DropReason::LiveLimit;

/// Which side has sent a FIN that the other one has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Neither,
    Theirs,
    Ours,
}

impl<B> L3l4<B> {
    /// Puts a live connection to sleep if it can sleep; says whether it did.
    pub(super) fn lull(&mut self, now: Instant, stack: u32) -> bool {
        let Self { flows, slots, wheel, counters, .. } = self;
        let flow = &flows[stack as usize];
        let busy = note::DIRTY | note::WANTS_ROOM | note::FIN | note::HALF_OPEN | note::GIVEN_UP;
        let quiet = flow.state == State::Established as u8
            && flow.notes & busy == 0
            && !flow.is_busy()
            && flow.sender.deadline().is_none()
            && flow.acked == flow.rcv_nxt
            && slots.socket(stack, |socket| socket.recv_queue() == 0 && socket.send_queue() == 0);
        if !quiet {
            return false;
        }
        counters.tcp_slept += 1;
        // What it waits for now, and how long, is found out then.
        wheel.set(flow.id.index, now);
        self.lay_down(stack, Kind::Direct);
        true
    }

    /// Builds a stack that stands where a record does, with nothing queued; `ended` says whose FIN there was. `None`
    /// where no slot is left.
    #[inline(never)]
    pub(super) fn wake(&mut self, index: u32, ended: Ended) -> Option<u32> {
        let stack = self.enliven(index)?;
        let record = &self.records[index as usize];
        let (fin, shut) = (ended == Ended::Theirs, ended == Ended::Ours);
        // Where our SYN's acknowledgment stood: our FIN has a number of its own.
        let open = record.snd_una.wrapping_sub(u32::from(shut));
        let (isn, irs) = (open.wrapping_sub(1), record.rcv_nxt.wrapping_sub(1));
        let flow = &mut self.flows[stack as usize];
        flow.begin(isn, irs, u32::from(record.peer_window) << record.snd_shift);
        flow.snd_una = flow.snd_nxt;
        flow.edge = record.rcv_nxt.wrapping_add(u32::from(record.window) << record.rcv_shift);
        flow.state = State::Established as u8;
        if fin {
            flow.state = State::CloseWait as u8;
            flow.notes |= note::TOLD_END;
            flow.rcv_nxt = flow.rcv_nxt.wrapping_add(1);
            flow.acked = flow.rcv_nxt;
        }
        if shut {
            flow.state = State::FinWait2 as u8;
            flow.notes |= note::FIN;
            (flow.snd_una, flow.pos, flow.snd_nxt) = (record.snd_una, record.snd_una, record.snd_una);
        }
        let mtu = self.links[record.key.port_index()].mtu;
        let mut device = Handshake { mtu, packet: None };
        // What the stack is told of the peer's window is the sender's to say.
        let (mut shift, mut field) = (record.snd_shift, record.peer_window);
        if self.recovery.is_on() {
            shift = self.recovery.shift;
            field = recover::resume(flow, record, &mut self.recovery, &mut self.counters, self.clock, mtu);
        } else {
            flow.sender.rest();
        }
        let (now, port, flow_state) = (self.clock, record.key.local_port, flow.state);
        let built = self.slots.with(stack, |set| {
            // Cannot fail: the socket is new and the port is not 0.
            let _ = socket(set).listen(IpListenEndpoint { addr: None, port });
            let mut config = Config::new(HardwareAddress::Ip);
            config.random_seed = isn::seed_for(isn);
            let mut interface = Interface::new(config, &mut device, now.smoltcp());
            interface.set_any_ip(true);
            device.packet = Some(Synthetic::syn(record, shift));
            interface.poll_ingress_single(now.smoltcp(), &mut device, set);
            interface.poll_egress(now.smoltcp(), &mut device, set);
            device.packet = Some(Synthetic::ack(record, open, field));
            interface.poll_ingress_single(now.smoltcp(), &mut device, set);
            if fin {
                device.packet = Some(Synthetic::fin(record, field));
                interface.poll_ingress_single(now.smoltcp(), &mut device, set);
            }
            if shut {
                socket(set).close();
                interface.poll_egress(now.smoltcp(), &mut device, set);
                device.packet = Some(Synthetic::ack(record, record.snd_una, field));
                interface.poll_ingress_single(now.smoltcp(), &mut device, set);
            }
            socket(set).state() as u8 == flow_state
        });
        debug_assert!(built, "a handshake made by ourselves went wrong");
        let again = now + self.timeouts.sleep.unwrap_or(self.timeouts.idle);
        self.wheel.catch_up(now);
        let deadline = self.waits.deadline(self.flows[stack as usize].id);
        self.arm(stack, deadline.map_or(again, |at| again.min(at)));
        Some(stack)
    }

    /// Puts some live connection to sleep, so that another can have its slot; false where none was found among
    /// those looked at.
    pub(super) fn make_room(&mut self) -> bool {
        if self.timeouts.sleep.is_none() {
            return false;
        }
        for _ in 0..LOOKED_AT.min(self.flows.len()) {
            self.hand = if self.hand + 1 < self.flows.len() { self.hand + 1 } else { 0 };
            let flow = &self.flows[self.hand];
            // A slot that is free has a flow whose record has gone on without it.
            let record = &self.records[flow.id.index()];
            let is_live = record.kind == Kind::Tcp && record.stack as usize == self.hand;
            if is_live && self.lull(self.clock, self.hand as u32) {
                return true;
            }
        }
        false
    }

    /// Tells the peer of a direct connection that it is over; false where no buffer was left.
    pub(super) fn reset_record<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, index: u32) -> bool {
        let record = &self.records[index as usize];
        if record.has(record::note::SYN_SENT) {
            // RFC 9293 section 3.10.5: the peer has not said anything yet.
            return true;
        }
        let (key, seq, ack) = (record.key, record.snd_nxt, record.rcv_nxt);
        let control = flags::RST | flags::ACK;
        let (id, rst) = (record.id(index), Segment { seq, ack, control, ..Segment::default() });
        let sent = self.emit(cb, &key, Some(id), &rst);
        self.counters.rst_sent += u64::from(sent);
        sent
    }
}

/// A segment as the peer might have sent it.
struct Synthetic {
    bytes: [u8; SCRATCH],
    len: usize,
}

impl Synthetic {
    fn syn(record: &Record, shift: u8) -> Self {
        let options = reply::SynOptions::new(record.options, record.mss, shift);
        let window = record.peer_window_bytes().min(0xffff) as u16;
        Self::new(record, flags::SYN, record.rcv_nxt.wrapping_sub(1), 0, window, options.bytes())
    }

    fn ack(record: &Record, ack: u32, window: u16) -> Self {
        Self::new(record, flags::ACK, record.rcv_nxt, ack, window, &[])
    }

    fn fin(record: &Record, window: u16) -> Self {
        let control = flags::FIN | flags::ACK;
        Self::new(record, control, record.rcv_nxt, record.snd_una, window, &[])
    }

    fn new(record: &Record, control: u8, seq: u32, ack: u32, window: u16, options: &[u8]) -> Self {
        let key = &record.key;
        // `reply` writes from `local` to `remote`; this one comes from the peer.
        let inward = FlowKey {
            remote: key.local,
            local: key.remote,
            remote_port: key.local_port,
            local_port: key.remote_port,
            ..*key
        };
        let mut bytes = [0; SCRATCH];
        let (len, _) =
            reply::segment(&mut bytes, &inward, &Segment { seq, ack, control, window, options, data: &[] });
        Self { bytes, len }
    }
}

/// A device on which a handshake is made up: what is sent goes nowhere.
struct Handshake {
    mtu: usize,
    packet: Option<Synthetic>,
}

impl Device for Handshake {
    type RxToken<'t> = Received;
    type TxToken<'t> = Nowhere;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Nowhere)> {
        Some((Received(self.packet.take()?), Nowhere))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Nowhere> {
        Some(Nowhere)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = self.mtu;
        caps.checksum = ChecksumCapabilities::ignored();
        caps
    }
}

struct Received(Synthetic);

impl smoltcp::phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0.bytes[..self.0.len])
    }
}

struct Nowhere;

impl smoltcp::phy::TxToken for Nowhere {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        f(&mut [0; SCRATCH][..len])
    }
}
