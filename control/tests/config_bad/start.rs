//! Workers, EAL, and what operators see of the daemon.

use control::admin::{AdminSocket, LONGEST_SOCKET};
use control::config::model::Admin;
use control::config::{FileMode, Host, parse_for};

use super::{Case, GOOD, problems, try_all, unmark};

const CASES: &[Case] = &[
    ("workers: [1]", "workers: [1, §1]", "workers[1]", "has a worker already", "CPU of its own"),
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

#[test]
fn every_case_is_reported_once_at_its_place_with_its_remedy() {
    try_all(CASES);
}

#[test]
fn the_path_of_a_socket_has_an_end() {
    let socket = |length: usize| {
        let path = format!("/run/{}", "s".repeat(length - 5));
        GOOD.replace("metrics: {", &format!("admin: {{socket: §{path}}}\nmetrics: {{"))
    };
    assert!(parse_for("x", &unmark(&socket(LONGEST_SOCKET)).0, &Host::unknown()).is_ok());
    let (text, line, column) = unmark(&socket(LONGEST_SOCKET + 1));
    let found = problems(&text);
    let [problem] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (line, column, "admin.socket"));
    assert!(problem.what.contains("has 99 bytes at most"), "{problem}");
    assert!(problem.instead.contains("/run/millrace/admin.sock"), "{problem}");
}

/// What passes the check can be made, whatever the process's id; beyond it the kernel says no.
#[test]
fn the_longest_socket_path_can_be_bound() {
    let directory = std::env::temp_dir().join(format!("millrace-socket-path-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let name = "s".repeat(LONGEST_SOCKET - directory.as_os_str().len() - 1);
    let admin = Admin { socket: directory.join(name), mode: FileMode(0o600), group: None };
    let socket = AdminSocket::bind(&admin).unwrap();
    assert!(socket.path().exists());
    drop(socket);
    std::fs::remove_dir_all(&directory).unwrap();
}
