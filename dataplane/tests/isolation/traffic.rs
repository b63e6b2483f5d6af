//! What a worker is given to do while all that is not its own is locked: everything a packet can be, but for what
//! ARCHITECTURE.md lists as written together (see `exceptions` in `main.rs`).

use super::client::Client;
use super::pair::Pair;
use super::support::wire::{self, Ends, FIN, RST, ends, four, six};
use super::support::{CHARGEN, DISCARD, ECHO, WEB, cases};
use std::collections::HashSet;

/// Connections opened, of which some stay.
const CONNECTIONS: u16 = 32;
/// Clients that send datagrams.
const DATAGRAMS: u16 = 60;

/// Every kind of traffic, to worker `me`; returns the local ports of the connections that stay.
pub fn all(pair: &mut Pair, me: usize) -> HashSet<u16> {
    datagrams(pair, me);
    drops(pair, me);
    questions(pair, me);
    let mut connections = open(pair, me);
    talk(pair, me, &mut connections);
    let staying = close(pair, me, connections);
    lose(pair, me, &staying);
    // Long enough for every flow of datagrams to end, for TIME-WAIT, and for HTTP to have waited long enough.
    pair.wait(400);
    (0..4).for_each(|_| drop(pair.turn(me, &[])));
    // Nobody acknowledges its farewell.
    pair.wait(400);
    (0..4).for_each(|_| drop(pair.turn(me, &[])));
    staying.iter().filter(|client| client.to != WEB).map(|client| client.from).collect()
}

/// From clients of one worker: port numbers are never those of the other worker's.
fn client(me: usize, n: u16) -> (Ends, u16) {
    let host = 10 + n % 50;
    let v4 = ends(&format!("10.64.0.{host}"), "10.64.0.2");
    let v6 = ends(&format!("fd00:64::{host:x}"), "fd00:64::2");
    (if n.is_multiple_of(2) { v4 } else { v6 }, 20_000 + 10_000 * me as u16 + n)
}

/// New flows and known ones, answered and not.
fn datagrams(pair: &mut Pair, me: usize) {
    for round in 0..3 {
        let frames = |to, len| -> Vec<Vec<u8>> {
            let one = |n| client(me, n);
            let clients = (0..DATAGRAMS).map(one);
            clients.map(|(ends, from)| wire::frame(&wire::udp(ends, from, to, &vec![round; len]))).collect()
        };
        let echoes = pair.turn(me, &frames(ECHO, 1000));
        assert_eq!(echoes.len(), usize::from(DATAGRAMS));
        assert!(echoes.iter().all(|sent| sent.data() == [round; 1000]));
        assert_eq!(pair.turn(me, &frames(CHARGEN, 40)).len(), usize::from(DATAGRAMS));
        assert_eq!(pair.turn(me, &frames(DISCARD, 40)).len(), 0);
    }
    // In fragments, the last one first.
    for (id, ends) in [(1, four()), (2, six())] {
        let whole = wire::datagram(ends, 19_000 + me as u16, ECHO, &[7; 1400]);
        let mut pieces = wire::cut(ends, wire::UDP, &whole, id, 512);
        pieces.reverse();
        let frames: Vec<_> = pieces.iter().map(|piece| wire::frame(piece)).collect();
        assert_eq!(pair.turn(me, &frames)[0].data(), [7; 1400]);
    }
}

/// Packets that are dropped for every reason that they can be dropped for, but segments of no flow, which go round.
fn drops(pair: &mut Pair, me: usize) {
    for (name, frames) in cases::all() {
        if !["tcp_no_flow", "tcp_rst_no_flow"].contains(&name) {
            pair.turn(me, &frames);
        }
    }
}

/// What is answered without a flow.
fn questions(pair: &mut Pair, me: usize) {
    for ends in [four(), six()] {
        let frames = [4, 500, 1400].map(|len| wire::frame(&wire::ping(ends, &vec![9; len])));
        assert_eq!(pair.turn(me, &frames).len(), 3);
    }
    let unserved = wire::frame(&wire::ip(four(), 47, &[0; 12]));
    assert_eq!(pair.turn(me, &[unserved]).len(), 1, "ICMP says so");
}

