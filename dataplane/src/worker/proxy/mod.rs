//! Proxying: a flow that a client opened, joined with one that this worker opens to a server.
//!
//! `Context` hears of both legs (callbacks cannot reach the engine) and decides: [`conn`] for connections, [`choose`]
//! for where they go. What needs the engine is left in a list that the worker carries out right after ([`steps`]), so
//! that a client's first bytes never wait for a turn. Both legs are in the same engine, so bytes pass between them there,
//! without this module.
//!
//! Invariant: everything here belongs to one worker; what a leg takes (a place at a server, a source port, a session) is
//! given back when the leg is gone, and only then.

mod check;
mod choose;
mod conn;
mod datagram;
mod hooks;
mod listing;
mod pools;
mod route;
mod session;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use conn::Of;
pub(crate) use hooks::of;
pub(crate) use listing::Listing;
use session::{Ends, Phase, Place, Session, SessionId, Sessions};
use steps::Todo;

use super::network::Side;
use crate::neighbour::{Mac, NeighbourTable};
use crate::proxy::{
    Eject, Group, HealthCheck, ProxyCounters, ProxyLimits, Server, ServerCounters, ServerSpec, Upstreams,
};
use crate::settings::{Service, Services};
use crate::steer::{Reta, Toeplitz};
use check::Checks;
use l3l4::Instant;
use pools::Pools;
use std::collections::VecDeque;
use std::sync::Arc;

/// In the word that the engine keeps with a flow: the flow is a leg that was opened from here.
pub(crate) const UPSTREAM_LEG: u64 = 1 << 16;
/// Likewise: the client's SYN is answered later.
pub(crate) const HELD_LEG: u64 = 1 << 17;
/// Likewise: the flow is a health check.
pub(crate) const CHECK: u64 = 1 << 18;

/// Bytes of a client that can be taken over while its session begins: what a connection can hold that is being opened.
const EARLY: usize = 4096;

/// What a worker knows of one group.
struct Balance {
    group: Group,
    /// By [`Server::index`].
    servers: Vec<Option<Member>>,
    health: Option<HealthCheck>,
    eject: Option<Eject>,
}

/// What a worker knows of one server.
struct Member {
    spec: ServerSpec,
    /// Attempts in a row that failed.
    failures: u16,
    /// Its sessions are being reset, or have been.
    disabled: bool,
}

/// A client's first bytes, between the callback that took them and the opening of the upstream leg right after it.
struct Early {
    session: SessionId,
    bytes: Vec<u8>,
    /// The client has closed its side behind them.
    end: bool,
}

/// All that a worker knows of proxying.
pub(crate) struct Proxies {
    /// The time of this turn.
    pub(crate) now: Instant,
    pub(crate) sessions: Sessions,
    /// By number of the service.
    pub(crate) services: Vec<ProxyCounters>,
    /// By number of the server.
    pub(crate) servers: Vec<ServerCounters>,
    pub(crate) legs_apart: u64,
    todo: VecDeque<Todo>,
    early: Early,
    /// The session and the station of the leg that is being opened this moment.
    opening: Option<(u32, Mac)>,
    /// By number of the service: who waits for a server with room.
    waiting: Vec<VecDeque<SessionId>>,
    /// Services for which somebody waits.
    awaited: Vec<u16>,
    /// A place came free.
    room: bool,
    resolving: VecDeque<SessionId>,
    kept: datagram::Kept,
    groups: Vec<Balance>,
    pools: Pools,
    checks: Checks,
    upstreams: Upstreams,
    /// Whether packets of no flow can be passed round among workers.
    passes: bool,
    /// Transparent legs of one session may come to different workers: see [`Proxies::crossing`].
    crossing: bool,
    /// Changes of servers' status seen so far, and when an ejection ends that is known.
    seen: u64,
    next_end: u64,
    /// Where the search goes on for sessions of servers that are disabled.
    sweep: Option<usize>,
    /// When servers' stations are looked up again, so that the prober keeps them known.
    next_look: Instant,
    /// The group whose turn it is.
    look: usize,
    neighbours: Arc<NeighbourTable>,
    toeplitz: Arc<Toeplitz>,
    reta: Arc<Reta>,
    worker: u16,
    workers: u16,
}

/// What [`Proxies`] is made of.
pub(crate) struct Means {
    pub(crate) limits: ProxyLimits,
    pub(crate) neighbours: Arc<NeighbourTable>,
    pub(crate) toeplitz: Arc<Toeplitz>,
    pub(crate) reta: Arc<Reta>,
    pub(crate) worker: u16,
    pub(crate) workers: u16,
    /// Whether packets of no flow can be passed round among workers.
    pub(crate) passes: bool,
}

