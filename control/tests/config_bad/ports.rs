//! Ports: names, devices, queues, VLANs.

use control::config::{Host, parse_for};

use super::{Case, GOOD, try_all};

const CASES: &[Case] = &[
    ("name: wan", "name: §lan", "ports[1].name", "used already on line 5", "name of its own"),
    (
        "device: net_memif0",
        "device: §net_tap0",
        "ports[1].device",
        "net_tap0 is used already on line 6",
        "device of its own",
    ),
    (
        "device: net_memif0",
        "device: §net_tap1,iface=mill0",
        "ports[1].device",
        "interface mill0 is used already",
        "device of its own",
    ),
    (
        "device: net_memif0",
        "device: §net_taap0",
        "ports[1].device",
        "not a known virtual device",
        "write `net_tap`",
    ),
    ("device: net_memif0", "device: §net_memif", "ports[1].device", "has no number", "net_memif0"),
    ("device: net_memif0", "device: §\"0000:3b:00.0\"", "ports[1].device", "is a PCI address", "pci:"),
    ("device: net_memif0", "pci: §3b:00", "ports[1].pci", "not a PCI address", "0000:3b:00.0"),
    (
        "device: net_memif0",
        "device: §net_af_packet0",
        "ports[1].device",
        "needs the argument iface",
        "iface=veth1",
    ),
    (
        "device: net_memif0",
        "device: net_memif0\n    pci: §\"0000:3b:00.0\"",
        "ports[1].pci",
        "`device` names it already",
        "keep one",
    ),
    (
        "  - name: wan\n    device: net_memif0",
        "  - §name: wan",
        "ports[1]",
        "neither `device` nor `pci`",
        "net_tap0",
    ),
    (
        "net_tap0,iface=mill0",
        "§net_tap0,iface=a/b",
        "ports[0].device",
        "cannot be the name of an interface",
        "iface=mill0",
    ),
    (
        "net_tap0,iface=mill0",
        "§net_tap0,iface=a:b",
        "ports[0].device",
        "cannot be the name of an interface",
        "iface=mill0",
    ),
    (
        "net_tap0,iface=mill0",
        "§net_tap0,iface=mill%d",
        "ports[0].device",
        "cannot be the name of an interface",
        "iface=mill0",
    ),
    (
        "net_tap0,iface=mill0",
        "§net_tap0,iface=..",
        "ports[0].device",
        "cannot be the name of an interface",
        "iface=mill0",
    ),
    (
        "net_tap0,iface=mill0",
        "§net_tap0,iface=",
        "ports[0].device",
        "cannot be the name of an interface",
        "iface=mill0",
    ),
    (
        "net_tap0,iface=mill0",
        "§net_tap0,iface=sixteenletters16",
        "ports[0].device",
        "longer than an interface name",
        "15 characters or less",
    ),
    ("mtu: 1500", "mtu: §1505", "ports[0].mtu", "1505 is more than net_tap can carry", "1504 or less"),
    (
        "device: net_memif0",
        "device: net_memif0\n    mtu: §1501",
        "ports[1].mtu",
        "1501 is more than net_memif can carry",
        "1500 or less",
    ),
    (
        "device: net_memif0",
        "device: §net_tap1\n    kernel_addresses: [10.65.0.1/24]",
        "ports[1].device",
        "the kernel names the tap",
        "`net_tap1,iface=mill0`",
    ),
    ("device: net_memif0", "device: §net_ring0", "ports[1].device", "no Ethernet address", "add `mac:`"),
    ("mtu: 1500", "mtu: §1000", "ports[0].mtu", "too small for a port with an IPv6", "1280"),
    ("mtu: 1500", "mtu: §9601", "ports[0].mtu", "out of range", "576 to 9600"),
    ("mtu: 1500", "mac: §\"01:00:5e:00:00:01\"", "ports[0].mac", "group address", "02:00:00:00:00:01"),
    ("mtu: 1500", "rx_queues: §2", "ports[0].rx_queues", "2 queues for 1 workers", "write 1 or less"),
    ("mtu: 1500", "steering: §sofware", "ports[0].steering", "unknown word", "write `software`"),
    (
        "mtu: 1500",
        "kernel_addresses: [§10.64.0.2/24]",
        "ports[0].kernel_addresses[0]",
        "own address",
        "another",
    ),
    ("- {id: 100,", "- {id: §4095,", "ports[1].vlans[0].id", "4095 is out of range", "1 to 4094"),
    (
        "- {id: 100,",
        "- {id: 100}\n      - {id: §100,",
        "ports[1].vlans[1].id",
        "given already on line 14",
        "each VLAN",
    ),
];

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    try_all(CASES);
}

#[test]
fn a_driver_whose_largest_mtu_depends_on_something_is_asked_at_the_start() {
    for device in ["net_null0", "net_vhost0,iface=v.sock", "net_af_xdp0,iface=v1"] {
        let text = GOOD.replace("net_tap0,iface=mill0", device).replace("mtu: 1500", "mtu: 9000");
        parse_for("x", &text, &Host::unknown()).unwrap_or_else(|problems| panic!("{problems}"));
    }
}
