//! The protocol's messages: what is written reads back, and an answer of tomorrow is still read.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Debug;

use control::protocol::{
    Answer, ConfigView, Done, DropRow, Drops, FlowList, FlowQuery, LegRow, MempoolRow, Message,
    NeighbourList, NeighbourRow, Outcome, PortRow, Refusal, RefusalCode, Reloaded, Reply, Request, ServerRow,
    ServerState, ServiceRow, SessionList, SessionQuery, SessionRow, Transport, VERSION, VersionView,
    WorkerRow, to_line,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn back<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let line = to_line(message).unwrap();
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
    assert_eq!(serde_json::from_slice::<T>(&line).unwrap(), *message);
}

#[test]
fn requests_read_back() {
    let query = FlowQuery {
        address: Some("10.0.0.1".parse().unwrap()),
        port: Some(65_535),
        protocol: Some(Transport::Udp),
        service: Some("two\nlines \"quoted\"".into()),
        state: Some("UDP".into()),
        limit: Some(1),
    };
    for request in [
        Request::Workers,
        Request::Ports,
        Request::Flows(FlowQuery::default()),
        Request::Flows(query.clone()),
        Request::Upstreams,
        Request::Sessions(SessionQuery::default()),
        Request::Sessions(SessionQuery { leg: query, upstream: Some("web/a".into()) }),
        Request::UpstreamSet {
            upstream: "web".into(),
            server: "[fd00::1]:80".into(),
            to: ServerState::Disabled,
        },
        Request::ShutdownFlow { worker: 3, id: "17.3".into() },
        Request::Neighbours,
        Request::Mempools,
        Request::Services,
        Request::Drops,
        Request::Config,
        Request::Version,
        Request::Reload,
    ] {
        back(&Message { version: VERSION, request });
    }
    let line = to_line(&Message { version: 1, request: Request::Workers }).unwrap();
    assert_eq!(line, b"{\"version\":1,\"request\":\"workers\"}\n", "the form that is documented");
}

#[test]
fn answers_read_back() {
    let neighbour = NeighbourRow {
        port: "lan".into(),
        vlan: 1,
        address: "fd00::1".parse().unwrap(),
        mac: None,
        state: "asking".into(),
        gateway: true,
        age_seconds: 3,
    };
    let counters = [("http_requests".to_owned(), u64::MAX)].into();
    let leg = LegRow {
        id: "1.2".into(),
        protocol: "tcp".into(),
        remote: "10.0.0.1".parse().unwrap(),
        remote_port: 40_000,
        local: "fd00::2".parse().unwrap(),
        local_port: 80,
        port: "lan".into(),
        vlan: 0,
        state: "ESTABLISHED".into(),
        cpu: 2,
        home: Some(1),
    };
    let session = SessionRow {
        worker: 1,
        service: "front".into(),
        upstream: "web".into(),
        server: "a".into(),
        phase: "relaying".into(),
        client: Some(leg),
        upstream_leg: None,
        age_seconds: 1.5,
        idle_seconds: 0.0,
        bytes_up: u64::MAX,
        bytes_down: 0,
    };
    let server = ServerRow { address: Some("[fd00::1]:80".parse().unwrap()), ..ServerRow::default() };
    let row = DropRow { packets: 1, workers: vec![1, 0], ..DropRow::default() };
    for answer in [
        Answer::Workers(vec![WorkerRow { busy_seconds: 0.1, ..WorkerRow::default() }]),
        Answer::Ports(vec![PortRow { up: Some(true), ..PortRow::default() }]),
        Answer::Flows(FlowList { cut: true, ..FlowList::default() }),
        Answer::Sessions(SessionList { sessions: vec![session], ..SessionList::default() }),
        Answer::Upstreams(vec![server, ServerRow::default()]),
        Answer::Done(Done { message: "web/a: draining".into() }),
        Answer::Neighbours(NeighbourList { neighbours: vec![neighbour], ..NeighbourList::default() }),
        Answer::Mempools(vec![MempoolRow::default()]),
        Answer::Services(vec![ServiceRow { counters, order: Some(0), ..ServiceRow::default() }]),
        Answer::Drops(Drops { reasons: vec![row], ..Drops::default() }),
        Answer::Config(ConfigView { config: serde_json::json!({ "a": [1] }), ..ConfigView::default() }),
        Answer::Version(VersionView::default()),
        Answer::Reload(Reloaded { problems: vec!["x".into()], ..Reloaded::default() }),
    ] {
        back(&Reply { version: VERSION, outcome: Outcome::Answer(answer) });
    }
    for code in [RefusalCode::Busy, RefusalCode::Malformed, RefusalCode::TooLong, RefusalCode::Unknown] {
        back(&Reply { version: VERSION, outcome: Outcome::Error(Refusal::new(code, "why")) });
    }
}

#[test]
fn a_client_reads_past_what_it_does_not_know() {
    let line = r#"{"version":1,"new":2,"answer":{"mempools":[{"mempool":"a","size":1,"available":1,"in_use":0,"new":1}]}}"#;
    let reply: Reply = serde_json::from_str(line).unwrap();
    assert!(matches!(reply.outcome, Outcome::Answer(Answer::Mempools(rows)) if rows[0].size == 1));
    let line = r#"{"version":1,"error":{"code":"brand_new","message":"why"}}"#;
    let reply: Reply = serde_json::from_str(line).unwrap();
    assert_eq!(reply.outcome, Outcome::Error(Refusal::new(RefusalCode::Other, "why")));
}

/// What fuzzing begins with is what is really said.
#[test]
fn the_seeds_of_the_fuzzer_are_understood() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/admin");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let message = serde_json::from_str::<Message>(&text).map(|_| ());
        let reply = serde_json::from_str::<Reply>(&text).map(|_| ());
        assert!(message.is_ok() || reply.is_ok(), "{}: {message:?}, {reply:?}", path.display());
        seen += 1;
    }
    assert!(seen > 9, "{seen}");
}
