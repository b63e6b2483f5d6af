//! Services: matches, actions, applications.

use control::config::{Host, parse_for};

use super::{Case, try_all};

const CASES: &[Case] = &[
    ("name: echo", "name: §web", "services[1].name", "used already on line 16", "name of its own"),
    ("ingress: lan", "ingress: §lann", "services[1].match.ingress", "no port `lann`", "write `lan`"),
    ("ingress: lan", "vlan: §101", "services[1].match.vlan", "no port accepts VLAN 101", "vlans"),
    ("port: 80", "port: §0", "services[0].match.port[0]", "port 0", "1 to 65535"),
    ("port: 80", "port: [80, §\"9000-8000\"]", "services[0].match.port[1]", "is empty", "8000-9000"),
    ("port: 80", "port: §65536", "services[0].match.port[0]", "not a port", "1 to 65535"),
    (
        "port: 80",
        "source: §10.0.0.1/8",
        "services[0].match.source[0]",
        "bits set after its first 8",
        "10.0.0.0/8",
    ),
    (
        "port: 80",
        "source: 10.0.0.0/8, §destination: [\"fd00::/8\"]",
        "services[0].match.destination",
        "different families",
        "both",
    ),
    (
        "port: 80",
        "source: [10.0.0.0/8, §\"::ffff:10.0.0.0/104\"]",
        "services[0].match.source[1]",
        "IPv4-mapped addresses, which no packet carries",
        "IPv4 prefix",
    ),
    ("protocol: tcp", "protocol: §udp", "services[0].match.protocol", "HTTP is not spoken over UDP", "tcp"),
    (
        "action: terminate\n    application: echo",
        "action: §forward",
        "services[1].action",
        "not supported in this version",
        "use terminate, proxy, monitor, reject or drop",
    ),
    (
        "action: terminate\n    application: echo",
        "action: §terminate",
        "services[1].action",
        "needs an application",
        "application: echo",
    ),
    (
        "action: terminate\n    application: echo",
        "action: drop\n    application: §echo",
        "services[1].application",
        "never sees a flow",
        "remove `application`",
    ),
    (
        "application: echo",
        "application: §ecco",
        "services[1].application",
        "unknown application",
        "write `echo`",
    ),
    (
        "application: echo",
        "application: {§echo: {}}",
        "services[1].application",
        "no settings",
        "application: echo",
    ),
    (
        "body: \"hello\\n\"",
        "status: §100",
        "services[0].application.http.status",
        "out of range",
        "200 to 599",
    ),
    (
        "body: \"hello\\n\"",
        "body: x, directory: §/srv",
        "services[0].application.http.directory",
        "exclude each other",
        "keep one",
    ),
    (
        "body: \"hello\\n\"",
        "status: 204, body: §x",
        "services[0].application.http.body",
        "has no body",
        "remove",
    ),
    (
        "body: \"hello\\n\"",
        "headers: {Content-Length: §\"5\"}",
        "services[0].application.http.headers.Content-Length",
        "by the server",
        "remove",
    ),
    (
        "body: \"hello\\n\"",
        "headers: {X-A: §\"a\\r\\nb\"}",
        "services[0].application.http.headers.X-A",
        "control characters",
        "one line",
    ),
];

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    try_all(CASES);
}

#[test]
fn a_rule_is_called_unreachable_only_if_one_earlier_rule_takes_it_all() {
    let late = |a: &str, b: &str| {
        let text = format!(
            "workers: [1]\nports: [{{name: p, device: net_tap0, addresses: [10.0.0.2/24]}}]\nservices:\n  \
             - {{name: a, match: {{{a}}}, action: drop}}\n  - {{name: b, match: {{{b}}}, action: reject}}\n"
        );
        !parse_for("x", &text, &Host::unknown()).unwrap_or_else(|p| panic!("{p}")).warnings.is_empty()
    };
    assert!(late("", "protocol: tcp"));
    assert!(late("port: [\"1-5\", \"6-9\"]", "port: \"4-7\""));
    assert!(late("source: 10.0.0.0/8", "source: [10.1.0.0/16, 10.2.0.1]"));
    assert!(late("protocol: any", "ingress: p"));
    assert!(!late("protocol: tcp", ""));
    assert!(!late("port: [\"1-5\", \"7-9\"]", "port: \"4-7\""));
    assert!(!late("source: 10.0.0.0/8", ""));
    assert!(!late("source: 10.0.0.0/8", "source: [10.1.0.0/16, 11.0.0.1]"));
    assert!(!late("ingress: p", "port: 7"));
    assert!(!late("protocol: udp", "protocol: tcp"));
    assert!(!late("destination: 0.0.0.0/0", "destination: \"::/0\""));
}
