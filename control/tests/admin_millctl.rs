//! millctl: the program against a made-up daemon, its tables, and that it needs nothing of DPDK.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use common::{MadeUp, admin};
use control::admin::{Bounds, show};
use control::protocol::{Answer, FlowList, FlowRow, LegRow, Reloaded, SessionList, SessionRow};
use control::snapshot::Source;
use ctl::{table, views};

fn millctl(socket: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millctl"));
    command.arg("--socket").arg(socket).args(arguments.split(' ')).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_needs_no_library_of_dpdk() {
    let needs = |program: &str| {
        let bytes = std::fs::read(program).unwrap();
        bytes.windows(7).any(|window| window == b"librte_")
    };
    assert!(needs(env!("CARGO_BIN_EXE_millrace")), "else this test sees nothing");
    assert!(!needs(env!("CARGO_BIN_EXE_millctl")));
}

#[test]
fn it_shows_what_the_daemon_answers() {
    let (socket, _) = admin(MadeUp::default, Bounds::default());
    let (code, out, err) = said(&millctl(&socket, "show mempools"));
    let expected = "MEMPOOL  SIZE  AVAILABLE  IN-USE   USED\nworker0   512        384     128  25.0%\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));
    let (code, out, _) = said(&millctl(&socket, "show mempools --json"));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json[0]["available"]), (Some(0), &384.into()));
    let (code, out, _) = said(&millctl(&socket, "reload"));
    assert_eq!((code, out.as_str()), (Some(0), "reloaded made-up.yaml: services version 5\n"));
    let (code, out, _) = said(&millctl(&socket, "version"));
    assert!(code == Some(0) && out.contains("\nDPDK      22.11.0\n"), "{out}");
    let (code, out, _) = said(&millctl(&socket, "show drops --all"));
    assert_eq!((code, out.lines().count()), (Some(0), dataplane::drop::DROP_REASONS + 2));
}

#[test]
fn exit_codes_tell_a_refusal_from_a_missing_daemon() {
    let (socket, _) = admin(MadeUp::default, Bounds::default());
    let (code, out, err) = said(&millctl(&socket, "show flows --service nobody"));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(1), "", "millctl: no service nobody\n"));
    let (code, _, err) = said(&millctl(Path::new("/nonexistent/admin.sock"), "show flows"));
    assert!(code == Some(2) && err.contains("no daemon answers") && err.contains("; fix: "), "{err}");
    assert_eq!(millctl(&socket, "show everything").status.code(), Some(2));
    let mut by_environment = Command::new(env!("CARGO_BIN_EXE_millctl"));
    by_environment.env("MILLRACE_ADMIN_SOCKET", &*socket).args(["show", "workers"]);
    assert!(by_environment.output().unwrap().status.success());
}

#[test]
fn a_full_daemon_says_so() {
    let (socket, _) = admin(MadeUp::default, Bounds { sessions: 0, ..Bounds::default() });
    let (code, _, err) = said(&millctl(&socket, "show workers"));
    assert!(code == Some(1) && err.contains("limits.admin_sessions"), "{err}");
}

/// The tables of an answer.
fn rendered(answer: &Answer) -> String {
    table::render(&views::tables(answer, false), None)
}

#[test]
fn workers_ports_and_services_are_tables() {
    let daemon = MadeUp::default();
    assert_eq!(
        rendered(&Answer::Workers(daemon.look(show::workers))),
        "WORKER  CPU  STATE   BUSY    RX   TX  DROPPED  STEERED-OUT  STEERED-IN  FLOWS  TCP  HALF-OPEN  ASLEEP  UDP    P50   P99\n\
         \x20    0    2  up     25.0%   100   50       10            0           0      3    2          0       0    1  1.5us  3.0s\n\
         \x20    1    3  up     25.0%  1000  500      100            0           0     30   20          0       0   10  1.5us  3.0s\n"
    );
    let ports = rendered(&Answer::Ports(daemon.look(show::ports)));
    let (first, second) = ports.split_once("\n\n").unwrap();
    assert_eq!(
        first.lines().nth(1).unwrap(),
        "lan   net_tap_lan  up      10G  1500       1  software  02:00:00:00:00:01  10.64.0.2/24, fd00::2/64 vlan 100"
    );
    assert_eq!(
        second.lines().nth(1).unwrap(),
        "lan   1100     70400  550     35200          11          9          0          0          0"
    );
    assert_eq!(
        rendered(&Answer::Services(daemon.look(show::services))),
        "ORDER  SERVICE  ACTION     APPLICATION  TCP-IN  TCP-OUT  UDP-IN  UDP-OUT  SESSIONS  REQUESTS  4XX  5XX  REFUSED\n\
         \x20   1  no       reject     -                 -        -       -        -         -         -    -    -        -\n\
         \x20   2  web      terminate  http            121        0       0        0         0        22   11    0        0\n\
         \x20   3  front    proxy      -             11000    55000       0        0        99         0    0    0       11\n\
         \x20   -  old      (gone)     echo              0        0       0        0         0         0    0    0        0\n"
    );
}

