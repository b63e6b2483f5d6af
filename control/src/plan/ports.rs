//! Ports and their networks, from configuration to data plane.
//!
//! Invariant: ports keep the order of the file; their place is their number.

use std::net::IpAddr;

use dataplane::prefix::Prefix;
use dataplane::settings::{Network, PortSettings, Steering};
use l3l4::Addr;

use crate::config::model::{Device, Port, Steering as Wanted, Toggle};
use crate::config::{InterfaceAddress, Loaded, Problem, Wrong};

pub(super) fn ports(loaded: &Loaded, problems: &mut Vec<Problem>) -> Vec<PortSettings> {
    let ports = loaded.config.ports.iter().enumerate();
    ports.filter_map(|(index, port)| one(loaded, index, port, problems)).collect()
}

fn one(loaded: &Loaded, index: usize, port: &Port, problems: &mut Vec<Problem>) -> Option<PortSettings> {
    let device = match port.attachment() {
        Some(Device::Vdev(vdev)) => vdev.name().to_owned(),
        Some(Device::Pci(address)) => address.to_string(),
        None => {
            // A checked port has one; this is for ports that come from elsewhere.
            let wrong = Wrong::new("the port has no device", "add `device` or `pci`");
            problems.push(loaded.problem(&format!("ports[{index}]"), wrong));
            return None;
        }
    };
    Some(PortSettings {
        name: port.name.clone(),
        device,
        networks: networks(port),
        mtu: port.mtu,
        mac: port.mac.map(|mac| mac.0),
        promiscuous: port.promiscuous,
        mirror: port.mirror,
        rx_descriptors: port.rx_descriptors,
        tx_descriptors: port.tx_descriptors,
        rx_queues: port.rx_queues,
        steering: match port.steering {
            Wanted::Auto => Steering::Auto,
            Wanted::Rss => Steering::Rss,
            Wanted::Queue => Steering::Queue,
            Wanted::Software => Steering::Software,
        },
        checksum_offload: port.offloads.checksum == Toggle::Auto,
        vlan_offload: port.offloads.vlan == Toggle::Auto,
        scatter: port.offloads.scatter == Toggle::Auto,
    })
}

/// The untagged side, then each VLAN.
fn networks(port: &Port) -> Vec<Network> {
    let network = |vlan, addresses: &[InterfaceAddress], any_ip, gateways: &[IpAddr]| Network {
        vlan,
        addresses: addresses.iter().map(|own| (Addr::from(own.address), own.length)).collect(),
        any_ip,
        gateways: gateways.iter().map(|gateway| Addr::from(*gateway)).collect(),
        except: Vec::new(),
        pool: Vec::new(),
    };
    let mut untagged = network(0, &port.addresses, port.any_ip, &port.gateway);
    // The kernel at the other end of the tap keeps its own addresses.
    untagged.except = port.kernel_addresses.iter().filter_map(|own| host(own.address)).collect();
    let vlans = port.vlans.iter().map(|vlan| network(vlan.id, &vlan.addresses, vlan.any_ip, &vlan.gateway));
    std::iter::once(untagged).chain(vlans).collect()
}

/// The prefix of one address.
fn host(address: IpAddr) -> Option<Prefix> {
    let address = Addr::from(address);
    Prefix::new(address, if address.is_v4() { 32 } else { 128 }).ok()
}
