//! Proxying: how a service joins its flows to flows of Millrace's own, and the bounds of that.
//!
//! Invariant: of a checked service, `proxy` is there exactly when the action is `proxy`.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::PortRange;
use crate::config::section::{choice, section};
use crate::config::spec::default;
use crate::config::units::{millis, seconds};

choice! {
    /// Whose address the upstream sees.
    pub enum ProxySource {
        /// One of ours.
        Own = "own",
        /// The client's address and port.
        Client = "client",
    }
}

choice! {
    /// What precedes the client's bytes on the upstream leg.
    pub enum SendProxy {
        /// Nothing.
        None = "none",
        /// The PROXY protocol's header as text.
        V1 = "v1",
        /// The PROXY protocol's header, binary.
        V2 = "v2",
    }
}

section! {
    /// How a service proxies. `{}` connects to where the client was going.
    pub struct ServiceProxy {
        /// Name of the group of `upstreams` whose servers take the sessions. Without it a session goes to where the client was going (its original destination).
        "upstream" upstream: Option<String> = default(None).range(1..=64).example("web");
        /// Whose address the upstream sees: `own`, one of Millrace's, or `client`, the client's address and port (transparent; the upstream's answers must be routed through Millrace).
        "source" source: ProxySource = default(ProxySource::Own);
        /// With `own`: the addresses that upstream legs come from; others than the ports' own are answered for on the network they belong to. Empty: the address of the network a leg leaves by.
        "source_addresses" source_addresses: Vec<IpAddr> = default(Vec::new()).or_one().items(0..=64).example("[10.64.0.100]");
        /// Name of the port that upstream legs leave by. Without it the one whose subnet holds the server, else the first with a gateway.
        "egress" egress: Option<String> = default(None).range(1..=32).example("lan");
        /// With `egress`: the VLAN that upstream legs leave by; 0: untagged. Without it any of the port's.
        "egress_vlan" egress_vlan: Option<u16> = default(None).range(0..=4094).example("0");
        /// What precedes the client's bytes: a PROXY protocol header that tells the upstream who the client is, or nothing. TCP only.
        "send_proxy" send_proxy: SendProxy = default(SendProxy::None);
        /// The client begins with a PROXY protocol header (version 1 or 2) that says for whom it comes. TCP only; for clients that are proxies themselves.
        "accept_proxy" accept_proxy: bool = default(false);
        /// The client's SYN is answered when the upstream leg is established, and refused where it cannot be. TCP only.
        "wait_for_upstream" wait_for_upstream: bool = default(false);
        /// How long each attempt to connect may take.
        "connect_timeout" connect_timeout: Duration = default(Duration::from_secs(2)).range(millis(50)..=seconds(60));
        /// Further attempts after one that failed, at another server where there is one.
        "retries" retries: u16 = default(2).range(0..=16);
        /// The most sessions of the service at a time, over all workers: each worker has its share, rounded up.
        "max_connections" max_connections: Option<u32> = default(None).range(1..=16_777_216).example("10000");
        /// Sessions of a worker that may wait while every server has its `max_connections`; 0: none waits.
        "queue" queue: u32 = default(1024).range(0..=1_048_576);
        /// How long a session may wait so.
        "queue_timeout" queue_timeout: Duration = default(Duration::from_secs(5)).range(millis(50)..=seconds(3600));
        /// A session without data in either direction for so long ends: both legs are reset. TCP only; for UDP see `udp.idle_timeout`.
        "idle_timeout" idle_timeout: Duration = default(Duration::from_secs(3600)).range(seconds(1)..=seconds(604_800));
    }

    /// Bounds of proxying.
    pub struct Proxy {
        /// Sessions of a worker.
        "sessions" sessions: u32 = default(32_768).range(16..=8_388_608);
        /// Ports that upstream legs from Millrace's own addresses come from.
        "source_ports" source_ports: PortRange = default(PortRange { first: 1024, last: 65_535 });
        /// Servers (address and port) of a worker that such legs can go to at a time.
        "endpoints" endpoints: u32 = default(256).range(1..=65_536);
    }
}
