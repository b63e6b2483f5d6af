//! `millrace read`: captures of every kind, whole and broken.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

mod wire;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use control::read::{Options, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value as Json;
use wire::{BEGIN, Kind, SERVER, TAGGED, Talk};

/// "hello hello hello hello\n" in brotli.
const BROTLI: &[u8] = &[
    0x1f, 0x17, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55, 0x86, 0xd6, 0x0a, 0x20, 0x6c, 0x6f, 0x4a,
    0x11, 0x79, 0xe2, 0x80, 0xae, 0x16,
];
const LITTLE: Kind = Kind { big: false, nanos: false, link: 1 };

fn options() -> Options {
    Options {
        file: PathBuf::from("test.pcap"),
        json: false,
        events: false,
        data: false,
        flows: false,
        bodies: None,
        body_limit: "16MiB".parse().unwrap(),
        verify_checksums: false,
    }
}

/// What is printed, and the exit code.
fn printed(options: &Options, file: &[u8]) -> (String, u8) {
    let mut out = Vec::new();
    let code = read(options, file, &mut out, &mut Vec::new()).unwrap();
    (String::from_utf8(out).unwrap(), code)
}

fn lines(options: &Options, file: &[u8]) -> Vec<Json> {
    let (text, code) = printed(options, file);
    assert_eq!(code, 0, "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json() -> Options {
    Options { json: true, ..options() }
}

/// 20 000 bytes that gzip makes shorter.
fn page() -> Vec<u8> {
    (0..20_000u32).flat_map(|n| format!("{} ", n % 977).into_bytes()).take(20_000).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn response(fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n", body.len()).as_bytes(), body].concat()
}

fn chunked(fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{fields}\r\n").into_bytes();
    for chunk in body.chunks(300) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Two connections with five exchanges, one after the other.
fn five() -> Vec<(u64, Vec<u8>)> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n").into_bytes();
    let first = Talk::open(40_000)
        .ask(&get("/plain"))
        .answer(&response("Content-Type: text/plain; charset=utf-8\r\n", b"0123456789"))
        .ask(&get("/page"))
        .answer(&response("Content-Encoding: gzip\r\nContent-Type: text/html\r\n", &gzip(&page())))
        .ask(
            &[
                &b"POST /form HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3000\r\n\r\n"[..],
                &[b'x'; 3000],
            ]
            .concat(),
        )
        .answer(b"HTTP/1.1 100 Continue\r\n\r\n")
        .answer(b"HTTP/1.1 204 No Content\r\n\r\n")
        .close();
    let second = Talk::open(40_001)
        .ask(&get("/chunks"))
        .answer(&chunked("Content-Encoding: gzip\r\n", &gzip(&page())))
        .ask(&get("/brotli"))
        .answer(&response("Content-Encoding: br\r\n", BROTLI))
        .close();
    [first.packets, second.packets].concat()
}

#[test]
fn five_exchanges_with_the_right_sizes() {
    let got = lines(&json(), &LITTLE.pcap(&five()));
    let sizes = |line: &Json| {
        let half = |name: &str| {
            (line[name]["body"]["wire"].as_u64().unwrap(), line[name]["body"]["decoded"].as_u64())
        };
        let target = line["request"]["target"].as_str().unwrap().to_owned();
        (target, line["response"]["status"].as_u64().unwrap(), half("request"), half("response"))
    };
    let packed = gzip(&page()).len() as u64;
    let wanted = [
        ("/plain", 200, (0, None), (10, None)),
        ("/page", 200, (0, None), (packed, Some(20_000))),
        ("/form", 204, (3000, None), (0, None)),
        ("/chunks", 200, (0, None), (packed, Some(20_000))),
        ("/brotli", 200, (0, None), (BROTLI.len() as u64, Some(24))),
    ];
    assert_eq!(
        got.iter().map(sizes).collect::<Vec<_>>(),
        wanted.map(|(path, status, a, b)| (path.to_owned(), status, a, b))
    );
    assert_eq!(
        got[1]["response"]["body"]["sha256"], got[3]["response"]["body"]["sha256"],
        "decoded, the same"
    );
    assert_eq!(
        (&got[2]["interim"], got[0]["server"]["port"].as_u64()),
        (&Json::from(vec![100]), Some(SERVER.1.into()))
    );
    assert!(got.iter().all(|line| line["response"]["body"]["trouble"].is_null()), "{got:?}");
    // The fourth packet asks, the fifth answers.
    assert_eq!(got[0]["request"]["begin"].as_u64(), Some(BEGIN + 3_000_000));
    assert_eq!(got[0]["duration"].as_u64(), Some(1_000_000));
}

#[test]
fn the_table_is_for_people() {
    let (text, code) = printed(&options(), &LITTLE.pcap(&five()));
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!((code, rows.len()), (0, 7), "{text}");
    assert!(rows[0].starts_with("time") && rows[0].contains("duration"), "{text}");
    assert!(rows[1].contains("2026-01-01 00:00:00.003000") && rows[1].contains("10.0.0.1:40000"), "{text}");
    assert!(
        rows[1].contains("/plain") && rows[1].contains("text/plain") && rows[1].contains("1.0 ms"),
        "{text}"
    );
    let packed = format!("{} -> 20000", gzip(&page()).len());
    assert!(text.contains(&packed), "{text}");
    assert!(
        rows[6].starts_with("5 exchanges, 2 connections, ") && rows[6].contains(" 0 gaps (0 bytes)"),
        "{text}"
    );
    assert!(!text.contains("not followed"), "{text}");
}

#[test]
fn every_kind_of_file_says_the_same() {
    let wanted = lines(&json(), &LITTLE.pcap(&five()));
    for big in [false, true] {
        for nanos in [false, true] {
            for link in [0, 1, 101, 113, 276] {
                let kind = Kind { big, nanos, link };
                assert_eq!(lines(&json(), &kind.pcap(&five())), wanted, "pcap {kind:?}");
                assert_eq!(lines(&json(), &kind.pcapng(&five())), wanted, "pcapng {kind:?}");
            }
        }
    }
}

/// What a machine sees of itself: segments as long as IP packets can be.
#[test]
fn packets_may_be_as_long_as_ip_lets_them() {
    let body: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let talk = Talk::open(40_000)
        .ask(b"GET /a HTTP/1.1\r\n\r\n")
        .answer_in(65_535 - 40, &response("", &body))
        .close();
    assert!(talk.packets.iter().any(|(_, packet)| packet.len() == 65_535));
    for link in [0, 1, 101, 113, 276] {
        let kind = Kind { link, ..LITTLE };
        let got = lines(&json(), &kind.pcap(&talk.packets));
        assert_eq!(got[0]["response"]["body"]["wire"].as_u64(), Some(200_000), "{link}");
        assert!(got[0]["response"]["body"]["trouble"].is_null(), "{link}");
    }
    // Behind a VLAN tag frames are longer than any number of 16 bits.
    let (text, code) = printed(&options(), &Kind { link: TAGGED, ..LITTLE }.pcap(&talk.packets));
    assert!(code == 0 && text.contains("200000") && text.contains(" 0 gaps (0 bytes)"), "{text}");
}

#[test]
fn a_file_that_is_cut_anywhere_gives_what_is_there() {
    let talk = Talk::open(40_000)
        .ask(b"GET /a HTTP/1.1\r\n\r\n")
        .answer(&response("", b"0123456789"))
        .ask(b"GET /b HTTP/1.1\r\n\r\n")
        .answer(&response("", b"0123456789"))
        .close();
    for file in [LITTLE.pcap(&talk.packets), LITTLE.pcapng(&talk.packets)] {
        let (mut exchanges, mut whole) = (0, 0);
        for length in 0..=file.len() {
            let (text, code) = printed(&json(), &file[..length]);
            let answered = text.lines().filter(|line| line.contains(r#""status":200"#)).count();
            assert!(answered >= exchanges, "{length}: {text}");
            exchanges = answered;
            // Between two packets nobody can tell.
            whole += u64::from(code == 0);
            assert!(code <= 1);
        }
        assert_eq!(exchanges, 2);
        assert!((talk.packets.len() as u64 + 1..=talk.packets.len() as u64 + 6).contains(&whole), "{whole}");
    }
}

#[test]
fn broken_files_do_no_harm() {
    let file = LITTLE.pcapng(&five());
    for at in 0..file.len().min(3000) {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = file.clone();
            broken[at] ^= change;
            let (_, code) = printed(&json(), &broken);
            assert!(code <= 1);
        }
    }
    let (text, code) = printed(&options(), &file);
    assert!(code == 0 && text.contains("1 packets of other links passed over"), "{text}");
    assert_eq!(printed(&json(), b"").1, 1);
    assert_eq!(printed(&json(), b"GET / HTTP/1.1\r\n\r\n").1, 1);
}

#[test]
fn connections_and_events() {
    let file = LITTLE.pcap(&five());
    let flows = lines(&Options { flows: true, ..json() }, &file);
    assert_eq!(flows.len(), 2);
    assert_eq!((flows[0]["reason"].as_str(), flows[0]["begin"].as_u64()), (Some("fin"), Some(BEGIN)));
    assert_eq!(flows[0]["handshake_rtt"].as_u64(), Some(2_000_000));
    let (text, _) = printed(&Options { flows: true, ..options() }, &file);
    assert!(text.contains("TIME-WAIT / CLOSED") && text.contains("5 exchanges, 2 connections"), "{text}");

    let events = lines(&Options { events: true, ..options() }, &file);
    let topics = |topic: &str| events.iter().filter(|event| event["topic"] == topic).count();
    assert_eq!(
        ["flow.open", "http.request", "http.response", "flow.close", "tcp.data"].map(topics),
        [2, 5, 6, 2, 0]
    );
    let posted = events.iter().find(|event| event["method"] == "POST").unwrap();
    assert_eq!(
        (posted["length_of_payload"].as_u64(), posted["body_length"].as_u64()),
        (Some(3000), Some(3000))
    );
    assert!(events.iter().zip(1..).all(|(event, seq)| event["seq"].as_u64() == Some(seq)), "no holes");
    let all = lines(&Options { events: true, data: true, ..options() }, &file);
    let bytes: u64 = all.iter().filter_map(|event| event["length"].as_u64()).sum();
    let sent = |flow: &Json| ["client", "server"].map(|side| flow["sent"][side]["bytes"].as_u64().unwrap());
    assert_eq!(bytes, flows.iter().flat_map(sent).sum::<u64>());
}

#[test]
fn bodies_are_written_decoded_and_no_longer_than_the_limit() {
    let directory = std::env::temp_dir().join(format!("millrace-read-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = LITTLE.pcap(&five());
    lines(&Options { bodies: Some(directory.clone()), ..json() }, &file);
    let mut names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let flows = lines(&Options { flows: true, ..json() }, &file);
    let [one, other] = [0, 1].map(|n| flows[n]["flow"].as_str().unwrap().to_owned());
    let wanted = [
        format!("{one}-0-response"),
        format!("{one}-1-response"),
        format!("{one}-2-request"),
        format!("{other}-0-response"),
        format!("{other}-1-response"),
    ];
    assert_eq!(names, wanted);
    assert_eq!(std::fs::read(directory.join(&wanted[3])).unwrap(), page());
    std::fs::remove_dir_all(&directory).unwrap();

    let short = lines(&Options { body_limit: "1KiB".parse().unwrap(), ..json() }, &file);
    let of = |line: &Json, name: &str| line["response"]["body"][name].clone();
    assert_eq!(of(&short[3], "decoded").as_u64().map(|decoded| decoded <= 1024), Some(true));
    assert!(of(&short[3], "trouble").is_string() && of(&short[4], "trouble").is_null(), "{short:?}");
}

#[test]
fn what_is_missing_is_said() {
    let mut packets = five();
    // The middle of the page, and a packet that is no IP.
    packets.remove(7);
    packets[0].1[0] = 0;
    let (text, code) = printed(&options(), &LITTLE.pcap(&packets));
    assert_eq!(code, 0);
    let last = text.lines().last().unwrap();
    assert!(last.contains(" 1 gaps (1000 bytes)") && last.contains("1 packets not followed"), "{text}");
    let page = text.lines().find(|line| line.contains("/page")).unwrap();
    assert!(page.contains('!'), "{page}");
}

#[test]
fn the_command_reads_standard_input_and_has_its_exit_codes() {
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .arg("read")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Where the usage is wrong nobody reads it.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let file = LITTLE.pcap(&five());
    let (code, out, _) = run(&["-"], &file);
    assert_eq!((code, out.lines().count()), (Some(0), 7), "{out}");
    let (code, out, err) = run(&["--json", "-"], &file[..file.len() - 3]);
    assert_eq!((code, out.lines().count()), (Some(1), 5), "{out}");
    assert!(err.contains("it ends in the middle of a packet"), "{err}");
    assert_eq!(run(&["/nonexistent.pcap"], b"").0, Some(1));
    assert_eq!(run(&["--events", "--flows", "-"], b"").0, Some(2));
    assert_eq!(run(&["--body-limit", "much", "-"], b"").0, Some(2));
    assert_eq!(run(&[], b"").0, Some(2));
}
