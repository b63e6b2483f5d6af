//! What is heard of the connections of sessions, both legs.
//!
//! Invariant: a client's bytes are taken over only where an upstream leg is about to be opened that can hold them; until
//! then they stay where they are and keep the client's window closed.

use super::choose::{Choice, Failure, Why};
use super::{EARLY, Ends, HELD_LEG, Phase, Proxies, Session, Todo};
use crate::neighbour::Mac;
use crate::proxy::header::{self, Read};
use crate::proxy::{ProxySpec, SendHeader};
use crate::worker::network::Side;
use core::time::Duration;
use l3l4::{CloseReason, Conn, FlowId, FlowKey, Protocol};

/// How long a client may take to say who it is.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How a leg ends that was never established.
const ATTEMPTED: [CloseReason; 2] = [CloseReason::Refused, CloseReason::Unanswered];

/// Where a flow belongs.
#[derive(Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) sides: &'a [Side],
    pub(crate) spec: &'a ProxySpec,
    pub(crate) service: u16,
    pub(crate) edition: u16,
}

impl Proxies {
    /// Makes the session of a client's flow; `None` where there are too many.
    pub(crate) fn open(&mut self, id: FlowId, key: &FlowKey, user: u64, of: Of<'_>) -> Option<u32> {
        let ends = Ends { client: (key.remote, key.remote_port), dialled: (key.local, key.local_port) };
        let session = Session {
            client: Some(id),
            key: *key,
            ends,
            service: of.service,
            edition: of.edition,
            phase: Phase::Header,
            held: user & HELD_LEG != 0,
            began: self.now,
            active: self.now,
            ..Session::default()
        };
        let opened = self.sessions.open(session);
        let counters = self.counters(of.service);
        match opened {
            Some(_) => {
                counters.sessions += 1;
                counters.open += 1;
            }
            None => counters.refused_limit += 1,
        }
        opened
    }

    /// A client whose SYN is answered later: its upstream leg comes first.
    pub(crate) fn begin_held(&mut self, at: u32) {
        self.todo.push_back(Todo::Begin(self.sessions.id(at)));
    }

    /// The client leg of a new session is there.
    pub(crate) fn greet(&mut self, at: u32, conn: &mut Conn<'_>, of: Of<'_>) {
        if of.spec.accept_header {
            conn.set_deadline(Some(HEADER_TIMEOUT));
            self.read_header(at, conn, of);
        } else {
            self.set_out(at, conn, of);
        }
    }

    fn read_header(&mut self, at: u32, conn: &mut Conn<'_>, of: Of<'_>) {
        let mut bytes = [0; header::MAX_READ];
        let len = conn.copy(&mut bytes);
        let len = match header::read(&bytes[..len]) {
            Read::Incomplete if len < bytes.len() && !conn.at_end() => return,
            Read::Incomplete | Read::Invalid(_) => return self.refuse_conn(at, conn, Why::Header),
            Read::Local { len } => len,
            Read::Proxied { len, ends } => {
                if let Some(session) = self.sessions.at(at) {
                    session.ends = Ends { client: ends.source, dialled: ends.destination };
                }
                len
            }
        };
        conn.take(len);
        conn.set_deadline(None);
        self.set_out(at, conn, of);
    }

    /// The session needs an upstream leg, and its client is at hand.
    fn set_out(&mut self, at: u32, conn: &mut Conn<'_>, of: Of<'_>) {
        match self.begin(of.sides, at, of.spec) {
            Choice::Open(key, mac) => {
                self.take_early(at, conn, of.spec);
                self.todo.push_back(Todo::Open { session: self.sessions.id(at), key, mac });
            }
            Choice::Resolve => self.resolving.push_back(self.sessions.id(at)),
            Choice::Wait => {
                if !self.wait(at, of.spec) {
                    self.refuse_conn(at, conn, Why::QueueFull);
                }
            }
            Choice::Refuse(why) => self.refuse_conn(at, conn, why),
        }
    }

    /// Takes over what the client has sent so far, as far as the upstream leg can hold it from the start.
    fn take_early(&mut self, at: u32, conn: &mut Conn<'_>, spec: &ProxySpec) {
        self.write_header(at, spec);
        let room = EARLY - self.early.bytes.len();
        if conn.pending() <= room {
            while conn.pending() > 0 {
                let part = conn.data();
                let len = part.len();
                self.early.bytes.extend_from_slice(part);
                conn.take(len);
            }
            self.early.end = conn.at_end();
        }
    }

