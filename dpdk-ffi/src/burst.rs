//! Bursts of mbufs as arrays of pointers.
//!
//! Invariant: an mbuf is in the vector or with DPDK, never both.

use core::ptr;

use arrayvec::ArrayVec;
use dpdk_sys::rte_mbuf;

use crate::mbuf::Mbuf;

/// Lets `receive` fill the free space of `to` and takes over as many mbufs as it says; `receive` gets pointer and room.
///
/// # Safety
/// `receive` writes no more than `room` pointers and returns how many of them, from the first on, are live chains whose
/// only owner is now the caller.
#[inline(always)]
pub(crate) unsafe fn fill<const N: usize>(
    to: &mut ArrayVec<Mbuf, N>,
    receive: impl FnOnce(*mut *mut rte_mbuf, usize) -> usize,
) -> usize {
    let (len, room) = (to.len(), to.remaining_capacity());
    // SAFETY: the spare capacity starts at len; Mbuf is a transparent pointer.
    let spare = unsafe { to.as_mut_ptr().add(len).cast::<*mut rte_mbuf>() };
    let got = receive(spare, room).min(room);
    // SAFETY: the caller promises that `got` elements are initialised and ours.
    unsafe { to.set_len(len + got) };
    got
}

/// Lets `send` take mbufs from the front of `from`; those it took leave the vector, the rest moves up in order.
///
/// # Safety
/// `send` returns how many of the pointers, from the first on, it took ownership of.
#[inline(always)]
pub(crate) unsafe fn drain<const N: usize>(
    from: &mut ArrayVec<Mbuf, N>,
    send: impl FnOnce(*mut *mut rte_mbuf, usize) -> usize,
) -> usize {
    let len = from.len();
    let first = from.as_mut_ptr();
    let sent = send(first.cast(), len).min(len);
    // SAFETY: sent <= len, so the tail is inside the vector; forgetting the front is right because `send` owns it now.
    unsafe {
        if sent < len && sent > 0 {
            ptr::copy(first.add(sent), first, len - sent);
        }
        from.set_len(len - sent);
    }
    sent
}
