//! What either end says in each phase of a session: nothing is lost, doubled or left behind. The test is client and
//! server on one link.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use core::time::Duration;
use dataplane::appliance::Dataplane;
use dataplane::observe::Level;
use dataplane::policy::{Action, Policy};
use dataplane::proxy::{
    Changes, Choice, Endpoint, Member, ProxySpec, Roster, SendHeader, ServerName, ServerSpec, ServerStatus,
    Source, Target, Upstream, Upstreams,
};
use dataplane::settings::{Service, Services};
use std::sync::Arc;
use support::wire::{self, ACK, FIN, RST, SYN, Segment, Sent, ends};
use support::{Line, PATIENCE, Scratch, addr, end, rule, settings};

const CLIENT: &str = "10.64.0.9";
const US: &str = "10.64.0.2";
const SERVER: &str = "10.64.0.20";

const PLAIN: u16 = 80;
const HELD: u16 = 81;
const NAMED: u16 = 82;
const NARROW: u16 = 83;

fn spec() -> ProxySpec {
    ProxySpec {
        target: Target::Upstream(0),
        source: Source::Own(Arc::new([])),
        egress: None,
        send_header: SendHeader::None,
        accept_header: false,
        wait_for_upstream: false,
        connect_timeout: Duration::from_secs(30),
        retries: 0,
        maximum: None,
        queue: 10,
        queue_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(60),
    }
}

fn services() -> Services {
    let changes = Arc::new(Changes::default());
    let server = ServerSpec {
        number: 0,
        endpoint: Endpoint { address: addr(SERVER), port: 8080 },
        status: Arc::new(ServerStatus::new(Arc::clone(&changes))),
    };
    let roster =
        Roster::new(vec![Member { name: "a".into(), weight: 1, maximum: None }], Choice::RoundRobin, [1; 16]);
    let service = |spec| Service {
        name: "web".into(),
        application: None,
        proxy: Some(Arc::new(spec)),
        observe: Level::None,
    };
    let proxied = |service, port, hold| rule(service, Some(wire::TCP), port, Action::Proxy { hold });
    Services {
        version: 1,
        policy: Policy::new(vec![
            proxied(0, PLAIN, false),
            proxied(1, HELD, true),
            proxied(2, NAMED, false),
            proxied(3, NARROW, false),
        ]),
        services: vec![
            service(spec()),
            service(ProxySpec { wait_for_upstream: true, ..spec() }),
            service(ProxySpec { accept_header: true, send_header: SendHeader::V1, ..spec() }),
            service(ProxySpec { maximum: Some(1), ..spec() }),
        ],
        upstreams: Upstreams {
            groups: vec![Upstream {
                name: "g".into(),
                roster: Arc::new(roster.unwrap()),
                servers: vec![server],
                health: None,
                eject: None,
            }],
            servers: vec![ServerName { upstream: "g".into(), server: "a".into() }],
            changes,
        },
    }
}

/// One end of a connection, with its numbers.
struct Peer {
    address: &'static str,
    port: u16,
    ours: u16,
    seq: u32,
    ack: u32,
    /// What came, in order and once.
    got: Vec<u8>,
    flags: u8,
}

impl Peer {
    fn new(address: &'static str, port: u16, ours: u16) -> Self {
        Self { address, port, ours, seq: 1000, ack: 0, got: vec![], flags: 0 }
    }

