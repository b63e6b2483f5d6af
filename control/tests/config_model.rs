//! The configuration as one definition: examples, defaults, documents, schema, comparison.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::config::model::{
    Application, Congestion, Device, EalLogLevel, Hugepages, IdleMode, LogFormat, LogLevel,
};
use control::config::{
    Auto, Config, FileMode, Host, Listen, Loaded, Size, diff, effective_yaml, key_table, load_for, parse,
    parse_for, reference_yaml, schema,
};
use serde_json::Value as Json;

const SMALLEST: &str = "workers: [1]\nports: [{name: lan, device: net_tap0, addresses: [10.64.0.2/24]}]\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn good(text: &str) -> Loaded {
    parse("x.yaml", text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

#[test]
fn quickstart_and_examples_are_clean() {
    let conf = repository().join("conf");
    let mut files = vec![conf.join("quickstart.yaml"), conf.join("reference.yaml")];
    let examples = std::fs::read_dir(conf.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(examples.filter(|path| path.extension().is_some_and(|end| end == "yaml")));
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let loaded = load_for(&file, &Host { base: conf.clone(), ..Host::unknown() });
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.warnings, [], "{}", file.display());
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let Config {
        eal, mempool, limits, tcp, udp, idle, metrics, admin, log, shutdown, services, ports, ..
    } = good(SMALLEST).config;
    assert_eq!((eal.hugepages, eal.memory_mb, eal.file_prefix.as_str()), (Hugepages::Off, 512, "millrace"));
    assert_eq!((eal.log_level, eal.main_cpus.len(), eal.extra_args.len()), (EalLogLevel::Warning, 0, 0));
    assert_eq!((mempool.mbufs, mempool.cache, mempool.data_room), (8192, 256, Auto::Auto));
    assert_eq!(
        (limits.flows, limits.half_open, limits.neighbours, limits.fragments),
        (65536, 8192, 4096, 64)
    );
    assert_eq!(limits.fragment_timeout, Duration::from_secs(30));
    assert_eq!((limits.rst_per_second, limits.icmp_per_second), (1000, 100));
    assert_eq!(
        (limits.challenge_acks_per_second, limits.admin_sessions, limits.steering_ring),
        (1000, 16, 1024)
    );
    assert_eq!((tcp.buffer_size, tcp.synack_retries, tcp.min_mss), (Size::from_bytes(65536), 5, 64));
    assert_eq!(
        (tcp.idle_timeout, tcp.halfopen_idle_timeout),
        (Duration::from_secs(7200), Duration::from_secs(7200))
    );
    assert_eq!((tcp.user_timeout, tcp.time_wait), (Duration::from_secs(120), Duration::from_secs(10)));
    assert_eq!(tcp.fin_wait_timeout, Duration::from_secs(60));
    assert_eq!((tcp.congestion, udp.idle_timeout), (Congestion::Cubic, Duration::from_secs(300)));
    assert_eq!((idle.mode, idle.max_sleep), (IdleMode::Adaptive, Duration::from_micros(100)));
    assert_eq!(metrics.listen, Listen::At(SocketAddr::from(([127, 0, 0, 1], 9464))));
    assert_eq!((admin.socket.to_str().unwrap(), admin.mode), ("/run/millrace/admin.sock", FileMode(0o660)));
    assert_eq!((admin.group, log.level, log.format), (None, LogLevel::Info, LogFormat::Text));
    assert_eq!((shutdown.drain, services.len()), (Duration::from_secs(5), 0));
    let port = &ports[0];
    assert_eq!((port.mtu, port.any_ip, port.promiscuous, port.rx_queues), (1500, false, false, None));
    assert_eq!((port.rx_descriptors, port.tx_descriptors, port.mac), (1024, 1024, None));
    let Some(Device::Vdev(vdev)) = port.attachment() else { panic!("{port:?}") };
    assert_eq!((vdev.name(), vdev.driver(), vdev.argument("iface")), ("net_tap0", "net_tap", None));

    let http = good(&format!(
        "{SMALLEST}services: [{{name: w, match: {{port: 80}}, action: terminate, application: http}}]"
    ));
    let Some(Application::Http(http)) = &http.config.services[0].application else { panic!("{http:?}") };
    assert_eq!((http.status, http.keep_alive, http.body.as_deref()), (200, true, None));
    assert_eq!((http.max_head, http.max_body), (Size::from_bytes(8192), Size::from_bytes(1 << 20)));
}

/// Every path with a default in the schema has that value in the smallest configuration.
#[test]
fn the_schemas_defaults_are_the_defaults() {
    // A section that is not there has no values to compare.
    let text = format!("{SMALLEST}export: {{push: \"tcp://127.0.0.1:5557\"}}\n");
    let shown = serde_json::to_value(&good(&text).config).unwrap();
    let schema = schema();
    let mut compared = 0;
    for (key, field) in schema["properties"].as_object().unwrap() {
        for (inner, field) in field["properties"].as_object().into_iter().flatten() {
            let written = key == "export" && inner == "push";
            if let Some(default) = field.get("default").filter(|_| !written) {
                assert_eq!(&shown[key][inner], default, "{key}.{inner}");
                compared += 1;
            }
        }
    }
    assert!(compared > 35, "{compared}");
}

#[test]
fn values_are_read_as_written() {
    let cases = [
        ("tcp: {buffer_size: 65536}", "/tcp/buffer_size", "64KiB"),
        ("tcp: {buffer_size: 3000}", "/tcp/buffer_size", "3000B"),
        ("tcp: {buffer_size: 1 MiB}", "/tcp/buffer_size", "1MiB"),
        ("tcp: {idle_timeout: 90}", "/tcp/idle_timeout", "90s"),
        ("tcp: {idle_timeout: 120m}", "/tcp/idle_timeout", "2h"),
        ("tcp: {time_wait: 1500ms}", "/tcp/time_wait", "1500ms"),
        ("idle: {max_sleep: 50us}", "/idle/max_sleep", "50us"),
        ("admin: {mode: 0600}", "/admin/mode", "0600"),
        ("admin: {mode: \"600\"}", "/admin/mode", "0600"),
        ("admin: {mode: 0o640}", "/admin/mode", "0640"),
        ("metrics: {listen: \"[::1]:9464\"}", "/metrics/listen", "[::1]:9464"),
        ("metrics: {listen: off}", "/metrics/listen", "off"),
        ("export: {push: \"tcp://[::1]:5557\"}", "/export/push/0", "tcp://[::1]:5557"),
        (
            "export: {publish: [\"connect:ipc:///run/v.sock\"]}",
            "/export/publish/0",
            "connect:ipc:///run/v.sock",
        ),
        ("mempool: {data_room: 4096}", "/mempool/data_room", "4KiB"),
        ("tcp:", "/tcp/congestion", "cubic"),
    ];
    for (yaml, pointer, expected) in cases {
        let shown = serde_json::to_value(&good(&format!("{SMALLEST}{yaml}\n")).config).unwrap();
        assert_eq!(shown.pointer(pointer), Some(&Json::from(expected)), "{yaml}");
    }
    let workers = |text: &str, host: &Host| {
        parse_for("x", &SMALLEST.replace("[1]", text), host).unwrap().config.workers.cpus
    };
    let four = Host { cpus: Some(vec![0, 1, 2, 3]), strict: true, ..Host::unknown() };
    assert_eq!(workers("{count: 2}", &four), [2, 3]);
    assert_eq!(workers("{count: 4}", &four), [0, 1, 2, 3]);
    assert_eq!(workers("{count: 2}", &Host::unknown()), [1, 2]);
    assert_eq!(workers("[3, 1]", &four), [3, 1]);
    let few = good(&format!("{SMALLEST}limits: {{flows: 1000}}"));
    assert_eq!(few.config.limits.half_open, 1000, "the default follows flows");
}

#[test]
fn the_effective_configuration_reads_back_and_says_where_values_came_from() {
    for text in [
        SMALLEST,
        &reference_yaml(),
        &std::fs::read_to_string(repository().join("conf/quickstart.yaml")).unwrap(),
    ] {
        let loaded = good(text);
        let shown = effective_yaml(&loaded);
        assert_eq!(good(&shown).config, loaded.config, "{shown}");
        let json = serde_json::to_string(&loaded.config).unwrap();
        // Keys without a value are null in JSON; YAML leaves them out.
        let json = strip_nulls(serde_json::from_str(&json).unwrap()).to_string();
        assert_eq!(good(&json).config, loaded.config, "JSON is YAML: {json}");
    }
    let shown = effective_yaml(&good(SMALLEST));
    assert!(shown.contains("\n  - name: lan  # file\n"), "{shown}");
    assert!(shown.contains("\n    mtu: 1500  # default\n"), "{shown}");
    assert!(shown.starts_with("workers: [1]  # file\n"), "{shown}");
    let tricky = "services: [{name: w, match: {}, action: terminate, application: {http: {body: \"\\u007f\\u0085 # 'x': \\\"y\\\"\\n\", headers: {X: \"true\"}}}}]";
    let loaded = good(&format!("{SMALLEST}{tricky}"));
    assert_eq!(good(&effective_yaml(&loaded)).config, loaded.config);
}

fn strip_nulls(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, strip_nulls(v))).collect()
        }
        Json::Array(items) => items.into_iter().map(strip_nulls).collect(),
        other => other,
    }
}

