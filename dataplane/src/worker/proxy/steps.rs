//! What the worker does for sessions with its engine: right after a packet what callbacks have asked for, and between
//! turns what has to be looked at now and then.
//!
//! Invariant: each step is bounded. A leg is opened before anything else happens to its client, so its first bytes find
//! it.

use super::choose::{Choice, Why};
use super::route::way;
use super::{Phase, Proxies, SessionId, UPSTREAM_LEG};
use crate::neighbour::{Mac, Probe};
use crate::proxy::ProxySpec;
use crate::worker::Worker;
use crate::worker::network::Side;
use core::time::Duration;
use l3l4::{ConnectError, FlowId, FlowKey, Protocol};

/// Something that needs the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Todo {
    /// Open a session's upstream leg, to this station.
    Open { session: SessionId, key: FlowKey, mac: Mac },
    /// Find a server for a session whose client is not at hand.
    Begin(SessionId),
    /// Answer a client's SYN that was held back.
    Answer(FlowId),
    /// Reset a flow.
    Abort(FlowId),
}

/// Source ports tried for one leg whose five-tuples are in use.
const TRIES: usize = 4;
/// Sessions looked at in one step: those that wait, those that ask for a station, those of disabled servers.
const PER_STEP: usize = 256;
/// How often servers' stations are looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Sessions of a service that may be served from its queue at a time. While anybody waits all others go through it, too.
const SERVED: usize = 128;

impl Proxies {
    /// Whether the worker has something to do.
    #[inline]
    pub(crate) fn has_todo(&self) -> bool {
        !self.todo.is_empty()
    }

    pub(crate) fn next_todo(&mut self) -> Option<Todo> {
        self.todo.pop_front()
    }

    /// The session whose upstream leg is being opened this moment, and its station.
    pub(crate) fn opening(&self) -> Option<(u32, Mac)> {
        self.opening
    }

    /// The flow that was opened for it; returns the edition of services it goes by.
    pub(crate) fn opened(&mut self, at: u32, id: FlowId) -> Option<u16> {
        let session = self.sessions.at(at)?;
        session.upstream = Some(id);
        Some(session.edition)
    }

    /// A flow that no session could be made for.
    pub(crate) fn turn_away(&mut self, id: FlowId) {
        self.todo.push_back(Todo::Abort(id));
    }
}

impl Worker {
    /// Carries out what callbacks have left to do.
    #[cold]
    #[inline(never)]
    pub(crate) fn proxy_todo(&mut self) {
        while let Some(todo) = self.cx.proxies.next_todo() {
            match todo {
                Todo::Open { session, key, mac } => self.open_leg(session, key, mac),
                Todo::Begin(session) => self.begin_leg(session),
                Todo::Answer(id) => {
                    // A client that has gone meanwhile needs no answer.
                    let _ = self.engine.answer(id);
                }
                Todo::Abort(id) => {
                    let _ = self.engine.abort_flow(id);
                }
            }
        }
    }

    fn open_leg(&mut self, id: SessionId, key: FlowKey, mac: Mac) {
        let Some(session) = self.cx.proxies.sessions.get(id) else { return };
        let (client, service, edition) = (session.client, session.service, session.edition);
        let Some(client) = client else { return };
        let Some(spec) = self.cx.proxy_spec(edition, service) else { return };
        let (user, patience) = (u64::from(service) | UPSTREAM_LEG, spec.connect_timeout);
        let mut key = key;
        let mut opened = Err(ConnectError::InUse);
        self.cx.proxies.opening = Some((id.index, mac));
        for _ in 0..TRIES {
            opened = match key.protocol {
                Protocol::TCP => self.engine.connect(&mut self.cx, self.now, &key, user, patience),
                _ => self.engine.open_udp(&mut self.cx, self.now, &key, user),
            };
            if opened != Err(ConnectError::InUse) {
                break;
            }
            match self.cx.proxies.exchange_port(id.index) {
                Some(next) => key = next,
                None => break,
            }
        }
        self.cx.proxies.opening = None;
        let why = match opened {
            Ok(upstream) => {
                if self.hand_early(id, client, upstream, key.protocol) {
                    return;
                }
                let _ = self.engine.abort_flow(upstream);
                Why::Resources
            }
            Err(ConnectError::InUse) => Why::SourcePort,
            Err(_) => Why::Resources,
        };
        self.cx.proxies.give_up(id.index, why);
        self.cx.proxies.leave_unopened(id.index);
        let _ = self.engine.abort_flow(client);
    }

