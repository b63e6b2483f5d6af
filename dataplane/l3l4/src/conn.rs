//! One flow as an application sees it, for the length of one callback.
//!
//! Invariant: what an application does not take stays in the receive ring and keeps the advertised window closed
//! by as much (back-pressure); what does not fit into the transmit ring is never half-accepted in silence: every
//! call says how much it took.

use crate::flow::{Flow, note};
use crate::held::Under;
use crate::key::{FlowId, FlowKey};
use crate::record::{self, Record};
use crate::waits;
use core::time::Duration;
use smoltcp::socket::tcp::{Socket, State};

/// A TCP connection.
pub struct Conn<'a> {
    pub(crate) id: FlowId,
    pub(crate) on: On<'a>,
    /// See [`Conn::relay`].
    pub(crate) peer: Option<FlowId>,
}

/// What serves a connection just now.
pub(crate) enum On<'a> {
    /// Its record, and the packet at hand.
    Record(Direct<'a>),
    /// Its stack.
    Stack { flow: &'a mut Flow, socket: &'a mut Socket<'static> },
}

/// A connection without a stack: what came is still in its packet, what goes is put where it is held until it has been
/// acknowledged.
pub(crate) struct Direct<'a> {
    pub(crate) record: &'a mut Record,
    pub(crate) under: &'a mut Under,
    pub(crate) room: &'a mut [u8],
    pub(crate) data: &'a [u8],
    /// Bytes of `data` that were taken.
    pub(crate) taken: usize,
    /// The application had more to send than there was room for.
    pub(crate) short: bool,
    /// It said how long it waits: [`Under::word`].
    pub(crate) spoken: bool,
}

impl Direct<'_> {
    #[inline]
    fn may_send(&self) -> bool {
        !self.record.has(record::note::FIN_OUT | record::note::ABORT | record::note::HALF_OPEN)
    }

    #[inline]
    fn send_with(&mut self, fill: impl FnOnce(&mut [u8]) -> (usize, bool)) -> usize {
        if !self.may_send() {
            return 0;
        }
        let room = self.under.room(self.room);
        let (sent, short) = fill(room);
        let sent = sent.min(room.len());
        self.under.len += sent as u16;
        self.record.bytes_out += sent as u64;
        self.short |= short;
        sent
    }
}

