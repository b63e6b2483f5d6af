//! Slow peers: readers that hardly take what waits for them, senders that do not come to an end, and those that only
//! look like it.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, FLOOD, LEAVING, MANUAL, TAKING, pattern};
use common::wire::{ACK, FIN, Got, RST, SYN, got, seg};
use common::{World, builder};
use core::time::Duration;
use l3l4::{Builder, CloseReason, FlowId};
use smoltcp::wire::IpAddress;

const SECOND: u64 = 1_000_000;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets `micros` pass in the engine alone, woken when it asks; what it sent.
fn pass(world: &mut World, micros: u64) -> Vec<Got> {
    let end = world.now + micros;
    let mut sent = vec![];
    loop {
        let next = world.turn();
        sent.extend(world.app.take_out().iter().map(|packet| got(packet)));
        match next {
            Some(at) if at.micros() <= end => world.now = at.micros().max(world.now + 1),
            _ => break,
        }
    }
    world.now = end;
    sent
}

/// A client, by hand, of one connection.
struct Client {
    world: World,
    id: FlowId,
    port: u16,
    /// Next number of ours and of the client's.
    ours: u32,
    theirs: u32,
    /// Highest number sent, plus one.
    sent: u32,
    /// What its application has read, where it reads by [`Client::read`].
    read: u32,
    reset: bool,
}

/// Bytes of the client's receive buffer.
const ROOM: u32 = 2000;

impl Client {
    fn new(builder: Builder, port: u16) -> Self {
        Self::with(World::new(builder), port)
    }

    fn with(mut world: World, port: u16) -> Self {
        // An MSS of 500.
        let syn = seg(port, SYN, 1000, 0).options(&[2, 4, 1, 0xf4]).window(ROOM as u16);
        let ours = got(&world.exchange(syn.build())[0]).seq.wrapping_add(1);
        let id = FlowId::default();
        let mut client = Self { world, id, port, ours, theirs: 1001, sent: ours, read: ours, reset: false };
        client.say(b"", ROOM as u16);
        client.id = client.world.app.last_id();
        client
    }

    fn note(&mut self, sent: &[Got]) {
        for segment in sent {
            let end = segment.seq.wrapping_add(segment.data.len() as u32);
            if end.wrapping_sub(self.sent) as i32 > 0 {
                self.sent = end;
            }
            self.reset |= segment.flags & RST != 0;
        }
    }

    fn pass(&mut self, micros: u64) -> Vec<Got> {
        let sent = pass(&mut self.world, micros);
        self.note(&sent);
        sent
    }

    /// Says something, and acknowledges all that was sent up to `ours`.
    fn say(&mut self, data: &[u8], window: u16) -> Vec<Got> {
        let packet = seg(self.port, ACK, self.theirs, self.ours).window(window).data(data).build();
        self.theirs = self.theirs.wrapping_add(data.len() as u32);
        let out: Vec<_> = self.world.exchange(packet).iter().map(|packet| got(packet)).collect();
        self.note(&out);
        out
    }

    /// Acknowledges all that came, of which its application reads up to `len` bytes.
    fn read(&mut self, len: u32) {
        self.read = self.read.wrapping_add(len.min(self.ours.wrapping_sub(self.read)));
        loop {
            // A probe may lie beyond.
            let held = self.sent.wrapping_sub(self.read).min(ROOM);
            let ours = self.read.wrapping_add(held);
            let more = ours != self.ours;
            self.ours = ours;
            self.say(b"", (ROOM - held) as u16);
            if !more {
                break;
            }
        }
    }

    /// Acknowledges up to `len` bytes of what was sent.
    fn take(&mut self, len: u32, window: u16) {
        self.ours = self.ours.wrapping_add(len.min(self.sent.wrapping_sub(self.ours)));
        self.say(b"", window);
    }

    fn reason(&self) -> Option<CloseReason> {
        self.world.app.reason(self.id)
    }
}

/// Seconds until the connection ended, of at most `limit`, while each second `act` is done.
fn until_closed(client: &mut Client, limit: u64, mut act: impl FnMut(&mut Client, u64)) -> Option<u64> {
    for second in 0..limit {
        client.pass(SECOND);
        if client.reason().is_some() {
            return Some(second);
        }
        act(client, second);
    }
    None
}

fn flood(builder: Builder) -> Client {
    let mut world = World::new(builder);
    world.app.flood = 1 << 20;
    Client::with(world, FLOOD)
}

#[test]
fn a_window_that_stays_closed() {
    for direct in [true, false] {
        let mut client = flood(builder().direct(direct));
        client.pass(1000);
        let end = until_closed(&mut client, 300, |client, _| client.read(0));
        assert!(end.is_some_and(|end| (60..=65).contains(&end)), "direct {direct}: {end:?}");
        assert_eq!((client.reason(), client.reset), (Some(CloseReason::SlowReader), true));
        assert_eq!(client.world.engine.counters().closed[CloseReason::SlowReader as usize], 1);
    }
}

