//! Whether a server takes sessions, as all workers, health checks and operators see it.
//!
//! Invariant: plain atomics, written when something changes (a verdict of a health check, an ejection, an operator's
//! word) and read by workers between turns, and there only after [`Changes`] has moved: no packet looks at them.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::Arc;

use super::balance::State;

/// Counts changes of any server's status.
#[derive(Debug, Default)]
pub struct Changes(AtomicU64);

impl Changes {
    /// How many there were.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Acquire)
    }

    fn note(&self) {
        self.0.fetch_add(1, Release);
    }
}

/// What an operator says of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Admin {
    /// It takes sessions.
    #[default]
    Enabled,
    /// It keeps those it has and takes no new ones.
    Draining,
    /// It takes none, and those it has are reset.
    Disabled,
}

impl Admin {
    /// Its name in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// What health checks say of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// Nothing yet, or there are no checks: it counts as up.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl Health {
    /// Its name in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The status of one server.
#[derive(Debug)]
pub struct ServerStatus {
    changes: Arc<Changes>,
    admin: AtomicU8,
    health: AtomicU8,
    /// In microseconds of the workers' clock; 0 for never.
    ejected_until: AtomicU64,
}

impl ServerStatus {
    /// In service, not checked yet.
    #[must_use]
    pub fn new(changes: Arc<Changes>) -> Self {
        Self { changes, admin: AtomicU8::new(0), health: AtomicU8::new(0), ejected_until: AtomicU64::new(0) }
    }

    /// What an operator said last.
    #[must_use]
    pub fn admin(&self) -> Admin {
        match self.admin.load(Relaxed) {
            0 => Admin::Enabled,
            1 => Admin::Draining,
            _ => Admin::Disabled,
        }
    }

    /// An operator's word.
    pub fn set_admin(&self, admin: Admin) {
        self.admin.store(admin as u8, Relaxed);
        self.changes.note();
    }

    /// What health checks say.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            0 => Health::Unknown,
            1 => Health::Up,
            _ => Health::Down,
        }
    }

    /// The verdict of health checks.
    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Relaxed);
        self.changes.note();
    }

    /// When a passive ejection ends, in microseconds of the workers' clock; 0: it was never ejected.
    #[must_use]
    pub fn ejected_until(&self) -> u64 {
        self.ejected_until.load(Relaxed)
    }

    /// Leaves the server out until then.
    pub fn eject_until(&self, micros: u64) {
        self.ejected_until.store(micros, Relaxed);
        self.changes.note();
    }

    /// All of it as the balancer takes it, at this moment.
    #[must_use]
    pub fn state(&self, now: u64) -> State {
        match (self.admin(), self.health()) {
            (Admin::Disabled, _) | (_, Health::Down) => State::Out,
            _ if self.ejected_until() > now => State::Out,
            (Admin::Draining, _) => State::Draining,
            (Admin::Enabled, _) => State::InService,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_all_words_counts_and_every_change_is_noticed() {
        let changes = Arc::new(Changes::default());
        let status = ServerStatus::new(Arc::clone(&changes));
        assert_eq!((status.state(0), changes.count()), (State::InService, 0));
        status.set_admin(Admin::Draining);
        assert_eq!(status.state(0), State::Draining);
        status.set_health(Health::Down);
        assert_eq!(status.state(0), State::Out);
        status.set_health(Health::Up);
        status.set_admin(Admin::Enabled);
        status.eject_until(100);
        assert_eq!((status.state(99), status.state(100)), (State::Out, State::InService));
        status.set_admin(Admin::Disabled);
        assert_eq!((status.state(100), changes.count()), (State::Out, 6));
        assert_eq!((status.admin().name(), status.health().name()), ("disabled", "up"));
    }
}
