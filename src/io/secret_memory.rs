//! Pages for secrets: memfd_secret(2), or locked memory, or neither; made once, before the first secret is read.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;

use crate::types::limits::{SECRET_MEMORY_BYTES_MAX, SECRET_MEMORY_BYTES_MIN};
use crate::types::secret_slab::{self, MemoryKind, memory_facts};

/// The pages that hold this process's secrets, until it ends.
pub struct SecretPages {
    start: *mut libc::c_void,
    bytes: usize,
    kind: MemoryKind,
}

/// Maps pages and gives them to `types::secret_slab`. What could be had is in `memory_facts`: [`MemoryKind::Heap`] and `None` if the
/// system gives neither kind, or if the process has pages already.
pub fn install() -> Option<SecretPages> {
    raise_limit();
    let pages = SecretPages::largest()?;
    let slice = pages.slice();
    secret_slab::install(slice, pages.kind).then_some(pages)
}

impl SecretPages {
    /// In a process just forked: makes the pages its own, with all that lies in them, at the same addresses. Pages of memfd_secret
    /// are shared over fork(2), so one process would wipe what the other still uses; a lock of memory is not inherited at all.
    /// The other process must neither take nor drop a secret before this returned. Only while the process has one thread.
    ///
    /// # Errors
    /// No memory, or the limit of locked memory. The process must end then: it still shares the pages.
    pub fn own_after_fork(&self) -> io::Result<()> {
        self.own(memory_facts().cut_bytes)
    }

    /// In the process that is not to have the secrets, after a fork: it drops what it still holds without wiping it, and cannot
    /// read the pages any more.
    pub fn leave(self) {
        secret_slab::leave();
        unmap(self.start, self.bytes);
    }

    /// The most the system allows, secret pages before locked ones.
    fn largest() -> Option<Self> {
        [MemoryKind::Secretmem, MemoryKind::Locked].into_iter().find_map(|kind| {
            let mut bytes = SECRET_MEMORY_BYTES_MAX;
            while bytes >= SECRET_MEMORY_BYTES_MIN {
                match Self::map(kind, bytes) {
                    Ok(start) => return Some(Self { start, bytes, kind }),
                    Err(Errno::EAGAIN | Errno::ENOMEM | Errno::EPERM) => bytes /= 2,
                    // This kernel has no such call or has it switched off.
                    Err(_) => return None,
                }
            }
            None
        })
    }

    fn map(kind: MemoryKind, bytes: usize) -> Result<*mut libc::c_void, Errno> {
        match kind {
            MemoryKind::Secretmem => {
                let file = secret_file(bytes)?;
                map_pages(bytes, libc::MAP_SHARED, file.as_raw_fd())
            }
            MemoryKind::Locked => {
                let start = map_pages(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
                lock(start, bytes).inspect_err(|_| unmap(start, bytes))?;
                Ok(start)
            }
            MemoryKind::Heap => Err(Errno::ENOSYS),
        }
    }

    #[expect(unsafe_code, reason = "a mapping becomes a slice")]
    fn slice(&self) -> &'static mut [u8] {
        // SAFETY: the mapping is `bytes` long, zeroed, readable and writable, and is never unmapped; `install`, the only caller,
        // makes one slice of it.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast::<u8>(), self.bytes) }
    }

    /// With the first `cut` bytes, which are all that was ever written.
    fn own(&self, cut: usize) -> io::Result<()> {
        if self.kind == MemoryKind::Locked {
            return lock(self.start, self.bytes).map_err(io::Error::from);
        }
        let fresh = Self::map(self.kind, self.bytes)?;
        #[expect(unsafe_code, reason = "a mapping takes the place of another")]
        // SAFETY: both mappings are `bytes` long and apart, `cut` is at most `bytes`, and no other thread runs. The old mapping is
        // replaced in one step by one with the same content, so that every reference into it stays valid.
        let moved = unsafe {
            ptr::copy_nonoverlapping(self.start.cast::<u8>(), fresh.cast::<u8>(), cut.min(self.bytes));
            libc::mremap(fresh, self.bytes, self.bytes, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, self.start)
        };
        if moved == libc::MAP_FAILED {
            let error = Errno::last();
            unmap(fresh, self.bytes);
            return Err(error.into());
        }
        Ok(())
    }
}

