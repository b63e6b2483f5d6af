//! A session: a client leg, the upstream leg it is joined with, and how far that has come.
//!
//! Invariant: a session lives as long as one of its legs; a [`SessionId`] carries a generation, so that what waits in a
//! list for a session that is gone finds nothing.

use super::pools::Taken;
use super::route::Way;
use crate::proxy::{Server, ServerSet};
use l3l4::{Addr, FlowId, FlowKey, Instant};

/// How far a session has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The client has to say who it is (PROXY protocol).
    #[default]
    Header,
    /// No server has room.
    Waiting,
    /// The station of the server is being asked for.
    Resolving,
    /// The upstream leg is being opened.
    Connecting,
    /// Both legs are there.
    Relaying,
    /// It was given up, or one leg is gone.
    Closing,
}

impl Phase {
    /// Its name in listings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Waiting => "waiting",
            Self::Resolving => "resolving",
            Self::Connecting => "connecting",
            Self::Relaying => "relaying",
            Self::Closing => "closing",
        }
    }
}

/// A server that a session holds a place at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of its group.
    pub(crate) group: u16,
    pub(crate) server: Server,
    /// Its number, for counters.
    pub(crate) number: u16,
}

/// Who speaks to whom, as the upstream is to see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) client: (Addr, u16),
    pub(crate) dialled: (Addr, u16),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) client: Option<FlowId>,
    pub(crate) upstream: Option<FlowId>,
    /// The client leg's five-tuple.
    pub(crate) key: FlowKey,
    pub(crate) ends: Ends,
    pub(crate) service: u16,
    /// The services it was begun under: see `Context::editions`.
    pub(crate) edition: u16,
    pub(crate) phase: Phase,
    /// The client's SYN has not been answered yet.
    pub(crate) held: bool,
    /// It had an upstream leg that was established.
    pub(crate) joined: bool,
    /// The station of its server has been asked for once.
    pub(crate) probed: bool,
    /// Where it is being connected to, or was.
    pub(crate) place: Option<Place>,
    /// Number of the server it went to last, for counters: known beyond the leg's end.
    pub(crate) number: Option<u16>,
    pub(crate) source: Option<Taken>,
    pub(crate) leg: FlowKey,
    pub(crate) way: Way,
    pub(crate) tried: ServerSet,
    /// Attempts begun.
    pub(crate) tries: u8,
    pub(crate) began: Instant,
    /// When the attempt at hand began.
    pub(crate) asked: Instant,
    /// When data came last, on either leg.
    pub(crate) active: Instant,
    /// When waiting or resolving ends.
    pub(crate) until: Instant,
    /// Payload bytes counted so far, from the client and from the server.
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(super) generation: u32,
    pub(super) used: bool,
}

/// Handle of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionId {
    pub(crate) index: u32,
    generation: u32,
}

/// The sessions of one worker, in slots that are used again.
pub(crate) struct Sessions {
    slots: Vec<Session>,
    free: Vec<u32>,
    limit: usize,
}

impl Sessions {
    /// Room for `limit` of them. Untouched pages cost nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Self { slots: Vec::with_capacity(limit), free: Vec::with_capacity(limit), limit }
    }

    /// A new session; `None` where there are as many as may be.
    pub(crate) fn open(&mut self, session: Session) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            let slot = self.slots.get_mut(index as usize)?;
            *slot = Session { generation: slot.generation, used: true, ..session };
            return Some(index);
        }
        if self.slots.len() >= self.limit {
            return None;
        }
        self.slots.push(Session { used: true, ..session });
        Some((self.slots.len() - 1) as u32)
    }

    pub(crate) fn close(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| slot.used) {
            slot.used = false;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(index);
        }
    }

    pub(crate) fn id(&self, index: u32) -> SessionId {
        let generation = self.slots.get(index as usize).map_or(0, |slot| slot.generation);
        SessionId { index, generation }
    }

    /// The session of a flow. A flow's session is there as long as the flow is.
    #[inline]
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut Session> {
        self.slots.get_mut(index as usize).filter(|slot| slot.used)
    }

    /// The session of a handle, if it is still there.
    pub(crate) fn get(&mut self, id: SessionId) -> Option<&mut Session> {
        self.at(id.index).filter(|slot| slot.generation == id.generation)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slots from `from` on, at most `most` of them, and where to go on.
    pub(crate) fn scan(
        &self,
        from: usize,
        most: usize,
    ) -> (impl Iterator<Item = (u32, &Session)>, Option<usize>) {
        let end = (from + most).min(self.slots.len());
        let slots = self.slots.get(from..end).unwrap_or_default();
        let found = (from as u32..).zip(slots).filter(|(_, slot)| slot.used);
        (found, (end < self.slots.len()).then_some(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_and_used_again_under_another_generation() {
        let mut sessions = Sessions::new(2);
        let (a, b) = (sessions.open(Session::default()).unwrap(), sessions.open(Session::default()).unwrap());
        assert_eq!((a, b, sessions.open(Session::default()), sessions.len()), (0, 1, None, 2));
        let old = sessions.id(a);
        assert!(sessions.get(old).is_some());
        sessions.close(a);
        sessions.close(a);
        assert_eq!(
            (sessions.get(old).is_some(), sessions.at(a).is_some(), sessions.len()),
            (false, false, 1)
        );
        assert_eq!(sessions.open(Session { service: 7, ..Session::default() }), Some(a));
        assert!(sessions.get(old).is_none(), "another session");
        assert_eq!(sessions.at(a).unwrap().service, 7);
        let (found, next) = sessions.scan(0, 1);
        assert_eq!((found.count(), next), (1, Some(1)));
        let (found, next) = sessions.scan(1, 9);
        assert_eq!((found.count(), next), (1, None));
    }
}
