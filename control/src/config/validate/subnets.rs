//! Addresses, subnets and gateways.
//!
//! Invariant: of a checked configuration every address belongs to exactly one port or VLAN, and every gateway can be
//! reached without another gateway.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Checker;
use crate::config::model::Port;
use crate::config::{InterfaceAddress, Prefix, reach};

/// One place addresses can be at: a port's untagged side or one of its VLANs.
struct Side<'a> {
    path: String,
    addresses: &'a [InterfaceAddress],
    gateway: &'a [IpAddr],
    any_ip: bool,
}

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut taken: Vec<(Prefix, String, usize)> = Vec::new();
    let mut count = 0;
    for (index, port) in checker.config.ports.iter().enumerate() {
        let path = format!("ports[{index}]");
        vlan_ids(checker, &path, port);
        mtu(checker, &path, port);
        kernel_addresses(checker, &path, port);
        for side in sides(&path, port) {
            addresses(checker, &side);
            gateways(checker, &side);
            overlaps(checker, &side, count, &mut taken);
            count += 1;
        }
        let answers = !port.addresses.is_empty() || port.vlans.iter().any(|vlan| !vlan.addresses.is_empty());
        if !answers
            && !port.mirror
            && checker.usable(&format!("{path}.addresses"))
            && checker.usable(&format!("{path}.vlans"))
        {
            checker.warn(
                &path,
                "the port has no address, so nobody can reach it",
                "add `addresses: [10.64.0.2/24]`",
            );
        }
    }
}

fn sides<'a>(path: &str, port: &'a Port) -> Vec<Side<'a>> {
    let untagged = Side {
        path: path.to_owned(),
        addresses: &port.addresses,
        gateway: &port.gateway,
        any_ip: port.any_ip,
    };
    let vlans = port.vlans.iter().enumerate().map(|(index, vlan)| Side {
        path: format!("{path}.vlans[{index}]"),
        addresses: &vlan.addresses,
        gateway: &vlan.gateway,
        any_ip: vlan.any_ip,
    });
    std::iter::once(untagged).chain(vlans).collect()
}

fn vlan_ids(checker: &mut Checker<'_>, path: &str, port: &Port) {
    let mut seen = BTreeMap::new();
    for (index, vlan) in port.vlans.iter().enumerate() {
        let at = format!("{path}.vlans[{index}].id");
        if !checker.usable(&at) {
            continue;
        }
        if let Some(first) = seen.insert(vlan.id, at.clone()) {
            let what = format!("VLAN {} is given already on line {}", vlan.id, checker.line(&first));
            checker.error(&at, what, "give each VLAN of a port once, with all its addresses");
        }
    }
}

fn mtu(checker: &mut Checker<'_>, path: &str, port: &Port) {
    /// RFC 8200, section 5.
    const LEAST_IPV6: u16 = 1280;
    let at = format!("{path}.mtu");
    let ipv6 = sides(path, port).iter().any(|side| side.addresses.iter().any(|a| a.address.is_ipv6()));
    if ipv6 && port.mtu < LEAST_IPV6 {
        let what = format!("{} is too small for a port with an IPv6 address", port.mtu);
        checker.error(&at, what, format!("write {LEAST_IPV6} or more, or remove the IPv6 addresses"));
    }
}

/// Why an interface cannot have this address, and what it could have.
fn unusable(own: &InterfaceAddress) -> Option<(String, String)> {
    let address = own.address;
    let example = if address.is_ipv4() { "10.64.0.2/24" } else { "fd00:64::2/64" };
    let kind = match special(address) {
        Some(kind) => kind,
        None if own.length == 0 => {
            return Some((
                format!("`{own}` makes every address local"),
                format!("write the subnet's length, for example `{example}`"),
            ));
        }
        None => return edge(own),
    };
    Some((
        format!("`{address}` is {kind}"),
        format!("write an address of the subnet, for example `{example}`"),
    ))
}

/// What an address is that no station can have.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    let kind = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        _ if address.is_loopback() => "a loopback address",
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => "a reserved address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4-mapped address",
        _ => return None,
    };
    Some(kind)
}

/// What an address is that no station of the ports' subnets can have.
pub(super) fn no_host(ports: &[Port], address: IpAddr) -> Option<String> {
    if let Some(kind) = special(address) {
        return Some(format!("`{address}` is {kind}"));
    }
    let own = reach::networks(ports).flat_map(|network| network.addresses);
    let mut subnets = own.filter(|own| own.network().contains(address));
    let (what, _) = subnets.find_map(|own| edge(&InterfaceAddress { address, length: own.length }))?;
    Some(what)
}

/// The first and the last address of a subnet are not a host's. Of a /31 (RFC 3021) and a /127 (RFC 6164) both are.
fn edge(own: &InterfaceAddress) -> Option<(String, String)> {
    let (address, network) = (own.address, own.network());
    let point_to_point = if address.is_ipv4() { own.length >= 31 } else { own.length >= 127 };
    let kind = match address {
        _ if point_to_point => return None,
        _ if address == network.network && address.is_ipv4() => "the network address",
        _ if address == network.network => "the subnet-router anycast address",
        IpAddr::V4(_) if address == own.last() => "the broadcast address",
        _ => return None,
    };
    Some((format!("`{address}` is {kind} of {network}"), "write a host's address of that subnet".into()))
}

