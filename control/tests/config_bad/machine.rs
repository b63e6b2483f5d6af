//! What is checked against the machine the file is meant for.

use control::config::{Host, parse_for};

use super::{GOOD, unmark};

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
fn a_group_that_is_not_there_is_an_error_on_this_machine_only() {
    let (text, line, column) = unmark(&GOOD.replace("metrics: {", "admin: {group: §operators}\nmetrics: {"));
    let host = |groups: &[&str]| Host {
        groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
        strict: true,
        ..Host::unknown()
    };
    assert!(parse_for("x", &text, &host(&["root", "operators"])).is_ok());
    assert!(parse_for("x", &text, &Host { groups: None, ..host(&[]) }).is_ok(), "not known");
    assert!(
        parse_for("x", &text, &Host { strict: false, ..host(&["root"]) }).is_ok(),
        "another machine's file"
    );
    assert!(
        parse_for("x", &text.replace("operators", "4242"), &host(&["root"])).is_err(),
        "a number is no text"
    );
    assert!(parse_for("x", &text.replace("operators", "\"4242\""), &host(&["root"])).is_ok(), "by number");
    let found = parse_for("x", &text, &host(&["root"])).unwrap_err().0;
    let [problem] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (line, column, "admin.group"));
    assert!(problem.what.contains("no group `operators`"), "{problem}");
    assert!(problem.instead.contains("groupadd --system operators"), "{problem}");
}

#[test]
fn more_memory_than_there_is_gets_a_warning() {
    let (text, line, column) = unmark(&GOOD.replace("memory_mb: 512", "memory_mb: §4096"));
    let host = |mib: u64| Host { memory: Some(mib << 20), strict: true, ..Host::unknown() };
    assert!(parse_for("x", &text, &host(4096)).unwrap().warnings.is_empty());
    assert!(parse_for("x", &text, &Host { strict: false, ..host(1024) }).unwrap().warnings.is_empty());
    let warnings = parse_for("x", &text, &host(4095)).unwrap().warnings;
    let [warning] = &warnings[..] else { panic!("{warnings:#?}") };
    assert_eq!((warning.line, warning.column, warning.path.as_str()), (line, column, "eal.memory_mb"));
    assert!(warning.what.contains("4096 MiB are more than this machine has, 4095 MiB"), "{warning}");
    // 8192 buffers of 2432 bytes are 19 MiB, DPDK takes 16.
    assert!(warning.instead.contains("`memory_mb: 64` is enough"), "{warning}");
    let many = text.replace("limits: {flows: 65536}", "limits: {flows: 100}\nmempool: {mbufs: 1048576}");
    let warnings = parse_for("x", &many, &host(2048)).unwrap().warnings;
    let [warning] = &warnings[..] else { panic!("{warnings:#?}") };
    assert!(warning.instead.contains("lower `mempool.mbufs`, whose buffers need 2432 MiB"), "{warning}");
}
