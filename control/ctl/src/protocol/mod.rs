//! What is said on the admin socket: one JSON object in a line each way, shared by the daemon and millctl.
//!
//! Invariant: a request is refused unless it is understood whole; of an answer a client ignores what it does not
//! know. [`VERSION`] changes when a message of an older client would be misunderstood.

mod proxy;
mod show;

use serde::{Deserialize, Serialize};

pub use proxy::{Done, LegRow, ServerRow, ServerState, SessionList, SessionQuery, SessionRow};
pub use show::{
    ConfigView, DropRow, Drops, FlowList, FlowRow, MempoolRow, NeighbourList, NeighbourRow, PortRow,
    ServiceRow, VersionView, WorkerRow,
};

/// Version of the protocol.
pub const VERSION: u32 = 1;

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/millrace/admin.sock";

/// The longest request, in bytes, line feed included.
pub const MAX_REQUEST: usize = 16 * 1024;

/// The longest answer a client needs to take, in bytes.
pub const MAX_ANSWER: u64 = 64 << 20;

/// Flows in a listing unless more are asked for.
pub const DEFAULT_FLOWS: usize = 1_000;

/// The most flows in a listing.
pub const MAX_FLOWS: usize = 100_000;

/// The most neighbours in a listing.
pub const MAX_NEIGHBOURS: usize = 100_000;

/// One line to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// [`VERSION`] of the client.
    pub version: u32,
    /// What is wanted.
    pub request: Request,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The workers.
    Workers,
    /// The ports.
    Ports,
    /// Flows that fit.
    Flows(FlowQuery),
    /// The neighbour table.
    Neighbours,
    /// The packet buffer pools.
    Mempools,
    /// The services and what they did.
    Services,
    /// Dropped packets by reason.
    Drops,
    /// The configuration in force.
    Config,
    /// Versions.
    Version,
    /// Read the configuration file again.
    Reload,
    /// The servers of upstreams.
    Upstreams,
    /// Proxied sessions that fit.
    Sessions(SessionQuery),
    /// Put a server of an upstream into another state.
    UpstreamSet {
        /// Name of the upstream.
        upstream: String,
        /// Name of the server.
        server: String,
        /// What it is to be.
        to: ServerState,
    },
    /// Reset a flow, and with it the other leg of its session.
    ShutdownFlow {
        /// The worker that owns it.
        worker: usize,
        /// Its handle on that worker.
        id: String,
    },
}

/// Which flows; what is left out fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowQuery {
    /// An address at either end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<std::net::IpAddr>,
    /// A port number at either end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// TCP or UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Transport>,
    /// Name of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// State name as RFC 9293 has it, or `UDP`; upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// At most so many; [`DEFAULT_FLOWS`] if left out, never more than [`MAX_FLOWS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One line from the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`] of the daemon.
    pub version: u32,
    /// What came of the request.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was asked for.
    Answer(Answer),
    /// Why not.
    Error(Refusal),
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The workers.
    Workers(Vec<WorkerRow>),
    /// The ports.
    Ports(Vec<PortRow>),
    /// Flows.
    Flows(FlowList),
    /// Neighbours.
    Neighbours(NeighbourList),
    /// Packet buffer pools.
    Mempools(Vec<MempoolRow>),
    /// Services.
    Services(Vec<ServiceRow>),
    /// Drops.
    Drops(Drops),
    /// The configuration.
    Config(ConfigView),
    /// Versions.
    Version(VersionView),
    /// What a reload did.
    Reload(Reloaded),
    /// Servers of upstreams.
    Upstreams(Vec<ServerRow>),
    /// Proxied sessions.
    Sessions(SessionList),
    /// It was done.
    Done(Done),
}

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what is wrong and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Too many sessions or listings at a time.
    Busy,
    /// Not a request.
    Malformed,
    /// Longer than [`MAX_REQUEST`].
    TooLong,
    /// Another [`VERSION`].
    Version,
    /// Something named in the request does not exist.
    Unknown,
    /// A kind this client does not know.
    #[serde(other)]
    Other,
}

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether a configuration was put in force. If not, nothing has changed.
    pub succeeded: bool,
    /// The file.
    pub source: String,
    /// Version of the services now in force.
    pub services_version: u64,
    /// Keys whose new values are in force.
    pub applied: Vec<String>,
    /// Keys whose new values wait for a restart.
    pub needs_restart: Vec<String>,
    /// Why it was refused, one line each.
    pub problems: Vec<String>,
    /// What is allowed but probably not meant, one line each.
    pub warnings: Vec<String>,
}

/// Writes a message as one line, line feed included.
///
/// # Errors
/// Where a value has no JSON form; there is none in these types.
pub fn to_line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
