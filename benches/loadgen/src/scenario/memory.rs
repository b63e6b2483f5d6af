//! Memory of an established connection: many are opened, each does one request, and the daemon's growth is divided.
//!
//! Invariant: the connections are all open, and idle, when memory is read.

use super::{Bench, Scenario, open, resident, saturate};
use crate::load::{Load, Plan, Tcp};
use crate::pace::Pace;
use crate::report::Row;
use std::io;
use std::time::Duration;

/// Runs the memory scenario.
pub(super) fn run(bench: &mut Bench<'_>) -> io::Result<Row> {
    let Bench { rig, daemon, table, effort, .. } = bench;
    let before = resident(daemon)?;
    let flows = effort.flows;
    let mut load = Tcp::new(table, super::rate::http(Plan::KeepAlive { connections: flows }).0, rig.hz);
    open(rig, &mut load)?;
    let (top, watched) = saturate(rig, daemon, &mut load, effort.times)?;
    // Requests go to the connection that has been idle longest, so this many reach each.
    load.set_pace(Some(Pace::new(0, f64::INFINITY, rig.hz)));
    rig.until(&mut load, Duration::from_secs(3), |load| load.tally().counts.done >= u64::from(flows));
    load.set_pace(None);
    rig.drain(&mut load);
    // ACKs that were put off, and what the daemon does when nothing happens.
    rig.until(&mut load, Duration::from_millis(100), |_| false);
    let after = resident(daemon)?;
    let counts = load.tally().counts;
    if counts.failed > 0 || counts.done < u64::from(flows) {
        return Err(io::Error::other(format!("not all of {flows} connections were served: {counts:?}")));
    }
    rig.end(&mut load);
    #[allow(clippy::cast_precision_loss)]
    let each = after.saturating_sub(before) as f64 / f64::from(flows);
    let mut row = Row::new(Scenario::Memory, each, &top, &watched, rig.hz);
    row.saturated = each;
    Ok(row)
}
