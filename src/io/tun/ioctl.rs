//! What is asked of the descriptor of a TUN queue (linux/if_tun.h).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// An `ifreq` as netdevice(7) lays it out, and behind it more room than any kernel writes.
#[repr(C, align(8))]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: [u8; 2],
    rest: [u8; 46],
}

/// The flags that the queue has (`TUNGETIFF`): `IFF_TUN`, `IFF_VNET_HDR`, `IFF_MULTI_QUEUE` and others.
///
/// # Errors
/// What the system answers.
pub(super) fn flags(queue: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: [0; 2], rest: [0; 46] };
    #[expect(unsafe_code, reason = "no safe wrapper of this request")]
    // SAFETY: TUNGETIFF writes one ifreq of at most 40 bytes; the request has 64, and any bytes are valid in it.
    let done = unsafe { libc::ioctl(queue.as_raw_fd(), libc::TUNGETIFF, &raw mut request) };
    Errno::result(done)?;
    let Request { flags, .. } = request;
    Ok(u16::from_ne_bytes(flags).into())
}

/// Sets the bytes of the header in front of a frame (`TUNSETVNETHDRSZ`).
///
/// # Errors
/// What the system answers.
pub(super) fn set_header_bytes(queue: BorrowedFd<'_>, bytes: libc::c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no safe wrapper of this request")]
    // SAFETY: TUNSETVNETHDRSZ reads one int.
    let done = unsafe { libc::ioctl(queue.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const bytes) };
    Ok(Errno::result(done).map(drop)?)
}

/// Sets what the kernel may leave undone in frames (`TUNSETOFFLOAD`), `TUN_F_` bits, for all queues of the interface.
///
/// # Errors
/// `EINVAL` if the kernel does not know one of them; nothing has changed then.
pub(super) fn set_offloads(queue: BorrowedFd<'_>, bits: libc::c_uint) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no safe wrapper of this request")]
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    let done = unsafe { libc::ioctl(queue.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(bits)) };
    Ok(Errno::result(done).map(drop)?)
}
