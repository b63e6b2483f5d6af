//! Calls from outside the packet path: write, close, abort, look.

use super::L3l4;
use crate::callbacks::{Callbacks, CloseReason};
use crate::conn::Conn;
use crate::flow::{note, state_name};
use crate::key::{FlowId, FlowKey};
use crate::record::{self, Kind, NONE};
use crate::slots::socket;
use crate::time::Instant;
use core::time::Duration;
use thiserror::Error;

/// Why a call about a flow could not be carried out.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum FlowError {
    /// The handle is stale: the flow is gone.
    #[error("the flow is gone")]
    Gone,
    /// The call is for TCP connections.
    #[error("not a TCP connection")]
    NotTcp,
    /// The connection is asleep and as many as may be are awake.
    #[error("no stack is left to wake the connection with")]
    NoStack,
    /// This side is closed already, or not open yet.
    #[error("this side of the connection is closed")]
    Closed,
}

/// A flow as shown to an operator.
#[derive(Clone, Copy, Debug)]
pub struct FlowInfo {
    /// Its handle.
    pub id: FlowId,
    /// Its five-tuple.
    pub key: FlowKey,
    /// RFC 9293 state name; `UDP` for UDP flows.
    pub state: &'static str,
    /// The word given with the verdict.
    pub user: u64,
    /// Time since its first packet.
    pub age: Duration,
    /// Time since its last packet from the peer.
    pub idle: Duration,
    /// Its stack was given up until there is something to say.
    pub asleep: bool,
    /// Payload bytes received in order.
    pub bytes_in: u64,
    /// Payload bytes written by the application.
    pub bytes_out: u64,
}

/// Slots looked at for each flow that [`L3l4::abort_some`] may abort.
const SLOTS_PER_ABORT: usize = 16;

impl<B> L3l4<B> {
    /// Writes to a connection; returns how many bytes fitted. They leave at the next [`L3l4::l4_poll`].
    ///
    /// # Errors
    /// Where the flow is gone, not TCP, or not open for sending.
    pub fn l4_tx(&mut self, id: FlowId, data: &[u8]) -> Result<usize, FlowError> {
        self.with_conn(id, |conn| if conn.may_send() { Ok(conn.send(data)) } else { Err(FlowError::Closed) })?
    }

    /// Closes this side of a connection: a FIN follows what is queued; receiving goes on.
    ///
    /// # Errors
    /// Where the flow is gone, not TCP, or not established yet (abort it then).
    pub fn close_flow(&mut self, id: FlowId) -> Result<(), FlowError> {
        let index = self.live(id).ok_or(FlowError::Gone)?;
        if self.is_direct(index) {
            return self.close_direct(index);
        }
        self.with_conn(id, |conn| {
            if conn.is_half_open() {
                return Err(FlowError::Closed);
            }
            conn.close();
            Ok(())
        })?
    }

    fn close_direct(&mut self, index: u32) -> Result<(), FlowError> {
        let Self { records, held, early, .. } = self;
        let record = &mut records[index as usize];
        if record.has(record::note::FIN_OUT) {
            return Ok(());
        }
        if record.has(record::note::ABORT) {
            return Err(FlowError::Gone);
        }
        if record.has(record::note::HALF_OPEN) {
            return Err(FlowError::Closed);
        }
        if record.stack == NONE {
            // The FIN is under way until it has been acknowledged.
            record.stack = held.take().ok_or(FlowError::NoStack)?;
            *early += usize::from(record.has(record::note::SYN_SENT));
        }
        let first = !record.has(record::note::FIN_IN);
        record.notes |= record::note::FIN_OUT | if first { record::note::FIRST } else { 0 };
        if !record.has(record::note::SYN_SENT) {
            self.mark_direct(index);
        }
        Ok(())
    }

    /// Ends a connection at once with an RST at the next [`L3l4::l4_poll`], or a UDP flow without a word, a millisecond
    /// later at the most.
    ///
    /// # Errors
    /// Where the flow is gone.
    pub fn abort_flow(&mut self, id: FlowId) -> Result<(), FlowError> {
        if let Some(index) = self.live(id).filter(|&index| self.is_direct(index)) {
            self.records[index as usize].notes |= record::note::ABORT;
            self.mark_direct(index);
            return Ok(());
        }
        if let Some(index) = self.live(id).filter(|&index| self.records[index as usize].kind == Kind::Udp) {
            self.records[index as usize].notes |= record::note::ABORT;
            self.wheel.set(index, self.clock);
            return Ok(());
        }
        let stack = self.tcp(id)?;
        self.give_up(stack, CloseReason::Aborted);
        Ok(())
    }

