//! UDP: datagrams in, one answer or a datagram on another flow out; no socket stands behind a flow.
//!
//! Invariant: a datagram that came in is delivered once, whatever becomes of what it causes.

use super::{ConnectError, L3l4};
use crate::callbacks::{Callbacks, TxMeta, Verdict as Admission};
use crate::compose;
use crate::datagram::Datagram;
use crate::device::{TxChecksum, reserve};
use crate::drop::DropReason;
use crate::key::{FlowId, FlowKey, Protocol};
use crate::packet::Headers;
use crate::record::Kind;
use crate::reply::Unreachable;
use crate::time::Instant;
use thiserror::Error;

/// Why a datagram could not be sent.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum DatagramError {
    /// The handle is stale, or not of a UDP flow.
    #[error("there is no such UDP flow")]
    Gone,
    /// It does not fit the link's MTU, and nothing is fragmented.
    #[error("the datagram is too long for the link")]
    TooLong,
    /// No transmit buffer is left.
    #[error("no buffer is left")]
    NoBuffer,
}

impl<B> L3l4<B> {
    #[inline]
    pub(super) fn udp<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &mut [u8],
        h: &Headers,
        hash: u32,
        found: Option<u32>,
    ) -> Result<(), DropReason> {
        let index = match found {
            Some(index) => index,
            None => self.udp_new(cb, now, packet, h, hash)?,
        };
        let Self { records, links, spare, counters, .. } = self;
        let flow = &mut records[index as usize];
        let link = &links[flow.key.port_index()];
        let Some(mut buffer) = reserve(cb, spare, counters, link.mtu) else {
            return Err(DropReason::NoBuffer);
        };
        flow.last_rx = now;
        flow.bytes_in += h.payload_len() as u64;
        let head = if h.is_v4() { 28 } else { 48 };
        let (answer, peer) = {
            let room = &mut cb.l3_tx_buffer_mut(&mut buffer)[head..link.mtu];
            let data = &packet[usize::from(h.payload)..usize::from(h.payload_end)];
            let mut datagram = Datagram { index, record: flow, data, room, answer: None, peer: None };
            cb.l4_datagram(&mut datagram);
            (datagram.answer, datagram.peer)
        };
        let Some(len) = answer else {
            *spare = Some(buffer);
            if let Some(peer) = peer {
                let data = &packet[usize::from(h.payload)..usize::from(h.payload_end)];
                let sent = self.send_datagram(cb, now, peer, data);
                self.counters.udp_relay_refused += u64::from(sent.is_err());
            }
            return Ok(());
        };
        flow.bytes_out += len as u64;
        let room = cb.l3_tx_buffer_mut(&mut buffer);
        let (end, l3_len) = compose::datagram(room, &flow.key, len, link.checksum);
        counters.tx_packets += 1;
        let meta = TxMeta {
            flow: Some(flow.id(index)),
            link: flow.key.link,
            len: end,
            l3_len,
            v4: l3_len == 20,
            protocol: Protocol::UDP,
            checksum_pending: link.checksum == TxChecksum::Offload,
        };
        cb.l3_tx(buffer, &meta);
        Ok(())
    }

    fn udp_new<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &[u8],
        h: &Headers,
        hash: u32,
    ) -> Result<u32, DropReason> {
        let user = match cb.l4_verdict(&h.key) {
            Admission::Accept(user) | Admission::Hold(user) => user,
            Admission::Reject => {
                self.answer_unreachable(cb, now, packet, h, Unreachable::Port);
                return Err(DropReason::ServiceReject);
            }
            Admission::Drop => return Err(DropReason::ServiceDrop),
            Admission::NoService => return Err(DropReason::NoService),
            Admission::NotOurs => return Err(DropReason::NotOurAddress),
        };
        if !self.accepting {
            return Err(DropReason::Draining);
        }
        if self.udp_flows >= self.limits.udp_flows {
            return Err(DropReason::FlowLimit);
        }
        self.udp_make(cb, now, &h.key, hash, user)
    }

    fn udp_make<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        key: &FlowKey,
        hash: u32,
        user: u64,
    ) -> Result<u32, DropReason> {
        let index = self.make(key, hash, Kind::Udp, now)?;
        self.counters.udp_opened += 1;
        let record = &mut self.records[index as usize];
        record.user = user;
        let id = record.id(index);
        self.wheel.catch_up(now);
        self.wheel.set(index, now + self.timeouts.udp_idle);
        cb.l4_opened(id, key, user);
        Ok(index)
    }

    /// Opens a UDP flow from `key.local` to `key.remote`. Nothing leaves before [`L3l4::send_datagram`].
    ///
    /// # Errors
    /// Where the five-tuple is in use, there are as many UDP flows as may be, or no new ones are taken.
    pub fn open_udp<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        key: &FlowKey,
        user: u64,
    ) -> Result<FlowId, ConnectError> {
        if !self.accepting {
            return Err(ConnectError::Draining);
        }
        let hash = self.hash.hash(key);
        if key.protocol != Protocol::UDP || self.find(hash, key).is_some() {
            return Err(ConnectError::InUse);
        }
        if self.udp_flows >= self.limits.udp_flows {
            return Err(ConnectError::Full);
        }
        let index = self.udp_make(cb, now, key, hash, user).map_err(|_| ConnectError::Full)?;
        Ok(self.records[index as usize].id(index))
    }

    /// Sends one datagram on a UDP flow, which counts as a sign of life of it.
    ///
    /// # Errors
    /// Where the flow is gone or not UDP, the datagram is too long for the link, or no buffer is left.
    pub fn send_datagram<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        id: FlowId,
        data: &[u8],
    ) -> Result<(), DatagramError> {
        let index = self.live(id).filter(|&index| self.records[index as usize].kind == Kind::Udp);
        let index = index.ok_or(DatagramError::Gone)?;
        let Self { records, links, spare, counters, .. } = self;
        let flow = &mut records[index as usize];
        let link = &links[flow.key.port_index()];
        let head = if flow.key.local.is_v4() { 28 } else { 48 };
        if head + data.len() > link.mtu {
            return Err(DatagramError::TooLong);
        }
        let mut buffer = reserve(cb, spare, counters, link.mtu).ok_or(DatagramError::NoBuffer)?;
        flow.last_rx = now;
        flow.bytes_out += data.len() as u64;
        let room = cb.l3_tx_buffer_mut(&mut buffer);
        room[head..head + data.len()].copy_from_slice(data);
        let (end, l3_len) = compose::datagram(room, &flow.key, data.len(), link.checksum);
        counters.tx_packets += 1;
        let meta = TxMeta {
            flow: Some(id),
            link: flow.key.link,
            len: end,
            l3_len,
            v4: l3_len == 20,
            protocol: Protocol::UDP,
            checksum_pending: link.checksum == TxChecksum::Offload,
        };
        cb.l3_tx(buffer, &meta);
        Ok(())
    }
}