fn addresses(checker: &mut Checker<'_>, side: &Side<'_>) {
    for (index, own) in side.addresses.iter().enumerate() {
        let at = format!("{}.addresses[{index}]", side.path);
        if !checker.usable(&at) {
            continue;
        }
        if let Some((what, instead)) = unusable(own) {
            checker.error(&at, what, instead);
        } else if side.addresses[..index].iter().any(|other| other.address == own.address) {
            checker.error(&at, format!("`{}` is given twice", own.address), "remove one of the two");
        }
    }
    let at = format!("{}.addresses", side.path);
    if side.any_ip && side.addresses.is_empty() && checker.usable(&at) {
        checker.error(
            &format!("{}.any_ip", side.path),
            "there is no subnet to answer for",
            "add `addresses: [10.64.0.2/24]`, or remove `any_ip`",
        );
    }
}

fn gateways(checker: &mut Checker<'_>, side: &Side<'_>) {
    for (index, gateway) in side.gateway.iter().enumerate() {
        let at = format!("{}.gateway[{index}]", side.path);
        if !checker.usable(&at) || !checker.usable(&format!("{}.addresses", side.path)) {
            continue;
        }
        if side.gateway[..index].iter().any(|other| other.is_ipv4() == gateway.is_ipv4()) {
            let what = "there is a gateway of this family already";
            checker.error(&at, what, "keep one IPv4 and one IPv6 gateway at most");
        }
        if side.addresses.iter().any(|own| own.address == *gateway) {
            let what = format!("`{gateway}` is this port's own address");
            checker.error(&at, what, "write the router's address");
        } else if !reaches(side, *gateway) {
            let what = format!("`{gateway}` is not in a subnet of this port");
            let subnets: Vec<_> = side.addresses.iter().map(|own| own.network().to_string()).collect();
            let instead = match subnets.len() {
                0 => format!("add an address of the gateway's subnet to {}.addresses", side.path),
                _ => format!("write an address in {}", subnets.join(" or ")),
            };
            checker.error(&at, what, instead);
        }
    }
}

/// Link-local gateways are on every link (RFC 4291, section 2.5.6).
fn reaches(side: &Side<'_>, gateway: IpAddr) -> bool {
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local || side.addresses.iter().any(|own| own.network().contains(gateway))
}

/// Subnets of different sides must not overlap: which of them to send to could not be told.
fn overlaps(
    checker: &mut Checker<'_>,
    side: &Side<'_>,
    number: usize,
    taken: &mut Vec<(Prefix, String, usize)>,
) {
    for (index, own) in side.addresses.iter().enumerate() {
        let at = format!("{}.addresses[{index}]", side.path);
        let link_local = matches!(own.address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if link_local || !checker.usable(&at) || unusable(own).is_some() {
            continue;
        }
        let network = own.network();
        let other = taken.iter().find(|(prefix, _, from)| *from != number && prefix.overlaps(&network));
        if let Some((prefix, path, _)) = other {
            let what = format!("{network} overlaps {prefix} of {path} on line {}", checker.line(path));
            checker.error(&at, what, "give each port and VLAN a subnet of its own");
        }
        taken.push((network, at, number));
    }
}

fn kernel_addresses(checker: &mut Checker<'_>, path: &str, port: &Port) {
    let at = format!("{path}.kernel_addresses");
    let at_device = format!("{path}.device");
    let tap = port.device.as_ref().filter(|vdev| vdev.driver() == "net_tap");
    if port.kernel_addresses.is_empty() || !checker.usable(&at_device) {
        return;
    }
    let Some(tap) = tap else {
        let instead = "remove it, and give the other side its addresses yourself (`ip address add`)";
        checker.error(&at, "only a net_tap port has a kernel side millrace can set up", instead);
        return;
    };
    if tap.argument("iface").is_none() {
        // The kernel then picks the first of dtap0, dtap1, ... that is free.
        let what =
            "without `iface=` the kernel names the tap, so `kernel_addresses` has no interface to go to";
        checker.error(&at_device, what, format!("write a name: `{},iface=mill0`", tap.as_str()));
    }
    for (index, address) in port.kernel_addresses.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if !checker.usable(&at) {
            continue;
        }
        let own = port.addresses.iter().any(|own| own.address == address.address);
        let shared = port.addresses.iter().any(|own| own.network().contains(address.address));
        if let Some((what, instead)) = unusable(address) {
            checker.error(&at, what, instead);
        } else if own {
            let what = format!("`{}` is the port's own address", address.address);
            checker.error(&at, what, "write another address of the same subnet");
        } else if !shared && checker.usable(&format!("{path}.addresses")) {
            let what = format!("`{address}` shares no subnet with the port, so the kernel would not find it");
            checker.warn(&at, what, "write an address of a subnet in `addresses`");
        }
    }
}
