//! Lists of sessions for operators, made between turns.
//!
//! Invariant: a step looks at a bounded number of sessions, and an answer that nobody takes is dropped.

use super::session::Session;
use crate::mailbox::{FlowView, SessionFilter, SessionView};
use crate::settings::Steering;
use crate::worker::Worker;
use l3l4::{FlowId, FlowKey};
use std::sync::mpsc::SyncSender;

/// Session slots looked at in one step of a listing.
const SLOTS_PER_STEP: usize = 512;

/// A list of sessions being made.
pub(crate) struct Listing {
    pub(crate) filter: SessionFilter,
    pub(crate) most: usize,
    pub(crate) next: usize,
    pub(crate) found: Vec<SessionView>,
    pub(crate) answer: SyncSender<Vec<SessionView>>,
}

impl Worker {
    /// Goes on with the first list of sessions asked for; sends it when it is full or at its end.
    pub(crate) fn list_sessions_on(&mut self) {
        let Some(mut listing) = self.session_listings.pop_front() else { return };
        let (slots, next) = self.cx.proxies.sessions.scan(listing.next, SLOTS_PER_STEP);
        for (_, session) in slots {
            let view = self.view(session);
            if listing.found.len() < listing.most && listing.filter.fits(&view) {
                listing.found.push(view);
            }
        }
        match next {
            Some(next) if listing.found.len() < listing.most => {
                listing.next = next;
                self.session_listings.push_front(listing);
            }
            _ => {
                // Nobody there to take it: not our concern.
                let _ = listing.answer.try_send(listing.found);
            }
        }
    }

    fn view(&self, session: &Session) -> SessionView {
        let leg = |id: Option<FlowId>| {
            let flow = self.engine.flow(id?, self.now)?;
            Some(FlowView { service: session.service, ..self.flow_view(&flow) })
        };
        let (client, upstream) = (leg(session.client), leg(session.upstream));
        let bytes = |leg: &Option<FlowView>, counted: u64| leg.as_ref().map_or(counted, |leg| leg.bytes_in);
        SessionView {
            worker: self.index,
            service: session.service,
            server: session.number,
            phase: session.phase.name(),
            homes: [self.home(&session.key), upstream.as_ref().and_then(|leg| self.home(&leg.key))],
            age: self.now.since(session.began),
            idle: self.now.since(session.active),
            bytes_up: bytes(&client, session.up),
            bytes_down: bytes(&upstream, session.down),
            client,
            upstream,
        }
    }

    /// The worker to which the port brings a flow's packets, where that follows from their hash.
    fn home(&self, key: &FlowKey) -> Option<u16> {
        match self.cx.sides.get(key.port_index())?.steering {
            _ if self.workers == 1 => Some(self.index),
            Steering::Rss | Steering::Software => {
                Some(self.reta.owner(self.toeplitz.hash(key), self.workers))
            }
            Steering::Auto | Steering::Queue => None,
        }
    }
}
