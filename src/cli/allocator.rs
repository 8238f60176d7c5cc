//! Memory that is refused ends the program in a message: the standard library would abort it.
//!
//! What is sized by input asks for room and says which setting is too large (`fairprune::memory`). This is
//! what is left: any other allocation that the limits of the process refuse.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, whose refusals end the program with exit code 2.
pub struct Refusing;

// SAFETY: every call is passed on to the system's allocator; a refusal is passed on where it was asked for, and never returns elsewhere.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

fn checked(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() && !fairprune::memory::is_asked_for() {
        refuse(size);
    }
    memory
}

/// Says what was refused, and ends the process at once: nothing may be allocated any more, and what is on
/// disk is complete at every moment.
#[cold]
fn refuse(size: usize) -> ! {
    let mut digits = [0u8; 20];
    let (mut at, mut rest) = (digits.len(), size);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let parts: [&[u8]; 3] = [
        b"error: out of memory: the system refused ",
        &digits[at..],
        b" bytes; fewer --threads, smaller batches or images, or a higher limit (ulimit -v) help\n",
    ];
    for part in parts {
        // SAFETY: the bytes are valid for their length, and the descriptor is stderr.
        let _ = unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: it ends the process without running anything else.
    unsafe { libc::_exit(2) }
}
