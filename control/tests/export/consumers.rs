//! Consumers: the example in Python takes everything, stands still, is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::config::model::Export;
use control::config::parse;
use control::export::{ExportNumbers, Exporter, Names, Sockets};
use dataplane::event::{Part, Recorder, Topic, channel};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::records::{Client, flow};

/// A directory that goes with it.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millrace-export-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn ipc(&self) -> String {
        format!("ipc://{}/run/events.sock", self.0.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn export(keys: &str) -> Export {
    let text = format!(
        "workers: [1]\nports: [{{name: a, device: net_null0, addresses: [10.0.0.1/24]}}]\nexport: {{{keys}}}\n"
    );
    parse("t", &text).unwrap_or_else(|problems| panic!("{problems}")).config.export.unwrap()
}

/// An exporter of one worker.
pub(crate) fn start(export: &Export) -> (Recorder, Exporter) {
    let (recorder, records) = channel(export.ring.bytes() as usize);
    let sockets = Sockets::open(export).unwrap();
    let names = Names::new(["web"], ["lan"]);
    let exporter =
        Exporter::start(export, Arc::from("00ff00ff00ff00ff"), names, vec![records], sockets).unwrap();
    (recorder, exporter)
}

/// `conf/examples/consumer.py`; killed when dropped.
struct Consumer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/examples/consumer.py");
        // Where Debian's packages are, whichever other Python is there.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Json {
        serde_json::from_str(&self.lines.next().expect("it ended by itself").unwrap()).unwrap()
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data(recorder: &mut Recorder, payload: &[u8]) {
    recorder.event(&flow(1), 9, Part::Data { direction: Client, offset: 0 }, &[payload]);
}

fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

/// Waits until every event is sent or dropped; gives what was counted.
fn settled(recorder: &Recorder, exporter: &Exporter) -> ExportNumbers {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let numbers = exporter.numbers();
        let (counters, worker) = (recorder.counters(), &numbers.workers[0]);
        let at_ring = sum(&counters.dropped);
        if sum(&counters.produced) == at_ring + sum(&worker.sent) + sum(&worker.dropped) {
            return numbers;
        }
        assert!(Instant::now() < until, "{counters:?} {numbers:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Produces events until one is taken; returns the number of those that found nobody.
fn until_taken(recorder: &mut Recorder, exporter: &Exporter) -> u64 {
    let until = Instant::now() + Duration::from_secs(60);
    let before = sum(&exporter.numbers().workers[0].sent);
    loop {
        recorder.event(&flow(1), 9, Part::Open { midstream: false }, &[]);
        let worker = settled(recorder, exporter).workers[0];
        if sum(&worker.sent) > before {
            return sum(&worker.dropped);
        }
        assert!(Instant::now() < until, "nobody takes anything");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_consumer_gets_exactly_what_was_sent() {
    let scratch = Scratch::new("exactly");
    let (mut recorder, exporter) = start(&export(&format!("push: \"{}\"", scratch.ipc())));
    // Nobody is there: dropped at once, and counted.
    data(&mut recorder, b"for nobody");
    assert_eq!(settled(&recorder, &exporter).workers[0].dropped[Topic::TcpData as usize], 1);
    let mut consumer = Consumer::start(&[&scratch.ipc()]);
    let missed = until_taken(&mut recorder, &exporter);
    let first = consumer.next();
    assert_eq!((first["topic"].as_str(), first["seq"].as_u64()), (Some("flow.open"), Some(missed + 1)));
    assert_eq!(first["dropped"].as_u64(), Some(missed), "the hole is explained");
    let payload = |n: usize| (0..n * 37 % 5000).map(|byte| (byte * n) as u8).collect::<Vec<u8>>();
    for n in 0..2000 {
        // The ring holds far more than the events of a moment, the queue of the socket as well.
        data(&mut recorder, &payload(n));
    }
    for n in 0..2000 {
        let got = consumer.next();
        assert_eq!(got["seq"].as_u64(), Some(missed + 2 + n as u64));
        assert_eq!((got["missed"].as_u64(), got["dropped"].as_u64()), (Some(0), Some(missed)));
        let hash = Sha256::digest(payload(n));
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((got["sha256"].as_str(), got["service"].as_str()), (Some(hash.as_str()), Some("web")));
        assert_eq!(got["length"], got["length_of_payload"]);
    }
    drop(recorder);
    let numbers = exporter.stop();
    assert_eq!(numbers.workers[0].sent[Topic::TcpData as usize], 2000);
}

/// Bytes of memory this process has.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Produces a lot, and fast; returns the events dropped in all.
fn flood(recorder: &mut Recorder, exporter: &Exporter) -> u64 {
    let payload = [7; 4096];
    let began = Instant::now();
    for n in 0..50_000 {
        data(recorder, &payload);
        if n % 1000 == 0 {
            // Or most would be dropped in the ring.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(began.elapsed() < Duration::from_secs(60), "the producer never waits for a consumer");
    let numbers = settled(recorder, exporter);
    sum(&recorder.counters().dropped) + sum(&numbers.workers[0].dropped)
}

#[test]
fn a_consumer_that_stands_still_or_dies_stops_nobody() {
    let scratch = Scratch::new("still");
    let keys = format!("push: \"{}\", high_water_mark: 100, ring: 1MiB", scratch.ipc());
    let (mut recorder, exporter) = start(&export(&keys));
    let mut consumer = Consumer::start(&[&scratch.ipc()]);
    until_taken(&mut recorder, &exporter);
    assert_eq!(consumer.next()["topic"].as_str(), Some("flow.open"));
    consumer.signal("-STOP");
    let before = memory();
    let dropped = flood(&mut recorder, &exporter);
    let more = memory().saturating_sub(before);
    // 200 MB were produced; 100 events, the kernel's buffers and the ring are some megabytes.
    assert!(dropped > 40_000, "{dropped}");
    assert!(more < 64 << 20, "{more}");
    consumer.signal("-CONT");
    // What waited for it comes, and then it sees that there is a hole.
    let mut got = consumer.next();
    let until = Instant::now() + Duration::from_secs(60);
    while got["missed"].as_u64() == Some(0) {
        assert!(Instant::now() < until, "{got}");
        data(&mut recorder, b"on");
        got = consumer.next();
    }
    assert!(got["dropped"].as_u64() > Some(40_000), "{got}");
    drop(consumer);
    flood(&mut recorder, &exporter);
    let mut second = Consumer::start(&[&scratch.ipc()]);
    until_taken(&mut recorder, &exporter);
    assert_eq!(second.next()["topic"].as_str(), Some("flow.open"), "the next one is served");
    settled(&recorder, &exporter);
}

#[test]
fn subscribers_get_their_topics_beside_the_others() {
    let scratch = Scratch::new("publish");
    let publish = format!("ipc://{}/run/publish.sock", scratch.0.display());
    let (mut recorder, exporter) =
        start(&export(&format!("push: \"{}\", publish: \"{publish}\"", scratch.ipc())));
    let mut subscriber = Consumer::start(&[&publish, "--subscribe", "tcp."]);
    let mut puller = Consumer::start(&[&scratch.ipc()]);
    until_taken(&mut recorder, &exporter);
    // A subscription takes its time; what was published before is not for it.
    let mut got = None;
    let until = Instant::now() + Duration::from_secs(60);
    let (say, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = say.send(subscriber.next());
        drop(subscriber);
    });
    while got.is_none() {
        assert!(Instant::now() < until, "nothing is published");
        recorder.event(&flow(1), 9, Part::Open { midstream: false }, &[]);
        data(&mut recorder, b"for all");
        got = hear.recv_timeout(Duration::from_millis(50)).ok();
    }
    assert_eq!(got.unwrap()["topic"].as_str(), Some("tcp.data"), "nothing else was asked for");
    assert_eq!(puller.next()["topic"].as_str(), Some("flow.open"));
    let numbers = settled(&recorder, &exporter);
    let worker = &numbers.workers[0];
    assert_eq!(sum(&worker.published), sum(&recorder.counters().produced), "whoever pulls or not");
}
