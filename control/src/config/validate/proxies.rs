//! What all proxies need together: source ports and flows.
//!
//! Invariant: a configuration that passes has an address space for the lists of source ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Checker;
use super::resources::{MOST_ADDRESS_SPACE, OVERCOMMIT, gib};
use crate::config::model::{Config, ProxySource};
use crate::config::reach;

/// Each port that rests in a list takes so many bytes.
const PORT: u64 = 2;

pub(super) fn check(checker: &mut Checker<'_>) {
    let proxies = checker.config.services.iter().any(|service| service.proxy.is_some());
    if proxies && checker.usable("proxy") {
        source_ports(checker);
        sessions(checker);
    }
}

/// The own addresses of each list there is on a worker, counted: those of the family that has more.
fn lists(config: &Config) -> u64 {
    let own = config.services.iter().filter_map(|service| service.proxy.as_ref());
    let own: Vec<_> = own.filter(|proxy| proxy.source == ProxySource::Own).collect();
    if own.is_empty() && !config.upstreams.iter().any(|group| group.health_check.is_some()) {
        return 0;
    }
    let given: BTreeSet<&[IpAddr]> = own.iter().map(|proxy| &proxy.source_addresses[..]).collect();
    let larger = |list: &&[IpAddr]| {
        let v4 = list.iter().filter(|address| address.is_ipv4()).count();
        v4.max(list.len() - v4) as u64
    };
    // Each address of a network has a list of its own.
    let networks = reach::networks(&config.ports).map(|network| network.addresses.len() as u64).sum::<u64>();
    networks + given.iter().map(larger).sum::<u64>()
}

fn source_ports(checker: &mut Checker<'_>) {
    if !["ports", "services", "upstreams", "workers"].iter().all(|path| checker.usable(path)) {
        return;
    }
    let config = checker.config;
    let (workers, endpoints) = (config.workers.cpus.len() as u64, u64::from(config.proxy.endpoints));
    let range = config.proxy.source_ports;
    let ports = u64::from(range.last - range.first) + 1;
    let addresses = lists(config);
    let each = (workers * ports * PORT).saturating_mul(addresses);
    let sum = each.saturating_mul(endpoints);
    let what = format!(
        "{workers} x {endpoints} servers with {ports} ports of {addresses} addresses reserve {}",
        gib(sum)
    );
    let fits = |most: u64| format!("write `endpoints: {}` or less", (most / each.max(1)).max(1));
    let memory = checker.host.memory.filter(|_| checker.host.strict);
    if sum > MOST_ADDRESS_SPACE {
        let what = format!("{what} of address space, a process has {}", gib(MOST_ADDRESS_SPACE));
        checker.error("proxy.endpoints", what, fits(MOST_ADDRESS_SPACE));
    } else if let Some(memory) = memory.filter(|memory| sum > memory.saturating_mul(OVERCOMMIT)) {
        let what = format!("{what}, this machine has {}", gib(memory));
        checker.warn("proxy.endpoints", what, fits(memory * OVERCOMMIT));
    }
}

/// A session takes two flows.
fn sessions(checker: &mut Checker<'_>) {
    let (sessions, flows) = (checker.config.proxy.sessions, checker.config.limits.flows);
    let most = flows / 2;
    // Where only `limits.flows` is lower nobody asked for so many sessions.
    if checker.given("proxy.sessions") && sessions > most && checker.usable("limits.flows") {
        let what =
            format!("a session takes two flows, so the {flows} of `limits.flows` are enough for {most}");
        checker.warn("proxy.sessions", what, format!("write {most} or less, or raise `limits.flows`"));
    }
}
