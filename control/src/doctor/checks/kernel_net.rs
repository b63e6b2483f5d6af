//! Ports that share the kernel's network: net_tap, net_af_packet, net_af_xdp.
//!
//! Invariant: the interfaces looked at are those of the network namespace the doctor runs in, which the findings say.

use crate::config::Config;
use crate::doctor::report::Check;
use crate::doctor::system::System;

/// net_tap needs the tun device, and a name that is free.
pub(super) fn taps(system: &System, config: Option<&Config>) -> Vec<Check> {
    let Some(config) = config else {
        return Vec::new();
    };
    let mut ports = super::vdev_ports(config, &["net_tap"]).peekable();
    if ports.peek().is_none() {
        return vec![Check::not_applicable("tun", "no port is a net_tap")];
    }
    let tun = if system.exists("dev/net/tun") {
        Check::pass("tun", "/dev/net/tun is there")
    } else {
        let make = "modprobe tun; mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200";
        Check::fail("tun", "there is no /dev/net/tun", make).then("in a container: --device /dev/net/tun")
    };
    let names = ports.filter_map(|(port, vdev)| {
        let interface = vdev.argument("iface")?;
        let taken = system.exists(format!("sys/class/net/{interface}"));
        taken.then(|| {
            let found = format!("the interface {interface} exists already: another process may have it");
            Check::fail(
                format!("tap {}", port.name),
                found,
                format!("stop the process that has it, or `ip link del {interface}` if none has; or another `iface=`"),
            )
        })
    });
    let names: Vec<_> = names.collect();
    std::iter::once(tun).chain(names).collect()
}

/// net_af_packet and net_af_xdp need an interface that is up, and a far side that sends whole checksums.
pub(super) fn interfaces(system: &System, config: Option<&Config>) -> Vec<Check> {
    let Some(config) = config else {
        return Vec::new();
    };
    super::vdev_ports(config, &["net_af_packet", "net_af_xdp"])
        .filter_map(|(port, vdev)| Some(interface(system, &port.name, vdev.argument("iface")?)))
        .flatten()
        .collect()
}

fn interface(system: &System, port: &str, interface: &str) -> Vec<Check> {
    let name = format!("interface {port}");
    let directory = format!("sys/class/net/{interface}");
    let Some(flags) = system.read(format!("{directory}/flags")) else {
        let found = format!("there is no interface {interface} in this network namespace");
        let fix = format!("ip link add {interface} type veth peer name {interface}-peer");
        return vec![
            Check::fail(name, found, fix).then("or run in the namespace that has it: ip netns exec NAME ..."),
        ];
    };
    // IFF_UP of linux/if.h.
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
    let mut checks = vec![if flags & 1 == 1 {
        Check::pass(name, format!("{interface} is up"))
    } else {
        Check::fail(name, format!("{interface} is down"), format!("ip link set {interface} up"))
    }];
    // A veth has its peer's index in iflink and no device behind it.
    let index = system.number(format!("{directory}/ifindex"));
    let peer = system.number(format!("{directory}/iflink"));
    let virtual_link = !system.exists(format!("{directory}/device"));
    if let (Some(index), Some(peer), true) = (index, peer, virtual_link)
        && index != peer
    {
        checks.push(far_side(system, port, interface, peer));
    }
    checks
}

/// sysfs does not tell a link's offloads, so this is advice: with them TCP moves nothing.
fn far_side(system: &System, port: &str, interface: &str, peer: i64) -> Check {
    let same_namespace = system.list("sys/class/net").into_iter().find(|other| {
        other != interface && system.number(format!("sys/class/net/{other}/ifindex")) == Some(peer)
    });
    let (found, far) = match same_namespace {
        Some(far) => (format!("{interface} is a veth, its far side is {far}"), far),
        None => (
            format!("{interface} is a veth, its far side is interface {peer} of another namespace"),
            "FAR-SIDE".to_owned(),
        ),
    };
    let found = format!("{found}: with offloads on, its checksums arrive unfinished");
    Check::warn(format!("offloads {port}"), found, format!("ethtool -K {far} tx off rx off tso off gso off"))
}
