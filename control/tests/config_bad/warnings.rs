//! What is allowed but probably not meant.

use control::config::{Host, parse_for};

use super::{GOOD, unmark};

#[test]
fn what_is_allowed_but_not_meant_is_a_warning_at_its_place() {
    let cases = [
        (
            "port: 7}",
            "port: 7}\n    action: drop\n  - name: late\n    §match: {ingress: lan, port: 7}",
            "services[2].match",
            "takes everything this one",
        ),
        ("eal: {", "idle: {mode: busy, max_sleep: §50us}\neal: {", "idle.max_sleep", "is not used"),
        ("eal: {", "eal: {main_cpus: [§1], ", "eal.main_cpus[0]", "also has a worker"),
        (
            "mtu: 1500",
            "kernel_addresses: [§10.99.0.1/24]",
            "ports[0].kernel_addresses[0]",
            "shares no subnet",
        ),
        ("limits: {flows: 65536}", "mempool: {mbufs: §4096}", "mempool.mbufs", "runs out of its 4096"),
    ];
    for (from, to, path, what) in cases {
        let (text, line, column) = unmark(&GOOD.replacen(from, to, 1));
        let loaded =
            parse_for("warn.yaml", &text, &Host::unknown()).unwrap_or_else(|p| panic!("{to:?}:\n{p}"));
        let [warning] = &loaded.warnings[..] else { panic!("{to:?}: {:#?}", loaded.warnings) };
        assert_eq!((warning.line, warning.column, warning.path.as_str()), (line, column, path), "{warning}");
        assert!(warning.what.contains(what), "{warning}");
        let start = format!("warn.yaml:{line}:{column}: warning: {path}: ");
        assert!(warning.to_string().starts_with(&start), "{warning}");
    }
}
