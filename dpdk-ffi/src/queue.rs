//! Receive and transmit queues of a started port.
//!
//! Invariant: one owner per queue. A queue is neither `Copy`, `Clone` nor `Sync` and every burst takes `&mut self`, which
//! is DPDK's demand that no two threads poll one queue. A queue keeps its port open.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;
use dpdk_sys::rte_mempool;

use crate::burst;
use crate::mbuf::{Mbuf, raw};
use crate::port::{PortId, PortInner};

/// Mbufs a burst usually holds.
pub const BURST: usize = 32;

/// A receive queue.
///
/// ```compile_fail,E0599
/// fn twice(queue: dpdk_ffi::queue::RxQueue) {
///     let _ = queue.clone();
/// }
/// ```
/// ```compile_fail,E0277
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<dpdk_ffi::queue::RxQueue>();
/// ```
#[derive(Debug)]
pub struct RxQueue {
    port: Arc<PortInner>,
    id: u16,
    queue: u16,
    _not_sync: PhantomData<Cell<()>>,
}

impl RxQueue {
    pub(crate) fn new(port: Arc<PortInner>, queue: u16) -> Self {
        let id = port.id().0;
        Self { port, id, queue, _not_sync: PhantomData }
    }

    /// Appends received packets to `to`, at most its free capacity, and returns how many. Never waits, never allocates.
    ///
    /// Offer room for a whole [`BURST`]: some drivers receive nothing into less than 4 places.
    #[inline]
    pub fn rx_burst<const N: usize>(&mut self, to: &mut ArrayVec<Mbuf, N>) -> usize {
        let (id, queue) = (self.id, self.queue);
        // SAFETY: the port is started and stays so while self.port is held, and the queue exists; &mut self on a type that
        // cannot be duplicated makes this its only reader. DPDK writes at most `room` live mbufs and gives them away.
        unsafe {
            burst::fill(to, |spare, room| {
                usize::from(dpdk_sys::shim_rte_eth_rx_burst(id, queue, spare, clamp(room)))
            })
        }
    }

    /// The port it belongs to.
    #[must_use]
    pub fn port(&self) -> PortId {
        self.port.id()
    }

    /// Its number on the port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.queue
    }
}

/// A transmit queue.
///
/// ```compile_fail,E0599
/// fn twice(queue: dpdk_ffi::queue::TxQueue) {
///     let _ = queue.clone();
/// }
/// ```
/// ```compile_fail,E0277
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<dpdk_ffi::queue::TxQueue>();
/// ```
#[derive(Debug)]
pub struct TxQueue {
    port: Arc<PortInner>,
    id: u16,
    queue: u16,
    /// The one pool all mbufs must come from, when the driver frees them without looking (`mbuf_fast_free`).
    only_pool: Option<NonNull<rte_mempool>>,
    refused: u64,
    _not_sync: PhantomData<Cell<()>>,
}

// SAFETY: the pool pointer is only compared, never followed.
unsafe impl Send for TxQueue {}

impl TxQueue {
    pub(crate) fn new(port: Arc<PortInner>, queue: u16) -> Self {
        let id = port.id().0;
        let only_pool = port.fast_free_pool().and_then(|pool| NonNull::new(pool.as_ptr()));
        Self { port, id, queue, only_pool, refused: 0, _not_sync: PhantomData }
    }

    /// Sends from the front of `from` and returns how many the port took. Those are gone from the vector; what the port
    /// had no room for stays, in order. Never waits, never allocates.
    ///
    /// Packets in several segments need the `multi_segs` offload. With `mbuf_fast_free` in effect, packets that are not
    /// one single buffer of the port's own pool are freed instead of sent, and counted in [`Self::refused`]: the driver
    /// would put them into the wrong pool.
    #[inline]
    pub fn tx_burst<const N: usize>(&mut self, from: &mut ArrayVec<Mbuf, N>) -> usize {
        if let Some(pool) = self.only_pool {
            self.refused += refuse_foreign(from, pool);
        }
        let (id, queue) = (self.id, self.queue);
        // SAFETY: the port is started and stays so while self.port is held, and the queue exists; &mut self on a type that
        // cannot be duplicated makes this its only writer. DPDK owns the mbufs it says it took.
        unsafe {
            burst::drain(from, |mbufs, n| {
                usize::from(dpdk_sys::shim_rte_eth_tx_burst(id, queue, mbufs, clamp(n)))
            })
        }
    }

    /// Lets the driver make offload requests ready: pseudo-header checksums where it wants them, limits checked. Returns
    /// how many packets from the front are fit to be sent; the one behind them, if any, is not.
    ///
    /// Needed before [`Self::tx_burst`] whenever packets carry a checksum or segmentation request.
    #[inline]
    pub fn tx_prepare<const N: usize>(&mut self, mbufs: &mut ArrayVec<Mbuf, N>) -> usize {
        let n = clamp(mbufs.len());
        // SAFETY: as in tx_burst; the call changes the packets' bytes but takes none of them.
        usize::from(unsafe {
            dpdk_sys::shim_rte_eth_tx_prepare(self.id, self.queue, mbufs.as_mut_ptr().cast(), n)
        })
    }

    /// Packets freed instead of sent because `mbuf_fast_free` cannot carry them.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The port it belongs to.
    #[must_use]
    pub fn port(&self) -> PortId {
        self.port.id()
    }

    /// Its number on the port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.queue
    }
}

#[inline]
fn refuse_foreign<const N: usize>(mbufs: &mut ArrayVec<Mbuf, N>, pool: NonNull<rte_mempool>) -> u64 {
    // SAFETY: every mbuf in the vector is live and ours.
    let fits = |mbuf: &Mbuf| unsafe { raw::pool(mbuf.as_ptr()) } == pool.as_ptr() && mbuf.is_contiguous();
    if mbufs.iter().all(fits) {
        return 0;
    }
    let before = mbufs.len();
    mbufs.retain(|mbuf| fits(mbuf));
    (before - mbufs.len()) as u64
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation)]
fn clamp(n: usize) -> u16 {
    n.min(u16::MAX as usize) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eal::{Eal, EalOptions};
    use crate::mempool::{Mempool, MempoolOptions};

    #[test]
    fn fast_free_refuses_what_another_pool_owns() {
        let eal = Eal::init(&EalOptions { memory_mb: 64, ..Default::default() }).unwrap();
        let small = MempoolOptions { mbufs: 15, cache: 0, ..Default::default() };
        let (own, other) =
            (Mempool::new(&eal, "own", &small).unwrap(), Mempool::new(&eal, "other", &small).unwrap());
        let only = NonNull::new(own.as_ptr()).unwrap();
        let mut mbufs = ArrayVec::<Mbuf, 8>::new();
        for (i, pool) in (0..).zip([&own, &other, &own, &other, &other, &own]) {
            let mut mbuf = pool.alloc().unwrap();
            mbuf.append(i).unwrap();
            mbufs.push(mbuf);
        }
        assert_eq!(refuse_foreign(&mut mbufs, only), 3);
        assert_eq!(mbufs.iter().map(Mbuf::len).collect::<Vec<_>>(), [0, 2, 5]);
        assert_eq!((own.in_use(), other.in_use()), (3, 0));
        assert_eq!(refuse_foreign(&mut mbufs, only), 0);
        assert_eq!(mbufs.len(), 3);
    }
}
