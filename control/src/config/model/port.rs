//! Ports: what they are attached to and which addresses they answer for.
//!
//! Invariant: a checked port has exactly one device, addresses that do not overlap with another port's, and VLANs
//! with distinct ids.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::super::problem::Wrong;
use crate::config::node::shorten;
use crate::config::section::{choice, section, text_value};
use crate::config::spec::{default, required};
use crate::config::{InterfaceAddress, MacAddress, PciAddress};

/// A DPDK virtual device with its arguments, like `net_tap0,iface=mill0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vdev(String);

/// Drivers of virtual devices that can be a port.
pub(crate) const DRIVERS: &[&str] = &[
    "net_tap",
    "net_af_packet",
    "net_af_xdp",
    "net_memif",
    "net_virtio_user",
    "net_vhost",
    "net_pcap",
    "net_ring",
    "net_null",
];

impl Vdev {
    /// The text for EAL's `--vdev`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device name, like `net_tap0`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split(',').next().unwrap_or_default()
    }

    /// The driver, like `net_tap`.
    #[must_use]
    pub fn driver(&self) -> &str {
        self.name().trim_end_matches(|c: char| c.is_ascii_digit())
    }

    /// The value of a device argument, like `mill0` for `iface`.
    #[must_use]
    pub fn argument(&self, key: &str) -> Option<&str> {
        let mut arguments = self.0.split(',').skip(1);
        arguments.find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v))
    }
}

impl FromStr for Vdev {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let example = "write a driver, a number and its arguments, for example `net_tap0,iface=mill0`";
        let vdev = Self(text.to_owned());
        let (name, driver) = (vdev.name(), vdev.driver());
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Wrong::new("a device has no blanks in it", "remove the blanks"));
        }
        if name.parse::<PciAddress>().is_ok() {
            return Err(Wrong::new(
                format!("`{}` is a PCI address, not a virtual device", shorten(name)),
                format!("write `pci: \"{name}\"` instead of `device`"),
            ));
        }
        if !DRIVERS.contains(&driver) {
            let what = format!("`{}` is not a known virtual device driver", shorten(driver));
            return Err(match crate::config::decoder::nearest(driver, DRIVERS.iter().copied()) {
                Some(near) => Wrong::new(what, format!("write `{near}`; {}", known())),
                None => Wrong::new(what, format!("{example}; {}", known())),
            });
        }
        if name == driver {
            let instead = format!("write `{driver}0{}`", &text[name.len()..]);
            return Err(Wrong::new(format!("the device `{driver}` has no number"), instead));
        }
        if let Some(bad) = text.split(',').skip(1).find(|pair| pair.starts_with('=') || pair.is_empty()) {
            return Err(Wrong::new(format!("`{}` is not a device argument", shorten(bad)), example));
        }
        Ok(vdev)
    }
}

fn known() -> String {
    format!("the drivers are {}", DRIVERS.join(", "))
}

impl fmt::Display for Vdev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Vdev, "virtual device", Vdev(String::new()));

