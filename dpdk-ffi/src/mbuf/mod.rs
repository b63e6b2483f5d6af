//! One packet: a chain of buffers from a pool, owned by whoever holds the [`Mbuf`].
//!
//! Invariant: an `Mbuf` is the only reference to its chain. It is freed exactly once, on drop, unless a NIC or a ring
//! took it over. In every segment `data_off + data_len <= buf_len`, and the first segment's `pkt_len` is the sum of all
//! `data_len`; every method below keeps that.

mod offload;
pub(crate) mod raw;

use core::ffi::c_uint;
use core::ptr::NonNull;
use core::slice;

use arrayvec::ArrayVec;
use dpdk_sys::rte_mbuf;

pub use offload::{L4Checksum, RxChecksum, TxOffload};

/// A packet buffer. Freed on drop; `Send`, but neither `Clone` nor `Sync`.
///
/// ```compile_fail,E0599
/// fn twice(mbuf: dpdk_ffi::mbuf::Mbuf) {
///     let _ = mbuf.clone();
/// }
/// ```
#[repr(transparent)]
#[derive(Debug)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: an Mbuf is the sole owner of its chain, and DPDK lets any thread free into any pool.
unsafe impl Send for Mbuf {}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we own the chain and this is its last use.
        unsafe { dpdk_sys::shim_rte_pktmbuf_free(self.as_ptr()) }
    }
}

impl Mbuf {
    /// # Safety
    /// `mbuf` is a live chain with one reference, which passes to the result.
    #[inline]
    pub(crate) unsafe fn from_raw(mbuf: NonNull<rte_mbuf>) -> Self {
        Self(mbuf)
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut rte_mbuf {
        self.0.as_ptr()
    }

    /// The first segment's bytes (the whole packet if [`Self::is_contiguous`]).
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        // SAFETY: data_off + data_len lies inside the buffer, whose bytes are initialised and ours.
        unsafe { slice::from_raw_parts(data_start(self.as_ptr()), usize::from(self.len())) }
    }

