//! The process that keeps its rights: it watches over the packet process, and does for it what takes a right.
//!
//! It sees no packet, no KME and no key: what was loaded is dropped here once the other process has it.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::runtime::Runtime;

use super::kill_switch;
use super::refused::Refused;
use super::repair::Repair;
use super::start::{RunFailure, plan_of};
use crate::config::{self, Config};
use crate::control::reload::Blame;
use crate::daemon::load::interface_of;
use crate::io::control_socket::ControlName;
use crate::io::keeper_link::{Ask, Link, Reply};
use crate::io::lock::Lock;
use crate::io::system::netlink::{Found, restore, take_steps};
use crate::io::system::plan::{InterfacePlan, Step};
use crate::io::udp::UdpSocket;

/// What the keeper keeps of what was set up.
pub struct Kept {
    /// The configuration file.
    pub(super) file: PathBuf,
    /// What is set.
    pub(super) config: Config,
    /// How the interface is.
    pub(super) plan: InterfacePlan,
    /// The kernel's number of it.
    pub(super) index: u32,
    /// Removed when the last process ends.
    pub(super) _name: ControlName,
    pub(super) _locks: [Lock; 2],
}

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
    let mut keeper = Keeper { kept, runtime };
    let mut link = Some(link);
    loop {
        let mut ready = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        ready.extend(link.iter().map(|link| PollFd::new(link.as_fd(), PollFlags::POLLIN)));
        ready.extend(repair.as_fd().map(|news| PollFd::new(news, PollFlags::POLLIN)));
        match poll(&mut ready, repair.pause()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(watch("poll")(error)),
        }
        let is_asked = link.is_some() && ready.get(1).and_then(PollFd::any).unwrap_or(false);
        if repair.is_due() && keeper.repair(&mut repair) == Interface::Gone && !is_gone {
            is_gone = true;
            // Of an interface that was deleted it knows, and has ended; of one that was moved it does not.
            let _ = kill(child, Signal::SIGTERM);
        }
        if is_asked && !link.as_ref().is_some_and(|link| keeper.serve(link)) {
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
                let name = &keeper.kept.config.interface.name;
                return Err(RunFailure::other(format!(
                    "the interface {name} is not here any more: somebody moved it away"
                )));
            }
            return Ok(End::Exited(u8::try_from(code).unwrap_or(1)));
        }
        if let WaitStatus::Signaled(_, signal, _) = status {
            return Ok(End::Killed(signal));
        }
    }
}

/// Whether there is an interface to keep.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interface {
    Here,
    Gone,
}

/// The keeper at work.
struct Keeper {
    kept: Kept,
    /// In which netlink is spoken.
    runtime: Runtime,
}

impl Keeper {
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
        let (reply, sockets) = match self.answer(ask) {
            Ok(sockets) => (Reply::Done, sockets),
            Err(Refused { blame, text }) => (Reply::Refused { blame, text }, Vec::new()),
        };
        let beside: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        link.reply(&reply, &beside).is_ok()
    }

    fn answer(&mut self, ask: Ask) -> Result<Vec<UdpSocket>, Refused> {
        match ask {
            Ask::Check { text } => {
                kill_switch::wanted(&self.parse(&text)?)?;
                Ok(Vec::new())
            }
            Ask::Bind { text } => self.bind(&self.parse(&text)?),
            Ask::Set { text } => {
                let wanted = self.parse(&text)?;
                self.set(wanted)?;
                Ok(Vec::new())
            }
            Ask::Mtu { bytes } => {
                self.take(&[Step::SetMtu(self.kept.plan.mtu_for(bytes))])?;
                Ok(Vec::new())
            }
        }
    }

    /// A configuration for this interface.
    fn parse(&self, text: &str) -> Result<Config, Refused> {
        let parsed = config::parse(&self.kept.file.display().to_string(), &interface_of(&self.kept.file), text);
        let config = parsed.map_err(|error| Refused { blame: Blame::Configuration, text: error.to_string() })?;
        if config.interface.name != self.kept.config.interface.name {
            let text = format!("this is {}, not {}", self.kept.config.interface.name, config.interface.name);
            return Err(Refused { blame: Blame::Restart, text });
        }
        Ok(config)
    }

    fn bind(&self, wanted: &Config) -> Result<Vec<UdpSocket>, Refused> {
        let (listen, old) = (wanted.interface.listen, self.kept.config.interface.listen);
        UdpSocket::bind_group(listen, self.kept.config.interface.queues).map_err(|error| {
            let hint = if listen.port() == old.port() {
                "; the address in use has the same port: choose another port, or restart the daemon"
            } else {
                ""
            };
            Refused { blame: Blame::System, text: format!("listen {listen}: {error}{hint}") }
        })
    }

    /// Kill switch first, then addresses and routes; what was done before a failure is taken back.
    fn set(&mut self, wanted: Config) -> Result<(), Refused> {
        let plan = plan_of(&wanted)?;
        self.runtime.block_on(kill_switch::change(&self.kept.config, &wanted))?;
        if let Err(refused) = self.set_interface(&plan) {
            for step in self.kept.plan.steps_from(&plan) {
                // What had not been done cannot be undone.
                drop(self.take(&[step]));
            }
            // The prefixes in use are those that are to be kept in.
            drop(self.runtime.block_on(kill_switch::change(&wanted, &self.kept.config)));
            return Err(refused);
        }
        (self.kept.config, self.kept.plan) = (wanted, plan);
        Ok(())
    }

    fn set_interface(&self, plan: &InterfacePlan) -> Result<(), Refused> {
        if *plan == self.kept.plan { Ok(()) } else { self.take(&plan.steps_from(&self.kept.plan)) }
    }

    /// Sets what the configuration says and the interface has not any more.
    fn repair(&self, repair: &mut Repair) -> Interface {
        let (name, index) = (&self.kept.config.interface.name, self.kept.index);
        let steps = self.kept.plan.steps_from(&InterfacePlan::default());
        let found = self.runtime.block_on(restore(name, index, &steps));
        if let Ok(Found::Up(taken @ 1.., _)) = &found {
            tracing::warn!(taken, "addresses or routes of the interface were taken away: set again");
        }
        let missing = match found {
            Ok(Found::Gone) => return Interface::Gone,
            Ok(Found::Down | Found::Up(_, None)) => return Interface::Here,
            Ok(Found::Up(_, Some(refused))) => refused.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            error = missing,
            "addresses or routes of the interface were taken away and are missing; tried again"
        );
        repair.look_again();
        Interface::Here
    }

    fn take(&self, steps: &[Step]) -> Result<(), Refused> {
        let taken = self.runtime.block_on(take_steps(&self.kept.config.interface.name, self.kept.index, steps));
        taken.map_err(|error| Refused { blame: Blame::System, text: error.to_string() })
    }
}
