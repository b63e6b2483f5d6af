//! An upstream group as one worker sees it: which server takes the next flow, and how many each has.
//!
//! Invariant: [`Group::pick`] names a server that is listed, in service, of a weight above 0, below its maximum
//! and not among those to avoid; it names none only where there is no such server. A slot is given to another
//! server only when the former is not listed any more and has no open connection.

use std::sync::Arc;

use l3l4::Addr;

use super::roster::{Choice, Member, Roster};
use super::server_set::{Server, ServerSet};

/// Whether a server takes flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It takes new flows.
    #[default]
    InService,
    /// It keeps the flows it has and takes no new ones.
    Draining,
    /// Ejected or disabled. What becomes of its flows is the caller's business.
    Out,
}

/// A new roster cannot be taken: too many former servers still have open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for the new servers: former ones still have open connections")]
pub struct NoRoom;

/// What a worker knows of one server.
#[derive(Clone, Debug)]
struct Slot {
    name: Arc<str>,
    listed: bool,
    state: State,
    weight: u16,
    maximum: u32,
    open: u32,
    /// What it is owed by the turns so far, in units of weight.
    credit: i64,
}

impl Slot {
    fn new(member: &Member) -> Self {
        let mut slot = Self {
            name: Arc::clone(&member.name),
            listed: false,
            state: State::InService,
            weight: 0,
            maximum: 0,
            open: 0,
            credit: 0,
        };
        slot.list(member);
        slot
    }

    /// As the member is written. Whoever was not listed before starts in service.
    fn list(&mut self, member: &Member) {
        if !self.listed {
            self.state = State::InService;
        }
        self.listed = true;
        self.weight = member.weight;
        self.maximum = member.maximum.unwrap_or(u32::MAX);
    }

    fn is_in_service(&self) -> bool {
        self.listed && self.state == State::InService && self.weight > 0
    }

    fn takes_flows(&self) -> bool {
        self.is_in_service() && self.open < self.maximum
    }

    fn load(&self) -> Load {
        Load { open: self.open, weight: self.weight }
    }
}

/// Open connections in relation to a weight.
#[derive(Clone, Copy)]
struct Load {
    open: u32,
    weight: u16,
}