    /// Puts the header that the upstream is to see in front of what is taken over.
    pub(super) fn write_header(&mut self, at: u32, spec: &ProxySpec) {
        let id = self.sessions.id(at);
        self.early.session = id;
        self.early.bytes.clear();
        self.early.end = false;
        let Some(session) = self.sessions.at(at) else { return };
        let ends = header::Ends {
            source: session.ends.client,
            destination: session.ends.dialled,
            protocol: Protocol::TCP,
        };
        let mut bytes = [0; header::MAX];
        let len = match spec.send_header {
            SendHeader::None => 0,
            SendHeader::V1 => header::write_v1(&ends, &mut bytes),
            SendHeader::V2 => header::write_v2(&ends, &mut bytes),
        };
        self.early.bytes.extend_from_slice(&bytes[..len]);
    }

    /// Lets the session wait for a server with room; false where too many wait already.
    pub(super) fn wait(&mut self, at: u32, spec: &ProxySpec) -> bool {
        let (id, until) = (self.sessions.id(at), self.now + spec.queue_timeout);
        let Some(session) = self.sessions.at(at) else { return false };
        let service = session.service;
        let waiting = usize::from(service);
        if self.counters(service).waiting >= u64::from(spec.queue) || waiting >= self.waiting.len() {
            return false;
        }
        if let Some(session) = self.sessions.at(at) {
            (session.phase, session.until) = (Phase::Waiting, until);
        }
        if self.counters(service).waiting == 0 && !self.awaited.contains(&service) {
            self.awaited.push(service);
        }
        self.counters(service).waiting += 1;
        if self.waiting[waiting].len() >= 2 * spec.queue as usize + 16 {
            // Many have left without having been served.
            let Self { waiting: lists, sessions, .. } = self;
            lists[waiting]
                .retain(|id| sessions.get(*id).is_some_and(|session| session.phase == Phase::Waiting));
        }
        self.waiting[waiting].push_back(id);
        true
    }

    /// Gives a session up whose client is at hand.
    fn refuse_conn(&mut self, at: u32, conn: &mut Conn<'_>, why: Why) {
        self.give_up(at, why);
        conn.abort();
    }

    /// Counts why a session is given up. Its legs are the caller's business.
    pub(super) fn give_up(&mut self, at: u32, why: Why) {
        let Some(session) = self.sessions.at(at) else { return };
        session.phase = Phase::Closing;
        let service = session.service;
        let counters = self.counters(service);
        let counter = match why {
            Why::NoServer => &mut counters.refused_no_server,
            Why::QueueFull => &mut counters.refused_queue_full,
            Why::QueueTimeout => &mut counters.refused_queue_timeout,
            Why::Connect => &mut counters.refused_connect,
            Why::SourcePort => &mut counters.refused_source_port,
            Why::Resources => &mut counters.refused_resources,
            Why::Header => &mut counters.refused_header,
        };
        *counter += 1;
    }

    /// The client leg of a session, as long as it is there, and its five-tuple.
    pub(crate) fn client_of(&mut self, at: u32) -> Option<(FlowId, FlowKey)> {
        let session = self.sessions.at(at)?;
        Some((session.client?, session.key))
    }

    /// Something changed for a leg of a session.
    pub(crate) fn on_conn(&mut self, at: u32, conn: &mut Conn<'_>, of: Of<'_>) {
        let now = self.now;
        let Some(session) = self.sessions.at(at) else { return conn.abort() };
        session.active = now;
        let is_client = session.client == Some(conn.id());
        let peer = if is_client { session.upstream } else { session.client };
        match session.phase {
            Phase::Relaying => {
                self.count(at, is_client, conn.bytes_in());
                match peer {
                    Some(peer) => conn.relay(peer),
                    // The other leg has ended well, so both sides have closed; what is left is on its way.
                    None if conn.pending() == 0 => {}
                    None => conn.abort(),
                }
            }
            Phase::Connecting if is_client => {
                if let Some(peer) = peer {
                    conn.relay(peer);
                }
            }
            Phase::Connecting => {
                let held = core::mem::take(&mut session.held);
                self.arrived(at);
                match peer {
                    Some(peer) => {
                        if held {
                            self.todo.push_back(Todo::Answer(peer));
                        }
                        conn.relay(peer);
                    }
                    None => conn.abort(),
                }
            }
            Phase::Header if is_client => self.read_header(at, conn, of),
            // What comes meanwhile waits.
            Phase::Header | Phase::Waiting | Phase::Resolving => {}
            Phase::Closing => conn.abort(),
        }
    }

    /// A leg has been silent for as long as it may be, or a client has not said who it is.
    pub(crate) fn on_deadline(&mut self, at: u32, conn: &mut Conn<'_>, of: Of<'_>) {
        let now = self.now;
        let Some(session) = self.sessions.at(at) else { return conn.abort() };
        let (phase, active, service) = (session.phase, session.active, session.service);
        match phase {
            Phase::Header => self.refuse_conn(at, conn, Why::Header),
            Phase::Relaying => {
                // The other leg may have had something to say.
                let idle = now.since(active);
                if idle < of.spec.idle_timeout {
                    conn.set_deadline(Some(of.spec.idle_timeout - idle));
                } else {
                    session.phase = Phase::Closing;
                    self.counters(service).idle_timeouts += 1;
                    conn.abort();
                }
            }
            Phase::Waiting | Phase::Resolving | Phase::Connecting => {}
            Phase::Closing => conn.abort(),
        }
    }

