//! A direct connection gets a stack, because something has happened that its record is not enough for.
//!
//! Invariant: the stack stands where the connection stood: what was held is in its transmit ring, what of it is on its
//! way is known to the recovery, and what either side has closed is closed.

use super::super::L3l4;
use super::super::sleep::Ended;
use crate::callbacks::Callbacks;
use crate::conn::Conn;
use crate::flow::note;
use crate::record::{self, Kind, NONE};
use crate::slots::socket;
use crate::time::Instant;

impl<B> L3l4<B> {
    /// Gives a direct connection a stack; `None` where no slot is left, or it is in a state in which none is of use:
    /// before the handshake's end, or with both sides closed and our FIN acknowledged.
    #[cold]
    pub(in super::super) fn promote(&mut self, index: u32) -> Option<u32> {
        let record = &mut self.records[index as usize];
        let (notes, slot, highest) = (record.notes, record.stack, record.snd_nxt);
        let (fin_in, fin_out) = (record.has(record::note::FIN_IN), record.has(record::note::FIN_OUT));
        let shut = fin_out && slot == NONE;
        if record.has(record::note::OPENING) || shut && fin_in {
            return None;
        }
        let fin = u32::from(fin_in);
        record.rcv_nxt = record.rcv_nxt.wrapping_sub(fin);
        let ended = match (fin_in, shut) {
            (true, _) => Ended::Theirs,
            (_, true) => Ended::Ours,
            _ => Ended::Neither,
        };
        let Some(stack) = self.wake(index, ended) else {
            let record = &mut self.records[index as usize];
            record.rcv_nxt = record.rcv_nxt.wrapping_add(fin);
            return None;
        };
        self.counters.tcp_woken += 1;
        let Self { slots, flows, held, recovery, .. } = self;
        let flow = &mut flows[stack as usize];
        if recovery.is_on() && flow.snd_nxt != highest {
            // What is on its way is known, so the stack will not be let to send it again for nothing.
            let sent_at = held.under(slot).sent_at;
            flow.sender.sent(recovery, sent_at, highest);
        }
        flow.snd_nxt = highest;
        if notes & record::note::WANTS_ROOM != 0 {
            flow.notes |= note::WANTS_ROOM;
        }
        if slot != NONE {
            let bytes = held.bytes(slot);
            slots.socket(stack, |socket| {
                // It is empty, and no shorter than what can be held.
                let put = socket.send_slice(bytes).unwrap_or(0);
                flow.snd_end = flow.snd_end.wrapping_add(put as u32);
                if fin_out {
                    socket.close();
                    flow.state = socket.state() as u8;
                    flow.notes |= note::FIN;
                }
            });
            held.release(slot);
        }
        self.mark(stack);
        Some(stack)
    }

    /// Calls the application of a connection that has just got a stack because its answer was too long without.
    #[cold]
    pub(super) fn go_on<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, stack: u32) {
        let now = self.flows[stack as usize].last_rx;
        self.call_on_stack(cb, now, stack, C::l4_rx);
    }

    /// Calls the application of a connection on a stack, no packet being at hand.
    pub(in super::super) fn call_on_stack<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        stack: u32,
        what: impl FnOnce(&mut C, &mut Conn<'_>),
    ) {
        let Self { slots, flows, counters, .. } = self;
        let flow = &mut flows[stack as usize];
        let (id, written) = (flow.id, flow.bytes_out);
        flow.notes &= !note::WANTS_ROOM;
        let mut peer = None;
        slots.with(stack, |set| {
            let socket = socket(set);
            let mut conn = Conn::on_stack(id, flow, socket);
            what(cb, &mut conn);
            peer = conn.peer;
            flow.sync(socket);
            if socket.send_queue() > socket.send_capacity() / 2 {
                flow.notes |= note::WANTS_ROOM;
            }
        });
        counters.tcp_bytes_out += flow.bytes_out - written;
        self.heed(stack, now);
        self.mark(stack);
        self.joined.extend(peer.map(|peer| (id, peer)));
    }

    /// Whether the record of a connection is without a stack.
    #[inline]
    pub(in super::super) fn is_direct(&self, index: u32) -> bool {
        self.records[index as usize].kind == Kind::Direct
    }
}
