//! Scenarios with a rate: the highest one held, what it costs, and the latency below it.
//!
//! Invariant: a rate counts as held when fewer than one in a thousand operations failed, were late at the end or had to
//! be sent again.

use super::{Bench, Effort, Scenario, Try, open, saturate, try_rate};
use crate::daemon::{BODY, Daemon, port};
use crate::link::Link;
use crate::load::{Datagrams, Load, Plan, Script, Table, Tcp};
use crate::outbox::Outbox;
use crate::reflector::Reflector;
use crate::report::{Latency, Row};
use crate::run::{Rig, Times};
use crate::search::Search;
use dpdk_ffi::mempool::Mempool;
use std::io;
use std::time::Duration;

/// Connections of the requests scenario.
pub(super) const KEPT: u32 = 256;
/// New connections that may be under way at a time.
pub(super) const MOST: u32 = 8192;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 10.64.0.1\r\nUser-Agent: millrace-load\r\nAccept: */*\r\n\r\n";
const LAST_REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 10.64.0.1\r\nUser-Agent: millrace-load\r\nAccept: */*\r\nConnection: close\r\n\r\n";

/// The script of HTTP requests for the service in `daemon`, and its answer.
pub(super) fn http(plan: Plan) -> (Script, Vec<u8>) {
    let (request, answer) = talk(plan);
    (Script::new(port::HTTP, plan, request, &answer), answer)
}

/// Request and answer.
pub(super) fn talk(plan: Plan) -> (&'static [u8], Vec<u8>) {
    let (request, last) = match plan {
        Plan::OneShot { .. } => (LAST_REQUEST, "Connection: close\r\n"),
        _ => (REQUEST, ""),
    };
    let length = BODY.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{last}\r\n{BODY}");
    (request, answer.into_bytes())
}

/// Runs a scenario with a rate.
pub(super) fn run(bench: &mut Bench<'_>, scenario: Scenario) -> io::Result<Row> {
    let hz = bench.rig.hz;
    let Bench { rig, daemon, table, pool, effort, .. } = bench;
    let mut against = Against { rig, daemon, pool, effort: *effort, scenario };
    match scenario {
        Scenario::Connections => against.tcp(table, Plan::OneShot { most: MOST }),
        Scenario::Requests => against.tcp(table, Plan::KeepAlive { connections: KEPT }),
        Scenario::UdpEcho => {
            let alone = against.alone(&mut Datagrams::new(port::ECHO, true, hz), Reflector::echo())?;
            against.millrace(&mut Datagrams::new(port::ECHO, true, hz), alone)
        }
        _ => {
            let alone = against.alone(&mut Datagrams::new(port::NOBODY, false, hz), Reflector::mute())?;
            against.millrace(&mut Datagrams::new(port::NOBODY, false, hz), alone)
        }
    }
}

/// A scenario with a rate, on a link.
pub(super) struct Against<'a, L> {
    pub(super) rig: &'a mut Rig<L>,
    pub(super) daemon: &'a Daemon,
    pub(super) pool: &'a Mempool,
    pub(super) effort: Effort,
    pub(super) scenario: Scenario,
}

impl<L: Link> Against<'_, L> {
    fn tcp(&mut self, table: &mut Table, plan: Plan) -> io::Result<Row> {
        let hz = self.rig.hz;
        let (script, answer) = http(plan);
        let closes = matches!(plan, Plan::OneShot { .. });
        let alone = self.alone(&mut Tcp::new(table, script, hz), Reflector::http(&answer, closes))?;
        self.millrace(&mut Tcp::new(table, http(plan).0, hz), alone)
    }

    /// The generator's own limit: the same load on a reflector in its own loop.
    pub(super) fn alone(&self, load: &mut impl Load, reflector: impl Link) -> io::Result<f64> {
        let mut rig = Rig { link: reflector, out: Outbox::new(self.pool.clone()), hz: self.rig.hz };
        open(&mut rig, load)?;
        let (warm_up, interval) = (Duration::from_millis(50), Duration::from_millis(150));
        let outcome = rig.measure(load, f64::INFINITY, Times { warm_up, interval, grace: Duration::ZERO });
        rig.end(load);
        let counts = load.tally().counts;
        if counts.wrong > 0 || counts.done == 0 {
            return Err(io::Error::other(format!("the generator does not understand itself: {counts:?}")));
        }
        Ok(outcome.rate())
    }

    /// The load on Millrace.
    pub(super) fn millrace(&mut self, load: &mut impl Load, alone: f64) -> io::Result<Row> {
        let Self { rig, daemon, effort, scenario, .. } = self;
        open(rig, load)?;
        let (top, watched) = saturate(rig, daemon, load, effort.times)?;
        let mut search = Search::new(top.outcome.rate() * 0.7, 1.2, effort.precision, effort.questions);
        let mut best: Option<Try> = None;
        while let Some(rate) = search.next() {
            let found = (0..effort.attempts).find_map(|_| {
                let tried = try_rate(rig, daemon, load, rate, effort.times);
                tried.outcome.held().then_some(tried)
            });
            search.answer(found.is_some());
            best = found.or(best);
        }
        let held = search.held();
        let mut latency = Vec::new();
        if *scenario != Scenario::Drops && held > 0.0 {
            for share in [0.5, 0.8] {
                let tried = try_rate(rig, daemon, load, held * share, effort.times);
                latency.push(Latency::new(share, &tried.outcome, rig.hz));
            }
        }
        let counts = load.tally().counts;
        rig.end(load);
        let mut row = Row::new(*scenario, held, &top, &watched, rig.hz);
        row.saturated = top.outcome.rate();
        row.failures = best.map_or(1.0, |best| best.outcome.failures());
        row.alone = Some(alone);
        row.latency = latency;
        row.wrong = counts.wrong;
        Ok(row)
    }
}
