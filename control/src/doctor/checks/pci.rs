//! NICs given to DPDK: IOMMU, driver, queues, NUMA node.
//!
//! Invariant: the bind command names the one device it is for; nothing is shown that would take another.

use crate::config::model::{Port, Steering};
use crate::config::{Config, parse_cpu_list};
use crate::doctor::report::Check;
use crate::doctor::system::System;

/// Whether VFIO can protect the machine from the NIC's DMA.
pub(super) fn iommu(system: &System, config: Option<&Config>) -> Vec<Check> {
    let named = config.is_some_and(|config| super::pci_ports(config).next().is_some());
    if !named {
        return vec![Check::not_applicable("iommu", "no port names a PCI device")];
    }
    let groups = system.list("sys/kernel/iommu_groups").len();
    let unsafe_mode = system.read("sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
    let iommu = if groups > 0 {
        Check::pass("iommu", format!("{groups} groups"))
    } else if unsafe_mode.as_deref() == Some("Y") {
        let fix = "enable VT-d or AMD-Vi in the firmware and boot with `intel_iommu=on` or `amd_iommu=on`, `iommu=pt`";
        Check::warn("iommu", "none; VFIO runs in its unsafe mode, and the NIC can reach all memory", fix)
    } else {
        Check::fail(
            "iommu",
            "no IOMMU groups in /sys/kernel/iommu_groups",
            "enable VT-d or AMD-Vi in the firmware and boot with `intel_iommu=on` or `amd_iommu=on`, `iommu=pt`",
        )
        .then("without an IOMMU, at your own risk: echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
    };
    let missing: Vec<_> = ["vfio_pci", "vfio_iommu_type1"]
        .into_iter()
        .filter(|module| !system.exists(format!("sys/module/{module}")))
        .collect();
    let vfio = if missing.is_empty() {
        Check::pass("vfio", "vfio_pci and vfio_iommu_type1 are loaded")
    } else {
        Check::fail(
            "vfio",
            format!("not loaded: {}", missing.join(", ")),
            format!("modprobe -a {}", missing.join(" ")),
        )
    };
    vec![iommu, vfio]
}

/// Each named NIC.
pub(super) fn devices(system: &System, config: Option<&Config>) -> Vec<Check> {
    let Some(config) = config else {
        return Vec::new();
    };
    super::pci_ports(config).flat_map(|(port, pci)| device(system, config, port, pci)).collect()
}

fn device(system: &System, config: &Config, port: &Port, pci: &str) -> Vec<Check> {
    let directory = format!("sys/bus/pci/devices/{pci}");
    let name = format!("device {}", port.name);
    if !system.exists(&directory) {
        let fix = "find the address with `lspci -D | grep -i ethernet`, and write it to the port's `pci`";
        return vec![Check::fail(name, format!("there is no PCI device {pci}"), fix)];
    }
    let class = system.read(format!("{directory}/class")).unwrap_or_default();
    let mut checks = Vec::new();
    if !class.is_empty() && !class.starts_with("0x02") {
        let fix = "find the address with `lspci -D | grep -i ethernet`, and write it to the port's `pci`";
        checks.push(Check::fail(name.clone(), format!("{pci} is not a network device (class {class})"), fix));
    }
    checks.push(driver(system, &directory, name, pci));
    checks.push(numa(system, config, &directory, port));
    checks.push(queues(system, config, &directory, port));
    checks
}

fn driver(system: &System, directory: &str, name: String, pci: &str) -> Check {
    let bind = format!("dpdk-devbind.py -b vfio-pci {pci}");
    let interfaces = system.list(format!("{directory}/net"));
    match system.link_name(format!("{directory}/driver")).as_deref() {
        Some("vfio-pci") => Check::pass(name, format!("{pci} is bound to vfio-pci")),
        // These share the NIC with the kernel through libibverbs and must stay bound.
        Some(driver @ ("mlx5_core" | "mlx4_core" | "mana")) => {
            Check::pass(name, format!("{pci} is bound to {driver}, which DPDK shares with the kernel"))
        }
        Some(driver @ ("uio_pci_generic" | "igb_uio")) => {
            let found = format!("{pci} is bound to {driver}, which has no memory protection");
            Check::warn(name, found, bind)
        }
        Some(driver) if interfaces.is_empty() => {
            Check::fail(name, format!("{pci} is bound to {driver}"), bind)
        }
        Some(driver) => {
            let found = format!("{pci} is bound to {driver} as {}", interfaces.join(", "));
            let down = interfaces.iter().map(|interface| format!("ip link set {interface} down"));
            down.chain([bind]).fold(
                Check::fail(name, found, "make sure this is not the interface you are logged in through"),
                Check::then,
            )
        }
        None => Check::fail(name, format!("{pci} has no driver"), bind),
    }
}

fn numa(system: &System, config: &Config, directory: &str, port: &Port) -> Check {
    let name = format!("numa {}", port.name);
    let node = match system.number(format!("{directory}/numa_node")) {
        Some(node) if node >= 0 => node,
        _ => return Check::not_applicable(name, "the device belongs to no NUMA node"),
    };
    let list = system.read(format!("sys/devices/system/node/node{node}/cpulist"));
    let Some(near) = list.as_deref().and_then(parse_cpu_list) else {
        return Check::not_applicable(name, format!("the CPUs of node {node} are not known"));
    };
    let far: Vec<_> =
        config.workers.cpus.iter().filter(|cpu| !near.contains(cpu)).map(ToString::to_string).collect();
    if far.is_empty() {
        return Check::pass(name, format!("device and workers are on node {node}"));
    }
    let found = format!("the device is on node {node}, worker CPU {} is not", far.join(","));
    Check::warn(name, found, format!("choose `workers` from CPUs {}", list.unwrap_or_default()))
}

/// The queues of a NIC the kernel still has are in sysfs; those of a bound one are known to DPDK alone.
fn queues(system: &System, config: &Config, directory: &str, port: &Port) -> Check {
    let name = format!("queues {}", port.name);
    let (workers, queues) = (config.workers.cpus.len(), port.rx_queues.map(usize::from));
    match (queues, port.steering) {
        (Some(queues), _) if queues < workers => {
            Check::pass(name, format!("{queues} for {workers} workers: workers hand packets over"))
        }
        (_, Steering::Software) => Check::pass(name, format!("{workers}, steered in software")),
        _ if kernel_queues(system, directory).is_some_and(|offered| offered < workers) => {
            let offered = kernel_queues(system, directory).unwrap_or(1);
            let found = format!("the kernel's driver has {offered} queues for {workers} workers");
            let fix = format!("write `rx_queues: {offered}` to the port: workers then hand packets over");
            Check::warn(name, found, fix)
        }
        _ if workers == 1 => Check::pass(name, "1"),
        _ => Check::pass(
            name,
            format!("{workers} wanted; whether the NIC has them, with RSS, is checked at start"),
        ),
    }
}

/// Receive queues of the kernel's interface on this device, if it has one.
fn kernel_queues(system: &System, directory: &str) -> Option<usize> {
    let interface = system.list(format!("{directory}/net")).into_iter().next()?;
    let queues = system.list(format!("{directory}/net/{interface}/queues"));
    Some(queues.iter().filter(|name| name.starts_with("rx-")).count()).filter(|count| *count > 0)
}