    /// Gives the upstream leg what was taken from the client; false where it cannot hold it.
    fn hand_early(&mut self, id: SessionId, client: FlowId, upstream: FlowId, protocol: Protocol) -> bool {
        let early = &mut self.cx.proxies.early;
        let (bytes, end) = match early.session == id {
            true => (core::mem::take(&mut early.bytes), core::mem::take(&mut early.end)),
            false => (Vec::new(), false),
        };
        let handed = if protocol == Protocol::TCP {
            let handed = bytes.is_empty() && !end || self.engine.give(upstream, &bytes, end) == bytes.len();
            // What the client's stack holds beyond that.
            self.engine.join(client, upstream);
            handed
        } else {
            self.cx.proxies.arrived(id.index);
            // A datagram that cannot be sent is lost, as on any link; the engine has counted it.
            let _ = self.engine.send_datagram(&mut self.cx, self.now, upstream, &bytes);
            true
        };
        if bytes.capacity() > 0 {
            self.cx.proxies.early.bytes = bytes;
        }
        handed
    }

    fn begin_leg(&mut self, id: SessionId) {
        let Some(session) = self.cx.proxies.sessions.get(id) else { return };
        let (service, edition, client) = (session.service, session.edition, session.client);
        let Some(spec) = self.cx.proxy_spec(edition, service) else { return };
        let chosen = self.cx.proxies.begin(&self.cx.sides, id.index, &spec);
        self.proceed(id, client, chosen, &spec);
    }

    /// Goes on with a session whose client is not at hand.
    fn proceed(&mut self, id: SessionId, client: Option<FlowId>, chosen: Choice, spec: &ProxySpec) {
        let proxies = &mut self.cx.proxies;
        let protocol = proxies.sessions.get(id).map_or(Protocol::TCP, |session| session.key.protocol);
        let why = match chosen {
            Choice::Open(key, mac) => {
                if protocol == Protocol::TCP {
                    proxies.write_header(id.index, spec);
                } else {
                    proxies.take_kept(id);
                }
                return self.open_leg(id, key, mac);
            }
            Choice::Resolve => return proxies.resolving.push_back(id),
            Choice::Wait if protocol == Protocol::UDP => return proxies.put_off(id.index),
            Choice::Wait if proxies.wait(id.index, spec) => return,
            Choice::Wait => Why::QueueFull,
            Choice::Refuse(why) => why,
        };
        proxies.give_up(id.index, why);
        if let Some(client) = client {
            let _ = self.engine.abort_flow(client);
        }
    }

    /// What sessions need between turns.
    pub(crate) fn proxy_housekeeping(&mut self) {
        self.cx.proxies.notice();
        if self.index == 0 {
            self.cx.proxies.keep_stations(&self.cx.sides);
        }
        self.ask_stations();
        self.serve_queues();
        self.run_checks();
        self.sweep_disabled();
        self.proxy_todo();
    }

    /// Asks for the stations that sessions wait for, and goes on with those that are known.
    fn ask_stations(&mut self) {
        self.cx.proxies.forget_kept();
        for _ in 0..self.cx.proxies.resolving.len().min(PER_STEP) {
            let Some(id) = self.cx.proxies.resolving.pop_front() else { break };
            let Some(session) = self.cx.proxies.sessions.get(id) else { continue };
            if session.phase != Phase::Resolving {
                continue;
            }
            let (service, edition, client) = (session.service, session.edition, session.client);
            let (way, fresh) = (session.way, !core::mem::replace(&mut session.probed, true));
            let Some(spec) = self.cx.proxy_spec(edition, service) else { continue };
            if fresh {
                // Asked for at once; from then on the prober sees to it.
                let (port, vlan) = (way.link as u16, (way.link >> 16) as u16);
                self.probe(&Probe { port, vlan, addr: way.next_hop, unicast: None });
            }
            match self.cx.proxies.resolved(&self.cx.sides, id.index, &spec) {
                Some(chosen) => self.proceed(id, client, chosen, &spec),
                None => self.cx.proxies.resolving.push_back(id),
            }
        }
    }

