//! Following connections passively: what bounds it.
//!
//! Invariant: all of it is per worker and fixed at start.

use std::time::Duration;

use crate::config::section::{choice, section};
use crate::config::spec::default;
use crate::config::units::{Size, kib, mib, millis, seconds};

choice! {
    /// Which copy counts where segments overlap that wait for their turn.
    pub enum Overlap {
        /// The one that came first.
        First = "first",
        /// The one that came last.
        Last = "last",
    }
}

choice! {
    /// What of a flow is told as events.
    pub enum Observe {
        /// Nothing.
        None = "none",
        /// That it begins, ends, and lacks bytes.
        Flow = "flow",
        /// Also the messages of HTTP/1 in it.
        Http = "http",
        /// Also the bytes of its streams, but no messages.
        Tcp = "tcp",
        /// All of it.
        All = "all",
    }
}

section! {
    /// Bounds of following connections (`action: monitor`), and of reading HTTP in them, for each worker.
    pub struct Monitor {
        /// Connections followed at once; beyond that the oldest is given up.
        "flows" flows: u32 = default(65_536).range(16..=16_777_216);
        /// Those of them whose handshake is not complete.
        "half_open" half_open: u32 = default(16_384).range(1..=16_777_216);
        /// Segments held because something before them is missing. Each keeps a packet buffer of `mempool`.
        "held" held: u32 = default(1024).range(1..=1_048_576);
        /// The same for one direction of a connection.
        "held_per_stream" held_per_stream: u32 = default(256).range(1..=65_536);
        /// Payload bytes in those.
        "held_bytes_per_stream" held_bytes_per_stream: Size = default(Size::from_bytes(mib(1))).range(kib(1)..=mib(1024));
        /// How long bytes may be missing that the other side has acknowledged, before they are a gap: a mirror may show the acknowledgment first.
        "acked_grace" acked_grace: Duration = default(Duration::from_millis(200)).range(millis(0)..=seconds(60));
        /// How long bytes may be missing at all.
        "hole_age" hole_age: Duration = default(Duration::from_secs(10)).range(millis(1)..=seconds(3600));
        /// A connection without a packet is over after this time.
        "idle_timeout" idle_timeout: Duration = default(Duration::from_secs(300)).range(seconds(1)..=seconds(604_800));
        /// The same before its handshake is complete.
        "half_open_timeout" half_open_timeout: Duration = default(Duration::from_secs(30)).range(seconds(1)..=seconds(3600));
        /// How long a connection is remembered after its end, so that late packets are not taken for another.
        "linger" linger: Duration = default(Duration::from_secs(5)).range(millis(0)..=seconds(240));
        /// Which copy counts where segments overlap that wait for their turn.
        "overlap" overlap: Overlap = default(Overlap::First);
        /// Whether connections are followed whose beginning was not seen.
        "midstream" midstream: bool = default(true);
        /// Whether segments with a wrong checksum are dropped. `false` where packets are captured before their checksums are filled in.
        "verify_checksums" verify_checksums: bool = default(true);
        /// Longest head of an HTTP message.
        "http_head" http_head: Size = default(Size::from_bytes(kib(64))).range(1024..=mib(1));
        /// Most fields in such a head.
        "http_headers" http_headers: u32 = default(128).range(8..=1024);
        /// Most requests of a connection that wait for their responses.
        "http_pipeline" http_pipeline: u32 = default(32).range(1..=1024);
        /// Memory for heads that came in pieces.
        "http_memory" http_memory: Size = default(Size::from_bytes(mib(16))).range(mib(1)..=mib(4096));
    }
}