fn open(pair: &mut Pair, me: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..CONNECTIONS)
        .map(|n| {
            let (ends, from) = client(me, 1000 + n);
            Client::new(ends, from, if n % 4 < 2 { WEB } else { ECHO })
        })
        .collect();
    exchange(pair, me, &mut clients, Client::syn);
    exchange(pair, me, &mut clients, |client| client.ack());
    clients
}

/// Sends a frame of each client in one go, and gives each what came back.
fn exchange(
    pair: &mut Pair,
    me: usize,
    clients: &mut [Client],
    mut frame: impl FnMut(&mut Client) -> Vec<u8>,
) {
    let frames: Vec<_> = clients.iter_mut().map(&mut frame).collect();
    let sent = pair.turn(me, &frames);
    clients.iter_mut().for_each(|client| client.take(&sent));
}

/// Requests and their answers, acknowledged at once and late; a segment twice, and one out of order.
fn talk(pair: &mut Pair, me: usize, clients: &mut [Client]) {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for round in 1..=4 {
        exchange(pair, me, clients, |c| if c.to == WEB { c.send(request) } else { c.send(&[round; 1400]) });
        if round % 2 == 0 {
            exchange(pair, me, clients, |client| client.ack());
        }
    }
    for client in clients.iter() {
        let whole = if client.to == WEB { 4 } else { 4 * 1400 };
        let came = client.received.windows(6).filter(|w| w == b"hello\n").count();
        assert_eq!(if client.to == WEB { came } else { client.received.len() }, whole);
    }
    let mut again = Vec::new();
    let mut frames: Vec<_> = clients.iter_mut().filter(|client| client.to == ECHO).collect();
    for client in &mut frames {
        let (first, second) = (client.send(&[5; 100]), client.send(&[6; 100]));
        again.extend([second, first.clone(), first]);
    }
    let sent = pair.turn(me, &again);
    for client in frames {
        client.take(&sent);
        assert_eq!(client.received.len(), 4 * 1400 + 200);
    }
    exchange(pair, me, clients, |client| client.ack());
}

/// Ends most connections, some of them abruptly; returns those that stay.
fn close(pair: &mut Pair, me: usize, mut clients: Vec<Client>) -> Vec<Client> {
    let staying = clients.split_off(clients.len() * 3 / 4);
    let mut cut = clients.split_off(clients.len() * 3 / 4);
    exchange(pair, me, &mut cut, |client| client.end(RST));
    exchange(pair, me, &mut clients, |client| client.end(FIN));
    assert!(clients.iter().all(|client| client.ended));
    exchange(pair, me, &mut clients, |client| client.ack());
    staying
}

/// An echo is lost: its timer sends it again, and an acknowledgement after that ends it.
fn lose(pair: &mut Pair, me: usize, clients: &[Client]) {
    let (ends, from) = client(me, 2000);
    let mut lossy = Client::new(ends, from, ECHO);
    assert!(!clients.iter().any(|client| client.from == from));
    exchange(pair, me, std::slice::from_mut(&mut lossy), Client::syn);
    exchange(pair, me, std::slice::from_mut(&mut lossy), |client| client.ack());
    let lost = pair.turn(me, &[lossy.send(&[8; 300])]);
    assert_eq!(lost.iter().map(|sent| sent.data().len()).sum::<usize>(), 300);
    pair.wait(5);
    let again = pair.turn(me, &[]);
    lossy.take(&again);
    assert_eq!(lossy.received, [8; 300], "sent again");
    exchange(pair, me, std::slice::from_mut(&mut lossy), |client| client.end(FIN));
    exchange(pair, me, std::slice::from_mut(&mut lossy), |client| client.ack());
}
