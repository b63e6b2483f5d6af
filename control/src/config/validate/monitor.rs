//! Mirrors and what follows them.
//!
//! Invariant: services with `monitor` name a mirror, and nothing else names one; a mirror has no address.

use super::Checker;
use crate::config::model::{Action, Port, Service};

/// A mirror is nobody's station.
pub(super) fn mirrors(checker: &mut Checker<'_>) {
    for (index, port) in checker.config.ports.iter().enumerate().filter(|(_, port)| port.mirror) {
        let path = format!("ports[{index}]");
        let given = [
            ("addresses", !port.addresses.is_empty()),
            ("any_ip", port.any_ip),
            ("gateway", !port.gateway.is_empty()),
            ("vlans", !port.vlans.is_empty()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let what = format!("nothing is sent on a mirror, so `{key}` is of no use there");
            checker.error(&format!("{path}.{key}"), what, "remove it, or write `mirror: false`");
        }
    }
    held(checker);
}

/// Held segments keep buffers that the ports need.
fn held(checker: &mut Checker<'_>) {
    let (held, mbufs) = (checker.config.monitor.held, checker.config.mempool.mbufs);
    if checker.config.ports.iter().any(|port| port.mirror)
        && held > mbufs / 2
        && checker.usable("monitor.held")
        && checker.usable("mempool.mbufs")
    {
        let what =
            format!("{held} held segments would take more than half of the {mbufs} buffers of a worker");
        checker.error("monitor.held", what, format!("write at most {}, or raise `mempool.mbufs`", mbufs / 2));
    }
}

/// A service and the port it names fit.
pub(super) fn service(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let (at_action, at_ingress) = (format!("{path}.action"), format!("{path}.match.ingress"));
    if !checker.usable(&at_action) || !checker.usable(&at_ingress) || !checker.usable("ports") {
        return;
    }
    let named = |port: &&Port| service.matches.ingress.as_ref() == Some(&port.name);
    let port = checker.config.ports.iter().find(named);
    let mirror = checker.config.ports.iter().find(|port| port.mirror).map(|port| port.name.clone());
    let monitors = service.action == Action::Monitor;
    match port {
        Some(port) if port.mirror && !monitors => {
            let what = format!("`{}` is a mirror: its flows can only be followed", port.name);
            checker.error(&at_ingress, what, "write `action: monitor`, or another port");
        }
        Some(port) if !port.mirror && monitors => {
            let what = format!("`{}` is not a mirror, so nothing on it can be followed", port.name);
            checker.error(
                &at_ingress,
                what,
                "write `mirror: true` at the port, or `observe` at the service that answers",
            );
        }
        None if monitors => match mirror {
            None => checker.error(
                &at_action,
                "`monitor` follows flows on ports that are mirrors, and there is none",
                "write `mirror: true` at the port that gets copies of the traffic",
            ),
            Some(name) if service.matches.ingress.is_none() => checker.error(
                path,
                "`monitor` needs to know which mirror it follows",
                format!("add `ingress: {name}` to `match`"),
            ),
            Some(_) => {}
        },
        _ => {}
    }
}
