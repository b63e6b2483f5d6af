//! Upstreams, and services that proxy to them.

use control::config::{Host, parse_for};

use super::{Case, try_all_of, unmark};

const GOOD: &str = r#"
workers: [1, 2]
ports:
  - name: lan
    device: net_tap0,iface=mill0
    addresses: [10.1.0.2/24]
    kernel_addresses: [10.1.0.1/24]
    any_ip: true
  - name: wan
    device: net_memif0
    addresses: [10.2.0.2/24, "fd00:2::2/64"]
    gateway: ["fd00:2::1"]
    vlans:
      - {id: 7, addresses: [10.7.0.2/24]}
upstreams:
  - name: web
    balance: source
    servers:
      - {name: a, address: "10.2.0.11:80", max_connections: 100}
      - {address: "10.2.0.12:80", weight: 2}
    health_check:
      http: {path: /healthz, host: example.org, expect: "200-299"}
      interval: 2s
      timeout: 1s
    eject: {failures: 3, time: 10s}
  - name: six
    servers: [{address: "[2001:db8::1]:443"}]
services:
  - name: front
    match: {protocol: tcp, port: 80}
    action: proxy
    proxy: {upstream: web, source_addresses: [10.2.0.100]}
  - name: six
    match: {port: 443}
    action: proxy
    proxy: {upstream: six, egress: wan, egress_vlan: 0}
  - name: clear
    match: {protocol: tcp, port: 8080}
    action: proxy
    proxy: {source: client}
proxy: {source_ports: "20000-29999"}
tcp: {keepalive: 30s}
"#;

const SERVERS: &[Case] = &[
    (
        "  - name: six\n    serv",
        "  - {name: §web, servers: [{address: \"10.2.0.9:1\"}]}\n  - name: six\n    serv",
        "upstreams[1].name",
        "used already on line 16",
        "name of its own",
    ),
    (
        "  - name: six\n    serv",
        "  - {name: §a/b, servers: [{address: \"10.2.0.9:1\"}]}\n  - name: six\n    serv",
        "upstreams[1].name",
        "`a/b` is not a name",
        "use letters",
    ),
    (
        "servers: [{address: \"[2001:db8::1]:443\"}]",
        "servers: §[]",
        "upstreams[1].servers",
        "0 items",
        "1 to 256",
    ),
    (
        "address: \"10.2.0.12:80\"",
        "name: §a, address: \"10.2.0.12:80\"",
        "upstreams[0].servers[1].name",
        "used already on line 19",
        "name of its own",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"10.2.0.11:80\"",
        "upstreams[0].servers[1].address",
        "a server already on line 19",
        "remove one",
    ),
    (
        "\"10.2.0.12:80\"",
        "§10.2.0.12",
        "upstreams[0].servers[1].address",
        "not a server's address and port",
        "\"10.2.0.12:80\"",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"fd00:2::12\"",
        "upstreams[0].servers[1].address",
        "not a server's address and port",
        "\"[fd00:2::12]:80\"",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"b.example.org:80\"",
        "upstreams[0].servers[1].address",
        "not a server's address",
        "names are not looked up",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"10.2.0.12:0\"",
        "upstreams[0].servers[1].address",
        "no port 0",
        "\"10.2.0.12:80\"",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"[fe80::1%2]:80\"",
        "upstreams[0].servers[1].address",
        "not a server's address",
        "without the interface: \"[fe80::1]:80\"",
    ),
    (
        "\"[2001:db8::1]:443\"",
        "§\"[fe80::1]:443\"",
        "upstreams[1].servers[0].address",
        "link-local",
        "global or unique-local",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"10.7.0.2:80\"",
        "upstreams[0].servers[1].address",
        "address of Millrace itself",
        "a server's address",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"10.2.0.255:80\"",
        "upstreams[0].servers[1].address",
        "the broadcast address of 10.2.0.0/24",
        "a server's address",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"224.0.0.1:80\"",
        "upstreams[0].servers[1].address",
        "a multicast address",
        "a server's address",
    ),
    (
        "\"10.2.0.12:80\"",
        "§\"192.0.2.1:80\"",
        "upstreams[0].servers[1].address",
        "no port reaches `192.0.2.1`",
        "add `gateway:`",
    ),
    ("weight: 2", "weight: §257", "upstreams[0].servers[1].weight", "out of range", "0 to 256"),
    (
        "path: /healthz",
        "path: §healthz",
        "upstreams[0].health_check.http.path",
        "`healthz` is not a path",
        "`/healthz`",
    ),
    (
        "path: /healthz",
        "path: §\"/a HTTP/1.1\\r\\nX: y\"",
        "upstreams[0].health_check.http.path",
        "blanks, control characters",
        "percent-encoded",
    ),
    (
        "host: example.org",
        "host: §\"example.org\\r\\nX: y\"",
        "upstreams[0].health_check.http.host",
        "cannot have blanks",
        "example.org",
    ),
    ("\"200-299\"", "§\"299-200\"", "upstreams[0].health_check.http.expect", "is empty", "200-299"),
    ("\"200-299\"", "§2xx", "upstreams[0].health_check.http.expect", "not an HTTP status", "\"200-399\""),
    ("interval: 2s", "interval: §50ms", "upstreams[0].health_check.interval", "out of range", "100ms to 1h"),
    ("failures: 3", "§falures: 3", "upstreams[0].eject.falures", "unknown key", "write `failures`"),
];