impl<'a> Conn<'a> {
    pub(crate) fn on_stack(id: FlowId, flow: &'a mut Flow, socket: &'a mut Socket<'static>) -> Self {
        Self { id, on: On::Stack { flow, socket }, peer: None }
    }

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
        match &self.on {
            On::Record(direct) => &direct.record.key,
            On::Stack { flow, .. } => &flow.key,
        }
    }

    /// The word given with the verdict.
    #[inline]
    #[must_use]
    pub fn user(&self) -> u64 {
        match &self.on {
            On::Record(direct) => direct.record.user,
            On::Stack { flow, .. } => flow.user,
        }
    }

    /// Payload bytes received in order so far; those at hand count when they are taken or have a ring to lie in.
    #[inline]
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        match &self.on {
            On::Record(direct) => direct.record.bytes_in,
            On::Stack { flow, .. } => flow.bytes_in,
        }
    }

    /// Payload bytes written by the application so far.
    #[inline]
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        match &self.on {
            On::Record(direct) => direct.record.bytes_out,
            On::Stack { flow, .. } => flow.bytes_out,
        }
    }

    /// Sequence number of the first received byte not yet taken, or of the one to come.
    #[inline]
    #[must_use]
    pub fn front(&self) -> u32 {
        match &self.on {
            On::Record(direct) => direct.record.rcv_nxt.wrapping_add(direct.taken as u32),
            On::Stack { flow, .. } => flow.rcv_base,
        }
    }

    /// Received bytes not yet taken: the contiguous front part (there may be more, see [`Conn::pending`]).
    #[inline]
    #[must_use]
    pub fn data(&mut self) -> &[u8] {
        match &mut self.on {
            On::Record(direct) => &direct.data[direct.taken..],
            On::Stack { socket, .. } => socket.peek(usize::MAX).unwrap_or(&[]),
        }
    }

    /// How many received bytes have not been taken.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> usize {
        match &self.on {
            On::Record(direct) => direct.data.len() - direct.taken,
            On::Stack { socket, .. } => socket.recv_queue(),
        }
    }

    /// Copies received bytes from the front without taking them; returns how many.
    #[inline]
    pub fn copy(&mut self, into: &mut [u8]) -> usize {
        match &mut self.on {
            On::Record(direct) => {
                let data = &direct.data[direct.taken..];
                let len = data.len().min(into.len());
                into[..len].copy_from_slice(&data[..len]);
                len
            }
            On::Stack { socket, .. } => socket.peek_slice(into).unwrap_or(0),
        }
    }

    /// Takes `len` received bytes (at most what is pending); the window opens by as much.
    #[inline]
    pub fn take(&mut self, len: usize) {
        match &mut self.on {
            On::Record(direct) => direct.taken = (direct.taken + len).min(direct.data.len()),
            On::Stack { flow, socket } => {
                // The ring may wrap, so the bytes lie in at most two parts.
                let taken = take_part(flow, socket, len);
                if taken < len && taken > 0 {
                    take_part(flow, socket, len - taken);
                }
            }
        }
    }

    /// The peer has closed its side and everything before that was taken.
    #[inline]
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.pending() == 0 && self.peer_closed()
    }

    /// The peer has closed its side; bytes sent before that may still be pending.
    #[inline]
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        match &self.on {
            On::Record(direct) => direct.record.has(record::note::FIN_IN | record::note::ABORT),
            On::Stack { socket, .. } => matches!(
                socket.state(),
                State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed
            ),
        }
    }

    /// The receive ring is full: nothing more can come before something is taken.
    #[inline]
    #[must_use]
    pub fn full(&self) -> bool {
        match &self.on {
            // What is left of a packet moves into a ring that has room for more.
            On::Record(_) => false,
            On::Stack { socket, .. } => socket.recv_queue() == socket.recv_capacity(),
        }
    }

    /// The handshake is not complete: whoever calls from outside of a callback can meet it so.
    pub(crate) fn is_half_open(&self) -> bool {
        match &self.on {
            On::Record(direct) => direct.record.has(record::note::OPENING),
            On::Stack { flow, .. } => flow.is_half_open(),
        }
    }

    /// Whether the application's side is still open for sending.
    #[inline]
    #[must_use]
    pub fn may_send(&self) -> bool {
        match &self.on {
            On::Record(direct) => direct.may_send(),
            On::Stack { socket, .. } => socket.may_send(),
        }
    }

    /// Queues bytes for sending; returns how many fitted.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        match &mut self.on {
            On::Record(direct) => direct.send_with(|room| {
                let len = bytes.len().min(room.len());
                room[..len].copy_from_slice(&bytes[..len]);
                (len, len < bytes.len())
            }),
            On::Stack { flow, socket } => {
                // The free part of the ring may wrap: two goes, of which the second is rare.
                let mut sent = put(socket, bytes);
                if sent < bytes.len() && sent > 0 {
                    sent += put(socket, &bytes[sent..]);
                }
                wrote(flow, sent, sent < bytes.len())
            }
        }
    }

    /// Lets `fill` write into the contiguous free part of the transmit ring; it returns how much it wrote.
    #[inline]
    pub fn send_with(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        match &mut self.on {
            On::Record(direct) => direct.send_with(|room| {
                let written = fill(room);
                (written, written >= room.len())
            }),
            On::Stack { flow, socket } => {
                let mut full = true;
                let sent = socket.send(|part| {
                    let written = fill(part).min(part.len());
                    full = written == part.len();
                    (written, written)
                });
                wrote(flow, sent.unwrap_or(0), full)
            }
        }
    }

    /// Free bytes in the transmit ring. An application that leaves the ring more than half full, or a call of
    /// [`Conn::send`] short, hears again when there is more.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        match &self.on {
            On::Record(direct) if direct.may_send() => direct.room.len() - usize::from(direct.under.len),
            On::Stack { socket, .. } if socket.may_send() => socket.send_capacity() - socket.send_queue(),
            _ => 0,
        }
    }

    /// Bytes queued and not yet acknowledged.
    #[inline]
    #[must_use]
    pub fn queued(&self) -> usize {
        match &self.on {
            On::Record(direct) => usize::from(direct.under.len),
            On::Stack { socket, .. } => socket.send_queue(),
        }
    }

    /// Closes this side: a FIN follows what is queued (half-close; receiving goes on).
    #[inline]
    pub fn close(&mut self) {
        match &mut self.on {
            On::Record(direct) => {
                if direct.may_send() {
                    let first = !direct.record.has(record::note::FIN_IN);
                    direct.record.notes |=
                        record::note::FIN_OUT | if first { record::note::FIRST } else { 0 };
                }
            }
            On::Stack { flow, socket } => {
                if socket.may_send() {
                    socket.close();
                    flow.state = socket.state() as u8;
                    flow.notes |= note::FIN | note::TOUCHED;
                }
            }
        }
    }

    /// Says how long what the application waits for may take, from the packet at hand on, in place of what it said
    /// before; `None`: it waits for nothing. What comes meanwhile does not move it: when it is over
    /// [`Callbacks::l4_deadline`](crate::Callbacks::l4_deadline) is called. Kept in milliseconds, at most a week.
    pub fn set_deadline(&mut self, after: Option<Duration>) {
        let word = waits::word(after);
        match &mut self.on {
            On::Record(direct) => {
                direct.under.word = word;
                direct.spoken = true;
            }
            On::Stack { flow, .. } => {
                flow.word = word;
                flow.notes |= note::SPOKEN;
            }
        }
    }

    /// Joins this connection with another for this time: when the callback returns, what is readable on either is moved
    /// to the other as far as there is room, and where all was moved that came before an end, the other is closed for
    /// sending. Who finds too little room hears again when there is more. To be called each time something is heard of
    /// either.
    #[inline]
    pub fn relay(&mut self, peer: FlowId) {
        self.peer = Some(peer);
    }

    /// Ends the connection at once with an RST; what is queued is lost.
    pub fn abort(&mut self) {
        match &mut self.on {
            On::Record(direct) => direct.record.notes |= record::note::ABORT,
            On::Stack { flow, socket } => {
                if socket.state() == State::Closed {
                    // The peer was faster; the close is on its way.
                    return;
                }
                // What was received until then is counted by the state before this one.
                socket.abort();
                flow.notes |= note::TOUCHED | note::GIVEN_UP;
            }
        }
    }
}

#[inline]
fn take_part(flow: &mut Flow, socket: &mut Socket<'static>, len: usize) -> usize {
    let take = |part: &mut [u8]| {
        let len = len.min(part.len());
        (len, len)
    };
    let taken = socket.recv(take).unwrap_or(0);
    flow.rcv_base = flow.rcv_base.wrapping_add(taken as u32);
    flow.notes |= note::TOUCHED;
    taken
}

#[inline]
fn put(socket: &mut Socket<'static>, bytes: &[u8]) -> usize {
    let put = socket.send(|part| {
        let len = bytes.len().min(part.len());
        part[..len].copy_from_slice(&bytes[..len]);
        (len, len)
    });
    put.unwrap_or(0)
}

#[inline]
fn wrote(flow: &mut Flow, sent: usize, short: bool) -> usize {
    if sent > 0 {
        flow.snd_end = flow.snd_end.wrapping_add(sent as u32);
        flow.bytes_out += sent as u64;
        flow.notes |= note::TOUCHED;
    }
    if short {
        flow.notes |= note::WANTS_ROOM;
    }
    sent
}
