//! How services proxy: the group they use, the way their legs take, the addresses they come from.
//!
//! Invariant: of a checked service every server can be reached by the way its legs may take, from an address that is
//! nobody else's.

use std::net::IpAddr;

use super::{Checker, subnets, upstreams};
use crate::config::decoder::nearest;
use crate::config::model::{
    Action, Port, Protocol, ProxySource, SendProxy, Server, Service, ServiceProxy, Upstream,
};
use crate::config::reach::{self, Only};

pub(super) fn check(checker: &mut Checker<'_>, path: &str, service: &Service) {
    let at = format!("{path}.proxy");
    if !checker.usable(&at) {
        return;
    }
    match (service.action, &service.proxy) {
        (Action::Proxy, None) => checker.error(
            &format!("{path}.action"),
            "`proxy` needs to know where sessions go",
            "add `proxy: {upstream: NAME}`, or `proxy: {}` to connect to where the client was going",
        ),
        (Action::Proxy, Some(proxy)) => {
            tcp_only(checker, &at, service, proxy);
            let upstream = upstream(checker, &at, proxy);
            let only = egress(checker, &at, proxy);
            sources(checker, &at, proxy, upstream);
            if let (Some(upstream), Some(only)) = (upstream, only) {
                reachable(checker, &at, upstream, only);
            }
            if proxy.upstream.is_none() {
                original(checker, &at);
            }
            upstreams::rounded(checker, &format!("{at}.max_connections"), proxy.max_connections);
        }
        (_, Some(_)) => checker.error(
            &at,
            format!("nothing is proxied where the action is `{}`", service.action),
            "remove `proxy`, or write `action: proxy`",
        ),
        (_, None) => {}
    }
}

fn tcp_only(checker: &mut Checker<'_>, path: &str, service: &Service, proxy: &ServiceProxy) {
    let tcp = service.matches.protocol == Protocol::Tcp;
    let keys = [
        ("send_proxy", proxy.send_proxy != SendProxy::None),
        ("accept_proxy", proxy.accept_proxy),
        ("wait_for_upstream", proxy.wait_for_upstream),
    ];
    for (key, _) in keys.iter().filter(|(_, wanted)| *wanted && !tcp) {
        let what = format!("`{key}` is for TCP, and the service also matches UDP");
        let what =
            if service.matches.protocol == Protocol::Udp { format!("`{key}` is for TCP") } else { what };
        checker.error(&format!("{path}.{key}"), what, "add `protocol: tcp` to `match`, or remove it");
    }
    if proxy.accept_proxy && proxy.wait_for_upstream {
        checker.error(
            &format!("{path}.wait_for_upstream"),
            "the header of `accept_proxy` comes after the handshake, which would wait for it",
            "keep one of the two",
        );
    }
    let at = format!("{path}.idle_timeout");
    if service.matches.protocol == Protocol::Udp && checker.given(&at) {
        checker.warn(&at, "`idle_timeout` is for TCP", "remove it, and set `udp.idle_timeout`");
    }
}

/// The group, if it is known.
fn upstream<'a>(checker: &mut Checker<'a>, path: &str, proxy: &ServiceProxy) -> Option<&'a Upstream> {
    let groups = &checker.config.upstreams;
    let name = proxy.upstream.as_deref()?;
    let found = groups.iter().find(|group| group.name == name);
    let all_known = (0..groups.len()).all(|index| checker.usable(&format!("upstreams[{index}].name")));
    if found.is_none() && all_known && checker.usable("upstreams") {
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let instead = match nearest(name, names.iter().copied()) {
            Some(near) => format!("write `{near}`"),
            None if names.is_empty() => format!("add it: `upstreams: [{{name: {name}, servers: [...]}}]`"),
            None => format!("write one of the upstreams: {}", names.join(", ")),
        };
        checker.error(&format!("{path}.upstream"), format!("there is no upstream `{name}`"), instead);
    }
    found
}

/// The networks that are left to leave by; none where that is not known.
fn egress(checker: &mut Checker<'_>, path: &str, proxy: &ServiceProxy) -> Option<Option<Only>> {
    let (at, at_vlan) = (format!("{path}.egress"), format!("{path}.egress_vlan"));
    if !checker.usable("ports") {
        return None;
    }
    let Some(name) = proxy.egress.as_deref() else {
        if proxy.egress_vlan.is_some() {
            let what = "`egress_vlan` does not say of which port";
            checker.error(&at_vlan, what, "add `egress: PORT`, or remove it");
            return None;
        }
        return Some(None);
    };
    let ports = &checker.config.ports;
    let Some(port) = ports.iter().position(|port| port.name == name) else {
        let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        let instead = match nearest(name, names.iter().copied()) {
            Some(near) => format!("write `{near}`"),
            None => format!("write one of the ports: {}", names.join(", ")),
        };
        checker.error(&at, format!("there is no port `{name}`"), instead);
        return None;
    };
    if let Some(id) = proxy.egress_vlan.filter(|id| *id != 0)
        && !ports[port].vlans.iter().any(|vlan| vlan.id == id)
    {
        let instead = format!("add `{{id: {id}, addresses: [...]}}` to the port's `vlans`");
        checker.error(&at_vlan, format!("the port `{name}` does not accept VLAN {id}"), instead);
        return None;
    }
    Some(Some(Only { port, vlan: proxy.egress_vlan }))
}

