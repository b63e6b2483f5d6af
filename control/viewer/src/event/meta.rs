//! The keys of the meta, as docs/events.md names them.
//!
//! Invariant: times are 64-bit nanoseconds since 1970 UTC and lengths are bytes, from end to end.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Only the version, for metas of other versions.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) v: u64,
}

/// The keys of every event.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Common {
    pub(crate) v: u64,
    pub(crate) run: String,
    pub(crate) worker: u32,
    pub(crate) seq: u64,
    pub(crate) dropped: u64,
    pub(crate) time: u64,
    pub(crate) flow: String,
    pub(crate) service: String,
    pub(crate) action: String,
    pub(crate) ingress: String,
    pub(crate) vlan: u16,
    pub(crate) client: End,
    pub(crate) server: End,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

impl core::fmt::Display for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl Direction {
    /// 0 for the client, 1 for the server.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }

    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// `flow.open`
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Open {
    pub(crate) midstream: bool,
}

/// `tcp.data`. Its length is that of the payload.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Piece {
    pub(crate) direction: Direction,
    pub(crate) offset: u64,
}

/// `gap`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Gap {
    pub(crate) direction: Direction,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) cause: String,
}

/// `http.request` and `http.response`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Http {
    pub(crate) exchange: u64,
    pub(crate) offset: u64,
    pub(crate) begin: u64,
    pub(crate) version: String,
    pub(crate) method: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) framing: String,
    pub(crate) head_length: u64,
    pub(crate) body_length: u64,
    pub(crate) body_left_out: u64,
    pub(crate) body_missing: u64,
    #[serde(default)]
    pub(crate) holes: Vec<(u64, u64)>,
    pub(crate) complete: bool,
    pub(crate) resync: bool,
    #[serde(default)]
    pub(crate) upgrade: bool,
    pub(crate) request: Option<Asked>,
}

impl Http {
    /// The value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What a response says of its request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) begin: u64,
}

/// `flow.close`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Close {
    pub(crate) reason: String,
    pub(crate) state: Both<String>,
    pub(crate) duration: u64,
    pub(crate) handshake_rtt: Option<u64>,
    pub(crate) sent: Both<Sent>,
}

/// One for each side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Both<T> {
    pub(crate) client: T,
    pub(crate) server: T,
}

/// What one side sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) retransmitted: u64,
    pub(crate) out_of_order: u64,
    pub(crate) conflicts: u64,
    pub(crate) gaps: u64,
    pub(crate) missing: u64,
    pub(crate) zero_windows: u64,
    pub(crate) zero_window_time: u64,
    pub(crate) rtt_min: Option<serde_json::Number>,
    pub(crate) rtt_max: Option<serde_json::Number>,
    pub(crate) rtt_mean: Option<serde_json::Number>,
    pub(crate) rtt_samples: u64,
}