/// What a port is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device<'a> {
    /// A virtual device.
    Vdev(&'a Vdev),
    /// A PCI function bound to vfio-pci.
    Pci(&'a PciAddress),
}

choice! {
    /// How packets come to the worker that owns their flow.
    pub enum Steering {
        /// RSS where the port has it, otherwise software.
        Auto = "auto",
        /// The port's RSS; refused at start if it has none.
        Rss = "rss",
        /// The worker of the queue a packet came in on owns its flow: for devices that spread flows themselves.
        Queue = "queue",
        /// Workers hash and hand over.
        Software = "software",
    }
}

choice! {
    /// Use what the port offers, or do without.
    pub enum Toggle {
        /// Used if the port offers it.
        Auto = "auto",
        /// Not used.
        Off = "off",
    }
}

section! {
    /// Work left to the port's hardware.
    pub struct Offloads {
        /// IP, TCP and UDP checksums.
        "checksum" checksum: Toggle = default(Toggle::Auto);
        /// VLAN tags taken off and put on.
        "vlan" vlan: Toggle = default(Toggle::Auto);
        /// Packets received in several buffers.
        "scatter" scatter: Toggle = default(Toggle::Auto);
        /// TCP segmentation. Accepted, but not used by this version.
        "tso" tso: Toggle = default(Toggle::Auto);
    }

    /// A VLAN of a port. Frames of other VLANs are dropped.
    pub struct Vlan {
        /// VLAN id.
        "id" id: u16 = required("100").range(1..=4094);
        /// Addresses on this VLAN, with their prefix length.
        "addresses" addresses: Vec<InterfaceAddress> = default(Vec::new()).items(0..=64).example("[10.65.0.2/24]");
        /// Answer for every address of the VLAN's subnets, and for any address outside them that is routed here; never for gateways, network and broadcast addresses.
        "any_ip" any_ip: bool = default(false);
        /// Routers of this VLAN, at most one IPv4 and one IPv6 address: kept resolved, and left out of `any_ip`. Answers always go back to the station the packet came from.
        "gateway" gateway: Vec<IpAddr> = default(Vec::new()).or_one().items(0..=2).example("[10.65.0.1]");
    }

    /// A port packets come and go through.
    pub struct Port {
        /// Name, used by `ingress`, metrics and logs.
        "name" name: String = required("lan").range(1..=32);
        /// A DPDK virtual device with its arguments. Exactly one of `device` and `pci`.
        "device" device: Option<Vdev> = default(None).example("net_tap0,iface=mill0");
        /// The PCI address of a NIC bound to vfio-pci. Exactly one of `device` and `pci`.
        "pci" pci: Option<PciAddress> = default(None).example("\"0000:3b:00.0\"").alternative();
        /// Addresses of untagged traffic, with their prefix length.
        "addresses" addresses: Vec<InterfaceAddress> = default(Vec::new()).items(0..=64).example("[10.64.0.2/24, \"fd00:64::2/64\"]");
        /// Answer for every address of the port's subnets, and for any address outside them that is routed here; never for gateways, `kernel_addresses`, network and broadcast addresses.
        "any_ip" any_ip: bool = default(false);
        /// Routers of this port, at most one IPv4 and one IPv6 address: kept resolved, and left out of `any_ip`. Answers always go back to the station the packet came from.
        "gateway" gateway: Vec<IpAddr> = default(Vec::new()).or_one().items(0..=2).example("[10.64.0.1, \"fd00:64::1\"]");
        /// Largest IP packet, in bytes. At least 1280 with an IPv6 address.
        "mtu" mtu: u16 = default(1500).range(576..=9600);
        /// VLANs the port accepts besides untagged traffic.
        "vlans" vlans: Vec<Vlan> = default(Vec::new()).items(0..=4094);
        /// Ethernet address to use instead of the device's own.
        "mac" mac: Option<MacAddress> = default(None).example("\"02:00:00:00:00:01\"");
        /// Receive frames for every Ethernet address.
        "promiscuous" promiscuous: bool = default(false);
        /// The port gets copies of what others say to each other (a SPAN port, a tap): its frames, whoever they are for and whatever their VLAN, are followed by services with `action: monitor`, and nothing is ever sent. Such a port has no addresses.
        "mirror" mirror: bool = default(false);
        /// Receive descriptors of each queue.
        "rx_descriptors" rx_descriptors: u16 = default(1024).range(64..=32_768);
        /// Transmit descriptors of each queue.
        "tx_descriptors" tx_descriptors: u16 = default(1024).range(64..=32_768);
        /// Receive queues. Default: one for each worker. Fewer means software steering.
        "rx_queues" rx_queues: Option<u16> = default(None).range(1..=128).example("1");
        /// How packets come to the worker that owns their flow.
        "steering" steering: Steering = default(Steering::Auto);
        /// Work left to the port's hardware.
        "offloads" offloads: Offloads = default(Offloads::placeholder());
        /// net_tap with `iface=` only: addresses the kernel's side of the tap is given at start.
        "kernel_addresses" kernel_addresses: Vec<InterfaceAddress> = default(Vec::new()).items(0..=64).example("[10.64.0.1/24, \"fd00:64::1/64\"]");
    }
}

impl Port {
    /// What the port is attached to. `None` only for a port that was not checked.
    #[must_use]
    pub fn attachment(&self) -> Option<Device<'_>> {
        match (&self.device, &self.pci) {
            (Some(vdev), None) => Some(Device::Vdev(vdev)),
            (None, Some(pci)) => Some(Device::Pci(pci)),
            _ => None,
        }
    }
}
