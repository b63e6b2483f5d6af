//! Threads that want DPDK's per-core mempool caches.
//!
//! Invariant: a thread is registered for exactly as long as its [`ThreadGuard`] lives, and no mempool is freed meanwhile.

use core::marker::PhantomData;
use std::sync::Arc;

use super::{Eal, EalInner};
use crate::error::{Error, Result};

/// DPDK's id of threads that are not registered.
const UNREGISTERED: u32 = u32::MAX;

/// Keeps the current thread registered with DPDK; made by [`Eal::register_thread`].
///
/// It stays on its thread:
/// ```compile_fail,E0277
/// fn needs_send<T: Send>() {}
/// needs_send::<dpdk_ffi::eal::ThreadGuard>();
/// ```
#[derive(Debug)]
pub struct ThreadGuard {
    eal: Arc<EalInner>,
    lcore: u32,
    _not_send: PhantomData<*const ()>,
}

impl Eal {
    /// Gives this thread an lcore id, and with it a cache of its own in every mempool, until the guard is dropped.
    ///
    /// Pin the thread first: DPDK notes the affinity it has now. With [`Hugepages::Dir`](super::Hugepages::Dir) the first
    /// registration makes DPDK refuse secondary processes (dumpcap, proc-info) that have not attached yet.
    ///
    /// # Errors
    /// When this thread is registered already, or all lcore ids are taken.
    pub fn register_thread(&self) -> Result<ThreadGuard> {
        if lcore_id() != UNREGISTERED {
            return Err(Error::invalid(
                "registering a thread",
                "it is registered already",
                "keep its first guard",
            ));
        }
        self.inner.note_registration();
        // SAFETY: DPDK is initialised (self exists) and this thread has no lcore id.
        if unsafe { dpdk_sys::rte_thread_register() } < 0 {
            let error = Error::last("registering a thread with DPDK");
            self.inner.note_unregistration();
            let limit = dpdk_sys::RTE_MAX_LCORE;
            return Err(error.with_hint(format!(
                "run at most {} threads, and detach secondary DPDK processes first",
                limit.saturating_sub(1)
            )));
        }
        Ok(ThreadGuard { eal: Arc::clone(&self.inner), lcore: lcore_id(), _not_send: PhantomData })
    }
}

impl ThreadGuard {
    /// The lcore id DPDK gave this thread.
    #[must_use]
    pub fn lcore(&self) -> u32 {
        self.lcore
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        // SAFETY: the guard is not Send, so this is the thread that was registered.
        unsafe { dpdk_sys::rte_thread_unregister() };
        self.eal.note_unregistration();
    }
}

fn lcore_id() -> u32 {
    // SAFETY: reads a thread-local variable.
    unsafe { dpdk_sys::shim_rte_lcore_id() }
}
