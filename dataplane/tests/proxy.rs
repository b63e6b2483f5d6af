//! A proxied connection, segment by segment: the test is client and server on one link.
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
use support::{Line, Scratch, addr, end, rule, settings};

const CLIENT: &str = "10.64.0.9";
const US: &str = "10.64.0.2";
/// Of two servers only this one answers.
const SERVER: &str = "10.64.0.20";
const DEAD: &str = "10.64.0.21";

fn spec() -> ProxySpec {
    ProxySpec {
        target: Target::Upstream(0),
        source: Source::Own(Arc::new([])),
        egress: None,
        send_header: SendHeader::V1,
        accept_header: false,
        wait_for_upstream: false,
        connect_timeout: Duration::from_secs(5),
        retries: 1,
        maximum: None,
        queue: 10,
        queue_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
    }
}

fn services() -> Services {
    let changes = Arc::new(Changes::default());
    let member = |name: &str| Member { name: name.into(), weight: 1, maximum: None };
    let server = |number, address| ServerSpec {
        number,
        endpoint: Endpoint { address: addr(address), port: 8080 },
        status: Arc::new(ServerStatus::new(Arc::clone(&changes))),
    };
    let name = |server: &str| ServerName { upstream: "web".into(), server: server.into() };
    let roster = Roster::new(vec![member("a"), member("b")], Choice::RoundRobin, [1; 16]).unwrap();
    Services {
        version: 1,
        policy: Policy::new(vec![rule(0, Some(wire::TCP), 80, Action::Proxy { hold: false })]),
        services: vec![Service {
            name: "web".into(),
            application: None,
            proxy: Some(Arc::new(spec())),
            observe: Level::None,
        }],
        upstreams: Upstreams {
            groups: vec![Upstream {
                name: "web".into(),
                roster: Arc::new(roster),
                // In turn: the first session tries the dead one first.
                servers: vec![server(0, DEAD), server(1, SERVER)],
                health: None,
                eject: None,
            }],
            servers: vec![name("a"), name("b")],
            changes: Arc::clone(&changes),
        },
    }
}

struct Client<'a> {
    line: &'a mut Line,
    port: u16,
}

impl Client<'_> {
    fn say(&mut self, seq: u32, ack: u32, flags: u8, data: &[u8]) {
        let segment = Segment { from: self.port, to: 80, seq, ack, flags, data, ..Segment::default() };
        self.line.send(&[wire::frame(&wire::tcp(ends(CLIENT, US), segment))]);
    }
}

fn from_server(from: &str, to: u16, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let segment = Segment { from: 8080, to, seq, ack, flags, data, ..Segment::default() };
    wire::frame(&wire::tcp(ends(from, US), segment))
}

/// The next segment sent to `to`; questions for stations are answered on the way.
fn next(line: &mut Line, to: &str) -> Sent {
    let mut found = None;
    line_until(line, |sent| {
        if found.is_none() && !sent.is_arp() && sent.ends().destination.to_string() == to {
            found = Some(sent.clone());
        }
        found.is_some()
    });
    found.unwrap()
}

