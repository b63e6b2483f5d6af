//! Names of services and ports for the exporter, which only has their numbers.
//!
//! Invariant: a number that has a name keeps it. The exporter takes the lock only where the names have changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Names by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of services; see `dataplane::settings::Services`.
    pub services: Vec<Arc<str>>,
    /// Of ports.
    pub ports: Vec<Arc<str>>,
}

impl Names {
    /// The names given, in the order of their numbers.
    #[must_use]
    pub fn new<'a>(
        services: impl IntoIterator<Item = &'a str>,
        ports: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self {
            services: services.into_iter().map(Arc::from).collect(),
            ports: ports.into_iter().map(Arc::from).collect(),
        }
    }

    pub(super) fn service(&self, number: u16) -> Arc<str> {
        named(&self.services, number)
    }

    pub(super) fn port(&self, number: u16) -> Arc<str> {
        named(&self.ports, number)
    }
}

/// A number that has no name stands for itself.
fn named(names: &[Arc<str>], number: u16) -> Arc<str> {
    names.get(usize::from(number)).cloned().unwrap_or_else(|| number.to_string().into())
}

/// The names in force, as control puts them and the exporter reads them.
#[derive(Debug, Default)]
pub struct SharedNames {
    version: AtomicU64,
    names: Mutex<Names>,
}

impl SharedNames {
    /// With these to begin with.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { version: AtomicU64::new(1), names: Mutex::new(names) }
    }

    /// Puts others in force. To be called before the workers are given the services that have them.
    pub fn set(&self, names: Names) {
        // Nothing can panic while it is held.
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Those in force, if they are others than those of version `seen`, which is brought up to date.
    pub(super) fn newer(&self, seen: &mut u64) -> Option<Names> {
        let version = self.version.load(Ordering::Acquire);
        if version == *seen {
            return None;
        }
        *seen = version;
        Some(self.names.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_once_for_each_change() {
        let shared = SharedNames::new(Names::new(["web"], ["lan"]));
        let mut seen = 0;
        let names = shared.newer(&mut seen).expect("the first");
        assert_eq!((&*names.service(0), &*names.port(0), &*names.service(7)), ("web", "lan", "7"));
        assert_eq!(shared.newer(&mut seen), None);
        shared.set(Names::new(["web", "api"], ["lan"]));
        assert_eq!(&*shared.newer(&mut seen).expect("changed").service(1), "api");
        assert_eq!(shared.newer(&mut seen), None);
    }
}
