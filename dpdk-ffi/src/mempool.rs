//! Pools of packet buffers.
//!
//! Invariant: a pool is freed only when no handle and no mbuf of it exists. An [`Mbuf`] carries no lifetime and may
//! outlive every handle, so a pool whose last handle goes while mbufs are out is kept (see [`leaked_mempools`]) and tried
//! again when DPDK stops. Every buffer is zeroed once when the pool is made, so its bytes are always initialised memory.

use core::ffi::{c_uint, c_void};
use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrayvec::ArrayVec;
use dpdk_sys::{rte_mbuf, rte_mempool};

use crate::eal::{Eal, EalInner};
use crate::error::{Error, Result};
use crate::mbuf::{Mbuf, raw};
use crate::text;

static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// How many pools of this process have lost their last handle while mbufs were still out (or threads still registered)
/// and could not be freed yet. Not zero at the end means something kept an mbuf: DPDK's cleanup is then skipped.
#[must_use]
pub fn leaked_mempools() -> usize {
    LEAKED.load(Ordering::Relaxed)
}

/// The free area in front of a fresh mbuf's data, in bytes.
#[allow(clippy::cast_possible_truncation)]
pub const HEADROOM: u16 = dpdk_sys::RTE_PKTMBUF_HEADROOM as u16;

/// Options of [`Mempool::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MempoolOptions {
    /// Number of mbufs. One less than a power of two wastes no memory.
    pub mbufs: u32,
    /// Mbufs each registered thread may keep to itself. 0 to 512, and at most two thirds of `mbufs`.
    pub cache: u32,
    /// Bytes per buffer, [`HEADROOM`] included.
    pub data_room: u16,
    /// The NUMA socket, or none for wherever there is memory.
    pub socket: Option<i32>,
}

impl Default for MempoolOptions {
    fn default() -> Self {
        Self { mbufs: 8191, cache: 256, data_room: 2048 + HEADROOM, socket: None }
    }
}

/// A handle on a pool; clones share it, and so may threads.
#[derive(Debug, Clone)]
pub struct Mempool {
    inner: Arc<MempoolInner>,
}

#[derive(Debug)]
struct MempoolInner {
    pool: RawPool,
    name: String,
    size: u32,
    data_room: u16,
    eal: Arc<EalInner>,
}

/// The bare pool. Whoever holds it decides when to call `try_free`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawPool(NonNull<rte_mempool>);

// SAFETY: DPDK's mempools may be used from every thread at once: without an lcore id through a multi-producer
// multi-consumer ring, with one through a cache only that thread touches.
unsafe impl Send for RawPool {}
// SAFETY: as above.
unsafe impl Sync for RawPool {}

impl RawPool {
    fn in_use(self) -> u32 {
        // SAFETY: the pool is alive: it is freed only by try_free, which ends the use of this value.
        unsafe { dpdk_sys::rte_mempool_in_use_count(self.0.as_ptr()) }
    }

    /// Frees the pool if all mbufs are home. The caller makes sure that no handle exists and no thread is registered.
    pub(crate) fn try_free(&mut self) -> bool {
        if self.in_use() != 0 {
            return false;
        }
        // SAFETY: no handle (caller), no mbuf outstanding, and every free went through the ring, whose count is published
        // by its last write: nobody is still inside the pool.
        unsafe { dpdk_sys::rte_mempool_free(self.0.as_ptr()) };
        LEAKED.fetch_sub(1, Ordering::Relaxed);
        true
    }
}

impl Drop for MempoolInner {
    fn drop(&mut self) {
        LEAKED.fetch_add(1, Ordering::Relaxed);
        self.eal.give_back(self.pool);
    }
}

