//! The checks, in the order an operator would set a machine up.
//!
//! Invariant: each check stands alone; none relies on another having passed.

mod cpu;
mod files;
mod kernel_net;
mod memory;
mod pci;
pub(super) mod rights;

use super::report::Check;
use super::system::System;
use crate::config::Config;
use crate::config::model::{Device, Port, Vdev};

type Look = fn(&System, Option<&Config>) -> Vec<Check>;

pub(super) const ALL: &[Look] = &[
    cpu::flags,
    cpu::cores,
    cpu::clock,
    memory::memory,
    memory::hugepages,
    memory::memlock,
    files::drivers,
    pci::iommu,
    pci::devices,
    rights::privileges,
    kernel_net::taps,
    kernel_net::interfaces,
    files::directories,
    files::admin_socket,
    files::metrics_port,
];

/// The ports with a PCI device, and its address.
fn pci_ports(config: &Config) -> impl Iterator<Item = (&Port, &str)> {
    config.ports.iter().filter_map(|port| match port.attachment() {
        Some(Device::Pci(pci)) => Some((port, pci.as_str())),
        _ => None,
    })
}

/// The ports with a virtual device of one of these drivers.
fn vdev_ports<'c>(config: &'c Config, drivers: &'c [&str]) -> impl Iterator<Item = (&'c Port, &'c Vdev)> {
    config.ports.iter().filter_map(|port| match port.attachment() {
        Some(Device::Vdev(vdev)) if drivers.contains(&vdev.driver()) => Some((port, vdev)),
        _ => None,
    })
}
