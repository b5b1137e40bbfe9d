//! The process that keeps its rights: it watches over the two others, and does for the packet process what takes a right.
//!
//! It sees no packet and no answer of a KME, and keeps no key: what was loaded is dropped here once the others have it.
//! `keys` has the keys process start again, `work` answers the packet process, `load` and `edit` read configurations for it.

mod edit;
mod kept;
pub mod keys;
mod load;
mod work;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

pub use self::kept::Kept;
use self::work::{Answer, Interface, Work};
use super::limits::KILL_SWITCH_LOOK;
use super::repair::Repair;
use super::start::RunFailure;
use super::{certificates, kill_switch, setup};
use crate::config::Config;
use crate::io::clock::Clock;
use crate::io::keeper_link::Link;
use crate::types::secret::SecretBytes;
use crate::types::time::UnixTime;

/// How the packet process ended.
pub enum End {
    /// By itself, with this exit code; it has said why.
    Exited(u8),
    /// The kernel ended it.
    Killed(Signal),
}

/// Signals that are passed on, and that of a child that has ended.
const PASSED_ON: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1];

/// Holds signals back until [`keep`] takes them; the child lets them through again with [`let_signals_through`].
///
/// # Errors
/// What the system says.
pub fn hold_signals_back() -> Result<(), RunFailure> {
    signals().thread_block().map_err(|error| RunFailure::io("signals", &error.into()))
}

/// See [`hold_signals_back`].
///
/// # Errors
/// What the system says.
pub fn let_signals_through() -> Result<(), RunFailure> {
    signals().thread_unblock().map_err(|error| RunFailure::io("signals", &error.into()))
}

fn signals() -> SigSet {
    PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect()
}

/// Watches until the packet process has ended.
///
/// # Errors
/// The system refuses to let it watch.
pub fn keep(child: Pid, link: Link, kept: Kept) -> Result<End, RunFailure> {
    let watch = |what: &str| {
        let what = what.to_owned();
        move |error: Errno| RunFailure::io(what, &error.into())
    };
    let signals = SignalFd::with_flags(&signals(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
    let signals = signals.map_err(watch("signals"))?;
    // Made on this side of the fork: two processes cannot share one. It has no thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| RunFailure::io("runtime", &error))?;
    let (mut repair, mut is_gone) = (Repair::of(kept.index), false);
    let clock = Clock::start();
    let mut work = Work { kept, runtime, clock, ready: None, switch_looked: clock.now() };
    let mut link = Some(link);
    loop {
        let pause = [work.look_at_keys(), work.look_at_switch(), repair.pause()].into_iter().flatten().min();
        let pause = pause.map_or(PollTimeout::NONE, |pause| PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX));
        let mut ready = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        ready.extend(link.iter().map(|link| PollFd::new(link.as_fd(), PollFlags::POLLIN)));
        ready.extend(repair.as_fd().map(|news| PollFd::new(news, PollFlags::POLLIN)));
        match poll(&mut ready, pause) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(watch("poll")(error)),
        }
        let is_asked = link.is_some() && ready.get(1).and_then(PollFd::any).unwrap_or(false);
        if repair.is_due() && work.repair(&mut repair) == Interface::Gone && !is_gone {
            is_gone = true;
            // Of an interface that was deleted it knows, and has ended; of one that was moved it does not.
            let _ = kill(child, Signal::SIGTERM);
        }
        if is_asked && !link.as_ref().is_some_and(|link| work.serve(link)) {
            link = None;
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            let signal = i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) = signal.filter(|signal| PASSED_ON.contains(signal)) {
                // If it has ended, its end is seen below.
                let _ = kill(child, signal);
            }
        }
        let status = waitpid(child, Some(WaitPidFlag::WNOHANG)).map_err(watch("waitpid"))?;
        if let WaitStatus::Exited(_, code) = status {
            if is_gone && code == 0 {
                let name = &work.kept.config.interface.name;
                let text = format!("the interface {name} is not here any more: somebody moved it away");
                return Err(RunFailure::other(text));
            }
            return Ok(End::Exited(u8::try_from(code).unwrap_or(1)));
        }
        if let WaitStatus::Signaled(_, signal, _) = status {
            return Ok(End::Killed(signal));
        }
    }
}

impl Work {
    /// Answers one question; `false` if there will be none any more.
    fn serve(&mut self, link: &Link) -> bool {
        let ask = match link.asked() {
            Ok(Some(ask)) => ask,
            Ok(None) => return false,
            Err(error) => {
                tracing::error!(%error, "the packet process asks for what it cannot have: nothing more is done for it");
                return false;
            }
        };
        let Answer { reply, secret, beside } = self.answer(ask);
        let beside: Vec<BorrowedFd<'_>> = beside.iter().map(AsFd::as_fd).collect();
        link.reply(&reply, secret.expose(), &beside).is_ok()
    }

    /// Sets the kill switch again if it has been taken away; how long there is nothing to look at.
    fn look_at_switch(&mut self) -> Option<Duration> {
        let config = &self.kept.config;
        if !config.interface.kill_switch {
            return None;
        }
        let now = self.clock.now();
        let left = KILL_SWITCH_LOOK.saturating_sub(now.since(self.switch_looked));
        if !left.is_zero() {
            return Some(left + Duration::from_millis(1));
        }
        self.switch_looked = now;
        match self.runtime.block_on(kill_switch::keep(config)) {
            Ok(false) => {}
            Ok(true) => tracing::warn!("the firewall of the kill switch was taken away: set again"),
            Err(failure) => {
                tracing::error!(error = failure.text, "the kill switch does not stand and cannot be set; tried again");
            }
        }
        Some(KILL_SWITCH_LOOK)
    }

    fn look_at_keys(&mut self) -> Option<Duration> {
        let Kept { file, config, generation, keys, .. } = &mut self.kept;
        let now = self.clock.unix();
        keys.look(|| sources(*generation, file, config, now))
    }
}

/// The files as they are now: after a start of its own the keys process has none, and nobody kept them for it.
fn sources(generation: u32, file: &Path, config: &Config, now: UnixTime) -> Result<SecretBytes, String> {
    let checked = certificates::check(file, config, now).map_err(|failure| failure.text)?;
    setup::handover(generation, file, config, checked.files).map_err(|failure| failure.text)
}
