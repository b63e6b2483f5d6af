//! Where recovery meets the engine: an acknowledgment on its way to the stack, and what is lost on its way out.
//!
//! Invariant: a flow with something lost that may be sent again is in the dirty list, or will be when its deadline
//! or the next acknowledgment comes.

use super::L3l4;
use crate::callbacks::Callbacks;
use crate::counters::Counters;
use crate::device::OnePacket;
use crate::flow::{Flow, note, seq_lt};
use crate::packet::{Headers, flags};
use crate::record::{Record, option};
use crate::recovery::{Ack, Sender, Shared, sack};
use crate::time::Instant;
use smoltcp::iface::{Interface, PollResult, SocketSet};

/// Where a TCP header ends that has no options.
const PLAIN: u16 = 20;

/// Makes ready the sender of a connection that begins with this SYN; its window scale is rewritten, for the windows that the
/// stack will be told are ours.
pub(super) fn prepare(sender: &mut Sender, shared: &Shared, packet: &mut [u8], h: &Headers, mtu: usize) {
    if !shared.is_on() {
        sender.rest();
        return;
    }
    let options = &mut packet[usize::from(h.l4 + PLAIN)..usize::from(h.payload)];
    // As the stack reckons it: without the option 536, and never more than fits.
    let theirs = usize::from(h.mss.filter(|&mss| mss > 0).unwrap_or(536));
    let mss = theirs.min(mtu - if h.is_v4() { 40 } else { 60 });
    let sack = sack::condition(options, shared.shift);
    sender.prepare(shared, mss, h.window_scale.is_some(), sack);
}

/// Makes the sender of a connection that wakes; returns the window field that the stack is to be told. What was known
/// of the path, but for the round-trip time, is forgotten with the stack.
pub(super) fn resume(
    flow: &mut Flow,
    record: &Record,
    shared: &mut Shared,
    counters: &mut Counters,
    now: Instant,
    mtu: usize,
) -> u16 {
    let header = if record.key.local.is_v4() { 40 } else { 60 };
    let mss = usize::from(record.mss).min(mtu - header);
    let offers = |bit| record.options & bit != 0;
    flow.sender.prepare(shared, mss, offers(option::SCALE), offers(option::SACK));
    let rtt = (record.rtt != 0).then(|| u32::from(record.rtt) * 125 / 2);
    flow.sender.begin(shared, now, record.snd_una, rtt);
    let window = record.peer_window_bytes();
    let ack = Ack { number: record.snd_una, window, options: &[], duplicate: false, opens: false };
    let edge = flow.sender.hear(shared, counters, now, &ack);
    flow.sender.field(record.snd_una, edge).0
}

/// Takes in the acknowledgment of a segment that is about to be fed with the number `fed`, behind which the peer takes
/// `window` bytes, and puts into it the window that the stack is to see. False where nothing is left in it for the stack.
#[inline]
pub(super) fn hear(
    flow: &mut Flow,
    shared: &mut Shared,
    counters: &mut Counters,
    now: Instant,
    packet: &mut [u8],
    h: &Headers,
    (fed, window): (u32, u32),
) -> bool {
    let bare = h.payload_end == h.payload && h.seq == flow.rcv_nxt && h.flags & flags::FIN == 0;
    let at = usize::from(h.l4) + 14;
    if h.payload == h.l4 + PLAIN
        && !flow.is_half_open()
        && h.flags & flags::RST == 0
        && let Some(window) = flow.sender.hear_plain(shared, now, fed, window)
    {
        let (field, news) = flow.sender.plain_field(fed, window);
        packet[at..at + 2].copy_from_slice(&field.to_be_bytes());
        return news || !bare || fed != flow.snd_una;
    }
    hear_long(flow, shared, counters, now, packet, h, (fed, window))
}