/// Compares a file with what the model says; `MILLRACE_BLESS=1` writes it.
fn in_step(path: &Path, expected: &str) {
    if std::env::var_os("MILLRACE_BLESS").is_some() {
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "{} is out of step: run the tests with MILLRACE_BLESS=1", path.display());
}

#[test]
fn the_reference_file_is_in_step() {
    in_step(&repository().join("conf/reference.yaml"), &reference_yaml());
}

#[test]
fn the_documentation_is_in_step() {
    const BEGIN: &str = "<!-- begin: made from the code, see control/tests/config_model.rs -->\n";
    const END: &str = "<!-- end -->\n";
    let path = repository().join("docs/configuration.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = found.split_once(BEGIN).expect("the begin mark");
    let (_, after) = rest.split_once(END).expect("the end mark");
    in_step(&path, &format!("{before}{BEGIN}\n{}{END}{after}", key_table()));
}

/// Walks the schema's properties; gives each key with its path.
fn keys(schema: &Json, path: &str, out: &mut Vec<(String, Json)>) {
    for (key, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        out.push((path.clone(), field.clone()));
        keys(field, &path, out);
        keys(&field["items"], &format!("{path}[]"), out);
        for arm in field["anyOf"].as_array().into_iter().flatten() {
            keys(arm, &path, out);
        }
    }
}

#[test]
fn every_key_is_in_the_schema_the_table_and_the_reference() {
    let mut all = Vec::new();
    keys(&schema(), "", &mut all);
    assert!(all.len() > 85, "{}", all.len());
    let (table, reference) = (key_table(), reference_yaml());
    for (path, field) in all {
        let described = field["description"].as_str().unwrap_or_default();
        assert!(described.ends_with('.'), "{path}: {described:?}");
        assert!(["live", "restart"].contains(&field["x-reload"].as_str().unwrap()), "{path}");
        let key = path.rsplit('.').next().unwrap();
        assert!(reference.contains(&format!("{key}:")), "{path} is not in the reference");
        let mapping = field.get("properties").is_some();
        let in_table = table.contains(&format!("| `{path}` |")) || mapping;
        assert!(in_table || table.contains(&format!("`{path}`")), "{path} is not in the table");
    }
}

#[test]
fn the_schema_is_strict_and_names_units() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["workers", "ports"]));
    let tcp = &schema["properties"]["tcp"]["properties"];
    assert_eq!(tcp["buffer_size"]["x-unit"], "bytes");
    assert_eq!(tcp["idle_timeout"]["x-unit"], "seconds");
    assert_eq!(tcp["congestion"]["enum"], serde_json::json!(["stack", "cubic", "reno", "none"]));
    let port = &schema["properties"]["ports"]["items"];
    assert_eq!(port["additionalProperties"], false);
    assert_eq!(port["properties"]["mtu"]["maximum"], 9600);
}