const PROXIES: &[Case] = &[
    ("upstream: web", "upstream: §webb", "services[0].proxy.upstream", "no upstream `webb`", "write `web`"),
    (
        "action: proxy\n    proxy: {upstream: web, source_addresses: [10.2.0.100]}",
        "action: §proxy",
        "services[0].action",
        "where sessions go",
        "proxy: {}",
    ),
    (
        "action: proxy\n    proxy: {upstream: web",
        "action: drop\n    §proxy: {upstream: web",
        "services[0].proxy",
        "nothing is proxied",
        "action: proxy",
    ),
    (
        "action: proxy\n",
        "action: proxy\n    application: §echo\n",
        "services[0].application",
        "never sees a flow",
        "remove `application`",
    ),
    (
        "proxy: {source: client}",
        "proxy: {source: client, §source_addresses: [10.2.0.101]}",
        "services[2].proxy.source_addresses",
        "come from the client's address",
        "source: own",
    ),
    (
        "upstream: six,",
        "upstream: six, send_proxy: §v2,",
        "services[1].proxy.send_proxy",
        "is for TCP",
        "protocol: tcp",
    ),
    (
        "upstream: six,",
        "upstream: six, accept_proxy: §true,",
        "services[1].proxy.accept_proxy",
        "is for TCP",
        "protocol: tcp",
    ),
    (
        "upstream: six,",
        "upstream: six, wait_for_upstream: §true,",
        "services[1].proxy.wait_for_upstream",
        "is for TCP",
        "protocol: tcp",
    ),
    (
        "upstream: web,",
        "upstream: web, accept_proxy: true, wait_for_upstream: §true,",
        "services[0].proxy.wait_for_upstream",
        "after the handshake",
        "keep one",
    ),
    ("egress: wan", "egress: §wann", "services[1].proxy.egress", "no port `wann`", "write `wan`"),
    (
        "egress: wan, egress_vlan: 0",
        "egress_vlan: §0",
        "services[1].proxy.egress_vlan",
        "of which port",
        "egress: PORT",
    ),
    ("egress_vlan: 0", "egress_vlan: §8", "services[1].proxy.egress_vlan", "does not accept VLAN 8", "vlans"),
    (
        "egress: wan, egress_vlan: 0",
        "egress: §wan, egress_vlan: 7",
        "services[1].proxy.egress",
        "cannot be reached this way",
        "gateway",
    ),
    (
        "[10.2.0.100]",
        "[10.2.0.100, §10.2.0.100]",
        "services[0].proxy.source_addresses[1]",
        "given twice",
        "remove one",
    ),
    (
        "[10.2.0.100]",
        "[§10.2.0.11]",
        "services[0].proxy.source_addresses[0]",
        "address of the server 10.2.0.11:80",
        "nobody else's",
    ),
    (
        "[10.2.0.100]",
        "[§10.1.0.1]",
        "services[0].proxy.source_addresses[0]",
        "in `kernel_addresses` of the port `lan`",
        "nobody else's",
    ),
    (
        "[10.2.0.100]",
        "[10.2.0.100, §\"fd00:2::1\"]",
        "services[0].proxy.source_addresses[1]",
        "a gateway's address",
        "nobody else's",
    ),
    (
        "[10.2.0.100]",
        "[§10.2.0.255]",
        "services[0].proxy.source_addresses[0]",
        "the broadcast address",
        "nobody else's",
    ),
    (
        "[10.2.0.100]",
        "[10.2.0.100, §\"ff02::1\"]",
        "services[0].proxy.source_addresses[1]",
        "a multicast address",
        "nobody else's",
    ),
    (
        "upstream: six, egress",
        "upstream: six, §source_addresses: [10.2.0.100], egress",
        "services[1].proxy.source_addresses",
        "no IPv6 address to reach the server [2001:db8::1]:443 from",
        "add an IPv6 address",
    ),
    (
        "source_ports: \"20000-29999\"",
        "endpoints: 2000, source_ports: §\"1-80000\"",
        "proxy.source_ports",
        "not a port",
        "1 to 65535",
    ),
    ("\"20000-29999\"", "§\"29999-20000\"", "proxy.source_ports", "is empty", "20000-29999"),
    ("\"20000-29999\"", "§\"0-29999\"", "proxy.source_ports", "no port 0", "1 to 65535"),
    (
        "keepalive: 30s",
        "keepalive: 30s, keepalive_probes: §0",
        "tcp.keepalive_probes",
        "out of range",
        "1 to 100",
    ),
];

