//! What single scenarios say beyond their row: numbers for programs, lines for people.
//!
//! Invariant: every requirement is printed beside the number it is about, met or not.

use crate::report::{percent, short};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Beyond the row.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Detail {
    Flood(Flood),
    Million(Million),
}

/// New connections, with and without a SYN flood beside them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Flood {
    /// New connections a second that Millrace takes with nothing else to do.
    pub(crate) capacity: f64,
    /// The share of that which clients ask for.
    pub(crate) share: f64,
    /// What they get of it: without a flood, then with it, one time after the other.
    pub(crate) alone: Clients,
    pub(crate) flooded: Vec<Flooded>,
    /// Their rate in the worst of these by their rate without.
    pub(crate) ratio: f64,
    /// Time the worker spends on a SYN of the flood when there is nothing else, in ticks.
    pub(crate) cycles_per_syn: f64,
    /// SYNs a second then.
    pub(crate) syns_alone: f64,
    /// What resident memory grew by meanwhile, in bytes.
    pub(crate) grown: u64,
    /// Resident memory before the first flood.
    pub(crate) resident: u64,
    /// Growth of `millrace_syn_cookies_total` over the floods, by event.
    pub(crate) cookies: BTreeMap<String, f64>,
    /// Growth of `millrace_drops_total` by reason.
    pub(crate) drops: BTreeMap<String, f64>,
    /// `millrace_flows` of kind `half_open` at the end.
    pub(crate) half_open: f64,
}

/// How clients fared.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Clients {
    pub(crate) rate: f64,
    pub(crate) failed: u64,
    pub(crate) resent: u64,
    pub(crate) wrong: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Share of CPU time that either side wanted and did not get.
    pub(crate) cpu_lost: f64,
}

/// A time with a flood.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Flooded {
    pub(crate) clients: Clients,
    /// SYNs a second that the link took.
    pub(crate) offered: f64,
    /// SYNs a second that Millrace received.
    pub(crate) seen: f64,
    /// Share of the generator's turns in which the link was full: it could have sent more.
    pub(crate) link_full: f64,
    pub(crate) server_busy: f64,
    pub(crate) client_busy: f64,
    /// Resident memory at the end.
    pub(crate) resident: u64,
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flood(flood) => flood.fmt(f),
            Self::Million(million) => million.fmt(f),
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "flood: clients ask for {} of the {} connections/s that Millrace takes with nothing else to do",
            percent(self.share),
            short(self.capacity)
        )?;
        writeln!(
            f,
            "  {:<10} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>10} {:>10} {:>9} {:>7} {:>7} {:>8} {:>9}",
            "",
            "clients/s",
            "failed",
            "resent",
            "wrong",
            "p50 us",
            "p99 us",
            "SYNs/s",
            "seen/s",
            "link full",
            "server",
            "client",
            "cpu lost",
            "resident"
        )?;
        let clients = |name: &str, c: &Clients| {
            format!(
                "  {name:<10} {:>9} {:>7} {:>7} {:>7} {:>9.1} {:>9.1}",
                short(c.rate),
                c.failed,
                c.resent,
                c.wrong,
                c.p50_us,
                c.p99_us
            )
        };
        let dashes = format!("{:>10} {:>10} {:>9} {:>7} {:>7}", "-", "-", "-", "-", "-");
        let (lost, resident) = (percent(self.alone.cpu_lost), mib(self.resident));
        writeln!(f, "{} {dashes} {lost:>8} {resident:>9}", clients("no flood", &self.alone))?;
        for (n, flooded) in self.flooded.iter().enumerate() {
            writeln!(
                f,
                "{} {:>10} {:>10} {:>9} {:>7} {:>7} {:>8} {:>9}",
                clients(&format!("flood {}", n + 1), &flooded.clients),
                short(flooded.offered),
                short(flooded.seen),
                percent(flooded.link_full),
                percent(flooded.server_busy),
                percent(flooded.client_busy),
                percent(flooded.clients.cpu_lost),
                mib(flooded.resident)
            )?;
        }
        writeln!(f, "  clients keep {} of their rate (required: 90% at least)", percent(self.ratio))?;
        writeln!(
            f,
            "  without clients: {} SYNs/s, {:.0} cycles each, memory grew by {} (required: nothing)",
            short(self.syns_alone),
            self.cycles_per_syn,
            mib(self.grown)
        )?;
        writeln!(f, "  SYN cookies: {}; half open: {:.0}", list(&self.cookies), self.half_open)?;
        writeln!(f, "  drops: {}", list(&self.drops))
    }
}

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
            "  resident: {} after start, {} with all asleep: {:.0} bytes each (required: 200 at most)",
            mib(self.resident_start),
            mib(self.resident_end),
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

/// Names and numbers in a line.
fn list(map: &BTreeMap<String, f64>) -> String {
    let each: Vec<_> = map.iter().map(|(name, n)| format!("{name} {n:.0}")).collect();
    if each.is_empty() { "none".into() } else { each.join(", ") }
}

#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