/// It answers nothing but probes, which come ever more seldom.
#[test]
fn a_window_that_stays_closed_and_only_probes_are_answered() {
    let mut client = Client::new(builder(), MANUAL);
    client.world.engine.l4_tx(client.id, &[7; 300]).unwrap();
    client.pass(0);
    client.take(300, 0);
    client.world.engine.l4_tx(client.id, &[7; 300]).unwrap();
    let start = client.world.now;
    while client.reason().is_none() {
        if !client.pass(SECOND / 10).is_empty() && client.reason().is_none() {
            client.say(b"", 0);
        }
        assert!(client.world.now < start + 180 * SECOND);
    }
    assert_eq!(client.reason(), Some(CloseReason::SlowReader));
    assert!(client.world.now > start + 60 * SECOND);
}

#[test]
fn a_trickle_is_too_little_and_a_rill_is_enough() {
    for direct in [true, false] {
        for (every, bytes, slow) in [
            (1, 10, true),
            (1, 20, false),
            (10, 100, true),
            (10, 200, false),
            (55, 1100, false),
            (70, 1100, true),
        ] {
            let mut client = flood(builder().direct(direct));
            client.pass(1000);
            let end = until_closed(&mut client, 600, |client, second| {
                let bytes = if second.is_multiple_of(every) { bytes } else { 0 };
                client.read(bytes);
            });
            let what = format!("direct {direct}, {bytes} bytes every {every} s: {end:?}");
            if slow {
                assert_eq!(client.reason(), Some(CloseReason::SlowReader), "{what}");
                assert!(end.is_some_and(|end| end >= 59), "{what}");
            } else {
                assert_eq!(client.reason(), None, "{what}");
            }
        }
    }
}

#[test]
fn bounds_can_be_set() {
    let quick = || builder().tcp_slow_reader_timeout(Some(secs(2)));
    let mut client = flood(quick().tcp_slow_reader_bytes(100));
    assert_eq!(until_closed(&mut client, 60, |client, _| client.read(60)), None);
    assert!(until_closed(&mut client, 60, |client, _| client.read(40)).is_some_and(|end| end <= 4));
    let mut client = flood(builder().tcp_slow_reader_timeout(None));
    assert_eq!(until_closed(&mut client, 3600, |client, _| client.read(0)), None);
}

/// It has room and does not acknowledge, as if all were lost: it has the user timeout's time.
#[test]
fn a_reader_that_lies() {
    for direct in [true, false] {
        let mut client = flood(builder().direct(direct));
        client.pass(1000);
        let end = until_closed(&mut client, 300, |client, _| client.take(1, 2000));
        assert!(end.is_some_and(|end| (120..=125).contains(&end)), "direct {direct}: {end:?}");
        assert_eq!(client.reason(), Some(CloseReason::SlowReader));
    }
}

/// The same of a connection that has no stack: its answer is short, and the peer takes a byte now and then.
#[test]
fn a_direct_connection_that_is_hardly_read() {
    for (bytes, slow) in [(1, true), (200, false)] {
        let mut client = Client::new(builder(), ECHO);
        for _ in 0..12 {
            client.say(&[7; 250], 65_535);
        }
        let end = until_closed(&mut client, 200, |client, second| {
            if second.is_multiple_of(5) {
                client.take(bytes, 65_535);
            }
        });
        assert_eq!(client.world.engine.counters().tcp_woken, 0, "no stack was needed");
        if slow {
            assert!(end.is_some_and(|end| (120..=130).contains(&end)), "{end:?}");
            assert_eq!((client.reason(), client.reset), (Some(CloseReason::SlowReader), true));
        } else {
            assert_eq!((end, client.reason(), client.ours), (None, None, client.sent), "all taken");
        }
    }
}

/// Each question acknowledges the answer before, and nothing else does: something waits all the time.
#[test]
fn small_answers_that_never_pause() {
    for direct in [true, false] {
        let mut client = Client::new(builder().direct(direct), ECHO);
        client.say(b"?", 65_535);
        for _ in 0..100 {
            client.pass(9 * SECOND);
            client.ours = client.sent;
            client.say(b"?", 65_535);
        }
        assert_eq!((client.reason(), client.world.state(client.id)), (None, "ESTABLISHED"));
    }
}

