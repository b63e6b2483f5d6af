//! Upstreams: from groups of the configuration to what workers choose from.
//!
//! Invariant: the number of a group and of a server means the same name for the life of the process. What is gone
//! keeps its number, and a server that stays at its address keeps its status, whatever else a reload changes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dataplane::proxy::{
    CheckKind, Choice, Eject, Endpoint, HealthCheck, Member, Roster, ServerName, ServerSpec, ServerStatus,
    Upstream, Upstreams,
};
use dataplane::settings::Services;
use l3l4::Addr;

use super::share;
use crate::config::model::{self, Balance, HttpCheck, Server};
use crate::config::{Loaded, Problem, Wrong};
use crate::snapshot;

/// The most groups, and the most servers, a process can have known, over all its reloads.
pub const MOST_SERVERS: usize = 65_000;

/// The groups of a configuration; with those running, what is known keeps its numbers and its status.
pub(super) fn upstreams(
    loaded: &Loaded,
    running: Option<&Upstreams>,
    secret: [u8; 16],
    workers: usize,
    problems: &mut Vec<Problem>,
) -> Upstreams {
    let mut plan = Plan::new(running, secret, workers);
    for (index, wanted) in loaded.config.upstreams.iter().enumerate() {
        if let Err((key, wrong)) = plan.add(wanted) {
            problems.push(loaded.problem(&format!("upstreams[{index}]{key}"), wrong));
        }
    }
    plan.made
}

/// The servers as they are shown, by number; `now` in microseconds of the workers' clock.
#[must_use]
pub fn server_list(services: &Services, now: u64) -> Vec<snapshot::Server> {
    let upstreams = &services.upstreams;
    let mut list: Vec<snapshot::Server> = upstreams
        .servers
        .iter()
        .map(|name| snapshot::Server {
            upstream: name.upstream.to_string(),
            server: name.server.to_string(),
            admin: "enabled",
            health: "unknown",
            ..snapshot::Server::default()
        })
        .collect();
    for group in &upstreams.groups {
        for (server, member) in group.servers.iter().zip(group.roster.members()) {
            let Some(shown) = list.get_mut(usize::from(server.number)) else { continue };
            shown.address = Some(SocketAddr::new(server.endpoint.address.ip(), server.endpoint.port));
            shown.weight = member.weight;
            shown.admin = server.status.admin().name();
            shown.health = server.status.health().name();
            shown.ejected = server.status.ejected_until() > now;
        }
    }
    list
}

/// The number of the group of this name.
pub(super) fn number(upstreams: &Upstreams, name: &str) -> Option<u16> {
    let index = upstreams.groups.iter().position(|group| *group.name == *name)?;
    u16::try_from(index).ok()
}

struct Plan<'a> {
    running: Option<&'a Upstreams>,
    secret: [u8; 16],
    workers: usize,
    groups: HashMap<Arc<str>, usize>,
    servers: HashMap<(Arc<str>, Arc<str>), u16>,
    made: Upstreams,
}

impl<'a> Plan<'a> {
    fn new(running: Option<&'a Upstreams>, secret: [u8; 16], workers: usize) -> Self {
        let mut made = Upstreams::default();
        if let Some(running) = running {
            made.changes = Arc::clone(&running.changes);
            made.servers.clone_from(&running.servers);
            made.groups = running.groups.iter().map(|group| gone(Arc::clone(&group.name))).collect();
        }
        let groups = made.groups.iter().enumerate();
        let servers = (0..).zip(&made.servers);
        Self {
            running,
            secret,
            workers,
            groups: groups.map(|(number, group)| (Arc::clone(&group.name), number)).collect(),
            servers: servers
                .map(|(number, name)| ((Arc::clone(&name.upstream), Arc::clone(&name.server)), number))
                .collect(),
            made,
        }
    }

