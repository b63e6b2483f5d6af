//! One UDP datagram as an application sees it, for the length of one callback.
//!
//! Invariant: at most one answer leaves for each, whole or not at all.

use crate::key::{FlowId, FlowKey};
use crate::record::Record;

/// A UDP datagram and the room for one answer to it.
pub struct Datagram<'a> {
    pub(crate) index: u32,
    pub(crate) record: &'a Record,
    pub(crate) data: &'a [u8],
    pub(crate) room: &'a mut [u8],
    pub(crate) answer: Option<usize>,
    pub(crate) peer: Option<FlowId>,
}

impl<'a> Datagram<'a> {
    /// The handle of the flow.
    #[inline]
    #[must_use]
    pub fn id(&self) -> FlowId {
        self.record.id(self.index)
    }

    /// The five-tuple: peer and local address and port of this datagram.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &'a FlowKey {
        &self.record.key
    }

    /// The word given with the verdict.
    #[inline]
    #[must_use]
    pub fn user(&self) -> u64 {
        self.record.user
    }

    /// Payload bytes received on this flow so far, this datagram's included.
    #[inline]
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.record.bytes_in
    }

    /// Sends the payload on another UDP flow when the callback returns, unless it is answered. What cannot be sent is
    /// counted (`udp_relay_refused`).
    #[inline]
    pub fn relay(&mut self, peer: FlowId) {
        self.peer = Some(peer);
    }

    /// The payload.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The longest answer that can be sent, in bytes (nothing is fragmented on the way out).
    #[inline]
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.room.len()
    }

    /// Answers with one datagram, all or nothing; false where it is too long. A second answer replaces the first.
    #[inline]
    pub fn reply(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.room.get_mut(..bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.answer = Some(bytes.len());
        true
    }
}