/// Silence is the user timeout's: RFC 9293 section 3.8.3 gives a peer more time than this.
#[test]
fn silence_is_no_slowness() {
    for (direct, port) in [(true, ECHO), (false, ECHO), (true, FLOOD), (false, FLOOD)] {
        let quiet = |client: &mut Client| {
            client.say(&[7; 100], 65_535);
            client.pass(100 * SECOND);
            assert_eq!(client.reason(), None);
        };
        let start = || {
            let mut world = World::new(builder().direct(direct));
            world.app.flood = 100_000;
            Client::with(world, port)
        };
        let mut client = start();
        quiet(&mut client);
        client.pass(21 * SECOND);
        assert_eq!(client.reason(), Some(CloseReason::UserTimeout), "direct {direct}, port {port}");
        // It comes back and goes on.
        let mut client = start();
        quiet(&mut client);
        let end = until_closed(&mut client, 200, |client, _| client.take(500, 65_535));
        assert!(end.is_none() || client.reason() == Some(CloseReason::Finished), "{:?}", client.reason());
    }
}

/// Over a whole link, with a client that is a TCP of its own.
#[test]
fn a_long_download_at_two_kilobytes_a_second_and_one_that_stops() {
    let mut world = World::new(builder());
    world.app.flood = 500_000;
    let handle = world.connect_with(IpAddress::v4(10, 0, 0, 2), FLOOD, 4096);
    let mut read = vec![];
    while read.len() < world.app.flood {
        assert!(world.now < 600 * SECOND, "{} read", read.len());
        world.pass(SECOND);
        let mut part = vec![0; 2048];
        let len = world.socket(handle).recv_slice(&mut part).unwrap_or(0);
        read.extend_from_slice(&part[..len]);
    }
    assert!(read.iter().enumerate().all(|(at, &byte)| byte == pattern(at)));
    assert!(world.now > 240 * SECOND, "slow enough");
    world.socket(handle).close();
    world.run(secs(60), "closed", |w| w.app.closed.len() == 1);
    assert_eq!(world.app.closed[0].1, CloseReason::Finished);
    let handle = world.connect_with(IpAddress::v4(10, 0, 0, 2), FLOOD, 4096);
    world.run(secs(180), "given up", |w| w.app.closed.len() == 2);
    assert_eq!(world.app.closed[1].1, CloseReason::SlowReader);
    world.run(secs(10), "reset", |w| !w.socket(handle).is_open());
}

/// The first byte of a message sets the time; what trickles in afterwards does not move it.
#[test]
fn a_message_that_does_not_come_to_an_end() {
    for port in [LEAVING, TAKING] {
        for direct in [true, false] {
            for polite in [true, false] {
                let mut client = Client::new(builder().direct(direct), port);
                client.world.app.polite = polite;
                client.pass(30 * SECOND);
                client.say(b"a", 65_535);
                let what = format!("port {port}, direct {direct}, polite {polite}");
                let mut sent = vec![];
                for _ in 0..4 {
                    sent.extend(client.pass(5 * SECOND / 2 - 5000));
                    assert!(client.world.app.late.is_empty(), "{what}");
                    client.say(b"b", 65_535);
                }
                sent.extend(client.pass(30_000));
                assert_eq!(client.world.app.late, [client.id], "{what}");
                if polite {
                    let last = sent.last().unwrap();
                    assert_eq!((&last.data[..], last.flags & FIN), (&b"late\n"[..], FIN), "{what}");
                    client.ours = last.seq + 6;
                    client.world.exchange(seg(port, FIN | ACK, client.theirs, client.ours).build());
                    client.pass(SECOND);
                    assert!(client.reason().is_none_or(|reason| reason == CloseReason::Finished), "{what}");
                } else {
                    assert_eq!(
                        (client.reason(), client.reset),
                        (Some(CloseReason::SlowSender), true),
                        "{what}"
                    );
                    assert_eq!(client.world.engine.flow_count(), 0);
                }
                client.pass(100 * SECOND);
                assert_eq!(client.world.app.late.len(), 1, "{what}");
            }
        }
    }
}

#[test]
fn a_message_that_ends_in_time_is_forgotten() {
    for port in [LEAVING, TAKING] {
        for direct in [true, false] {
            let mut client = Client::new(builder().direct(direct), port);
            for _ in 0..3 {
                client.say(b"a", 65_535);
                client.pass(9 * SECOND);
                assert!(client.say(b"\n", 65_535).iter().any(|segment| segment.data == b"ok\n"));
                client.take(3, 65_535);
                client.pass(60 * SECOND);
            }
            assert!(client.world.app.late.is_empty(), "port {port}, direct {direct}");
            assert_eq!(client.world.engine.asleep_count(), 1);
        }
    }
}

