//! How an engine is set up: sizes, timeouts, limits, links.
//!
//! Invariant: [`Builder::build`] gives back an engine only after it has seen a handshake answered with the
//! sequence number it chose (see `isn`), and all memory that depends on limits is taken there.

use crate::device::TxChecksum;
use crate::engine::L3l4;
use crate::recovery::CongestionControl;
use crate::time::Instant;
use core::time::Duration;
use thiserror::Error;

/// What an engine cannot be built with.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum BuildError {
    /// A value is outside of what can work.
    #[error("{what} is {value}; use {low} to {high}")]
    OutOfRange {
        /// Which option.
        what: &'static str,
        /// What was given.
        value: u64,
        /// The least that works.
        low: u64,
        /// The most that works.
        high: u64,
    },
    /// No link was given, or more than the 65,536 that a link number can name.
    #[error("{0} links given; use 1 to 65536")]
    Links(usize),
    /// The TCP stack behind does not draw sequence numbers as expected; they would be guessable.
    #[error("self-test failed: the handshake carried {0:#x} instead of the initial sequence number chosen")]
    SelfTest(u32),
}

/// One link: where packets come in and go out. Its number is its place in the order of [`Builder::link`] calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Longest IP packet that may leave, in bytes.
    pub mtu: usize,
    /// Who computes checksums of what leaves.
    pub tx_checksum: TxChecksum,
}

/// When SYNs are answered by cookies, so that nothing is remembered of a connection before it is established
/// (RFC 4987 section 3.6). Such connections have windows of 64 KiB at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SynCookies {
    /// Never: beyond a limit SYNs are dropped.
    Off,
    /// Where half of [`Limits::half_open`] is reached, or a source has its [`Limits::half_open_per_source`].
    #[default]
    Auto,
    /// Every SYN.
    Always,
}

/// Bounds of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows of all kinds, TIME-WAIT included.
    pub flows: usize,
    /// Connections on a stack among them, and direct ones with something under way; the rest are asleep, or in
    /// TIME-WAIT.
    pub live: usize,
    /// UDP flows among them.
    pub udp_flows: usize,
    /// Connections in SYN-RECEIVED.
    pub half_open: usize,
    /// Connections in SYN-RECEIVED from one source (an IPv4 address or an IPv6 /64, roughly); 0 for no limit.
    pub half_open_per_source: u16,
    /// RSTs without a flow, per second.
    pub rst_per_second: u32,
    /// ICMP errors, per second.
    pub icmp_per_second: u32,
    /// Challenge ACKs, per second (RFC 5961 section 7).
    pub challenge_acks_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 65_536,
            live: 65_536,
            udp_flows: 32_768,
            half_open: 8_192,
            half_open_per_source: 256,
            rst_per_second: 1_000,
            icmp_per_second: 100,
            challenge_acks_per_second: 1_000,
        }
    }
}

