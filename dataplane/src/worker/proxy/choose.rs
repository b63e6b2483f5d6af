//! Where a session goes: which server, by which way, from which address and port.
//!
//! Invariant: a session that was sent on its way holds a place at its server, and a source port where its leg comes from
//! an address of ours; whatever fails gives both back before the next is tried.

use super::pools::is_hashed;
use super::{Phase, Place, Proxies};
use crate::neighbour::{Mac, Resolution};
use crate::proxy::{Endpoint, ProxySpec, ServerSet, Source, State, Target};
use crate::worker::network::Side;
use core::time::Duration;
use l3l4::FlowKey;

/// What is to be done about a session that needs an upstream leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A leg with this five-tuple is to be opened, to this station.
    Open(FlowKey, Mac),
    /// Its server's station is being asked for.
    Resolve,
    /// No server has room.
    Wait,
    /// Nothing can be done.
    Refuse(Why),
}

/// Why a session was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    NoServer,
    QueueFull,
    QueueTimeout,
    Connect,
    SourcePort,
    Resources,
    Header,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused,
    Unanswered,
    Unreachable,
}

impl Proxies {
    /// [`Proxies::choose`] for a session that has just come: those that wait already come before it.
    pub(super) fn begin(&mut self, sides: &[Side], at: u32, spec: &ProxySpec) -> Choice {
        let Some((service, edition)) = self.sessions.at(at).map(|session| (session.service, session.edition))
        else {
            return Choice::Refuse(Why::Resources);
        };
        let last = self.last_waiting(service);
        if last == Some(edition) { Choice::Wait } else { self.choose(sides, at, spec, true) }
    }

    /// The edition of the session that waits last for the service. Those of former editions may wait for servers that the
    /// present one has nothing to do with.
    fn last_waiting(&mut self, service: u16) -> Option<u16> {
        let Self { waiting, sessions, .. } = self;
        let list = waiting.get_mut(usize::from(service))?;
        while let Some(id) = list.back() {
            if let Some(session) = sessions.get(*id).filter(|session| session.phase == Phase::Waiting) {
                return Some(session.edition);
            }
            list.pop_back();
        }
        None
    }

    /// Finds a server for the session in slot `at`, and everything else its leg needs. `patient`: it may wait for
    /// a station to be asked for; else a server whose station is not known counts as one that failed.
    pub(super) fn choose(&mut self, sides: &[Side], at: u32, spec: &ProxySpec, patient: bool) -> Choice {
        if self.is_full(at, spec) {
            return Choice::Wait;
        }
        loop {
            let Some(session) = self.sessions.at(at) else { return Choice::Refuse(Why::Resources) };
            if session.tries > spec.retries {
                return Choice::Refuse(Why::Connect);
            }
            let tried = session.tries > 0;
            let endpoint = match spec.target {
                Target::Original => {
                    Endpoint { address: session.ends.dialled.0, port: session.ends.dialled.1 }
                }
                Target::Upstream(number) => match self.pick(at, number) {
                    Pick::Server(endpoint) => endpoint,
                    Pick::Full => return Choice::Wait,
                    Pick::Nobody if tried => return Choice::Refuse(Why::Connect),
                    Pick::Nobody => return Choice::Refuse(Why::NoServer),
                },
            };
            self.begin_attempt(at);
            match self.lead(sides, at, spec, endpoint) {
                Lead::Open(key, mac) => return Choice::Open(key, mac),
                Lead::Asking if patient => {
                    let until = self.now + spec.connect_timeout;
                    if let Some(session) = self.sessions.at(at) {
                        (session.phase, session.until) = (Phase::Resolving, until);
                    }
                    return Choice::Resolve;
                }
                Lead::Asking => self.fail(at, Failure::Unreachable),
                Lead::NoPort => {
                    self.leave(at);
                    return Choice::Refuse(Why::SourcePort);
                }
                Lead::NoWay => {
                    self.fail(at, Failure::Unreachable);
                    if spec.target == Target::Original {
                        return Choice::Refuse(Why::NoServer);
                    }
                }
            }
        }
    }

    /// Whether the service has as many sessions with an upstream leg as may be.
    fn is_full(&mut self, at: u32, spec: &ProxySpec) -> bool {
        let (Some(most), Some(session)) = (spec.maximum, self.sessions.at(at)) else { return false };
        let service = session.service;
        let counters = self.counters(service);
        // Those that wait, this one among them where it does, are not served yet.
        counters.open.saturating_sub(counters.waiting) > u64::from(most)
    }

