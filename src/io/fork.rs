//! One process becomes two (fork(2)).

use std::io;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, getpid, getppid};

/// Which of the two goes on here.
pub enum Side {
    /// The one that was there; its child has this number.
    Parent(Pid),
    /// The new one. The kernel kills it when its parent ends, however that ends.
    Child,
}

/// Divides this process, which has one thread: others would stop in the middle of what they did, locks held.
///
/// # Errors
/// There are more threads, or what the system says.
pub fn fork() -> io::Result<Side> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads where there should be one")));
    }
    let parent = getpid();
    #[expect(unsafe_code, reason = "fork has no safe form")]
    // SAFETY: there is one thread (looked at above, and this is it), so that no lock is held by one that the child lacks.
    let divided = unsafe { nix::unistd::fork() }?;
    match divided {
        ForkResult::Parent { child } => Ok(Side::Parent(child)),
        ForkResult::Child => {
            set_pdeathsig(Signal::SIGKILL)?;
            // It may have ended before that was said.
            if getppid() != parent {
                return Err(io::Error::other("the process that watches over this one has ended"));
            }
            Ok(Side::Child)
        }
    }
}
