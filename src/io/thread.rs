//! How the kernel schedules a packet thread: setpriority(2), and the slack of its timers; and what a process is called (prctl(2)).

use std::ffi::CStr;
use std::io;

use nix::errno::Errno;
use nix::sys::prctl::{set_name, set_timerslack};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Nice value of a packet thread. A busy application beside it otherwise keeps every packet waiting for the rest of its
/// time slice, some milliseconds; in the kernel's own tunnels this work runs before all applications.
const NICE: libc::c_int = -10;
/// The same as setrlimit(2) counts it.
const NICE_LIMIT: rlim_t = (20 - NICE) as rlim_t;
/// Slack of the thread's timers, in nanoseconds: the kernel's 50 us are as long as the pauses themselves.
const TIMER_SLACK: libc::c_ulong = 1_000;

/// Lets threads of this process be preferred later on, when it has no rights any more.
///
/// # Errors
/// What setrlimit(2) refuses: EPERM if the limit is lower and there is no `CAP_SYS_RESOURCE` to raise it.
pub fn allow_preference() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NICE)?;
    if soft < NICE_LIMIT {
        setrlimit(Resource::RLIMIT_NICE, NICE_LIMIT, hard.max(NICE_LIMIT))?;
    }
    Ok(())
}

/// Has the calling thread run before applications, and wake from pauses on time.
///
/// # Errors
/// What setpriority(2) refuses: EACCES without [`allow_preference`]. The thread works as well, later.
pub fn prefer_this_thread() -> io::Result<()> {
    // Without it pauses are a little longer.
    let _ = set_timerslack(TIMER_SLACK);
    #[expect(unsafe_code, reason = "no safe wrapper of this call")]
    // SAFETY: takes numbers only; 0 names the calling thread (setpriority(2), "C library/kernel differences").
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}

/// What ps(1) and top(1) call the process whose first thread calls this; at most 15 bytes.
pub fn name_this_process(name: &CStr) {
    // A process without a name of its own works as well.
    let _ = set_name(name);
}
