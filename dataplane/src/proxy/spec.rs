//! What a proxy is told: upstream groups with their servers, and how a service uses them.
//!
//! Invariant: plain values, checked by whoever read the configuration; nothing here changes after construction but the
//! [`ServerStatus`] that a server's entries share over all workers and reloads.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;

use l3l4::Addr;

use super::roster::Roster;
use super::source_ports::Endpoint;
use super::status::{Changes, ServerStatus};

/// Bounds of proxying on each worker, fixed at start.
#[derive(Clone, Debug)]
pub struct ProxyLimits {
    /// Sessions at a time.
    pub sessions: usize,
    /// Ports that legs from an address of ours may come from.
    pub source_ports: RangeInclusive<u16>,
    /// Server endpoints that such legs can go to at a time.
    pub endpoints: usize,
    /// Secret of the first source port; random, the same on every worker.
    pub secret: [u8; 16],
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self { sessions: 32_768, source_ports: 1024..=u16::MAX, endpoints: 256, secret: [0; 16] }
    }
}

/// Every upstream group, exchanged together with the services.
#[derive(Clone, Default)]
pub struct Upstreams {
    /// Groups by number. Numbers keep their meaning for as long as the process runs: a group that is gone has no
    /// servers any more.
    pub groups: Vec<Upstream>,
    /// Servers by number, those that are gone among them; likewise.
    pub servers: Vec<ServerName>,
    /// Counts up whenever the status of a server changes.
    pub changes: Arc<Changes>,
}

/// What a server is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName {
    /// Its group's name.
    pub upstream: Arc<str>,
    /// Its own, unique in the group.
    pub server: Arc<str>,
}

/// One upstream group.
#[derive(Clone)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Who takes the next session. [`super::Member::maximum`] is the share of one worker.
    pub roster: Arc<Roster>,
    /// The servers, by their position in the roster.
    pub servers: Vec<ServerSpec>,
    /// How servers are asked whether they are up; `None`: they count as up.
    pub health: Option<HealthCheck>,
    /// When a server that refuses is left out for a while; `None`: never.
    pub eject: Option<Eject>,
}

/// One server of a group.
#[derive(Clone)]
pub struct ServerSpec {
    /// Its number, for counters.
    pub number: u16,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Shared by all workers, and kept over reloads.
    pub status: Arc<ServerStatus>,
}

/// How a server is asked whether it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is tried.
    pub kind: CheckKind,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Checks in a row that have to succeed before a server that is down is up again.
    pub rise: u8,
    /// Checks in a row that have to fail before a server that is up is down.
    pub fall: u8,
}

/// What a health check does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A TCP connection is opened and closed.
    Tcp,
    /// An HTTP request is answered with a status within the range.
    Http {
        /// The whole request for each server, by its position in the roster; at most 2 KiB: `GET path HTTP/1.1`,
        /// `Host` (which may be the server's address), `Connection: close`.
        requests: Arc<[Arc<[u8]>]>,
        /// Statuses that count as success.
        expect: RangeInclusive<u16>,
    },
}

/// Passive ejection: what sessions experience counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eject {
    /// Attempts in a row, on one worker, that have to fail.
    pub failures: u16,
    /// For how long the server gets no sessions then.
    pub time: Duration,
}

/// How a service proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySpec {
    /// Where sessions go.
    pub target: Target,
    /// Which address the upstream sees.
    pub source: Source,
    /// The port and VLAN upstream legs leave by; `None`: where the server's subnet or a gateway is.
    pub egress: Option<Egress>,
    /// What precedes the client's bytes on the upstream leg.
    pub send_header: SendHeader,
    /// The client leg begins with a PROXY protocol header, which says who the client is.
    pub accept_header: bool,
    /// The client's SYN is answered when the upstream leg is established.
    pub wait_for_upstream: bool,
    /// How long each attempt may take.
    pub connect_timeout: Duration,
    /// Further attempts after the first.
    pub retries: u8,
    /// Sessions of the service on one worker; `None`: as many as there is room for.
    pub maximum: Option<u32>,
    /// Sessions of the service on one worker that may wait for a server with room.
    pub queue: u32,
    /// How long they may wait.
    pub queue_timeout: Duration,
    /// After so long without data on either leg both are reset (TCP).
    pub idle_timeout: Duration,
}

/// Where sessions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a server of the group of this number.
    Upstream(u16),
    /// To where the client was going.
    Original,
}

/// Which address the upstream sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One of these of ours; empty: that of the network the leg leaves by.
    Own(Arc<[Addr]>),
    /// The client's address and port (transparent).
    Client,
}

/// A network by port number and VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Number of the port.
    pub port: u16,
    /// VLAN id; `None`: any of the port's networks.
    pub vlan: Option<u16>,
}

/// What precedes the client's bytes on the upstream leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendHeader {
    /// Nothing.
    #[default]
    None,
    /// The PROXY protocol's header, version 1 (text).
    V1,
    /// The same, version 2 (binary).
    V2,
}
