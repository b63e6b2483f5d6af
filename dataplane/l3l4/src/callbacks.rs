//! What the engine asks of its caller: buffers to write packets into, a verdict on new flows, and applications.
//!
//! Invariant: callbacks are called from inside `l3_rx`, `l4_tx`, `l4_poll` and the like, on the caller's thread,
//! and cannot reach the engine; what they want done to the flow at hand they do through [`Conn`] or
//! [`Datagram`], what they want done to another flow they queue and do after the call returns.

use crate::conn::Conn;
use crate::datagram::Datagram;
use crate::key::{FlowId, FlowKey, Protocol};
use core::time::Duration;

/// What to do with the first packet of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Make a flow of it; the word is kept with the flow ([`Conn::user`]).
    Accept(u64),
    /// The same, but a SYN is not answered before [`L3l4::answer`](crate::L3l4::answer) is called; datagrams are accepted.
    /// No cookie is ever sent for it: under pressure the SYN is dropped.
    Hold(u64),
    /// Answer with an RST or ICMP port unreachable, rate-limited.
    Reject,
    /// Say nothing: a service says so.
    Drop,
    /// Say nothing: no service matches.
    NoService,
    /// Say nothing: the destination address is not one of ours.
    NotOurs,
}

/// Why a flow ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum CloseReason {
    /// Both sides closed.
    Finished,
    /// The peer sent an RST.
    PeerReset,
    /// The application or the operator aborted it; an RST was sent.
    Aborted,
    /// Nothing came from the peer for the idle timeout.
    Idle,
    /// What was sent stayed unacknowledged for the user timeout (RFC 9293 section 3.8.3).
    UserTimeout,
    /// The handshake was not completed in time.
    HalfOpen,
    /// It made room for a new flow.
    Evicted,
    /// The peer took too little of what waited for it, though it answered (`Builder::tcp_slow_reader_timeout`).
    SlowReader,
    /// What the application waited for did not come in time ([`Conn::set_deadline`]), and it aborted.
    SlowSender,
    /// The peer answered the SYN with an RST.
    Refused,
    /// The peer did not answer the SYN in time.
    Unanswered,
    /// The peer answered no keepalive probe (`Builder::tcp_keepalive`).
    KeepAlive,
}

impl CloseReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Finished,
        Self::PeerReset,
        Self::Aborted,
        Self::Idle,
        Self::UserTimeout,
        Self::HalfOpen,
        Self::Evicted,
        Self::SlowReader,
        Self::SlowSender,
        Self::Refused,
        Self::Unanswered,
        Self::KeepAlive,
    ];

    /// The name used in metrics and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::PeerReset => "peer_reset",
            Self::Aborted => "aborted",
            Self::Idle => "idle",
            Self::UserTimeout => "user_timeout",
            Self::HalfOpen => "half_open",
            Self::Evicted => "evicted",
            Self::SlowReader => "slow_reader",
            Self::SlowSender => "slow_sender",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::KeepAlive => "keepalive",
        }
    }
}

/// What the caller must know of a packet that the engine hands out.
#[derive(Clone, Copy, Debug)]
pub struct TxMeta {
    /// The flow it belongs to; `None` for an answer that no flow stands behind (it goes where the packet at hand
    /// came from).
    pub flow: Option<FlowId>,
    /// Where it leaves: the `link` of the flow or of the packet at hand.
    pub link: u32,
    /// Length of the IP packet in bytes; it starts at the first byte of the buffer.
    pub len: usize,
    /// Length of the IP header in bytes.
    pub l3_len: usize,
    /// Whether the packet is IPv4.
    pub v4: bool,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The transport checksum is left to the caller: the field holds the pseudo-header's sum (see
    /// [`TxChecksum::Offload`](crate::TxChecksum::Offload)).
    pub checksum_pending: bool,
}

/// The caller's side of the engine.
pub trait Callbacks {
    /// What packets are written into: anything that gives a contiguous slice.
    type Buffer;

    /// A fresh buffer of at least the link's MTU, or `None` where none is left: then nothing is sent, nothing is
    /// lost, and the engine tries again at its next turn.
    fn l3_tx_buffer(&mut self) -> Option<Self::Buffer>;

    /// The writable bytes of a buffer.
    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Self::Buffer) -> &'b mut [u8];

    /// Sends a packet. The buffer is the caller's from here on.
    fn l3_tx(&mut self, buffer: Self::Buffer, meta: &TxMeta);

    /// What to do with a flow that is not there yet. Also asked before a stray segment is answered with an RST,
    /// so it must change nothing.
    fn l4_verdict(&mut self, key: &FlowKey) -> Verdict;

    /// A flow was made. The caller may set up its own state for [`FlowId::index`].
    fn l4_opened(&mut self, id: FlowId, key: &FlowKey, user: u64);

    /// The peer of a flow opened by [`L3l4::connect`](crate::L3l4::connect) refused or did not answer. Where another
    /// five-tuple comes back, the flow goes on with that one under the same handle, for as long as is said with it;
    /// else it is closed.
    fn l4_refused(
        &mut self,
        id: FlowId,
        key: &FlowKey,
        user: u64,
        reason: CloseReason,
    ) -> Option<(FlowKey, Duration)> {
        let _ = (id, key, user, reason);
        None
    }

    /// The five-tuple that [`Callbacks::l4_refused`] named is in use: another one instead, for as long as was said with the
    /// first; `None` ends the flow. Nobody has refused anything meanwhile.
    fn l4_in_use(&mut self, id: FlowId, key: &FlowKey, user: u64) -> Option<FlowKey> {
        let _ = (id, key, user);
        None
    }

    /// Something changed for a TCP connection: it was established, data came, room came free after too little was
    /// found, or the peer closed its side. Take and write what can be taken and written now.
    fn l4_rx(&mut self, conn: &mut Conn<'_>);

    /// What a connection was to wait for has not come: the time of [`Conn::set_deadline`] is over, or that of
    /// [`Callbacks::l4_idle`]. The deadline is gone, and may be set anew; what is not done here is to abort.
    fn l4_deadline(&mut self, conn: &mut Conn<'_>) {
        conn.abort();
    }

    /// How long an established connection may go without data from the peer while nothing is under way and no deadline
    /// is set; `None` for as long as the engine's own timeout lets it. Asked now and then, never per packet; it must
    /// change nothing and always say the same of a connection in the same state.
    fn l4_idle(&mut self, _: FlowId, _user: u64) -> Option<Duration> {
        None
    }

    /// A UDP datagram came in.
    fn l4_datagram(&mut self, datagram: &mut Datagram<'_>);

    /// A flow is about to end, having received and written so many payload bytes; [`Callbacks::l4_closed`] follows.
    fn l4_totals(&mut self, id: FlowId, user: u64, bytes_in: u64, bytes_out: u64) {
        let _ = (id, user, bytes_in, bytes_out);
    }

    /// A flow is gone; its handle is stale from here on.
    fn l4_closed(&mut self, id: FlowId, key: &FlowKey, user: u64, reason: CloseReason);
}