impl Load {
    fn is_below(self, other: Self) -> bool {
        u64::from(self.open) * u64::from(other.weight) < u64::from(other.open) * u64::from(self.weight)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Group {
    roster: Arc<Roster>,
    slots: Vec<Slot>,
    /// The server at each position of the roster.
    servers: Vec<Server>,
    worker: u16,
}

impl Group {
    /// The group at one worker, with every member in service and without connections. Workers begin their rounds
    /// at different servers.
    #[must_use]
    pub fn new(roster: Arc<Roster>, worker: u16) -> Self {
        let slots: Vec<_> = roster.members().iter().map(Slot::new).collect();
        let servers = (0..slots.len()).filter_map(Server::new).collect();
        let mut group = Self { roster, slots, servers, worker };
        group.begin();
        group
    }

    /// Takes another roster, between packets. Servers that stay keep their [`Server`], state and connections; those
    /// that are gone get no new flows and are forgotten with their last connection. Rounds begin anew.
    ///
    /// # Errors
    /// [`NoRoom`]: nothing has changed.
    pub fn update(&mut self, roster: Arc<Roster>) -> Result<(), NoRoom> {
        let mut slots = self.slots.clone();
        let members = roster.members();
        for slot in &mut slots {
            let stays = members.binary_search_by(|member| member.name.cmp(&slot.name)).is_ok();
            slot.listed &= stays;
            slot.credit = 0;
        }
        let mut servers = Vec::with_capacity(members.len());
        for member in members {
            let known = slots.iter().position(|slot| slot.name == member.name);
            let free = || slots.iter().position(|slot| !slot.listed && slot.open == 0);
            let at = known.or_else(free).unwrap_or(slots.len());
            servers.push(Server::new(at).ok_or(NoRoom)?);
            match slots.get_mut(at) {
                Some(slot) if known.is_some() => slot.list(member),
                Some(slot) => *slot = Slot::new(member),
                None => slots.push(Slot::new(member)),
            }
        }
        (self.roster, self.slots, self.servers) = (roster, slots, servers);
        self.begin();
        Ok(())
    }

    /// The server for a new flow from `source`, but none of those to `avoid`. The caller says [`Group::opened`]
    /// when the flow is made. None: nobody can take it.
    pub fn pick(&mut self, source: Addr, avoid: &ServerSet) -> Option<Server> {
        match self.roster.choice() {
            Choice::RoundRobin => self.turn(|server, slot| slot.takes_flows() && !avoid.contains(server)),
            Choice::LeastConnections => {
                let fits = |server: &&Server| !avoid.contains(**server);
                let loads = self.servers.iter().filter(fits).filter_map(|server| self.slot(*server));
                let loads = loads.filter(|slot| slot.takes_flows()).map(Slot::load);
                let least = loads.reduce(|least, load| if load.is_below(least) { load } else { least })?;
                self.turn(|server, slot| {
                    slot.takes_flows() && !avoid.contains(server) && !least.is_below(slot.load())
                })
            }
            Choice::Source => {
                let server = |position: u8| self.servers.get(usize::from(position)).copied();
                let fit =
                    |server| self.slot(server).is_some_and(Slot::takes_flows) && !avoid.contains(server);
                server(self.roster.table()?.find(source, |position| server(position).is_some_and(fit))?)
            }
        }
    }

    /// Whether there are servers in service, but none with room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let mut full = false;
        for slot in self.servers.iter().filter_map(|server| self.slot(*server)) {
            if slot.takes_flows() {
                return false;
            }
            full |= slot.is_in_service();
        }
        full
    }

    /// A flow to the server was made.
    #[inline]
    pub fn opened(&mut self, server: Server) {
        if let Some(slot) = self.slots.get_mut(server.index()) {
            slot.open = slot.open.saturating_add(1);
        }
    }

    /// A flow that was [`Group::opened`] is gone: once for each, or a slot is forgotten too early.
    #[inline]
    pub fn closed(&mut self, server: Server) {
        if let Some(slot) = self.slots.get_mut(server.index()) {
            slot.open = slot.open.saturating_sub(1);
        }
    }

    /// How many connections the server has from this worker.
    #[must_use]
    pub fn open(&self, server: Server) -> u32 {
        self.slot(server).map_or(0, |slot| slot.open)
    }

    /// Sets whether a server takes flows. With [`Choice::Source`] only its own sources move.
    pub fn set_state(&mut self, server: Server, state: State) {
        if let Some(slot) = self.slots.get_mut(server.index()) {
            slot.state = state;
        }
    }

    /// Whether the server takes flows, as [`Group::set_state`] said. None: it is not listed.
    #[must_use]
    pub fn state(&self, server: Server) -> Option<State> {
        self.slot(server).filter(|slot| slot.listed).map(|slot| slot.state)
    }

    /// Whether the server takes flows but for its maximum.
    #[must_use]
    pub fn is_in_service(&self, server: Server) -> bool {
        self.slot(server).is_some_and(Slot::is_in_service)
    }

    /// The listed server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<Server> {
        let position = self.roster.members().binary_search_by(|member| (*member.name).cmp(name)).ok()?;
        self.servers.get(position).copied()
    }

    /// The server at each position of the roster.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The servers as they are written down.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    fn slot(&self, server: Server) -> Option<&Slot> {
        self.slots.get(server.index())
    }

    /// Smooth weighted round robin, as nginx has it: everybody who is `fit` is owed its weight, the one who is
    /// owed most takes the flow and pays for all. Over as many turns as the weights sum up to, each takes exactly
    /// its weight, spread out; who is not fit keeps what it is owed and gains nothing.
    fn turn(&mut self, fit: impl Fn(Server, &Slot) -> bool) -> Option<Server> {
        let (mut total, mut first) = (0, None);
        for server in &self.servers {
            let Some(slot) = self.slots.get_mut(server.index()).filter(|slot| fit(*server, slot)) else {
                continue;
            };
            total += i64::from(slot.weight);
            slot.credit += i64::from(slot.weight);
            if first.is_none_or(|(_, credit)| slot.credit > credit) {
                first = Some((*server, slot.credit));
            }
        }
        let (server, credit) = first?;
        self.slots.get_mut(server.index())?.credit = credit - total;
        Some(server)
    }

    /// Skips as many turns as there are workers before this one.
    fn begin(&mut self) {
        if self.roster.choice() != Choice::Source {
            for _ in 0..self.worker {
                self.turn(|_, slot| slot.takes_flows());
            }
        }
    }
}

#[cfg(test)]
mod tests;
