//! What the engine counts: plain numbers, added to on the path and read by the caller between turns.

use crate::callbacks::CloseReason;
use crate::drop::DropReason;
use crate::paths::PathMtu;

/// Counters of one engine. All only ever grow.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Packets delivered: to a flow, or to the making of one.
    pub delivered: u64,
    /// Packets dropped, by [`DropReason::index`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Packets handed out.
    pub tx_packets: u64,
    /// Times no transmit buffer was to be had.
    pub tx_nobuf: u64,
    /// TCP connections that reached ESTABLISHED.
    pub tcp_established: u64,
    /// TCP flows made by a SYN.
    pub tcp_opened: u64,
    /// TCP connections tried from here: SYNs to a new peer.
    pub tcp_connects: u64,
    /// Connections that gave up their stack for having nothing to do.
    pub tcp_slept: u64,
    /// Connections that got it back.
    pub tcp_woken: u64,
    /// SYNs answered by a cookie.
    pub syn_cookies_sent: u64,
    /// Connections opened by a cookie that came back.
    pub syn_cookies_accepted: u64,
    /// Segments of no flow, while cookies were out, that brought none back.
    pub syn_cookies_failed: u64,
    /// UDP flows made by a datagram.
    pub udp_opened: u64,
    /// Datagrams that could not be sent on the flow they were to be relayed to: gone, too long for its link, or no buffer.
    pub udp_relay_refused: u64,
    /// Flows ended, by [`CloseReason`].
    pub closed: [u64; CloseReason::ALL.len()],
    /// Segments sent again, for whatever reason (SYN-ACKs and zero-window probes included).
    pub tcp_retransmits: u64,
    /// Of these, sent again because acknowledgments showed a loss.
    pub tcp_fast_retransmits: u64,
    /// Of these, sent again to find out whether the tail was lost (RFC 8985).
    pub tcp_tail_probes: u64,
    /// Of these, sent again after the retransmission timer ran out.
    pub tcp_timeout_retransmits: u64,
    /// Times a retransmission timer ran out.
    pub tcp_timeouts: u64,
    /// Times a peer said that it got something twice (RFC 2883).
    pub tcp_spurious: u64,
    /// Times no memory was left to note what is in flight in detail.
    pub tcp_scoreboard_short: u64,
    /// ICMP errors that said a segment was too big, by [`PathMtu`].
    pub path_mtu: [u64; PathMtu::ALL.len()],
    /// Connections that began with a path MTU learned by another to the same peer.
    pub path_mtu_remembered: u64,
    /// Path MTUs forgotten before their time, for want of room.
    pub path_mtu_displaced: u64,
    /// Keepalive probes sent.
    pub keepalives_sent: u64,
    /// RSTs sent.
    pub rst_sent: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub challenge_acks: u64,
    /// ICMP and ICMPv6 errors sent.
    pub icmp_sent: u64,
    /// RSTs, challenge ACKs and ICMP errors held back by their rate limits.
    pub rate_limited: u64,
    /// FINs left for the peer to send again: they lay beyond the window.
    pub fin_deferred: u64,
    /// Payload bytes received in order over TCP.
    pub tcp_bytes_in: u64,
    /// Payload bytes written by applications over TCP.
    pub tcp_bytes_out: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            delivered: 0,
            dropped: [0; DropReason::ALL.len()],
            tx_packets: 0,
            tx_nobuf: 0,
            tcp_established: 0,
            tcp_opened: 0,
            tcp_connects: 0,
            tcp_slept: 0,
            tcp_woken: 0,
            syn_cookies_sent: 0,
            syn_cookies_accepted: 0,
            syn_cookies_failed: 0,
            udp_opened: 0,
            udp_relay_refused: 0,
            closed: [0; CloseReason::ALL.len()],
            tcp_retransmits: 0,
            tcp_fast_retransmits: 0,
            tcp_tail_probes: 0,
            tcp_timeout_retransmits: 0,
            tcp_timeouts: 0,
            tcp_spurious: 0,
            tcp_scoreboard_short: 0,
            path_mtu: [0; PathMtu::ALL.len()],
            path_mtu_remembered: 0,
            path_mtu_displaced: 0,
            keepalives_sent: 0,
            rst_sent: 0,
            challenge_acks: 0,
            icmp_sent: 0,
            rate_limited: 0,
            fin_deferred: 0,
            tcp_bytes_in: 0,
            tcp_bytes_out: 0,
        }
    }
}

impl Counters {
    #[inline]
    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason.index()] += 1;
    }

    /// All drops together.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}
