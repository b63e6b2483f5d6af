//! How services proxy: from configuration to data plane, and which addresses of ours their legs come from.
//!
//! Invariant: ports are known by the numbers of the running ones. An address that legs come from is answered for on
//! every network they may leave by, from the start on: a reload that needs another one is refused, and so is one that
//! needs workers to pass on what they do not.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dataplane::proxy::{Egress, ProxySpec, SendHeader, Source, Target, Upstreams};
use dataplane::settings::PortSettings;
use l3l4::Addr;

use super::{Fixed, share, upstreams};
use crate::config::model::{Config, Port, ProxySource, SendProxy, ServiceProxy, Upstream};
use crate::config::reach::{self, Network, Only};
use crate::config::{Loaded, Wrong};

/// Addresses that are answered for beside the ports' own, each with the number of its port and its VLAN.
pub type Pools = BTreeSet<(usize, u16, IpAddr)>;

/// The addresses that all services need beside the ports' own.
pub(super) fn pools(config: &Config) -> Pools {
    let proxies = config.services.iter().filter_map(|service| service.proxy.as_ref());
    proxies
        .flat_map(|proxy| needed(&config.ports, &config.upstreams, proxy))
        .map(|(_, place)| place)
        .collect()
}

/// Puts them where they belong.
pub(super) fn answer_for(pools: &Pools, ports: &mut [PortSettings]) {
    for (port, vlan, address) in pools {
        let networks = ports.get_mut(*port).map(|port| &mut port.networks);
        let network = networks.and_then(|networks| networks.iter_mut().find(|network| network.vlan == *vlan));
        if let Some(network) = network {
            network.pool.push(Addr::from(*address));
        }
    }
}

/// The source addresses of a service that are not the own ones of the networks its legs may leave by: the place of
/// each in the list, and where it is needed.
fn needed<'a>(
    ports: &'a [Port],
    upstreams: &'a [Upstream],
    proxy: &'a ServiceProxy,
) -> impl Iterator<Item = (usize, (usize, u16, IpAddr))> + 'a {
    let only = egress(ports, proxy);
    proxy.source_addresses.iter().enumerate().flat_map(move |(index, address)| {
        let lacks = move |network: &Network<'_>| !network.addresses.iter().any(|own| own.address == *address);
        exits(ports, upstreams, proxy, only, *address)
            .into_iter()
            .filter(lacks)
            .map(move |network| (index, (network.port, network.vlan, *address)))
    })
}

/// The networks by which legs from `address` may leave.
fn exits<'a>(
    ports: &'a [Port],
    upstreams: &[Upstream],
    proxy: &ServiceProxy,
    only: Option<Only>,
    address: IpAddr,
) -> Vec<Network<'a>> {
    let family = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
    match proxy.upstream.as_ref() {
        // Where clients go is anybody's guess.
        None => reach::open(ports, only)
            .filter(|network| network.addresses.iter().any(|own| family(&own.address)))
            .collect(),
        Some(name) => {
            let servers =
                upstreams.iter().filter(|group| group.name == *name).flat_map(|group| &group.servers);
            let addresses = servers.map(|server| server.address.0.ip()).filter(family);
            addresses.filter_map(|to| reach::way(ports, to, only)).collect()
        }
    }
}

fn egress(ports: &[Port], proxy: &ServiceProxy) -> Option<Only> {
    let port = ports.iter().position(|port| Some(&port.name) == proxy.egress.as_ref())?;
    Some(Only { port, vlan: proxy.egress_vlan })
}

/// What a service is made for.
pub(super) struct Setting<'a> {
    pub(super) loaded: &'a Loaded,
    /// The running ports.
    pub(super) ports: &'a [Port],
    pub(super) fixed: &'a Fixed,
    pub(super) upstreams: &'a Upstreams,
    pub(super) workers: usize,
}

/// How a service proxies; what is wrong comes with the key below `proxy`.
pub(super) fn proxy(setting: &Setting<'_>, wanted: &ServiceProxy) -> Result<ProxySpec, (String, Wrong)> {
    let target = match &wanted.upstream {
        None => Target::Original,
        Some(name) => Target::Upstream(upstreams::number(setting.upstreams, name).ok_or_else(|| {
            let what = format!("there is no upstream `{name}`");
            (".upstream".to_owned(), Wrong::new(what, "name one of `upstreams`"))
        })?),
    };
    let only = egress(setting.ports, wanted);
    if let Some(name) = wanted.egress.as_ref().filter(|_| only.is_none()) {
        let what = format!("the port `{name}` is not running");
        return Err((".egress".into(), Wrong::new(what, "name a running port, or restart")));
    }
    let groups = &setting.loaded.config.upstreams;
    let unknown =
        needed(setting.ports, groups, wanted).find(|(_, place)| !setting.fixed.pools.contains(place));
    if let Some((index, (port, vlan, address))) = unknown {
        let port = setting.ports.get(port).map_or("", |port| port.name.as_str());
        let side = if vlan == 0 { String::new() } else { format!(", VLAN {vlan}") };
        let what = format!("{address} is not answered for on the port `{port}`{side}: that needs a restart");
        let instead = "restart, or use addresses that were in use at the start";
        return Err((format!(".source_addresses[{index}]"), Wrong::new(what, instead)));
    }
    if wanted.source == ProxySource::Client && wanted.upstream.is_some() && !setting.fixed.transparent {
        let what = "the workers do not pass on packets of transparent legs to a group: that needs a restart";
        return Err((".source".into(), Wrong::new(what, "restart, or write `source: own`")));
    }
    Ok(ProxySpec {
        target,
        source: match wanted.source {
            ProxySource::Own => {
                Source::Own(wanted.source_addresses.iter().copied().map(Addr::from).collect())
            }
            ProxySource::Client => Source::Client,
        },
        egress: only
            .map(|only| Egress { port: u16::try_from(only.port).unwrap_or(u16::MAX), vlan: only.vlan }),
        send_header: match wanted.send_proxy {
            SendProxy::None => SendHeader::None,
            SendProxy::V1 => SendHeader::V1,
            SendProxy::V2 => SendHeader::V2,
        },
        accept_header: wanted.accept_proxy,
        wait_for_upstream: wanted.wait_for_upstream,
        connect_timeout: wanted.connect_timeout,
        retries: u8::try_from(wanted.retries).unwrap_or(u8::MAX),
        maximum: wanted.max_connections.map(|most| share(most, setting.workers)),
        queue: wanted.queue,
        queue_timeout: wanted.queue_timeout,
        idle_timeout: wanted.idle_timeout,
    })
}
