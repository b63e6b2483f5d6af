//! The allocator of this program: while an owner is named, memory comes from that owner's own region.
//!
//! Invariant: regions are whole pages, hold what was allocated for their owner and nothing else, and no piece of one
//! is used twice. How much of a region is used stands at its beginning: allocating writes nothing outside of it.

use super::guard::{self, Range};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Whom memory is allocated for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The test itself; the system's allocator serves it.
    Nobody,
    /// Both workers: whatever is made before there are workers.
    Both,
    /// One worker.
    Worker(usize),
}

const REGIONS: usize = 3;
/// Address space of each; only what is used becomes memory.
const SIZE: usize = 512 << 20;

/// Which region allocations come from; `REGIONS` for none.
static CURRENT: AtomicUsize = AtomicUsize::new(REGIONS);
static BASE: AtomicUsize = AtomicUsize::new(0);

/// See the module.
pub struct Regions;

/// Reserves the regions; called once, first of all.
pub fn reserve() {
    BASE.store(guard::map(SIZE * REGIONS), Relaxed);
    (0..REGIONS).for_each(|region| used(region).store(size_of::<AtomicUsize>(), Relaxed));
}

/// Bytes used of a region that has been reserved.
fn used(region: usize) -> &'static AtomicUsize {
    let place = ptr::with_exposed_provenance(BASE.load(Relaxed) + region * SIZE);
    // SAFETY: zeroed, aligned memory that is never unmapped and is used for nothing else.
    unsafe { &*place }
}

/// Runs something that allocates for `owner`.
pub fn with<T>(owner: Owner, run: impl FnOnce() -> T) -> T {
    let region = match owner {
        Owner::Nobody => REGIONS,
        Owner::Both => 0,
        Owner::Worker(number) => 1 + number,
    };
    let before = CURRENT.swap(region, Relaxed);
    let result = run();
    CURRENT.store(before, Relaxed);
    result
}

/// The used part of an owner's region.
pub fn region(owner: Owner) -> Range {
    let (region, name) = match owner {
        Owner::Worker(0) => (1, "memory of worker 0"),
        Owner::Worker(_) => (2, "memory of worker 1"),
        _ => (0, "memory of both workers"),
    };
    let start = BASE.load(Relaxed) + region * SIZE;
    Range::new(name, start, used(region).load(Relaxed))
}

// SAFETY: memory comes from the system's allocator, or is a piece of a mapping that is never unmapped and of which no
// piece is handed out twice; pieces lie within the mapping and are aligned as asked.
unsafe impl GlobalAlloc for Regions {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        guard::note_allocation();
        let region = CURRENT.load(Relaxed);
        if region == REGIONS {
            // SAFETY: the caller keeps the contract of `alloc`, which is the same.
            return unsafe { System.alloc(layout) };
        }
        let used = used(region);
        let base = BASE.load(Relaxed) + region * SIZE;
        let start = (base + used.load(Relaxed)).next_multiple_of(layout.align());
        let end = start + layout.size();
        if end > base + SIZE {
            return ptr::null_mut();
        }
        // One thread allocates for owners, so nothing comes between the load and the store.
        used.store(end - base, Relaxed);
        ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let base = BASE.load(Relaxed);
        if base == 0 || !(base..base + SIZE * REGIONS).contains(&piece.addr()) {
            // SAFETY: it lies in no region, so the system's allocator gave it out, with this layout.
            unsafe { System.dealloc(piece, layout) };
        }
    }
}
