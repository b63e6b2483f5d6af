//! Clients beside a SYN flood: what they get at a fixed share of the capacity, without the flood and with it.
//!
//! Invariant: clients ask for the same in all intervals, and the flood takes nothing but the room on the link that they
//! leave.

use super::rate::{MOST, http};
use super::{Bench, Scenario, Try, open, resident, saturate, try_rate, watch};
use crate::daemon::{Daemon, port};
use crate::detail::{Clients, Detail, Flood, Round};
use crate::link::PortLink;
use crate::load::{self, Load, Plan, Tcp};
use crate::report::Row;
use crate::run::{Rig, Times};
use std::io;
use std::time::Duration;

/// The share of the capacity that clients ask for.
const SHARE: f64 = 0.4;
/// How often both are measured, one after the other.
const ROUNDS: usize = 3;
/// Connections a second that leave the appliance to the flood.
const NEXT_TO_NONE: f64 = 1.0;

/// Runs the scenario.
#[allow(clippy::cast_precision_loss)]
pub(super) fn run(bench: &mut Bench<'_>) -> io::Result<Row> {
    let Bench { rig, daemon, table, effort, .. } = bench;
    let hz = rig.hz;
    let mut load = Tcp::new(table, http(Plan::OneShot { most: MOST }).0, hz);
    open(rig, &mut load)?;
    let (top, _) = saturate(rig, daemon, &mut load, effort.times)?;
    let (capacity, rate) = (top.outcome.rate(), top.outcome.rate() * SHARE);
    let before = daemon.settled()?;
    let resident_before = resident(daemon)?;

    let mut load = load::Flood::new(load, port::HTTP);
    let mut filling = 0.0;
    let mut rounds = Vec::new();
    let mut last = None;
    for _ in 0..ROUNDS {
        load.calm(true);
        let quiet = clients(&try_rate(rig, daemon, &mut load, rate, effort.times), hz);
        load.calm(false);
        if rounds.is_empty() {
            filling = fill(rig, daemon, &mut load)?;
        }
        let (sent, filled) = (rig.out.sent, rig.out.filled);
        let (tried, watched) = watch(rig, daemon, &mut load, rate, effort.times)?;
        let seconds = load.lasted() as f64 / hz as f64;
        let seen = watched.grown("port_rx_packets_total") - (rig.out.sent - sent) as f64;
        rounds.push(Round {
            quiet,
            flooded: clients(&tried, hz),
            offered: (rig.out.filled - filled) as f64 / seconds,
            seen: seen / seconds,
            link_full: tried.outcome.held_back,
            server_busy: watched.busy_share(),
            client_busy: tried.outcome.busy,
            resident: resident(daemon)?,
        });
        last = Some((tried, watched));
    }
    let Some((tried, watched)) = last else { return Err(io::Error::other("no flood")) };
    let counts = load.tally().counts;

    // Next to no clients: what is left is the flood's. Clients' TIME-WAIT records take memory, too.
    let (filled, resident_then) = (rig.out.filled, resident(daemon)?);
    let (_, only) = watch(rig, daemon, &mut load, NEXT_TO_NONE, effort.times)?;
    let grown = resident(daemon)?.saturating_sub(resident_then);
    let (syns, seconds) = ((rig.out.filled - filled) as f64, load.lasted() as f64 / hz as f64);
    rig.end(&mut load);

    let mut ratios: Vec<_> = rounds.iter().map(|round| round.flooded.rate / round.quiet.rate).collect();
    ratios.sort_by(f64::total_cmp);
    let mut row = Row::new(Scenario::Flood, tried.outcome.rate(), &tried, &watched, hz);
    row.saturated = capacity;
    row.failures = tried.outcome.failures();
    row.wrong = counts.wrong;
    row.detail = Some(Detail::Flood(Flood {
        capacity,
        share: SHARE,
        ratio: ratios[ROUNDS / 2],
        rounds,
        filling_seconds: filling,
        cycles_per_syn: only.busy() * hz as f64 / syns,
        syns_alone: syns / seconds,
        grown,
        resident: resident_before,
        cookies: only.after.grown_by(&before, "syn_cookies_total"),
        drops: only.after.grown_by(&before, "drops_total"),
        half_open: only.after.of("flows", "half_open"),
    }));
    Ok(row)
}

/// Floods until SYNs are answered by cookies: each of those before took a stack, and some of its pages for the first
/// time. Returns how long that took, in seconds.
#[allow(clippy::cast_precision_loss)]
fn fill(rig: &mut Rig<PortLink>, daemon: &Daemon, load: &mut load::Flood<Tcp<'_>>) -> io::Result<f64> {
    let piece = Duration::from_millis(200);
    let times = Times { warm_up: Duration::ZERO, interval: piece, grace: Duration::ZERO };
    let mut ticks = 0;
    for _ in 0..50 {
        let (_, watched) = watch(rig, daemon, load, NEXT_TO_NONE, times)?;
        ticks += load.lasted();
        if watched.grown("syn_cookies_total") > 0.0 {
            return Ok(ticks as f64 / rig.hz as f64);
        }
    }
    Err(io::Error::other("no SYN was answered by a cookie within 10 s of flood"))
}

#[allow(clippy::cast_precision_loss)]
fn clients(tried: &Try, hz: u64) -> Clients {
    let (outcome, counts) = (&tried.outcome, tried.outcome.counts);
    let at = |quantile| outcome.latency.value_at_quantile(quantile) as f64 * 1e6 / hz as f64;
    Clients {
        rate: outcome.rate(),
        failed: counts.failed,
        resent: counts.resent,
        wrong: counts.wrong,
        p50_us: at(0.5),
        p99_us: at(0.99),
        cpu_lost: tried.server_lost.max(tried.client_lost),
    }
}
