//! Connections opened from here (RFC 9293 sections 3.10.1 and 3.10.7.3).
//!
//! Invariant: a connection in SYN-SENT is direct, and nothing but a segment that acknowledges its SYN changes it. What
//! the application wants to send meanwhile is held, and leaves with the handshake's last segment. Simultaneous opens
//! are not supported: a SYN that meets ours is dropped.

use super::super::L3l4;
use super::super::open::DEFAULT_MSS;
use super::round_trip;
use crate::callbacks::{Callbacks, CloseReason};
use crate::drop::DropReason;
use crate::key::{FlowId, FlowKey, Protocol};
use crate::packet::{Headers, flags};
use crate::record::{Kind, NONE, note, option};
use crate::recovery::window_shift;
use crate::time::Instant;
use core::time::Duration;
use thiserror::Error;

/// How long a SYN may take to be answered before it is sent again the first time (RFC 6298 section 2.1).
const INITIAL_RTO: Duration = Duration::from_secs(1);

/// How many five-tuples the application may name in a row that are in use.
const TRIES: usize = 4;

/// Why a flow could not be opened.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum ConnectError {
    /// There is a flow with this five-tuple, or one was a moment ago (TIME-WAIT).
    #[error("the five-tuple is in use")]
    InUse,
    /// The flow table is full.
    #[error("the flow table is full")]
    Full,
    /// New flows are not taken any more.
    #[error("the engine is draining")]
    Draining,
}