/// [`hear`] for what is not plain.
#[inline(never)]
fn hear_long(
    flow: &mut Flow,
    shared: &mut Shared,
    counters: &mut Counters,
    now: Instant,
    packet: &mut [u8],
    h: &Headers,
    (fed, window): (u32, u32),
) -> bool {
    if h.flags & flags::RST != 0 {
        return true;
    }
    let bare = h.segment_len() == 0 && h.seq == flow.rcv_nxt;
    let half_open = flow.is_half_open();
    if half_open {
        let rtt = (flow.syn_acks == 0).then(|| now.since(flow.opened).as_micros() as u32);
        flow.sender.begin(shared, now, fed, rtt);
    }
    let edge = fed.wrapping_add(window);
    let ack = Ack {
        number: fed,
        window,
        options: &packet[usize::from(h.l4 + PLAIN)..usize::from(h.payload)],
        duplicate: bare && fed == flow.snd_una && edge == flow.snd_edge,
        opens: seq_lt(flow.snd_edge, flow.snd_nxt) && seq_lt(flow.snd_edge, edge),
    };
    let edge = flow.sender.hear(shared, counters, now, &ack);
    counters.tcp_scoreboard_short = shared.pool.refused;
    let (field, news) = flow.sender.field(fed, edge);
    let at = usize::from(h.l4) + 14;
    packet[at..at + 2].copy_from_slice(&field.to_be_bytes());
    news || !bare || fed != flow.snd_una || half_open
}

/// Has the stack offer what is lost, as far as the window allows. True where there is more for the next turn.
#[cold]
#[inline(never)]
pub(super) fn resend<C: Callbacks>(
    interface: &mut Interface,
    device: &mut OnePacket<'_, '_, C>,
    set: &mut SocketSet<'static>,
    now: Instant,
    left: &mut usize,
) -> bool {
    let mut fruitless = false;
    while device.core.flow.sender.may_resend() {
        if *left == 0 || !device.stock() {
            return true;
        }
        let (flow, shared) = (&mut *device.core.flow, &mut *device.core.recovery);
        let Some(clock) = flow.sender.clock(shared, now, flow.pos) else { return false };
        *left -= 1;
        let so_far = device.core.counters.tx_packets;
        if interface.poll_egress(clock.smoltcp(), device, set) == PollResult::None {
            if fruitless {
                // Twice, and nothing has left: the retransmission timer will try again.
                return false;
            }
            fruitless = true;
            // It is not where it was believed to be: have it fall back.
            device.core.flow.pos = device.core.flow.snd_nxt;
        } else if device.core.counters.tx_packets != so_far {
            // To offer what is not lost, and so does not leave, is no fruit.
            fruitless = false;
        }
    }
    false
}

impl Flow {
    /// Whether the stack need not be asked: it has nothing to acknowledge, and nothing that it may send.
    #[inline]
    pub(super) fn may_wait(&self, touched: bool) -> bool {
        self.sender.judges()
            && !touched
            && self.acked == self.rcv_nxt
            && !self.has(note::GIVEN_UP)
            && (self.sender.has_lost() || !self.may_go_on())
    }

    /// Notes what has left since the last time.
    #[inline]
    pub(super) fn note_sent(&mut self, shared: &mut Shared, now: Instant) {
        if self.sender.noted() == self.snd_nxt || self.is_half_open() {
            return;
        }
        // What is sent against a closed window is a probe, which the peer need not take.
        if self.sender.judges() || seq_lt(self.sender.noted(), self.snd_edge) {
            self.sender.sent(shared, now, self.snd_nxt);
        }
    }
}

impl<B> L3l4<B> {
    /// A timer of the sending side may have run out. When to look again, or `None` where nothing is in flight.
    pub(super) fn expire_sender(&mut self, now: Instant, stack: u32) -> Option<Instant> {
        let Self { flows, recovery, counters, .. } = self;
        let sender = &mut flows[stack as usize].sender;
        sender.deadline()?;
        sender.expire(recovery, counters, now);
        if sender.has_lost() {
            self.mark(stack);
        }
        self.flows[stack as usize].sender.deadline()
    }
}