    fn segment(&mut self, flags: u8, data: &[u8]) -> Vec<u8> {
        let (from, to, seq, ack) = (self.port, self.ours, self.seq, self.ack);
        let options: &[u8] = if flags & SYN != 0 { &[2, 4, 5, 0xb4] } else { &[] };
        let segment = Segment { from, to, seq, ack, flags, options, data };
        self.seq = seq.wrapping_add(data.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        wire::frame(&wire::tcp(ends(self.address, US), segment))
    }

    fn say(&mut self, line: &mut Line, flags: u8, data: &[u8]) {
        let segment = self.segment(flags, data);
        line.send(&[segment]);
    }

    /// Takes a segment if it is for this end, and acknowledges what it brought.
    fn hear(&mut self, line: &mut Line, sent: &Sent) {
        let here = (self.address.to_owned(), (self.ours, self.port));
        if sent.is_arp() || (sent.ends().destination.to_string(), sent.ports()) != here {
            return;
        }
        self.flags |= sent.flags();
        let seq = wire::be32(sent.l4(), 4);
        if sent.flags() & SYN != 0 {
            self.ack = seq.wrapping_add(1);
            return;
        }
        let len = sent.data().len() as u32 + u32::from(sent.flags() & FIN != 0);
        if len > 0 && seq == self.ack {
            self.got.extend_from_slice(sent.data());
            self.ack = self.ack.wrapping_add(len);
        }
        if len > 0 {
            self.say(line, ACK, &[]);
        }
    }
}

/// Lets both ends hear until `done`.
fn until(line: &mut Line, client: &mut Peer, server: &mut Peer, done: impl Fn(&Peer, &Peer) -> bool) {
    let start = std::time::Instant::now();
    loop {
        for sent in line.new_frames() {
            if !sent.is_arp() && sent.ends().destination.to_string() == SERVER && sent.flags() == SYN {
                server.ours = sent.ports().0;
            }
            client.hear(line, &sent);
            server.hear(line, &sent);
        }
        if done(client, server) {
            return;
        }
        let state = (client.flags, client.got.len(), server.flags, server.got.len());
        assert!(start.elapsed() < PATIENCE, "it does not come: {state:?}");
        line.send(&[]);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pair(port: u16, service: u16) -> (Peer, Peer) {
    (Peer::new(CLIENT, port, service), Peer::new(SERVER, 8080, 0))
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n ^ n >> 8) as u8).collect()
}

/// Both ends have closed: nothing may be left.
fn farewell(line: &mut Line, client: &mut Peer, server: &mut Peer) {
    until(line, client, server, |client, server| client.flags & server.flags & FIN != 0);
    client.say(line, ACK, &[]);
    server.say(line, ACK, &[]);
}

#[test]
fn nothing_is_lost_doubled_or_left_behind() {
    let scratch = Scratch::new();
    let (mut line, device) = Line::new(&scratch, "net_pcap0");
    let line = &mut line;
    let mut settings = settings(&[device]);
    settings.services = Arc::new(services());
    let dataplane = Dataplane::start(settings).unwrap();
    // Its station is asked for ahead of time.
    let mut asked = false;
    while !asked {
        line.send(&[]);
        asked = line.new_frames().iter().any(|sent| sent.is_arp() && sent.packet[24..28] == [10, 64, 0, 20]);
    }
    line.send(&[wire::ether(0, 0x0806, &wire::arp(2, wire::PEER, [10, 64, 0, 20], [10, 64, 0, 2]))]);
    let gone = |line: &mut Line, service: usize| {
        let report = line.report_when(&dataplane, |report| {
            report.proxies[service].open == 0 && report.servers[0].open == 0 && report.gauges.sessions == 0
        });
        assert_eq!(report.proxies[service].waiting, 0);
        report
    };

    // A client that says more than a leg can hold before there is one, and closes.
    for len in [0, 10, 4096, 9000] {
        let (mut client, mut server) = pair(4000 + len as u16, PLAIN);
        client.say(line, SYN, &[]);
        until(line, &mut client, &mut server, |client, _| client.flags & SYN != 0);
        let said = bytes(len);
        let mut frames = vec![client.segment(ACK, &[])];
        frames.extend(said.chunks(1400).map(|part| client.segment(ACK, part)));
        frames.push(client.segment(ACK | FIN, &[]));
        line.send(&frames);
        until(line, &mut client, &mut server, |_, server| server.flags & SYN != 0);
        server.say(line, SYN | ACK, &[]);
        until(line, &mut client, &mut server, |_, server| server.flags & FIN != 0);
        assert_eq!(server.got, said);
        // The server goes on: its side is still open.
        server.say(line, ACK, &bytes(1000));
        until(line, &mut client, &mut server, |client, _| client.got.len() == 1000);
        server.say(line, ACK | FIN, b"end");
        farewell(line, &mut client, &mut server);
        assert_eq!(client.got, [&bytes(1000)[..], b"end"].concat());
        gone(line, 0);
    }
    let report = gone(line, 0);
    assert_eq!((report.proxies[0].bytes_up, report.proxies[0].bytes_down), (13_106, 4012));

    // A server that speaks first and closes, to a client whose handshake waited for it and takes its time.
    let (mut client, mut server) = pair(5000, HELD);
    client.say(line, SYN, &[]);
    until(line, &mut client, &mut server, |_, server| server.flags & SYN != 0);
    assert_eq!(client.flags, 0, "not answered yet");
    server.say(line, SYN | ACK, &[]);
    let greeting = [server.segment(ACK, b"hel"), server.segment(ACK | FIN, b"lo")];
    line.send(&greeting);
    until(line, &mut client, &mut server, |client, _| client.flags & SYN != 0);
    client.say(line, ACK, &[]);
    until(line, &mut client, &mut server, |client, _| client.flags & FIN != 0);
    client.say(line, ACK | FIN, b"bye");
    farewell(line, &mut client, &mut server);
    assert_eq!((&client.got[..], &server.got[..]), (&b"hello"[..], &b"bye"[..]));
    gone(line, 1);

    // Clients that reset while they are held, and while their server is being connected to.
    for (port, service) in [(5001, HELD), (5002, PLAIN)] {
        let (mut client, mut server) = pair(port, service);
        client.say(line, SYN, &[]);
        if service == PLAIN {
            until(line, &mut client, &mut server, |client, _| client.flags & SYN != 0);
            client.say(line, ACK, b"question");
        }
        until(line, &mut client, &mut server, |_, server| server.flags & SYN != 0);
        client.say(line, RST | if service == PLAIN { ACK } else { 0 }, &[]);
        gone(line, usize::from(service - PLAIN));
        // The server's answer comes too late.
        server.say(line, SYN | ACK, &[]);
        until(line, &mut client, &mut server, |_, server| server.flags & RST != 0);
    }

    line.report_when(&dataplane, |report| report.counters.stray_answers == 2);

    // A header in two pieces, with the first bytes and the end right behind it.
    let (mut client, mut server) = pair(5003, NAMED);
    client.say(line, SYN, &[]);
    until(line, &mut client, &mut server, |client, _| client.flags & SYN != 0);
    let pieces = [
        client.segment(ACK, b"PROXY TCP4 192.0.2.1 192.0.2.2 10"),
        client.segment(ACK | FIN, b" 20\r\nquestion"),
    ];
    line.send(&pieces);
    until(line, &mut client, &mut server, |_, server| server.flags & SYN != 0);
    server.say(line, SYN | ACK, &[]);
    until(line, &mut client, &mut server, |_, server| server.flags & FIN != 0);
    assert_eq!(server.got, b"PROXY TCP4 192.0.2.1 192.0.2.2 10 20\r\nquestion");
    server.say(line, ACK | FIN, &[]);
    farewell(line, &mut client, &mut server);
    gone(line, 2);

    // One that waits says all it has to say and closes; one that waits resets.
    let (mut first, mut server) = pair(5004, NARROW);
    first.say(line, SYN, &[]);
    until(line, &mut first, &mut server, |client, _| client.flags & SYN != 0);
    first.say(line, ACK, &[]);
    until(line, &mut first, &mut server, |_, server| server.flags & SYN != 0);
    let (mut client, mut other) = pair(5005, NARROW);
    let mut nobody = Peer::new(SERVER, 9, 9);
    for client in [&mut client, &mut other] {
        client.address = CLIENT;
        client.port += u16::from(client.port == 8080);
        client.ours = NARROW;
        client.say(line, SYN, &[]);
        until(line, client, &mut nobody, |client, _| client.flags & SYN != 0);
        client.say(line, ACK | FIN, &bytes(1400));
    }
    line.report_when(&dataplane, |report| report.proxies[3].waiting == 2);
    other.say(line, RST | ACK, &[]);
    line.report_when(&dataplane, |report| report.proxies[3].waiting == 1);
    first.say(line, RST | ACK, &[]);
    let mut server = Peer::new(SERVER, 8080, 0);
    until(line, &mut client, &mut server, |_, server| server.flags & SYN != 0);
    server.say(line, SYN | ACK, &[]);
    until(line, &mut client, &mut server, |_, server| server.flags & FIN != 0);
    assert_eq!(server.got, bytes(1400));
    server.say(line, ACK | FIN, b"answer");
    farewell(line, &mut client, &mut server);
    assert_eq!(client.got, b"answer");
    gone(line, 3);

    line.hang_up();
    end(dataplane);
}
