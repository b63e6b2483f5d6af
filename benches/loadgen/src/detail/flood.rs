//! What the flood scenario says.
//!
//! Invariant: each flood stands beside the time without one just before it, which saw the same machine.

use super::{list, mib};
use crate::report::{percent, short};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// New connections, with and without a SYN flood beside them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Flood {
    /// New connections a second that Millrace takes with nothing else to do.
    pub(crate) capacity: f64,
    /// The share of that which clients ask for.
    pub(crate) share: f64,
    pub(crate) rounds: Vec<Round>,
    /// How long the flood took to fill the queue of half-open connections, until SYNs were answered by cookies.
    pub(crate) filling_seconds: f64,
    /// The clients' rate with the flood by that without: the median of the rounds.
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

/// A time without a flood and one with it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Round {
    pub(crate) quiet: Clients,
    pub(crate) flooded: Clients,
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

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, capacity) = (percent(self.share), short(self.capacity));
        writeln!(f, "flood: clients ask for {share} of the {capacity} connections/s that Millrace takes")?;
        writeln!(
            f,
            "  {:<8} {:>9} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>6} {:>6} {:>9}",
            "",
            "clients/s",
            "failed",
            "resent",
            "wrong",
            "p50 us",
            "p99 us",
            "cpu lost",
            "SYNs/s",
            "seen/s",
            "link full",
            "server",
            "client",
            "resident"
        )?;
        for Round { quiet, flooded, offered, seen, link_full, server_busy, client_busy, resident } in
            &self.rounds
        {
            quiet.line(f, "quiet")?;
            writeln!(f)?;
            flooded.line(f, "flooded")?;
            writeln!(
                f,
                " {:>9} {:>9} {:>9} {:>6} {:>6} {:>9}",
                short(*offered),
                short(*seen),
                percent(*link_full),
                percent(*server_busy),
                percent(*client_busy),
                mib(*resident)
            )?;
        }
        writeln!(f, "  clients keep {} of their rate, median (required: 90% at least)", percent(self.ratio))?;
        writeln!(f, "  cookies after {:.2} s of flood", self.filling_seconds)?;
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

impl Clients {
    fn line(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let Self { rate, failed, resent, wrong, p50_us, p99_us, cpu_lost } = self;
        let (rate, lost) = (short(*rate), percent(*cpu_lost));
        write!(
            f,
            "  {name:<8} {rate:>9} {failed:>6} {resent:>6} {wrong:>5} {p50_us:>8.1} {p99_us:>8.1} {lost:>8}"
        )
    }
}