fn changes(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
    let diff = diff(&good(old).config, &good(new));
    (diff.reloadable, diff.needs_restart)
}

#[test]
fn changes_are_named_and_sorted_by_what_they_need() {
    let old = format!(
        "{SMALLEST}services:\n  - {{name: a, match: {{port: 7}}, action: terminate, application: echo}}\n  \
         - {{name: b, match: {{port: 9}}, action: drop}}\n"
    );
    assert_eq!(changes(&old, &old), (vec![], vec![]));
    assert!(diff(&good(&old).config, &good(&old)).is_empty());
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        ("port: 7", "port: 8", &["services[a].match.port"], &[]),
        ("application: echo", "application: http", &["services[a].application"], &[]),
        ("name: b", "name: c", &["services[b]", "services[c]"], &[]),
        ("workers: [1]", "workers: [1, 2]", &[], &["workers"]),
        ("device: net_tap0", "device: net_tap0, mtu: 1400", &[], &["ports[lan].mtu"]),
        ("device: net_tap0", "device: net_tap0, offloads: {tso: off}", &[], &["ports[lan].offloads.tso"]),
        ("device: net_tap0", "device: net_tap0, vlans: [{id: 5}]", &[], &["ports[lan].vlans[5]"]),
        ("services:", "log: {level: debug}\nservices:", &["log.level"], &[]),
        ("services:", "log: {format: json}\nservices:", &[], &["log.format"]),
        (
            "services:",
            "limits: {rst_per_second: 5, flows: 9000}\nservices:",
            &["limits.rst_per_second"],
            &["limits.flows"],
        ),
        // The default of `half_open` goes down with `flows`, but nobody wrote it.
        ("services:", "limits: {flows: 100}\nservices:", &[], &["limits.flows"]),
        (
            "services:",
            "limits: {flows: 100, half_open: 50}\nservices:",
            &[],
            &["limits.flows", "limits.half_open"],
        ),
        ("services:", "tcp: {buffer_size: 8KiB}\nservices:", &[], &["tcp.buffer_size"]),
        ("services:", "tcp: {keepalive: 1m}\nservices:", &[], &["tcp.keepalive"]),
        (
            "services:",
            "proxy: {sessions: 100, endpoints: 5}\nservices:",
            &[],
            &["proxy.sessions", "proxy.endpoints"],
        ),
        ("services:", "eal: {memory_mb: 600}\nservices:", &[], &["eal.memory_mb"]),
        ("services:", "mempool: {cache: 128}\nservices:", &[], &["mempool.cache"]),
        ("services:", "admin: {socket: /tmp/a.sock}\nservices:", &[], &["admin.socket"]),
        ("services:", "metrics: {listen: off}\nservices:", &[], &["metrics.listen"]),
        ("services:", "export: {push: \"tcp://127.0.0.1:5557\"}\nservices:", &[], &["export"]),
    ];
    for (from, to, reloadable, needs_restart) in cases {
        let found = changes(&old, &old.replacen(from, to, 1));
        assert_eq!(found, (words(reloadable), words(needs_restart)), "{to}");
    }
    // A value that was written and is taken out is a change, whether or not the default moves as well.
    let with = |limits: &str| old.replacen("services:", &format!("limits: {{{limits}}}\nservices:"), 1);
    let found = changes(&with("half_open: 50"), &with("flows: 100"));
    assert_eq!(found, (vec![], words(&["limits.flows", "limits.half_open"])));
    assert_eq!(changes(&with("flows: 100"), &old), (vec![], words(&["limits.flows"])));
    let lines: Vec<_> = old.lines().collect();
    let swapped = [&lines[..3], &[lines[4], lines[3]]].concat().join("\n");
    assert_eq!(changes(&old, &swapped), (words(&["services (order)"]), vec![]));
}