impl Proxies {
    pub(crate) fn new(means: Means, sides: &[Side], services: &Services) -> Self {
        let Means { limits, neighbours, toeplitz, reta, worker, workers, passes } = means;
        // Others than the source ports', and another for each worker.
        let seed = u64::from_le_bytes(core::array::from_fn(|n| limits.secret[n + 8])) ^ u64::from(worker);
        let pools = Pools::new(&limits, Arc::clone(&toeplitz), Arc::clone(&reta), (worker, workers));
        let mut proxies = Self {
            now: Instant::default(),
            sessions: Sessions::new(limits.sessions),
            services: Vec::new(),
            servers: Vec::new(),
            legs_apart: 0,
            todo: VecDeque::with_capacity(256),
            early: Early { session: SessionId::default(), bytes: Vec::with_capacity(2 * EARLY), end: false },
            opening: None,
            waiting: Vec::new(),
            awaited: Vec::new(),
            room: false,
            resolving: VecDeque::new(),
            kept: datagram::Kept::default(),
            groups: Vec::new(),
            pools,
            checks: Checks::new(seed),
            upstreams: Upstreams::default(),
            passes,
            crossing: false,
            seen: 0,
            next_end: u64::MAX,
            sweep: None,
            next_look: Instant::default(),
            look: 0,
            neighbours,
            toeplitz,
            reta,
            worker,
            workers,
        };
        proxies.exchange(sides, services);
        proxies
    }

    /// Takes the groups of other services, between packets. A group keeps its former servers where too many of those
    /// that are gone still have sessions; the next exchange tries again.
    pub(crate) fn exchange(&mut self, sides: &[Side], services: &Services) {
        let (count, servers) = (services.services.len(), services.upstreams.servers.len());
        self.services.resize(count.max(self.services.len()), ProxyCounters::default());
        self.waiting.resize_with(count.max(self.waiting.len()), VecDeque::new);
        self.servers.resize(servers.max(self.servers.len()), ServerCounters::default());
        for spec in services.services.iter().filter_map(|service| service.proxy.as_deref()) {
            self.pools.prepare(sides, spec);
        }
        let transparent = |service: &Service| {
            service.proxy.as_ref().is_some_and(|spec| spec.source == crate::proxy::Source::Client)
        };
        let hashed = |side: &Side| pools::is_hashed(side.steering, self.workers);
        self.crossing |= services.services.iter().any(transparent)
            && self.passes
            && sides.iter().any(hashed)
            && (!sides.iter().all(hashed) || services.are_transparent());
        for (number, upstream) in services.upstreams.groups.iter().enumerate() {
            if let Some(known) = self.groups.get_mut(number) {
                if known.group.update(Arc::clone(&upstream.roster)).is_err() {
                    continue;
                }
                (known.health, known.eject) = (upstream.health.clone(), upstream.eject);
            } else {
                self.groups.push(Balance {
                    group: Group::new(Arc::clone(&upstream.roster), self.worker),
                    servers: Vec::new(),
                    health: upstream.health.clone(),
                    eject: upstream.eject,
                });
            }
            if let Some(known) = self.groups.get_mut(number) {
                known.take(&upstream.servers);
            }
        }
        self.upstreams = services.upstreams.clone();
        self.next_look = Instant::default();
        if self.groups.iter().any(|group| group.health.is_some()) {
            self.pools.prepare_own(sides);
        }
        self.prepare_checks();
        self.apply_status();
        // Somebody may be served now who could not be before.
        self.room = true;
    }

    /// Whether the hash may lead the upstream leg of a session to another worker, because neither its addresses nor its
    /// ports are ours to choose: then what finds no flow where its hash leads is passed round.
    pub(crate) fn crossing(&self) -> bool {
        self.crossing
    }

    /// Tells the balancers what has become of their servers.
    fn apply_status(&mut self) {
        self.seen = self.upstreams.changes.count();
        let now = self.now.micros();
        self.next_end = u64::MAX;
        for balance in &mut self.groups {
            let Balance { group, servers, .. } = balance;
            for at in 0..group.servers().len() {
                let server = group.servers()[at];
                let Some(Some(member)) = servers.get_mut(server.index()) else { continue };
                let status = &member.spec.status;
                if status.ejected_until() > now {
                    self.next_end = self.next_end.min(status.ejected_until());
                }
                let disabled = status.admin() == crate::proxy::Admin::Disabled;
                if disabled && !member.disabled {
                    self.sweep = Some(0);
                }
                member.disabled = disabled;
                group.set_state(server, status.state(now));
            }
        }
        self.room = true;
    }

    fn member(&mut self, group: u16, server: Server) -> Option<&mut Member> {
        self.groups.get_mut(usize::from(group))?.servers.get_mut(server.index())?.as_mut()
    }

    fn counters(&mut self, service: u16) -> &mut ProxyCounters {
        let at = usize::from(service);
        if at >= self.services.len() {
            self.services.resize(at + 1, ProxyCounters::default());
        }
        &mut self.services[at]
    }

    fn server_counters(&mut self, number: u16) -> &mut ServerCounters {
        let at = usize::from(number);
        if at >= self.servers.len() {
            self.servers.resize(at + 1, ServerCounters::default());
        }
        &mut self.servers[at]
    }
}

impl Balance {
    /// Takes the servers of a roster that is in force already.
    fn take(&mut self, specs: &[ServerSpec]) {
        for (server, spec) in self.group.servers().iter().zip(specs) {
            if self.servers.len() <= server.index() {
                self.servers.resize_with(server.index() + 1, || None);
            }
            let (failures, disabled) = match &self.servers[server.index()] {
                Some(known) if known.spec.endpoint == spec.endpoint => (known.failures, known.disabled),
                _ => (0, false),
            };
            self.servers[server.index()] = Some(Member { spec: spec.clone(), failures, disabled });
        }
    }
}
