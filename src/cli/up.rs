//! `plait up`: runs the tunnel in the foreground, for people and for systemd alike: one process that keeps its rights, and one
//! that reads packets and has none.

use std::path::Path;

use nix::sys::signal::Signal;

use super::args::Places;
use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::control::sandbox::Measure;
use crate::daemon::ask::Keeper;
use crate::daemon::keeper::{self, End};
use crate::daemon::kill_switch;
use crate::daemon::load::{LoadFailure, config_path, load};
use crate::daemon::run::run;
use crate::daemon::start::{FailureKind, Prepared, RunFailure, plan_of, prepare};
use crate::io::descriptors;
use crate::io::fork::{Side, fork};
use crate::io::keeper_link::Link;
use crate::io::sandbox;
use crate::io::secret_memory::{self, SecretPages};
use crate::io::system::kill_switch::KillSwitch;
use crate::io::system::plan::describe;
use crate::io::thread::{prefer_this_thread, serve_this_thread};
use crate::types::secret_slab::{MemoryKind, memory_facts};

/// Two: one for the control loop and the sources, one for name resolution and TLS; packets have threads of their own.
const RUNTIME_THREADS: usize = 2;

/// `plait up NAME|FILE [--dry-run] [--require-sandbox]`.
pub(super) fn up(name: &str, dry_run: bool, demands: Demands, places: &Places) -> Outcome {
    let file = config_path(name);
    if dry_run {
        return show_plan(&file);
    }
    descriptors::provide().map_err(|text| Failure::new(Exit::Failure, text))?;
    let pages = secret_memory::install();
    // One thread, so that the process can be divided afterwards.
    let setup = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let setup = setup.map_err(|error| Failure::io("runtime", &error))?;
    let prepared = setup.block_on(prepare(&file, &places.run_dir, &places.state_dir)).map_err(failure)?;
    drop(setup);
    let (link, asker) = Link::pair().map_err(|error| Failure::io("keeper", &error))?;
    keeper::hold_signals_back().map_err(failure)?;
    match fork().map_err(|error| Failure::io("a process for the packets", &error))? {
        Side::Parent(child) => {
            drop(asker);
            // Before what was loaded is dropped: wiping it here would wipe it there.
            if let Some(pages) = pages {
                pages.leave();
            }
            let end = keeper::keep(child, link, prepared.kept()).map_err(failure)?;
            ended(&end)
        }
        Side::Child => {
            drop(link);
            keeper::let_signals_through().map_err(failure)?;
            packets(prepared, Keeper::over(asker), demands, secrets(pages.as_ref()))
        }
    }
}

/// What the operator asks for beyond the configuration.
#[derive(Clone, Copy)]
pub(super) struct Demands {
    /// To run with every measure of the sandbox or not at all.
    pub(super) sandbox: bool,
}

/// The process that reads packets: it gives up what it does not need before the first comes.
fn packets(prepared: Prepared, keeper: Keeper, demands: Demands, secrets: Measure) -> Outcome {
    // Threads start as urgent as who starts them, and later nobody here has the right: this one starts the packet threads, now
    // and after a reload. Without the right at all they are later, and say so.
    drop(prefer_this_thread());
    let sandbox = sandbox::enter(&prepared.profile(), secrets);
    let missing = sandbox.missing();
    if demands.sandbox && !missing.is_empty() {
        let text = format!("--require-sandbox: not all of it is in force: {}", missing.join("; "));
        return Err(Failure::new(Exit::Permission, text));
    }
    for measure in missing {
        tracing::warn!("sandbox: {measure}");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(RUNTIME_THREADS).enable_all().on_thread_start(serve_this_thread);
    let runtime = runtime.build().map_err(|error| Failure::io("runtime", &error))?;
    runtime.block_on(async {
        let (running, control) = prepared.assemble(keeper, sandbox).map_err(failure)?;
        run(running, control).await.map_err(failure)
    })?;
    Ok(Exit::Ok)
}

/// In which memory secrets lie. They are this process's own from here on.
fn secrets(pages: Option<&SecretPages>) -> Measure {
    let off = |text: String| Measure { on: false, text };
    if let Some(Err(error)) = pages.map(SecretPages::own_after_fork) {
        return off(format!("pages of our own: {error}"));
    }
    match memory_facts().kind {
        MemoryKind::Secretmem => Measure { on: true, text: String::new() },
        MemoryKind::Locked => off("no memfd_secret in this kernel (secretmem.enable=1): locked memory".to_owned()),
        MemoryKind::Heap => off("neither memfd_secret nor locked memory (LimitMEMLOCK): the heap".to_owned()),
    }
}

/// The exit code of the whole. The packet process has said itself why it ended, unless the kernel ended it.
fn ended(end: &End) -> Outcome {
    let killed = |text: String| Err(Failure::new(Exit::Ended, text));
    match end {
        End::Exited(code) => Exit::of_code(*code).map_or_else(|| killed(format!("the packet process ended with {code}")), Ok),
        End::Killed(Signal::SIGSYS) => killed(
            "the packet process made a system call that it must not make, and was ended (seccomp): if nobody broke in, this is \
             a fault of plait; report it with the kernel's log line (journalctl -k, type=1326)"
                .to_owned(),
        ),
        End::Killed(signal) => killed(format!("the packet process was ended by {signal}")),
    }
}

fn show_plan(file: &Path) -> Outcome {
    let loaded = load(file).map_err(|error: LoadFailure| failure(error.into()))?;
    let plan = plan_of(&loaded.config).map_err(failure)?;
    let kill_switch = kill_switch::wanted(&loaded.config).map_err(failure)?;
    let mut lines: Vec<String> = kill_switch.iter().flat_map(KillSwitch::describe).collect();
    lines.extend(describe(&loaded.config.interface.name, &plan));
    output::data(&(lines.join("\n") + "\n"))
}

pub(super) fn failure(failure: RunFailure) -> Failure {
    let exit = match failure.kind {
        FailureKind::Configuration => Exit::Configuration,
        FailureKind::Permission => Exit::Permission,
        FailureKind::Other => Exit::Failure,
    };
    Failure::new(exit, failure.text)
}