/// Options of an engine, with their defaults.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) links: Vec<Link>,
    pub(crate) mtu: usize,
    pub(crate) tx_checksum: TxChecksum,
    pub(crate) tcp_buffer_size: usize,
    pub(crate) tcp_idle_timeout: Duration,
    pub(crate) tcp_halfopen_idle_timeout: Duration,
    pub(crate) tcp_user_timeout: Duration,
    pub(crate) tcp_slow_reader_timeout: Option<Duration>,
    pub(crate) tcp_slow_reader_bytes: u32,
    pub(crate) tcp_fin_wait_timeout: Duration,
    pub(crate) tcp_time_wait: Duration,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) tcp_keepalive_interval: Duration,
    pub(crate) tcp_keepalive_probes: u8,
    pub(crate) tcp_synack_retries: u8,
    pub(crate) tcp_min_mss: u16,
    pub(crate) tcp_path_mtu_discovery: bool,
    pub(crate) tcp_min_path_mtu: u16,
    pub(crate) udp_idle_timeout: Duration,
    pub(crate) tcp_sleep_after: Option<Duration>,
    pub(crate) syn_cookies: SynCookies,
    pub(crate) direct: bool,
    pub(crate) congestion: CongestionControl,
    pub(crate) tcp_initial_window: u32,
    pub(crate) tcp_scoreboards: usize,
    pub(crate) limits: Limits,
    pub(crate) secret: [u8; 32],
    pub(crate) start: Instant,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            mtu: 1500,
            tx_checksum: TxChecksum::Software,
            tcp_buffer_size: 64 * 1024,
            tcp_idle_timeout: Duration::from_secs(7200),
            tcp_halfopen_idle_timeout: Duration::from_secs(7200),
            tcp_user_timeout: Duration::from_secs(120),
            tcp_slow_reader_timeout: Some(Duration::from_secs(60)),
            tcp_slow_reader_bytes: 1024,
            tcp_fin_wait_timeout: Duration::from_secs(60),
            tcp_time_wait: Duration::from_secs(10),
            tcp_keepalive: None,
            tcp_keepalive_interval: Duration::from_secs(15),
            tcp_keepalive_probes: 4,
            tcp_synack_retries: 5,
            tcp_min_mss: 64,
            tcp_path_mtu_discovery: true,
            tcp_min_path_mtu: 552,
            udp_idle_timeout: Duration::from_secs(300),
            tcp_sleep_after: Some(Duration::from_secs(5)),
            syn_cookies: SynCookies::Auto,
            direct: true,
            congestion: CongestionControl::default(),
            tcp_initial_window: 10,
            tcp_scoreboards: 65_536,
            limits: Limits::default(),
            secret: [0; 32],
            start: Instant::default(),
        }
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(mut self, value: $kind) -> Self { self.$name = value; self })*
    };
}

