//! Relaying: what comes for one connection is what another has to send.
//!
//! Invariant: every byte is copied once, from the packet or the receive ring it lies in to where the other connection
//! keeps what it sends, and is taken only as far as it was copied: what finds no room stays, keeps its sender's window
//! closed, and is fetched when the other connection hears of room. The end of one is the end of the other, behind
//! the last byte.

use super::L3l4;
use crate::conn::Conn;
use crate::flow::note;
use crate::key::FlowId;
use crate::record::{self, Kind, NONE};
use crate::slots::socket;

impl<B> L3l4<B> {
    /// Moves what waits on two connections as far as there is room, either way: [`Conn::relay`] outside of any callback.
    pub fn join(&mut self, one: FlowId, other: FlowId) {
        self.drain(one, other);
        self.drain(other, one);
    }

    /// Gives a connection something to send from outside of any callback, and closes it behind that where `end` says so
    /// and all found room; returns how much did. A connection in SYN-SENT holds it until it is established.
    pub fn give(&mut self, to: FlowId, data: &[u8], end: bool) -> usize {
        self.forward(to, data, end)
    }

    /// Moves what waits on connections that were joined since the last turn.
    #[cold]
    #[inline(never)]
    pub(super) fn join_all(&mut self) {
        for at in 0..self.joined.len() {
            let (one, other) = self.joined[at];
            self.join(one, other);
        }
        self.joined.clear();
    }

    /// A direct connection is joined with `to` while its packet is at hand: gives the rest of that away. Returns how much
    /// was taken.
    #[cold]
    #[inline(never)]
    pub(super) fn pass_on(&mut self, from: FlowId, to: FlowId, data: &[u8]) -> usize {
        if from == to {
            return 0;
        }
        // What waits there may need a stack here, which would be too early.
        self.joined.push((from, to));
        self.forward(to, data, self.records[from.index()].has(record::note::FIN_IN))
    }

    /// Gives `data`, which came for another connection, to `to`, and its end where `end` says so. Returns how much was
    /// taken.
    fn forward(&mut self, to: FlowId, data: &[u8], end: bool) -> usize {
        let mut taken = 0;
        if !data.is_empty() {
            if let Some(slot) = self.room_for(to, data.len()) {
                taken = self.hold(to.index, slot, data);
            } else if let Some(stack) = self.stack_of(to) {
                taken = self.on_stack(stack, |conn| conn.send(data));
            }
        }
        if end && taken == data.len() {
            let _ = self.close_flow(to);
        }
        taken
    }

    /// Moves what waits in the receive ring of `from`, if it has one, to `to`, and its end.
    fn drain(&mut self, from: FlowId, to: FlowId) {
        if from == to {
            return;
        }
        let Some(stack) = self.stack_of(from) else {
            // Without a stack all that came was taken.
            if self.live(from).is_some_and(|index| self.records[index as usize].has(record::note::FIN_IN)) {
                let _ = self.close_flow(to);
            }
            return;
        };
        let pending = self.slots.socket(stack, |socket| socket.recv_queue());
        if pending > 0 {
            if let Some(slot) = self.room_for(to, pending) {
                self.drain_to_held(stack, to.index, slot);
            } else if let Some(other) = self.stack_of(to) {
                self.drain_to_stack(stack, other);
            }
        }
        if self.on_stack(stack, |conn| conn.at_end()) {
            let _ = self.close_flow(to);
        }
    }

    /// The slot in which a direct connection can hold `len` more bytes, or as many as there is room for where it is not
    /// established yet. Where that is too little otherwise, it has a stack afterwards.
    fn room_for(&mut self, id: FlowId, len: usize) -> Option<u32> {
        let index = self.live(id).filter(|&index| self.is_direct(index))?;
        let Self { records, held, early, .. } = self;
        let record = &mut records[index as usize];
        if record.has(record::note::FIN_OUT | record::note::ABORT | record::note::HALF_OPEN) {
            return None;
        }
        if record.stack == NONE {
            record.stack = held.take()?;
            *early += usize::from(record.has(record::note::SYN_SENT));
        }
        let slot = record.stack;
        let fits = len <= held.free(slot);
        if !fits && !record.has(record::note::SYN_SENT) && self.promote(index).is_some() {
            return None;
        }
        Some(slot)
    }

    /// Puts as much of `data` as there is room for behind what a direct connection holds.
    fn hold(&mut self, index: u32, slot: u32, data: &[u8]) -> usize {
        let (under, bytes) = self.held.get(slot);
        let room = under.room(bytes);
        let len = data.len().min(room.len());
        room[..len].copy_from_slice(&data[..len]);
        under.len += len as u16;
        self.held_more(index, len, len < data.len());
        len
    }

    fn drain_to_held(&mut self, stack: u32, index: u32, slot: u32) {
        let Self { flows, slots, held, .. } = self;
        let (under, bytes) = held.get(slot);
        let room = under.room(bytes);
        let flow = &mut flows[stack as usize];
        let id = flow.id;
        let (len, more) = slots.with(stack, |set| {
            let mut conn = Conn::on_stack(id, flow, socket(set));
            let len = conn.copy(room);
            conn.take(len);
            (len, conn.pending() > 0)
        });
        under.len += len as u16;
        self.held_more(index, len, more);
        self.touched(stack);
    }

    fn drain_to_stack(&mut self, stack: u32, other: u32) {
        let Self { flows, slots, counters, .. } = self;
        let Ok([flow, to]) = flows.get_disjoint_mut([stack as usize, other as usize]) else { return };
        let written = to.bytes_out;
        slots.with_both(stack, other, |set, other| {
            let (id, to_id) = (flow.id, to.id);
            let mut conn = Conn::on_stack(id, flow, socket(set));
            let mut to = Conn::on_stack(to_id, to, socket(other));
            loop {
                let len = to.send(conn.data());
                if len == 0 {
                    break;
                }
                conn.take(len);
            }
        });
        counters.tcp_bytes_out += to.bytes_out - written;
        self.touched(stack);
        self.touched(other);
    }

    /// A direct connection holds `len` bytes more, and was `short` of room for others.
    fn held_more(&mut self, index: u32, len: usize, short: bool) {
        let record = &mut self.records[index as usize];
        record.bytes_out += len as u64;
        self.counters.tcp_bytes_out += len as u64;
        record.notes |= if short { record::note::WANTS_ROOM } else { 0 };
        if !record.has(record::note::SYN_SENT) {
            self.mark_direct(index);
        }
    }

    /// The slot of a connection that has a stack, and of which something can still be heard.
    fn stack_of(&self, id: FlowId) -> Option<u32> {
        let record = &self.records[self.live(id)? as usize];
        (record.kind == Kind::Tcp && !self.flows[record.stack as usize].has(note::GIVEN_UP))
            .then_some(record.stack)
    }
}
