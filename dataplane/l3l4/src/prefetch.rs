//! Asking for a cache line before it is needed.
//!
//! Invariant: nothing is read. The one use of `unsafe` here is sound for any address, since a prefetch never faults.
#![allow(unsafe_code)]

/// Has the line of `place` fetched, without waiting for it.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    let place = core::ptr::from_ref(place).cast::<i8>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint; it reads nothing that the program could see, and never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
