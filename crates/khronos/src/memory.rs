//! Giving memory back to the operating system.
//!
//! A closed VM returns its memory to the allocator of the C library, which keeps it for the next one: behind every
//! small block that is still in use a whole arena stays resident. This asks it to let go.

#![expect(unsafe_code, reason = "the C library offers this only as a C function")]

/// Returns what is free to the operating system. Costs milliseconds when there is much of it, and other threads may
/// have to wait for the allocator meanwhile: call it rarely, and not on a thread that runs VMs.
///
/// Does nothing where the C library is not glibc.
pub fn give_back_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called from any thread at any time; 0 asks to keep no reserve.
    unsafe {
        libc::malloc_trim(0);
    }
}
