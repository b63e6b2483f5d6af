//! The catalogue of metrics against what is encoded and against its document.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;

use common::MadeUp;
use control::metrics::{Kind, LATENCY_BOUNDS, catalogue, document, encode};
use control::snapshot::Source;

fn text() -> String {
    MadeUp::default().look(encode).unwrap()
}

/// The value of the one line with this name and these labels.
fn value(text: &str, sample: &str) -> f64 {
    let found: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')).collect();
    assert_eq!(found.len(), 1, "{sample}");
    found[0].parse().unwrap()
}

#[test]
fn every_family_is_encoded_with_its_type_and_labels() {
    let text = text();
    for family in catalogue() {
        let kind = format!("# TYPE {} {}\n", family.name, family.kind.name());
        assert!(text.contains(&kind), "{}", family.name);
        let lines = text.lines().filter(|line| {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            name == family.name || (family.kind == Kind::Histogram && base == Some(family.name))
        });
        let mut seen = 0;
        for line in lines {
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let names: BTreeSet<_> = labels
                .split(',')
                .filter_map(|pair| Some(pair.split_once('=')?.0.trim_end_matches('!')))
                .collect();
            let mut declared: BTreeSet<_> = family.labels.iter().copied().collect();
            if family.kind == Kind::Histogram && line.contains("_bucket{") {
                declared.insert("le");
            }
            assert_eq!(names, declared, "{line}");
            seen += 1;
        }
        assert!(seen > 0, "{}", family.name);
    }
    let types = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(types, catalogue().count(), "nothing is encoded that the catalogue has not");
}

#[test]
fn names_follow_the_rules() {
    let mut names = BTreeSet::new();
    for family in catalogue() {
        assert!(names.insert(family.name), "{} stands twice", family.name);
        assert!(family.name.starts_with("millrace_"));
        assert!(family.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
        for unit in ["seconds", "bytes"] {
            let said = family.unit == unit;
            assert!(!said || family.name.contains(unit), "{} is in {unit}", family.name);
        }
        let forbidden = ["address", "remote", "local", "source", "destination"];
        assert!(family.labels.iter().all(|label| !forbidden.contains(label)), "{}", family.name);
        assert!(family.help.ends_with('.') && !family.help.contains('|'), "{}", family.name);
    }
}

#[test]
fn the_document_is_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let file = std::fs::read_to_string(path).unwrap();
    assert!(
        file == document(),
        "docs/metrics.md is out of date: write it with `millrace metrics > docs/metrics.md`"
    );
    for family in catalogue() {
        assert!(file.contains(&format!("| `{}` |", family.name)));
    }
}

#[test]
fn numbers_are_those_of_the_reports() {
    let text = text();
    assert_eq!(value(&text, r#"millrace_port_rx_packets_total{port="lan",worker="1"}"#), 1000.0);
    assert_eq!(value(&text, r#"millrace_port_rx_missed_total{port="lan"}"#), 9.0);
    assert!(!text.contains(r#"millrace_port_rx_missed_total{port="wan"}"#), "its device cannot be read");
    assert_eq!(value(&text, r#"millrace_worker_busy_seconds_total{worker="0"}"#), 1.0);
    assert_eq!(value(&text, r#"millrace_worker_heartbeat_age_seconds{worker="0"}"#), 0.03);
    assert_eq!(value(&text, r#"millrace_flows_closed_total{reason="finished"}"#), 44.0);
    assert_eq!(value(&text, r#"millrace_neighbours{state="known"}"#), 2.0);
    assert_eq!(value(&text, r#"millrace_service_http_responses_total{service="web",class="4xx"}"#), 11.0);
    assert_eq!(value(&text, r#"millrace_service_active{service="old",application="echo"}"#), 0.0);
    assert_eq!(value(&text, r#"millrace_config_reloads_total{result="failure"}"#), 2.0);
    assert_eq!(value(&text, "millrace_start_time_seconds"), 1000.0);
    assert_eq!(value(&text, r#"millrace_port_link_speed_bits_per_second{port="wan"}"#), 1e10);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(value(&text, &format!(r#"millrace_build_info{{version="{version}",dpdk="22.11.0"}}"#)), 1.0);
}

#[test]
fn every_drop_reason_is_there_and_packets_add_up() {
    let text = text();
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    for (reason, _) in dataplane::drop::all_reasons() {
        assert!(value(&text, &format!("millrace_drops_total{{reason=\"{reason}\"}}")) >= 0.0);
    }
    let (delivered, dropped) = (sum("millrace_delivered_total{"), sum("millrace_drops_total{"));
    assert_eq!(sum("millrace_port_rx_packets_total{"), delivered + dropped);
    assert!(dropped > 0.0);
}

#[test]
fn latencies_are_counted_in_their_buckets() {
    let text = text();
    let bucket = |le: &str| {
        value(&text, &format!(r#"millrace_packet_latency_seconds_bucket{{worker="1",le="{le}"}}"#))
    };
    // Ten packets of 1.5 µs, ten of 3 s.
    assert_eq!(["0.000001", "0.000002", "0.005", "1", "+Inf"].map(bucket), [0.0, 10.0, 10.0, 10.0, 20.0]);
    assert_eq!(value(&text, r#"millrace_packet_latency_seconds_count{worker="1"}"#), 20.0);
    let sum = value(&text, r#"millrace_packet_latency_seconds_sum{worker="1"}"#);
    assert!((sum - 30.000_015).abs() < 0.3, "{sum}");
    for (nanoseconds, seconds) in LATENCY_BOUNDS {
        assert!((nanoseconds as f64 / 1e9 - seconds).abs() < 1e-12);
    }
}

/// What a text asks for: the names of metrics, with the labels that are asked for in braces.
fn asked(text: &str) -> Vec<(&str, Vec<&str>)> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let starts = text.match_indices("millrace_").filter(|(at, _)| !text[..*at].ends_with(named));
    let one = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !named(c)).unwrap_or(rest.len()));
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let labels = inside.split(',').filter_map(|pair| Some(pair.split_once('=')?.0.trim_end_matches('!')));
        (name, labels.collect())
    };
    starts.map(one).collect()
}

#[test]
fn the_dashboard_and_the_rules_ask_for_metrics_and_labels_there_are() {
    for file in ["conf/grafana/millrace.json", "conf/prometheus/rules.yaml"] {
        let text = std::fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let asked = asked(&text);
        assert!(asked.len() > 20, "{file}: {asked:?}");
        for (name, labels) in asked {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = catalogue().find(|family| {
                family.name == name || (family.kind == Kind::Histogram && base == Some(family.name))
            });
            let family = family.unwrap_or_else(|| panic!("{file}: there is no metric `{name}`"));
            for label in labels {
                let known = ["instance", "job"].contains(&label) || family.labels.contains(&label);
                assert!(known, "{file}: `{name}` has no label `{label}`");
            }
        }
    }
    let broken = r#"rate(millrace_a_total{x="1",y=~"2"}[1m]) / job:millrace_b:rate + millrace_c"#;
    assert_eq!(asked(broken), [("millrace_a_total", vec!["x", "y"]), ("millrace_c", vec![])]);
}
