//! Clients against servers, with nothing but other addresses between them: also over a link that loses packets and with
//! requests that are wrong.

use super::{Counts, Play, Servers, Shortcut};
use crate::link::Link;
use crate::load::tests::{Lossy, run_on};
use crate::load::{Datagrams, Plan, Script, Table, Tcp};
use crate::outbox::Outbox;
use crate::run::Rig;
use crate::wire;
use dpdk_ffi::clock::tsc_hz;
use dpdk_ffi::mempool::Mempool;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
const CLOSING: Plan = Plan::OneShot { most: 64 };
const KEPT: Plan = Plan::KeepAlive { connections: 16 };
const BULK: Plan = Plan::Download { connections: 4 };

fn servers(pool: &Mempool, play: &Play) -> Shortcut {
    Shortcut::new(Servers::new(pool.clone(), play, tsc_hz()), 81)
}

fn http(request: &[u8], closes: bool) -> Play {
    Play::Http { port: 80, request: request.to_vec(), answer: ANSWER.to_vec(), closes }
}

fn rig<L: Link>(pool: &Mempool, link: L) -> Rig<L> {
    Rig { link, out: Outbox::new(pool.clone()), hz: tsc_hz() }
}

/// Nothing that an appliance without faults would cause.
fn assert_clean(counts: &Counts) {
    assert_eq!((counts.wrong, counts.stray, counts.clashes), (0, 0, 0), "{counts:?}");
}

/// Called from the one test that starts DPDK.
pub(crate) fn servers_behind_a_shortcut(pool: &Mempool, table: &mut Table) {
    let hz = tsc_hz();
    for (plan, closes) in [(CLOSING, true), (KEPT, false)] {
        let mut rig = rig(pool, servers(pool, &http(b"GET", closes)));
        let mut load = Tcp::new(table, Script::new(81, plan, b"GET", ANSWER), hz);
        let client = run_on(&mut rig, &mut load, 20_000.0, 50);
        let server = rig.link.counts();
        assert!(client.done >= 200 && client.done == client.begun, "{plan:?} {client:?}");
        assert_eq!((client.failed, client.wrong, client.stray), (0, 0, 0), "{plan:?} {client:?}");
        assert_clean(&server);
        assert!(server.served == client.done && server.repeated <= client.resent, "{plan:?} {server:?}");
        let taken: u64 = server.taken.iter().sum();
        assert_eq!(taken, if closes { client.done } else { 16 });
        assert_eq!(server.reset, if closes { 0 } else { 16 }, "the kept ones are reset at the end");
        drop(rig);
    }

    // Whatever is lost on the way is said again, by whoever it was lost to.
    for (plan, closes) in [(CLOSING, true), (KEPT, false)] {
        let inner = servers(pool, &http(b"GET", closes));
        let mut rig = rig(pool, Lossy { inner, every: 23, seen: 0 });
        let mut load = Tcp::new(table, Script::new(81, plan, b"GET", ANSWER), hz);
        let client = run_on(&mut rig, &mut load, 1000.0, 50);
        assert!(client.resent > 0 && client.done == client.begun, "{plan:?} {client:?}");
        assert_eq!((client.failed, client.wrong), (0, 0), "{plan:?} {client:?}");
        assert_eq!(rig.link.inner.counts().wrong, 0);
    }

    // A request that is not the one.
    let mut wrong = rig(pool, servers(pool, &http(b"GOT", true)));
    let mut load = Tcp::new(table, Script::new(81, CLOSING, b"GET", ANSWER), hz);
    let client = run_on(&mut wrong, &mut load, 1000.0, 20);
    let server = wrong.link.counts();
    assert!(client.done == 0 && client.failed > 0 && server.wrong == client.failed, "{client:?} {server:?}");
    drop(wrong);
    in_pieces(pool);

    let script = || Script::new(81, BULK, b"", b"");
    let play = Play::Endless { port: 19, pattern: script().answer, period: script().period };
    let mut whole = rig(pool, servers(pool, &play));
    let client = run_on(&mut whole, &mut Tcp::new(table, script(), hz), f64::INFINITY, 50);
    assert!(client.bytes > 2_000_000 && client.wrong == 0 && client.failed == 0, "{client:?}");
    assert_clean(&whole.link.counts());
    assert_eq!((whole.link.counts().taken.iter().sum::<u64>(), whole.link.counts().reset), (4, 4));
    drop(whole);

    // What is lost of it is sent again from there on.
    let mut lossy = rig(pool, Lossy { inner: servers(pool, &play), every: 997, seen: 0 });
    let client = run_on(&mut lossy, &mut Tcp::new(table, script(), hz), f64::INFINITY, 700);
    assert!(client.bytes > 500_000 && client.wrong == 0 && client.failed == 0, "{client:?}");
    assert!(lossy.link.inner.counts().repeated > 3, "{:?}", lossy.link.inner.counts());
    drop(lossy);

    let mut echo = rig(pool, servers(pool, &Play::Echo { port: 7 }));
    let client = run_on(&mut echo, &mut Datagrams::new(83, true, hz), 20_000.0, 50);
    assert!(client.done >= 200 && client.done == client.begun && client.stray == 0, "{client:?}");
    assert_eq!(echo.link.counts().taken.iter().sum::<u64>(), client.done);
    assert_clean(&echo.link.counts());
}

/// A request may come in any number of segments, and many in one.
fn in_pieces(pool: &Mempool) {
    let mut rig = rig(pool, servers(pool, &http(b"GEGEGE", false)));
    let mut out = Outbox::new(pool.clone());
    let script = Script::new(81, KEPT, b"GE", ANSWER);
    let two = Script::new(81, KEPT, b"GEGEGEGEGEGEGE", ANSWER);
    out.segment(&script.syn, 9, 100, 0);
    let mut answers = Vec::new();
    let mut ack = 0;
    let mut seq = 101;
    for n in 0..6 {
        out.flush(&mut rig.link);
        rig.link.pump(0);
        let mut burst = crate::link::Burst::new();
        rig.link.receive(&mut burst);
        for mbuf in &burst {
            let Some(wire::Packet::Tcp(segment)) = wire::parse(mbuf.data(), true) else { panic!("{n}") };
            assert_eq!((segment.slot, segment.ack), (9, seq));
            ack = segment.seq.wrapping_add(segment.length());
            answers.push(segment.payload.to_vec());
        }
        let (template, length) = if n < 3 { (&script.data, 2) } else { (&two.data, 14) };
        if n < 5 {
            out.segment(template, 9, seq, ack);
            seq += length;
        }
    }
    // The SYN-ACK, two ACKs, the first answer; two requests and a third of one; the same and two thirds.
    let expected: [&[u8]; 8] = [b"", b"", b"", ANSWER, ANSWER, ANSWER, ANSWER, ANSWER];
    assert_eq!(answers, expected);
    assert_eq!((rig.link.counts().served, rig.link.counts().wrong), (5, 0));
}
