//! What is heard of the UDP flows of sessions, both legs.
//!
//! Invariant: a datagram is passed on whole or not at all. The first one of a session whose server's station is not known
//! yet is kept until it is, in one of [`PLACES`] places; what comes meanwhile is given up and counted: UDP's users repeat
//! themselves.

use super::choose::Choice;
use super::conn::Of;
use super::{Phase, Proxies, SessionId, Todo};
use l3l4::Datagram;

/// Datagrams that may be kept, in each worker.
const PLACES: usize = 64;

/// First datagrams of sessions that wait for a station, in buffers that are used again.
#[derive(Default)]
pub(super) struct Kept {
    places: Vec<(SessionId, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl Kept {
    fn is_full(&self) -> bool {
        self.places.len() >= PLACES
    }

    fn keep(&mut self, id: SessionId, data: &[u8]) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(data);
        self.places.push((id, bytes));
    }

    fn give_up(&mut self, id: SessionId) {
        if let Some(at) = self.places.iter().position(|(kept, _)| *kept == id) {
            self.spare.push(self.places.swap_remove(at).1);
        }
    }

    /// Moves a session's datagram to `into`.
    fn take(&mut self, id: SessionId, into: &mut Vec<u8>) {
        into.clear();
        if let Some(at) = self.places.iter().position(|(kept, _)| *kept == id) {
            let (_, bytes) = self.places.swap_remove(at);
            into.extend_from_slice(&bytes);
            self.spare.push(bytes);
        }
    }
}

impl Proxies {
    /// The first datagram of a client.
    pub(crate) fn greet_datagram(&mut self, at: u32, datagram: &mut Datagram<'_>, of: Of<'_>) {
        match self.choose(of.sides, at, of.spec, true) {
            Choice::Open(key, mac) => {
                let id = self.sessions.id(at);
                self.early.session = id;
                self.early.end = false;
                self.early.bytes.clear();
                self.early.bytes.extend_from_slice(datagram.data());
                self.todo.push_back(Todo::Open { session: id, key, mac });
            }
            Choice::Resolve if !self.kept.is_full() => {
                let id = self.sessions.id(at);
                self.kept.keep(id, datagram.data());
                self.resolving.push_back(id);
            }
            // For room nobody waits, nor without a place to be kept in: the next datagram tries again.
            Choice::Resolve | Choice::Wait | Choice::Refuse(_) => self.put_off(at),
        }
    }

    /// Takes a session's kept datagram along, for a leg that is opened now.
    pub(super) fn take_kept(&mut self, id: SessionId) {
        self.early.session = id;
        self.early.end = false;
        self.kept.take(id, &mut self.early.bytes);
    }

    /// Forgets what is kept for sessions that do not wait any more.
    pub(super) fn forget_kept(&mut self) {
        let Self { kept, sessions, .. } = self;
        let mut at = 0;
        while let Some((id, _)) = kept.places.get(at) {
            if sessions.get(*id).is_some_and(|session| session.phase == Phase::Resolving) {
                at += 1;
            } else {
                let (_, bytes) = kept.places.swap_remove(at);
                kept.spare.push(bytes);
            }
        }
    }

    /// There is no upstream leg: the datagram is given up, and the session begins anew with the next one.
    pub(super) fn put_off(&mut self, at: u32) {
        self.leave(at);
        self.kept.give_up(self.sessions.id(at));
        let Some(session) = self.sessions.at(at) else { return };
        session.phase = Phase::Header;
        session.tries = 0;
        session.tried = crate::proxy::ServerSet::EMPTY;
        let service = session.service;
        self.counters(service).datagrams_early += 1;
    }

    /// A datagram of a session.
    pub(crate) fn on_datagram(&mut self, at: u32, datagram: &mut Datagram<'_>, of: Of<'_>) {
        let now = self.now;
        let Some(session) = self.sessions.at(at) else { return };
        session.active = now;
        let is_client = session.client == Some(datagram.id());
        let peer = if is_client { session.upstream } else { session.client };
        match (peer, session.phase) {
            (Some(peer), Phase::Relaying) => {
                datagram.relay(peer);
                self.count(at, is_client, datagram.bytes_in());
            }
            (None, Phase::Header) if is_client => self.greet_datagram(at, datagram, of),
            _ => {
                let service = session.service;
                self.counters(service).datagrams_early += 1;
            }
        }
    }
}