/// With an egress of its own a service may reach fewer servers than the group has.
fn reachable(checker: &mut Checker<'_>, path: &str, upstream: &Upstream, only: Option<Only>) {
    let ports = &checker.config.ports;
    if only.is_none() || !checker.usable("upstreams") {
        return;
    }
    let away = |server: &&Server| {
        let to = server.address.0.ip();
        reach::way(ports, to, None).is_some() && reach::way(ports, to, only).is_none()
    };
    if let Some(server) = upstream.servers.iter().find(away) {
        let what = format!("the server {} cannot be reached this way", server.address);
        let instead = "add a gateway there, or remove `egress`";
        checker.error(&format!("{path}.egress"), what, instead);
    }
}

fn sources(checker: &mut Checker<'_>, path: &str, proxy: &ServiceProxy, upstream: Option<&Upstream>) {
    let at = format!("{path}.source_addresses");
    if !checker.usable(&at) || !checker.usable("ports") || !checker.usable("upstreams") {
        return;
    }
    if proxy.source == ProxySource::Client {
        if !proxy.source_addresses.is_empty() {
            let what = "with `source: client` legs come from the client's address";
            checker.error(&at, what, "remove it, or write `source: own`");
        }
        let has =
            |v4| upstream.is_some_and(|group| group.servers.iter().any(|s| s.address.0.is_ipv4() == v4));
        if has(true) && has(false) {
            let what = "with `source: client` a client only reaches servers of its own family, and the group has both";
            checker.warn(&format!("{path}.source"), what, "write a group and a service for each family");
        }
        return;
    }
    for (index, address) in proxy.source_addresses.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if proxy.source_addresses[..index].contains(address) {
            checker.error(&at, format!("`{address}` is given twice"), "remove one of the two");
        } else if let Some((what, instead)) = taken(checker, *address) {
            checker.error(&at, what, instead);
        } else if let Some(group) = upstream
            && !group.servers.iter().any(|server| server.address.0.is_ipv4() == address.is_ipv4())
        {
            let what = format!("`{address}` is of a family that no server of `{}` has", group.name);
            checker.warn(&at, what, "remove it");
        }
    }
    lacking(checker, &at, proxy, upstream);
}

/// Why an address cannot be a source.
fn taken(checker: &Checker<'_>, address: IpAddr) -> Option<(String, &'static str)> {
    let ports = &checker.config.ports;
    let another = "write an address that is nobody else's";
    if let Some(what) = subnets::no_host(ports, address) {
        return Some((what, another));
    }
    if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return Some((format!("`{address}` is link-local"), "write a global or unique-local address"));
    }
    if reach::networks(ports).any(|network| network.gateways.contains(&address)) {
        return Some((format!("`{address}` is a gateway's address"), another));
    }
    let kernel = |port: &Port| port.kernel_addresses.iter().any(|own| own.address == address);
    if let Some(port) = ports.iter().find(|port| kernel(port)) {
        return Some((format!("`{address}` is in `kernel_addresses` of the port `{}`", port.name), another));
    }
    let mut servers = checker.config.upstreams.iter().flat_map(|group| &group.servers);
    let server = servers.find(|server| server.address.0.ip() == address);
    server.map(|server| (format!("`{address}` is the address of the server {}", server.address), another))
}

/// Every family of servers needs an address of its own family to come from.
fn lacking(checker: &mut Checker<'_>, at: &str, proxy: &ServiceProxy, upstream: Option<&Upstream>) {
    let Some(group) = upstream.filter(|_| !proxy.source_addresses.is_empty()) else { return };
    for (v4, family) in [(true, "IPv4"), (false, "IPv6")] {
        let server = group.servers.iter().find(|server| server.address.0.is_ipv4() == v4);
        let Some(server) = server else { continue };
        if !proxy.source_addresses.iter().any(|address| address.is_ipv4() == v4) {
            let what = format!("there is no {family} address to reach the server {} from", server.address);
            checker.error(at, what, format!("add an {family} address, or remove `source_addresses`"));
        }
    }
}

/// Flows to addresses of Millrace itself have no other original destination.
fn original(checker: &mut Checker<'_>, path: &str) {
    let ports = &checker.config.ports;
    let transit = ports.iter().any(|port| port.any_ip || port.vlans.iter().any(|vlan| vlan.any_ip));
    if !transit && checker.usable("ports") {
        checker.warn(
            path,
            "no port has `any_ip`, so clients can only be going to Millrace itself",
            "add `upstream: NAME`, or `any_ip: true` to the port that clients are behind",
        );
    }
}
