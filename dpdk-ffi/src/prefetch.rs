//! Asking for a cache line before it is needed.
//!
//! Invariant: nothing is read, so any place will do.

/// Has the line of `place` fetched, without waiting for it. Does nothing on processors other than x86-64.
#[inline(always)]
pub fn prefetch<T>(place: &T) {
    let place = core::ptr::from_ref(place).cast::<i8>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint; it reads nothing that the program could see, and never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
