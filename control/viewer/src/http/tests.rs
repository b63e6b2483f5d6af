//! Tests of the server over real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::decode::Limits;
use crate::event::tests::{event, message, meta};
use crate::store::Bounds;
use crate::token::Secret;

/// A server on a port of its own; it ends with the test's process.
struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn start(token: Option<Secret>, clients: u32) -> Running {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let shared =
        Arc::new(Shared::new(Bounds { events: 50_000, bytes: 16 << 20 }, Limits::new(1 << 20), vec![]));
    let server = Server::new(Arc::clone(&shared), Access::new(address, token).unwrap(), clients);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            Arc::new(server).run(TcpListener::from_std(listener).unwrap()).await;
        });
    });
    Running { address, shared }
}

impl Running {
    fn open(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    fn send(&self, head: &str) -> Got {
        let mut all = Vec::new();
        self.open(head).read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
        Got { status: head[9..12].parse().unwrap(), head, body: all[end + 4..].to_vec() }
    }

    fn get(&self, path: &str) -> Got {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    fn insert(&self, topic: &str, meta: &Value, payload: &[u8]) {
        self.shared.store().insert(event(topic, meta, payload), self.shared.second());
    }

    fn exchange(&self, number: u64, status: u16) {
        let headers = json!([["Host", "example.org"], ["Authorization", "Bearer hunter2"]]);
        let more = json!({"method": "GET", "target": format!("/page/{number}"), "headers": headers});
        self.insert("http.request", &message(2 * number + 1, "a", number, more), b"");
        let headers = json!([["Content-Type", "text/html"], ["Content-Encoding", "gzip"]]);
        let more = json!({"direction": "server", "status": status, "reason": "", "headers": headers});
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"<script>alert(1)</script>").unwrap();
        self.insert("http.response", &message(2 * number + 2, "a", number, more), &gzip.finish().unwrap());
    }
}

#[test]
fn lists_are_paged_and_filtered() {
    let server = start(None, 16);
    for number in 0..1000 {
        server.exchange(number, if number % 10 == 0 { 500 } else { 200 });
    }
    let first = server.get("/api/exchanges?limit=3").json();
    assert_eq!(first["rows"][0]["path"], "/page/999");
    let second = server.get(&format!("/api/exchanges?limit=3&before={}", first["next"])).json();
    assert_eq!(second["rows"][0]["path"], "/page/996");
    let found = server.get("/api/exchanges?filter=~c+5xx+%26+~u+page/9.0").json();
    let paths: Vec<_> =
        found["rows"].as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths.len(), 10);
    assert_eq!((paths[0], found["next"].is_null()), ("/page/990", true));
    let wrong = server.get("/api/exchanges?filter=~c+5xx+%26+~zz");
    assert_eq!((wrong.status, &wrong.json()["mistake"]["position"]), (400, &json!(9)));
    assert_eq!(server.get("/api/exchanges?before=x").status, 400);
}

