//! What the admin socket shows: rows of plain values in base units.
//!
//! Invariant: counters only grow while the daemon runs; seconds, bytes and packets are the only units.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// Its number.
    pub worker: usize,
    /// Its CPU.
    pub cpu: usize,
    /// Whether it gave a sign of life lately.
    pub alive: bool,
    /// Seconds since its last sign of life.
    pub silent_seconds: f64,
    /// Seconds in turns that found packets.
    pub busy_seconds: f64,
    /// Seconds in turns that found none.
    pub idle_seconds: f64,
    /// Turns of its loop.
    pub turns: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets delivered.
    pub delivered: u64,
    /// Packets dropped.
    pub dropped: u64,
    /// Packets handed to other workers.
    pub steered_out: u64,
    /// Packets taken from other workers.
    pub steered_in: u64,
    /// Flows.
    pub flows: u64,
    /// TCP flows.
    pub tcp_flows: u64,
    /// TCP flows asleep: without a stack, and with nothing under way.
    #[serde(default)]
    pub asleep: u64,
    /// TCP flows in the handshake.
    pub half_open: u64,
    /// UDP flows.
    pub udp_flows: u64,
    /// Median time from a packet's arrival to the departure of what it caused, in seconds; 0 without packets.
    pub latency_p50_seconds: f64,
    /// The same, 99th percentile.
    pub latency_p99_seconds: f64,
}

/// One port.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PortRow {
    /// Its name.
    pub port: String,
    /// Its DPDK device.
    pub device: String,
    /// Its DPDK driver.
    pub driver: String,
    /// Its Ethernet address.
    pub mac: String,
    /// Whether the link is up; `None` if it cannot be read.
    pub up: Option<bool>,
    /// Speed of the link in bits per second; `None` if unknown.
    pub speed_bits: Option<u64>,
    /// Longest IP packet.
    pub mtu: u16,
    /// Receive queues.
    pub queues: u16,
    /// How packets come to the owner of their flow.
    pub steering: String,
    /// Own addresses, as `10.64.0.2/24` or `10.65.0.2/24 vlan 100`.
    pub addresses: Vec<String>,
    /// Packets received by workers.
    pub rx_packets: u64,
    /// Bytes of those.
    pub rx_bytes: u64,
    /// Packets sent by workers.
    pub tx_packets: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// Packets given up because the transmit queue stayed full.
    pub tx_dropped: u64,
    /// Packets the device dropped because a receive queue was full.
    pub rx_missed: u64,
    /// Packets the device received in error.
    pub rx_errors: u64,
    /// Packets the device had no buffer for.
    pub rx_nombuf: u64,
    /// Packets the device could not send.
    pub tx_errors: u64,
}

/// Flows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowList {
    /// The flows.
    pub flows: Vec<FlowRow>,
    /// Whether there are more that fit.
    pub cut: bool,
    /// Workers that did not answer in time.
    pub silent_workers: Vec<usize>,
}

/// One flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowRow {
    /// The worker that owns it.
    pub worker: usize,
    /// Its handle on that worker.
    pub id: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The peer's address.
    pub remote: IpAddr,
    /// The peer's port number.
    pub remote_port: u16,
    /// The address the peer speaks to.
    pub local: IpAddr,
    /// The port number the peer speaks to.
    pub local_port: u16,
    /// Name of the port it came in on.
    pub port: String,
    /// VLAN id; 0 for untagged.
    pub vlan: u16,
    /// State as RFC 9293 names it, or `UDP`.
    pub state: String,
    /// Without a stack until there is something to do.
    #[serde(default)]
    pub asleep: bool,
    /// Name of its service.
    pub service: String,
    /// Since its first packet.
    pub age_seconds: f64,
    /// Since its last packet from the peer.
    pub idle_seconds: f64,
    /// Payload bytes from the peer.
    pub bytes_in: u64,
    /// Payload bytes to the peer.
    pub bytes_out: u64,
}

/// Neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourList {
    /// The neighbours.
    pub neighbours: Vec<NeighbourRow>,
    /// Whether there are more.
    pub cut: bool,
    /// Places in the table.
    pub capacity: u64,
}

/// One neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourRow {
    /// Name of the port.
    pub port: String,
    /// VLAN id; 0 for untagged.
    pub vlan: u16,
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address; `None` while it is asked for.
    pub mac: Option<String>,
    /// `asking`, `reachable`, `stale` or `permanent`.
    pub state: String,
    /// Whether it is a configured gateway.
    pub gateway: bool,
    /// Seconds since it was last heard of.
    pub age_seconds: u64,
}

/// One packet buffer pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MempoolRow {
    /// Its name.
    pub mempool: String,
    /// Buffers in it.
    pub size: u64,
    /// Free buffers.
    pub available: u64,
    /// Buffers in use.
    pub in_use: u64,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its place among the rules, from 0; `None` if a reload took it away.
    pub order: Option<usize>,
    /// Its name.
    pub service: String,
    /// `terminate`, `reject`, `drop`, or empty if it is gone.
    pub action: String,
    /// What answers; empty for rules that reject or drop.
    pub application: String,
    /// What its application counted, by name.
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// Dropped packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// Packets received.
    pub received: u64,
    /// Packets delivered.
    pub delivered: u64,
    /// Every reason there is.
    pub reasons: Vec<DropRow>,
}

/// Packets dropped for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRow {
    /// Its name.
    pub reason: String,
    /// Packets on all workers.
    pub packets: u64,
    /// Packets by worker.
    pub workers: Vec<u64>,
    /// What it means.
    pub meaning: String,
}

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigView {
    /// The file it came from.
    pub source: String,
    /// Version of the services in force.
    pub services_version: u64,
    /// Keys whose values in the file wait for a restart.
    pub needs_restart: Vec<String>,
    /// The whole configuration as YAML, each value marked with where it came from.
    pub yaml: String,
    /// The same as JSON.
    pub config: serde_json::Value,
}

/// Versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// Millrace's.
    pub millrace: String,
    /// DPDK's.
    pub dpdk: String,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// `running` or `draining`.
    pub phase: String,
}
