//! A million connections that did one request each and sleep: what they cost in memory, whether any of them, when it
//! speaks, is answered right, and what they cost the others.
//!
//! Invariant: memory is read first before the appliance has done anything but start and answer one datagram, so every
//! byte it touches later counts against the connections, but for the stacks, whose number is fixed: see [`stacks`].

use super::rate::http;
use super::{Bench, LIVE_OF_MILLION, Scenario, Try, Watched, open, resident, saturate};
use crate::daemon::Daemon;
use crate::detail::{Cost, Detail, Million};
use crate::link::PortLink;
use crate::load::{Load, Plan, Table, Tcp};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::procfs;
use crate::report::Row;
use crate::run::{Rig, Times};
use crate::tally::Counts;
use std::io;
use std::time::{Duration, Instant};

/// Connections of the load that is compared with and without the crowd.
const OTHERS: u32 = 256;
/// How often it is measured; the one that counts is the one that lost the least CPU time to others.
const SAMPLES: usize = 5;
/// How many of the crowd speak in the end, in percent.
const SPEAKERS: u32 = 10;

/// Runs the scenario.
#[allow(clippy::cast_precision_loss)]
pub(super) fn run(bench: &mut Bench<'_>) -> io::Result<Row> {
    let Bench { rig, daemon, table, effort, .. } = bench;
    let (crowd, times, hz) = (effort.crowd, effort.times, rig.hz);
    let start = resident(daemon)?;
    let stacks = stacks(rig, daemon, crowd)?;
    let mut others = Table::starting_at(crowd);
    let (without, _) = cost(rig, daemon, &mut others, times)?;

    let mut load = Tcp::new(table, http(Plan::Crowd { connections: crowd }).0, hz);
    let before = daemon.settled()?;
    let began = Instant::now();
    rig.until(&mut load, Duration::from_secs(120), |load| load.ready() && load.outstanding() == 0);
    let opening = began.elapsed().as_secs_f64();
    let all = u64::from(crowd);
    served(load.tally().counts, all)?;
    let asleep = wait_for_sleep(rig, daemon, &mut load, crowd)?;
    let opened = daemon.settled()?;
    let (end, slept) = (resident(daemon)?, began.elapsed().as_secs_f64());

    let (with, (top, watched)) = cost(rig, daemon, &mut others, times)?;

    let (speakers, earlier) = (u64::from(crowd / 100 * SPEAKERS), load.tally().counts);
    load.draw(speakers as usize);
    load.set_pace(Some(Pace::new(0, f64::INFINITY, hz)));
    rig.until(&mut load, Duration::from_secs(30), |load| load.tally().counts.done >= all + speakers);
    load.set_pace(None);
    rig.drain(&mut load);
    let spoke = load.tally().counts - earlier;
    let after = daemon.settled()?;
    rig.end(&mut load);

    let each = end.saturating_sub(start + stacks) as f64 / f64::from(crowd);
    let mut row = Row::new(Scenario::Million, each, &top, &watched, hz);
    row.wrong = earlier.wrong + spoke.wrong;
    row.failures = (earlier.failed + spoke.failed) as f64 / earlier.begun as f64;
    row.detail = Some(Detail::Million(Million {
        connections: crowd,
        live: LIVE_OF_MILLION,
        asleep,
        opening_seconds: opening,
        asleep_after_seconds: slept,
        resident_start: start,
        resident_end: end,
        stacks,
        bytes_each: each,
        without,
        with,
        asked: spoke.begun,
        right: spoke.done,
        wrong: spoke.wrong,
        lost: spoke.begun - spoke.done,
        resent: spoke.resent,
        woken: after.grown(&opened, "tcp_woken_total"),
        drops_opening: opened.grown_by(&before, "drops_total"),
        drops_speaking: after.grown_by(&opened, "drops_total"),
    }));
    Ok(row)
}