    /// Runs `f` on a connection, outside of any callback.
    ///
    /// # Errors
    /// Where the flow is gone or not TCP.
    pub fn with_conn<R>(&mut self, id: FlowId, f: impl FnOnce(&mut Conn<'_>) -> R) -> Result<R, FlowError> {
        let stack = self.tcp(id)?;
        let (result, peer) = self.on_stack(stack, |conn| (f(conn), conn.peer));
        self.joined.extend(peer.map(|peer| (id, peer)));
        Ok(result)
    }

    /// Runs `f` on the connection on a stack.
    pub(super) fn on_stack<R>(&mut self, stack: u32, f: impl FnOnce(&mut Conn<'_>) -> R) -> R {
        let Self { flows, slots, counters, .. } = self;
        let flow = &mut flows[stack as usize];
        let (id, written) = (flow.id, flow.bytes_out);
        let result = slots.with(stack, |set| f(&mut Conn::on_stack(id, flow, socket(set))));
        counters.tcp_bytes_out += flow.bytes_out - written;
        self.touched(stack);
        result
    }

    /// After an application has had a connection on a stack, outside of a segment for it.
    pub(super) fn touched(&mut self, stack: u32) {
        let Self { flows, slots, .. } = self;
        let flow = &mut flows[stack as usize];
        slots.socket(stack, |socket| flow.sync(socket));
        if flow.has(note::TOUCHED) {
            self.mark(stack);
        }
        let now = self.clock;
        self.heed(stack, now);
    }

    /// The slot of a connection, which is woken for it.
    fn tcp(&mut self, id: FlowId) -> Result<u32, FlowError> {
        let index = self.live(id).ok_or(FlowError::Gone)?;
        let record = &self.records[index as usize];
        let stack = match record.kind {
            Kind::Tcp => record.stack,
            Kind::Direct if record.has(record::note::ABORT) => return Err(FlowError::Gone),
            Kind::Direct if record.has(record::note::OPENING) => return Err(FlowError::Closed),
            // Both sides closed: nothing is left that could be done but to abort it.
            Kind::Direct if record.has(record::note::FIN_OUT) && record.has(record::note::FIN_IN) => {
                return Err(FlowError::Closed);
            }
            Kind::Direct => self.promote(index).ok_or(FlowError::NoStack)?,
            _ => return Err(FlowError::NotTcp),
        };
        if self.flows[stack as usize].has(note::GIVEN_UP) {
            return Err(FlowError::Gone);
        }
        Ok(stack)
    }

    /// What is known of a flow, or `None` where it is gone.
    #[must_use]
    pub fn flow(&self, id: FlowId, now: Instant) -> Option<FlowInfo> {
        self.live(id).map(|index| self.info(index, now))
    }

    /// Looks at up to `slots` flow slots from slot `from` on, giving each flow found to `f`. Returns the slot to
    /// go on from, or `None` after the last.
    pub fn scan(
        &self,
        from: usize,
        slots: usize,
        now: Instant,
        mut f: impl FnMut(&FlowInfo),
    ) -> Option<usize> {
        let end = (from + slots).min(self.records.len());
        for index in from..end {
            if self.records[index].kind != Kind::Free {
                f(&self.info(index as u32, now));
            }
        }
        (end < self.records.len()).then_some(end)
    }

    fn info(&self, index: u32, now: Instant) -> FlowInfo {
        let record = &self.records[index as usize];
        let live = (record.kind == Kind::Tcp).then(|| &self.flows[record.stack as usize]);
        FlowInfo {
            id: record.id(index),
            key: record.key,
            state: match record.kind {
                Kind::Udp => "UDP",
                Kind::TimeWait => "TIME-WAIT",
                _ => live.map_or_else(|| state_name(record.state() as u8), |flow| state_name(flow.state)),
            },
            user: record.user,
            age: now.since(record.opened),
            idle: now.since(live.map_or(record.last_rx, |flow| flow.last_rx)),
            asleep: record.kind == Kind::Direct && record.stack == NONE && !record.has(record::note::OPENING),
            bytes_in: live.map_or(record.bytes_in, |flow| flow.bytes_in),
            bytes_out: live.map_or(record.bytes_out, |flow| flow.bytes_out),
        }
    }

    /// Aborts or forgets up to `budget` flows, looking at a bounded number of slots from where the last call
    /// stopped; returns whether any are left.
    pub fn abort_some<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, budget: usize) -> bool {
        let mut left = budget;
        for _ in 0..(budget * SLOTS_PER_ABORT).min(self.records.len()) {
            let index = if self.abort_at < self.records.len() { self.abort_at } else { 0 };
            self.abort_at = index + 1;
            let record = &self.records[index];
            match record.kind {
                Kind::Tcp if !self.flows[record.stack as usize].has(note::GIVEN_UP) => {
                    self.give_up(record.stack, CloseReason::Aborted);
                }
                Kind::Direct => {
                    self.reset_record(cb, index as u32);
                    self.close(cb, index as u32, CloseReason::Aborted);
                }
                Kind::Udp => self.close(cb, index as u32, CloseReason::Aborted),
                Kind::TimeWait => self.unmake(index as u32),
                _ => continue,
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        !self.table.is_empty()
    }

    /// Gives back the reserved buffer, if there is one.
    pub fn release_spare(&mut self) -> Option<B> {
        self.spare.take()
    }
}
