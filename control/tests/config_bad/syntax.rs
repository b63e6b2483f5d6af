//! Keys, types and units.

use super::{Case, try_all};

const CASES: &[Case] = &[
    ("workers: [1]", "§wrokers: [1]", "wrokers", "unknown key", "write `workers`"),
    ("workers: [1]\n", "§", "workers", "missing", "workers: [1]"),
    ("tcp: {buffer_size", "tcp: {§bufer_size", "tcp.bufer_size", "unknown key", "write `buffer_size`"),
    ("tcp: {", "tcp: {§\"\": red, ", "tcp.\"\"", "unknown key `\"\"`", "the keys here are"),
    ("tcp: {", "tcp: {§colour: red, ", "tcp.colour", "unknown key", "the keys here are"),
    (
        "    mtu: 1500",
        "    mtu: 1500\n    §mtu: 1400",
        "ports[0].mtu",
        "given twice, first on line 9",
        "keep one",
    ),
    ("tcp: {buffer_size: 64KiB}", "§tcp:\n§tcp:", "tcp", "given twice", "keep one"),
    (
        "    application: echo",
        "    §aplication: echo",
        "services[1].aplication",
        "unknown key",
        "write `application`",
    ),
    ("  - name: wan\n    device", "  - §device", "ports[1].name", "missing", "name: lan"),
    (
        "memory_mb: 512",
        "memory_mb: §lots",
        "eal.memory_mb",
        "expected a whole number, found `lots`",
        "64 to 1048576",
    ),
    ("memory_mb: 512", "memory_mb: §\"512\"", "eal.memory_mb", "found the text \"512\"", "remove the quotes"),
    ("memory_mb: 512", "memory_mb: §-5", "eal.memory_mb", "-5 is out of range", "64 to 1048576"),
    ("memory_mb: 512", "§memory_mb:", "eal.memory_mb", "has no value", "`512`"),
    ("hugepages: false", "hugepages: §off", "eal.hugepages", "expected true or false", "write `false`"),
    ("workers: [1]", "workers: §2", "workers", "expected a list of CPU numbers", "{count: 2}"),
    ("workers: [1]", "workers: [1, §one]", "workers[1]", "found `one`", "whole number"),
    ("name: web", "name: §80", "services[0].name", "expected text, found the number 80", "\"80\""),
    (
        "  - name: web",
        "  - §web\n  - name: web",
        "services[0]",
        "expected a mapping, found `web`",
        "the keys are",
    ),
    ("limits: {flows: 65536}", "limits: §[1]", "limits", "expected a mapping, found a list", "`flows`"),
    ("64KiB", "§64KB", "tcp.buffer_size", "`64KB` is not a size", "write `64KiB`"),
    ("64KiB", "§1KiB", "tcp.buffer_size", "1KiB is out of range", "2KiB to 16MiB"),
    ("64KiB", "§99999999999999999999", "tcp.buffer_size", "is not a size", "64KiB"),
    ("64KiB", "64KiB, idle_timeout: §2 hours", "tcp.idle_timeout", "is not a duration", "write `2h`"),
    ("64KiB", "64KiB, time_wait: §1h", "tcp.time_wait", "1h is out of range", "100ms to 4m"),
];

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    try_all(CASES);
}
