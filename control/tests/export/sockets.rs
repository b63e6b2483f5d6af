//! The endpoints: files with their modes, what is in the way, connecting instead of binding.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use control::export::Sockets;
use dataplane::event::Part;

use crate::consumers::{Scratch, export, start};
use crate::records::flow;

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_the_exporter() {
    let scratch = Scratch::new("files");
    let wanted = export(&format!("push: \"{}\"", scratch.ipc()));
    let (directory, path) = (scratch.0.join("run"), scratch.0.join("run/events.sock"));
    Sockets::check(&wanted).unwrap();
    let (recorder, exporter) = start(&wanted);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&path)), (0o750, 0o660));
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "no other name is left");
    let line = Sockets::check(&wanted).unwrap_err();
    assert!(line.contains("another program answers") && line.contains("fix: "), "{line}");
    assert!(Sockets::open(&wanted).err().unwrap().contains("another program answers"));
    drop(recorder);
    exporter.stop();
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);

    // What a daemon that was killed left behind is replaced, what is no socket is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    Sockets::check(&wanted).unwrap();
    drop(Sockets::open(&wanted).unwrap());
    std::fs::write(&path, "mine").unwrap();
    assert!(Sockets::open(&wanted).err().unwrap().contains("not a socket"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn an_address_in_use_is_found_before_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("push: \"tcp://{}\"", taken.local_addr().unwrap());
    let line = Sockets::check(&export(&at)).unwrap_err();
    assert!(line.contains("cannot bind tcp://127.0.0.1:") && line.contains("fix: "), "{line}");
    assert!(Sockets::open(&export(&at)).is_err());
}

#[test]
fn an_exporter_connects_to_whoever_collects() {
    let context = zmq::Context::new();
    let collector = context.socket(zmq::PULL).unwrap();
    collector.bind("tcp://127.0.0.1:*").unwrap();
    collector.set_rcvtimeo(30_000).unwrap();
    let at = collector.get_last_endpoint().unwrap().unwrap();
    let (mut recorder, exporter) = start(&export(&format!("push: \"connect:{at}\"")));
    let until = Instant::now() + Duration::from_secs(60);
    while exporter.numbers().workers[0].sent.iter().sum::<u64>() == 0 {
        assert!(Instant::now() < until, "it never connects");
        recorder.event(&flow(1), 9, Part::Open { midstream: true }, &[]);
        std::thread::sleep(Duration::from_millis(10));
    }
    let frames = collector.recv_multipart(0).unwrap();
    assert_eq!((frames.len(), &frames[0][..], frames[2].len()), (3, &b"flow.open"[..], 0));
    // What is in the ring when it stops is still sent.
    let before = recorder.counters().produced.iter().sum::<u64>();
    for _ in 0..500 {
        recorder.event(&flow(1), 9, Part::Open { midstream: true }, &[]);
    }
    drop(recorder);
    let numbers = exporter.stop();
    let worker = &numbers.workers[0];
    assert_eq!(worker.sent.iter().sum::<u64>() + worker.dropped.iter().sum::<u64>(), before + 500);
    assert!(worker.sent.iter().sum::<u64>() > 500);
}
