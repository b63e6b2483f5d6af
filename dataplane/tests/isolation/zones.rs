//! DPDK's memory: pools and rings, by the names of their memory zones; and its per-thread caches.

use super::guard::Range;
use std::ffi::c_void;

/// A memory zone; its layout is part of DPDK's stable interface.
#[repr(C, packed)]
struct Zone {
    name: [u8; 32],
    iova: u64,
    start: u64,
    len: usize,
    page_size: u64,
    socket: i32,
    flags: u32,
}

unsafe extern "C" {
    fn rte_memzone_walk(visit: unsafe extern "C" fn(*const Zone, *mut c_void), argument: *mut c_void);
    fn rte_thread_register() -> i32;
    fn rte_thread_unregister();
}

unsafe extern "C" fn visit(zone: *const Zone, all: *mut c_void) {
    // SAFETY: DPDK hands over a live zone, and `all` the vector of its own frame.
    let (zone, all) = unsafe { (&*zone, &mut *all.cast::<Vec<Range>>()) };
    let name = zone.name;
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    all.push(Range::new(&String::from_utf8_lossy(&name[..len]), zone.start as usize, zone.len));
}

/// Every zone there is. EAL has been started.
pub fn all() -> Vec<Range> {
    let mut all: Vec<Range> = Vec::new();
    // SAFETY: EAL runs; the callback gets the vector it expects, which outlives the call.
    unsafe { rte_memzone_walk(visit, (&raw mut all).cast()) };
    all
}

/// Runs something on a thread that has pool caches of its own, as the threads of workers have.
pub fn registered<T>(run: impl FnOnce() -> T) -> T {
    // SAFETY: EAL runs, and this thread has no number, or the call fails.
    assert!(unsafe { rte_thread_register() } >= 0);
    let result = run();
    // SAFETY: registered above.
    unsafe { rte_thread_unregister() };
    result
}
