//! Addresses, subnets and gateways.

use super::{Case, try_all};

const CASES: &[Case] = &[
    ("[10.64.0.2/24,", "[§10.64.0.2,", "ports[0].addresses[0]", "prefix length is missing", "`10.64.0.2/24`"),
    ("[10.64.0.2/24,", "[§10.64.0.2/33,", "ports[0].addresses[0]", "not a prefix length", "0 to 32"),
    ("[10.64.0.2/24,", "[§10.64.0.0/24,", "ports[0].addresses[0]", "network address", "host's address"),
    ("[10.64.0.2/24,", "[§10.64.0.255/24,", "ports[0].addresses[0]", "broadcast address", "host's address"),
    (
        "\"fd00:64::2/64\"",
        "§\"fd00:64::/64\"",
        "ports[0].addresses[1]",
        "subnet-router anycast",
        "host's address",
    ),
    ("\"fd00:64::2/64\"", "§\"ff02::1/64\"", "ports[0].addresses[1]", "multicast", "fd00:64::2/64"),
    ("\"fd00:64::2/64\"", "§127.0.0.1/8", "ports[0].addresses[1]", "loopback", "10.64.0.2/24"),
    ("\"fd00:64::2/64\"", "§10.64.0.2/24", "ports[0].addresses[1]", "given twice", "remove one"),
    ("[10.64.0.1]", "[§10.9.0.1]", "ports[0].gateway[0]", "not in a subnet", "10.64.0.0/24 or fd00:64::/64"),
    ("[10.64.0.1]", "§10.64.0.1/24", "ports[0].gateway[0]", "not an IP address", "alone: `10.64.0.1`"),
    ("[10.64.0.1]", "§10.64.0.2", "ports[0].gateway[0]", "own address", "router's"),
    (
        "[10.65.0.2/24]",
        "[§10.64.0.9/16]",
        "ports[1].addresses[0]",
        "overlaps 10.64.0.0/24 of ports[0]",
        "subnet of its own",
    ),
    ("[10.66.0.2/24]", "[§10.65.0.9/25]", "ports[1].vlans[0].addresses[0]", "overlaps", "subnet of its own"),
];

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    try_all(CASES);
}