    /// Serves those that wait for a server with room, and sends away those that have waited for too long.
    fn serve_queues(&mut self) {
        if self.cx.proxies.awaited.is_empty() {
            return;
        }
        let room = core::mem::take(&mut self.cx.proxies.room);
        for at in 0..self.cx.proxies.awaited.len() {
            let service = self.cx.proxies.awaited[at];
            self.serve_queue(service, room);
        }
        let Proxies { awaited, waiting, .. } = &mut self.cx.proxies;
        awaited.retain(|service| waiting.get(usize::from(*service)).is_some_and(|list| !list.is_empty()));
    }

    fn serve_queue(&mut self, service: u16, room: bool) {
        let list = usize::from(service);
        let now = self.now;
        // Where the next one stands, and the edition of those before it, for which there is no room.
        let (mut at, mut full) = (0, None);
        for _ in 0..SERVED {
            let proxies = &mut self.cx.proxies;
            let Some(id) = proxies.waiting.get(list).and_then(|list| list.get(at).copied()) else { return };
            let Some(session) = proxies.sessions.get(id).filter(|session| session.phase == Phase::Waiting)
            else {
                proxies.waiting[list].remove(at);
                continue;
            };
            let (until, edition, client) = (session.until, session.edition, session.client);
            let late = now >= until;
            if !late && !room {
                return;
            }
            if !late && full == Some(edition) {
                at += 1;
                continue;
            }
            let Some(spec) = self.cx.proxy_spec(edition, service) else { return };
            let proxies = &mut self.cx.proxies;
            let counters = proxies.counters(service);
            counters.waiting = counters.waiting.saturating_sub(1);
            if late {
                proxies.waiting[list].remove(at);
                proxies.give_up(id.index, Why::QueueTimeout);
                if let Some(client) = client {
                    let _ = self.engine.abort_flow(client);
                }
                continue;
            }
            match proxies.choose(&self.cx.sides, id.index, &spec, true) {
                Choice::Wait => {
                    // It stays where it is, and so do those that wait for the same.
                    proxies.counters(service).waiting += 1;
                    if let Some(session) = proxies.sessions.get(id) {
                        (session.phase, session.until) = (Phase::Waiting, until);
                    }
                    (at, full) = (at + 1, Some(edition));
                }
                chosen => {
                    proxies.waiting[list].remove(at);
                    self.proceed(id, client, chosen, &spec);
                }
            }
        }
        // There may be room for more of them.
        self.cx.proxies.room |= full.is_none();
    }

    /// Resets the sessions of servers that an operator has disabled.
    fn sweep_disabled(&mut self) {
        let Some(from) = self.cx.proxies.sweep else { return };
        let Proxies { sessions, groups, .. } = &self.cx.proxies;
        let (found, next) = sessions.scan(from, PER_STEP);
        let disabled = |session: &super::Session| {
            let place = session.place?;
            let member = groups.get(usize::from(place.group))?.servers.get(place.server.index())?.as_ref()?;
            (member.spec.status.admin() == crate::proxy::Admin::Disabled).then_some(session.upstream?)
        };
        let legs: Vec<FlowId> = found.filter_map(|(_, session)| disabled(session)).collect();
        self.cx.proxies.sweep = next;
        for leg in legs {
            let _ = self.engine.abort_flow(leg);
        }
    }
}

impl Proxies {
    /// Looks whether the status of a server has changed.
    fn notice(&mut self) {
        if self.upstreams.changes.count() != self.seen || self.now.micros() >= self.next_end {
            self.apply_status();
        }
    }

    /// Looks up the station of every server once a second: what is in use the prober keeps known, so that sessions need
    /// not wait for it. Some groups in each step, until all had their turn.
    pub(super) fn keep_stations(&mut self, sides: &[Side]) {
        if self.now >= self.next_look {
            self.next_look = self.now + LOOK_EVERY;
            self.look = 0;
        }
        let mut looked = 0;
        while let Some(group) = self.upstreams.groups.get(self.look).filter(|_| looked < PER_STEP) {
            for way in group.servers.iter().filter_map(|server| way(sides, server.endpoint.address, None)) {
                let _ = self.station(way);
            }
            looked += group.servers.len().max(1);
            self.look += 1;
        }
    }

    /// The leg could not be opened: what was taken for it is given back.
    fn leave_unopened(&mut self, at: u32) {
        if self.sessions.at(at).is_some_and(|session| session.upstream.is_none()) {
            self.leave(at);
        }
    }
}
