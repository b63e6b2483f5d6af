//! Ports one by one: names, devices, queues.
//!
//! Invariant: two ports never share a name or a device, and a device has the arguments its driver cannot do without.

use std::collections::BTreeMap;

use super::Checker;
use crate::config::model::{Device, Port, Steering, Vdev};
use crate::config::node::shorten;

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut names = BTreeMap::new();
    let mut devices = BTreeMap::new();
    for (index, port) in checker.config.ports.iter().enumerate() {
        let path = format!("ports[{index}]");
        name(checker, &path, &port.name, &mut names);
        device(checker, &path, port, &mut devices);
        queues(checker, &path, port);
        mtu(checker, &path, port);
        if let Some(mac) = port.mac
            && (mac.0[0] & 1 == 1 || mac.0 == [0; 6])
        {
            checker.error(
                &format!("{path}.mac"),
                format!("`{mac}` is a group address or zero"),
                "write an address whose first byte is even, for example `02:00:00:00:00:01`",
            );
        }
    }
}

/// Reports a name that is not a word, or that `seen` has already. `path` is the named thing's.
pub(super) fn name(checker: &mut Checker<'_>, path: &str, name: &str, seen: &mut BTreeMap<String, String>) {
    let path = format!("{path}.name");
    if !checker.usable(&path) {
        return;
    }
    if name.chars().any(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(c))) {
        checker.error(
            &path,
            format!("`{}` is not a name", name.escape_debug()),
            "use letters, digits, `-`, `_` and `.`",
        );
    }
    if let Some(first) = seen.insert(name.to_owned(), path.clone()) {
        let what = format!("the name `{name}` is used already on line {}", checker.line(&first));
        checker.error(&path, what, "give each one a name of its own");
    }
}

fn device(checker: &mut Checker<'_>, path: &str, port: &Port, seen: &mut BTreeMap<String, String>) {
    let (at_device, at_pci) = (format!("{path}.device"), format!("{path}.pci"));
    let Some(attachment) = port.attachment() else {
        if !checker.usable(&at_device) || !checker.usable(&at_pci) {
            return;
        }
        if port.device.is_some() {
            checker.error(
                &at_pci,
                "a port has one device, and `device` names it already",
                "keep one of `device` and `pci`",
            );
        } else {
            let instead = "add `device: \"net_tap0,iface=mill0\"` to try it, or `pci: \"0000:3b:00.0\"`";
            checker.error(path, "the port has neither `device` nor `pci`", instead);
        }
        return;
    };
    let (at, identity) = match attachment {
        Device::Pci(pci) => (at_pci, vec![pci.to_string()]),
        Device::Vdev(vdev) => {
            arguments(checker, &at_device, vdev);
            if vdev.driver() == "net_ring" && port.mac.is_none() && checker.usable(&format!("{path}.mac")) {
                let instead = "add `mac:` to the port, for example `mac: \"02:00:00:00:00:01\"`";
                checker.error(&at_device, "net_ring has no Ethernet address of its own", instead);
            }
            let interface = vdev.argument("iface").map(|iface| format!("the interface {iface}"));
            (at_device, interface.into_iter().chain([vdev.name().to_owned()]).collect())
        }
    };
    if !checker.usable(&at) {
        return;
    }
    for identity in identity {
        if let Some(first) = seen.insert(identity.clone(), at.clone()) {
            let what = format!("{identity} is used already on line {}", checker.line(&first));
            checker.error(&at, what, "give each port a device of its own");
            return;
        }
    }
}

/// Arguments a driver cannot do without: any one of them, and an example.
const NEEDED: &[(&str, &[&str], &str)] = &[
    ("net_af_packet", &["iface"], "iface=veth1"),
    ("net_af_xdp", &["iface"], "iface=veth1"),
    ("net_vhost", &["iface"], "iface=/run/millrace/vhost.sock"),
    ("net_virtio_user", &["path"], "path=/run/millrace/vhost.sock"),
    (
        "net_pcap",
        &["rx_pcap", "tx_pcap", "rx_iface", "tx_iface", "iface"],
        "rx_pcap=in.pcap,tx_pcap=out.pcap",
    ),
];

