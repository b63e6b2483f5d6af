//! The name of a server within its group, and a small set of such names.
//!
//! Invariant: a [`Server`] is below [`SLOTS`], so it always has its bit.

/// How many servers a group can know: twice those it can list, so that a whole list can be replaced while
/// connections to the former servers are still open.
pub const SLOTS: usize = 512;

/// A server of one group. It names the same server for as long as that is listed or has open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server(u16);

impl Server {
    /// None from [`SLOTS`] up.
    pub(super) fn new(slot: usize) -> Option<Self> {
        (slot < SLOTS).then_some(Self(slot as u16))
    }

    /// A small number, below [`SLOTS`]; callers may keep their own state per server in an array indexed by it.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Servers of one group in one cache line, such as those a flow has tried in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerSet([u64; SLOTS / 64]);

impl ServerSet {
    /// No server.
    pub const EMPTY: Self = Self([0; SLOTS / 64]);

    /// Adds a server.
    #[inline]
    pub fn insert(&mut self, server: Server) {
        self.0[server.index() / 64] |= 1 << (server.index() % 64);
    }

    /// Whether the server is one of them.
    #[inline]
    #[must_use]
    pub const fn contains(&self, server: Server) -> bool {
        self.0[server.index() / 64] >> (server.index() % 64) & 1 != 0
    }
}

impl FromIterator<Server> for ServerSet {
    fn from_iter<I: IntoIterator<Item = Server>>(servers: I) -> Self {
        servers.into_iter().fold(Self::EMPTY, |mut set, server| {
            set.insert(server);
            set
        })
    }
}
