//! Services: rules and the applications behind them.
//!
//! Invariant: a service number means the same name for the life of the process. A service that is gone leaves its
//! place, and its name finds it again should it come back.

use std::collections::HashMap;
use std::sync::Arc;

use dataplane::application::{Application, Body, HttpSpec, Spec};
use dataplane::observe::Level;
use dataplane::policy::{Action, Policy, Rule};
use dataplane::prefix::Prefix;
use dataplane::proxy::ProxySpec;
use dataplane::settings::{Service, Services};
use l3l4::{Addr, Protocol};

use super::proxy::{self, Setting};
use super::{Fixed, upstreams};
use crate::config::model::{
    Action as Wanted, Application as Answers, Config, Http, Match, Observe, Port, Protocol as Transport,
    Service as Asked,
};
use crate::config::{Loaded, Prefix as Subnet, Problems, Wrong};
use crate::snapshot;

/// The most services a process can have known, over all its reloads.
pub const MOST_SERVICES: usize = 65_000;

/// The services of a configuration. With those running, and the configuration in force, names that are known keep
/// their numbers, ports are the running ones and the version is the next one; without, numbers follow the file and
/// the version is 1.
///
/// # Errors
/// An application that cannot be built, at its service's place; a port that is not running; an address that only a
/// restart would make ours; too many different names.
pub fn services(
    loaded: &Loaded,
    running: Option<(&Services, &Config)>,
    fixed: &Fixed,
) -> Result<Services, Problems> {
    let Config { ports, workers, .. } = running.map_or(&loaded.config, |(_, config)| config);
    let running = running.map(|(services, _)| services);
    let mut list: Vec<Service> = running.map(|running| running.services.clone()).unwrap_or_default();
    let mut numbers: HashMap<String, u16> =
        (0..).zip(&list).map(|(number, service)| (service.name.clone(), number)).collect();
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    let upstreams = upstreams::upstreams(
        loaded,
        running.map(|running| &running.upstreams),
        fixed.balance,
        workers.cpus.len(),
        &mut problems,
    );
    let setting = Setting { loaded, ports, fixed, upstreams: &upstreams, workers: workers.cpus.len() };
    for (index, wanted) in loaded.config.services.iter().enumerate() {
        let mut report = |key: &str, what: String, instead: String| {
            problems.push(loaded.problem(&format!("services[{index}]{key}"), Wrong::new(what, instead)));
        };
        let application = match wanted.application.as_ref().map(build).transpose() {
            Ok(application) => application,
            Err(error) => {
                // The error says what is wrong and, after its last colon, what to write instead.
                let text = error.to_string();
                let (what, instead) = text.rsplit_once(": ").unwrap_or((&text, "correct it"));
                // All else about an application was checked when the file was read.
                let key = match &wanted.application {
                    Some(Answers::Http(http)) if http.directory.is_some() => ".application.http.directory",
                    _ => ".application",
                };
                report(key, what.to_owned(), instead.to_owned());
                None
            }
        };
        let proxy = match wanted.proxy.as_ref().map(|proxy| proxy::proxy(&setting, proxy)).transpose() {
            Ok(proxy) => proxy.map(Arc::new),
            Err((key, wrong)) => {
                report(&format!(".proxy{key}"), wrong.what, wrong.instead);
                None
            }
        };
        let number = match numbers.get(&wanted.name) {
            Some(number) => *number,
            None if list.len() >= MOST_SERVICES => {
                let what = format!("{MOST_SERVICES} different services have been configured since the start");
                report(".name", what, "use a name that was used before, or restart".into());
                continue;
            }
            None => {
                // The bound above keeps numbers within 16 bits.
                let number = u16::try_from(list.len()).unwrap_or(u16::MAX);
                list.push(Service {
                    name: wanted.name.clone(),
                    application: None,
                    proxy: None,
                    observe: Level::None,
                });
                numbers.insert(wanted.name.clone(), number);
                number
            }
        };
        let action = match wanted.action {
            Wanted::Terminate => Action::Terminate { application: number },
            Wanted::Proxy => Action::Proxy { hold: holds(proxy.as_deref()) },
            Wanted::Monitor => Action::Monitor,
            Wanted::Reject => Action::Reject,
            Wanted::Drop => Action::Drop,
        };
        if let Some(service) = list.get_mut(usize::from(number)) {
            service.application = application;
            service.proxy = proxy;
            service.observe = observed(wanted);
        }
        match matches(ports, &wanted.matches) {
            Ok(fits) => rules.extend(fits.into_iter().map(|rule| Rule { service: number, action, ..rule })),
            Err(Unfit::Prefix(subnet)) => {
                let what =
                    format!("`{subnet}` is a prefix of IPv4-mapped addresses, which no packet carries");
                report(".match", what, "write the IPv4 prefix".into());
            }
            Err(Unfit::Port(name)) => {
                let what = format!("the port `{name}` is not running");
                report(".match.ingress", what, "name a running port, or restart".into());
            }
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let version = running.map_or(1, |running| running.version + 1);
    Ok(Services { version, policy: Policy::new(rules), services: list, upstreams })
}

/// The services as they are shown: by number, with their place in the configuration in force.
#[must_use]
pub fn service_list(config: &Config, services: &Services) -> Vec<snapshot::Service> {
    let order: HashMap<&str, usize> =
        config.services.iter().enumerate().map(|(order, service)| (service.name.as_str(), order)).collect();
    let shown = services.services.iter().map(|service| {
        let order = order.get(service.name.as_str()).copied();
        let action = order.and_then(|order| config.services.get(order)).map(|wanted| match wanted.action {
            Wanted::Terminate => "terminate",
            Wanted::Proxy => "proxy",
            Wanted::Monitor => "monitor",
            Wanted::Reject => "reject",
            Wanted::Drop => "drop",
        });
        snapshot::Service {
            name: service.name.clone(),
            application: service.application.as_ref().map(|application| application.name()),
            order,
            action: action.unwrap_or_default(),
            proxies: service.proxy.is_some(),
        }
    });
    shown.collect()
}

/// What of a service's flows is told.
fn observed(service: &Asked) -> Level {
    match service.observe {
        None if service.action == Wanted::Monitor => Level::Http,
        None | Some(Observe::None) => Level::None,
        Some(Observe::Flow) => Level::Flow,
        Some(Observe::Http) => Level::Http,
        Some(Observe::Tcp) => Level::Tcp,
        Some(Observe::All) => Level::All,
    }
}

/// Whether a client's SYN has to wait for the upstream.
fn holds(proxy: Option<&ProxySpec>) -> bool {
    proxy.is_some_and(|proxy| proxy.wait_for_upstream)
}

fn build(wanted: &Answers) -> Result<Arc<dyn Application>, dataplane::application::BuildError> {
    let spec = match wanted {
        Answers::Echo => Spec::Echo,
        Answers::Discard => Spec::Discard,
        Answers::Chargen => Spec::Chargen,
        Answers::Http(http) => Spec::Http(http_spec(http)),
    };
    spec.build()
}

fn http_spec(http: &Http) -> HttpSpec {
    let body = match (&http.directory, &http.body) {
        (Some(directory), _) => Body::Directory(directory.clone()),
        (None, body) => Body::Bytes(body.clone().unwrap_or_default().into_bytes()),
    };
    HttpSpec {
        status: http.status,
        headers: http.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        body,
        max_body: http.max_body.bytes(),
        max_head: usize::try_from(http.max_head.bytes()).unwrap_or(usize::MAX),
        keep_alive: http.keep_alive,
        head_timeout: http.head_timeout,
        body_timeout: http.body_timeout,
        keep_alive_timeout: http.keep_alive_timeout,
    }
}

/// What in a match cannot be used.
enum Unfit {
    Prefix(Subnet),
    Port(String),
}

/// The rules of a match; two where TCP and UDP ports are both meant, so that each can be looked up by its port.
fn matches(ports: &[Port], wanted: &Match) -> Result<Vec<Rule>, Unfit> {
    let number = |name: &String| {
        let index = ports.iter().position(|port| port.name == *name);
        index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| Unfit::Port(name.clone()))
    };
    let ingress = wanted.ingress.as_ref().map(number).transpose()?;
    let prefixes = |subnets: &[Subnet]| -> Result<Vec<Prefix>, Unfit> {
        let prefix = |subnet: &Subnet| {
            let address = Addr::from(subnet.network);
            let mapped = subnet.network.is_ipv6() && address.is_v4();
            Prefix::new(address, subnet.length).ok().filter(|_| !mapped).ok_or(Unfit::Prefix(*subnet))
        };
        subnets.iter().map(prefix).collect()
    };
    let rule = Rule {
        service: 0,
        ingress,
        vlan: wanted.vlan,
        protocol: None,
        source: prefixes(&wanted.source)?,
        destination: prefixes(&wanted.destination)?,
        ports: wanted.port.iter().map(|range| range.first..=range.last).collect(),
        action: Action::Drop,
    };
    let (tcp, udp) = (Some(Protocol::TCP.0), Some(Protocol::UDP.0));
    let protocols = match wanted.protocol {
        Transport::Tcp => vec![tcp],
        Transport::Udp => vec![udp],
        Transport::Any if wanted.port.is_empty() => vec![None],
        Transport::Any => vec![tcp, udp],
    };
    Ok(protocols.into_iter().map(|protocol| Rule { protocol, ..rule.clone() }).collect())
}
