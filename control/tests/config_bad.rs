//! Bad configurations: each yields exactly one problem, at the marked place, with the remedy.
//!
//! A case replaces one piece of a good configuration; `§` in the replacement marks the place of the problem and is
//! taken out before parsing, so that line and column are those an editor shows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

use control::config::{Host, Problem, parse_for};

const GOOD: &str = r#"
workers: [1]
eal: {hugepages: false, memory_mb: 512}
ports:
  - name: lan
    device: net_tap0,iface=mill0
    addresses: [10.64.0.2/24, "fd00:64::2/64"]
    gateway: [10.64.0.1]
    mtu: 1500
  - name: wan
    device: net_memif0
    addresses: [10.65.0.2/24]
    vlans:
      - {id: 100, addresses: [10.66.0.2/24]}
services:
  - name: web
    match: {protocol: tcp, port: 80}
    action: terminate
    application: {http: {body: "hello\n"}}
  - name: echo
    match: {ingress: lan, port: 7}
    action: terminate
    application: echo
tcp: {buffer_size: 64KiB}
limits: {flows: 65536}
metrics: {listen: "127.0.0.1:9464"}
"#;

/// (what to replace, the replacement with its mark, path, what is wrong, what to write instead); the last two are
/// parts of the message.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    // Keys.
    ("workers: [1]", "§wrokers: [1]", "wrokers", "unknown key", "write `workers`"),
    ("workers: [1]\n", "§", "workers", "missing", "workers: [1]"),
    ("tcp: {buffer_size", "tcp: {§bufer_size", "tcp.bufer_size", "unknown key", "write `buffer_size`"),
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
    // Types.
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
    // Units.
    ("64KiB", "§64KB", "tcp.buffer_size", "`64KB` is not a size", "write `64KiB`"),
    ("64KiB", "§1KiB", "tcp.buffer_size", "1KiB is out of range", "2KiB to 16MiB"),
    ("64KiB", "§99999999999999999999", "tcp.buffer_size", "is not a size", "64KiB"),
    ("64KiB", "64KiB, idle_timeout: §2 hours", "tcp.idle_timeout", "is not a duration", "write `2h`"),
    ("64KiB", "64KiB, time_wait: §1h", "tcp.time_wait", "1h is out of range", "100ms to 4m"),
    // Addresses.
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
    // Ports.
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
    // Services.
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
    ("protocol: tcp", "protocol: §udp", "services[0].match.protocol", "HTTP is not spoken over UDP", "tcp"),
    (
        "action: terminate\n    application: echo",
        "action: §proxy",
        "services[1].action",
        "not supported in this version",
        "use terminate, reject or drop",
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
    // Together.
    ("workers: [1]", "workers: [1, §1]", "workers[1]", "has a worker already", "CPU of its own"),
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
    (
        "memory_mb: 512",
        "extra_args: [--iova-mode=va, §\"--vdev=net_null0\"]",
        "eal.extra_args[1]",
        "`--vdev` is not allowed",
        "`device`",
    ),
    ("memory_mb: 512", "extra_args: [§\"--vd\"]", "eal.extra_args[0]", "`--vdev` is not allowed", "`device`"),
    ("memory_mb: 512", "extra_args: [§-a0000:3b:00.0]", "eal.extra_args[0]", "`-a` is not allowed", "`pci`"),
    (
        "memory_mb: 512",
        "extra_args: [§--no-pci]",
        "eal.extra_args[0]",
        "`--no-pci` is not allowed",
        "remove it",
    ),
    ("\"127.0.0.1:9464\"", "§\"127.0.0.1\"", "metrics.listen", "not an address and port", "127.0.0.1:9464"),
    ("\"127.0.0.1:9464\"", "§localhost:9464", "metrics.listen", "not an address and port", "127.0.0.1:9464"),
    ("metrics: {", "admin: {mode: §0990}\nmetrics: {", "admin.mode", "not a file mode", "0660"),
];

/// Takes the marks out of a text; says where the last one was.
fn unmark(marked: &str) -> (String, usize, usize) {
    let before = &marked[..marked.rfind('§').expect("a case has a mark")];
    let before = before.replace('§', "");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (marked.replace('§', ""), line, column)
}

fn problems(text: &str) -> Vec<Problem> {
    parse_for("bad.yaml", text, &Host::unknown()).expect_err("the text must be refused").0
}

