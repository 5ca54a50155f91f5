//! How much memory a thread holds at a time: what an input may cost is bounded, and here it is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which keeps books for each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// What this thread holds now, and the most it has held. What another thread frees for it stays on its account.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(bytes: isize) {
    // A thread that is ending has no books any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now + bytes;
        held.set((now, most.max(now)));
    });
}

#[allow(unsafe_code, reason = "an allocator is unsafe by its nature; this one hands everything on to the system's")]
// SAFETY: every call is handed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The most bytes that `work` held at a time, beyond what was held before, and what it said.
pub fn most<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    let said = work();
    let (_, most) = HELD.with(Cell::get);
    (usize::try_from(most - before).unwrap_or_default(), said)
}

#[test]
fn what_is_held_is_counted() {
    let (most, length) = most(|| {
        let first = vec![1_u8; 1 << 20];
        drop(first);
        vec![1_u8; 3 << 20].len()
    });
    assert_eq!(length, 3 << 20);
    assert!((3 << 20..4 << 20).contains(&most), "{most}");
}