impl<B> L3l4<B> {
    /// Opens a TCP connection from `key.local` to `key.remote`. The SYN leaves at the next
    /// [`L3l4::l4_poll`]; where none of its answers comes within `patience`, or it is refused, the flow is closed
    /// ([`CloseReason::Unanswered`], [`CloseReason::Refused`]) unless [`Callbacks::l4_refused`] names another peer.
    /// The application hears ([`Callbacks::l4_rx`]) when it is established.
    ///
    /// # Errors
    /// Where the five-tuple is in use or the table is full.
    pub fn connect<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        key: &FlowKey,
        user: u64,
        patience: Duration,
    ) -> Result<FlowId, ConnectError> {
        if !self.accepting {
            return Err(ConnectError::Draining);
        }
        let hash = self.hash.hash(key);
        if key.protocol != Protocol::TCP || self.find(hash, key).is_some() {
            return Err(ConnectError::InUse);
        }
        let index = self.make(key, hash, Kind::Direct, now).map_err(|_| ConnectError::Full)?;
        let record = &mut self.records[index as usize];
        record.user = user;
        let id = record.id(index);
        self.counters.tcp_opened += 1;
        self.connecting += 1;
        self.wheel.catch_up(now);
        self.begin(now, index, patience);
        cb.l4_opened(id, key, user);
        Ok(id)
    }

    /// Sets a record to SYN-SENT.
    fn begin(&mut self, now: Instant, index: u32, patience: Duration) {
        let isn = self.isn.number(&self.records[index as usize].key, now);
        let record = &mut self.records[index as usize];
        self.counters.tcp_connects += 1;
        record.notes |= note::SYN_SENT;
        (record.snd_una, record.snd_nxt) = (isn, isn.wrapping_add(1));
        (record.opened, record.last_rx, record.tries) = (now, now + patience, 0);
        record.options = option::SCALE | option::SACK;
        record.rcv_shift = window_shift(self.rx_ring);
        // That of a SYN is never scaled (RFC 7323 section 2.2).
        record.window = self.rx_ring.min(0xffff) as u16;
        self.wheel.set(index, (now + INITIAL_RTO).min(now + patience));
        self.mark_direct(index);
    }

    /// A segment for a connection in SYN-SENT (RFC 9293 section 3.10.7.3).
    pub(super) fn answered<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        h: &Headers,
        index: u32,
    ) -> Result<Option<u32>, DropReason> {
        let record = &self.records[index as usize];
        let acknowledges = h.flags & flags::ACK != 0 && h.ack == record.snd_nxt;
        if h.flags & flags::RST != 0 {
            if !acknowledges {
                return Err(DropReason::TcpOutOfWindow);
            }
            self.unreached(cb, now, index, CloseReason::Refused);
            return Ok(None);
        }
        if h.flags & flags::ACK != 0 && !acknowledges {
            // The peer has an older connection in mind: the RST ends it, and our SYN comes again.
            self.answer_rst(cb, now, h);
            return Err(DropReason::TcpOutOfWindow);
        }
        if h.flags & flags::SYN == 0 || !acknowledges {
            return Err(DropReason::TcpFlags);
        }
        self.counters.tcp_established += 1;
        self.connecting -= 1;
        let record = &mut self.records[index as usize];
        self.early -= usize::from(record.stack != NONE);
        record.notes &= !note::SYN_SENT;
        record.snd_una = h.ack;
        // Data that a SYN carries is left for the peer to send again.
        record.rcv_nxt = h.seq.wrapping_add(1);
        record.mss = h.mss.unwrap_or(DEFAULT_MSS).max(self.min_mss);
        record.options &= if h.sack { option::SACK } else { 0 };
        record.snd_shift = 0;
        if let Some(shift) = h.window_scale {
            record.options |= option::SCALE;
            record.snd_shift = shift;
        } else {
            record.rcv_shift = 0;
        }
        record.window = (u32::from(record.window).div_ceil(1 << record.rcv_shift)) as u16;
        // It was not scaled; what follows is.
        record.peer_window = h.window >> record.snd_shift;
        if record.tries == 0 {
            record.rtt = round_trip(0, now.since(record.opened));
        }
        (record.last_rx, record.tries) = (now, 0);
        if let Some(mtu) = self.remembered(&h.key, now) {
            self.records[index as usize].narrow(mtu);
        }
        self.wheel.set_by(index, now, super::SHORTEST_RTO);
        // Its last segment is owed, whatever the application says.
        self.mark_direct(index);
        let told = self.tell(cb, index, &[], false);
        if told.is_err() {
            // There is no room for what the application may want to say, and it would not be asked again.
            self.records[index as usize].notes |= note::ABORT;
        }
        told
    }

    /// Sends the SYN again, or gives up.
    pub(super) fn fire_connecting<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) {
        let record = &mut self.records[index as usize];
        let end = record.last_rx;
        if now >= end {
            self.unreached(cb, now, index, CloseReason::Unanswered);
            return;
        }
        // One second after the first, two after the second, up to 32 after the sixth and later.
        let due = |tries: u8| {
            INITIAL_RTO * ((2 << tries.min(5)) - 1) + 32 * INITIAL_RTO * u32::from(tries.saturating_sub(5))
        };
        let mut again = record.opened + due(record.tries);
        if now >= again {
            record.tries = record.tries.saturating_add(1);
            again = record.opened + due(record.tries);
            self.counters.tcp_retransmits += 1;
            self.mark_direct(index);
        }
        self.wheel.set(index, again.min(end));
    }

    /// The peer cannot be had: another is tried, under the same handle and with what is held, or the flow ends.
    fn unreached<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
        reason: CloseReason,
    ) {
        let record = &self.records[index as usize];
        let (id, old, user) = (record.id(index), record.key, record.user);
        let Some((first, patience)) = cb.l4_refused(id, &old, user, reason) else {
            return self.close(cb, index, reason);
        };
        let mut named = Some(first);
        for _ in 0..TRIES {
            let Some(key) = named else { break };
            let hash = self.hash.hash(&key);
            if key.protocol != old.protocol || self.find(hash, &key).is_some() {
                named = cb.l4_in_use(id, &key, user);
                continue;
            }
            let record = &mut self.records[index as usize];
            self.table.remove(record.hash, index);
            (record.key, record.hash) = (key, hash);
            if !self.table.insert(hash, index) {
                break;
            }
            return self.begin(now, index, patience);
        }
        self.close(cb, index, reason);
    }
}
