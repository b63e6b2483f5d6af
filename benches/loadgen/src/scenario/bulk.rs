//! Bulk: one direction at a time, full segments, a few connections.
//!
//! Invariant: a byte counts when it arrived in order and was right (Millrace sends) or was acknowledged (it receives).

use super::{Bench, Scenario, open, saturate};
use crate::daemon::{Daemon, port};
use crate::link::Link;
use crate::load::{Load, Plan, Script, Tcp};
use crate::report::Row;
use crate::run::{Rig, Times};
use std::io;

pub(super) const CONNECTIONS: u32 = 8;

/// Runs a bulk scenario.
pub(super) fn run(bench: &mut Bench<'_>, scenario: Scenario) -> io::Result<Row> {
    let (plan, to) = match scenario {
        Scenario::Send => (Plan::Download { connections: CONNECTIONS }, port::CHARGEN),
        _ => (Plan::Upload { connections: CONNECTIONS }, port::DISCARD),
    };
    let Bench { rig, daemon, table, effort, .. } = bench;
    let mut load = Tcp::new(table, Script::new(to, plan, b"", b""), rig.hz);
    measured(rig, daemon, &mut load, effort.times, scenario)
}

/// Opens the connections of a load and lets them do what they can.
pub(super) fn measured(
    rig: &mut Rig<impl Link>,
    daemon: &Daemon,
    load: &mut impl Load,
    times: Times,
    scenario: Scenario,
) -> io::Result<Row> {
    open(rig, load)?;
    let (top, watched) = saturate(rig, daemon, load, times)?;
    let counts = load.tally().counts;
    rig.end(load);
    #[allow(clippy::cast_precision_loss)]
    let gbps = top.outcome.counts.bytes as f64 * 8.0 / top.outcome.seconds / 1e9;
    let mut row = Row::new(scenario, gbps, &top, &watched, rig.hz);
    row.saturated = gbps;
    row.failures = top.outcome.failures();
    row.wrong = counts.wrong;
    Ok(row)
}
