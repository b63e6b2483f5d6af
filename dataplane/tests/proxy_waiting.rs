//! What sessions wait for: stations of servers, a server with room. The test is clients and servers on one link.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use core::time::Duration;
use dataplane::appliance::Dataplane;
use dataplane::observe::Level;
use dataplane::policy::{Action, Policy};
use dataplane::proxy::{
    Changes, Choice, Eject, Endpoint, Member, ProxySpec, Roster, SendHeader, ServerName, ServerSpec,
    ServerStatus, Source, Target, Upstream, Upstreams,
};
use dataplane::settings::{Service, Services};
use std::sync::Arc;
use support::wire::{self, ACK, Ends, RST, SYN, Segment, Sent, ends};
use support::{Line, PATIENCE, Scratch, addr, end, rule, settings};

const CLIENT: &str = "10.64.0.9";
const US: &str = "10.64.0.2";
/// Takes datagrams; its station is slow to answer.
const SLOW: &str = "10.64.0.20";
/// There is no such station.
const NOBODY: &str = "10.64.0.21";
/// Takes one connection at a time.
const NARROW: &str = "10.64.0.22";

fn spec(group: u16) -> ProxySpec {
    ProxySpec {
        target: Target::Upstream(group),
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
    let group = |number: u16, server: &str, maximum| {
        let member = |name: &str, maximum| Member { name: name.into(), weight: 1, maximum };
        let written = |number, address| ServerSpec {
            number,
            endpoint: Endpoint { address: addr(address), port: 8080 },
            status: Arc::new(ServerStatus::new(Arc::clone(&changes))),
        };
        let roster = Roster::new(vec![member("a", maximum)], Choice::RoundRobin, [1; 16]).unwrap();
        Upstream {
            name: server.into(),
            roster: Arc::new(roster),
            servers: vec![written(number, server)],
            health: None,
            eject: Some(Eject { failures: 1, time: Duration::from_secs(60) }),
        }
    };
    let name = |server: &str| ServerName { upstream: server.into(), server: "a".into() };
    let service = |name: &str, spec: ProxySpec| Service {
        name: name.into(),
        application: None,
        proxy: Some(Arc::new(spec)),
        observe: Level::None,
    };
    // A second attempt of the only session that may be: there is no room for it while another one has come.
    let lonely =
        ProxySpec { maximum: Some(1), retries: 1, connect_timeout: Duration::from_millis(300), ..spec(1) };
    let proxied =
        |service, protocol, port| rule(service, Some(protocol), port, Action::Proxy { hold: false });
    Services {
        version: 1,
        policy: Policy::new(vec![
            proxied(0, wire::UDP, 2000),
            proxied(1, wire::UDP, 2001),
            proxied(2, wire::TCP, 2002),
        ]),
        services: vec![service("slow", spec(0)), service("lonely", lonely), service("narrow", spec(2))],
        upstreams: Upstreams {
            groups: vec![group(0, SLOW, None), group(1, NOBODY, None), group(2, NARROW, Some(1))],
            servers: vec![name(SLOW), name(NOBODY), name(NARROW)],
            changes: Arc::clone(&changes),
        },
    }
}

fn datagram(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    wire::frame(&wire::udp(ends(CLIENT, US), from, to, data))
}

fn segment(ends: Ends, from: u16, to: u16, (seq, ack): (u32, u32), flags: u8) -> Vec<u8> {
    wire::frame(&wire::tcp(ends, Segment { from, to, seq, ack, flags, ..Segment::default() }))
}

/// Tells whose station is here.
fn station(line: &mut Line, address: &str) {
    let octets = wire::octets(address.parse().unwrap()).try_into().unwrap();
    line.send(&[wire::ether(0, 0x0806, &wire::arp(2, wire::PEER, octets, [10, 64, 0, 2]))]);
}

/// The next packets to `to`, `n` of them.
fn next(line: &mut Line, to: &str, n: usize) -> Vec<Sent> {
    let (mut found, start) = (Vec::new(), std::time::Instant::now());
    while found.len() < n {
        let fresh = line.new_frames();
        found.extend(fresh.into_iter().filter(|s| !s.is_arp() && s.ends().destination.to_string() == to));
        assert!(start.elapsed() < PATIENCE, "{n} packets to {to} expected: {found:x?}");
        line.send(&[]);
        std::thread::sleep(Duration::from_millis(1));
    }
    found
}

/// A client's connection: what it heard of ours.
fn connect(line: &mut Line, port: u16) -> u32 {
    line.send(&[segment(ends(CLIENT, US), port, 2002, (99, 0), SYN)]);
    let ack = wire::be32(next(line, CLIENT, 1)[0].l4(), 4).wrapping_add(1);
    line.send(&[segment(ends(CLIENT, US), port, 2002, (100, ack), ACK)]);
    ack
}

#[test]
fn who_waits_is_served_and_loses_nothing() {
    let scratch = Scratch::new();
    let (mut line, device) = Line::new(&scratch, "net_pcap0");
    let mut settings = settings(&[device]);
    settings.services = Arc::new(services());
    let dataplane = Dataplane::start(settings).unwrap();

    // More clients than first datagrams are kept of: who comes too late is no fault of the server's.
    let clients: Vec<Vec<u8>> = (0..70).map(|n| datagram(3000 + n, 2000, &n.to_be_bytes())).collect();
    line.send(&clients);
    let report = line.report_when(&dataplane, |report| report.proxies[0].sessions == 70);
    assert_eq!((report.proxies[0].datagrams_early, report.servers[0].open), (6, 64));
    assert_eq!((report.servers[0].unreachable, report.servers[0].ejections), (0, 0));
    station(&mut line, SLOW);
    let mut came: Vec<u16> =
        next(&mut line, SLOW, 64).iter().map(|sent| wire::be16(sent.data(), 0)).collect();
    came.sort_unstable();
    assert!(came.into_iter().eq(0..64));

    // One client's first datagram comes in pieces, and in the same burst another's.
    let large = [7; 1600];
    let pieces = wire::cut(
        ends(CLIENT, US),
        wire::UDP,
        &wire::datagram(ends(CLIENT, US), 3100, 2000, &large[..1200]),
        5,
        800,
    );
    let mut burst: Vec<Vec<u8>> = pieces.iter().map(|piece| wire::frame(piece)).collect();
    burst.push(datagram(3101, 2000, b"small"));
    line.send(&burst);
    let sent = next(&mut line, SLOW, 2);
    assert_eq!((sent[0].data(), sent[1].data()), (&large[..1200], &b"small"[..]));

    // A session that finds no room for its second attempt gives its datagram up: nothing is made up for it later.
    line.send(&[datagram(3200, 2001, b"first")]);
    line.report_when(&dataplane, |report| report.servers[1].open == 1);
    line.send(&[datagram(3201, 2001, b"second")]);
    let report = line.report_when(&dataplane, |report| report.servers[1].unreachable == 1);
    let lonely = report.proxies[1];
    assert_eq!((lonely.waiting, lonely.datagrams_early, report.servers[1].open), (0, 2, 0));

    // Connections wait in turn for the one place there is.
    station(&mut line, NARROW);
    let ack = connect(&mut line, 4000);
    let syn = next(&mut line, NARROW, 1).remove(0);
    connect(&mut line, 4001);
    connect(&mut line, 4002);
    let report = line.report_when(&dataplane, |report| report.proxies[2].waiting == 2);
    assert_eq!((report.servers[2].open, report.servers[2].connects), (1, 1));
    line.send(&[segment(ends(CLIENT, US), 4000, 2002, (100, ack), RST | ACK)]);
    let second = next(&mut line, NARROW, 1).remove(0);
    assert_eq!((syn.flags(), second.flags()), (SYN, SYN));
    assert_ne!(syn.ports().0, second.ports().0);
    let report = line.report_when(&dataplane, |report| report.servers[2].connects == 2);
    let narrow = report.proxies[2];
    assert_eq!((narrow.open, narrow.waiting, report.servers[2].open), (2, 1, 1));
    // The first that waited was the first to be served.
    let answer = wire::be32(second.l4(), 4).wrapping_add(1);
    line.send(&[segment(ends(NARROW, US), 8080, second.ports().0, (500, answer), SYN | ACK)]);
    next(&mut line, NARROW, 1);
    line.send(&[segment(ends(NARROW, US), 8080, second.ports().0, (501, answer), RST | ACK)]);
    assert_eq!(next(&mut line, CLIENT, 1)[0].ports().1, 4001);
    assert_eq!(next(&mut line, NARROW, 1)[0].flags(), SYN);

    line.hang_up();
    end(dataplane);
}