impl Mempool {
    /// Makes a pool; its name is unique within the process and at most 25 bytes long.
    ///
    /// # Errors
    /// Impossible options, a name in use, or no memory for it.
    pub fn new(eal: &Eal, name: &str, options: &MempoolOptions) -> Result<Self> {
        check(name, options)?;
        let c_name = text::c_string("mempool name", name)?;
        // SAFETY: DPDK is initialised; the name lives through the call.
        let pool = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(
                c_name.as_ptr(),
                options.mbufs,
                options.cache,
                0,
                options.data_room,
                options.socket.unwrap_or(-1),
            )
        };
        let Some(pool) = NonNull::new(pool) else {
            return Err(pool_error(name, options));
        };
        // SAFETY: the pool is fresh, nobody else knows it, and the callback matches DPDK's contract.
        unsafe { dpdk_sys::rte_mempool_obj_iter(pool.as_ptr(), Some(zero_buffer), core::ptr::null_mut()) };
        let inner = MempoolInner {
            pool: RawPool(pool),
            name: name.to_owned(),
            size: options.mbufs,
            data_room: options.data_room,
            eal: Arc::clone(&eal.inner),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// An empty mbuf with [`HEADROOM`] in front, or none when the pool is empty.
    #[inline]
    #[must_use]
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool is alive while this handle is.
        let mbuf = unsafe { dpdk_sys::shim_rte_pktmbuf_alloc(self.as_ptr()) };
        // SAFETY: a non-null result is a fresh mbuf that belongs to nobody else.
        NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Appends `n` mbufs to `to`: all of them, or none and false when the pool or the space in `to` is short.
    #[inline]
    pub fn alloc_bulk<const N: usize>(&self, to: &mut ArrayVec<Mbuf, N>, n: usize) -> bool {
        if n > to.remaining_capacity() {
            return false;
        }
        let len = to.len();
        // SAFETY: len + n is within the capacity. Mbuf is a transparent pointer, so the spare space takes mbuf pointers;
        // after success (0) exactly n of them are fresh and ours, after failure none was written that counts.
        unsafe {
            let spare = to.as_mut_ptr().add(len).cast::<*mut rte_mbuf>();
            #[allow(clippy::cast_possible_truncation)]
            if dpdk_sys::shim_rte_pktmbuf_alloc_bulk(self.as_ptr(), spare, n as c_uint) != 0 {
                return false;
            }
            to.set_len(len + n);
        }
        true
    }

    /// Mbufs that can be had now, caches included. Walks the caches: not for the packet path.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is alive while this handle is.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.as_ptr()) }
    }

    /// Mbufs that are out: with the program, in rings, or in a NIC's queues. Walks the caches: not for the packet path.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.inner.pool.in_use()
    }

    /// Mbufs in all.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.inner.size
    }

    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Bytes per buffer, [`HEADROOM`] included.
    #[must_use]
    pub fn data_room(&self) -> u16 {
        self.inner.data_room
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.inner.pool.0.as_ptr()
    }
}

/// Two handles are equal when they share one pool.
impl PartialEq for Mempool {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Mempool {}

/// Called by DPDK for each mbuf of a fresh pool.
unsafe extern "C" fn zero_buffer(_: *mut rte_mempool, _: *mut c_void, object: *mut c_void, _: c_uint) {
    let mbuf = object.cast::<rte_mbuf>();
    // SAFETY: DPDK passes each initialised mbuf of the pool; its buffer is buf_len bytes at buf_addr, used by nobody yet.
    unsafe { core::ptr::write_bytes(raw::buf_addr(mbuf), 0, usize::from(raw::buf_len(mbuf))) };
}

fn check(name: &str, options: &MempoolOptions) -> Result<()> {
    let what = format!("mempool {name:?}");
    if name.is_empty() || name.len() as u64 >= dpdk_sys::RTE_MEMPOOL_NAMESIZE {
        return Err(Error::invalid(what, "name is empty or too long", "use 1 to 25 bytes"));
    }
    if options.mbufs == 0 {
        return Err(Error::invalid(what, "holds no mbufs", "ask for at least one, better 8191 or more"));
    }
    let most = dpdk_sys::RTE_MEMPOOL_CACHE_MAX_SIZE.min(u64::from(options.mbufs) * 2 / 3);
    if u64::from(options.cache) > most {
        return Err(Error::invalid(
            what,
            format!("a cache of {} is too large for {} mbufs", options.cache, options.mbufs),
            format!("use a cache of at most {most}"),
        ));
    }
    if options.data_room <= HEADROOM {
        return Err(Error::invalid(
            what,
            format!("data room {} leaves nothing behind the headroom", options.data_room),
            format!("use {HEADROOM} plus the largest frame, as in {}", 2048 + HEADROOM),
        ));
    }
    Ok(())
}

fn pool_error(name: &str, options: &MempoolOptions) -> Error {
    let error = Error::last(format!("creating mempool {name:?} of {} mbufs", options.mbufs));
    let mebibytes = (u64::from(options.mbufs) * (u64::from(options.data_room) + 256)).div_ceil(1 << 20);
    match error.errno() {
        Some(libc::ENOMEM) => error.with_hint(format!(
            "it needs about {mebibytes} MiB: give DPDK more memory (memory_mb, or `sysctl vm.nr_hugepages=...`) or ask for fewer mbufs"
        )),
        _ => error,
    }
}
