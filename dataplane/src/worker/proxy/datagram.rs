//! What is heard of the UDP flows of sessions, both legs.
//!
//! Invariant: a datagram is passed on whole or not at all. The first ones of a session whose server's station is not known
//! yet are given up and counted: UDP's users repeat themselves.

use super::choose::Choice;
use super::conn::Of;
use super::{Phase, Proxies, Todo};
use l3l4::Datagram;

impl Proxies {
    /// The first datagram of a client.
    pub(crate) fn greet_datagram(&mut self, at: u32, datagram: &mut Datagram<'_>, of: Of<'_>) {
        match self.choose(of.sides, at, of.spec, false) {
            Choice::Open(key, mac) => {
                let id = self.sessions.id(at);
                self.early.session = id;
                self.early.end = false;
                self.early.bytes.clear();
                self.early.bytes.extend_from_slice(datagram.data());
                self.todo.push_back(Todo::Open { session: id, key, mac });
            }
            // Nothing waits here: the next datagram tries again.
            Choice::Wait | Choice::Resolve | Choice::Refuse(_) => self.put_off(at),
        }
    }

    /// There is no upstream leg: the datagram is given up, and the session begins anew with the next one.
    fn put_off(&mut self, at: u32) {
        self.leave(at);
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
            _ => {}
        }
    }
}
