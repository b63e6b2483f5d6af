//! What the data plane will not be started with: each refusal says what to write instead and leaves nothing behind.
//! EAL starts once per process, so every case runs in a process of its own: this program, called with its number.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use dataplane::appliance::Dataplane;
use dataplane::settings::{Settings, Steering};
use std::process::Command;
use support::settings;

type Case = (&'static str, fn(&mut Settings), &'static [&'static str]);

const CASES: &[Case] = &[
    ("no worker", |s| s.cpus.clear(), &["the workers", "0 CPUs", "name 1 to 128 under `workers:`"]),
    ("too many workers", |s| s.cpus = vec![0; 129], &["129 CPUs", "name 1 to 128"]),
    ("a CPU that is not there", |s| s.cpus = vec![0, 1000], &["worker 1 on CPU 1000", "use other CPUs"]),
    (
        "an unknown device",
        |s| s.ports[0].device = "net_null7".into(),
        &["port `lan` (net_null7)", "no such port", "net_null0"],
    ),
    (
        "an unknown driver",
        |s| (s.eal.vdevs[0], s.ports[0].device) = ("net_nul0".into(), "net_nul0".into()),
        &["net_nul0", "known drivers: net_tap"],
    ),
    (
        "one device for two ports",
        |s| s.ports.push(s.ports[0].clone()),
        &["net_null0 is that of port `lan`", "a device of its own"],
    ),
    (
        "RSS where there is none",
        |s| (s.cpus, s.ports[0].steering) = (vec![0, 1], Steering::Rss),
        &["`steering: rss`", "net_null offers no usable RSS over 2 queues", "`steering: auto`"],
    ),
    (
        "buffers too small",
        |s| s.data_room = 1024,
        &["`mempool.data_room` is 1024", "an MTU of 1500 needs 1692", "`data_room: auto`"],
    ),
    (
        "a ring that is no power of two",
        |s| (s.cpus, s.steering_ring) = (vec![0, 1], 100),
        &["100", "64, 128"],
    ),
    (
        "a group for a station",
        |s| s.ports[0].mac = Some([1; 6]),
        &["01:01:01:01:01:01", "give the port one with `mac:`"],
    ),
    ("more memory than asked for", |s| s.mbufs = 10_000_000, &["the pool of 10000000 buffers", "memory"]),
];

/// In a process of its own: one start that must fail, or two, of which the second must.
fn play(number: usize) {
    let mut settings = settings(&["net_null0".into()]);
    if let Some((_, spoil, _)) = CASES.get(number) {
        spoil(&mut settings);
    } else {
        let first = Dataplane::start(settings.clone()).map_err(|error| error.to_string()).unwrap();
        assert_eq!(support::end(first).mbufs_in_use, 0);
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let error = Dataplane::start(settings).err().expect("it must not start");
    let workers = std::fs::read_dir("/proc/self/task").unwrap().filter(|task| {
        let name = std::fs::read_to_string(task.as_ref().unwrap().path().join("comm")).unwrap_or_default();
        name.starts_with("worker-")
    });
    assert_eq!(workers.count(), 0, "no worker is left of {} threads", threads());
    println!("{error}");
}

fn main() {
    if let Some(number) = std::env::args().nth(1).and_then(|text| text.parse().ok()) {
        return play(number);
    }
    let already: &[&str] = &["already started in this process", "a new one needs a new process"];
    let cases = CASES.iter().map(|(name, _, says)| (*name, *says)).chain([("a second start", already)]);
    for (number, (name, says)) in cases.enumerate() {
        let done = Command::new(std::env::current_exe().unwrap()).arg(number.to_string()).output().unwrap();
        let (said, log) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{name}: {said}{log}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 1, "{name}: {said}");
        assert_eq!(said.matches("; fix: ").count(), 1, "{name}: {said}");
        for part in says {
            assert!(said.contains(part), "{name} says {said:?} and not {part:?}");
        }
        println!("{name}: {}", said.trim());
    }
}
