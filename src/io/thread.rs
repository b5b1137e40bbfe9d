//! How the kernel schedules a packet thread: setpriority(2), and the slack of its timers; and what a process is called (prctl(2)).

use std::ffi::CStr;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use nix::errno::Errno;
use nix::sys::prctl::{set_name, set_timerslack};

/// Nice value of a packet thread. A busy application beside it otherwise keeps every packet waiting for the rest of its
/// time slice, some milliseconds; in the kernel's own tunnels this work runs before all applications.
const NICE: libc::c_int = -10;
/// Slack of the thread's timers, in nanoseconds: the kernel's 50 us are as long as the pauses themselves.
const TIMER_SLACK: libc::c_ulong = 1_000;

/// Has the calling thread run before applications, and wake from pauses on time.
///
/// # Errors
/// What setpriority(2) refuses: EACCES without `CAP_SYS_NICE`. The thread works as well, later.
pub fn prefer_this_thread() -> io::Result<()> {
    // Without it pauses are a little longer.
    let _ = set_timerslack(TIMER_SLACK);
    set_nice(NICE)
}

/// Has the calling thread run like any other again: it was started by one that is preferred. Everybody may ask for less.
pub fn serve_this_thread() {
    // Who cannot be put back stays ahead: no harm. A slack of 0 is the thread's first one.
    let _ = set_timerslack(0);
    drop(set_nice(0));
}

/// Starts packet threads. A thread begins as urgent as the one that starts it, and once the rights are given up nobody may ask
/// for more: so this is a thread of its own, which stays preferred and sleeps. It ends with the last of these.
#[derive(Clone)]
pub struct ThreadStarter(Sender<Job>);

struct Job {
    name: String,
    run: Box<dyn FnOnce() + Send>,
    started: Sender<io::Result<JoinHandle<()>>>,
}

impl ThreadStarter {
    /// As urgent as the calling thread.
    ///
    /// # Errors
    /// No thread left.
    pub fn new() -> io::Result<Self> {
        let (jobs, asked) = channel::<Job>();
        Builder::new().name("plait-starter".to_owned()).spawn(move || {
            for Job { name, run, started } in asked {
                // Who asked waits for it.
                drop(started.send(Builder::new().name(name).spawn(run)));
            }
        })?;
        Ok(Self(jobs))
    }

    /// Starts one.
    ///
    /// # Errors
    /// No thread left.
    pub fn spawn(&self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the thread that starts packet threads has ended");
        let (started, answer) = channel();
        self.0.send(Job { name, run: Box::new(run), started }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// What ps(1) and top(1) call the process whose first thread calls this; at most 15 bytes.
pub fn name_this_process(name: &CStr) {
    // A process without a name of its own works as well.
    let _ = set_name(name);
}

fn set_nice(nice: libc::c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no safe wrapper of this call")]
    // SAFETY: takes numbers only; 0 names the calling thread (setpriority(2), "C library/kernel differences").
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}
