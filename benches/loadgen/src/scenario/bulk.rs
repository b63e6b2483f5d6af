//! Bulk: one direction at a time, full segments, a few connections.
//!
//! Invariant: a byte counts when it arrived in order and was right (Millrace sends) or was acknowledged (it receives).

use super::{Bench, Scenario, open, saturate};
use crate::daemon::port;
use crate::load::{Load, Plan, Script, Tcp};
use crate::report::Row;
use std::io;

const CONNECTIONS: u32 = 8;

/// Runs a bulk scenario.
pub(super) fn run(bench: &mut Bench<'_>, scenario: Scenario) -> io::Result<Row> {
    let (plan, to) = match scenario {
        Scenario::Send => (Plan::Download { connections: CONNECTIONS }, port::CHARGEN),
        _ => (Plan::Upload { connections: CONNECTIONS }, port::DISCARD),
    };
    let Bench { rig, daemon, table, effort, .. } = bench;
    let mut load = Tcp::new(table, Script::new(to, plan, b"", b""), rig.hz);
    open(rig, &mut load)?;
    let (top, watched) = saturate(rig, daemon, &mut load, effort.times)?;
    let counts = load.tally().counts;
    rig.end(&mut load);
    #[allow(clippy::cast_precision_loss)]
    let gbps = top.outcome.counts.bytes as f64 * 8.0 / top.outcome.seconds / 1e9;
    let mut row = Row::new(scenario, gbps, &top, &watched, rig.hz);
    row.saturated = gbps;
    row.failures = top.outcome.failures();
    row.wrong = counts.wrong;
    Ok(row)
}
