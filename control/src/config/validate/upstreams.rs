//! Upstreams: names, addresses that can be reached, health checks that can be sent.
//!
//! Invariant: nothing from the configuration can break a health check's request (RFC 9112): path and host hold
//! neither blanks nor line ends; and no session can be sent to Millrace itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Checker, ports, subnets};
use crate::config::model::{HealthCheck, HttpCheck, Server, Upstream};
use crate::config::node::shorten;
use crate::config::reach;

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut names = BTreeMap::new();
    let upstreams = &checker.config.upstreams;
    for (index, upstream) in upstreams.iter().enumerate() {
        let path = format!("upstreams[{index}]");
        ports::name(checker, &path, &upstream.name, &mut names);
        servers(checker, &path, upstream);
        if let Some(check) = &upstream.health_check {
            health_check(checker, &format!("{path}.health_check"), check);
        }
        used(checker, &path, upstream);
    }
}

fn servers(checker: &mut Checker<'_>, path: &str, upstream: &Upstream) {
    let (mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for (index, server) in upstream.servers.iter().enumerate() {
        let path = format!("{path}.servers[{index}]");
        name(checker, &path, server, &mut names);
        let at = format!("{path}.address");
        if checker.usable(&at) {
            if let Some(first) = addresses.insert(server.address.0, at.clone()) {
                let what =
                    format!("`{}` is a server already on line {}", server.address, checker.line(&first));
                checker.error(&at, what, "remove one of the two, or give it a larger `weight`");
            } else {
                address(checker, &at, server.address.0.ip());
            }
        }
        rounded(checker, &format!("{path}.max_connections"), server.max_connections);
    }
    let at = format!("{path}.servers");
    let idle = upstream.servers.iter().all(|server| server.weight == 0);
    if idle && !upstream.servers.is_empty() && checker.usable(&at) {
        let what = "every server has weight 0, so none takes a session";
        checker.warn(&at, what, "give one of them a `weight` of 1 or more");
    }
}

/// A name that was given is a word; the default is the address as text.
fn name(checker: &mut Checker<'_>, path: &str, server: &Server, names: &mut BTreeMap<String, String>) {
    let at = format!("{path}.name");
    if checker.given(&at) {
        ports::name(checker, path, &server.name(), names);
    } else if checker.usable(&format!("{path}.address")) {
        // An address that is there twice is reported as that.
        names.entry(server.name()).or_insert(at);
    }
}

fn address(checker: &mut Checker<'_>, at: &str, address: IpAddr) {
    if !checker.usable("ports") {
        return;
    }
    let ports = &checker.config.ports;
    if let Some(what) = subnets::no_host(ports, address) {
        checker.error(at, what, "write a server's address");
    } else if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        let what = format!("`{address}` is link-local, so it could be on any port");
        checker.error(at, what, "write a global or unique-local address of the server");
    } else if reach::is_own(ports, address) {
        let what =
            format!("`{address}` is an address of Millrace itself, so a session would go round in a loop");
        checker.error(at, what, "write a server's address");
    } else if reach::way(ports, address, None).is_none() {
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let what =
            format!("no port reaches `{address}`: no subnet holds it, and no port has an {family} gateway");
        checker.error(at, what, "add `gateway:` to the port it is behind, or an address of its subnet");
    }
}

/// Every worker has a share of at least one.
pub(super) fn rounded(checker: &mut Checker<'_>, at: &str, most: Option<u32>) {
    let workers = checker.config.workers.cpus.len();
    let Some(most) = most.filter(|_| checker.usable(at) && checker.usable("workers")) else { return };
    if (most as usize) < workers {
        let what = format!("{most} shared by {workers} workers is 1 for each, so {workers} in all");
        checker.warn(at, what, format!("write {workers} or more, or use fewer workers"));
    }
}

fn health_check(checker: &mut Checker<'_>, path: &str, check: &HealthCheck) {
    let at = format!("{path}.timeout");
    if check.timeout > check.interval && checker.usable(path) {
        let what =
            format!("an answer may take longer than the interval of {} ms", check.interval.as_millis());
        checker.warn(&at, what, "write a `timeout` no longer than `interval`");
    }
    if let Some(http) = &check.http {
        page(checker, &format!("{path}.http"), http);
    }
}

fn page(checker: &mut Checker<'_>, path: &str, http: &HttpCheck) {
    // A request line ends at a blank, a field at the end of its line.
    let clean = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    let at = format!("{path}.path");
    if checker.usable(&at) {
        let shown = shorten(&http.path);
        if !http.path.starts_with('/') {
            checker.error(&at, format!("`{shown}` is not a path"), format!("begin with a slash: `/{shown}`"));
        } else if !clean(&http.path) {
            let what = "a path cannot have blanks, control characters or letters beyond ASCII";
            checker.error(&at, what, "write them percent-encoded, `%20` for a blank");
        }
    }
    let at = format!("{path}.host");
    let broken = http.host.as_ref().is_some_and(|host| !clean(host) || host.contains('/'));
    if broken && checker.usable(&at) {
        let what = "a host cannot have blanks, control characters, slashes or letters beyond ASCII";
        checker.error(&at, what, "write a name like `example.org`, with `:port` if need be");
    }
}

fn used(checker: &mut Checker<'_>, path: &str, upstream: &Upstream) {
    let at = format!("{path}.name");
    let proxies = checker.config.services.iter().filter_map(|service| service.proxy.as_ref());
    let used = proxies.filter_map(|proxy| proxy.upstream.as_ref()).any(|name| *name == upstream.name);
    if !used && checker.usable(&at) && checker.usable("services") {
        let what = format!("no service uses the upstream `{}`", upstream.name);
        let instead = format!("add `proxy: {{upstream: {}}}` to a service, or remove it", upstream.name);
        checker.warn(&at, what, instead);
    }
}
