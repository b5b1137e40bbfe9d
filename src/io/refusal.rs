//! What the kernel's error says: that it cannot do this, that the link is too small, or else that now is a bad time.

use std::io;

/// The kernel cannot do this. `EIO` also comes from an interface that is down.
pub fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::EOPNOTSUPP))
}

/// What was to be sent is longer than the link takes.
pub fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}