#[test]
fn what_a_reload_changes_of_upstreams_goes_by_their_names() {
    let old = format!(
        "{SMALLEST}upstreams:\n  - {{name: web, servers: [{{name: a, address: \"10.64.0.11:80\"}}, \
         {{address: \"10.64.0.12:80\"}}]}}\nservices:\n  - {{name: f, match: {{protocol: tcp}}, action: proxy, \
         proxy: {{upstream: web}}}}\n"
    );
    let cases: &[(&str, &str, &[&str])] = &[
        ("11:80\"", "11:80\", weight: 3", &["upstreams[web].servers[a].weight"]),
        ("10.64.0.11:80", "10.64.0.13:80", &["upstreams[web].servers[a].address"]),
        (
            "12:80",
            "13:80",
            &["upstreams[web].servers[10.64.0.12:80]", "upstreams[web].servers[10.64.0.13:80]"],
        ),
        ("name: web,", "name: web, eject: {failures: 9},", &["upstreams[web].eject.failures"]),
        ("name: web,", "name: web, health_check: {},", &["upstreams[web].health_check"]),
        ("upstream: web", "upstream: web, retries: 0", &["services[f].proxy.retries"]),
        ("name: web", "name: api", &["upstreams[web]", "upstreams[api]", "services[f].proxy.upstream"]),
    ];
    for (from, to, reloadable) in cases {
        let new = old
            .replacen(from, to, 1)
            .replace("upstream: web}", if *to == "name: api" { "upstream: api}" } else { "upstream: web}" });
        assert_eq!(
            changes(&old, &new),
            (reloadable.iter().map(|key| (*key).to_owned()).collect(), vec![]),
            "{to}"
        );
    }
}

