//! The servers of an upstream group as they are written down, checked and made ready to choose from.
//!
//! Invariant: a [`Roster`] never changes, and holds its members in the order of their names, each name once. It is
//! made outside of the packet path, again for every change, and shared by all workers.

use std::sync::Arc;

use super::maglev::{MAX_SERVERS, Maglev};

/// The largest weight.
pub const MAX_WEIGHT: u16 = 256;

/// How a new flow finds its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// In turn, by weight, without bursts.
    RoundRobin,
    /// Who has the fewest open connections for its weight; among equals in turn, by weight.
    LeastConnections,
    /// Always the same server for a source address ([`Maglev`]).
    Source,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is known by: unique within the group, and the same from one roster to the next.
    pub name: Arc<str>,
    /// Its share, 1 to [`MAX_WEIGHT`]; 0: it takes no new flows.
    pub weight: u16,
    /// How many open connections it may have from one worker.
    pub maximum: Option<u32>,
}

/// Why a roster cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Too many servers.
    #[error("{0} servers in one group: a group can have {MAX_SERVERS}")]
    TooMany(usize),
    /// Two servers of one name.
    #[error("the server {0} is in the group twice")]
    Twice(Arc<str>),
    /// A weight out of range.
    #[error("the server {0} has the weight {1}: write 0..={MAX_WEIGHT}")]
    Weight(Arc<str>, u16),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Roster {
    members: Box<[Member]>,
    choice: Choice,
    table: Option<Maglev>,
}

impl Roster {
    /// Checks and sorts the members; for [`Choice::Source`] fills the table, which takes milliseconds. Whoever
    /// knows the secret can choose addresses that meet at one server.
    ///
    /// # Errors
    /// [`RosterError`]: too many members, a name twice, a weight out of range.
    pub fn new(mut members: Vec<Member>, choice: Choice, secret: [u8; 16]) -> Result<Self, RosterError> {
        if members.len() > MAX_SERVERS {
            return Err(RosterError::TooMany(members.len()));
        }
        if let Some(heavy) = members.iter().find(|member| member.weight > MAX_WEIGHT) {
            return Err(RosterError::Weight(Arc::clone(&heavy.name), heavy.weight));
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some((twice, _)) = members.iter().zip(members.iter().skip(1)).find(|(a, b)| a.name == b.name) {
            return Err(RosterError::Twice(Arc::clone(&twice.name)));
        }
        let table = (choice == Choice::Source)
            .then(|| Maglev::new(members.iter().map(|member| (&*member.name, member.weight)), secret));
        Ok(Self { members: members.into(), choice, table })
    }

    /// A roster without members.
    #[must_use]
    pub fn empty() -> Self {
        Self { members: Box::default(), choice: Choice::RoundRobin, table: None }
    }

    /// The members in the order of their names. Where one stands is its position.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How a new flow finds its server.
    #[must_use]
    pub const fn choice(&self) -> Choice {
        self.choice
    }

    /// The table of [`Choice::Source`].
    #[must_use]
    pub const fn table(&self) -> Option<&Maglev> {
        self.table.as_ref()
    }
}

#[cfg(test)]
mod tests;
