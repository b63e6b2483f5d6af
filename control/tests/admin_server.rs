//! The admin server over a real socket, with a made-up daemon behind it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use common::{MadeUp, admin, eventually};
use control::admin::Bounds;
use control::protocol::{
    Answer, FlowQuery, MAX_REQUEST, Message, Outcome, RefusalCode, Reply, Request, ServerState, SessionQuery,
    VERSION, to_line,
};

fn connect(path: &Path) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    BufReader::new(stream)
}

fn read(session: &mut BufReader<UnixStream>) -> Reply {
    let mut line = String::new();
    session.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn ask(session: &mut BufReader<UnixStream>, request: Request) -> Outcome {
    let line = to_line(&Message { version: VERSION, request }).unwrap();
    session.get_mut().write_all(&line).unwrap();
    read(session).outcome
}

fn code(outcome: Outcome) -> RefusalCode {
    match outcome {
        Outcome::Error(refusal) => refusal.code,
        Outcome::Answer(answer) => panic!("answered: {answer:?}"),
    }
}

#[test]
fn every_request_has_its_answer_in_one_session() {
    let (path, tally) = admin(MadeUp::default, Bounds::default());
    let mut session = connect(&path);
    let mut answer = |request| match ask(&mut session, request) {
        Outcome::Answer(answer) => answer,
        Outcome::Error(refusal) => panic!("{refusal:?}"),
    };
    let Answer::Workers(workers) = answer(Request::Workers) else { panic!() };
    assert_eq!(workers.iter().map(|w| (w.cpu, w.rx_packets)).collect::<Vec<_>>(), [(2, 100), (3, 1000)]);
    assert_eq!((workers[1].busy_seconds, workers[1].alive), (10.0, true));
    let Answer::Ports(ports) = answer(Request::Ports) else { panic!() };
    assert_eq!((ports[0].rx_packets, ports[0].rx_missed, ports[1].rx_packets), (1100, 9, 0));
    assert_eq!(ports[0].addresses, ["10.64.0.2/24", "fd00::2/64 vlan 100"]);
    let Answer::Flows(flows) = answer(Request::Flows(FlowQuery::default())) else { panic!() };
    assert!(flows.cut && flows.silent_workers == [1]);
    let Answer::Neighbours(list) = answer(Request::Neighbours) else { panic!() };
    assert_eq!(list.neighbours[0].mac.as_deref(), Some("02:00:00:00:00:09"), "in the order of VLANs");
    let Answer::Mempools(pools) = answer(Request::Mempools) else { panic!() };
    assert_eq!(pools[0].in_use, 128);
    let Answer::Services(services) = answer(Request::Services) else { panic!() };
    assert_eq!(
        services.iter().map(|s| s.service.as_str()).collect::<Vec<_>>(),
        ["no", "web", "front", "old"]
    );
    assert_eq!(services[1].counters["http_requests"], 22);
    assert_eq!((services[2].counters["proxy_sessions"], services[2].counters["proxy_refused"]), (99, 11));
    let Answer::Upstreams(servers) = answer(Request::Upstreams) else { panic!() };
    assert_eq!((servers[0].sessions, servers[0].failed, servers[2].address), (22, 11, None));
    let Answer::Sessions(sessions) = answer(Request::Sessions(SessionQuery::default())) else { panic!() };
    assert!(sessions.cut);
    let set = |server: &str| Request::UpstreamSet {
        upstream: "web".into(),
        server: server.into(),
        to: ServerState::Draining,
    };
    let Answer::Done(done) = answer(set("a")) else { panic!() };
    assert_eq!(done.message, "web/a: Draining");
    let Answer::Done(done) = answer(Request::ShutdownFlow { worker: 1, id: "3.1".into() }) else { panic!() };
    assert_eq!(done.message, "1:3.1: reset");
    let Answer::Drops(drops) = answer(Request::Drops) else { panic!() };
    assert_eq!(drops.received, drops.delivered + drops.reasons.iter().map(|row| row.packets).sum::<u64>());
    assert_eq!(drops.reasons.len(), dataplane::drop::DROP_REASONS);
    let Answer::Config(config) = answer(Request::Config) else { panic!() };
    assert_eq!(config.source, "made-up.yaml");
    let Answer::Version(version) = answer(Request::Version) else { panic!() };
    assert_eq!((version.dpdk.as_str(), version.phase.as_str()), ("22.11.0", "running"));
    let Answer::Reload(reload) = answer(Request::Reload) else { panic!() };
    assert!(reload.succeeded);
    assert_eq!((tally.numbers().requests, tally.numbers().open), (14, 1));
    drop(session);
    eventually("the session ends", || tally.numbers().open == 0);
}

#[test]
fn what_is_no_request_is_refused_and_the_session_goes_on() {
    let (path, tally) = admin(MadeUp::default, Bounds::default());
    let mut session = connect(&path);
    for (line, expected) in [
        ("garbage", RefusalCode::Malformed),
        ("", RefusalCode::Malformed),
        ("{\"version\":1}", RefusalCode::Malformed),
        ("{\"version\":1,\"request\":\"everything\"}", RefusalCode::Malformed),
        ("{\"version\":1,\"request\":\"workers\",\"more\":1}", RefusalCode::Malformed),
        ("{\"version\":1,\"request\":{\"flows\":{\"prot\":1}}}", RefusalCode::Malformed),
        ("{\"version\":1,\"request\":{\"flows\":{\"address\":\"here\"}}}", RefusalCode::Malformed),
        ("{\"version\":2,\"request\":\"new\",\"more\":1}", RefusalCode::Version),
        ("{\"version\":1,\"request\":{\"flows\":{\"service\":\"x\"}}}", RefusalCode::Unknown),
        ("{\"version\":1,\"request\":{\"sessions\":{\"upstream\":\"x\"}}}", RefusalCode::Unknown),
        (
            "{\"version\":1,\"request\":{\"shutdown_flow\":{\"worker\":7,\"id\":\"1.1\"}}}",
            RefusalCode::Unknown,
        ),
        (
            "{\"version\":1,\"request\":{\"upstream_set\":{\"upstream\":\"web\",\"server\":\"a\",\"to\":\"up\"}}}",
            RefusalCode::Malformed,
        ),
        ("\u{0}\u{1}\u{fffd}", RefusalCode::Malformed),
    ] {
        session.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(code(read(&mut session).outcome), expected, "{line:?}");
    }
    session.get_mut().write_all(b"\xff\xfe\n").unwrap();
    assert_eq!(code(read(&mut session).outcome), RefusalCode::Malformed);
    assert!(matches!(ask(&mut session, Request::Workers), Outcome::Answer(_)));
    assert_eq!((tally.numbers().requests, tally.numbers().bad_requests), (1, 14));
}

#[test]
fn an_endless_line_ends_the_session() {
    let (path, tally) = admin(MadeUp::default, Bounds::default());
    let mut session = connect(&path);
    // The server closes while this is written; that is the point.
    let _ = session.get_mut().write_all(&vec![b'x'; MAX_REQUEST]);
    assert_eq!(code(read(&mut session).outcome), RefusalCode::TooLong);
    let mut rest = Vec::new();
    session.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    eventually("the seat is free again", || tally.numbers().open == 0);
}

#[test]
fn a_line_that_just_fits_is_read() {
    let (path, _) = admin(MadeUp::default, Bounds::default());
    let mut session = connect(&path);
    let mut line = to_line(&Message { version: VERSION, request: Request::Workers }).unwrap();
    line.pop();
    line.resize(MAX_REQUEST - 1, b' ');
    line.push(b'\n');
    session.get_mut().write_all(&line).unwrap();
    assert!(matches!(read(&mut session).outcome, Outcome::Answer(_)));
}

#[test]
fn sessions_beyond_the_bound_are_told_so_and_counted() {
    let (path, tally) = admin(MadeUp::default, Bounds { sessions: 2, ..Bounds::default() });
    let mut open: Vec<_> = (0..2).map(|_| connect(&path)).collect();
    open.iter_mut().for_each(|session| assert!(matches!(ask(session, Request::Version), Outcome::Answer(_))));
    let mut third = connect(&path);
    assert_eq!(code(read(&mut third).outcome), RefusalCode::Busy);
    assert_eq!((tally.numbers().open, tally.numbers().refused), (2, 1));
    drop(open);
    eventually("seats come back", || tally.numbers().open == 0);
    assert!(matches!(ask(&mut connect(&path), Request::Version), Outcome::Answer(_)));
}

#[test]
fn a_client_that_does_not_read_costs_only_itself() {
    let bounds = Bounds { write: Duration::from_millis(200), ..Bounds::default() };
    let (path, tally) = admin(|| MadeUp { config_bytes: 8 << 20, ..MadeUp::default() }, bounds);
    let mut slow = connect(&path);
    let line = to_line(&Message { version: VERSION, request: Request::Config }).unwrap();
    slow.get_mut().write_all(&line).unwrap();
    // Meanwhile another session is served as ever.
    assert!(matches!(ask(&mut connect(&path), Request::Workers), Outcome::Answer(_)));
    eventually("the slow session is ended", || tally.numbers().open == 0);
    let mut got = Vec::new();
    slow.read_to_end(&mut got).unwrap();
    assert!(!got.ends_with(b"\n") && got.len() < 8 << 20, "the answer was cut: {}", got.len());
}

#[test]
fn a_silent_client_loses_its_seat() {
    let (path, tally) =
        admin(MadeUp::default, Bounds { idle: Duration::from_millis(100), ..Bounds::default() });
    let mut session = connect(&path);
    // Half a request is as good as none.
    session.get_mut().write_all(b"{\"version\":1,").unwrap();
    let mut rest = Vec::new();
    session.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    eventually("the session ends", || tally.numbers().open == 0 && tally.numbers().accepted == 1);
}