#[test]
fn the_defaults_of_proxies_are_the_documented_ones() {
    let text = format!(
        "{SMALLEST}upstreams: [{{name: web, servers: [{{address: \"10.64.0.11:80\"}}], health_check: {{http: {{}}}}}}]\n\
         services: [{{name: f, match: {{}}, action: proxy, proxy: {{upstream: web}}}}]\n"
    );
    let Config { upstreams, services, proxy, tcp, .. } = good(&text).config;
    let shown = |value: Json| strip_nulls(value);
    let group = shown(serde_json::to_value(&upstreams[0]).unwrap());
    assert_eq!(
        group,
        serde_json::json!({
            "name": "web",
            "balance": "round_robin",
            "servers": [{"name": "10.64.0.11:80", "address": "10.64.0.11:80", "weight": 1}],
            "health_check": {
                "http": {"path": "/", "expect": "200-399"},
                "interval": "2s", "timeout": "1s", "rise": 2, "fall": 3,
            },
            "eject": {"failures": 5, "time": "10s"},
        })
    );
    let service = shown(serde_json::to_value(services[0].proxy.as_ref().unwrap()).unwrap());
    assert_eq!(
        service,
        serde_json::json!({
            "upstream": "web", "source": "own", "source_addresses": [], "send_proxy": "none",
            "accept_proxy": false, "wait_for_upstream": false, "connect_timeout": "2s", "retries": 2,
            "queue": 1024, "queue_timeout": "5s", "idle_timeout": "1h",
        })
    );
    let proxy = serde_json::to_value(&proxy).unwrap();
    assert_eq!(
        proxy,
        serde_json::json!({"sessions": 32_768, "source_ports": "1024-65535", "endpoints": 256})
    );
    assert_eq!((tcp.keepalive, tcp.keepalive_interval), (Duration::ZERO, Duration::from_secs(15)));
    assert_eq!(tcp.keepalive_probes, 4);
}

#[test]
fn the_command_line_gives_two_for_a_bad_file() {
    use control::config::cli::{check, print_schema, show};
    let quickstart = repository().join("conf/quickstart.yaml");
    let mut out = Vec::new();
    assert_eq!(check(&quickstart, true, &mut out).unwrap(), 0);
    assert!(String::from_utf8(out).unwrap().ends_with("quickstart.yaml: ok\n"));
    let mut out = Vec::new();
    assert_eq!(check(Path::new("/nonexistent.yaml"), true, &mut out).unwrap(), 2);
    assert!(String::from_utf8(out).unwrap().starts_with("/nonexistent.yaml:1:1: (file): cannot read"));
    let mut out = Vec::new();
    assert_eq!(show(&quickstart, true, true, &mut out).unwrap(), 0);
    let shown: Json = serde_json::from_slice(&out).unwrap();
    assert_eq!(shown["ports"][0]["name"], "lan");
    let mut out = Vec::new();
    assert_eq!(print_schema(false, &mut out).unwrap(), 0);
    assert_eq!(serde_json::from_slice::<Json>(&out).unwrap(), schema());
}
