//! Through the proxy: the generator is the client on one link and the servers on the other.
//!
//! Invariant: what the clients do, and what they get, is what it is in the scenario without a proxy, so both can be
//! compared; the servers verify what arrives there.

use super::rate::{Against, KEPT, MOST, talk};
use super::{Bench, Effort, Scenario, bulk};
use crate::daemon::{Daemon, port};
use crate::detail::{Detail, Proxy};
use crate::link::{Across, Link};
use crate::load::{Datagrams, Load, Plan, Script, Table, Tcp};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::report::Row;
use crate::run::Rig;
use crate::upstream::{Play, SERVERS, Servers, Shortcut};
use dpdk_ffi::clock::tsc;
use dpdk_ffi::mempool::Mempool;
use std::io;
use std::time::Duration;

/// Operations a second, and how many of them in a row have to be done, before anything is measured: the appliance has to
/// learn where its servers are.
const FIRST: f64 = 200.0;
const IN_A_ROW: u64 = 4 * SERVERS as u64;

/// Runs a scenario of the proxy.
pub(super) fn run(bench: &mut Bench<'_>, scenario: Scenario) -> io::Result<Row> {
    let Bench { rig, back, daemon, table, pool, effort } = bench;
    let Some(back) = back else { return Err(io::Error::other("there is no link to the upstream side")) };
    let (hz, before) = (rig.hz, daemon.settled()?);
    let (play, to) = play(scenario);
    let servers = || Servers::new(pool.clone(), &play, hz);
    let link = Across { front: &mut rig.link, back, servers: servers() };
    let mut rig = Rig { link, out: Outbox::new(pool.clone()), hz };
    let mut through = Through { rig: &mut rig, daemon, table, pool, effort: *effort, scenario };
    let shortcut = Shortcut::new(servers(), to);
    let mut row = match scenario {
        Scenario::ProxyConnections => through.http(Plan::OneShot { most: MOST }, shortcut),
        Scenario::ProxyRequests => through.http(Plan::KeepAlive { connections: KEPT }, shortcut),
        Scenario::ProxyUdp => through.echo(shortcut),
        _ => through.bulk(),
    }?;
    let servers = rig.link.servers.counts();
    let drops = daemon.settled()?.grown_by(&before, "drops_total");
    row.wrong += servers.wrong + servers.clashes;
    row.detail = Some(Detail::Proxy(Proxy { scenario: scenario.name(), servers, drops }));
    Ok(row)
}

/// What the servers do, and the port that clients connect to.
fn play(scenario: Scenario) -> (Play, u16) {
    match scenario {
        Scenario::ProxyUdp => (Play::Echo { port: port::ECHO }, port::PROXY_ECHO),
        Scenario::ProxySend => {
            let Script { answer, period, .. } = endless();
            (Play::Endless { port: port::CHARGEN, pattern: answer, period }, port::PROXY_BULK)
        }
        _ => {
            let closes = scenario == Scenario::ProxyConnections;
            let plan =
                if closes { Plan::OneShot { most: MOST } } else { Plan::KeepAlive { connections: KEPT } };
            let (request, answer) = talk(plan);
            let play = Play::Http { port: port::HTTP, request: request.to_vec(), answer, closes };
            (play, port::PROXY_HTTP)
        }
    }
}

fn endless() -> Script {
    Script::new(port::PROXY_BULK, Plan::Download { connections: bulk::CONNECTIONS }, b"", b"")
}

struct Through<'a, 'l> {
    rig: &'a mut Rig<Across<'l>>,
    daemon: &'a Daemon,
    table: &'a mut Table,
    pool: &'a Mempool,
    effort: Effort,
    scenario: Scenario,
}

impl Through<'_, '_> {
    fn http(&mut self, plan: Plan, shortcut: Shortcut) -> io::Result<Row> {
        let hz = self.rig.hz;
        let script = |plan| {
            let (request, answer) = talk(plan);
            Script::new(port::PROXY_HTTP, plan, request, &answer)
        };
        if let Plan::OneShot { .. } = plan {
            served(self.rig, &mut Tcp::new(self.table, script(plan), hz))?;
        } else {
            // The servers keep connections open here, and so does whoever asks first.
            served(
                self.rig,
                &mut Tcp::new(self.table, script(Plan::KeepAlive { connections: SERVERS }), hz),
            )?;
        }
        let Self { rig, daemon, table, pool, effort, scenario } = self;
        let mut against = Against { rig, daemon, pool, effort: *effort, scenario: *scenario };
        let alone = against.alone(&mut Tcp::new(table, script(plan), hz), shortcut)?;
        against.millrace(&mut Tcp::new(table, script(plan), hz), alone)
    }

    fn echo(&mut self, shortcut: Shortcut) -> io::Result<Row> {
        let load = || Datagrams::new(port::PROXY_ECHO, true, self.rig.hz);
        let (mut first, mut alone, mut load) = (load(), load(), load());
        served(self.rig, &mut first)?;
        let Self { rig, daemon, pool, effort, scenario, .. } = self;
        let mut against = Against { rig, daemon, pool, effort: *effort, scenario: *scenario };
        let alone = against.alone(&mut alone, shortcut)?;
        against.millrace(&mut load, alone)
    }

    fn bulk(&mut self) -> io::Result<Row> {
        let Self { rig, daemon, table, effort, scenario, .. } = self;
        let mut load = Tcp::new(table, endless(), rig.hz);
        bulk::measured(rig, daemon, &mut load, effort.times, *scenario)
    }
}

/// Asks now and then until several operations in a row were done.
fn served(rig: &mut Rig<impl Link>, load: &mut impl Load) -> io::Result<()> {
    let mut failed = (0, 0);
    load.set_pace(Some(Pace::new(tsc(), FIRST, rig.hz)));
    let done = rig.until(load, Duration::from_secs(10), |load| {
        let counts = load.tally().counts;
        if counts.failed + counts.stray > failed.0 {
            failed = (counts.failed + counts.stray, counts.done);
        }
        counts.done - failed.1 >= IN_A_ROW
    });
    load.set_pace(None);
    rig.drain(load);
    rig.end(load);
    if done {
        return Ok(());
    }
    Err(io::Error::other(format!("nothing came through the proxy within 10 s: {:?}", load.tally().counts)))
}