fn arguments(checker: &mut Checker<'_>, at: &str, vdev: &Vdev) {
    let needed = NEEDED.iter().find(|(driver, ..)| *driver == vdev.driver());
    if let Some((driver, any_of, example)) = needed
        && !any_of.iter().any(|key| vdev.argument(key).is_some_and(|value| !value.is_empty()))
    {
        let what = format!("{driver} needs the argument {}", any_of.join(" or "));
        checker.error(at, what, format!("write `{},{example}`", vdev.name()));
    }
    let kernel_names = ["net_tap", "net_af_packet", "net_af_xdp"].contains(&vdev.driver());
    if let Some(interface) = vdev.argument("iface").filter(|_| kernel_names) {
        interface_name(checker, at, interface);
    }
}

/// What the kernel takes for an interface name (dev_valid_name of net/core/dev.c).
fn interface_name(checker: &mut Checker<'_>, at: &str, name: &str) {
    /// IFNAMSIZ is 16, with the closing zero.
    const LONGEST: usize = 15;
    // With a `%` the kernel would make up a name of its own.
    let forbidden = ['/', ':', '%'];
    if name.len() > LONGEST {
        let what = format!("`{}` is longer than an interface name can be", shorten(name));
        checker.error(at, what, format!("use {LONGEST} characters or less"));
    } else if name.is_empty() || [".", ".."].contains(&name) || name.contains(forbidden) {
        let what = format!("`{}` cannot be the name of an interface", shorten(name));
        checker.error(
            at,
            what,
            "write a name without `/`, `:` and `%` in `iface=`, for example `iface=mill0`",
        );
    }
}

/// The largest MTU of drivers that have the same one wherever they run and whatever their arguments are (DPDK 22.11).
/// Others depend on a device or a peer: those are asked at the start.
const LARGEST_MTU: &[(&str, u16)] = &[("net_tap", 1504), ("net_af_packet", 1500), ("net_memif", 1500)];

fn mtu(checker: &mut Checker<'_>, path: &str, port: &Port) {
    let at = format!("{path}.mtu");
    let Some(Device::Vdev(vdev)) = port.attachment() else { return };
    let largest = LARGEST_MTU.iter().find(|(driver, _)| *driver == vdev.driver());
    if let Some((driver, largest)) = largest.filter(|(_, largest)| port.mtu > *largest)
        && checker.usable(&at)
        && checker.usable(&format!("{path}.device"))
    {
        let what = format!("{} is more than {driver} can carry", port.mtu);
        checker.error(&at, what, format!("write {largest} or less, or use another device"));
    }
}

fn queues(checker: &mut Checker<'_>, path: &str, port: &Port) {
    if !checker.usable("workers") {
        return;
    }
    let workers = checker.config.workers.cpus.len();
    let at = format!("{path}.rx_queues");
    let pairs = port
        .device
        .as_ref()
        .filter(|vdev| vdev.driver() == "net_af_packet")
        .map(|vdev| vdev.argument("qpairs").and_then(|n| n.parse().ok()).unwrap_or(1_u16));
    if let Some(queues) = port.rx_queues {
        if usize::from(queues) > workers {
            let instead = format!("write {workers} or less, or add workers");
            checker.error(
                &at,
                format!("{queues} queues for {workers} workers: nobody would poll the rest"),
                instead,
            );
        }
        if let Some(pairs) = pairs
            && queues > pairs
        {
            let what = format!("the device opens {pairs} queues, not {queues}");
            checker.error(&at, what, format!("add `,qpairs={queues}` to `device`"));
        }
    }
    let queues = port.rx_queues.or(pairs).map_or(workers, usize::from).min(workers);
    let at = format!("{path}.steering");
    match port.steering {
        Steering::Queue if queues < workers => checker.error(
            &at,
            format!("`queue` needs a queue for each of the {workers} workers, the port has {queues}"),
            "write `steering: auto`, or give the port as many queues as there are workers",
        ),
        Steering::Rss if queues < workers => checker.error(
            &at,
            format!("RSS over {queues} of {workers} workers would leave some without packets"),
            "write `steering: auto`: with fewer queues than workers, workers hand packets over",
        ),
        _ => {}
    }
}
