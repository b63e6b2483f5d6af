//! Metrics of ports: what workers moved through them, and what the devices say.
//!
//! Invariant: a port whose device cannot be read keeps the workers' numbers and loses only the device's.

use dataplane::report::PortCounters;
use dpdk_ffi::port::PortStats;

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::{Port, Snapshot};

pub(super) const FAMILIES: &[Family] = &[
    family!(Counter "port_rx_packets_total" ["port", "worker"] "packets", "Packets received from the port.",
        |s, out| each(s, out, |c| c.rx_packets)),
    family!(Counter "port_rx_bytes_total" ["port", "worker"] "bytes", "Bytes of those, Ethernet header included.",
        |s, out| each(s, out, |c| c.rx_bytes)),
    family!(Counter "port_tx_packets_total" ["port", "worker"] "packets", "Packets the port took for sending.",
        |s, out| each(s, out, |c| c.tx_packets)),
    family!(Counter "port_tx_bytes_total" ["port", "worker"] "bytes", "Bytes of those, Ethernet header included.",
        |s, out| each(s, out, |c| c.tx_bytes)),
    family!(Counter "port_tx_dropped_total" ["port", "worker"] "packets",
        "Packets given up because the port's transmit queue stayed full.",
        |s, out| each(s, out, |c| c.tx_dropped)),
    family!(Counter "port_rx_missed_total" ["port"] "packets",
        "Packets the device dropped because a receive queue was full.",
        |s, out| device(s, out, |d| d.imissed)),
    family!(Counter "port_rx_errors_total" ["port"] "packets", "Packets the device received in error.",
        |s, out| device(s, out, |d| d.ierrors)),
    family!(Counter "port_rx_nombuf_total" ["port"] "packets", "Packets the device had no buffer for.",
        |s, out| device(s, out, |d| d.rx_nombuf)),
    family!(Counter "port_tx_errors_total" ["port"] "packets", "Packets the device could not send.",
        |s, out| device(s, out, |d| d.oerrors)),
    family!(Gauge "port_link_up" ["port"] "", "1 while the link is up, else 0.",
        |s, out| ports(s, out, |port| port.link.map(|link| f64::from(u8::from(link.up))))),
    family!(Gauge "port_link_speed_bits_per_second" ["port"] "bits per second",
        "Speed of the link; left out where the device does not know it.",
        |s, out| ports(s, out, |port| port.speed_bits().map(|bits| bits as f64))),
    family!(Gauge "port_mtu_bytes" ["port"] "bytes", "Longest IP packet.",
        |s, out| ports(s, out, |port| Some(f64::from(port.mtu)))),
    family!(Gauge "port_info" ["port", "device", "driver", "steering"] "",
    "Always 1; the labels say what the port is.",
    |s, out| for port in &s.ports {
        out.put(&[&port.name, &port.device, &port.driver, port.steering], 1.0);
    }),
];

fn each(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&PortCounters) -> u64) {
    for (worker, report) in snapshot.reports() {
        for (port, counters) in snapshot.ports.iter().zip(&report.ports) {
            out.count(&[&port.name, &worker.to_string()], number(counters));
        }
    }
}

fn device(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&PortStats) -> u64) {
    ports(snapshot, out, |port| port.stats.as_ref().map(|stats| number(stats) as f64));
}

fn ports(snapshot: &Snapshot<'_>, out: &mut Samples, number: impl Fn(&Port) -> Option<f64>) {
    for port in &snapshot.ports {
        if let Some(value) = number(port) {
            out.put(&[&port.name], value);
        }
    }
}
