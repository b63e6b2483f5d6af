//! Each limit, and the counter that tells of it.

use super::*;

fn long(length: usize) -> String {
    let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(length - 23));
    assert_eq!(head.len(), length);
    head
}

#[test]
fn bytes_of_a_head() {
    let limits = Limits { head: 100, ..Limits::default() };
    for piece in [1, 7, 99, 100, 101, 1000] {
        let mut bench = Bench::limited(limits);
        for bytes in long(100).as_bytes().chunks(piece) {
            bench.client(bytes);
        }
        assert_eq!((bench.messages().len(), bench.counters().heads_too_long), (1, 0));
        for bytes in long(101).as_bytes().chunks(piece) {
            bench.client(bytes);
        }
        assert_eq!((bench.messages().len(), bench.counters().heads_too_long), (1, 1), "by {piece}");
        bench.client(GET);
        assert!(bench.last().message().resync);
        assert_eq!((bench.counters().unreadable, bench.shared.held()), (1, 0));
        assert!(bench.shared.most_held() <= 100);
    }
}

#[test]
fn bytes_of_trailers() {
    let limits = Limits { head: 100, ..Limits::default() };
    let trailers = |length: usize| format!("0\r\nA: {}\r\n\r\n", "x".repeat(length - 7));
    let head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for piece in [1, 7, 99, 1000] {
        let mut bench = Bench::limited(limits);
        for (length, complete) in [(100, true), (101, false)] {
            for bytes in format!("{head}{}", trailers(length)).as_bytes().chunks(piece) {
                bench.client(bytes);
            }
            assert_eq!(bench.last().message().complete, complete, "by {piece}");
            assert_eq!(bench.last().trailers.len(), if complete { 100 } else { 0 });
        }
        assert_eq!((bench.counters().heads_too_long, bench.counters().unreadable), (1, 1));
        assert_eq!(bench.shared.held(), 0);
    }
}

#[test]
fn fields_of_a_head() {
    let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
    let mut bench = Bench::default();
    bench.client(head(128));
    assert_eq!(bench.counters().too_many_headers, 0);
    bench.client(head(129)).client(GET);
    assert_eq!((bench.counters().too_many_headers, bench.counters().unreadable), (1, 1));
    assert_eq!((bench.messages().len(), bench.messages()[1].resync), (2, true));
}

#[test]
fn requests_that_wait() {
    let mut bench = Bench::default();
    for _ in 0..32 {
        bench.client(GET);
    }
    assert_eq!(bench.counters().pipeline_overflows, 0);
    bench.client(GET).client(GET).server(OK).client(GET);
    // One found its response, but those without a place go first.
    assert_eq!((bench.counters().pipeline_overflows, bench.messages().len()), (3, 36));
    for _ in 0..34 {
        bench.server(OK);
    }
    let numbers =
        bench.messages().iter().filter(|m| m.direction == Server).map(|m| m.exchange).collect::<Vec<_>>();
    assert_eq!(numbers, (0..35).collect::<Vec<_>>());
    assert_eq!(bench.messages().iter().filter(|message| message.request.is_some()).count(), 32);
    bench.client(GET).server(OK);
    assert_eq!((bench.last().message().exchange, bench.counters().unmatched), (35, 0));
    assert!(bench.last().message().request.is_some());
    assert_eq!(bench.counters().pipeline_overflows, 3);
}

#[test]
fn lines_of_chunks() {
    let limits = Limits { chunk_line: 20, ..Limits::default() };
    for (extension, bad) in [(16, 0), (17, 1), (10_000, 1)] {
        let mut bench = Bench::limited(limits);
        bench.server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        bench.server(format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(extension)));
        assert_eq!((bench.counters().bad_chunks, bench.messages()[0].complete), (bad, bad == 0));
        assert_eq!(bench.shared.most_held(), 0);
    }
}

#[test]
fn memory_of_all() {
    let mut shared = Shared::new(Limits { held: 10_000, ..Limits::default() });
    let mut sink = Recorder::default();
    let mut framers: Vec<_> = std::iter::repeat_with(Framer::new).take(20).collect();
    let head = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(900));
    for framer in &mut framers {
        framer.data(&mut shared, 0, Client, 0, head.as_bytes(), &mut sink);
    }
    let refused = shared.counters.refused_memory;
    assert!((10..20).contains(&refused), "{refused}");
    assert_eq!(shared.counters.unreadable, refused);
    assert!(shared.held() > 8000 && shared.held() <= 10_000);
    for framer in &mut framers {
        framer.data(&mut shared, 0, Client, head.len() as u64, b"\r\n\r\n", &mut sink);
    }
    assert_eq!((shared.held(), shared.counters.requests), (0, 20 - refused));
    assert!(shared.most_held() <= 10_000);
    // There is room again, for those that had none, too.
    let framer = framers.last_mut().unwrap();
    framer.data(&mut shared, 0, Client, 1000, head.as_bytes(), &mut sink);
    assert!(shared.held() > 0);
    framer.release(&mut shared);
    assert_eq!(shared.held(), 0);
}
