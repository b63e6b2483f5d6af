//! Where events go.

use super::{Case, try_all};

/// In front of what is there anyway.
const AT: &str = "metrics: {listen";

const CASES: &[Case] = &[
    (AT, "§export: {}\nmetrics: {listen", "export", "would go nowhere", "push: [\"ipc:///run"),
    (AT, "export: {push: §localhost}\nmetrics: {listen", "export.push[0]", "not an endpoint", "ipc:///run"),
    (
        AT,
        "export: {push: [\"tcp://*:1\", §\"tcp://a:1\"]}\nmetrics: {listen",
        "export.push[1]",
        "not an endpoint",
        "names are not looked up",
    ),
    (
        AT,
        "export: {push: \"tcp://*:1\", publish: §\"tcp://*:1\"}\nmetrics: {listen",
        "export.publish[0]",
        "already on line",
        "remove one",
    ),
    (
        AT,
        "export: {push: \"tcp://*:1\", body: §40MiB}\nmetrics: {listen",
        "export.body",
        "may not find room in `assembly`, 64MiB",
        "twice as much",
    ),
    (
        AT,
        "export: {push: \"tcp://*:1\", ring: §1KiB}\nmetrics: {listen",
        "export.ring",
        "1KiB is out of range",
        "1MiB to 1GiB",
    ),
    (
        AT,
        "export: {push: §\"ipc:///12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\"}\nmetrics: {listen",
        "export.push[0]",
        "99 bytes at most, this has 111",
        "shorter path",
    ),
];

#[test]
fn export() {
    try_all(CASES);
}
