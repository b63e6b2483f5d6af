//! One flow as an application sees it, for the length of one callback.
//!
//! Invariant: what an application does not take stays in the receive ring and keeps the advertised window closed
//! by as much (back-pressure); what does not fit into the transmit ring is never half-accepted in silence: every
//! call says how much it took.

use crate::flow::{Flow, note};
use crate::key::{FlowId, FlowKey};
use smoltcp::socket::tcp::{Socket, State};

/// A TCP connection.
pub struct Conn<'a> {
    pub(crate) id: FlowId,
    pub(crate) flow: &'a mut Flow,
    pub(crate) socket: &'a mut Socket<'static>,
}

impl Conn<'_> {
    /// The handle of the flow.
    #[inline]
    #[must_use]
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// The five-tuple.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &FlowKey {
        &self.flow.key
    }

    /// The word given with the verdict.
    #[inline]
    #[must_use]
    pub fn user(&self) -> u64 {
        self.flow.user
    }

    /// Received bytes not yet taken: the contiguous front part (there may be more, see [`Conn::pending`]).
    #[inline]
    #[must_use]
    pub fn data(&mut self) -> &[u8] {
        self.socket.peek(usize::MAX).unwrap_or(&[])
    }

    /// How many received bytes have not been taken.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> usize {
        self.socket.recv_queue()
    }

    /// Copies received bytes from the front without taking them; returns how many.
    #[inline]
    pub fn copy(&mut self, into: &mut [u8]) -> usize {
        self.socket.peek_slice(into).unwrap_or(0)
    }

    /// Takes `len` received bytes (at most what is pending); the window opens by as much.
    #[inline]
    pub fn take(&mut self, len: usize) {
        // The ring may wrap, so the bytes lie in at most two parts.
        let taken = self.take_part(len);
        if taken < len && taken > 0 {
            self.take_part(len - taken);
        }
    }

    #[inline]
    fn take_part(&mut self, len: usize) -> usize {
        let take = |part: &mut [u8]| {
            let len = len.min(part.len());
            (len, len)
        };
        let taken = self.socket.recv(take).unwrap_or(0);
        self.flow.rcv_base = self.flow.rcv_base.wrapping_add(taken as u32);
        self.flow.notes |= note::TOUCHED;
        taken
    }

    /// The peer has closed its side and everything before that was taken.
    #[inline]
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.socket.recv_queue() == 0 && self.peer_closed()
    }

    /// The peer has closed its side; bytes sent before that may still be pending.
    #[inline]
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        matches!(
            self.socket.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed
        )
    }

    /// The receive ring is full: nothing more can come before something is taken.
    #[inline]
    #[must_use]
    pub fn full(&self) -> bool {
        self.socket.recv_queue() == self.socket.recv_capacity()
    }

    /// Whether the application's side is still open for sending.
    #[inline]
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.socket.may_send()
    }

    /// Queues bytes for sending; returns how many fitted.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        // The free part of the ring may wrap: two goes, of which the second is rare.
        let mut sent = self.put(bytes);
        if sent < bytes.len() && sent > 0 {
            sent += self.put(&bytes[sent..]);
        }
        self.wrote(sent, sent < bytes.len())
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> usize {
        let put = self.socket.send(|part| {
            let len = bytes.len().min(part.len());
            part[..len].copy_from_slice(&bytes[..len]);
            (len, len)
        });
        put.unwrap_or(0)
    }

    /// Lets `fill` write into the contiguous free part of the transmit ring; it returns how much it wrote.
    #[inline]
    pub fn send_with(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let mut full = true;
        let sent = self
            .socket
            .send(|part| {
                let written = fill(part).min(part.len());
                full = written == part.len();
                (written, written)
            })
            .unwrap_or(0);
        self.wrote(sent, full)
    }

    #[inline]
    fn wrote(&mut self, sent: usize, short: bool) -> usize {
        if sent > 0 {
            self.flow.snd_end = self.flow.snd_end.wrapping_add(sent as u32);
            self.flow.bytes_out += sent as u64;
            self.flow.notes |= note::TOUCHED;
        }
        if short {
            self.flow.notes |= note::WANTS_ROOM;
        }
        sent
    }

    /// Free bytes in the transmit ring. An application that leaves the ring more than half full, or a call of
    /// [`Conn::send`] short, hears again when there is more.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        if self.socket.may_send() { self.socket.send_capacity() - self.socket.send_queue() } else { 0 }
    }

    /// Bytes queued and not yet acknowledged.
    #[inline]
    #[must_use]
    pub fn queued(&self) -> usize {
        self.socket.send_queue()
    }

    /// Closes this side: a FIN follows what is queued (half-close; receiving goes on).
    pub fn close(&mut self) {
        if self.socket.may_send() {
            self.socket.close();
            self.flow.state = self.socket.state() as u8;
            self.flow.notes |= note::FIN | note::TOUCHED;
        }
    }

    /// Ends the connection at once with an RST; what is queued is lost.
    pub fn abort(&mut self) {
        if self.socket.state() == State::Closed {
            // The peer was faster; the close is on its way.
            return;
        }
        self.socket.abort();
        self.flow.state = State::Closed as u8;
        self.flow.notes |= note::TOUCHED | note::GIVEN_UP;
    }
}

/// A UDP datagram and the room for one answer to it.
pub struct Datagram<'a> {
    pub(crate) id: FlowId,
    pub(crate) key: &'a FlowKey,
    pub(crate) user: u64,
    pub(crate) data: &'a [u8],
    pub(crate) room: &'a mut [u8],
    pub(crate) answer: Option<usize>,
}

impl<'a> Datagram<'a> {
    /// The handle of the flow.
    #[must_use]
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// The five-tuple: peer and local address and port of this datagram.
    #[must_use]
    pub fn key(&self) -> &'a FlowKey {
        self.key
    }

    /// The word given with the verdict.
    #[must_use]
    pub fn user(&self) -> u64 {
        self.user
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The longest answer that can be sent, in bytes (nothing is fragmented on the way out).
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.room.len()
    }

    /// Answers with one datagram, all or nothing; false where it is too long. A second answer replaces the first.
    pub fn reply(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.room.get_mut(..bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.answer = Some(bytes.len());
        true
    }
}