    /// Gives the group its number and makes it; what is wrong comes with the key below the group's path.
    fn add(&mut self, wanted: &model::Upstream) -> Result<(), (String, Wrong)> {
        let (number, name) = self.group(&wanted.name).map_err(|wrong| (".name".to_owned(), wrong))?;
        let members = wanted.servers.iter().map(|server| Member {
            name: server.name().into(),
            weight: server.weight,
            maximum: server.max_connections.map(|most| share(most, self.workers)),
        });
        let choice = match wanted.balance {
            Balance::RoundRobin => Choice::RoundRobin,
            Balance::LeastConnections => Choice::LeastConnections,
            Balance::Source => Choice::Source,
        };
        let roster = Roster::new(members.collect(), choice, self.secret)
            .map_err(|error| (".servers".to_owned(), Wrong::new(error.to_string(), "correct the list")))?;
        let by_name: HashMap<String, (usize, &Server)> =
            wanted.servers.iter().enumerate().map(|(at, server)| (server.name(), (at, server))).collect();
        let mut specs = Vec::with_capacity(roster.members().len());
        for member in roster.members() {
            // The roster has the names it was given.
            let Some((at, server)) = by_name.get(&*member.name) else { continue };
            let spec = self.server(number, &name, &member.name, server);
            specs.push(spec.map_err(|wrong| (format!(".servers[{at}].name"), wrong))?);
        }
        let health = wanted.health_check.as_ref().map(|check| health(check, &specs));
        let eject = (wanted.eject.failures > 0)
            .then_some(Eject { failures: wanted.eject.failures, time: wanted.eject.time });
        let group = Upstream { name, roster: Arc::new(roster), servers: specs, health, eject };
        if let Some(place) = self.made.groups.get_mut(number) {
            *place = group;
        }
        Ok(())
    }

    fn group(&mut self, name: &str) -> Result<(usize, Arc<str>), Wrong> {
        if let Some((name, number)) = self.groups.get_key_value(name) {
            return Ok((*number, Arc::clone(name)));
        }
        let number = self.made.groups.len();
        let name: Arc<str> = name.into();
        bounded(number, "upstreams")?;
        self.made.groups.push(gone(Arc::clone(&name)));
        self.groups.insert(Arc::clone(&name), number);
        Ok((number, name))
    }

    fn server(
        &mut self,
        group: usize,
        upstream: &Arc<str>,
        name: &Arc<str>,
        wanted: &Server,
    ) -> Result<ServerSpec, Wrong> {
        let key = (Arc::clone(upstream), Arc::clone(name));
        let number = match self.servers.get(&key) {
            Some(number) => *number,
            None => {
                let number = bounded(self.made.servers.len(), "servers")?;
                self.made
                    .servers
                    .push(ServerName { upstream: Arc::clone(upstream), server: Arc::clone(name) });
                self.servers.insert(key, number);
                number
            }
        };
        let at = wanted.address.0;
        let endpoint = Endpoint { address: Addr::from(at.ip()), port: at.port() };
        Ok(ServerSpec { number, endpoint, status: self.status(group, number, endpoint) })
    }

    /// The status so far where the server was there; at another address only what an operator said of it holds.
    fn status(&self, group: usize, number: u16, endpoint: Endpoint) -> Arc<ServerStatus> {
        let before = self.running.and_then(|running| running.groups.get(group));
        let before = before.and_then(|group| group.servers.iter().find(|server| server.number == number));
        match before {
            Some(before) if before.endpoint == endpoint => Arc::clone(&before.status),
            _ => {
                let status = ServerStatus::new(Arc::clone(&self.made.changes));
                if let Some(before) = before {
                    status.set_admin(before.status.admin());
                }
                Arc::new(status)
            }
        }
    }
}

/// A group without servers.
fn gone(name: Arc<str>) -> Upstream {
    Upstream { name, roster: Arc::new(Roster::empty()), servers: Vec::new(), health: None, eject: None }
}

fn bounded(number: usize, what: &str) -> Result<u16, Wrong> {
    u16::try_from(number).ok().filter(|_| number < MOST_SERVERS).ok_or_else(|| {
        let what = format!("{MOST_SERVERS} different {what} have been configured since the start");
        Wrong::new(what, "use a name that was used before, or restart")
    })
}

fn health(check: &model::HealthCheck, servers: &[ServerSpec]) -> HealthCheck {
    let count = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
    HealthCheck {
        kind: match &check.http {
            None => CheckKind::Tcp,
            Some(http) => CheckKind::Http {
                requests: servers.iter().map(|server| request(http, server.endpoint)).collect(),
                expect: http.expect.first..=http.expect.last,
            },
        },
        interval: check.interval,
        timeout: check.timeout,
        rise: count(check.rise),
        fall: count(check.fall),
    }
}

/// The whole request. Path and host were checked: neither can end a line.
fn request(check: &HttpCheck, server: Endpoint) -> Arc<[u8]> {
    let at = SocketAddr::new(server.address.ip(), server.port);
    let host = check.host.clone().unwrap_or_else(|| at.to_string());
    let path = &check.path;
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: millrace\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    text.into_bytes().into()
}
