//! What the receiving thread and the HTTP server share.
//!
//! Invariant: the store is locked for moments only: readers copy pointers out and work on those.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::decode::Limits;
use crate::event::Refusal;
use crate::store::{Bounds, Store};

/// A counter that only grows, or a number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, as long as there are fewer than `most`.
    pub(crate) fn enter(&self, most: u64) -> bool {
        let one_more = |now| (now < most).then_some(now + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counters of the viewer itself.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Messages that were no events, by reason.
    pub(crate) refused: [Count; Refusal::ALL.len()],
    /// Connections of browsers, now.
    pub(crate) clients: Count,
    /// Connections turned away because there were too many.
    pub(crate) clients_refused: Count,
    /// Live streams, now.
    pub(crate) live: Count,
    /// Times a live stream fell behind and had to begin anew.
    pub(crate) resyncs: Count,
    /// Requests refused for a wrong token or a strange `Host`.
    pub(crate) denied: Count,
    /// Errors at sockets.
    pub(crate) receive_errors: Count,
}

/// The shared state.
pub(crate) struct Shared {
    store: Mutex<Store>,
    pub(crate) limits: Limits,
    pub(crate) counts: Counts,
    /// The endpoints, for people.
    pub(crate) endpoints: Vec<String>,
    started: Instant,
}

impl Shared {
    pub(crate) fn new(bounds: Bounds, limits: Limits, endpoints: Vec<String>) -> Self {
        Self {
            store: Mutex::new(Store::new(bounds)),
            limits,
            counts: Counts::default(),
            endpoints,
            started: Instant::now(),
        }
    }

    /// The store. Not to be held over anything that waits.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the start.
    pub(crate) fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}