/// Locked memory counts against `RLIMIT_MEMLOCK`, often 8 MiB. Who may not raise it gets fewer pages.
fn raise_limit() {
    let wanted = SECRET_MEMORY_BYTES_MAX as libc::rlim_t;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[expect(unsafe_code, reason = "no safe wrapper of these calls in what is built of nix")]
    // SAFETY: both calls get a pointer to a structure of this function.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) != 0 || limit.rlim_cur >= wanted {
            return;
        }
        let raised = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max.max(wanted) };
        if libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const raised) != 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit);
        }
    }
}

/// The mapping keeps it alive; the descriptor is closed at once.
fn secret_file(bytes: usize) -> Result<OwnedFd, Errno> {
    #[expect(unsafe_code, reason = "no wrapper of this call")]
    // SAFETY: takes a number only; what it returns is a descriptor that nobody else owns.
    let file = unsafe {
        let number = Errno::result(libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC))?;
        OwnedFd::from_raw_fd(i32::try_from(number).map_err(|_| Errno::EBADF)?)
    };
    let file = File::from(file);
    file.set_len(bytes as u64).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(file.into())
}

fn map_pages(bytes: usize, flags: libc::c_int, file: libc::c_int) -> Result<*mut libc::c_void, Errno> {
    #[expect(unsafe_code, reason = "no safe wrapper of this call")]
    // SAFETY: a new mapping where the kernel likes it; it touches none that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0) };
    if start == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(start) }
}

/// Not to swap (each page from its first use), not to a core file. MADV_WIPEONFORK is left out: the packet process is forked from
/// the one that loaded the keys, and works with what it inherits.
fn lock(start: *mut libc::c_void, bytes: usize) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "no safe wrapper of these calls")]
    // SAFETY: the range is a mapping of our own; neither call changes its content.
    unsafe {
        Errno::result(libc::mlock2(start, bytes, libc::MLOCK_ONFAULT))?;
        Errno::result(libc::madvise(start, bytes, libc::MADV_DONTDUMP)).map(drop)
    }
}

fn unmap(start: *mut libc::c_void, bytes: usize) {
    #[expect(unsafe_code, reason = "no safe wrapper of this call")]
    // SAFETY: a mapping made here that nothing refers to, or whose slots nobody looks at any more (`secret_slab::leave`).
    unsafe {
        libc::munmap(start, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const BYTES: usize = 1 << 16;

    fn pages(kind: MemoryKind) -> SecretPages {
        SecretPages { start: SecretPages::map(kind, BYTES).unwrap(), bytes: BYTES, kind }
    }

    /// What the forked process says with its exit code: 0 if it saw what it inherited and could write over it.
    #[expect(unsafe_code, reason = "a test forks")]
    fn after_a_fork(pages: &SecretPages, own: bool) -> (i32, u8) {
        let slice = pages.slice();
        slice[..100].fill(0x5a);
        // SAFETY: the child makes system calls and writes memory of its own, allocates nothing, and ends by _exit.
        let status = unsafe {
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                let failed = (own && pages.own(100).is_err()) || slice[..100].iter().any(|byte| *byte != 0x5a);
                slice.fill(0x11);
                libc::_exit(i32::from(failed));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status
        };
        (status, slice[50])
    }

    #[test]
    fn pages_of_secretmem_are_not_read_through_proc() {
        let pages = pages(MemoryKind::Secretmem);
        pages.slice()[..32].fill(0x5a);
        let mut out = [0; 32];
        let memory = File::open("/proc/self/mem").unwrap();
        assert!(memory.read_exact_at(&mut out, pages.start as u64).is_err(), "{out:?}");
        let locked = self::pages(MemoryKind::Locked);
        locked.slice()[..32].fill(0x5a);
        memory.read_exact_at(&mut out, locked.start as u64).unwrap();
        assert_eq!(out, [0x5a; 32], "the look itself works");
    }

    #[test]
    fn a_forked_process_has_what_it_inherited_and_its_own_pages() {
        for kind in [MemoryKind::Secretmem, MemoryKind::Locked] {
            assert_eq!(after_a_fork(&pages(kind), true), (0, 0x5a), "{kind:?}");
        }
        // And what it is for: without that step the two share them.
        assert_eq!(after_a_fork(&pages(MemoryKind::Secretmem), false), (0, 0x11));
    }

    #[test]
    fn the_largest_that_is_allowed_is_taken() {
        let pages = SecretPages::largest().unwrap();
        assert!((SECRET_MEMORY_BYTES_MIN..=SECRET_MEMORY_BYTES_MAX).contains(&pages.bytes));
        unmap(pages.start, pages.bytes);
    }
}