#[test]
fn servers_of_upstreams_are_two_tables() {
    let daemon = MadeUp::default();
    assert_eq!(
        rendered(&Answer::Upstreams(daemon.look(show::upstreams))),
        "UPSTREAM/SERVER  ADDRESS        WEIGHT  STATE     HEALTH   SESSIONS  CHECKS-OK  CHECKS-FAILED\n\
         web/a            10.64.0.11:80       1  enabled   up             22          0              0\n\
         web/b            [fd00::11]:80       1  draining  down            0          0              0\n\
         web/old          (gone)              1  enabled   unknown         0          0              0\n\
         \n\
         UPSTREAM/SERVER  CONNECTS  ESTABLISHED  FAILED  RESETS  BYTES-UP  BYTES-DOWN\n\
         web/a                  99           88      11       0         0           0\n\
         web/b                   0            0       0       0         0           0\n\
         web/old                 0            0       0       0         0           0\n"
    );
}

#[test]
fn a_session_is_a_row_with_both_legs() {
    let leg = |id: &str, remote: &str, local: &str, state: &str| LegRow {
        id: id.into(),
        protocol: "tcp".into(),
        remote: remote.parse().unwrap(),
        remote_port: 1000,
        local: local.parse().unwrap(),
        local_port: 80,
        port: "lan".into(),
        vlan: 0,
        state: state.into(),
        cpu: 3,
        home: Some(1),
    };
    let session = SessionRow {
        worker: 1,
        service: "front".into(),
        upstream: "web".into(),
        server: "a".into(),
        phase: "relaying".into(),
        client: Some(leg("3.1", "10.64.0.9", "10.64.0.2", "ESTABLISHED")),
        upstream_leg: None,
        age_seconds: 75.0,
        idle_seconds: 0.25,
        bytes_up: 10,
        bytes_down: 5,
    };
    let list = SessionList { sessions: vec![session], cut: false, silent_workers: vec![] };
    let text = rendered(&Answer::Sessions(list));
    let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row,
        [
            "1:3.1",
            "10.64.0.9:1000",
            "10.64.0.2:80",
            "ESTABLISHED",
            "-",
            "-",
            "-",
            "-",
            "front",
            "web/a",
            "relaying",
            "3",
            "1m15s",
            "0.2s",
            "10",
            "5"
        ]
    );
}

#[test]
fn drops_are_those_that_happened_with_their_sum() {
    let text = rendered(&Answer::Drops(MadeUp::default().look(show::drops)));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("REASON              PACKETS  W0  W1  MEANING"), "{text}");
    assert!(lines[1].starts_with("ethernet_truncated       77   7  70  the frame is shorter"), "{text}");
    assert_eq!(lines[3], "received 1100, delivered 990, dropped 110");
}

fn flow(state: &str, bytes_in: u64) -> FlowRow {
    FlowRow {
        worker: 0,
        id: "3.1".into(),
        protocol: "tcp".into(),
        remote: "fd00::9".parse().unwrap(),
        remote_port: 40_000,
        local: "fd00::2".parse().unwrap(),
        local_port: 80,
        port: "lan".into(),
        vlan: 100,
        state: state.into(),
        asleep: false,
        service: "web".into(),
        age_seconds: 75.0,
        idle_seconds: 0.25,
        bytes_in,
        bytes_out: 5,
    }
}

#[test]
fn a_flow_listing_says_when_it_is_not_all() {
    let list = FlowList { flows: vec![flow("ESTABLISHED", 10)], cut: true, silent_workers: vec![1] };
    assert_eq!(
        rendered(&Answer::Flows(list)),
        "FLOW   PROTO  REMOTE           LOCAL         PORT     STATE        SERVICE    AGE  IDLE  BYTES-IN  BYTES-OUT\n\
         0:3.1  tcp    [fd00::9]:40000  [fd00::2]:80  lan.100  ESTABLISHED  web      1m15s  0.2s        10          5\n\
         cut after 1 flows: there are more that fit (--limit, or filter)\n\
         not complete: no answer in time from worker 1\n"
    );
}

#[test]
fn watching_shows_rates_of_counters() {
    let list = |bytes| FlowList { flows: vec![flow("ESTABLISHED", bytes)], ..FlowList::default() };
    let (old, new) =
        (views::tables(&Answer::Flows(list(10)), false), views::tables(&Answer::Flows(list(60)), false));
    let text = table::render(&new, Some((&old, Duration::from_secs(2))));
    assert!(text.lines().next().unwrap().ends_with("BYTES-IN  /s  BYTES-OUT  /s"), "{text}");
    assert!(text.lines().nth(1).unwrap().ends_with("      60  25          5   0"), "{text}");
    // The other way round the daemon has been started again: no rate can be told.
    let text = table::render(&old, Some((&new, Duration::from_secs(2))));
    assert!(text.lines().nth(1).unwrap().ends_with("      10   -          5   0"), "{text}");
}

#[test]
fn nothing_a_daemon_says_controls_the_terminal() {
    let mut evil = flow("ESTABLISHED", 1);
    evil.service = "\u{1b}[2Jgone\nrow".into();
    let text = rendered(&Answer::Flows(FlowList { flows: vec![evil], ..FlowList::default() }));
    assert!(text.contains("?[2Jgone?row") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_refused_reload_lists_its_problems() {
    let outcome = Reloaded {
        source: "a.yaml".into(),
        problems: vec!["a.yaml:1:1: x: wrong: right".into()],
        needs_restart: vec!["workers".into()],
        ..Reloaded::default()
    };
    let expected = "not reloaded: a.yaml\na.yaml:1:1: x: wrong: right\nneeds a restart: workers\n";
    assert_eq!(rendered(&Answer::Reload(outcome)), expected);
}
