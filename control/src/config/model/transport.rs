//! TCP and UDP of flows that end here.
//!
//! Invariant: changed values apply to flows opened after a restart; a live flow keeps what it was opened with.

use std::time::Duration;

use crate::config::section::{choice, section};
use crate::config::spec::default;
use crate::config::units::{Size, kib, mib, millis, seconds};

choice! {
    /// TCP congestion control.
    pub enum Congestion {
        /// Reno as the stack behind has it: the cheapest, but two losses in one window usually cost a second.
        Stack = "stack",
        /// CUBIC (RFC 9438) with recovery of losses by selective acknowledgments, RACK and tail-loss probes (RFC 8985).
        Cubic = "cubic",
        /// Reno (RFC 5681) with the same recovery.
        Reno = "reno",
        /// None: sends what the peer's window allows. For lossless links only.
        None = "none",
    }
}

choice! {
    /// When SYNs are answered by cookies.
    pub enum SynCookies {
        /// Where half of `limits.half_open` or `limits.half_open_per_source` is reached.
        Auto = "auto",
        /// Never: beyond the limits SYNs are dropped.
        Off = "off",
        /// Every SYN.
        Always = "always",
    }
}

section! {
    /// TCP of flows that end here.
    pub struct Tcp {
        /// Receive buffer and send buffer of a flow, each.
        "buffer_size" buffer_size: Size = default(Size::from_bytes(kib(64))).range(kib(2)..=mib(16));
        /// An established flow without a packet is closed after this time.
        "idle_timeout" idle_timeout: Duration = default(Duration::from_secs(7200)).range(seconds(1)..=seconds(604_800));
        /// A flow whose handshake is not finished (SYN-RECEIVED) is closed this long after its SYN; `synack_retries` usually ends it sooner.
        "halfopen_idle_timeout" halfopen_idle_timeout: Duration = default(Duration::from_secs(7200)).range(seconds(1)..=seconds(604_800));
        /// How often a SYN-ACK is sent again before the handshake is given up.
        "synack_retries" synack_retries: u32 = default(5).range(0..=15);
        /// Whether SYNs are answered without remembering them (RFC 4987): `auto` under pressure. Flows opened so have no window scaling.
        "syn_cookies" syn_cookies: SynCookies = default(SynCookies::Auto);
        /// Whether a flow is served from its record until it needs a stack (bytes out of order, an answer of more than 4 KiB, a small window), or gets a stack with its SYN.
        "direct" direct: bool = default(true);
        /// An established flow on a stack with nothing under way gives it up, buffers included, after this time without a packet; 0 s for never.
        "sleep_after" sleep_after: Duration = default(Duration::from_secs(5)).range(seconds(0)..=seconds(86_400));
        /// An idle flow is probed after this time without a packet (RFC 9293, 3.8.4), so that a peer that is gone is noticed and devices on the way remember the flow; 0 s for never.
        "keepalive" keepalive: Duration = default(Duration::ZERO).range(seconds(0)..=seconds(86_400));
        /// From one such probe to the next.
        "keepalive_interval" keepalive_interval: Duration = default(Duration::from_secs(15)).range(seconds(1)..=seconds(3600));
        /// How many of them may go unanswered before the flow is closed.
        "keepalive_probes" keepalive_probes: u16 = default(4).range(1..=100);
        /// Sent data that stays unacknowledged this long aborts the flow (RFC 9293, 3.8.3).
        "user_timeout" user_timeout: Duration = default(Duration::from_secs(120)).range(seconds(1)..=seconds(86_400));
        /// While something waits for a peer, it has to take `slow_reader_bytes` of it, or all, within each such time, else the flow is aborted (`slow_reader`); 0 s for never, as RFC 9293 has it (MUST-37). A peer that says nothing at all is a matter of `user_timeout`.
        "slow_reader_timeout" slow_reader_timeout: Duration = default(Duration::from_secs(60)).range(seconds(0)..=seconds(86_400));
        /// See `slow_reader_timeout`.
        "slow_reader_bytes" slow_reader_bytes: Size = default(Size::from_bytes(kib(1))).range(1..=mib(16));
        /// A flow that has sent everything and its FIN (FIN-WAIT-2) is closed after this time without a packet from the peer.
        "fin_wait_timeout" fin_wait_timeout: Duration = default(Duration::from_secs(60)).range(seconds(1)..=seconds(3600));
        /// How long a closed flow keeps its five-tuple (RFC 9293 says twice the MSL).
        "time_wait" time_wait: Duration = default(Duration::from_secs(10)).range(millis(100)..=seconds(240));
        /// Congestion control, and with it recovery from losses: `cubic` and `reno` recover without timeouts; `stack` is cheaper by some 10 % per request and for links that lose nothing.
        "congestion" congestion: Congestion = default(Congestion::Cubic);
        /// The smallest segment size (MSS) a peer may ask for: SYNs that ask for less are dropped (`tcp_tiny_mss`).
        "min_mss" min_mss: u16 = default(64).range(48..=1220);
        /// Whether a flow sends smaller segments where an ICMP error says that one was too big for the path (RFC 1191, RFC 8201), and quotes what is under way (RFC 5927).
        "path_mtu_discovery" path_mtu_discovery: bool = default(true);
        /// The smallest path MTU that such an error is believed, in bytes; over IPv6 never less than 1280.
        "min_path_mtu" min_path_mtu: u16 = default(552).range(296..=1280);
    }

    /// UDP of flows that end here.
    pub struct Udp {
        /// A flow without a packet is forgotten after this time.
        "idle_timeout" idle_timeout: Duration = default(Duration::from_secs(300)).range(seconds(1)..=seconds(86_400));
    }
}
