//! What a program may ask of valgrind (valgrind.h, memcheck.h): a sequence of instructions that does nothing elsewhere.

/// `VG_USERREQ__RUNNING_ON_VALGRIND`, `VG_USERREQ__COUNT_ERRORS`.
const RUNNING: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
/// `VG_USERREQ__MAKE_MEM_UNDEFINED`, `VG_USERREQ__MAKE_MEM_DEFINED`: tool base 'M' 'C'.
const MAKE_UNDEFINED: usize = 0x4d43_0001;
const MAKE_DEFINED: usize = 0x4d43_0002;

/// Marks bytes as secret: a branch or an address that depends on them is an error.
pub(crate) fn secret(bytes: &[u8]) {
    request([MAKE_UNDEFINED, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]);
}

/// Marks values as public.
pub(crate) fn declassify<T>(values: &mut [T]) {
    request([MAKE_DEFINED, values.as_ptr() as usize, size_of_val(values), 0, 0, 0]);
}

/// Errors that memcheck found so far; 0 without it.
pub(crate) fn errors() -> usize {
    request([COUNT_ERRORS, 0, 0, 0, 0, 0])
}

/// Whether memcheck runs this.
pub(crate) fn is_running() -> bool {
    request([RUNNING, 0, 0, 0, 0, 0]) != 0
}

#[cfg(target_arch = "x86_64")]
fn request(request: [usize; 6]) -> usize {
    let mut answer = 0_usize;
    #[expect(unsafe_code, reason = "no other way to speak with valgrind")]
    // SAFETY: four rotations by 128 bits in all and an exchange of a register with itself change nothing; valgrind reads the request,
    // which outlives the block, and writes the answer's register. It changes marks of its own only, no memory of ours.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") answer,
        );
    }
    answer
}

/// The sequence is known for one architecture.
#[cfg(not(target_arch = "x86_64"))]
fn request(_: [usize; 6]) -> usize {
    0
}