/// What all stacks and their buffers take in memory. The same connections are opened twice: a few at a time, so that
/// their places in the flow table have been used, then all together, one for each stack. The difference is the stacks'.
fn stacks(rig: &mut Rig<PortLink>, daemon: &Daemon, first: u32) -> io::Result<u64> {
    const FEW: u32 = LIVE_OF_MILLION / 32;
    let mut open = |table: &mut Table, connections| {
        let mut load = Tcp::new(table, http(Plan::Crowd { connections }).0, rig.hz);
        rig.until(&mut load, Duration::from_secs(5), |load| load.ready() && load.outstanding() == 0);
        served(load.tally().counts, u64::from(connections))?;
        let resident = resident(daemon)?;
        rig.end(&mut load);
        io::Result::Ok(resident)
    };
    let (mut table, mut before) = (Table::starting_at(first), 0);
    for _ in 0..LIVE_OF_MILLION / FEW {
        before = open(&mut table, FEW)?;
    }
    let after = open(&mut Table::starting_at(first), LIVE_OF_MILLION)?;
    Ok(after.saturating_sub(before))
}

fn served(counts: Counts, all: u64) -> io::Result<()> {
    if counts.failed == 0 && counts.done == all {
        return Ok(());
    }
    Err(io::Error::other(format!("not all of {all} connections opened and were served: {counts:?}")))
}

/// Waits until everybody sleeps; returns how many do.
fn wait_for_sleep(
    rig: &mut Rig<PortLink>,
    daemon: &Daemon,
    load: &mut impl Load,
    crowd: u32,
) -> io::Result<f64> {
    let mut asleep = 0.0;
    for _ in 0..40 {
        rig.until(load, Duration::from_millis(280), |_| false);
        asleep = daemon.settled()?.of("flows", "asleep");
        if asleep >= f64::from(crowd) {
            return Ok(asleep);
        }
    }
    Err(io::Error::other(format!("only {asleep} of {crowd} connections fell asleep within 20 s")))
}

/// What a turn that finds nothing costs, and a request on a few connections that are kept busy.
fn cost(
    rig: &mut Rig<PortLink>,
    daemon: &Daemon,
    table: &mut Table,
    times: Times,
) -> io::Result<(Cost, (Try, Watched))> {
    let mut load = Tcp::new(table, http(Plan::KeepAlive { connections: OTHERS }).0, rig.hz);
    open(rig, &mut load)?;
    let mut best: Option<(f64, (Try, Watched))> = None;
    for _ in 0..SAMPLES {
        let (top, watched) = saturate(rig, daemon, &mut load, times)?;
        let cycles = watched.busy() * rig.hz as f64 / watched.grown("service_http_requests_total");
        if best.as_ref().is_none_or(|(_, (least, _))| top.server_lost < least.server_lost) {
            best = Some((cycles, (top, watched)));
        }
    }
    rig.end(&mut load);
    let Some((request, seen)) = best else { return Err(io::Error::other("nothing was measured")) };
    let mut idle = (f64::INFINITY, 0.0);
    for _ in 0..SAMPLES {
        let sample = idle_turn(daemon, rig.hz)?;
        idle = if sample.0 < idle.0 { sample } else { idle };
    }
    let cpu_lost = seen.0.server_lost.max(seen.0.client_lost);
    Ok((Cost { turn: idle.1, request, requests_per_second: seen.0.outcome.rate(), cpu_lost }, seen))
}

/// The share of CPU time lost, and ticks of a turn of the loop when nothing comes.
fn idle_turn(daemon: &Daemon, hz: u64) -> io::Result<(f64, f64)> {
    let worker = || procfs::thread_named(daemon.pid(), super::WORKER).unwrap_or_default();
    let spent = |a: &Metrics, b: &Metrics| {
        b.grown(a, "worker_idle_seconds_total") + b.grown(a, "worker_busy_seconds_total")
    };
    let (before, scheduled) = (daemon.settled()?, worker());
    let after = daemon.settled()?;
    let lost = worker().lost_since(scheduled);
    let turns = after.grown(&before, "worker_turns_total").max(1.0);
    Ok((lost, spent(&before, &after) * (1.0 - lost) * hz as f64 / turns))
}