#[test]
fn the_good_one_is_good() {
    let loaded = parse_for("good.yaml", GOOD, &Host::unknown()).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    for (from, to, path, what, instead) in CASES {
        assert_eq!(GOOD.matches(from).count().min(1), 1, "{from:?} is not in the good configuration");
        // A missing key has no place of its own; its mapping's start is where it belongs.
        let (text, line, column) = match *path {
            "workers" if to.is_empty() || *to == "§" => (GOOD.replacen(from, "", 1), 2, 1),
            "eal.memory_mb" if !to.contains('§') => {
                let (line, column) = (3, GOOD.lines().nth(2).unwrap().find("512").unwrap() + 1);
                (GOOD.replacen(from, to, 1), line, column)
            }
            _ => unmark(&GOOD.replacen(from, to, 1)),
        };
        let found = problems(&text);
        let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{to:?}: {shown:#?}");
        let problem = &found[0];
        assert_eq!((problem.line, problem.column), (line, column), "{to:?}: {problem}");
        assert_eq!(problem.path, *path, "{to:?}: {problem}");
        assert!(problem.what.contains(what), "{to:?}: expected {what:?} in {problem}");
        assert!(problem.instead.contains(instead), "{to:?}: expected {instead:?} in {problem}");
        assert!(!problem.to_string().contains('\n'), "one line each: {problem:?}");
        assert!(problem.to_string().starts_with(&format!("bad.yaml:{line}:{column}: {path}: ")), "{problem}");
    }
}

#[test]
fn every_problem_of_a_file_is_reported_in_one_run() {
    let text = "
wokers: [1]
eal: {memory_mb: much}
ports:
  - name: lan
    device: net_tap0
    addresses: [10.64.0.2, 10.64.0.0/24]
    mtu: 100
services:
  - {name: a, match: {port: 0}, action: monitor}
metrics: {listen: here}
";
    let found: Vec<_> = problems(text).into_iter().map(|p| (p.line, p.column, p.path)).collect();
    let expected = [
        (2, 1, "wokers"),
        (3, 18, "eal.memory_mb"),
        (7, 17, "ports[0].addresses[0]"),
        (7, 28, "ports[0].addresses[1]"),
        (8, 10, "ports[0].mtu"),
        (10, 29, "services[0].match.port[0]"),
        (10, 41, "services[0].action"),
        (11, 19, "metrics.listen"),
    ];
    let expected: Vec<_> = expected.iter().map(|(l, c, p)| (*l, *c, (*p).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_flood_of_problems_is_cut_and_says_so() {
    let keys: String = (0..5000).map(|n| format!("key{n}: 1\n")).collect();
    let found = problems(&keys);
    assert_eq!(found.len(), 101);
    assert!(found[100].what.contains("more problems are not shown"), "{}", found[100]);
}

#[test]
fn this_machine_is_checked_only_when_asked() {
    let strict = Host { cpus: Some(vec![0, 2]), strict: true, ..Host::unknown() };
    let found = parse_for("bad.yaml", GOOD, &strict).unwrap_err().0;
    assert_eq!((found.len(), found[0].line, found[0].column), (1, 2, 11), "{found:?}");
    assert_eq!(found[0].path, "workers[0]");
    assert_eq!(found[0].instead, "write one of the online CPUs: 0, 2");

    let directory = GOOD.replace("body: \"hello\\n\"", "directory: /nonexistent/www");
    assert!(parse_for("x", &directory, &Host::unknown()).is_ok());
    let strict = Host { cpus: None, ..strict };
    let found = parse_for("bad.yaml", &directory, &strict).unwrap_err().0;
    assert_eq!(found[0].path, "services[0].application.http.directory");
    assert!(found[0].instead.contains("mkdir -p /nonexistent/www"), "{}", found[0]);

    let count = GOOD.replace("workers: [1]", "workers: {count: 3}");
    let strict = Host { cpus: Some(vec![0, 2]), ..strict };
    let found = parse_for("bad.yaml", &count, &strict).unwrap_err().0;
    assert!(found[0].what.contains("3 workers do not fit on 2 online CPUs"), "{}", found[0]);
}

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

#[test]
fn buffers_fit_the_address_space_and_suit_the_memory() {
    let host = |gib: u64| Host { memory: Some(gib << 30), strict: true, ..Host::unknown() };
    // 65536 flows with two buffers of 64 KiB are 8 GiB.
    assert!(parse_for("x", GOOD, &host(1)).unwrap().warnings.is_empty());
    let two = GOOD.replace("workers: [1]", "workers: [1, 2]");
    let [warning] = &parse_for("x", &two, &host(1)).unwrap().warnings[..] else { panic!("one warning") };
    assert_eq!(warning.path, "limits.flows");
    assert!(warning.what.contains("reserve 16 GiB, this machine has 1 GiB"), "{warning}");
    assert!(warning.instead.contains("`flows: 32768` or less"), "{warning}");
    let any_host = Host { strict: false, ..host(1) };
    assert!(parse_for("x", &two, &any_host).unwrap().warnings.is_empty(), "not meant for this machine");

    let huge = two.replace("64KiB", "16MiB").replace("flows: 65536", "flows: 1048576");
    assert!(parse_for("x", &huge, &Host::unknown()).is_ok(), "2^46 bytes are allowed");
    let found = parse_for("x", &huge.replace("1048576", "1048577"), &Host::unknown()).unwrap_err().0;
    assert_eq!((found.len(), found[0].path.as_str()), (1, "limits.flows"), "{found:?}");
    assert!(found[0].what.contains("65536 GiB"), "{}", found[0]);
    assert!(found[0].instead.contains("`flows: 1048576` or less"), "{}", found[0]);
}

#[test]
fn automatic_buffers_are_counted_as_long_as_they_will_be() {
    // 8192 buffers of 9000 + 192 + 256 bytes are 74 MiB; of the usual 2176 + 256 bytes, 19 MiB.
    let small = GOOD.replace("memory_mb: 512", "memory_mb: 64");
    assert!(parse_for("x", &small, &Host::unknown()).is_ok());
    let long = small.replace("mtu: 1500", "mtu: 9000");
    let found = parse_for("x", &long, &Host::unknown()).unwrap_err().0;
    assert_eq!((found.len(), found[0].path.as_str()), (1, "eal.memory_mb"), "{found:?}");
    assert!(found[0].what.contains("the pools need 74 MiB"), "{}", found[0]);
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