    /// The first segment's bytes, to change.
    #[inline]
    #[must_use]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in data(), and &mut self makes it exclusive.
        unsafe { slice::from_raw_parts_mut(data_start(self.as_ptr()), usize::from(self.len())) }
    }

    /// Everything from the start of the data to the end of the first buffer, used or not. Write, then [`Self::set_len`].
    #[inline]
    #[must_use]
    pub fn room_mut(&mut self) -> &mut [u8] {
        // SAFETY: data_off..buf_len lies inside the buffer; pools zero it when made, so the bytes are initialised.
        unsafe { slice::from_raw_parts_mut(data_start(self.as_ptr()), usize::from(self.capacity())) }
    }

    /// Bytes in the first segment.
    #[inline]
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u16 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::data_len(self.as_ptr()) }
    }

    /// Bytes in all segments.
    #[inline]
    #[must_use]
    pub fn pkt_len(&self) -> u32 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::pkt_len(self.as_ptr()) }
    }

    /// Buffers in the chain.
    #[inline]
    #[must_use]
    pub fn segments(&self) -> u16 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::segments(self.as_ptr()) }
    }

    /// Whether one buffer holds the whole packet.
    #[inline]
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.segments() == 1
    }

    /// The port that received the packet (`u16::MAX` for a fresh mbuf).
    #[inline]
    #[must_use]
    pub fn port(&self) -> u16 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::port(self.as_ptr()) }
    }

    /// Says which port received the packet, for one that was put together in memory.
    #[inline]
    pub fn set_port(&mut self, port: u16) {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::set_port(self.as_ptr(), port) }
    }

    /// Free bytes in front of the data.
    #[inline]
    #[must_use]
    pub fn headroom(&self) -> u16 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::data_off(self.as_ptr()) }
    }

    /// Free bytes behind the data, in the last segment.
    #[inline]
    #[must_use]
    pub fn tailroom(&self) -> u16 {
        // SAFETY: the last segment is a live mbuf owned by us.
        unsafe {
            let last = self.last();
            raw::buf_len(last) - raw::data_off(last) - raw::data_len(last)
        }
    }

    /// Bytes from the start of the data to the end of the first buffer.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> u16 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::buf_len(self.as_ptr()) - raw::data_off(self.as_ptr()) }
    }

    /// Moves all bytes into the first buffer, at the cost of headroom if need be; false, and nothing moved, when even
    /// the whole buffer is too small.
    #[inline]
    pub fn linearize(&mut self) -> bool {
        self.is_contiguous() || self.join_segments()
    }

    #[cold]
    fn join_segments(&mut self) -> bool {
        let mbuf = self.as_ptr();
        // SAFETY: self is a live mbuf owned by us.
        let size = unsafe { raw::buf_len(mbuf) };
        let Ok(total) = u16::try_from(self.pkt_len()) else {
            return false;
        };
        let Some(spare) = size.checked_sub(total) else {
            return false;
        };
        // SAFETY: the data moves inside its buffer, to where the whole packet fits behind it; DPDK then appends the other
        // segments' bytes and frees those.
        unsafe {
            if spare < self.headroom() {
                let to = raw::buf_addr(mbuf).add(usize::from(spare));
                core::ptr::copy(data_start(mbuf), to, usize::from(self.len()));
                raw::set_data_off(mbuf, spare);
            }
            dpdk_sys::shim_rte_pktmbuf_linearize(mbuf) == 0
        }
    }

    /// Makes the packet `n` bytes longer at the front and returns those bytes (their content is arbitrary).
    #[inline]
    pub fn prepend(&mut self, n: u16) -> Option<&mut [u8]> {
        let offset = self.headroom().checked_sub(n)?;
        let len = self.len().checked_add(n)?;
        let total = self.pkt_len().checked_add(u32::from(n))?;
        // SAFETY: the new start is still inside the buffer, and so is the end, which did not move.
        unsafe {
            raw::set_data_off(self.as_ptr(), offset);
            raw::set_data_len(self.as_ptr(), len);
            raw::set_pkt_len(self.as_ptr(), total);
        }
        self.data_mut().get_mut(..usize::from(n))
    }

    /// Makes the packet `n` bytes longer at the end (in the last segment) and returns those bytes (arbitrary content).
    #[inline]
    pub fn append(&mut self, n: u16) -> Option<&mut [u8]> {
        if n > self.tailroom() {
            return None;
        }
        let total = self.pkt_len().checked_add(u32::from(n))?;
        // SAFETY: n fits the last segment's tailroom; its bytes are initialised and exclusively ours.
        unsafe {
            let last = self.last();
            let len = raw::data_len(last);
            raw::set_data_len(last, len + n);
            raw::set_pkt_len(self.as_ptr(), total);
            Some(slice::from_raw_parts_mut(data_start(last).add(usize::from(len)), usize::from(n)))
        }
    }

    /// Cuts `n` bytes off the front; false, and nothing cut, when the first segment has fewer.
    #[inline]
    pub fn adj(&mut self, n: u16) -> bool {
        let Some(len) = self.len().checked_sub(n) else {
            return false;
        };
        // SAFETY: the start moves by no more than the data's length, so it stays inside the buffer.
        unsafe {
            raw::set_data_off(self.as_ptr(), self.headroom() + n);
            raw::set_pkt_len(self.as_ptr(), self.pkt_len() - u32::from(n));
            raw::set_data_len(self.as_ptr(), len);
        }
        true
    }

    /// Cuts `n` bytes off the end; false, and nothing cut, when the last segment has fewer.
    #[inline]
    pub fn trim(&mut self, n: u16) -> bool {
        // SAFETY: the last segment is ours; it only gets shorter.
        unsafe {
            let last = self.last();
            let Some(len) = raw::data_len(last).checked_sub(n) else {
                return false;
            };
            raw::set_data_len(last, len);
            raw::set_pkt_len(self.as_ptr(), self.pkt_len() - u32::from(n));
        }
        true
    }

    /// Sets the packet's length, from the same start; false when it is in several segments or `n` exceeds
    /// [`Self::capacity`].
    #[inline]
    pub fn set_len(&mut self, n: u16) -> bool {
        if !self.is_contiguous() || n > self.capacity() {
            return false;
        }
        // SAFETY: n bytes from the start lie inside the buffer.
        unsafe {
            raw::set_data_len(self.as_ptr(), n);
            raw::set_pkt_len(self.as_ptr(), u32::from(n));
        }
        true
    }

    /// Frees all of them at once and leaves `mbufs` empty.
    #[inline]
    pub fn free_bulk<const N: usize>(mbufs: &mut ArrayVec<Mbuf, N>) {
        let n = mbufs.len();
        // SAFETY: the length is set to zero first, so the n chains have no other owner than this call. Mbuf is a
        // transparent pointer.
        unsafe {
            mbufs.set_len(0);
            #[allow(clippy::cast_possible_truncation)]
            dpdk_sys::rte_pktmbuf_free_bulk(mbufs.as_mut_ptr().cast(), n as c_uint);
        }
    }

    #[inline]
    fn last(&self) -> *mut rte_mbuf {
        let mut segment = self.as_ptr();
        for _ in 1..self.segments() {
            // SAFETY: nb_segs says that a next segment exists; all segments are ours.
            segment = unsafe { raw::next(segment) };
        }
        segment
    }
}

/// # Safety
/// `mbuf` is live.
#[inline]
unsafe fn data_start(mbuf: *mut rte_mbuf) -> *mut u8 {
    // SAFETY: data_off never exceeds buf_len.
    unsafe { raw::buf_addr(mbuf).add(usize::from(raw::data_off(mbuf))) }
}
