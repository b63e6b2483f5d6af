//! Services: names, references to ports, actions with their applications, rules nothing can reach.
//!
//! Invariant: a rule is called unreachable only if one earlier rule alone takes everything it could match.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Checker, http, monitor, ports, proxy};
use crate::config::decoder::nearest;
use crate::config::model::{Action, Application, Match, Protocol, Service};
use crate::config::{PortRange, Prefix};

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut names = BTreeMap::new();
    let services = &checker.config.services;
    for (index, service) in services.iter().enumerate() {
        let path = format!("services[{index}]");
        ports::name(checker, &path, &service.name, &mut names);
        ingress(checker, &path, service);
        vlan(checker, &path, service);
        action(checker, &path, service);
        families(checker, &path, service);
        mapped(checker, &path, service);
        shadowed(checker, &path, index);
    }
    if services.is_empty() && checker.usable("services") {
        checker.warn(
            "services",
            "there is no service, so no flow is answered",
            "add one, for example `- {name: echo, match: {port: 7}, action: terminate, application: echo}`",
        );
    }
}

fn ingress(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let at = format!("{path}.match.ingress");
    let Some(ingress) = service.matches.ingress.as_deref().filter(|_| checker.usable(&at)) else {
        return;
    };
    let names: Vec<&str> = checker.config.ports.iter().map(|port| port.name.as_str()).collect();
    let all_known = (0..names.len()).all(|index| checker.usable(&format!("ports[{index}].name")));
    if names.contains(&ingress) || names.is_empty() || !all_known {
        return;
    }
    let instead = match nearest(ingress, names.iter().copied()) {
        Some(near) => format!("write `{near}`"),
        None => format!("write one of the ports: {}", names.join(", ")),
    };
    checker.error(&at, format!("there is no port `{ingress}`"), instead);
}

fn vlan(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let at = format!("{path}.match.vlan");
    let Some(id) = service.matches.vlan.filter(|_| checker.usable(&at) && checker.usable("ports")) else {
        return;
    };
    let ingress = service.matches.ingress.as_deref();
    let mut ports = checker.config.ports.iter().filter(|port| ingress.is_none_or(|name| name == port.name));
    if !ports.any(|port| port.vlans.iter().any(|vlan| vlan.id == id)) {
        let instead = format!("add `{{id: {id}, addresses: [...]}}` to the port's `vlans`");
        checker.error(&at, format!("no port accepts VLAN {id}"), instead);
    }
}

fn action(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let (at_action, at_application) = (format!("{path}.action"), format!("{path}.application"));
    if !checker.usable(&at_action) || !checker.usable(&at_application) {
        return;
    }
    proxy::check(checker, path, service);
    monitor::service(checker, path, service);
    match (service.action, &service.application) {
        (Action::Terminate, None) => checker.error(
            &at_action,
            "`terminate` needs an application to answer",
            "add `application: echo` (or discard, chargen, `{http: {...}}`), or write `action: drop`",
        ),
        (Action::Proxy | Action::Monitor | Action::Drop | Action::Reject, Some(_)) => checker.error(
            &at_application,
            format!("an application never sees a flow whose action is `{}`", service.action),
            "remove `application`, or write `action: terminate`",
        ),
        (_, Some(Application::Http(settings))) => {
            if service.matches.protocol == Protocol::Udp {
                let at = format!("{path}.match.protocol");
                checker.error(&at, "HTTP is not spoken over UDP here", "write `protocol: tcp`");
            }
            http::check(checker, &format!("{at_application}.http"), settings);
        }
        _ => {}
    }
}

/// A source and a destination of different families match nothing.
fn families(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let Match { source, destination, .. } = &service.matches;
    let at = format!("{path}.match");
    let common = |ipv4: bool| {
        let has =
            |prefixes: &[Prefix]| prefixes.is_empty() || prefixes.iter().any(|p| p.network.is_ipv4() == ipv4);
        has(source) && has(destination)
    };
    if !common(true) && !common(false) && checker.usable(&at) {
        let what = "`source` and `destination` are of different families, so nothing can match";
        checker.error(&format!("{at}.destination"), what, "write both as IPv4 or both as IPv6");
    }
}

/// An IPv4-mapped address stands for an IPv4 one inside a program; no packet carries it.
fn mapped(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let Match { source, destination, .. } = &service.matches;
    for (key, prefixes) in [("source", source), ("destination", destination)] {
        for (index, prefix) in prefixes.iter().enumerate() {
            let at = format!("{path}.match.{key}[{index}]");
            let IpAddr::V6(network) = prefix.network else { continue };
            if network.to_ipv4_mapped().is_some() && checker.usable(&at) {
                let what =
                    format!("`{prefix}` is a prefix of IPv4-mapped addresses, which no packet carries");
                checker.error(&at, what, "write the IPv4 prefix");
            }
        }
    }
}

fn shadowed(checker: &mut Checker<'_>, path: &str, index: usize) {
    /// Beyond this many rules only the nearest ones are compared, to keep a reload quick.
    const COMPARED: usize = 512;
    let at = format!("{path}.match");
    let services = &checker.config.services;
    let first = index.saturating_sub(COMPARED);
    let Some(earlier) = (first..index).find(|i| covers(&services[*i].matches, &services[index].matches))
    else {
        return;
    };
    if checker.usable(&at) && checker.usable(&format!("services[{earlier}].match")) {
        let name = &services[earlier].name;
        let line = checker.line(&format!("services[{earlier}]"));
        let what = format!("the service `{name}` on line {line} takes everything this one could match");
        checker.warn(&at, what, format!("move it above `{name}`, or remove it"));
    }
}

/// Whether everything that fits `b` also fits `a`.
fn covers(a: &Match, b: &Match) -> bool {
    let ingress = a.ingress.is_none() || a.ingress == b.ingress;
    let vlan = a.vlan.is_none() || a.vlan == b.vlan;
    let protocol = a.protocol == Protocol::Any || a.protocol == b.protocol;
    ingress
        && vlan
        && protocol
        && covers_prefixes(&a.source, &b.source)
        && covers_prefixes(&a.destination, &b.destination)
        && covers_ports(&a.port, &b.port)
}

fn covers_prefixes(a: &[Prefix], b: &[Prefix]) -> bool {
    a.is_empty() || (!b.is_empty() && b.iter().all(|inner| a.iter().any(|outer| outer.covers(inner))))
}

/// Ranges of `a` that touch count as one: 1-5 and 6-9 together cover 4-7.
fn covers_ports(a: &[PortRange], b: &[PortRange]) -> bool {
    if a.is_empty() {
        return true;
    }
    let mut joined: Vec<(u32, u32)> = a.iter().map(|r| (u32::from(r.first), u32::from(r.last))).collect();
    joined.sort_unstable();
    joined.dedup_by(|next, kept| {
        let touches = next.0 <= kept.1 + 1;
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
    let inside =
        |r: &PortRange| joined.iter().any(|(f, l)| *f <= u32::from(r.first) && u32::from(r.last) <= *l);
    !b.is_empty() && b.iter().all(inside)
}
