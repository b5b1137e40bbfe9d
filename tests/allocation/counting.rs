//! An allocator that counts what each thread asks of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// Requests of this thread.
    static OWN: Cell<u64> = const { Cell::new(0) };
    /// Whether this is a packet thread.
    static IS_PUMP: Cell<bool> = const { Cell::new(false) };
}

/// Requests of all packet threads.
static OF_PUMPS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator with a counter in front. Giving back is free.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn note() {
    OWN.set(OWN.get() + 1);
    if IS_PUMP.get() {
        OF_PUMPS.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe to implement")]
// SAFETY: every request goes to the system's allocator as it came; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How often this thread asks for memory while `work` runs.
pub(crate) fn requests(work: impl FnOnce()) -> u64 {
    let before = OWN.get();
    work();
    OWN.get() - before
}

/// From now on this thread counts as a packet thread.
pub(crate) fn mark_pump() {
    IS_PUMP.set(true);
}

/// Requests of all packet threads so far.
pub(crate) fn of_pumps() -> u64 {
    OF_PUMPS.load(Ordering::Relaxed)
}