    /// Takes a place at a server of the group.
    fn pick(&mut self, at: u32, number: u16) -> Pick {
        let Self { groups, sessions, .. } = self;
        let (Some(balance), Some(session)) = (groups.get_mut(usize::from(number)), sessions.at(at)) else {
            return Pick::Nobody;
        };
        let client = session.ends.client.0;
        let mut picked = balance.group.pick(client, &session.tried);
        if picked.is_none() && session.tries > 0 {
            // All others have been tried or are out: those tried before may do it this time.
            session.tried = ServerSet::EMPTY;
            picked = balance.group.pick(client, &session.tried);
        }
        let Some(server) = picked else {
            return if balance.group.is_full() { Pick::Full } else { Pick::Nobody };
        };
        let Some(Some(member)) = balance.servers.get(server.index()) else { return Pick::Nobody };
        let number_of_server = member.spec.number;
        let endpoint = member.spec.endpoint;
        session.place = Some(Place { group: number, server, number: number_of_server });
        session.number = Some(number_of_server);
        balance.group.opened(server);
        self.server_counters(number_of_server).open += 1;
        Pick::Server(endpoint)
    }

    fn begin_attempt(&mut self, at: u32) {
        let now = self.now;
        let Some(session) = self.sessions.at(at) else { return };
        session.tries = session.tries.saturating_add(1);
        session.asked = now;
        session.probed = false;
        let (again, place, service) = (session.tries > 1, session.place, session.service);
        self.counters(service).retries += u64::from(again);
        if let Some(place) = place {
            self.server_counters(place.number).connects += 1;
        }
    }

    /// The five-tuple and the station of a leg to `endpoint`.
    fn lead(&mut self, sides: &[Side], at: u32, spec: &ProxySpec, endpoint: Endpoint) -> Lead {
        let Some(way) = super::route::way(sides, endpoint.address, spec.egress) else { return Lead::NoWay };
        let Some(session) = self.sessions.at(at) else { return Lead::NoWay };
        session.way = way;
        session.leg = FlowKey {
            remote: endpoint.address,
            remote_port: endpoint.port,
            protocol: session.key.protocol,
            link: way.link,
            ..FlowKey::default()
        };
        match self.station(way) {
            Some(mac) => self.equip(sides, at, spec, mac),
            None => Lead::Asking,
        }
    }

    /// The MAC address of a next hop; where it is not known it is asked for.
    pub(super) fn station(&self, way: super::route::Way) -> Option<Mac> {
        let (port, vlan, now) = (way.link as u16, (way.link >> 16) as u16, self.now.micros());
        if let Some(mac) = self.neighbours.lookup(port, vlan, way.next_hop, now) {
            return Some(mac);
        }
        match self.neighbours.resolve(port, vlan, way.next_hop, now) {
            Resolution::Known(mac) => Some(mac),
            Resolution::Asking | Resolution::Refused => None,
        }
    }

    /// Gives the leg its own end.
    fn equip(&mut self, sides: &[Side], at: u32, spec: &ProxySpec, mac: Mac) -> Lead {
        let Some(session) = self.sessions.at(at) else { return Lead::NoWay };
        let Some(side) = sides.get(session.leg.port_index()) else { return Lead::NoWay };
        let hashed = is_hashed(side.steering, self.workers);
        let remote = Endpoint { address: session.leg.remote, port: session.leg.remote_port };
        match &spec.source {
            Source::Client => {
                if session.ends.client.0.is_v4() != remote.address.is_v4() {
                    return Lead::NoWay;
                }
                (session.leg.local, session.leg.local_port) = session.ends.client;
            }
            Source::Own(addresses) => {
                let own = [session.way.own];
                let own = if addresses.is_empty() { &own[..] } else { addresses };
                let number = session.place.map(|place| place.number);
                match self.pools.take(own, hashed, remote) {
                    Ok(taken) => {
                        session.source = Some(taken);
                        (session.leg.local, session.leg.local_port) = taken.own;
                    }
                    Err(_) => {
                        if let Some(number) = number {
                            self.server_counters(number).exhausted += 1;
                        }
                        return Lead::NoPort;
                    }
                }
            }
        }
        let leg = session.leg;
        if hashed && self.reta.owner(self.toeplitz.hash(&leg), self.workers) != self.worker {
            if !self.passes {
                // Nobody would bring its packets here.
                return Lead::NoPort;
            }
            self.legs_apart += 1;
        }
        session.phase = Phase::Connecting;
        Lead::Open(leg, mac)
    }