#[test]
fn the_good_one_is_good() {
    let loaded =
        parse_for("good.yaml", GOOD, &Host::unknown()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    let servers = &loaded.config.upstreams[0].servers;
    assert_eq!(servers.iter().map(|server| server.name()).collect::<Vec<_>>(), ["a", "10.2.0.12:80"]);
}

#[test]
fn what_is_wrong_with_servers_is_reported_once_at_its_place_with_its_remedy() {
    try_all_of(GOOD, SERVERS);
}

#[test]
fn what_is_wrong_with_proxies_is_reported_once_at_its_place_with_its_remedy() {
    try_all_of(GOOD, PROXIES);
}

#[test]
fn what_is_allowed_but_not_meant_is_a_warning_at_its_place() {
    let cases = [
        (
            "upstream: six, egress: wan, egress_vlan: 0",
            "upstream: web",
            "upstreams[1].name",
            "no service uses",
        ),
        ("timeout: 1s", "timeout: §3s", "upstreams[0].health_check.timeout", "interval of 2000 ms"),
        (
            "servers: [{address: \"[2001:db8::1]:443\"}]",
            "§servers: [{address: \"[2001:db8::1]:443\", weight: 0}]",
            "upstreams[1].servers",
            "every server has weight 0",
        ),
        (
            "max_connections: 100",
            "max_connections: §1",
            "upstreams[0].servers[0].max_connections",
            "1 shared by 2 workers is 1 for each, so 2 in all",
        ),
        (
            "upstream: six,",
            "upstream: six, max_connections: §1,",
            "services[1].proxy.max_connections",
            "1 shared by 2 workers",
        ),
        (
            "[10.2.0.100]",
            "[10.2.0.100, §\"fd00:2::100\"]",
            "services[0].proxy.source_addresses[1]",
            "of a family that no server of `web` has",
        ),
        (
            "proxy: {source_ports",
            "limits: {flows: 1000}\nproxy: {sessions: §501, source_ports",
            "proxy.sessions",
            "a session takes two flows, so the 1000 of `limits.flows` are enough for 500",
        ),
        ("    any_ip: true\n", "", "services[2].proxy", "no port has `any_ip`"),
        (
            "match: {port: 443}",
            "match: {protocol: udp, port: 443}",
            "services[1].proxy.idle_timeout",
            "is for TCP",
        ),
        (
            "{source: client}",
            "{source: §client, upstream: mixed}",
            "services[2].proxy.source",
            "its own family",
        ),
    ];
    for (from, to, path, what) in cases {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let text = match path {
            "services[1].proxy.idle_timeout" => {
                text.replace("egress_vlan: 0", "egress_vlan: 0, idle_timeout: §5m")
            }
            "services[2].proxy.source" => text.replace(
                "  - name: six\n    servers",
                "  - {name: mixed, servers: [{address: \"10.2.0.9:80\"}, {address: \"[fd00:2::9]:80\"}]}\n  \
                 - name: six\n    servers",
            ),
            "services[2].proxy" => {
                text.replace("    proxy: {source: client}", "    §proxy: {source: client}")
            }
            "upstreams[1].name" => text.replacen("name: six", "name: §six", 1),
            _ => text,
        };
        let (text, line, column) = unmark(&text);
        let loaded =
            parse_for("warn.yaml", &text, &Host::unknown()).unwrap_or_else(|p| panic!("{to:?}:\n{p}"));
        let [warning] = &loaded.warnings[..] else { panic!("{to:?}: {:#?}", loaded.warnings) };
        assert_eq!((warning.line, warning.column, warning.path.as_str()), (line, column, path), "{warning}");
        assert!(warning.what.contains(what), "{warning}");
    }
}

#[test]
fn lists_of_source_ports_have_to_fit() {
    let text = |endpoints: u32, range: &str, more: &str| {
        let proxy = format!("{more}proxy: {{endpoints: {endpoints}, source_ports: \"{range}\"}}");
        GOOD.replace("proxy: {source_ports: \"20000-29999\"}", &proxy)
    };
    let host = Host { memory: Some(1 << 30), strict: true, cpus: Some(vec![0, 1, 2, 3]), ..Host::unknown() };
    let warned = |endpoints: u32| {
        let text = text(endpoints, "20000-29999", "");
        let warnings = parse_for("x", &text, &host).unwrap_or_else(|problems| panic!("{problems}")).warnings;
        warnings.into_iter().find(|warning| warning.path == "proxy.endpoints")
    };
    // Two workers, and five addresses: four of networks, one of a service. Eight times the memory is 8 GiB.
    assert_eq!(warned(42_949), None);
    let warning = warned(42_950).unwrap();
    let what = "2 x 42950 servers with 10000 ports of 5 addresses reserve 8 GiB, this machine has 1 GiB";
    assert_eq!((warning.what.as_str(), warning.instead.as_str()), (what, "write `endpoints: 42949` or less"));

    let shared: String = (1..64).map(|n| format!("10.2.1.{n}, ")).collect();
    let service = |n: u32| {
        let proxy = format!("{{upstream: web, source_addresses: [{shared}10.2.2.{n}]}}");
        format!("  - {{name: s{n}, match: {{port: {n}}}, action: proxy, proxy: {proxy}}}\n")
    };
    let services: String = (100..200).map(service).collect();
    let text = text(65_536, "1-65535", &services);
    let problems = parse_for("x", &text, &Host::unknown()).expect_err("too much for a process").to_string();
    assert!(problems.contains(": proxy.endpoints: 2 x 65536 servers with 65535 ports of 6405"), "{problems}");
    assert!(problems.contains("of address space, a process has 65536 GiB: write `endpoints: "), "{problems}");
}
