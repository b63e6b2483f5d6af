//! Memory, buffers and limits.

use control::config::{Host, parse_for};

use super::{Case, GOOD, try_all, unmark};

const CASES: &[Case] = &[
    (
        "limits: {flows: 65536}",
        "limits: {flows: 100, live: §101}",
        "limits.live",
        "only 100 flows",
        "100 or less",
    ),
    (
        "limits: {flows: 65536}",
        "limits: {flows: 100, half_open: §101}",
        "limits.half_open",
        "only 100 flows",
        "100 or less",
    ),
    (
        "limits: {flows: 65536}",
        "limits: {steering_ring: §1000}",
        "limits.steering_ring",
        "not a power of two",
        "write 1024",
    ),
    ("limits: {flows: 65536}", "limits: {flows: §15}", "limits.flows", "out of range", "16 to 8388608"),
    (
        "limits: {flows: 65536}",
        "mempool: {mbufs: §1024}",
        "mempool.mbufs",
        "do not fill the 2048 receive",
        "8192 or more",
    ),
    (
        "limits: {flows: 65536}",
        "mempool: {mbufs: 262144}",
        "eal.memory_mb",
        "512 MiB is too little",
        "memory_mb: 640",
    ),
];

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    try_all(CASES);
}

#[test]
fn buffers_fit_the_address_space_and_suit_the_memory() {
    let host = |gib: u64| Host { memory: Some(gib << 30), strict: true, ..Host::unknown() };
    // 65536 live flows with two buffers of 64 KiB are 8 GiB.
    assert!(parse_for("x", GOOD, &host(1)).unwrap().warnings.is_empty());
    let two = GOOD.replace("workers: [1]", "workers: [1, 2]");
    let [warning] = &parse_for("x", &two, &host(1)).unwrap().warnings[..] else { panic!("one warning") };
    assert_eq!(warning.path, "limits.flows");
    assert!(warning.what.contains("reserve 16 GiB, this machine has 1 GiB"), "{warning}");
    assert!(warning.instead.contains("`live: 32768` or less"), "{warning}");
    let any_host = Host { strict: false, ..host(1) };
    assert!(parse_for("x", &two, &any_host).unwrap().warnings.is_empty(), "not meant for this machine");

    let huge = two.replace("64KiB", "16MiB").replace("flows: 65536", "flows: 1048576, live: 1048576");
    assert!(parse_for("x", &huge, &Host::unknown()).is_ok(), "2^46 bytes are allowed");
    let three = huge.replace("workers: [1, 2]", "workers: [1, 2, 3]");
    let found = parse_for("x", &three, &Host::unknown()).unwrap_err().0;
    assert_eq!((found.len(), found[0].path.as_str()), (1, "limits.live"), "{found:?}");
    assert!(found[0].what.contains("98304 GiB"), "{}", found[0]);
    assert!(found[0].instead.contains("`live: 699050` or less"), "{}", found[0]);
    // More flows than may be live cost records only.
    let many = GOOD.replace("flows: 65536", "flows: 8388608");
    assert!(parse_for("x", &many, &host(1)).unwrap().warnings.is_empty());
}

#[test]
fn automatic_buffers_are_counted_as_long_as_they_will_be() {
    // 8192 buffers of 9000 + 192 + 256 bytes are 74 MiB; of the usual 2176 + 256 bytes, 19 MiB.
    let small = GOOD.replace("memory_mb: 512", "memory_mb: 64");
    assert!(parse_for("x", &small, &Host::unknown()).is_ok());
    let long = small.replace("mtu: 1500", "mtu: 9000").replace("net_tap0,iface=mill0", "net_null0");
    let found = parse_for("x", &long, &Host::unknown()).unwrap_err().0;
    assert_eq!((found.len(), found[0].path.as_str()), (1, "eal.memory_mb"), "{found:?}");
    assert!(found[0].what.contains("the pools need 74 MiB"), "{}", found[0]);
}

#[test]
fn a_connections_buffers_hold_the_longest_packet() {
    let long = GOOD.replace("mtu: 1500", "mtu: 9000").replace("net_tap0,iface=mill0", "net_null0");
    assert!(parse_for("x", &long.replace("64KiB", "9000"), &Host::unknown()).is_ok());
    let (text, line, column) = unmark(&long.replace("64KiB", "§8KiB"));
    let found = parse_for("x", &text, &Host::unknown()).unwrap_err().0;
    let [problem] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (line, column, "tcp.buffer_size"));
    assert!(problem.what.contains("8192 bytes do not hold one packet of the largest MTU, 9000"), "{problem}");
    assert!(problem.instead.contains("9KiB or more"), "{problem}");
}

#[test]
fn no_reader_is_asked_for_more_than_waits() {
    let with = |bytes: &str| {
        GOOD.replace("buffer_size: 64KiB", &format!("buffer_size: 64KiB, slow_reader_bytes: {bytes}"))
    };
    assert!(GOOD.contains("buffer_size: 64KiB"));
    assert!(parse_for("x", &with("64KiB"), &Host::unknown()).is_ok());
    let (text, line, column) = unmark(&with("§65KiB"));
    let found = parse_for("x", &text, &Host::unknown()).unwrap_err().0;
    let [problem] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(
        (problem.line, problem.column, problem.path.as_str()),
        (line, column, "tcp.slow_reader_bytes")
    );
    assert!(problem.instead.contains("65536B or less"), "{problem}");
}
