//! What the proxy's scenarios say: how the servers behind it fared.
//!
//! Invariant: what only a faulty appliance causes has a number of its own, and that is printed, zero or not.

use super::list;
use crate::report::{percent, short};
use crate::upstream::Counts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The servers' side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Proxy {
    #[serde(skip)]
    pub(crate) scenario: &'static str,
    pub(crate) servers: Counts,
    /// Growth of `millrace_drops_total` by reason over the whole scenario.
    pub(crate) drops: BTreeMap<String, f64>,
}

#[allow(clippy::cast_precision_loss)]
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, servers, drops } = self;
        let total = servers.taken.iter().sum::<u64>().max(1) as f64;
        let share = |taken: Option<&u64>| percent(*taken.unwrap_or(&0) as f64 / total);
        let (least, most) = (share(servers.taken.iter().min()), share(servers.taken.iter().max()));
        writeln!(
            f,
            "{scenario}: servers took {} (each {least} to {most}), answered {}; wrong {}, clashes {}, stray {}, again {}, reset {}",
            short(total),
            short(servers.served as f64),
            servers.wrong,
            servers.clashes,
            servers.stray,
            servers.repeated,
            servers.reset,
        )?;
        writeln!(f, "{scenario}: drops: {}", list(drops))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_printed_also_when_there_are_none() {
        let mut servers = Counts { served: 70_000, clashes: 3, ..Counts::default() };
        servers.taken = [10, 10, 10, 10, 10, 10, 20, 20];
        let drops = BTreeMap::from([("no_service".to_owned(), 2.0)]);
        let text = Proxy { scenario: "proxy-x", servers, drops }.to_string();
        let expected = "proxy-x: servers took 100 (each 10% to 20%), answered 70.0 k; wrong 0, clashes 3, stray 0, again 0, \
                        reset 0\nproxy-x: drops: no_service 2\n";
        assert_eq!(text, expected);
    }
}