    /// A session that waited for a station: goes on if that is known by now.
    pub(super) fn resolved(&mut self, sides: &[Side], at: u32, spec: &ProxySpec) -> Option<Choice> {
        let session = self.sessions.at(at)?;
        let (way, until, place) = (session.way, session.until, session.place);
        if place.is_some_and(|place| self.is_out(place)) {
            // It went out meanwhile, and nobody would end what was opened now.
            self.leave(at);
            return Some(self.choose(sides, at, spec, true));
        }
        match self.station(way) {
            Some(mac) => Some(match self.equip(sides, at, spec, mac) {
                Lead::Open(key, mac) => Choice::Open(key, mac),
                Lead::NoPort | Lead::NoWay | Lead::Asking => {
                    self.leave(at);
                    Choice::Refuse(Why::SourcePort)
                }
            }),
            None if self.now < until => None,
            None => {
                self.fail(at, Failure::Unreachable);
                Some(self.choose(sides, at, spec, true))
            }
        }
    }

    /// Whether a segment looks like one of a leg: from a server, to where legs come from.
    pub(crate) fn goes_to(&self, key: &FlowKey) -> bool {
        self.pools.goes_to(key.local, Endpoint { address: key.remote, port: key.remote_port })
    }

    /// Whether a server is out, or not listed any more.
    fn is_out(&self, place: Place) -> bool {
        let group = self.groups.get(usize::from(place.group)).map(|balance| &balance.group);
        matches!(group.and_then(|group| group.state(place.server)), None | Some(State::Out))
    }

    /// The five-tuple was in use: another source port, if there is one to choose.
    pub(super) fn exchange_port(&mut self, at: u32) -> Option<FlowKey> {
        let session = self.sessions.at(at)?;
        let taken = session.source.take()?;
        let next = self.pools.exchange(taken).ok()?;
        session.source = Some(next);
        (session.leg.local, session.leg.local_port) = next.own;
        Some(session.leg)
    }

    /// An attempt failed.
    pub(super) fn fail(&mut self, at: u32, how: Failure) {
        let Some(session) = self.sessions.at(at) else { return };
        let place = session.place;
        if let Some(place) = place {
            session.tried.insert(place.server);
            let counters = self.server_counters(place.number);
            match how {
                Failure::Refused => counters.refused += 1,
                Failure::Unanswered => counters.unanswered += 1,
                Failure::Unreachable => counters.unreachable += 1,
            }
            self.blame(place);
        }
        self.leave(at);
    }

    /// Notes that a server failed; leaves it out for a while where it did so too often and is not the last one.
    fn blame(&mut self, place: Place) {
        let now = self.now;
        let Some(balance) = self.groups.get_mut(usize::from(place.group)) else { return };
        let eject = balance.eject;
        let Some(Some(member)) = balance.servers.get_mut(place.server.index()) else { return };
        member.failures = member.failures.saturating_add(1);
        let Some(eject) = eject.filter(|eject| eject.failures > 0 && member.failures >= eject.failures)
        else {
            return;
        };
        member.failures = 0;
        let others = balance.group.servers().iter().filter(|server| **server != place.server);
        let mut others = others.map(|server| balance.group.is_in_service(*server));
        if !others.any(|takes| takes) {
            return;
        }
        let until = now + eject.time;
        let Some(Some(member)) = balance.servers.get(place.server.index()) else { return };
        member.spec.status.eject_until(until.micros());
        self.server_counters(place.number).ejections += 1;
        self.apply_status();
    }

    /// Gives back what the session's leg held.
    pub(super) fn leave(&mut self, at: u32) {
        let Some(session) = self.sessions.at(at) else { return };
        let (place, source) = (session.place.take(), session.source.take());
        if let Some(taken) = source {
            self.pools.give_back(taken);
        }
        if let Some(place) = place {
            if let Some(balance) = self.groups.get_mut(usize::from(place.group)) {
                balance.group.closed(place.server);
            }
            let counters = self.server_counters(place.number);
            counters.open = counters.open.saturating_sub(1);
        }
        self.room = true;
    }

    /// The leg is established.
    pub(super) fn arrived(&mut self, at: u32) {
        let now = self.now;
        let Some(session) = self.sessions.at(at) else { return };
        session.phase = Phase::Relaying;
        session.joined = true;
        let (service, place) = (session.service, session.place);
        let (took, all): (Duration, Duration) = (now.since(session.asked), now.since(session.began));
        let counters = self.counters(service);
        counters.established += 1;
        counters.connect_times.add(all);
        if let Some(place) = place {
            let counters = self.server_counters(place.number);
            counters.established += 1;
            counters.connect_times.add(took);
            if let Some(member) = self.member(place.group, place.server) {
                member.failures = 0;
            }
        }
    }
}

enum Pick {
    Server(Endpoint),
    Full,
    Nobody,
}

enum Lead {
    Open(FlowKey, Mac),
    Asking,
    NoPort,
    NoWay,
}