/// What it has taken waits in the application, so the connection may sleep; its time is kept.
#[test]
fn a_deadline_is_kept_asleep() {
    let mut client = Client::new(builder().direct(false).tcp_sleep_after(Some(secs(1))), TAKING);
    client.pass(5 * SECOND);
    client.say(b"half", 65_535);
    client.pass(5 * SECOND);
    assert_eq!(client.world.engine.asleep_count(), 1);
    client.pass(4 * SECOND);
    assert!(client.world.app.late.is_empty());
    client.pass(SECOND + 10_000);
    assert_eq!(client.reason(), Some(CloseReason::SlowSender));
}

/// Nothing is kept of a connection that says nothing, and keepalives say nothing.
#[test]
fn silence_between_messages() {
    for direct in [true, false] {
        for sleep in [None, Some(secs(1)), Some(secs(100))] {
            let mut world = World::new(builder().direct(direct).tcp_sleep_after(sleep));
            (world.app.patience, world.app.polite) = (Some(secs(20)), true);
            let mut client = Client::with(world, LEAVING);
            let what = format!("direct {direct}, sleep {sleep:?}");
            for _ in 0..3 {
                client.pass(19 * SECOND);
                client.say(b"?\n", 65_535);
                client.take(3, 65_535);
            }
            let keepalive = seg(LEAVING, ACK, client.theirs - 1, client.ours).build();
            for _ in 0..2 {
                client.pass(9 * SECOND);
                assert_eq!(client.world.exchange(keepalive.clone()).len(), 1);
            }
            assert!(client.world.app.late.is_empty(), "{what}");
            // Its time began with the last segment before it was looked at.
            let sent = client.pass(2 * SECOND + SECOND / 2);
            assert_eq!(client.world.app.late, [client.id], "{what}");
            assert_eq!(sent.last().map(|segment| segment.flags & (FIN | RST)), Some(FIN), "{what}");
        }
    }
}

/// Longer than a peer that acknowledges nothing has: the farewell is sent all the same, and waited for.
#[test]
fn a_farewell_after_a_long_silence() {
    for direct in [true, false] {
        let mut world = World::new(builder().direct(direct).tcp_user_timeout(secs(30)));
        (world.app.patience, world.app.polite) = (Some(secs(300)), true);
        let mut client = Client::with(world, LEAVING);
        client.say(b"?\n", 65_535);
        client.take(3, 65_535);
        let sent = client.pass(302 * SECOND);
        assert_eq!(sent.last().map(|segment| segment.flags & (FIN | RST)), Some(FIN), "direct {direct}");
        assert_eq!(client.reason(), None);
        client.pass(40 * SECOND);
        assert_eq!(client.reason(), Some(CloseReason::UserTimeout), "nobody acknowledged it");
    }
}

/// Nothing was filed for the handshake of one that was opened by a cookie.
#[test]
fn silence_after_a_cookie() {
    for direct in [true, false] {
        for sleep in [None, Some(secs(5))] {
            let cookies = l3l4::SynCookies::Always;
            let mut world = World::new(builder().direct(direct).tcp_sleep_after(sleep).syn_cookies(cookies));
            (world.app.patience, world.app.polite) = (Some(secs(2)), true);
            let mut client = Client::with(world, LEAVING);
            let sent = client.pass(3 * SECOND);
            let what = format!("direct {direct}, sleep {sleep:?}");
            assert_eq!(sent.last().map(|segment| segment.flags & (FIN | RST)), Some(FIN), "{what}");
        }
    }
}

#[test]
fn a_later_connection_inherits_no_deadline() {
    for direct in [true, false] {
        let mut client = Client::new(builder().direct(direct), TAKING);
        client.say(b"half", 65_535);
        client.world.exchange(seg(TAKING, RST, client.theirs, 0).build());
        assert_eq!(client.reason(), Some(CloseReason::PeerReset));
        client.world.app.waiting.clear();
        let mut client = Client::with(client.world, TAKING);
        assert_eq!(client.id.index(), client.world.app.opened[0].0.index(), "the same place");
        client.pass(100 * SECOND);
        assert_eq!((client.reason(), client.world.app.late.len()), (None, 0));
    }
}

/// From outside of a callback: counted from the last turn.
#[test]
fn a_deadline_from_outside() {
    let mut client = Client::new(builder(), MANUAL);
    client.world.app.patience = Some(secs(1000));
    client.pass(7 * SECOND);
    let set = |client: &mut Client, after| {
        client.world.turn();
        client.world.engine.with_conn(client.id, |conn| conn.set_deadline(after)).unwrap();
    };
    set(&mut client, Some(secs(5)));
    client.pass(4 * SECOND);
    set(&mut client, None);
    client.pass(10 * SECOND);
    set(&mut client, Some(secs(5)));
    client.pass(4 * SECOND + 900_000);
    assert_eq!(client.reason(), None);
    client.pass(110_000);
    assert_eq!((client.reason(), client.reset), (Some(CloseReason::SlowSender), true));
}
