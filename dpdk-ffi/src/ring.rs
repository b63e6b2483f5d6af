//! Handing mbufs from one thread to another over an `rte_ring`, without locks or allocation.
//!
//! Invariant: an mbuf is in a vector or in the ring, never both. There is one receiver; with [`Producers::Single`] there
//! is one sender too. What is still inside when the last end is dropped is freed.

use core::cell::Cell;
use core::ffi::c_uint;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::sync::Arc;

use arrayvec::ArrayVec;
use dpdk_sys::rte_ring;

use crate::burst;
use crate::eal::{Eal, EalInner};
use crate::error::{Error, Result};
use crate::mbuf::Mbuf;
use crate::text;

/// How many threads send into a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Producers {
    /// One: cheapest; the sender cannot be duplicated.
    Single,
    /// Any number, each with its own [`MbufSender::try_clone`].
    Multi,
}

/// The sending end.
#[derive(Debug)]
pub struct MbufSender {
    ring: Arc<RingInner>,
    _not_sync: PhantomData<Cell<()>>,
}

/// The receiving end: there is one per ring.
///
/// ```compile_fail,E0599
/// fn twice(receiver: dpdk_ffi::ring::MbufReceiver) {
///     let _ = receiver.clone();
/// }
/// ```
#[derive(Debug)]
pub struct MbufReceiver {
    ring: Arc<RingInner>,
    _not_sync: PhantomData<Cell<()>>,
}

#[derive(Debug)]
struct RingInner {
    ring: NonNull<rte_ring>,
    capacity: usize,
    producers: Producers,
    _eal: Arc<EalInner>,
}

// SAFETY: rte_ring is made for concurrent use; that each side is used by as many threads as its flags allow is ensured by
// the ends, which take &mut self, are not Sync and are duplicated only where that is allowed.
unsafe impl Send for RingInner {}
// SAFETY: as above.
unsafe impl Sync for RingInner {}

/// Makes a ring that holds `size - 1` mbufs. `size` is a power of two; the name is unique and at most 28 bytes long.
///
/// # Errors
/// An impossible size or name, a name in use, or no memory.
pub fn mbuf_ring(
    eal: &Eal,
    name: &str,
    size: u32,
    producers: Producers,
) -> Result<(MbufSender, MbufReceiver)> {
    let what = || format!("ring {name:?}");
    if !size.is_power_of_two() || size < 2 {
        return Err(Error::invalid(
            what(),
            format!("size {size} is no power of two"),
            "use 64, 128, 256, ...",
        ));
    }
    if name.is_empty() || name.len() as u64 >= dpdk_sys::RTE_RING_NAMESIZE {
        return Err(Error::invalid(what(), "name is empty or too long", "use 1 to 28 bytes"));
    }
    let c_name = text::c_string("ring name", name)?;
    let mut flags = dpdk_sys::RING_F_SC_DEQ;
    if producers == Producers::Single {
        flags |= dpdk_sys::RING_F_SP_ENQ;
    }
    #[allow(clippy::cast_possible_truncation)]
    // SAFETY: DPDK is initialised; the name lives through the call. -1: memory from any NUMA socket.
    let ring = unsafe { dpdk_sys::rte_ring_create(c_name.as_ptr(), size, -1, flags as c_uint) };
    let Some(ring) = NonNull::new(ring) else {
        return Err(Error::last(format!("creating {} of {size} entries", what())));
    };
    // rte_ring tells full from empty by leaving one entry unused.
    let capacity = size as usize - 1;
    let ring = Arc::new(RingInner { ring, capacity, producers, _eal: Arc::clone(&eal.inner) });
    let sender = MbufSender { ring: Arc::clone(&ring), _not_sync: PhantomData };
    Ok((sender, MbufReceiver { ring, _not_sync: PhantomData }))
}

impl MbufSender {
    /// Sends from the front of `from` and returns how many fitted; the rest stays, in order.
    #[inline]
    pub fn send_burst<const N: usize>(&mut self, from: &mut ArrayVec<Mbuf, N>) -> usize {
        let ring = self.ring.as_ptr();
        // SAFETY: the ring is alive, and this sender is used by one thread at a time. The ring owns what it took.
        #[allow(clippy::cast_possible_truncation)]
        unsafe {
            burst::drain(from, |mbufs, n| {
                dpdk_sys::shim_rte_ring_enqueue_burst(ring, mbufs.cast(), n as c_uint) as usize
            })
        }
    }

    /// Another sender, for another thread; none when the ring was made for a single one.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        (self.ring.producers == Producers::Multi)
            .then(|| Self { ring: Arc::clone(&self.ring), _not_sync: PhantomData })
    }

    /// Mbufs inside now; a snapshot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the ring was empty just now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mbufs the ring can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity
    }
}

impl MbufReceiver {
    /// Appends what the ring holds to `to`, at most its free capacity, and returns how many.
    #[inline]
    pub fn receive_burst<const N: usize>(&mut self, to: &mut ArrayVec<Mbuf, N>) -> usize {
        // SAFETY: the ring is alive and this is its only receiver. It holds nothing but mbufs that senders gave away.
        unsafe { self.ring.receive(to) }
    }

    /// Mbufs inside now; a snapshot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the ring was empty just now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mbufs the ring can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity
    }
}

impl RingInner {
    #[inline]
    fn as_ptr(&self) -> *mut rte_ring {
        self.ring.as_ptr()
    }

    fn len(&self) -> usize {
        // SAFETY: the ring is alive.
        unsafe { dpdk_sys::shim_rte_ring_count(self.as_ptr()) as usize }
    }

    /// # Safety
    /// Nobody else receives at the same time.
    #[inline]
    unsafe fn receive<const N: usize>(&self, to: &mut ArrayVec<Mbuf, N>) -> usize {
        let ring = self.as_ptr();
        // SAFETY: the ring holds mbufs only, each given away by its sender; at most `room` are written.
        #[allow(clippy::cast_possible_truncation)]
        unsafe {
            burst::fill(to, |spare, room| {
                dpdk_sys::shim_rte_ring_dequeue_burst(ring, spare.cast(), room as c_uint) as usize
            })
        }
    }
}

impl Drop for RingInner {
    fn drop(&mut self) {
        let mut rest = ArrayVec::<Mbuf, 64>::new();
        // SAFETY: both ends are gone, so nobody else uses the ring.
        while unsafe { self.receive(&mut rest) } > 0 {
            Mbuf::free_bulk(&mut rest);
        }
        // SAFETY: empty and unused from here on.
        unsafe { dpdk_sys::rte_ring_free(ptr::from_mut(self.ring.as_mut())) };
    }
}
