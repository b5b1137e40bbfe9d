//! Leaves nothing of a computation on the stack: a library that takes keys by value copies them there, and wipes none of it.

use std::hint::black_box;

use zeroize::Zeroize;

/// Bytes of stack that an operation of ML-KEM-1024 uses, and its copies of key and ciphertext with it: some 60 KiB as it is built
/// without optimisation.
const STACK_BYTES: usize = 128 * 1024;

/// Runs `work` in a frame below this one, and wipes the stack that it used.
pub(super) fn leaving_nothing<T>(work: impl FnOnce() -> T) -> T {
    let done = in_a_frame_of_its_own(work);
    wipe();
    done
}

#[inline(never)]
fn in_a_frame_of_its_own<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe() {
    let mut stack = [0_u8; STACK_BYTES];
    // Without this the compiler would see that nothing reads it.
    black_box(&mut stack).zeroize();
}
