//! The metrics endpoint over real connections: what is served, what is refused, what is bounded.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{MadeUp, eventually, serve};
use control::metrics::http::{self, MOST_CONNECTIONS};
use control::snapshot::Phase;
use control::tally::Tally;
use dpdk_ffi::port::Link;

fn endpoint(daemon: impl FnOnce() -> MadeUp + Send + 'static) -> (SocketAddr, Arc<Tally>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let tally = serve(move |tally| async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        http::serve(listener, Rc::new(daemon()), tally).await;
    });
    (address, tally)
}

/// Sends bytes, gives back everything that comes until the server closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is the server's way of not reading on.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn the_three_paths_are_served() {
    let (address, tally) = endpoint(MadeUp::default);
    let (status, body) = get(address, "/metrics");
    assert!(status == 200 && body.contains("\nmillrace_worker_up{worker=\"0\"} 1\n"), "{status}");
    assert_eq!(get(address, "/metrics?name=x").0, 200);
    assert_eq!(get(address, "/healthz"), (200, "ok\n".into()));
    assert_eq!(get(address, "/readyz"), (200, "ok\nport lan: link up\nport wan: link up\n".into()));
    let head = exchange(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: text/plain; version=0.0.4\r\n"), "{head}");
    assert_eq!(tally.numbers().requests, 5);
}

#[test]
fn everything_else_is_refused() {
    let (address, tally) = endpoint(MadeUp::default);
    for path in ["/", "/metrics/", "/metrics/../metrics", "/favicon.ico"] {
        assert_eq!(get(address, path).0, 404, "{path}");
    }
    let post = exchange(address, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    assert!(
        post.starts_with("HTTP/1.1 405") && post.to_ascii_lowercase().contains("\r\nallow: get, head\r\n"),
        "{post}"
    );
    for garbage in ["\r\n\r\nGET\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n", "GET /metrics SPDY/9\r\n\r\n"] {
        let answer = exchange(address, garbage.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{garbage:?}: {answer}");
    }
    let huge = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let answer = exchange(address, huge.as_bytes());
    assert!(!answer.contains("200 OK"), "{answer}");
    eventually("all are counted", || tally.numbers().bad_requests == 9 && tally.numbers().requests == 0);
    assert_eq!(get(address, "/healthz").0, 200, "and it goes on");
}

#[test]
fn a_silent_worker_is_unhealthy() {
    let (address, _) = endpoint(|| MadeUp { silent: Duration::from_millis(2_500), ..MadeUp::default() });
    let (status, body) = get(address, "/healthz");
    assert_eq!(status, 503);
    assert_eq!(body.lines().next(), Some("worker 0 on CPU 2 gave no sign of life for 2.5 s"));
    assert_eq!(get(address, "/readyz").0, 503);
    assert_eq!(get(address, "/metrics").0, 200);
}

#[test]
fn a_draining_daemon_is_healthy_but_not_ready() {
    let (address, _) = endpoint(|| MadeUp { phase: Phase::Draining, ..MadeUp::default() });
    assert_eq!(get(address, "/healthz").0, 200);
    let (status, body) = get(address, "/readyz");
    assert!(status == 503 && body.starts_with("draining"), "{body}");
}

#[test]
fn without_any_link_it_is_not_ready() {
    let (address, _) = endpoint(|| MadeUp { link: Some(Link::default()), ..MadeUp::default() });
    let (status, body) = get(address, "/readyz");
    assert_eq!(
        (status, body.as_str()),
        (503, "no port has a link\nport lan: link down\nport wan: link down\n")
    );
    let (address, _) = endpoint(|| MadeUp { link: None, ..MadeUp::default() });
    assert_eq!(get(address, "/readyz"), (200, "ok\nport lan: link unknown\nport wan: link unknown\n".into()));
}

#[test]
fn connections_are_bounded() {
    let (address, tally) = endpoint(MadeUp::default);
    let open: Vec<_> = (0..MOST_CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    eventually("all are accepted", || tally.numbers().open == MOST_CONNECTIONS);
    assert_eq!(exchange(address, b""), "", "one more is closed at once");
    assert_eq!(tally.numbers().refused, 1);
    drop(open);
    eventually("they are gone", || tally.numbers().open == 0);
    assert_eq!(get(address, "/healthz").0, 200);
}

#[test]
fn an_address_in_use_is_said_so_with_a_fix() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = http::bind(taken.local_addr().unwrap()).unwrap_err();
    assert!(error.contains("; fix: another program uses it"), "{error}");
    let error = http::bind("192.0.2.1:9464".parse().unwrap()).unwrap_err();
    assert!(error.contains("; fix: no interface"), "{error}");
}