fn line_until(line: &mut Line, mut done: impl FnMut(&Sent) -> bool) {
    let start = std::time::Instant::now();
    loop {
        for sent in line.new_frames() {
            if sent.is_arp() && sent.packet[7] == 1 && !support::is_announcement(&sent) {
                let target: [u8; 4] = sent.packet[24..28].try_into().unwrap();
                let reply = wire::arp(2, wire::PEER, target, [10, 64, 0, 2]);
                line.send(&[wire::ether(0, 0x0806, &reply)]);
            }
            if done(&sent) {
                return;
            }
        }
        assert!(start.elapsed() < support::PATIENCE, "it does not come");
        line.send(&[]);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_connection_goes_through_to_the_server_that_answers() {
    let scratch = Scratch::new();
    let (mut line, device) = Line::new(&scratch, "net_pcap0");
    let mut settings = settings(&[device]);
    settings.services = Arc::new(services());
    let dataplane = Dataplane::start(settings).unwrap();

    // Stations of servers are asked for ahead of time.
    let mut asked = 0;
    line_until(&mut line, |sent| {
        asked += u32::from(sent.is_arp() && [20, 21].contains(&sent.packet[27]));
        asked == 2
    });
    line.report_when(&dataplane, |_| true);

    let mut client = Client { line: &mut line, port: 4000 };
    client.say(99, 0, SYN, &[]);
    let syn_ack = next(client.line, CLIENT);
    let ack = wire::be32(syn_ack.l4(), 4).wrapping_add(1);
    assert_eq!(syn_ack.flags(), SYN | ACK);
    client.say(100, ack, ACK, b"question");

    // The first server refuses; the same bytes go to the second.
    let syn = next(client.line, DEAD);
    assert_eq!((syn.flags(), syn.ends().source.to_string()), (SYN, US.to_owned()));
    let seq = wire::be32(syn.l4(), 4).wrapping_add(1);
    line.send(&[from_server(DEAD, syn.ports().0, 0, seq, RST | ACK, &[])]);
    let syn = next(&mut line, SERVER);
    assert_eq!(syn.flags(), SYN);
    let (port, seq) = (syn.ports().0, wire::be32(syn.l4(), 4).wrapping_add(1));
    line.send(&[from_server(SERVER, port, 500, seq, SYN | ACK, &[])]);
    let passed = next(&mut line, SERVER);
    let expected = b"PROXY TCP4 10.64.0.9 10.64.0.2 4000 80\r\nquestion";
    assert_eq!((passed.data(), wire::be32(passed.l4(), 8)), (&expected[..], 501));
    let seq = seq.wrapping_add(expected.len() as u32);

    // Its answer and its end reach the client.
    line.send(&[from_server(SERVER, port, 501, seq, ACK | FIN, b"answer")]);
    let mut came = Vec::new();
    let mut flags = 0;
    line_until(&mut line, |sent| {
        if !sent.is_arp() && sent.ends().destination.to_string() == CLIENT {
            came.extend_from_slice(sent.data());
            flags |= sent.flags();
        }
        flags & FIN != 0
    });
    assert_eq!(came, b"answer");
    // The client's own end reaches the server.
    let mut client = Client { line: &mut line, port: 4000 };
    client.say(108, ack.wrapping_add(7), ACK | FIN, &[]);
    line_until(client.line, |sent| {
        !sent.is_arp() && sent.ends().destination.to_string() == SERVER && sent.flags() & FIN != 0
    });
    line.send(&[from_server(SERVER, port, 508, seq.wrapping_add(1), ACK, &[])]);

    let report = line.report_when(&dataplane, |report| report.proxies[0].open == 0);
    let (service, servers) = (report.proxies[0], &report.servers);
    assert_eq!((service.sessions, service.established, service.retries), (1, 1, 1));
    assert_eq!((service.bytes_up, service.bytes_down), (8, 6));
    assert_eq!((servers[0].connects, servers[0].refused, servers[0].open), (1, 1, 0));
    assert_eq!((servers[1].connects, servers[1].established, servers[1].open), (1, 1, 0));
    assert_eq!((servers[1].bytes_up, servers[1].bytes_down), (8, 6));
    assert_eq!(
        (report.gauges.sessions, report.counters.legs_apart, report.counters.stray_answers),
        (0, 0, 0)
    );

    // A client that resets takes the server's leg with it.
    let mut client = Client { line: &mut line, port: 4001 };
    client.say(99, 0, SYN, &[]);
    let ack = wire::be32(next(client.line, CLIENT).l4(), 4).wrapping_add(1);
    client.say(100, ack, ACK, &[]);
    let syn = next(client.line, SERVER);
    let (port, seq) = (syn.ports().0, wire::be32(syn.l4(), 4).wrapping_add(1));
    client.line.send(&[from_server(SERVER, port, 900, seq, SYN | ACK, &[])]);
    next(client.line, SERVER);
    client.say(100, ack, RST | ACK, &[]);
    assert_eq!(next(client.line, SERVER).flags() & RST, RST);
    line.report_when(&dataplane, |report| report.proxies[0].open == 0 && report.servers[1].open == 0);

    line.hang_up();
    end(dataplane);
}
