//! Bad configurations: each yields exactly one problem, at the marked place, with the remedy.
//!
//! A case replaces one piece of a good configuration; `§` in the replacement marks the place of the problem and is
//! taken out before parsing, so that line and column are those an editor shows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

mod addresses;
mod export;
mod files;
mod machine;
mod ports;
mod proxy;
mod resources;
mod services;
mod start;
mod syntax;
mod warnings;

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

/// Tries cases: each is reported once, at its place, with its remedy.
fn try_all(cases: &[Case]) {
    try_all_of(GOOD, cases);
}

fn try_all_of(good: &str, cases: &[Case]) {
    for (from, to, path, what, instead) in cases {
        assert_eq!(good.matches(from).count().min(1), 1, "{from:?} is not in the good configuration");
        // A missing key has no place of its own; its mapping's start is where it belongs.
        let (text, line, column) = match *path {
            "workers" if to.is_empty() || *to == "§" => (good.replacen(from, "", 1), 2, 1),
            "eal.memory_mb" if !to.contains('§') => {
                let (line, column) = (3, good.lines().nth(2).unwrap().find("512").unwrap() + 1);
                (good.replacen(from, to, 1), line, column)
            }
            _ => unmark(&good.replacen(from, to, 1)),
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
fn the_good_one_is_good() {
    let loaded = parse_for("good.yaml", GOOD, &Host::unknown()).unwrap();
    assert_eq!(loaded.warnings, []);
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
  - {name: a, match: {port: 0}, action: host}
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