#[test]
fn flows_are_listed_found_and_paged() {
    let server = start(None, 16);
    for number in 0..600_u64 {
        let service = if number == 7 { "Odd" } else { "web" };
        let more = json!({"midstream": false, "service": service});
        server.insert("flow.open", &meta(number + 1, &format!("f{number}"), more), b"");
    }
    let ids = |page: &Value| -> Vec<u64> {
        page["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    let page = server.get("/api/flows?limit=2").json();
    assert_eq!((ids(&page), &page["next"]), (vec![600, 599], &json!(599)));
    assert_eq!(ids(&server.get("/api/flows?limit=2&before=599").json()), [598, 597]);
    // It is far behind, and found all the same.
    let page = server.get("/api/flows?find=odd").json();
    assert_eq!((ids(&page), page["next"].is_null()), (vec![8], true));
    assert_eq!(server.get("/api/flows/8").json()["name"], "f7");
    assert_eq!(server.get("/api/flows/601").status, 404);
}

#[test]
fn credentials_are_masked_unless_revealed() {
    let server = start(None, 16);
    server.exchange(0, 200);
    let data = json!({"direction": "client", "offset": 0, "length": 0});
    server.insert("tcp.data", &meta(3, "a", data), b"GET / HTTP/1.1\r\nCookie: hunter2\r\n\r\n");
    for path in ["/api/exchanges/1", "/api/flows/1/stream", "/api/flows/1/pcap"] {
        let text = |path: &str| {
            let got = server.get(path);
            assert_eq!(got.status, 200);
            let mut text = String::from_utf8_lossy(&got.body).into_owned();
            if path.contains("stream") {
                let data = got.json()["pieces"][0]["data"].as_str().unwrap().to_owned();
                let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).unwrap();
                text = String::from_utf8(bytes).unwrap();
            }
            text
        };
        assert!(!text(path).contains("hunter2"), "{path}");
        assert!(text(&format!("{path}?reveal=1")).contains("hunter2"), "{path}");
    }
}

#[test]
fn bodies_are_files_and_never_documents() {
    let server = start(None, 16);
    server.exchange(0, 200);
    let plain = server.get("/api/exchanges/1/response/body?decode=1");
    assert_eq!(plain.body, b"<script>alert(1)</script>");
    for line in [
        "content-type: application/octet-stream",
        "content-disposition: attachment; filename=\"exchange-1-response.bin\"",
        "x-content-type-options: nosniff",
        "content-security-policy: sandbox; default-src 'none'",
        "x-millrace-decoded: gzip",
    ] {
        assert!(plain.head.contains(line), "{line}\n{}", plain.head);
    }
    assert_eq!(server.get("/api/exchanges/1/response/body").body[..2], [0x1f, 0x8b]);
    for path in ["/api/exchanges/2", "/api/exchanges/1/other/body", "/api/flows/9/pcap", "/x", "/api/"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_page_has_a_strict_policy() {
    let server = start(None, 16);
    let page = server.get("/");
    assert_eq!(page.status, 200);
    let policy = page.head.lines().find(|line| line.starts_with("content-security-policy")).unwrap();
    assert!(policy.contains("script-src 'self';") && policy.contains("default-src 'none'"));
    assert!(!policy.contains("unsafe"));
}

#[test]
fn strange_hosts_sites_and_methods_are_refused() {
    let server = start(None, 16);
    let ask = |line: &str, more: &str| {
        server.send(&format!("{line} HTTP/1.1\r\n{more}Connection: close\r\n\r\n")).status
    };
    assert_eq!(ask("GET /api/state", "Host: evil.example\r\n"), 421);
    assert_eq!(ask("GET /", "Host: evil.example\r\n"), 421);
    assert_eq!(ask("GET /api/state", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(ask("DELETE /api/state", "Host: localhost\r\n"), 405);
    assert_eq!(ask("GET /api/state", "Host: localhost\r\n"), 200);
    assert_eq!(server.shared.counts.denied.get(), 3);
    let long = format!("Host: localhost\r\nX: {}\r\n", "x".repeat(MOST_HEAD));
    assert_eq!(ask("GET /api/state", &long), 431);
}

#[test]
fn the_token_opens_everything_and_nothing_is_open_without() {
    let secret = Secret::random().unwrap();
    let token = secret.expose().to_owned();
    let server = start(Some(secret), 16);
    for path in ["/api/state", "/api/exchanges", "/api/live", "/metrics", "/api/flows/1/pcap", "/api/x"] {
        assert_eq!(server.get(path).status, 401, "{path}");
    }
    assert_eq!(server.get("/").status, 200);
    let login = |body: &str, kind: &str| {
        server.send(&format!(
            "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        ))
    };
    assert_eq!(login("{\"token\": \"wrong\"}", "application/json").status, 401);
    assert_eq!(login(&format!("{{\"token\": \"{token}\"}}"), "text/plain").status, 415);
    assert_eq!(login(&"x".repeat(2000), "application/json").status, 413);
    let fine = login(&format!("{{\"token\": \"{token}\"}}"), "application/json");
    assert_eq!(fine.status, 200);
    let cookie = fine.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let pair = cookie.split(';').next().unwrap();
    for header in [format!("Cookie: {pair}"), format!("Authorization: Bearer {token}")] {
        let got = server.send(&format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!(got.status, 200, "{header}");
    }
}

/// Reads until `what` has come.
fn until(stream: &mut TcpStream, text: &mut String, what: &str) {
    let mut chunk = [0; 64 << 10];
    while !text.contains(what) {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the stream ended before {what}: {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
}

#[test]
fn changes_come_live_and_filtered() {
    let server = start(None, 16);
    let mut stream = server.open("GET /api/live?filter=~c+404 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut text = String::new();
    until(&mut stream, &mut text, "event: state");
    server.exchange(0, 200);
    server.exchange(1, 404);
    until(&mut stream, &mut text, "/page/1");
    assert!(text.contains("event: rows") && !text.contains("/page/0"));
    assert_eq!(server.shared.counts.live.get(), 1);
    drop(stream);
    for _ in 0..100 {
        if server.shared.counts.live.get() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("a live stream is left over");
}

#[test]
fn who_reads_too_slowly_is_told_to_begin_anew_and_holds_up_nobody() {
    let server = start(None, 16);
    let mut slow = server.open("GET /api/live?cursor=0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut text = String::new();
    until(&mut slow, &mut text, "event: state");
    // More than sockets and the queue hold, several times over.
    for number in 0..40_000 {
        server.exchange(number % 1000, 200);
        if number % 4000 == 0 {
            std::thread::sleep(Duration::from_millis(250));
        }
    }
    assert_eq!(server.get("/api/state").status, 200);
    until(&mut slow, &mut text, "event: resync");
    assert!(server.shared.counts.resyncs.get() >= 1);
    // Cursors of another run, too.
    let mut other = server.open("GET /api/live?cursor=99999999 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    until(&mut other, &mut String::new(), "event: resync");
}

#[test]
fn connections_are_bounded_and_come_back() {
    let server = start(None, 4);
    let idle: Vec<_> = (0..4).map(|_| server.open("")).collect();
    let wait = |number: u64| {
        for _ in 0..100 {
            if server.shared.counts.clients.get() == number {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{number} connections never were there");
    };
    wait(4);
    let mut one_more = server.open("");
    assert_eq!(one_more.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(server.shared.counts.clients_refused.get(), 1);
    drop(idle);
    wait(0);
    assert_eq!(server.get("/api/state").status, 200);
    // Half of them may follow live.
    let streams: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.open("GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
            until(&mut stream, &mut String::new(), "event: state");
            stream
        })
        .collect();
    assert_eq!(server.get("/api/live").status, 503);
    drop(streams);
}