    /// How long a leg may be silent; `None`: that is not for this module to say.
    pub(crate) fn idle_timeout(&mut self, at: u32, spec: &ProxySpec) -> Option<Duration> {
        let session = self.sessions.at(at)?;
        (session.phase == Phase::Relaying).then_some(spec.idle_timeout)
    }

    /// Notes how many bytes have come on a leg by now.
    pub(super) fn count(&mut self, at: u32, is_client: bool, total: u64) {
        let Some(session) = self.sessions.at(at) else { return };
        let known = if is_client { &mut session.up } else { &mut session.down };
        let more = total.saturating_sub(*known);
        *known = total.max(*known);
        let (service, number) = (session.service, session.number);
        let counters = self.counters(service);
        *(if is_client { &mut counters.bytes_up } else { &mut counters.bytes_down }) += more;
        if let Some(number) = number {
            let counters = self.server_counters(number);
            *(if is_client { &mut counters.bytes_up } else { &mut counters.bytes_down }) += more;
        }
    }

    /// A flow is about to end, having received so much.
    pub(crate) fn on_totals(&mut self, at: u32, id: FlowId, bytes_in: u64) {
        if let Some(is_client) = self.sessions.at(at).map(|session| session.client == Some(id)) {
            self.count(at, is_client, bytes_in);
        }
    }

    /// The upstream leg could not be opened: the next attempt, if there is one.
    pub(crate) fn on_refused(&mut self, at: u32, reason: CloseReason, of: Of<'_>) -> Option<(FlowKey, Mac)> {
        let how = if reason == CloseReason::Refused { Failure::Refused } else { Failure::Unanswered };
        self.fail(at, how);
        self.try_again(at, of)
    }

    /// The five-tuple of the next attempt is in use, which is no fault of its server's.
    pub(crate) fn on_in_use(&mut self, at: u32, of: Of<'_>) -> Option<(FlowKey, Mac)> {
        if let Some(key) = self.exchange_port(at) {
            let way = self.sessions.at(at)?.way;
            return Some((key, self.station(way)?));
        }
        // There is no port to choose: perhaps there is one towards another server.
        if let Some(session) = self.sessions.at(at)
            && let Some(place) = session.place
        {
            session.tried.insert(place.server);
        }
        self.leave(at);
        self.try_again(at, of)
    }

    fn try_again(&mut self, at: u32, of: Of<'_>) -> Option<(FlowKey, Mac)> {
        self.sessions.at(at)?.client?;
        match self.choose(of.sides, at, of.spec, false) {
            Choice::Open(key, mac) => Some((key, mac)),
            // What the leg holds of the client's bytes could not wait without it.
            Choice::Wait => {
                self.give_up(at, Why::QueueFull);
                None
            }
            Choice::Resolve => None,
            Choice::Refuse(why) => {
                self.give_up(at, why);
                None
            }
        }
    }

    /// A leg is gone, and the other one goes after it unless both sides have closed.
    pub(crate) fn on_closed(&mut self, at: u32, id: FlowId, reason: CloseReason) {
        let now = self.now;
        let Some(session) = self.sessions.at(at) else { return };
        let is_client = session.client == Some(id);
        let other = if is_client { session.upstream } else { session.client };
        if is_client {
            session.client = None;
        } else {
            session.upstream = None;
        }
        let (phase, place, service) = (session.phase, session.place, session.service);
        let (joined, lasted) = (session.joined, now.since(session.began));
        if matches!(phase, Phase::Waiting) {
            let counters = self.counters(service);
            counters.waiting = counters.waiting.saturating_sub(1);
        }
        if !is_client && phase == Phase::Connecting && ATTEMPTED.contains(&reason) {
            // There was another attempt, but all five-tuples that were tried for it are in use.
            self.give_up(at, Why::SourcePort);
        }
        if !is_client {
            if let Some(place) = place.filter(|_| joined && reason == CloseReason::PeerReset) {
                self.server_counters(place.number).resets += 1;
            }
            self.leave(at);
        }
        if reason != CloseReason::Finished || !joined {
            if let Some(session) = self.sessions.at(at) {
                session.phase = Phase::Closing;
            }
            if let Some(other) = other {
                self.todo.push_back(Todo::Abort(other));
            }
        }
        if other.is_none() {
            // A place that was taken for a leg that never came to be.
            self.leave(at);
            self.sessions.close(at);
            let counters = self.counters(service);
            counters.open = counters.open.saturating_sub(1);
            if joined {
                counters.session_times.add(lasted);
            }
            self.room = true;
        }
    }
}
