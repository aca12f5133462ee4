//! The allocator of this program: the system's, with counters for each thread.

#![allow(unsafe_code, reason = "an allocator cannot be written without it; this one passes everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    // Constants without a destructor: access allocates nothing, and they exist until the thread ends.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// Number of allocations of this thread, reallocations included.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// The bytes that this thread has allocated and not freed. Memory that another thread frees is not subtracted, so
/// compare two moments.
pub fn live() -> i64 {
    LIVE.get()
}

/// Resets the peak to the current number of bytes.
pub fn reset_peak() {
    PEAK.set(LIVE.get());
}

/// The peak of [`live`] since [`reset_peak`].
pub fn peak() -> i64 {
    PEAK.get()
}

fn count(freed: usize, taken: usize) {
    let live = LIVE.get() + taken as i64 - freed as i64;
    LIVE.set(live);
    if taken > 0 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        PEAK.set(PEAK.get().max(live));
    }
}

// SAFETY: every call is passed unchanged to the system's allocator; counting allocates nothing and cannot panic, as the
// sums stay far below overflow.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is the system allocator's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), size);
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_and_frees_are_counted() {
        let (before, live_before) = (allocations(), live());
        reset_peak();
        let mut bytes = Vec::<u8>::with_capacity(1000);
        bytes.reserve_exact(3000);
        assert_eq!((allocations() - before, live() - live_before), (2, 3000));
        drop(bytes);
        assert_eq!((live(), peak() - live_before), (live_before, 3000));
    }

    #[test]
    fn threads_are_counted_by_themselves() {
        let before = allocations();
        let of_another = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let before = allocations();
                drop(std::hint::black_box(vec![1_u8; 100]));
                allocations() - before
            });
            other.join()
        });
        assert_eq!(of_another.ok(), Some(1));
        // The allocations of a thread's start count for its parent, and are fewer than a hundred.
        assert!(allocations() - before < 100);
    }
}
