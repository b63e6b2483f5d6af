//! Proxies on the admin socket: servers of upstreams, sessions, and what operators do to them.
//!
//! Invariant: as for all that is shown: counters only grow, and units are seconds, bytes and packets.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::FlowQuery;

/// What an operator says of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It takes sessions.
    Enabled,
    /// It keeps those it has and takes no new ones.
    Draining,
    /// It takes none, and those it has are reset.
    Disabled,
}

/// Which sessions; what is left out fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionQuery {
    /// What one of the legs has to be like; the limit is on sessions.
    pub leg: FlowQuery,
    /// Name of an upstream, or of an upstream and a server with `/` between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// Sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<SessionRow>,
    /// Whether there are more that fit.
    pub cut: bool,
    /// Workers that did not answer in time.
    pub silent_workers: Vec<usize>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The worker that owns both legs.
    pub worker: usize,
    /// Name of its service.
    pub service: String,
    /// Name of its upstream; empty while there is none, and for original destinations.
    pub upstream: String,
    /// Name of its server; likewise.
    pub server: String,
    /// `header`, `waiting`, `resolving`, `connecting`, `relaying` or `closing`.
    pub phase: String,
    /// The client leg, as long as it is there.
    pub client: Option<LegRow>,
    /// The upstream leg, as long as it is there.
    pub upstream_leg: Option<LegRow>,
    /// Since the client was there.
    pub age_seconds: f64,
    /// Since data came on either leg.
    pub idle_seconds: f64,
    /// Payload bytes from the client.
    pub bytes_up: u64,
    /// Payload bytes from the server.
    pub bytes_down: u64,
}

/// One leg of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegRow {
    /// Its handle on the session's worker.
    pub id: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The peer's address: the client's, or the server's.
    pub remote: IpAddr,
    /// The peer's port number.
    pub remote_port: u16,
    /// Our end.
    pub local: IpAddr,
    /// Our end's port number.
    pub local_port: u16,
    /// Name of the port.
    pub port: String,
    /// VLAN id; 0 for untagged.
    pub vlan: u16,
    /// State as RFC 9293 names it, or `UDP`.
    pub state: String,
    /// CPU of the worker that owns it.
    pub cpu: usize,
    /// The worker to which the port brings its packets; `None` where that is up to the device.
    pub home: Option<usize>,
}

/// One server of an upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerRow {
    /// Name of the upstream.
    pub upstream: String,
    /// Its name.
    pub server: String,
    /// Where it is; `None` if a reload took it away.
    pub address: Option<SocketAddr>,
    /// Its share.
    pub weight: u16,
    /// `enabled`, `draining` or `disabled`.
    pub admin: String,
    /// What health checks say: `up`, `down`, or `unknown` (none yet, or there are none).
    pub health: String,
    /// It is left out for a while because sessions could not connect.
    pub ejected: bool,
    /// Sessions with a place at it.
    pub sessions: u64,
    /// Attempts to connect.
    pub connects: u64,
    /// Attempts that succeeded.
    pub established: u64,
    /// Attempts that it refused or did not answer, or that could not be made.
    pub failed: u64,
    /// Established sessions that it reset.
    pub resets: u64,
    /// Payload bytes to it.
    pub bytes_up: u64,
    /// Payload bytes from it.
    pub bytes_down: u64,
    /// Health checks that succeeded.
    pub checks_passed: u64,
    /// Health checks that failed.
    pub checks_failed: u64,
}

/// Something was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What, in a line for people.
    pub message: String,
}