impl Builder {
    /// The defaults, under `secret`: 32 random bytes that nobody else knows (RFC 6528 section 3). Engines that
    /// share addresses should share the secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, ..Self::default() }
    }

    options! {
        /// Longest IP packet in bytes, for an engine with one link (default 1500).
        mtu: usize;
        /// Who computes checksums, for an engine with one link (default: the engine).
        tx_checksum: TxChecksum;
        /// Bytes of each connection's receive ring and, rounded down to whole segments, of its transmit ring
        /// (default 64 KiB; up to there no window scaling is needed and the receive ring is at most 65,535).
        tcp_buffer_size: usize;
        /// After how long without a packet from the peer a connection is aborted (default 7200 s).
        tcp_idle_timeout: Duration;
        /// The same in SYN-RECEIVED (default 7200 s; the SYN-ACK retries usually end it sooner).
        tcp_halfopen_idle_timeout: Duration;
        /// How long sent data may stay without any sign of the peer before the connection is aborted
        /// (RFC 9293 section 3.8.3; default 120 s).
        tcp_user_timeout: Duration;
        /// Within each such time a peer that answers has to take `tcp_slow_reader_bytes` of what waits for it, or all of
        /// it, else the connection is aborted; `None` for no such limit (RFC 9293 section 3.8.6.1; default 60 s). While
        /// its window is open, so that what it does not take may be lost on its way, it has the user timeout, if longer.
        tcp_slow_reader_timeout: Option<Duration>;
        /// See there (default 1024).
        tcp_slow_reader_bytes: u32;
        /// How long a closed connection waits for the peer's FIN (default 60 s).
        tcp_fin_wait_timeout: Duration;
        /// How long a finished connection is remembered (TIME-WAIT; default 10 s).
        tcp_time_wait: Duration;
        /// After how long without a segment a connection with nothing under way is probed (RFC 9293 section 3.8.4;
        /// default `None`: never). One whose stack holds bytes that the application has not taken is not.
        tcp_keepalive: Option<Duration>;
        /// The time between such probes (default 15 s).
        tcp_keepalive_interval: Duration;
        /// How many of them may go unanswered (default 4).
        tcp_keepalive_probes: u8;
        /// How often a SYN-ACK is sent again before the handshake is given up (default 5).
        tcp_synack_retries: u8;
        /// The smallest MSS a SYN may ask for (default 64).
        tcp_min_mss: u16;
        /// Whether connections send smaller segments where an ICMP error says so that can be believed
        /// ([`L3l4::path_mtu`]; default true).
        tcp_path_mtu_discovery: bool;
        /// The smallest path MTU that is believed (default 552; over IPv6 never less than 1280).
        tcp_min_path_mtu: u16;
        /// After how long without a datagram a UDP flow is forgotten (default 300 s).
        udp_idle_timeout: Duration;
        /// After how long without a packet an established connection with nothing under way gives up its stack and
        /// its buffers until there is something again; `None` for never (default 5 s).
        tcp_sleep_after: Option<Duration>;
        /// Whether a connection is served from its record until it needs a stack (default), or gets one with its SYN.
        direct: bool;
        /// When SYNs are answered by cookies (default: under pressure).
        syn_cookies: SynCookies;
        /// Congestion control of connections, and with it loss recovery (default: CUBIC, with recovery of our own).
        congestion: CongestionControl;
        /// How many segments may be sent before the first acknowledgment (RFC 6928; default 10).
        tcp_initial_window: u32;
        /// How many connections may have a detailed list of what is in flight at a time (default 65,536, and never
        /// more than flows); the others know less, and send again more than they must.
        tcp_scoreboards: usize;
        /// Bounds (see [`Limits`]).
        limits: Limits;
        /// The caller's clock when the engine is built.
        start: Instant;
    }

    /// Adds a link, numbered from 0 in the order of calls. With none added, one is made of `mtu` and
    /// `tx_checksum`.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Builds the engine.
    ///
    /// # Errors
    /// [`BuildError`] where an option is out of range or the self-test fails.
    pub fn build<B>(mut self) -> Result<L3l4<B>, BuildError> {
        if self.links.is_empty() {
            self.links.push(Link { mtu: self.mtu, tx_checksum: self.tx_checksum });
        }
        if self.links.len() > 65_536 {
            return Err(BuildError::Links(self.links.len()));
        }
        for link in &self.links {
            within("mtu", link.mtu, 576, 65_535)?;
        }
        let largest = self.links.iter().map(|l| l.mtu).max().unwrap_or(self.mtu);
        within("tcp_buffer_size", self.tcp_buffer_size, 2048.max(largest), 1 << 30)?;
        within("limits.flows", self.limits.flows, 1, 1 << 30)?;
        within("limits.live", self.limits.live, 1, 1 << 24)?;
        within("limits.udp_flows", self.limits.udp_flows, 0, self.limits.flows)?;
        within("limits.half_open", self.limits.half_open, 1, self.limits.flows)?;
        within("tcp_initial_window", self.tcp_initial_window as usize, 1, 1000)?;
        // Half of the sequence space: more could not be told from what was taken long ago.
        within("tcp_slow_reader_bytes", self.tcp_slow_reader_bytes as usize, 1, 1 << 30)?;
        within("tcp_min_mss", usize::from(self.tcp_min_mss), 48, 1220)?;
        within("tcp_min_path_mtu", usize::from(self.tcp_min_path_mtu), 296, 1280)?;
        crate::engine::self_test(&self)?;
        Ok(L3l4::new(&self))
    }

    /// Ring sizes: the transmit ring a whole number of segments, so that none is split where the ring wraps.
    pub(crate) fn rings(&self) -> (usize, usize) {
        let rx = if self.tcp_buffer_size == 65_536 { 65_535 } else { self.tcp_buffer_size };
        let mss = self.links.iter().map(|l| l.mtu - 40).max().unwrap_or(1460);
        (rx, self.tcp_buffer_size / mss * mss)
    }
}

fn within(what: &'static str, value: usize, low: usize, high: usize) -> Result<(), BuildError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(BuildError::OutOfRange { what, value: value as u64, low: low as u64, high: high as u64 })
}
