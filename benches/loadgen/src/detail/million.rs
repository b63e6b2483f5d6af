//! What the scenario of a million sleepers says.
//!
//! Invariant: costs stand side by side, without the sleepers and with them.

use super::{list, mib};
use crate::report::{percent, short};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A million connections that sleep.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Million {
    pub(crate) connections: u32,
    /// Stacks the appliance may have at a time.
    pub(crate) live: u32,
    pub(crate) asleep: f64,
    pub(crate) opening_seconds: f64,
    /// From the first SYN until all slept.
    pub(crate) asleep_after_seconds: f64,
    /// Resident memory after start, and with all asleep.
    pub(crate) resident_start: u64,
    pub(crate) resident_end: u64,
    /// What of the difference is stacks and their buffers, whose number is fixed.
    pub(crate) stacks: u64,
    pub(crate) bytes_each: f64,
    /// What others cost without and with them.
    pub(crate) without: Cost,
    pub(crate) with: Cost,
    /// Requests of random ones: asked, answered right, answered wrong, not answered, sent again.
    pub(crate) asked: u64,
    pub(crate) right: u64,
    pub(crate) wrong: u64,
    pub(crate) lost: u64,
    pub(crate) resent: u64,
    /// Connections that woke for them.
    pub(crate) woken: f64,
    /// Growth of `millrace_drops_total` by reason.
    pub(crate) drops_opening: BTreeMap<String, f64>,
    pub(crate) drops_speaking: BTreeMap<String, f64>,
}

/// What the loop costs, in ticks.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// A turn that finds nothing.
    pub(crate) turn: f64,
    /// A request on one of a few connections that are kept busy.
    pub(crate) request: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) cpu_lost: f64,
}

impl fmt::Display for Million {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "million: {} connections opened in {:.1} s, {} asleep after {:.1} s; limits.live {}",
            self.connections, self.opening_seconds, self.asleep, self.asleep_after_seconds, self.live
        )?;
        writeln!(
            f,
            "  resident: {} after start, {} with all asleep, {} of it stacks: {:.0} bytes each without them \
             (required: 200 at most)",
            mib(self.resident_start),
            mib(self.resident_end),
            mib(self.stacks),
            self.bytes_each
        )?;
        writeln!(
            f,
            "  random ones speak: {} requests, {} right, {} wrong, {} lost, {} sent again, {:.0} woken (required: all right)",
            self.asked, self.right, self.wrong, self.lost, self.resent, self.woken
        )?;
        let (without, with) = (&self.without, &self.with);
        let change = |a: f64, b: f64| format!("{:+.1}%", (b / a - 1.0) * 100.0);
        writeln!(
            f,
            "  cycles of an idle turn: {:.0} without them, {:.0} with them, {} (required: +10% at most)",
            without.turn,
            with.turn,
            change(without.turn, with.turn)
        )?;
        writeln!(
            f,
            "  cycles of a request of others: {:.0} without them, {:.0} with them, {} (required: +10% at most)",
            without.request,
            with.request,
            change(without.request, with.request)
        )?;
        writeln!(
            f,
            "  requests/s of others: {} without them ({} cpu lost), {} with them ({} cpu lost)",
            short(without.requests_per_second),
            percent(without.cpu_lost),
            short(with.requests_per_second),
            percent(with.cpu_lost)
        )?;
        writeln!(
            f,
            "  drops: {} while opening, {} while they spoke",
            list(&self.drops_opening),
            list(&self.drops_speaking)
        )
    }
}
